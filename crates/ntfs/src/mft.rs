//! `$MFT`, the file of all records: how it is found, and how one record is read.

use crate::attribute::{Attribute, AttributeType, Form, NonResident};
use crate::attribute_list;
use crate::device::Device;
use crate::error::{Error, Problem, Result};
use crate::fixup;
use crate::record::{FileReference, MAGIC, Record};
use crate::runs::Runs;
use crate::volume::Remark;

/// Where all records are.
#[derive(Debug)]
pub(crate) struct Mft {
    pub(crate) runs: Runs,
    /// How many records have ever been made.
    pub(crate) records: u64,
    pub(crate) record_size: usize,
}

impl Mft {
    /// Finds `$MFT` by its own record, which tells where all its pieces are.
    pub(crate) fn open(device: &Device, salvage: bool, remarks: &mut Vec<Remark>) -> Result<Self> {
        let geometry = &device.geometry;
        let mut bytes = vec![0; geometry.record_size as usize];
        let first = Self::first_record(device, geometry.mft_lcn, &mut bytes, salvage)
            .and_then(|()| Self::first_piece(device, &bytes));
        let (runs, size) = match first {
            Ok(piece) => piece,
            Err(error) => {
                let mirror = Self::first_record(device, geometry.mirror_lcn, &mut bytes, false)
                    .and_then(|()| Self::first_piece(device, &bytes));
                // The fault of the record itself says more than that of a mirror which is not there.
                let piece = mirror.map_err(|_| error.clone())?;
                remarks.push(Remark::Mirror(error));
                piece
            }
        };
        let record_size = bytes.len();
        let mut mft = Self { runs, records: 0, record_size };
        mft.set_records(device, size);
        let rest = mft.further_pieces(device, &bytes, salvage, size);
        mft.set_records(device, size);
        let covered = mft.runs.end() << device.cluster_shift;
        let rest = rest.and_then(|()| match size.checked_sub(covered) {
            None | Some(0) => Ok(()),
            Some(_) => Err(missing(mft.runs.end())),
        });
        match rest {
            Err(error) if salvage => remarks.push(Remark::MftIncomplete(error)),
            Err(error) => return Err(error.in_record(0)),
            Ok(()) => {}
        }
        // Else a small image could give more work than any volume has.
        if mft.runs.allocated() > geometry.clusters {
            let (found, limit) = (mft.runs.allocated(), geometry.clusters);
            return Err(Error::limit("$MFT", "its number of clusters", found, limit).in_record(0));
        }
        if mft.records == 0 {
            return Err(
                Error::value("MFT record", 0, "size of $MFT", size, "at least one record").in_record(0)
            );
        }
        Ok(mft)
    }

    /// As many records as are there: those that `$MFT` counts, as far as it is known where they are.
    fn set_records(&mut self, device: &Device, size: u64) {
        let covered = self.runs.end() << device.cluster_shift;
        self.records = (size.min(covered) / self.record_size as u64).min(1 << 32);
    }

    fn first_record(device: &Device, lcn: u64, bytes: &mut [u8], salvage: bool) -> Result<()> {
        device.read_exact(device.geometry.offset_of(lcn), bytes).map_err(|error| error.in_record(0))?;
        fix(bytes, salvage).map(drop).map_err(|error| error.in_record(0))
    }

    /// The runs that record 0 itself holds, and how many bytes of records there are.
    fn first_piece(device: &Device, bytes: &[u8]) -> Result<(Runs, u64)> {
        let piece = || {
            let record = Record::parse(bytes)?;
            let data = find(&record, 0).ok_or_else(|| Error::not_found("MFT record", "$DATA"))?;
            let Form::NonResident(data) = data.form else {
                return Err(Error::not_found("MFT record", "non-resident $DATA"));
            };
            let mut runs = Runs::default();
            decode(&mut runs, &data, device)?;
            let first = runs.iter().next().and_then(|run| run.lcn);
            if first != Some(device.geometry.mft_lcn) {
                let expected = "the cluster that the boot sector names";
                let at = data.runs_offset as u64;
                return Err(Error::value(
                    "run list",
                    at,
                    "first cluster of $MFT",
                    first.unwrap_or(0),
                    expected,
                ));
            }
            // Records past the valid data length were never written.
            Ok((runs, data.size.min(data.vdl)))
        };
        piece().map_err(|error| error.in_record(0))
    }

