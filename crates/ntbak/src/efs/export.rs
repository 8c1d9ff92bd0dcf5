//! Reading the raw export of an encrypted file.

use ntbak_wire::Win32Error;
use ntbak_wire::efs::{Export, Piece};

use super::Encrypted;
use crate::error::{Error, Result};

/// The bytes of an export, pulled a buffer at a time: one copy, from the source into the caller's buffer.
pub struct ExportReader<'s> {
    file: Box<dyn Encrypted + 's>,
    export: Export,
    pending: Pending,
    len: u64,
}

/// What of the current piece is still to be given.
enum Pending {
    Nothing,
    /// Headers; from this byte on.
    Bytes {
        bytes: Vec<u8>,
        from: usize,
    },
    Data {
        stream: usize,
        offset: u64,
        len: usize,
    },
}

impl<'s> ExportReader<'s> {
    /// The export of `file`.
    ///
    /// # Errors
    /// Metadata or sizes that the format cannot hold.
    pub fn new(file: Box<dyn Encrypted + 's>) -> Result<Self> {
        let export = Export::new(file.metadata().to_vec(), file.streams().to_vec())?;
        let len = export.encoded_len();
        Ok(Self { file, export, pending: Pending::Nothing, len })
    }

    /// The size of the whole export in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Fills `buf`; answers how many bytes, fewer than its length only at the end.
    ///
    /// # Errors
    /// The source cannot be read, or has become shorter.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.step(rest)? {
                Some(got) => filled += got,
                None => break,
            }
        }
        Ok(filled)
    }

    /// Gives a part of the current piece, or turns to the next one; `None` at the end.
    fn step(&mut self, buf: &mut [u8]) -> Result<Option<usize>> {
        match &mut self.pending {
            Pending::Bytes { bytes, from } if *from < bytes.len() => {
                let rest = bytes.get(*from..).unwrap_or_default();
                let len = rest.len().min(buf.len());
                if let (Some(to), Some(rest)) = (buf.get_mut(..len), rest.get(..len)) {
                    to.copy_from_slice(rest);
                }
                *from += len;
                Ok(Some(len))
            }
            Pending::Data { stream, offset, len } if *len > 0 => {
                let want = (*len).min(buf.len());
                let buf = buf.get_mut(..want).unwrap_or_default();
                let got = self.file.read_stored(*stream, *offset, buf)?;
                if got == 0 {
                    let name = self.file.streams().get(*stream).and_then(|plan| plan.head.name.clone());
                    let why = "it has become shorter while it was read";
                    return Err(Error::new(Win32Error::HANDLE_EOF, why)
                        .in_stream(name.as_ref())
                        .at_offset(*offset));
                }
                *offset += got as u64;
                *len -= got;
                Ok(Some(got))
            }
            _ => self.turn(),
        }
    }

    fn turn(&mut self) -> Result<Option<usize>> {
        let mut bytes = match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Bytes { bytes, .. } => bytes,
            _ => Vec::new(),
        };
        self.pending = match self.export.next()? {
            None => return Ok(None),
            Some(Piece::Bytes(piece)) => {
                bytes.clear();
                bytes.extend_from_slice(piece);
                Pending::Bytes { bytes, from: 0 }
            }
            Some(Piece::Data { stream, offset, len }) => Pending::Data { stream, offset, len: len as usize },
        };
        Ok(Some(0))
    }
}
