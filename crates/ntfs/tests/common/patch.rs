//! Volumes in memory, changed byte by byte, and a way through everything that can be asked of one.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use ntbak_ntfs::catalogue::CatalogueOptions;
use ntbak_ntfs::{AttributeType, Error, Options, ReadAt, Result, Volume};

use super::Image;

/// A volume in memory with changes over it.
#[derive(Clone)]
pub(crate) struct Patched {
    base: Arc<Vec<u8>>,
    changes: BTreeMap<u64, Vec<u8>>,
    len: u64,
}

impl Patched {
    pub(crate) fn new(base: Arc<Vec<u8>>) -> Self {
        let len = Vec::len(&base) as u64;
        Self { base, changes: BTreeMap::new(), len }
    }

    /// A small volume with files of every kind; `None`, after saying why, when none can be made.
    pub(crate) fn tiny() -> Option<Self> {
        static TINY: OnceLock<Option<Arc<Vec<u8>>>> = OnceLock::new();
        let made = TINY.get_or_init(|| {
            if let Some(why) = super::no_volumes() {
                super::skip(&why);
                return None;
            }
            let image = Image::formatted(24, &["-c", "1024"]);
            image.fill("tiny");
            Some(Arc::new(image.bytes()))
        });
        made.clone().map(Self::new)
    }

    /// Writes bytes at this place; later ones go over earlier ones where they begin at the same place only.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) -> &mut Self {
        self.changes.insert(at, bytes.to_vec());
        self
    }

    pub(crate) fn cut(&mut self, len: u64) -> &mut Self {
        self.len = len;
        self
    }

    pub(crate) fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read_at(at, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn open(&self) -> Result<Volume> {
        Volume::open(self.clone(), Options::default().threads(1))
    }

    pub(crate) fn salvage(&self) -> Result<Volume> {
        Volume::open(self.clone(), Options::default().threads(1).salvage(true))
    }

    /// Where a record of an unfragmented `$MFT` is.
    pub(crate) fn record_at(&self, number: u64) -> u64 {
        let geometry = *self.open().unwrap().geometry();
        geometry.mft_lcn * u64::from(geometry.cluster_size) + number * u64::from(geometry.record_size)
    }

    /// Changes a record as it is in memory, without its fixups.
    pub(crate) fn edit(&mut self, number: u64, change: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let at = self.record_at(number);
        self.edit_at(at, change)
    }

    /// Changes the record at this place.
    pub(crate) fn edit_at(&mut self, at: u64, change: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let mut record = self.read(at, 1024);
        let usa = usize::from(u16::from_le_bytes([record[4], record[5]]));
        for piece in 0..2 {
            let word = [record[usa + 2 + 2 * piece], record[usa + 3 + 2 * piece]];
            record[piece * 512 + 510..piece * 512 + 512].copy_from_slice(&word);
        }
        change(&mut record);
        let usa = usize::from(u16::from_le_bytes([record[4], record[5]]));
        if usa < 500 {
            for piece in 0..2 {
                let end = piece * 512 + 510;
                let word = [record[end], record[end + 1]];
                record[usa + 2 + 2 * piece..usa + 4 + 2 * piece].copy_from_slice(&word);
                let check = [record[usa], record[usa + 1]];
                record[end..end + 2].copy_from_slice(&check);
            }
        }
        self.write(at, &record)
    }
}

impl ReadAt for Patched {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap();
        let len = left.min(buf.len());
        let got = self.base.as_slice().read_at(offset, &mut buf[..len])?;
        let end = offset + got as u64;
        for (at, bytes) in self.changes.range(..end) {
            for (at, byte) in (*at..).zip(bytes).filter(|(at, _)| (offset..end).contains(at)) {
                buf[(at - offset) as usize] = *byte;
            }
        }
        Ok(got)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// Where the first attribute of this type is in a record, and its length.
pub(crate) fn attribute(record: &[u8], kind: AttributeType) -> (usize, usize) {
    let mut at = usize::from(u16::from_le_bytes([record[20], record[21]]));
    loop {
        let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
        assert_ne!(word(at), u32::MAX, "no {kind}");
        let len = word(at + 4) as usize;
        if word(at) == kind.0 {
            return (at, len);
        }
        at += len;
    }
}

/// Asks everything of a volume. What it answers may be wrong; that it answers, in time and memory, is the point.
/// Answers what was damaged, and how much was read.
pub(crate) fn exercise(volume: &Volume) -> (Vec<Error>, u64) {
    let mut errors = Vec::new();
    let mut read = 0_u64;
    let _ = volume.state();
    match volume.catalogue(CatalogueOptions::default().deleted(true)) {
        Ok(catalogue) => {
            errors.extend_from_slice(catalogue.damage());
            let walked = catalogue.walk().take(100_000).count() as u64;
            assert!(walked < 100_000, "the walk does not end");
            read += walked;
            for (id, entry) in catalogue.all() {
                for name in catalogue.names(id) {
                    let _ = catalogue.path(name);
                    let _ = catalogue.name_place(name);
                }
                let _ = catalogue.links(id);
                let _ = entry.attributes();
                let number = entry.reference().record();
                match volume.deleted_file(number) {
                    Ok(file) => read += exercise_file(volume, &file, &mut errors),
                    Err(error) => errors.push(error),
                }
            }
        }
        Err(error) => errors.push(error),
    }
    (errors, read)
}

fn exercise_file(volume: &Volume, file: &ntbak_ntfs::File, errors: &mut Vec<Error>) -> u64 {
    let mut bytes = 0;
    errors.extend_from_slice(file.damage());
    let _ = file.links();
    let _ = file.times();
    errors.extend(file.security().err());
    errors.extend(file.eas().err());
    errors.extend(file.reparse().err());
    errors.extend(file.object_id().err());
    errors.extend(file.efs().err());
    let mut buffer = vec![0; 20_000];
    for stream in file.all_streams() {
        let mut end = 0;
        for extent in stream.extents().take(1000) {
            assert!(extent.offset >= end && extent.end() <= stream.size() && extent.len > 0);
            end = extent.end();
        }
        assert!(stream.vdl() <= stream.size());
        let _ = stream.allocated();
        for at in
            [0, stream.vdl().saturating_sub(5), stream.size().saturating_sub(5), stream.size() / 2, u64::MAX]
        {
            match file.read_at(stream, at, &mut buffer) {
                Ok(got) => {
                    assert!(got > 0 || at >= stream.size(), "nothing read at {at} of {}", stream.size());
                    bytes += got as u64;
                }
                Err(error) => errors.push(error),
            }
            match file.read_raw_at(stream, at, &mut buffer) {
                Ok(got) => bytes += got as u64,
                Err(error) => errors.push(error),
            }
        }
    }
    if file.is_directory() {
        let mut names = Vec::new();
        let shown =
            volume.read_directory(file, &mut |error| errors.push(error), &mut |entry| names.push(entry.name));
        errors.extend(shown.err());
        for name in names.iter().step_by(1 + names.len() / 20) {
            errors.extend(volume.lookup_in(file, name.name.units()).err());
        }
    }
    bytes
}
