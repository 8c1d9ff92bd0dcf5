//! Losses and notes, as they travel with an archive.

use std::borrow::Cow;

use ntbak_wire::stream::StreamName;

/// Something about one entry that is not silence: it stands in the manifest when it is said by a writer, and comes as
/// an item when it is said by a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What was lost: one of the fixed kinds of `docs/losses.md`. `None` for a note, which loses nothing.
    pub loss: Option<Cow<'static, str>>,
    /// The file, as the archive has it.
    pub path: Vec<u8>,
    /// The alternate data stream, when it is about one.
    pub stream: Option<StreamName>,
    /// What there is to say, for people.
    pub why: String,
}

impl Remark {
    /// A loss of this kind.
    pub fn loss(kind: impl Into<Cow<'static, str>>, path: &[u8], why: impl Into<String>) -> Self {
        Self { loss: Some(kind.into()), path: path.to_owned(), stream: None, why: why.into() }
    }

    /// A note.
    pub fn note(path: &[u8], why: impl Into<String>) -> Self {
        Self { loss: None, path: path.to_owned(), stream: None, why: why.into() }
    }

    /// The same in this stream.
    #[must_use]
    pub fn in_stream(mut self, stream: Option<&StreamName>) -> Self {
        self.stream = stream.cloned();
        self
    }

    /// Whether something was lost.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.loss.is_some()
    }
}
