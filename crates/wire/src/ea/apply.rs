//! Setting EAs on a file that may have some.
//!
//! | a change with | does |
//! | --- | --- |
//! | a new name and a value | adds it, its name in upper case |
//! | the name of an EA of the file, and a value | replaces flags and value |
//! | an empty value | deletes the EA, if there is one |
//!
//! EAs that no change names stay as they are. Source: \[MS-FSA\] 2.1.5.15.6; the upper case was observed on NTFS.

use std::collections::HashMap;

use super::{Ea, HEADER, NEED_EA, build_full, check_name, check_packed, packed_len, parse_full};
use crate::error::{Error, Format, Result};

/// Checks whether Windows would take `ea` in a list to set.
///
/// # Errors
/// A name that [`check_name`] refuses, or flags other than 0 and [`NEED_EA`]: `ERROR_INVALID_EA_NAME` (254), as
/// \[MS-FSA\] has it for both. A value of more than 65535 bytes: `ERROR_EA_LIST_INCONSISTENT` (255). The offset is that
/// of the field in the entry.
pub fn validate_for_set(ea: &Ea<'_>) -> Result<()> {
    check_name(&ea.name).map_err(|error| error.at(HEADER as u64))?;
    if ea.flags & !NEED_EA != 0 {
        return Err(Error::name(Format::EaList, 4, "EA flags", "there are others than NEED_EA"));
    }
    if ea.value.len() > usize::from(u16::MAX) {
        let found = ea.value.len() as u64;
        return Err(Error::value(Format::EaList, 6, "EaValueLength", found, "at most 65535 bytes"));
    }
    Ok(())
}

/// Checks whether Windows would take the full list `changes` to set, on a file without EAs.
///
/// # Errors
/// As [`parse_full`] and [`apply`]; offsets are those in the list.
pub fn check_for_set(changes: &[u8]) -> Result<()> {
    changes_of(changes).and_then(|changes| apply(&[], &changes)).map(drop)
}

/// The full list of the EAs of a file that has `existing` after `changes` are set, all three full lists ([`apply`]).
/// Without an EA it has no bytes.
///
/// # Errors
/// As [`parse_full`], for either list, and [`apply`].
pub fn merge(existing: &[u8], changes: &[u8]) -> Result<Vec<u8>> {
    build_full(&apply(&parse_full(existing)?.to_vec(), &changes_of(changes)?)?)
}

/// As [`merge`], for a file that did not exist before: names stay as they are spelled, and what Windows would not set is
/// kept, because it may come from a volume that Linux has written to.
///
/// # Errors
/// As [`parse_full`], for either list, and [`build_full`].
pub fn merge_as_is(existing: &[u8], changes: &[u8]) -> Result<Vec<u8>> {
    let mut list = parse_full(existing)?.to_vec();
    for change in parse_full(changes)?.iter() {
        let place = list.iter().position(|ea| ea.name.eq_ignore_ascii_case(&change.name));
        match place.and_then(|place| list.get_mut(place).map(|ea| (place, ea))) {
            Some((place, _)) if change.value.is_empty() => drop(list.remove(place)),
            Some((_, known)) => *known = change,
            None if change.value.is_empty() => {}
            None => list.push(change),
        }
    }
    build_full(&list)
}

/// The entries of a full list to set, checked here so that errors tell where in the list they are.
fn changes_of(list: &[u8]) -> Result<Vec<Ea<'_>>> {
    let mut entries = parse_full(list)?.iter();
    let mut changes = Vec::with_capacity(entries.len());
    let mut at = entries.offset();
    while let Some(change) = entries.next() {
        validate_for_set(&change).map_err(|error| error.at(at as u64))?;
        changes.push(change);
        at = entries.offset();
    }
    Ok(changes)
}

