//! Symbolic links and mount points: their names in a reparse buffer, and buffers for names.
//!
//! | offset in the data | size | field |
//! | --- | --- | --- |
//! | 0 | 2 | SubstituteNameOffset, from PathBuffer |
//! | 2 | 2 | SubstituteNameLength, without a NUL |
//! | 4 | 2 | PrintNameOffset, from PathBuffer |
//! | 6 | 2 | PrintNameLength, without a NUL |
//! | 8 | 4 | Flags, in symbolic links only |
//! | 8 or 12 | | PathBuffer: both names in UTF-16LE, in any order |
//!
//! All in bytes. Source: \[MS-FSCC\] 2.1.2.4 and 2.1.2.5. The buffers built here are those of go-winio:
//! substitute name, NUL, print name, NUL.

use super::tag::ReparseTag;
use super::target::SYMLINK_FLAG_RELATIVE;
use super::{build, too_large};
use crate::bytes;
use crate::error::{Error, Format, Result};
use crate::name::Name;

/// What the object manager puts before a DOS device, as in `\??\C:\dir`.
const NT_PREFIX: &str = r"\??\";

/// The substitute and the print name in the data of a link whose PathBuffer begins at `path_buffer`.
///
/// Offsets of errors count from the start of `data`.
pub(super) fn decode_names(data: &[u8], path_buffer: usize) -> Result<[Name; 2]> {
    let cut = || {
        let (needed, available) = (path_buffer as u64, data.len() as u64);
        Error::truncated(Format::Reparse, 0, "link fields", needed, available)
    };
    let paths = data.get(path_buffer..).ok_or_else(cut)?;
    let name = |field: usize, what| {
        let offset = usize::from(bytes::u16_at(data, field).ok_or_else(cut)?);
        let len = usize::from(bytes::u16_at(data, field + 2).ok_or_else(cut)?);
        let wrong = |expected| Error::value(Format::Reparse, field as u64, what, offset as u64, expected);
        if !offset.is_multiple_of(2) {
            return Err(wrong("a multiple of 2"));
        }
        let bytes = bytes::slice_at(paths, offset, len).ok_or_else(|| wrong("a name inside of the data"))?;
        Name::from_utf16_le(bytes).ok_or_else(|| wrong("a name of an even number of bytes"))
    };
    Ok([name(0, "SubstituteNameOffset")?, name(4, "PrintNameOffset")?])
}

/// Whether a mount point with this substitute name mounts a volume: `\??\Volume{…}\`.
pub(super) fn is_volume(substitute: &Name) -> bool {
    strip_prefix(substitute.units(), r"\??\Volume{").is_some()
}

/// The reparse buffer of a symbolic link.
///
/// `substitute` is what Windows follows: relative to the directory of the link, or an absolute name such as
/// `\??\C:\dir`. `print` is what people see.
///
/// # Errors
/// An empty substitute name, a name with a NUL, or more than [`MAX_SIZE`](super::MAX_SIZE) bytes in all.
pub fn build_symlink(substitute: &Name, print: &Name, relative: bool) -> Result<Vec<u8>> {
    let flags = if relative { SYMLINK_FLAG_RELATIVE } else { 0 };
    build_link(ReparseTag::SYMLINK, substitute, print, &flags.to_le_bytes())
}

/// The reparse buffer of a junction or a mounted volume.
///
/// `substitute` is what Windows follows, an absolute name such as `\??\C:\dir` or `\??\Volume{…}\`.
///
/// # Errors
/// As [`build_symlink`].
pub fn build_mount_point(substitute: &Name, print: &Name) -> Result<Vec<u8>> {
    build_link(ReparseTag::MOUNT_POINT, substitute, print, &[])
}

/// The reparse buffer of a symbolic link of the Windows Subsystem for Linux: version 2, then `target` as Linux has it.
///
/// # Errors
/// An empty target, one with a NUL, or more than [`MAX_SIZE`](super::MAX_SIZE) bytes in all.
pub fn build_lx_symlink(target: &[u8]) -> Result<Vec<u8>> {
    if target.is_empty() {
        return Err(name_fault("it is empty"));
    }
    if target.contains(&0) {
        return Err(name_fault("it has a NUL"));
    }
    build(ReparseTag::LX_SYMLINK, None, &[&2_u32.to_le_bytes(), target].concat())
}

