//! qcow2: the disk format of QEMU, versions 2 and 3, read only.
//!
//! All integers big-endian. Header:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | `QFI\xFB` |
//! | 4 | 4 | version, 2 or 3 |
//! | 8, 16 | 8, 4 | offset and size of the name of the backing file, 0 for none |
//! | 20 | 4 | log2 of the size of a cluster, 9 to 21 |
//! | 24 | 8 | size of the disk in bytes |
//! | 32 | 4 | encryption: 0 none, 1 AES, 2 LUKS |
//! | 36, 40 | 4, 8 | entries and offset of the L1 table |
//! | 60 | 4 | number of snapshots |
//! | 72 | 8 | incompatible features (version 3) |
//! | 100 | 4 | size of the header (version 3) |
//! | 104 | 1 | compression: 0 deflate, 1 zstd (when the feature bit says so) |
//!
//! After the header come extensions: u32 type, u32 size, data padded to 8 bytes; type 0 ends them.
//!
//! The L1 table has the offsets of the L2 tables (bits 9 to 55, 0: none), each one cluster. Entries of L2 tables are in
//! [`mapping`].
//!
//! Source: `docs/interop/qcow2.txt` of QEMU.

mod compressed;
mod header;
mod mapping;

use std::io;
use std::sync::Arc;

use crate::container::{Opened, read_data};
use crate::error::{Error, Format};
use crate::kind::Kind;
use crate::note::Note;
use crate::pages::Pages;
use crate::read_at::{ReadAt, clamp};

pub(crate) use header::{Backing, Header};
use mapping::Extent;

const FORMAT: Format = Format::Container(Kind::Qcow2);

/// The disk in a qcow2 image.
struct Disk {
    source: Arc<dyn ReadAt>,
    header: Header,
    /// What is read where the image has nothing.
    backing: Option<Arc<dyn ReadAt>>,
    l1: Pages,
    l2: Pages,
    clusters: compressed::Clusters,
}

/// Opens a qcow2 image whose header was read, over its backing file if it has one.
pub(crate) fn open(source: Arc<dyn ReadAt>, header: Header, backing: Option<Arc<dyn ReadAt>>) -> Opened {
    let mut notes = Vec::new();
    if header.dirty {
        notes.push(Note::NotClosed);
    }
    if header.corrupt {
        notes.push(Note::MarkedCorrupt);
    }
    if header.snapshots > 0 {
        notes.push(Note::Snapshots { count: header.snapshots });
    }
    let compression = if header.zstd { ", zstd" } else { "" };
    Opened {
        variant: format!("version {}{compression}", header.version),
        block_size: Some(1 << header.cluster_bits),
        sector_size: None,
        notes,
        disk: Arc::new(Disk {
            clusters: compressed::Clusters::new(1 << header.cluster_bits, header.zstd),
            source,
            header,
            backing,
            // An L1 page has 512 L2 tables, an L2 page 512 clusters: with clusters of 64 KiB, 1024 pages are 32 GiB.
            l1: Pages::new(32),
            l2: Pages::new(1024),
        }),
    }
}

impl ReadAt for Disk {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let len = clamp(offset, buf.len(), self.header.size);
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (extent, run) = self.map(at, (len - done) as u64)?;
            let part = clamp(0, len - done, run);
            let Some(to) = buf.get_mut(done..done + part) else { break };
            match extent {
                Extent::Data(host) => read_data(FORMAT, &*self.source, host, to)?,
                Extent::Zero => to.fill(0),
                Extent::Compressed(packed) => {
                    let within = (at % self.header.cluster_size()) as usize;
                    self.clusters.read(&*self.source, packed, within, to)?;
                }
                Extent::Absent => {
                    let read = match &self.backing {
                        Some(backing) => backing.read_at(at, to)?,
                        None => 0,
                    };
                    // A disk may be larger than the one below it.
                    to.get_mut(read..).unwrap_or_default().fill(0);
                }
            }
            // Every run has at least one byte.
            done += part.max(1);
        }
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.header.size
    }
}

/// A fault of the image at `at`, as readers see it.
fn fault(at: u64, what: &'static str, found: u64, expected: &'static str) -> io::Error {
    Error::value(FORMAT, at, what, found, expected).into()
}