/// The EAs of a file that has `existing` after `changes` are set one after the other. All or nothing: on an error the
/// file keeps `existing`, which is not touched here.
///
/// Names are compared without regard to ASCII case. A replaced EA keeps its place and the spelling of its name; a new
/// one comes last (\[MS-FSA\] gives no order). `existing` is not checked, so names that could not be set survive.
///
/// # Errors
/// A change that [`validate_for_set`] refuses; or, after any of them, more packed bytes than
/// [`MAX_PACKED`](super::MAX_PACKED) (`STATUS_EA_TOO_LARGE`): Win32 error `ERROR_EA_LIST_INCONSISTENT` (255).
pub fn apply<'a>(existing: &[Ea<'a>], changes: &[Ea<'a>]) -> Result<Vec<Ea<'a>>> {
    for change in changes {
        validate_for_set(change)?;
    }

    let mut merged: Vec<Option<Ea<'a>>> = existing.iter().cloned().map(Some).collect();
    let mut places = HashMap::new();
    for (place, ea) in existing.iter().enumerate() {
        // Linux drivers can make two names that differ in case only; a search finds the first.
        places.entry(ea.name.to_ascii_uppercase()).or_insert(place);
    }
    let mut packed = packed_len(existing);

    for change in changes {
        let key = change.name.to_ascii_uppercase();
        let place = places.get(&key).copied();
        let old = place.and_then(|place| merged.get_mut(place)).and_then(Option::take);
        packed -= packed_len(old.as_slice());
        if change.value.is_empty() {
            places.remove(&key);
            continue;
        }

        let name = match old {
            Some(old) => old.name,
            None => key.clone().into(),
        };
        let new = Ea { flags: change.flags, name, value: change.value.clone() };
        packed += packed_len(std::slice::from_ref(&new));
        check_packed(packed)?;
        match place.and_then(|place| merged.get_mut(place)) {
            Some(slot) => *slot = Some(new),
            None => {
                places.insert(key, merged.len());
                merged.push(Some(new));
            }
        }
    }
    Ok(merged.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_PACKED;
    use super::*;

    fn ea(name: &'static str, value: &'static str) -> Ea<'static> {
        Ea::new(0, name.as_bytes(), value.as_bytes())
    }

    #[test]
    fn bs_52_changes_replace_delete_and_add() {
        let existing = [ea("ONE", "1"), ea("TWO", "2"), ea("THREE", "3")];
        let changes =
            [ea("two", "22"), ea("one", ""), ea("gone", ""), Ea::new(NEED_EA, b"new", b"n"), ea("NEW2", "x")];
        let expected = [ea("TWO", "22"), ea("THREE", "3"), Ea::new(NEED_EA, b"NEW", b"n"), ea("NEW2", "x")];
        assert_eq!(apply(&existing, &changes).unwrap(), expected);
        assert_eq!(apply(&existing, &[]).unwrap(), existing);
        // Deleted and set again: a new EA. Set and deleted: none.
        let again = apply(&existing, &[ea("ONE", ""), ea("ONE", "9"), ea("X", "x"), ea("x", "")]).unwrap();
        assert_eq!(again, [ea("TWO", "2"), ea("THREE", "3"), ea("ONE", "9")]);
    }

    #[test]
    fn bs_52_a_new_file_takes_names_as_they_are() {
        let list = |eas: &[Ea<'_>]| build_full(eas).unwrap();
        let first = list(&[ea("user.lower", "1"), ea("A*B", "2"), ea("GONE", "")]);
        let merged = merge_as_is(&[], &first).unwrap();
        assert_eq!(merged, list(&[ea("user.lower", "1"), ea("A*B", "2")]));
        let second = list(&[ea("USER.LOWER", ""), ea("a*b", "22"), ea("C", "3")]);
        assert_eq!(merge_as_is(&merged, &second).unwrap(), list(&[ea("a*b", "22"), ea("C", "3")]));
    }

    #[test]
    fn bs_52_a_bad_change_changes_nothing() {
        let existing = [ea("user.lower", "kept"), Ea::new(0x40, b"a/b", b"kept too")];
        for (bad, number) in [
            (ea("a:b", "v"), 254),
            (ea("a=b", ""), 254),
            (Ea::new(0x81, b"A", b"v"), 254),
            (Ea::new(0, b"A", vec![0; 65536]), 255),
        ] {
            let error = apply(&existing, &[ea("OK", "v"), bad]).unwrap_err();
            assert_eq!(error.win32().0, number);
        }
        assert_eq!(apply(&existing, &[ea("USER.LOWER", "new")]).unwrap()[0], ea("user.lower", "new"));
    }

    #[test]
    fn bs_52_too_large_changes_nothing() {
        let existing = [Ea::new(0, b"OLD", vec![1; 40_000])];
        let fits = Ea::new(0, b"NEW", vec![2; MAX_PACKED - 40_008 - 8]);
        let beyond = Ea::new(0, b"NEW", vec![2; MAX_PACKED - 40_008 - 7]);
        assert_eq!(packed_len(&apply(&existing, &[fits]).unwrap()), MAX_PACKED);
        let delete = ea("OLD", "");
        // The limit holds after every single change, so the order matters.
        let error = apply(&existing, &[beyond.clone(), delete.clone()]).unwrap_err();
        assert_eq!(error.win32().0, 255);
        assert_eq!(apply(&existing, &[delete, beyond.clone()]).unwrap(), [beyond]);
    }

    #[test]
    fn bs_52_lists_are_checked_and_merged_whole() {
        let existing = build_full(&[ea("ONE", "1"), ea("TWO", "2")]).unwrap();
        let changes = build_full(&[ea("one", ""), ea("three", "3")]).unwrap();
        let expected = build_full(&[ea("TWO", "2"), ea("THREE", "3")]).unwrap();
        assert_eq!(merge(&existing, &changes).unwrap(), expected);
        assert_eq!(merge(&existing, b"").unwrap(), existing);
        assert_eq!(merge(b"", &build_full(&[ea("ONE", "")]).unwrap()).unwrap(), b"");

        assert_eq!(check_for_set(&changes), Ok(()));
        let bad = build_full(&[ea("GOOD", "v"), ea("BA/D", "v")]).unwrap();
        let fault = check_for_set(&bad).unwrap_err();
        // The slash: 16 bytes of the first entry, 8 before the name, 2 in it.
        assert_eq!((fault.offset, fault.win32().0), (26, 254));
        assert_eq!(merge(&existing, &bad), Err(fault));
        let large =
            build_full(&[Ea::new(0, b"A", vec![1; 40_000]), Ea::new(0, b"B", vec![1; 40_000])]).unwrap();
        assert_eq!(check_for_set(&large).unwrap_err().win32().0, 255);
    }

    proptest! {
        #[test]
        fn setting_twice_is_setting_once(
            names in prop::collection::vec("[a-cA-C]", 0..12),
            values in prop::collection::vec("[xy]{0,2}", 12),
        ) {
            let changes: Vec<_> =
                names.iter().zip(&values).map(|(n, v)| Ea::new(0, n.as_bytes(), v.as_bytes())).collect();
            let once = apply(&[], &changes)?;
            prop_assert!(once.iter().all(|ea| !ea.value.is_empty() && ea.name.to_ascii_uppercase() == *ea.name));
            let mut twice = apply(&once, &changes)?;
            let mut once = once;
            // The order can differ: an EA that is deleted and set again moves to the end.
            twice.sort_by(|a, b| a.name.cmp(&b.name));
            once.sort_by(|a, b| a.name.cmp(&b.name));
            prop_assert_eq!(once, twice);
        }
    }
}
