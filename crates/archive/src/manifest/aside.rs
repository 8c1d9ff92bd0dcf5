//! Entries that are written aside: hashed and complete, before it is known where in the archive they come.

use std::io;

use super::write::Lines;
use crate::remark::Remark;
use crate::tar::Span;

/// Such entries, as long as others come.
#[derive(Default)]
pub(crate) struct Aside {
    /// Where in the buffer the current entry begins.
    from: usize,
    entered: Entered,
}

/// Entries one behind the other, and what was told of them.
#[derive(Default)]
pub(crate) struct Entered {
    entries: Vec<Entry>,
    /// Their paths and streams, one behind the other.
    names: Vec<u8>,
    remarks: Vec<Remark>,
}

struct Entry {
    size: u64,
    hash: [u8; 32],
    path: usize,
    stream: Option<usize>,
}

impl Aside {
    /// An entry ends with the buffer.
    pub(super) fn entry(&mut self, buffer: &[u8], path: &[u8], stream: Option<&[u8]>) {
        let Entered { entries, names, .. } = &mut self.entered;
        names.extend_from_slice(path);
        names.extend_from_slice(stream.unwrap_or_default());
        let entry = buffer.get(self.from..).unwrap_or_default();
        self.from = buffer.len();
        let (size, hash) = (entry.len() as u64, *blake3::hash(entry).as_bytes());
        entries.push(Entry { size, hash, path: path.len(), stream: stream.map(<[u8]>::len) });
    }

    pub(super) fn remark(&mut self, remark: &Remark) {
        self.entered.remarks.push(remark.clone());
    }

    pub(super) fn into_entered(self) -> Entered {
        self.entered
    }
}

impl Entered {
    /// Enters them; the first one begins at this byte of the archive.
    pub(super) fn enter(&self, mut offset: u64, lines: &mut Lines) -> io::Result<()> {
        let mut names = self.names.as_slice();
        for Entry { size, hash, path, stream } in &self.entries {
            let path = names.split_off(..*path).unwrap_or_default();
            let stream = stream.map(|len| names.split_off(..len).unwrap_or_default());
            lines.entry(path, stream, &Span { offset, size: *size, hash: *hash })?;
            offset += size;
        }
        self.remarks.iter().try_for_each(|remark| lines.remark(remark))
    }
}
