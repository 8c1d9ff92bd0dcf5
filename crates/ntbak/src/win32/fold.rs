//! Names without regard to case, and names of Linux as Windows' functions show them.

use std::borrow::Cow;

use ntbak_wire::Name;

use crate::memory::StreamKey;

/// Where characters go that Windows has no place for in a name: U+F000 and their byte, as WSL and Cygwin do it.
const PRIVATE: u16 = 0xF000;

/// A name in upper case, unit by unit, as `$UpCase` of a volume has it. A volume that shows its own table uses that.
///
/// What is beyond ASCII does not become ASCII: `ı` and `ſ` are letters of their own on NTFS.
pub(super) fn upper(name: &Name) -> Name {
    let mut units = StreamKey::upper(name).units().to_vec();
    for (upper, unit) in units.iter_mut().zip(name.units()) {
        if *unit >= 0x80 && *upper < 0x80 {
            *upper = *unit;
        }
    }
    Name::from_units(units)
}

/// Whether Windows has no such character in the name of a file (\[MS-FSCC\] 2.1.5).
pub(super) fn is_reserved(unit: u16) -> bool {
    unit < 0x20 || u8::try_from(unit).is_ok_and(|byte| br#""*/:<>?\|"#.contains(&byte))
}

/// Whether a character of a name may stand for one that Windows has no place for.
pub(super) fn is_private(unit: u16) -> bool {
    (PRIVATE..=PRIVATE | 0xFF).contains(&unit)
}

/// The name of a file of Linux as Windows' functions show it. What Windows has no place for, and bytes that are no
/// text, become U+F000 and the byte.
pub(super) fn shown(name: &[u8]) -> Name {
    let mut units = Vec::with_capacity(name.len());
    let mut push = |part: &Name| {
        units.extend(part.units().iter().map(|unit| if is_reserved(*unit) { PRIVATE | unit } else { *unit }));
    };
    match Name::from_wtf8(name) {
        Some(name) => push(&name),
        None => {
            for chunk in name.utf8_chunks() {
                push(&Name::from(chunk.valid()));
                push(&Name::from_units(
                    chunk.invalid().iter().map(|byte| PRIVATE | u16::from(*byte)).collect(),
                ));
            }
        }
    }
    Name::from_units(units)
}

/// A path for messages.
pub(super) fn display(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_is_that_of_ntfs() {
        for (name, expected) in [("aé", "AÉ"), ("ß", "ß"), ("ı", "ı"), ("ſ", "ſ"), ("ÿ", "Ÿ"), ("😀a", "😀A")]
        {
            assert_eq!(upper(&Name::from(name)), Name::from(expected), "{name}");
        }
    }

    #[test]
    fn odd_names_are_shown_and_differ() {
        assert_eq!(shown(b"plain"), Name::from("plain"));
        assert_eq!(shown(b"a:b"), Name::from("a\u{F03A}b"));
        assert_eq!(shown(b"a\\"), Name::from("a\u{F05C}"));
        assert_eq!(shown(b"caf\xE9"), Name::from("caf\u{F0E9}"));
        assert_eq!(shown("\u{e4}\u{1}".as_bytes()), Name::from("\u{e4}\u{F001}"));
        let lone = Name::from_units(vec![0xD800]);
        assert_eq!(shown(&lone.to_wtf8()), lone);
    }
}
