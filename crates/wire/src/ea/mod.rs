/*!
Extended attributes (EAs): the payload of an EA_DATA stream, and the `$EA` attribute on disk.

One entry, `FILE_FULL_EA_INFORMATION`; all integers little-endian, each entry aligned to 4 bytes:

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | NextEntryOffset: bytes from this entry to the next one |
| 4 | 1 | Flags: 0 or [`NEED_EA`] |
| 5 | 1 | EaNameLength in bytes, without the NUL |
| 6 | 2 | EaValueLength in bytes |
| 8 | EaNameLength + 1 | EaName, 8-bit characters, NUL-terminated |
| | EaValueLength | EaValue |
| | 0..3 | padding to 4 bytes |

The same entries make two lists, which differ in their last NextEntryOffset:

| list | last NextEntryOffset | padding after the last entry | read | write |
| --- | --- | --- | --- | --- |
| *full*: EA_DATA, `NtQueryEaFile`, `NtSetEaFile` | 0 | none needed | [`parse_full`] | [`build_full`] |
| *on disk*: `$EA`, `system.ntfs_ea` of ntfs-3g | the entry's own padded size | yes | [`parse_on_disk`] | [`build_on_disk`] |

Sources: \[MS-FSCC\] 2.4.16 for the entry, \[MS-FSA\] 2.1.5.15.6 for what setting one does; the list on disk as ntfs-3g,
the Linux drivers and Windows volumes have it (Microsoft documents none).
*/

mod apply;
mod build;
mod known;
mod list;

use std::borrow::Cow;

pub use apply::{apply, check_for_set, merge, merge_as_is, validate_for_set};
pub use build::{build_full, build_on_disk, full_to_on_disk, on_disk_to_full};
pub use known::{Known, LxAttributes, describe, known};
pub use list::{EaList, Iter, parse_full, parse_on_disk};

use crate::error::{Error, Format, Result};

/// `FILE_NEED_EA`, the one flag: a program that does not know this EA must not interpret the file.
pub const NEED_EA: u8 = 0x80;

/// The most bytes that the EAs of one file may have, packed ([`packed_len`]): 64 KiB − 5.
///
/// NTFS fails a larger set with `STATUS_EA_TOO_LARGE` (\[MS-FSA\] 2.1.5.15.6). With the 4-byte head that
/// `FILE_EA_INFORMATION` counts it is the largest size that 16 bits hold.
pub const MAX_PACKED: usize = 65536 - 5;

/// The most bytes that `$EA` may have on disk: its limit in `$AttrDef`.
///
/// Padding and NextEntryOffset count here, so two or more EAs can be too large for it within [`MAX_PACKED`].
pub const MAX_ON_DISK: usize = 65536;

/// The most bytes of a name that may be set; a name that is only read may have 255.
pub const MAX_NAME: usize = 254;

/// Bytes of an entry before its name.
const HEADER: usize = 8;

/// One extended attribute.
///
/// Its bytes are kept as they are: whether Windows would take them is a question of [`validate_for_set`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ea<'a> {
    /// 0 or [`NEED_EA`]; other bits are kept.
    pub flags: u8,
    /// The name, without its NUL. NTFS has it in upper case.
    pub name: Cow<'a, [u8]>,
    /// The value. An empty one means "delete" in a list that is set ([`apply`]).
    pub value: Cow<'a, [u8]>,
}

impl<'a> Ea<'a> {
    /// An EA of these parts; nothing is checked.
    pub fn new(flags: u8, name: impl Into<Cow<'a, [u8]>>, value: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { flags, name: name.into(), value: value.into() }
    }

    /// The same EA, independent of the buffer that it was read from.
    #[must_use]
    pub fn into_owned(self) -> Ea<'static> {
        Ea::new(self.flags, self.name.into_owned(), self.value.into_owned())
    }

    /// Whether [`NEED_EA`] is set.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.flags & NEED_EA != 0
    }

    /// Size in bytes of its entry without padding, NextEntryOffset included.
    fn entry_len(&self) -> usize {
        HEADER + self.name.len() + 1 + self.value.len()
    }
}

/// The packed size in bytes of `eas`: each without NextEntryOffset and padding, thus 5 + name + value.
///
/// This is what `$EA_INFORMATION` records and [`MAX_PACKED`] limits; `FILE_EA_INFORMATION` shows it with 4 added
/// (\[MS-FSA\] 2.1.5.12.10).
#[must_use]
pub fn packed_len(eas: &[Ea<'_>]) -> usize {
    eas.iter().map(|ea| ea.entry_len() - 4).sum()
}

/// The size in bytes of `eas` as `$EA` on disk, every entry padded to 4 bytes.
#[must_use]
pub fn on_disk_len(eas: &[Ea<'_>]) -> usize {
    eas.iter().map(|ea| ea.entry_len().next_multiple_of(4)).sum()
}

/// Checks a name by the rules for setting an EA (\[MS-FSCC\] 2.4.16).
///
/// # Errors
/// Not 1 to [`MAX_NAME`] bytes, a byte beyond ASCII, a control character, or one of `\ / : * ? " < > | , + = [ ] ;`.
/// The Win32 error is `ERROR_INVALID_EA_NAME` (254). The offset is that of the byte in the name.
pub fn check_name(name: &[u8]) -> Result<()> {
    let fault = |offset: usize, why| Err(Error::name(Format::EaList, offset as u64, "EA name", why));
    match name.len() {
        0 => return fault(0, "it is empty"),
        1..=MAX_NAME => {}
        _ => return fault(MAX_NAME, "it has more than 254 bytes"),
    }
    for (offset, byte) in name.iter().enumerate() {
        match byte {
            0x00..=0x1F => return fault(offset, "it has a control character"),
            0x80.. => return fault(offset, "it has a byte beyond ASCII"),
            _ if br#"\/:*?"<>|,+=[];"#.contains(byte) => {
                return fault(offset, r#"it has one of \ / : * ? " < > | , + = [ ] ;"#);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks the limit for all EAs of a file together, in packed bytes.
fn check_packed(packed: usize) -> Result<()> {
    if packed <= MAX_PACKED {
        return Ok(());
    }
    Err(Error::value(Format::EaList, 0, "packed size of all EAs", packed as u64, "at most 65531 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::win32::Win32Error;

    #[test]
    fn bs_52_a_bad_name_is_254() {
        for good in [&b"A"[..], b"$LXUID", b"user.x y", b"~!@#$%^&()_-{}'`.", &[b'n'; 254]] {
            assert_eq!(check_name(good), Ok(()), "{}", good.escape_ascii());
        }
        let forbidden = br#"\/:*?"<>|,+=[];"#.iter().copied().chain(0..0x20).chain([0x80, 0xFF]);
        for byte in forbidden {
            let fault = check_name(&[b'a', byte]).unwrap_err();
            assert_eq!((fault.offset, fault.win32()), (1, Win32Error::INVALID_EA_NAME), "{byte:#x}");
        }
        for bad in [&b""[..], &[b'n'; 255]] {
            assert_eq!(check_name(bad).unwrap_err().win32(), Win32Error::INVALID_EA_NAME);
        }
    }

    #[test]
    fn sizes_are_those_of_ntfs() {
        let eas = [Ea::new(0, b"AB", b"value"), Ea::new(NEED_EA, b"C", b"")];
        assert_eq!(packed_len(&eas), (4 + 3 + 5) + (4 + 2));
        assert_eq!(on_disk_len(&eas), 16 + 12);
        assert_eq!([eas[0].is_needed(), eas[1].is_needed()], [false, true]);
    }
}
