//! The manifest, with which an archive of ours ends.

use std::io::Read;

use super::{ArchiveReader, State};
use crate::error::Result;
use crate::manifest::MANIFEST;
use crate::proof::Reading;
use crate::tar::read::{End, RawEntry};

impl<R: Read> ArchiveReader<R> {
    /// Reads the manifest, and compares the entries with it when a proof is wanted.
    pub(super) fn manifest(&mut self, entry: &RawEntry) -> Result<()> {
        self.summary.entries -= 1;
        self.summary.proven = self.proof.is_some();
        let (limit, proof) = (self.limits.line, self.proof.take());
        let mut reading = Reading::new(entry.offset, entry.size, limit, proof)?;
        while self.tar.take(u64::MAX)? > 0 {
            reading.piece(self.tar.chunk(), &mut self.remarks)?;
        }
        let closing = reading.close(self.summary.entries, &mut self.remarks);
        if let Some(span) = self.tar.leave()? {
            reading.check_exact(&span, &mut self.remarks);
        }
        if self.tar.next()?.is_some() {
            reading.fault(MANIFEST, "there are entries behind it", &mut self.remarks);
        } else if self.tar.end() != Some(End::Proper) {
            reading.fault(MANIFEST, "the archive has no end behind it: it was cut off", &mut self.remarks);
        } else if !self.only_zeros_follow()? {
            reading.fault(MANIFEST, "there are bytes behind the end of the archive", &mut self.remarks);
        }
        self.summary.faults = reading.faults;
        if let Some(closing) = closing {
            self.summary.complete = true;
            (self.summary.losses, self.summary.notes) = (closing.losses, closing.notes);
        }
        self.state = State::End;
        Ok(())
    }

    /// Some programs round an archive up to their own blocks.
    pub(super) fn only_zeros_follow(&mut self) -> Result<bool> {
        let mut zeros = true;
        while self.tar.input.take(u64::MAX)? > 0 {
            zeros &= self.tar.chunk().iter().all(|byte| *byte == 0);
        }
        Ok(zeros)
    }
}