/// The substitute name for a name that people see, and whether it is relative; as go-winio makes it for a link in a
/// tar.
///
/// | print name | substitute name | relative |
/// | --- | --- | --- |
/// | `\\?\X` | `\??\X` | no |
/// | `\\server\share` | `\??\UNC\server\share` | no |
/// | `C:` and more, any letter | `\??\C:` and more | no |
/// | anything else | the same | yes |
#[must_use]
pub fn substitute_from_print_name(print: &Name) -> (Name, bool) {
    let units = print.units();
    let prefixed = |prefix: &str, rest: &[u16]| {
        let units = prefix.encode_utf16().chain(rest.iter().copied()).collect();
        (Name::from_units(units), false)
    };
    if let Some(rest) = strip_prefix(units, r"\\?\") {
        return prefixed(NT_PREFIX, rest);
    }
    if let Some(rest) = strip_prefix(units, r"\\") {
        return prefixed(r"\??\UNC\", rest);
    }
    match units {
        [drive, colon, ..] if is_letter(*drive) && *colon == u16::from(b':') => prefixed(NT_PREFIX, units),
        _ => (print.clone(), true),
    }
}

/// The reparse buffer of the symbolic link that people see as `print` ([`substitute_from_print_name`]).
///
/// # Errors
/// As [`build_symlink`].
pub fn symlink_from_print_name(print: &Name) -> Result<Vec<u8>> {
    let (substitute, relative) = substitute_from_print_name(print);
    build_symlink(&substitute, print, relative)
}

/// The reparse buffer of the junction or mounted volume that people see as `print` ([`substitute_from_print_name`]).
///
/// # Errors
/// As [`build_symlink`].
pub fn mount_point_from_print_name(print: &Name) -> Result<Vec<u8>> {
    build_mount_point(&substitute_from_print_name(print).0, print)
}

fn build_link(tag: ReparseTag, substitute: &Name, print: &Name, flags: &[u8]) -> Result<Vec<u8>> {
    if substitute.is_empty() {
        return Err(name_fault("it is empty"));
    }
    if [substitute, print].iter().any(|name| name.units().contains(&0)) {
        return Err(name_fault("it has a NUL"));
    }
    let (substitute, print) = (substitute.to_utf16_le(), print.to_utf16_le());
    let field = |len: usize| u16::try_from(len).map_err(|_| too_large(len));
    let fields = [0, field(substitute.len())?, field(substitute.len() + 2)?, field(print.len())?];
    let fields: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
    build(tag, None, &[&fields[..], flags, &substitute, &[0, 0], &print, &[0, 0]].concat())
}

fn name_fault(why: &'static str) -> Error {
    Error::name(Format::Reparse, 0, "link target", why)
}

/// What follows `prefix` in `units`, when they begin with it.
fn strip_prefix<'a>(units: &'a [u16], prefix: &str) -> Option<&'a [u16]> {
    let prefix: Vec<u16> = prefix.encode_utf16().collect();
    units.strip_prefix(prefix.as_slice())
}

