//! `$UpCase`: which letters are the same when case does not matter. Each volume has its own table.

use std::cmp::Ordering;

use crate::attribute::AttributeType;
use crate::error::{Error, Result};
use crate::volume::{Volume, system_file};
use ntbak_wire::bytes::utf16_units;

/// One unit for each of 65,536.
const LEN: usize = 65_536;

/// The table of upper-case letters of a volume.
#[derive(Debug)]
pub struct UpCase {
    table: Box<[u16]>,
    fault: Option<Error>,
}

impl UpCase {
    pub(crate) fn load(volume: &Volume) -> Self {
        match Self::read(volume) {
            Ok(table) => Self { table, fault: None },
            Err(error) => Self { table: Self::ordinary(), fault: Some(error) },
        }
    }

    fn read(volume: &Volume) -> Result<Box<[u16]>> {
        let file = volume.file_in_record(system_file::UPCASE)?;
        let stream = file.stream(AttributeType::DATA, &[]);
        let stream =
            stream.ok_or_else(|| Error::not_found("$UpCase", "$DATA").in_record(system_file::UPCASE))?;
        if stream.size() != 2 * LEN as u64 {
            let error = Error::value("$UpCase", 0, "size", stream.size(), "131072 bytes");
            return Err(error.in_record(system_file::UPCASE));
        }
        Ok(utf16_units(&file.read_all(stream, 2 * LEN as u64)?).collect())
    }

    /// What a volume without a table gets: the upper-case letters of Unicode, where one unit has one.
    fn ordinary() -> Box<[u16]> {
        let upper = |unit: u16| {
            let mut upper = char::from_u32(unit.into())?.to_uppercase();
            let first = upper.next().filter(|_| upper.next().is_none())?;
            u16::try_from(u32::from(first)).ok()
        };
        (0..=u16::MAX).map(|unit| upper(unit).unwrap_or(unit)).collect()
    }

    /// Why the table of the volume could not be used, so that the one of Unicode stands in for it.
    #[must_use]
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// A unit in upper case.
    #[must_use]
    pub fn upper(&self, unit: u16) -> u16 {
        self.table.get(usize::from(unit)).copied().unwrap_or(unit)
    }

    /// Compares two names, case aside.
    #[must_use]
    pub fn compare(&self, a: impl IntoIterator<Item = u16>, b: impl IntoIterator<Item = u16>) -> Ordering {
        let a = a.into_iter().map(|unit| self.upper(unit));
        a.cmp(b.into_iter().map(|unit| self.upper(unit)))
    }
}
