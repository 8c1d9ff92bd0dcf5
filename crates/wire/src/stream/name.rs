//! Names of alternate data streams.
//!
//! On the wire a name is `:name:$DATA`; NTFS needs the first colon and adds `:$DATA` where it is missing
//! (\[MS-BKUP\] 3 and note <2>). The name itself has at most 255 UTF-16 units, any but `\`, `/`, `:` and NUL; control
//! characters are legal, unlike in file names (\[MS-FSCC\] 2.1.5.3).

use std::fmt;

use crate::error::{Error, Format, Result};
use crate::name::Name;

/// The name of an alternate data stream, without colons and type; it is always one that NTFS would take.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Name);

const COLON: u16 = b':' as u16;
const DATA_TYPE: &[u8; 5] = b"$DATA";

impl StreamName {
    /// The most UTF-16 units that a stream name has.
    pub const MAX_UNITS: usize = 255;

    /// Checks a bare name (`stream1`).
    ///
    /// # Errors
    /// An empty name, one over 255 units, or one with `\`, `/`, `:` or NUL (Win32 error 123).
    pub fn new(name: Name) -> Result<Self> {
        let fault = |at: usize, why| Err(Error::name(Format::StreamName, at as u64 * 2, "stream name", why));
        if name.is_empty() {
            return fault(0, "it is empty");
        }
        if name.units().len() > Self::MAX_UNITS {
            return fault(Self::MAX_UNITS, "it has more than 255 UTF-16 units");
        }
        let illegal = |unit: &u16| [0, b'\\'.into(), b'/'.into(), COLON].contains(unit);
        match name.units().iter().position(illegal) {
            Some(at) => fault(at, "it has one of \\ / : NUL"),
            None => Ok(Self(name)),
        }
    }

    /// Reads the name of an ALTERNATE_DATA stream: `:stream1:$DATA` or `:stream1`, the type in any case.
    ///
    /// # Errors
    /// No leading colon, an empty name, another type than `$DATA`, or a bare name that is not legal (Win32 error 123).
    pub fn from_wire(wire: &Name) -> Result<Self> {
        let fault = |at: usize, why| Err(Error::name(Format::StreamName, at as u64 * 2, "stream name", why));
        let Some((&COLON, rest)) = wire.units().split_first() else {
            return fault(0, "it does not begin with a colon");
        };
        let bare = match rest.iter().position(|unit| *unit == COLON) {
            None => rest,
            Some(at) => {
                let (bare, kind) = rest.split_at(at);
                let is_data = kind.len() == DATA_TYPE.len() + 1
                    && kind.iter().skip(1).zip(DATA_TYPE).all(|(unit, letter)| {
                        u8::try_from(*unit).is_ok_and(|unit| unit.eq_ignore_ascii_case(letter))
                    });
                if !is_data {
                    return fault(at + 1, "its type is not $DATA");
                }
                bare
            }
        };
        Self::new(Name::from_units(bare.to_vec())).map_err(|error| error.at(2))
    }

    /// The name as it stands in a stream: `:stream1:$DATA`.
    #[must_use]
    pub fn to_wire(&self) -> Name {
        let mut units = Vec::with_capacity(self.0.units().len() + 7);
        units.push(COLON);
        units.extend_from_slice(self.0.units());
        units.push(COLON);
        units.extend(DATA_TYPE.iter().map(|letter| u16::from(*letter)));
        Name::from_units(units)
    }

    /// The bare name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::win32::Win32Error;

    fn wire(text: &str) -> Result<StreamName> {
        StreamName::from_wire(&Name::from(text))
    }

    #[test]
    fn bs_14_names_that_no_stream_has() {
        let long = format!(":{}", "x".repeat(256));
        for bad in [
            "",
            "a",
            ":",
            "::$DATA",
            ":a\0:$DATA",
            ":a\\b",
            ":a/b",
            ":x:$INDEX_ALLOCATION",
            ":a:b:$DATA",
            ":a:",
            &long,
        ] {
            assert_eq!(wire(bad).unwrap_err().win32(), Win32Error::INVALID_NAME, "{bad:?}");
        }
    }

    #[test]
    fn bs_15_the_type_may_be_left_out() {
        assert_eq!(wire(":a"), wire(":a:$DATA"));
        assert_eq!(wire(":a:$data"), wire(":a:$DATA"));
        assert_eq!(wire(":stream1:$DATA").unwrap().to_wire(), Name::from(":stream1:$DATA"));
    }

    #[test]
    fn bs_16_control_characters_and_unpaired_surrogates_are_legal() {
        let name = Name::from_units(vec![1, 0xD800, b'z'.into()]);
        let stream = StreamName::new(name.clone()).unwrap();
        assert_eq!(StreamName::from_wire(&stream.to_wire()).unwrap().name(), &name);
    }
}
