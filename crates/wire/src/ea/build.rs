//! Writing lists of EAs, and turning one kind into the other; the layouts are in the [module](super).

use super::{Ea, MAX_ON_DISK, check_packed, on_disk_len, packed_len, parse_full, parse_on_disk};
use crate::error::{Error, Format, Result};

/// The full list of `eas`, in their order: last NextEntryOffset 0, no padding after the last entry.
///
/// No EAs are no bytes. Names and flags are written as they are.
///
/// # Errors
/// A name that is empty, longer than 255 bytes or has a NUL; a value longer than 65535 bytes. The offset is that of the
/// entry in the list.
pub fn build_full(eas: &[Ea<'_>]) -> Result<Vec<u8>> {
    let mut list = Vec::with_capacity(on_disk_len(eas));
    let mut eas = eas.iter().peekable();
    while let Some(ea) = eas.next() {
        let padded = ea.entry_len().next_multiple_of(4);
        if eas.peek().is_some() {
            push(&mut list, ea, padded)?;
            pad(&mut list);
        } else {
            push(&mut list, ea, 0)?;
        }
    }
    Ok(list)
}

/// `eas` as `$EA` has them on disk, in their order: every NextEntryOffset the padded size of its entry.
///
/// # Errors
/// As [`build_full`]; and more than [`MAX_PACKED`](super::MAX_PACKED) or [`MAX_ON_DISK`] bytes in all.
pub fn build_on_disk(eas: &[Ea<'_>]) -> Result<Vec<u8>> {
    check_packed(packed_len(eas))?;
    let len = on_disk_len(eas);
    if len > MAX_ON_DISK {
        return Err(Error::value(Format::EaList, 0, "size of $EA", len as u64, "at most 65536 bytes"));
    }
    let mut list = Vec::with_capacity(len);
    for ea in eas {
        push(&mut list, ea, ea.entry_len().next_multiple_of(4))?;
        pad(&mut list);
    }
    Ok(list)
}

/// A full list as `$EA` has it on disk (and `system.ntfs_ea` of ntfs-3g takes it). Entries, order and case stay;
/// padding becomes zero.
///
/// # Errors
/// As [`parse_full`] and [`build_on_disk`].
pub fn full_to_on_disk(list: &[u8]) -> Result<Vec<u8>> {
    build_on_disk(&parse_full(list)?.to_vec())
}

/// `$EA` (or `system.ntfs_ea` of ntfs-3g) as the full list of an EA_DATA stream. Entries, order and case stay; padding
/// becomes zero.
///
/// # Errors
/// As [`parse_on_disk`].
pub fn on_disk_to_full(list: &[u8]) -> Result<Vec<u8>> {
    build_full(&parse_on_disk(list)?.to_vec())
}

/// Appends the entry of `ea` without padding.
fn push(list: &mut Vec<u8>, ea: &Ea<'_>, next: usize) -> Result<()> {
    let at = list.len() as u64;
    let name_fault = |why| Error::name(Format::EaList, at, "EA name", why);
    let too_large =
        || Error::value(Format::EaList, at, "EaValueLength", ea.value.len() as u64, "at most 65535 bytes");
    let value_len = u16::try_from(ea.value.len()).map_err(|_| too_large())?;
    let name_len = u8::try_from(ea.name.len()).map_err(|_| name_fault("it has more than 255 bytes"))?;
    if name_len == 0 {
        return Err(name_fault("it is empty"));
    }
    if ea.name.contains(&0) {
        return Err(name_fault("it has a NUL"));
    }
    // Both lengths fit, thus an entry has less than 66 KiB.
    list.extend_from_slice(&(next as u32).to_le_bytes());
    list.extend_from_slice(&[ea.flags, name_len]);
    list.extend_from_slice(&value_len.to_le_bytes());
    list.extend_from_slice(&ea.name);
    list.push(0);
    list.extend_from_slice(&ea.value);
    Ok(())
}

fn pad(list: &mut Vec<u8>) {
    list.resize(list.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{MAX_PACKED, NEED_EA};
    use super::*;

    fn any_ea() -> impl Strategy<Value = Ea<'static>> {
        let name = prop::collection::vec(1..=0xFF_u8, 1..=255);
        let value = prop::collection::vec(any::<u8>(), 0..300);
        (any::<u8>(), name, value).prop_map(|(flags, name, value)| Ea::new(flags, name, value))
    }

    #[test]
    fn bs_40_one_lxattrb_has_72_bytes_and_next_0() {
        let eas = [Ea::new(0, b"LXATTRB", vec![7; 56])];
        let full = build_full(&eas).unwrap();
        assert_eq!(full.len(), 0x48);
        assert_eq!(full[..16], *b"\0\0\0\0\0\x07\x38\0LXATTRB\0");

        let disk = [b"\x48\0\0\0", &full[4..]].concat();
        assert_eq!(on_disk_to_full(&disk).unwrap(), full);
    }

    #[test]
    fn bs_71_the_last_next_is_converted_both_ways() {
        let eas = [Ea::new(0, b"ONE", b"1"), Ea::new(NEED_EA, b"TWO", b"22")];
        let full = build_full(&eas).unwrap();
        let disk = build_on_disk(&eas).unwrap();
        assert_eq!(full, b"\x10\0\0\0\0\x03\x01\0ONE\x001\0\0\0\0\0\0\0\x80\x03\x02\0TWO\x0022");
        assert_eq!(disk, b"\x10\0\0\0\0\x03\x01\0ONE\x001\0\0\0\x10\0\0\0\x80\x03\x02\0TWO\x0022\0\0");
        assert_eq!(full_to_on_disk(&full).unwrap(), disk);
        assert_eq!(on_disk_to_full(&disk).unwrap(), full);
        assert!(parse_full(&disk).is_err(), "the last NextEntryOffset of a full list is 0");
        assert_eq!(on_disk_to_full(b"").unwrap(), b"");
        assert_eq!(full_to_on_disk(b"").unwrap(), b"");
    }

    #[test]
    fn bs_52_no_list_on_disk_is_too_large() {
        let fits = Ea::new(0, b"BIG", vec![1; MAX_PACKED - 8]);
        assert_eq!(build_on_disk(std::slice::from_ref(&fits)).unwrap().len(), 65536);
        let beyond = Ea::new(0, b"BIG", vec![1; MAX_PACKED - 7]);
        assert_eq!(build_on_disk(std::slice::from_ref(&beyond)).unwrap_err().win32().0, 255);
        // Many small ones reach the size of the attribute first.
        let small = vec![Ea::new(0, b"A", b"1"); 65536 / 12 + 1];
        assert_eq!(build_on_disk(&small).unwrap_err().win32().0, 255);
        assert!(build_full(&small).is_ok());
    }

    #[test]
    fn what_an_entry_cannot_hold_is_an_error() {
        let entries = [
            (Ea::new(0, b"", b"v"), 254),
            (Ea::new(0, b"a\0b", b"v"), 254),
            (Ea::new(0, vec![b'n'; 256], b"v"), 254),
            (Ea::new(0, b"a", vec![0; 65536]), 255),
        ];
        for (ea, number) in entries {
            assert_eq!(build_full(&[ea]).unwrap_err().win32().0, number);
        }
    }

    proptest! {
        #[test]
        fn lists_round_trip(eas in prop::collection::vec(any_ea(), 0..20)) {
            let full = build_full(&eas)?;
            let disk = build_on_disk(&eas)?;
            prop_assert_eq!(parse_full(&full)?.to_vec(), eas.clone());
            prop_assert_eq!(parse_on_disk(&disk)?.to_vec(), eas.clone());
            prop_assert_eq!(full_to_on_disk(&full)?, disk.clone());
            prop_assert_eq!(on_disk_to_full(&disk)?, full);
            prop_assert_eq!(disk.len(), on_disk_len(&eas));
        }
    }
}
