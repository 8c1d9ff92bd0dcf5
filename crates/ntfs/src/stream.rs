//! The value of one attribute, wherever it is stored: in a record, in clusters, compressed, with holes.

use std::ops::Range;

use ntbak_wire::Name;
use ntbak_wire::record::Extent;

use crate::attribute::{Attribute, AttributeFlags, AttributeType, Form};
use crate::compressed;
use crate::device::Device;
use crate::error::{Error, Problem, Result};
use crate::runs::{Limits, Run, Runs};
use ntbak_wire::bytes::{copy_at, utf16_units};

/// The value of one attribute of a file: a data stream, or another one such as `$EA` or `$EFS`.
///
/// It is read through [`File::read_at`](crate::File::read_at).
#[derive(Debug, Clone)]
pub struct Stream {
    kind: AttributeType,
    name: Name,
    flags: AttributeFlags,
    size: u64,
    vdl: u64,
    storage: Storage,
    /// Why it cannot be read from the end of its runs on.
    fault: Option<Error>,
}

#[derive(Debug, Clone)]
enum Storage {
    /// In this one of the file's records, at these bytes.
    Resident {
        record: usize,
        range: Range<usize>,
    },
    Clusters {
        runs: Runs,
        cluster_shift: u32,
        unit_shift: u32,
    },
}

impl Stream {
    /// The type of the attribute; `$DATA` is a data stream.
    #[must_use]
    pub fn kind(&self) -> AttributeType {
        self.kind
    }

    /// The name, empty for the unnamed stream.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How it is stored.
    #[must_use]
    pub fn flags(&self) -> AttributeFlags {
        self.flags
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Valid data length in bytes, at most the size: everything past it reads as zeros, whatever its clusters hold.
    #[must_use]
    pub fn vdl(&self) -> u64 {
        self.vdl
    }

    /// Whether the value is in a record and has no clusters.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        matches!(self.storage, Storage::Resident { .. })
    }