fn is_letter(unit: u16) -> bool {
    u8::try_from(unit).is_ok_and(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ReparseBuffer, Target};
    use super::*;

    fn described(bytes: &[u8]) -> String {
        ReparseBuffer::parse(bytes).unwrap().describe()
    }

    #[test]
    fn a_symlink_has_the_bytes_of_go_winio() {
        let bytes = symlink_from_print_name(&Name::from(r"..\x")).unwrap();
        let expected = b"\x0C\0\0\xA0\x20\0\0\0\0\0\x08\0\x0A\0\x08\0\x01\0\0\0\
            .\0.\0\\\0x\0\0\0.\0.\0\\\0x\0\0\0";
        assert_eq!(bytes, expected);
        assert_eq!(described(&bytes), r"symlink to ..\x (relative)");
    }

    #[test]
    fn print_names_become_substitute_names() {
        for (print, substitute, relative) in [
            (r"\\?\C:\long", r"\??\C:\long", false),
            (r"\\?\Volume{1}\", r"\??\Volume{1}\", false),
            (r"\\server\share\x", r"\??\UNC\server\share\x", false),
            (r"c:\dir", r"\??\c:\dir", false),
            ("Z:", r"\??\Z:", false),
            (r"dir\x", r"dir\x", true),
            (r"\dir", r"\dir", true),
            ("1:x", "1:x", true),
            ("", "", true),
        ] {
            assert_eq!(substitute_from_print_name(&print.into()), (substitute.into(), relative), "{print}");
        }
        let absolute = symlink_from_print_name(&Name::from(r"C:\x")).unwrap();
        assert_eq!(described(&absolute), r"symlink to \??\C:\x, shown as C:\x");
        let junction = mount_point_from_print_name(&Name::from(r"C:\x")).unwrap();
        assert_eq!(described(&junction), r"junction to \??\C:\x, shown as C:\x");
        let volume = mount_point_from_print_name(&Name::from(r"\\?\Volume{1}\")).unwrap();
        assert_eq!(described(&volume), r"mount point of \??\Volume{1}\, shown as \\?\Volume{1}\");
    }

    #[test]
    fn names_may_lie_in_any_order() {
        // The print name first, no NULs, as CreateSymbolicLink writes it.
        let data = b"\x02\0\x04\0\0\0\x02\0\0\0\0\0p\0s\0t\0";
        let bytes = build(ReparseTag::SYMLINK, None, data).unwrap();
        let expected =
            Target::Symlink { substitute: "st".into(), print: "p".into(), relative: false, flags: 0 };
        assert_eq!(ReparseBuffer::parse(&bytes).unwrap().target(), Ok(expected));
    }

    #[test]
    fn bs_54_names_outside_of_the_data_are_4392() {
        let good = b"\0\0\x04\0\x04\0\x02\0s\0t\0p\0".to_vec();
        assert!(decode_names(&good, 8).is_ok());
        // Offsets and lengths too large, odd, and together beyond 16 bits.
        for (at, byte) in [(0, 4), (0, 1), (1, 0xFF), (2, 7), (3, 0xFF), (4, 6), (6, 1), (7, 0x10)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(decode_names(&bad, 8).unwrap_err().win32().0, 4392, "{at} {byte}");
        }
        for len in 0..good.len() {
            assert!(decode_names(&good[..len], 8).is_err(), "{len}");
        }
        assert!(decode_names(&good[..10], 12).is_err());
    }

    #[test]
    fn names_that_cannot_be_links_are_errors() {
        let name = Name::from("x");
        assert!(build_symlink(&Name::default(), &name, true).is_err());
        assert!(build_symlink(&name, &Name::from("a\0b"), true).is_err());
        assert!(build_symlink(&name, &Name::default(), true).is_ok());
        for units in [8200, 40_000] {
            let long = Name::from_units(vec![65; units]);
            assert_eq!(build_symlink(&long, &name, true).unwrap_err().win32().0, 4392);
            assert_eq!(build_mount_point(&name, &long).unwrap_err().win32().0, 4392);
        }
        for bad in [&b""[..], b"a\0", &[b'a'; 16_373]] {
            assert!(build_lx_symlink(bad).is_err());
        }
        assert_eq!(build_lx_symlink(&[b'a'; 16_372]).unwrap().len(), 16_384);
    }

    proptest! {
        #[test]
        fn links_round_trip(
            substitute in prop::collection::vec(1..=u16::MAX, 1..100),
            print in prop::collection::vec(1..=u16::MAX, 0..100),
            relative: bool,
        ) {
            let (substitute, print) = (Name::from_units(substitute), Name::from_units(print));
            let bytes = build_symlink(&substitute, &print, relative)?;
            let flags = u32::from(relative);
            let expected =
                Target::Symlink { substitute: substitute.clone(), print: print.clone(), relative, flags };
            prop_assert_eq!(ReparseBuffer::parse(&bytes)?.target()?, expected);

            let bytes = build_mount_point(&substitute, &print)?;
            prop_assert_eq!(ReparseBuffer::parse(&bytes)?.target()?, Target::MountPoint { substitute, print });
        }

        #[test]
        fn lx_links_round_trip(target in prop::collection::vec(1..=0xFF_u8, 1..200)) {
            let bytes = build_lx_symlink(&target)?;
            prop_assert_eq!(ReparseBuffer::parse(&bytes)?.target()?.linux_target(), Some(target));
        }
    }
}
