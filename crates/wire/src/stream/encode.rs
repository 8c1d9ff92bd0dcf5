//! Headers and payloads to bytes: the mirror of [`Decoder`](super::Decoder).

use super::{Header, Position};
use crate::error::{Error, Format, Result};

/// Writes a backup stream, and checks that every payload has the size that its header said.
///
/// It appends to a buffer of the caller, so a payload that the caller has at hand can also go straight to its
/// destination: announce it with [`pass`](Self::pass).
#[derive(Debug, Default)]
pub struct Encoder {
    /// Bytes of the current payload that have not come yet; `None` between streams.
    left: Option<u64>,
    /// Bytes written so far.
    offset: u64,
}

impl Encoder {
    /// An encoder at the beginning of a backup file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes written so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the encoder stands.
    #[must_use]
    pub fn position(&self) -> Position {
        match self.left {
            None | Some(0) => Position::Boundary,
            Some(left) => Position::Payload { left },
        }
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// The payload before it is not complete, or the header is one that [`Header::encode`] refuses.
    pub fn header(&mut self, header: &Header, out: &mut Vec<u8>) -> Result<()> {
        self.finish()?;
        header.encode(out).map_err(|error| error.at(self.offset))?;
        self.offset = self.offset.saturating_add(header.encoded_len() as u64);
        self.left = Some(header.size);
        Ok(())
    }

    /// Appends bytes of the payload.
    ///
    /// # Errors
    /// More bytes than the header announced; nothing is appended then.
    pub fn payload(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.pass(data.len() as u64)?;
        out.extend_from_slice(data);
        Ok(())
    }

    /// Accounts for payload bytes that the caller writes by itself.
    ///
    /// # Errors
    /// More bytes than the header announced.
    pub fn pass(&mut self, bytes: u64) -> Result<()> {
        let left = self.left.unwrap_or(0);
        let Some(rest) = left.checked_sub(bytes) else {
            let problem = "no more bytes than the header announced";
            return Err(Error::value(Format::BackupStream, self.offset, "payload", bytes, problem));
        };
        self.left = Some(rest);
        self.offset = self.offset.saturating_add(bytes);
        Ok(())
    }

    /// Says that the backup file ends here.
    ///
    /// # Errors
    /// The last payload is not complete.
    pub fn finish(&self) -> Result<()> {
        match self.left {
            None | Some(0) => Ok(()),
            Some(left) => Err(Error::truncated(Format::BackupStream, self.offset, "payload", left, 0)),
        }
    }
}