    /// Whether it is stored compressed. The flag decides, and only where there are clusters: the compression unit is
    /// set for plain sparse streams too, and a resident value with the flag is plain.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.flags.intersects(AttributeFlags::COMPRESSION_MASK) && self.unit_shift().is_some()
    }

    /// Whether its clusters hold ciphertext.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.flags.contains(AttributeFlags::ENCRYPTED)
    }

    /// Why it cannot be read to its end, where what the records say of it is damaged. Bytes before the damage can.
    #[must_use]
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// Bytes of clusters that it really has; 0 when it is resident.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        match &self.storage {
            Storage::Resident { .. } => 0,
            Storage::Clusters { runs, cluster_shift, .. } => {
                runs.iter().filter(|run| run.lcn.is_some()).map(|run| run.len << cluster_shift).sum()
            }
        }
    }

    /// Bytes that its runs cover, holes counted, up to the end of the last cluster: what
    /// [`File::read_raw_at`](crate::File::read_raw_at) reads.
    #[must_use]
    pub fn stored_size(&self) -> u64 {
        match &self.storage {
            Storage::Resident { .. } => self.size,
            Storage::Clusters { runs, cluster_shift, .. } => runs.end() << cluster_shift,
        }
    }

    /// The first allocated range that ends after byte `from`, cut to begin at `from` or later and to end with the
    /// stream; `None` when only a hole is left. Ranges do not touch each other.
    ///
    /// In a compressed stream a unit that has any cluster counts whole.
    #[must_use]
    pub fn next_extent(&self, from: u64) -> Option<Extent> {
        if from >= self.size {
            return None;
        }
        let Storage::Clusters { runs, cluster_shift, .. } = &self.storage else {
            return Some(Extent { offset: from, len: self.size - from });
        };
        let unit = self.unit_shift().map_or(0, |shift| (1 << shift) - 1);
        let mut found: Option<Range<u64>> = None;
        for run in runs.from(from >> cluster_shift).filter(|run| run.lcn.is_some()) {
            let (start, end) = (run.vcn & !unit, run.end().saturating_add(unit) & !unit);
            match &mut found {
                Some(range) if start <= range.end => range.end = range.end.max(end),
                Some(_) => break,
                None => found = Some(start..end),
            }
        }
        let range = found?;
        let bytes = |vcn: u64| vcn.saturating_mul(1 << cluster_shift);
        let (start, end) = (bytes(range.start).max(from), bytes(range.end).min(self.size));
        (start < end).then(|| Extent { offset: start, len: end - start })
    }

    /// All allocated ranges, as [`next_extent`](Self::next_extent) gives them.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        std::iter::successors(self.next_extent(0), |last| self.next_extent(last.end()))
    }

    /// The runs of clusters, in the order of the stream: byte of the volume (`None` in a hole) and length in bytes.
    pub fn clusters(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let (runs, shift) = match &self.storage {
            Storage::Resident { .. } => (None, 0),
            Storage::Clusters { runs, cluster_shift, .. } => (Some(runs), *cluster_shift),
        };
        let runs = runs.into_iter().flat_map(Runs::iter);
        runs.map(move |run: Run| (run.lcn.map(|lcn| lcn << shift), run.len << shift))
    }

    /// Whether its content is what its clusters hold, without holes before the valid data length.
    pub(crate) fn is_plain(&self) -> bool {
        let special = AttributeFlags::COMPRESSION_MASK | AttributeFlags::ENCRYPTED;
        if self.vdl == 0 || self.fault.is_some() || self.flags.intersects(special) {
            return false;
        }
        let mut covered = 0_u64;
        self.plain_runs().any(|(_, len)| {
            covered = covered.saturating_add(len);
            covered >= self.vdl
        })
    }

    /// Its runs up to the first hole: byte of the volume and length in bytes.
    pub(crate) fn plain_runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.clusters().map_while(|(at, len)| Some((at?, len)))
    }

    /// The value in the records of its file, when it is resident.
    pub(crate) fn resident<'r>(&self, records: &'r [Box<[u8]>]) -> Option<&'r [u8]> {
        match &self.storage {
            Storage::Resident { record, range } => records.get(*record)?.get(range.clone()),
            Storage::Clusters { .. } => None,
        }
    }

    fn unit_shift(&self) -> Option<u32> {
        match self.storage {
            Storage::Clusters { unit_shift, .. }
                if self.flags.intersects(AttributeFlags::COMPRESSION_MASK) =>
            {
                Some(unit_shift)
            }
            _ => None,
        }
    }

    /// Reads content; 0 only at the end.
    pub(crate) fn read_at(
        &self,
        device: &Device,
        records: &[Box<[u8]>],
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize> {
        let buf = cut(buf, self.size.saturating_sub(offset));
        let (runs, shift) = match &self.storage {
            Storage::Resident { record, range } => {
                let value =
                    records.get(*record).and_then(|record| record.get(range.clone())).unwrap_or_default();
                return Ok(copy_at(value, offset, buf));
            }
            Storage::Clusters { runs, cluster_shift, .. } => (runs, *cluster_shift),
        };
        if buf.is_empty() {
            return Ok(0);
        }
        if self.is_encrypted() {
            let hint = "read its ciphertext with read_raw_at, and its keys with efs";
            return Err(Error::new(
                "stream",
                offset,
                Problem::Unsupported { what: "encrypted content", hint },
            ));
        }
        // Past the end of the runs there is a fault, or the value would not be that large.
        let covered = runs.end() << shift;
        if let Some(fault) = &self.fault
            && offset >= covered
        {
            return Err(fault.clone());
        }
        let known = usize::try_from(covered.saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        let valid = usize::try_from(self.vdl.saturating_sub(offset)).unwrap_or(usize::MAX).min(known);
        let Some((content, rest)) = buf.split_at_mut_checked(valid) else { return Ok(0) };
        let zeros = known - valid;
        let got = match self.unit_shift() {
            _ if valid == 0 => 0,
            Some(unit) => compressed::read(device, runs, unit, self.flags, offset, content)?,
            None => device.read_runs(runs, offset, content)?,
        };
        if got < valid {
            return Ok(got);
        }
        rest.get_mut(..zeros).unwrap_or_default().fill(0);
        Ok(known)
    }

    /// Reads what is stored, as it is: ciphertext, compressed units, what lies past the end; 0 only at its end.
    pub(crate) fn read_raw_at(
        &self,
        device: &Device,
        records: &[Box<[u8]>],
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize> {
        let left = self.stored_size().saturating_sub(offset);
        let buf = cut(buf, left);
        match &self.storage {
            _ if buf.is_empty() => match &self.fault {
                Some(fault) if left == 0 => Err(fault.clone()),
                _ => Ok(0),
            },
            Storage::Resident { record, range } => {
                let value =
                    records.get(*record).and_then(|record| record.get(range.clone())).unwrap_or_default();
                Ok(copy_at(value, offset, buf))
            }
            Storage::Clusters { runs, .. } => device.read_runs(runs, offset, buf),
        }
    }

    /// Puts one attribute together from its pieces, which have one type and name and are in the order of their VCNs:
    /// each with the number of its record. What is wrong goes to `damage`.
    pub(crate) fn assemble<'r>(
        pieces: impl IntoIterator<Item = (usize, Attribute<'r>)>,
        limits: &Limits,
        damage: &mut dyn FnMut(Error),
    ) -> Option<Self> {
        let mut pieces = pieces.into_iter().peekable();
        let (first_record, first) = pieces.peek()?;
        let mut stream = Self {
            kind: first.kind,
            name: Name::from_units(utf16_units(first.name).collect()),
            flags: first.flags,
            size: 0,
            vdl: 0,
            storage: Storage::Resident { record: *first_record, range: 0..0 },
            fault: None,
        };
        match &first.form {
            Form::Resident { range, .. } => {
                (stream.size, stream.vdl) = (range.len() as u64, range.len() as u64);
                stream.storage = Storage::Resident { record: *first_record, range: range.clone() };
                pieces.next();
                if pieces.next().is_some() {
                    damage(Error::value("attribute", 0, "number of attributes of one name", 2, "1"));
                }
            }
            Form::NonResident(head) => {
                (stream.size, stream.vdl) = (head.size, head.vdl.min(head.size));
                if head.lowest == 0 && head.vdl > head.size {
                    damage(Error::value("attribute", 56, "valid data length", head.vdl, "at most the size"));
                }
                // More than any that is: a unit then is the whole stream.
                let unit_shift = u32::from(head.unit_shift).min(32);
                if head.lowest > 0 {
                    (stream.size, stream.vdl) = (0, 0);
                }
                let mut runs = Runs::default();
                let result = pieces.try_for_each(|(_, piece)| Self::append(&mut runs, &piece, limits));
                let covered = runs.end() << limits.cluster_shift;
                let result = result.and_then(|()| {
                    let expected = "at most what its runs have";
                    if stream.size <= covered {
                        return Ok(());
                    }
                    Err(Error::value("attribute", 48, "size", stream.size, expected))
                });
                if let Err(error) = result {
                    damage(error.clone());
                    stream.fault = Some(error);
                }
                stream.storage = Storage::Clusters { runs, cluster_shift: limits.cluster_shift, unit_shift };
            }
        }
        Some(stream)
    }

    fn append(runs: &mut Runs, piece: &Attribute<'_>, limits: &Limits) -> Result<()> {
        let at = piece.offset as u64;
        let Form::NonResident(piece) = &piece.form else {
            return Err(Error::value("attribute", at + 8, "form", 0, "1, as that of its first piece"));
        };
        if piece.lowest != runs.end() {
            let expected = "the VCN behind the piece before it";
            return Err(Error::value("attribute", at + 16, "lowest VCN", piece.lowest, expected));
        }
        let decoded = runs.decode(piece.runs, piece.clusters, limits);
        decoded.map_err(|error| error.at(piece.runs_offset as u64))
    }
}

/// As much of a buffer as there is to be read.
fn cut(buf: &mut [u8], left: u64) -> &mut [u8] {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
    buf.get_mut(..len).unwrap_or_default()
}
