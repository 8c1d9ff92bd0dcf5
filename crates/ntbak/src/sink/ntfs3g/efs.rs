//! An encrypted file onto a mount with `efs_raw`: ciphertext with its trailer first, what EFS keeps of the file last.
//!
//! The other way round, ntfs-3g would take the streams for complete before they are.

use ntbak_wire::efs::{SECTOR, Segment, StreamEnd};
use ntbak_wire::record::StreamHead;
use ntbak_wire::{Win32Error, efs};
use rustix::io::Errno;

use super::{Current, Ntfs3gSink};
use crate::efs::{Import, ImportTarget, TRAILER, trailer_of};
use crate::error::{Error, Result};
use crate::host::node::{MAX_XATTR, Node};
use crate::host::ntfs3g;
use crate::report::{FileReport, LossKind};
use crate::sink::no_unnamed_stream;

/// An encrypted file that is being written.
#[derive(Debug, Default)]
pub(super) struct Efs {
    /// The raw export that is coming.
    pub(super) import: Option<Import>,
    metadata: Option<Vec<u8>>,
    /// Where the ciphertext of the current stream goes on, when that is encrypted.
    next: Option<u64>,
}

/// The sink with somebody to tell.
pub(super) struct EfsTarget<'a> {
    pub(super) sink: &'a mut Ntfs3gSink,
    pub(super) report: &'a FileReport<'a>,
}

impl ImportTarget for EfsTarget<'_> {
    fn efs_metadata(&mut self, metadata: Vec<u8>) -> Result<()> {
        if metadata.len() > MAX_XATTR {
            let why = "what EFS keeps of it has more than 64 KiB, and a mount does not take that";
            return Err(Error::new(Win32Error::NOT_SUPPORTED, why));
        }
        self.sink.efs.metadata = Some(metadata);
        Ok(())
    }

    fn efs_stream(&mut self, head: efs::StreamHead) -> Result<()> {
        if self.sink.directory && head.name.is_none() {
            return Err(no_unnamed_stream());
        }
        let unheld = match (head.encrypted, self.sink.directory) {
            (true, true) => Some("ntfs-3g cannot mark the stream of a directory as encrypted"),
            (false, false) => Some("ntfs-3g would mark this plain stream of an encrypted file as encrypted"),
            _ => None,
        };
        self.sink.efs.next = head.encrypted.then_some(0);
        self.sink.current = Some(match unheld {
            Some(why) => {
                self.report.stream_loss(head.name.as_ref(), LossKind::Stream, why);
                Current::Passed
            }
            None => self.sink.begin_stream(&StreamHead::plain(head.name, 0), self.report)?,
        });
        Ok(())
    }

    fn efs_segment(&mut self, _segment: &Segment) -> Result<()> {
        Ok(())
    }

    fn efs_data(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if let Some(next) = &mut self.sink.efs.next {
            if *next != offset {
                return Err(no_ciphertext(*next));
            }
            *next += data.len() as u64;
        }
        self.sink.has_content = true;
        self.sink.write(offset, data)
    }

    fn efs_end_stream(&mut self, end: StreamEnd) -> Result<()> {
        let Some(next) = self.sink.efs.next.take() else {
            return self.sink.end_stream(end.size, self.report);
        };
        let ciphertext = end.size.next_multiple_of(SECTOR);
        if next < ciphertext {
            return Err(no_ciphertext(next));
        }
        if end.size == 0 {
            return self.sink.end_stream(0, self.report);
        }
        self.sink.write(ciphertext, &trailer_of(end.size))?;
        self.sink.end_stream(ciphertext + TRAILER, self.report)
    }
}

impl Ntfs3gSink {
    /// Takes the next bytes of the raw export, or their end.
    pub(super) fn import(&mut self, data: Option<&[u8]>, report: &FileReport<'_>) -> Result<()> {
        let Some(mut import) = self.efs.import.take() else { return Ok(()) };
        let target = &mut EfsTarget { sink: self, report };
        match data {
            Some(data) => {
                import.push(data, target)?;
                self.efs.import = Some(import);
                Ok(())
            }
            None => import.finish(target),
        }
    }

    /// Marks the file as encrypted; its streams are complete and closed.
    pub(super) fn apply_efs(&self, node: &Node) -> Result<()> {
        let Some(metadata) = &self.efs.metadata else { return Ok(()) };
        node.set_xattr(ntfs3g::EFS_INFO, metadata).map_err(|error| {
            let failed = Error::io("setting what EFS keeps of the file", error);
            match error {
                Errno::IO => failed.hint(
                    "no file is compressed and encrypted: what is made in a compressed directory cannot be",
                ),
                Errno::EXIST => failed.hint("ntfs-3g sets it once, and somebody else has: try again"),
                _ => failed,
            }
        })
    }
}

fn no_ciphertext(offset: u64) -> Error {
    let why = "the encrypted stream has a hole or a part that was never written, and ntfs-3g would take zeros for ciphertext";
    Error::new(Win32Error::INVALID_PARAMETER, why)
        .at_offset(offset)
        .hint("decrypt it with its key, or keep it in a directory or an archive")
}
