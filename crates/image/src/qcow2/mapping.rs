//! Where a cluster is: the entries of L2 tables.
//!
//! | bits | field |
//! | --- | --- |
//! | 62 | 1: compressed |
//! | 0 | 1: reads as zeros (not compressed) |
//! | 9 to 55 | offset of the cluster in the file, 0 for none (not compressed) |
//! | 0 to x-1 | offset in the file (compressed); x = 62 - (cluster bits - 8) |
//! | x to 61 | further sectors of 512 bytes that the data reach into (compressed) |
//!
//! With extended L2 tables, a second word follows: bit n says that part n of 32 has data, bit 32 + n that it is zero.
//!
//! Source: `docs/interop/qcow2.txt` of QEMU.

use std::io;

use super::compressed::Packed;
use super::{Disk, FORMAT, fault};
use crate::error::Error;
use ntbak_wire::bytes::u64_be_at;

const OFFSET: u64 = 0x00FF_FFFF_FFFF_FE00;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// What a run of the disk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// In the file at this offset.
    Data(u64),
    /// Zeros.
    Zero,
    /// A compressed cluster.
    Compressed(Packed),
    /// Not in this image: in the file below, or zeros.
    Absent,
}

impl Extent {
    /// What `other` must be, `len` bytes later, to continue this one.
    fn continued_by(self, other: Self, len: u64) -> bool {
        match (self, other) {
            (Self::Data(here), Self::Data(there)) => here.checked_add(len) == Some(there),
            (Self::Zero, Self::Zero) | (Self::Absent, Self::Absent) => true,
            _ => false,
        }
    }
}

impl Disk {
    /// What lies at `offset`, and for how many bytes (at least one, and about `want` at most) that goes on.
    pub(super) fn map(&self, offset: u64, want: u64) -> io::Result<(Extent, u64)> {
        let bits = self.header.cluster_bits;
        let entry_size = if self.header.extended_l2 { 16 } else { 8 };
        let per_l2 = (1u64 << bits) / entry_size;
        let cluster = offset >> bits;
        let (l1_index, l2_index) = (cluster / per_l2, cluster % per_l2);

        let l1_at = self.header.l1_at + l1_index * 8;
        let l1_entry = self.l1.with(&*self.source, l1_at, |bytes| u64_be_at(bytes, 0))?;
        // The header was checked: the table has an entry for every byte of the disk, and is in the file.
        let l1_entry = l1_entry
            .filter(|_| l1_index < self.header.l1_entries)
            .ok_or_else(|| cut(l1_at, "the L1 table"))?;
        let l2_at = l1_entry & OFFSET;
        if l2_at == 0 {
            let covered = (per_l2 - l2_index) << bits;
            return Ok((Extent::Absent, covered - offset % (1 << bits)));
        }
        if !l2_at.is_multiple_of(1 << bits) {
            return Err(fault(l1_at, "offset of an L2 table", l2_at, "a cluster of the file"));
        }
        let entry_at = l2_at + l2_index * entry_size;
        let left_in_table = (per_l2 - l2_index) * entry_size;
        let mapped = self.l2.with(&*self.source, entry_at, |page| {
            let table = page.get(..page.len().min(left_in_table as usize)).unwrap_or(page);
            match self.header.extended_l2 {
                false => self.clusters_run(table, entry_at, offset, want),
                true => self.parts_run(table, entry_at, offset, want),
            }
        })?;
        mapped.map_err(io::Error::from)
    }

    /// The run at `offset`, by the entries of whole clusters; the first one is that of `offset`.
    fn clusters_run(
        &self,
        table: &[u8],
        entry_at: u64,
        offset: u64,
        want: u64,
    ) -> Result<(Extent, u64), Error> {
        let size = self.header.cluster_size();
        let within = offset % size;
        let entry = u64_be_at(table, 0).ok_or_else(|| cut(entry_at, "an L2 table"))?;
        let first = self.extent(entry, entry_at)?;
        let mut len = size;
        if !matches!(first, Extent::Compressed(_)) {
            for index in 1.. {
                let Some(entry) = u64_be_at(table, index * 8).filter(|_| len - within < want) else { break };
                // A damaged entry is reported when it is asked for.
                let next = self.extent(entry, entry_at);
                if !next.is_ok_and(|next| first.continued_by(next, len)) {
                    break;
                }
                len += size;
            }
        }
        Ok((first.skip(within), len - within))
    }

    /// The run at `offset`, by the 32 parts of one cluster.
    fn parts_run(&self, table: &[u8], entry_at: u64, offset: u64, want: u64) -> Result<(Extent, u64), Error> {
        let cut = || cut(entry_at, "an L2 table");
        let (entry, parts) = (u64_be_at(table, 0).ok_or_else(cut)?, u64_be_at(table, 8).ok_or_else(cut)?);
        let (size, within) = (self.header.cluster_size(), offset % self.header.cluster_size());
        // Here bit 0 is not "zeros": the parts say that. In a compressed cluster's entry it is a part of the offset.
        let entry = if entry & COMPRESSED == 0 { entry & !ZERO } else { entry };
        let whole = self.extent(entry, entry_at)?;
        if matches!(whole, Extent::Compressed(_)) {
            return Ok((whole, size - within));
        }
        let part_size = size / 32;
        let part = |index: u64| match (parts >> index & 1, parts >> (32 + index) & 1, whole) {
            (0, 0, _) => Ok(Extent::Absent),
            (0, _, _) => Ok(Extent::Zero),
            (_, 0, Extent::Data(host)) => Ok(Extent::Data(host + index * part_size)),
            _ => Err(Error::value(
                FORMAT,
                entry_at + 8,
                "parts of a cluster",
                parts,
                "parts with a cluster, zero or not",
            )),
        };
        let index = within / part_size;
        let first = part(index)?;
        let in_part = within % part_size;
        let mut len = part_size;
        for next in index + 1..32 {
            let goes_on = part(next).is_ok_and(|next| first.continued_by(next, len));
            if !goes_on || len - in_part >= want {
                break;
            }
            len += part_size;
        }
        Ok((first.skip(in_part), len - in_part))
    }

    /// What an entry stands for.
    fn extent(&self, entry: u64, entry_at: u64) -> Result<Extent, Error> {
        if entry & COMPRESSED != 0 {
            let x = 62 - (self.header.cluster_bits - 8);
            let at = entry & ((1 << x) - 1);
            let sectors = (entry & (COMPRESSED - 1)) >> x;
            // Below 2^13 sectors of clusters up to 2 MiB.
            return Ok(Extent::Compressed(Packed { at, len: (sectors + 1) * 512 - at % 512 }));
        }
        let host = entry & OFFSET;
        if entry & ZERO != 0 {
            return Ok(Extent::Zero);
        }
        if host == 0 {
            return Ok(Extent::Absent);
        }
        match host.is_multiple_of(self.header.cluster_size()) {
            true => Ok(Extent::Data(host)),
            false => {
                Err(Error::value(FORMAT, entry_at, "offset of a cluster", host, "a cluster of the file"))
            }
        }
    }
}

impl Extent {
    /// The extent without its first bytes.
    fn skip(self, bytes: u64) -> Self {
        match self {
            Self::Data(host) => Self::Data(host + bytes),
            other => other,
        }
    }
}

fn cut(at: u64, what: &'static str) -> Error {
    Error::truncated(FORMAT, at, what, 8, 0)
}