    /// The runs in extension records. Each of these must lie in what is known already.
    fn further_pieces(&mut self, device: &Device, base: &[u8], salvage: bool, size: u64) -> Result<()> {
        let record = Record::parse(base)?;
        let list =
            record.attributes().flatten().find(|attribute| attribute.kind == AttributeType::ATTRIBUTE_LIST);
        let Some(list) = list else { return Ok(()) };
        let mut buffer = Vec::new();
        let list = match &list.form {
            Form::Resident { value, .. } => *value,
            Form::NonResident(piece) => {
                check_list_size(piece.size)?;
                let mut runs = Runs::default();
                decode(&mut runs, piece, device)?;
                buffer.resize(piece.size as usize, 0);
                device.read_runs_exact(&runs, 0, &mut buffer)?;
                &buffer
            }
        };
        let this = FileReference::new(0, record.sequence);
        let mut bytes = vec![0; self.record_size];
        let mut pieces = Vec::new();
        for entry in attribute_list::Entries::new(list) {
            let entry = entry?;
            if entry.kind == AttributeType::DATA && entry.name.is_empty() && entry.lowest > 0 {
                pieces.push(entry);
            }
        }
        pieces.sort_by_key(|entry| entry.lowest);
        pieces.dedup_by_key(|entry| entry.lowest);
        for entry in pieces {
            if entry.lowest != self.runs.end() {
                return Err(missing(self.runs.end()));
            }
            self.read(device, entry.record.record(), &mut bytes, salvage)?;
            let piece = Record::parse(&bytes)?;
            check_extension(&piece, entry.record, this)?;
            match find(&piece, entry.lowest).map(|data| data.form) {
                Some(Form::NonResident(data)) => decode(&mut self.runs, &data, device)?,
                _ => return Err(missing(entry.lowest).in_record(entry.record.record())),
            }
            self.set_records(device, size);
        }
        Ok(())
    }

    /// Reads a record and puts back its fixups; the first ones are taken from `$MFTMirr` where they are damaged.
    ///
    /// `true` when it was torn and is there only because of `salvage`.
    pub(crate) fn read(&self, device: &Device, number: u64, bytes: &mut [u8], salvage: bool) -> Result<bool> {
        if number >= self.records {
            return Err(Error::not_found("$MFT", "such record").in_record(number));
        }
        let offset = number * self.record_size as u64;
        let read = device.read_runs_exact(&self.runs, offset, bytes).and_then(|()| fix(bytes, false));
        let Err(error) = read else { return Ok(false) };
        let geometry = &device.geometry;
        if number < geometry.mirrored_records() {
            let at = geometry.offset_of(geometry.mirror_lcn).saturating_add(offset);
            if device.read_exact(at, bytes).and_then(|()| fix(bytes, false)).is_ok() {
                return Ok(false);
            }
        }
        if salvage && matches!(error.problem, Problem::Torn { .. }) {
            device.read_runs_exact(&self.runs, offset, bytes)?;
            return fix(bytes, true);
        }
        Err(error.in_record(number))
    }
}

/// Puts back the fixups of a record.
pub(crate) fn fix(bytes: &mut [u8], salvage: bool) -> Result<bool> {
    match bytes.first_chunk() {
        Some(&MAGIC) => fixup::apply("MFT record", bytes, salvage),
        Some(b"BAAD") => Err(Error::new("MFT record", 0, Problem::Torn { at: 0 })),
        Some([0, 0, 0, 0]) => Err(Error::not_found("MFT record", "file in it: it was never used")),
        magic => {
            let found = magic.map_or(0, |magic| u32::from_be_bytes(*magic));
            Err(Error::value("MFT record", 0, "magic number", found.into(), "FILE"))
        }
    }
}

/// Checks that `record`, which was found by `reference`, is an extension record of the file `base`.
pub(crate) fn check_extension(
    record: &Record<'_>,
    reference: FileReference,
    base: FileReference,
) -> Result<()> {
    let number = reference.record();
    if !record.in_use() || record.sequence != reference.sequence() {
        let problem = Problem::Stale { found: record.sequence, expected: reference.sequence() };
        return Err(Error::new("extension record", 0, problem).in_record(number));
    }
    if record.base != base {
        let expected = "that of the file whose attribute list names it";
        return Err(
            Error::value("extension record", 32, "base record", record.base.0, expected).in_record(number)
        );
    }
    Ok(())
}

pub(crate) fn check_list_size(size: u64) -> Result<()> {
    if size <= attribute_list::MAX_SIZE {
        return Ok(());
    }
    Err(Error::limit("attribute list", "its number of bytes", size, attribute_list::MAX_SIZE))
}

/// The piece of the unnamed `$DATA` that begins at this VCN.
fn find<'r>(record: &Record<'r>, lowest: u64) -> Option<Attribute<'r>> {
    let is_it = |attribute: &Attribute<'_>| attribute.is(AttributeType::DATA) && attribute.lowest() == lowest;
    record.attributes().flatten().find(is_it)
}

fn decode(runs: &mut Runs, piece: &NonResident<'_>, device: &Device) -> Result<()> {
    let decoded = runs.decode(piece.runs, piece.clusters, &device.limits(false));
    decoded.map_err(|error| error.at(piece.runs_offset as u64))
}

fn missing(vcn: u64) -> Error {
    Error::value(
        "run list",
        0,
        "first VCN of $MFT without a cluster",
        vcn,
        "none: salvage mode reads the rest",
    )
}
