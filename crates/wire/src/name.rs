//! File and stream names: UTF-16 as NTFS has them, bytes as Linux has them, WTF-8 in between.

use std::fmt;

use crate::bytes;

/// A name in UTF-16 code units, exactly as NTFS stores it: unpaired surrogates and control characters included.
///
/// On Linux such a name is WTF-8: UTF-8 in which an unpaired surrogate is written as its three bytes. Both
/// conversions are exact, so a name survives the way there and back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(Vec<u16>);

impl Name {
    /// A name of these UTF-16 code units.
    #[must_use]
    pub fn from_units(units: Vec<u16>) -> Self {
        Self(units)
    }

    /// A name from UTF-16LE bytes; `None` when their number is odd.
    #[must_use]
    pub fn from_utf16_le(bytes: &[u8]) -> Option<Self> {
        bytes.len().is_multiple_of(2).then(|| Self(bytes::utf16_units(bytes).collect()))
    }

    /// A name from WTF-8; `None` when the bytes are not WTF-8 (a Linux name that NTFS cannot have).
    #[must_use]
    pub fn from_wtf8(bytes: &[u8]) -> Option<Self> {
        let mut units = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            units.extend(chunk.valid().encode_utf16());
            match chunk.invalid() {
                [] => {}
                // `utf8_chunks` splits a three-byte surrogate into an invalid first byte and two more; see below.
                _ => return Self::from_wtf8_with_surrogates(bytes),
            }
        }
        Some(Self(units))
    }

    /// The slow path of [`Name::from_wtf8`]: at least one sequence is not UTF-8.
    fn from_wtf8_with_surrogates(mut bytes: &[u8]) -> Option<Self> {
        let mut units = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() {
            if let Some((&[0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF], rest)) =
                bytes.split_first_chunk()
            {
                let unit = 0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F);
                // Two surrogates that make a pair must have been written as one four-byte character.
                if (0xDC00..=0xDFFF).contains(&unit) && matches!(units.last(), Some(0xD800..=0xDBFF)) {
                    return None;
                }
                units.push(unit);
                bytes = rest;
                continue;
            }
            let len = match bytes.first()? {
                0x00..=0x7F => 1,
                0xC2..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF4 => 4,
                _ => return None,
            };
            let (character, rest) = bytes.split_at_checked(len)?;
            units.extend(std::str::from_utf8(character).ok()?.encode_utf16());
            bytes = rest;
        }
        Some(Self(units))
    }

    /// The UTF-16 code units.
    #[must_use]
    pub fn units(&self) -> &[u16] {
        &self.0
    }

    /// Whether there is no unit at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name as UTF-16LE bytes.
    #[must_use]
    pub fn to_utf16_le(&self) -> Vec<u8> {
        self.0.iter().flat_map(|unit| unit.to_le_bytes()).collect()
    }

    /// The name as WTF-8, the bytes that Linux file systems (ntfs-3g among them) show for it.
    #[must_use]
    pub fn to_wtf8(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len());
        append_wtf8(&self.0, &mut out);
        out
    }

    /// The name as a string, when it has no unpaired surrogate.
    #[must_use]
    pub fn to_utf8(&self) -> Option<String> {
        String::from_utf16(&self.0).ok()
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.encode_utf16().collect())
    }
}

/// For people: control characters and unpaired surrogates are escaped as `\u{…}`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for unit in char::decode_utf16(self.0.iter().copied()) {
            match unit {
                Ok(character) if character.is_control() => write!(f, "{}", character.escape_unicode())?,
                Ok(character) => write!(f, "{character}")?,
                Err(unpaired) => write!(f, "\\u{{{:x}}}", unpaired.unpaired_surrogate())?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Appends UTF-16 code units as WTF-8: UTF-8 that can have unpaired surrogates, too.
pub fn append_wtf8(units: &[u16], out: &mut Vec<u8>) {
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(character) if character.is_ascii() => out.push(character as u8),
            Ok(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(unpaired) => {
                let unit = unpaired.unpaired_surrogate();
                let tail = |bits: u16| 0x80 | (bits & 0x3F) as u8;
                out.extend_from_slice(&[0xE0 | (unit >> 12) as u8, tail(unit >> 6), tail(unit)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn surrogates_take_three_bytes() {
        let name = Name::from_units(vec![u16::from(b'a'), 0xD83D, u16::from(b'b'), 0xDE00]);
        assert_eq!(name.to_wtf8(), b"a\xED\xA0\xBDb\xED\xB8\x80");
        assert_eq!(Name::from_wtf8(&name.to_wtf8()), Some(name.clone()));
        assert_eq!(name.to_utf8(), None);
        assert_eq!(name.to_string(), "a\\u{d83d}b\\u{de00}");
        assert_eq!(Name::from("😀").to_wtf8(), "😀".as_bytes());
    }

    #[test]
    fn bytes_that_are_not_wtf8_have_no_utf16() {
        for bytes in [
            &b"\xFF"[..],
            b"a\xC3",
            b"\xC0\x80",
            b"\xED\xA0",
            b"\xF5\x80\x80\x80",
            b"\xED\xA0\xBD\xED\xB8\x80",
        ] {
            assert_eq!(Name::from_wtf8(bytes), None, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_units_round_trip(units: Vec<u16>) {
            let name = Name::from_units(units);
            prop_assert_eq!(Name::from_wtf8(&name.to_wtf8()), Some(name.clone()));
            prop_assert_eq!(Name::from_utf16_le(&name.to_utf16_le()), Some(name));
        }

        #[test]
        fn any_wtf8_round_trips(bytes: Vec<u8>) {
            if let Some(name) = Name::from_wtf8(&bytes) {
                prop_assert_eq!(name.to_wtf8(), bytes);
            }
        }
    }
}
