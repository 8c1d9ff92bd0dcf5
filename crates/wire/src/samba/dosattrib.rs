/*!
`user.DOSATTRIB`: attributes and creation time.

A NUL-terminated text (`0x22`, or empty), aligned to 2; then, aligned to 4 inside:

| version | fields behind u16 version, u16 version |
| --- | --- |
| 1 | attributes u32, EA size u32, size u64, allocated u64, creation time, change time |
| 3 | valid u32, then as 1 |
| 4 | valid u32, attributes u32, instance time, creation time |
| 5 | valid u32, attributes u32, creation time |
| 0xFFFF | nothing: the text is all there is |

`valid` says which fields count: 1 attributes, 2 EA size, 4 size, 8 allocated, 0x10 creation time, 0x20 change time, 0x40
instance time. A value without any version has only the text, too. smbd writes version 5 with 0x11.
*/

use crate::attributes::FileAttributes;
use crate::bytes;
use crate::error::{Error, Format, Result};
use crate::filetime::FileTime;

/// The attribute.
pub const NAME: &str = "user.DOSATTRIB";

const ATTRIBUTES: u32 = 0x1;
const CREATION_TIME: u32 = 0x10;

/// What a value of the attribute says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DosAttrib {
    /// Attributes.
    pub attributes: Option<FileAttributes>,
    /// Creation time.
    pub created: Option<FileTime>,
}

impl DosAttrib {
    /// Reads a value of any version.
    ///
    /// # Errors
    /// A value that is cut, a version that is not known, or a text that is no hexadecimal number.
    pub fn parse(value: &[u8]) -> Result<Self> {
        let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
        let (text, rest) = value.split_at(end);
        let begin = (end + 1).next_multiple_of(2);
        if rest.len() <= 1 || value.len() <= begin {
            return Self::from_text(text);
        }
        let cut = || {
            Error::truncated(
                Format::DosAttrib,
                begin as u64,
                "fields",
                20,
                value.len().saturating_sub(begin) as u64,
            )
        };
        let version = bytes::u16_at(value, begin).ok_or_else(cut)?;
        if bytes::u16_at(value, begin + 2).ok_or_else(cut)? != version {
            return Err(Error::value(
                Format::DosAttrib,
                begin as u64,
                "version",
                version.into(),
                "the same number twice",
            ));
        }
        let fields = (begin + 4).next_multiple_of(4);
        let number = |at| bytes::u32_at(value, fields + at).ok_or_else(cut);
        let time =
            |at| bytes::u64_at(value, fields + at).map(|time| FileTime(time.cast_signed())).ok_or_else(cut);
        let (valid, attributes, created) = match version {
            1 => (ATTRIBUTES | CREATION_TIME, number(0)?, time(24)?),
            3 => (number(0)?, number(4)?, time(28)?),
            4 => (number(0)?, number(4)?, time(16)?),
            5 => (number(0)?, number(4)?, time(8)?),
            0xFFFF => return Self::from_text(text),
            _ => {
                return Err(Error::value(
                    Format::DosAttrib,
                    begin as u64,
                    "version",
                    version.into(),
                    "1, 3, 4 or 5",
                ));
            }
        };
        Ok(Self {
            attributes: (valid & ATTRIBUTES != 0).then_some(FileAttributes::from_bits_retain(attributes)),
            // 0 is what a file has whose creation time was never set.
            created: Some(created).filter(|time| valid & CREATION_TIME != 0 && time.0 != 0),
        })
    }

    /// The attributes as text alone.
    fn from_text(text: &[u8]) -> Result<Self> {
        let fault = || Error {
            format: Format::DosAttrib,
            offset: 0,
            problem: crate::error::Problem::Syntax { expected: "a hexadecimal number" },
        };
        if text.is_empty() {
            return Ok(Self::default());
        }
        let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).ok_or_else(fault)?;
        let digits = std::str::from_utf8(digits).map_err(|_| fault())?;
        let bits = u32::from_str_radix(digits, 16).map_err(|_| fault())?;
        Ok(Self { attributes: Some(FileAttributes::from_bits_retain(bits)), created: None })
    }

    /// A value of version 5.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut valid = 0;
        if self.attributes.is_some() {
            valid |= ATTRIBUTES;
        }
        if self.created.is_some() {
            valid |= CREATION_TIME;
        }
        // An empty text, padding, the version twice, padding.
        let mut value = vec![0, 0, 5, 0, 5, 0, 0, 0];
        value.extend_from_slice(&valid.to_le_bytes());
        value.extend_from_slice(&self.attributes.unwrap_or_default().bits().to_le_bytes());
        value.extend_from_slice(&self.created.unwrap_or_default().0.to_le_bytes());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: u64 = 0x01d4_d1bb_1234_5678;

    fn expect(attributes: u32, created: bool) -> DosAttrib {
        DosAttrib {
            attributes: Some(FileAttributes::from_bits_retain(attributes)),
            created: created.then_some(FileTime(TIME as i64)),
        }
    }

    fn words(head: &[u8], words: &[u32], times: &[u64]) -> Vec<u8> {
        let mut value = head.to_vec();
        value.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        value.extend(times.iter().flat_map(|time| time.to_le_bytes()));
        value
    }

    #[test]
    fn bs_67_every_version() {
        // The older versions have the attributes as text, too.
        let v1 = words(b"0x22\0\0\x01\0\x01\0\0\0", &[0x22, 9], &[5, 8, TIME, 77]);
        let v3 = words(b"0x22\0\0\x03\0\x03\0\0\0", &[0x3F, 0x22, 9], &[5, 8, TIME, 77]);
        let v4 = words(&[0, 0, 4, 0, 4, 0, 0, 0], &[0x51, 0x22], &[66, TIME]);
        let v5 = words(&[0, 0, 5, 0, 5, 0, 0, 0], &[0x11, 0x22], &[TIME]);
        assert_eq!((v1.len(), v3.len(), v4.len(), v5.len()), (52, 56, 32, 24));
        for value in [&v1, &v3, &v4, &v5] {
            assert_eq!(DosAttrib::parse(value), Ok(expect(0x22, true)), "{value:x?}");
        }
        assert_eq!(expect(0x22, true).build(), v5);
    }

    #[test]
    fn bs_67_text_alone() {
        for value in [&b"0x22\0"[..], b"0x22", b"0x22\0\0\xFF\xFF\xFF\xFF"] {
            assert_eq!(DosAttrib::parse(value), Ok(expect(0x22, false)), "{value:x?}");
        }
        assert_eq!(DosAttrib::parse(b"\0"), Ok(DosAttrib::default()));
        assert!(DosAttrib::parse(b"22\0").is_err());
        assert!(DosAttrib::parse(b"0xZZ\0").is_err());
    }

    #[test]
    fn fields_that_are_not_valid_do_not_count() {
        let value = words(&[0, 0, 5, 0, 5, 0, 0, 0], &[0x10, 0x22], &[TIME]);
        assert_eq!(DosAttrib::parse(&value).unwrap().attributes, None);
        let value = words(&[0, 0, 5, 0, 5, 0, 0, 0], &[0x1, 0x22], &[TIME]);
        assert_eq!(DosAttrib::parse(&value), Ok(expect(0x22, false)));
    }

    #[test]
    fn every_cut_is_an_error_or_the_text() {
        let value = expect(0x22, true).build();
        for len in 3..value.len() {
            assert!(DosAttrib::parse(&value[..len]).is_err(), "{len}");
        }
    }
}
