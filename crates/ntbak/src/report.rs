//! What could not be kept, and what is worth knowing: never silence.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ntbak_wire::stream::StreamName;

/// Where losses and notes go while work is done.
pub trait Report: Sync {
    /// Something about a file was not kept.
    fn loss(&self, loss: Loss);

    /// Something worth telling that loses nothing.
    fn note(&self, note: Note);

    /// Whether the user wants the work to stop; asked between pieces of content.
    fn cancelled(&self) -> bool {
        false
    }

    /// How far the work is; told often, so it should be quick to hear.
    fn progress(&self, _: Progress) {}
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files and other names of files that are done.
    pub files: u64,
    /// Bytes of content so far.
    pub bytes: u64,
}

/// One fact about one file that was not kept, or could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// The alternate data stream, when the loss is in one.
    pub stream: Option<StreamName>,
    /// What was lost.
    pub kind: LossKind,
    /// Why, for people, and where possible what would have kept it.
    pub why: String,
}

/// Something about one file that is worth telling and loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// The alternate data stream, when the note is about one.
    pub stream: Option<StreamName>,
    /// What there is to tell.
    pub what: String,
}

macro_rules! loss_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal;)*) => {
        /// What a [`Loss`] is about. The names are fixed: reports and `--allow-loss` use them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum LossKind {
            $($(#[$doc])* $kind,)*
        }

        impl LossKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The fixed name, as in `--allow-loss`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

loss_kinds! {
    /// Bytes of a data stream.
    Content = "content";
    /// A whole alternate data stream.
    Stream = "stream";
    /// The whole security descriptor.
    Security = "security";
    /// The system access control list only.
    Sacl = "sacl";
    /// Owner or group only.
    Owner = "owner";
    /// Extended attributes.
    Ea = "ea";
    /// The flags (NEED_EA) of extended attributes.
    EaFlags = "ea-flags";
    /// The reparse point.
    Reparse = "reparse";
    /// The object id.
    ObjectId = "object-id";
    /// A file attribute.
    Attribute = "attribute";
    /// Creation, write or access time.
    Time = "time";
    /// The change time.
    ChangeTime = "change-time";
    /// The 8.3 name.
    ShortName = "short-name";
    /// The name of the file.
    Name = "name";
    /// Another name of the file: a hard link.
    Link = "link";
    /// That a directory is case-sensitive.
    CaseSensitive = "case-sensitive";
    /// That a stream is sparse, or where its holes are.
    Holes = "holes";
    /// The valid data length.
    Vdl = "vdl";
    /// That a stream is compressed.
    Compression = "compression";
    /// That it is encrypted, and who can open it.
    Efs = "efs";
    /// An extended attribute of Linux that is no fact about a Windows file.
    LinuxAttribute = "linux-attribute";
    /// A backup stream that means nothing to ntbak (PROPERTY_DATA, GHOSTED_FILE_EXTENTS).
    OpaqueStream = "opaque-stream";
    /// The archive is damaged or not complete, or has an entry that means nothing to ntbak.
    Archive = "archive";
}

impl LossKind {
    /// The kind of this name, as an archive has it; a later version may have others.
    pub(crate) fn named(name: &str) -> Self {
        name.parse().unwrap_or(Self::Archive)
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for LossKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("no kind of loss is called {name:?}; there are {}", names.join(", "))
        })
    }
}

/// A report about one file: it knows the path, so that those who find a loss need not.
pub struct FileReport<'a> {
    /// Where it goes.
    pub to: &'a dyn Report,
    /// The file.
    pub path: &'a Path,
}

impl FileReport<'_> {
    /// A loss of the file as a whole.
    pub fn loss(&self, kind: LossKind, why: impl Into<String>) {
        self.stream_loss(None, kind, why);
    }

    /// A loss in one of its streams.
    pub fn stream_loss(&self, stream: Option<&StreamName>, kind: LossKind, why: impl Into<String>) {
        let (path, stream) = (self.path.to_owned(), stream.cloned());
        self.to.loss(Loss { path, stream, kind, why: why.into() });
    }

    /// A note about the file or one of its streams.
    pub fn note(&self, stream: Option<&StreamName>, what: impl Into<String>) {
        self.to.note(Note { path: self.path.to_owned(), stream: stream.cloned(), what: what.into() });
    }
}

/// A report that keeps everything it is told.
#[derive(Debug, Default)]
pub struct Collected {
    losses: Mutex<Vec<Loss>>,
    notes: Mutex<Vec<Note>>,
}

impl Collected {
    /// An empty report.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The losses so far.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The notes so far.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Report for Collected {
    fn loss(&self, loss: Loss) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).push(loss);
    }

    fn note(&self, note: Note) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}
