//! Files that are opened in the order of their records: each read of `$MFT` brings the records behind it along.

use crate::error::Result;
use crate::file::{Expect, File};
use crate::mft;
use crate::record::FileReference;
use crate::volume::Volume;

/// Bytes of records that are read at once.
const WINDOW: usize = 64 << 10;

/// Opens files of a volume, fastest in the order of their records. It holds 64 KiB.
#[derive(Debug)]
pub struct NearbyFiles {
    volume: Volume,
    /// The number of the first record in `bytes`, and how many are there.
    first: u64,
    count: u64,
    bytes: Vec<u8>,
}

impl NearbyFiles {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(volume: &Volume) -> Self {
        Self { volume: volume.clone(), first: 0, count: 0, bytes: Vec::new() }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// As [`Volume::file`].
    pub fn open(&mut self, reference: FileReference) -> Result<File> {
        let number = reference.record();
        if !(self.first..self.first + self.count).contains(&number) {
            self.read(number);
        }
        let size = self.volume.mft().record_size;
        let record = number.checked_sub(self.first).filter(|at| *at < self.count);
        let record = record.and_then(|at| self.bytes.get(at as usize * size..(at as usize + 1) * size));
        let mut base: Box<[u8]> = record.unwrap_or_default().into();
        // What is damaged is read by itself, with all that mirror and salvage can do.
        match mft::fix(&mut base, false) {
            Ok(_) => File::from_base(self.volume.clone(), Expect::This(reference), number, base, false),
            Err(_) => self.volume.file(reference),
        }
    }

    /// Reads the records from this one on; none when a part of them cannot be read.
    fn read(&mut self, number: u64) {
        let mft = self.volume.mft();
        let most = (WINDOW / mft.record_size) as u64;
        (self.first, self.count) = (number, mft.records.saturating_sub(number).min(most));
        self.bytes.resize(self.count as usize * mft.record_size, 0);
        let offset = number.saturating_mul(mft.record_size as u64);
        if self.volume.device().read_runs_exact(&mft.runs, offset, &mut self.bytes).is_err() {
            self.count = 0;
        }
    }
}
