//! Names that a directory cannot hold: a file gets another one, and its true name is kept.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ntbak_wire::{Name, side};

use crate::error::Result;
use crate::host::node::{Node, Spot};

/// What stands between the begin of the true name and the first 16 hex digits of its BLAKE3.
const MARK: &str = "~ntbak-";
const DIGITS: usize = 16;
/// The longest name: bytes on almost every file system of Linux, UTF-16 units on NTFS.
pub(crate) const LONGEST: usize = 255;

/// Gives `spot` a name that an ordinary directory holds; answers the true one when that is another.
pub(crate) fn in_directory(spot: &mut Spot) -> Result<Option<Vec<u8>>> {
    let longest = rustix::fs::fstatvfs(&spot.dir).map_or(LONGEST, |found| found.f_namemax as usize);
    let bad = spot.name.len() > longest || spot.name == side::DIRECTORY || is_twin(spot);
    Ok(bad.then(|| replace(spot, longest)))
}

/// Gives `spot` a name that an ntfs-3g mount holds; answers the true one when that is another.
pub(crate) fn on_ntfs(spot: &mut Spot) -> Option<Vec<u8>> {
    let units = Name::from_wtf8(spot.name.as_bytes()).map(|name| name.units().len());
    let bad = units.is_none_or(|units| units > LONGEST);
    bad.then(|| replace(spot, LONGEST))
}

/// Gives `spot` another name; answers the true one.
fn replace(spot: &mut Spot, longest: usize) -> Vec<u8> {
    let escaped = escaped(&spot.name, longest);
    spot.path.set_file_name(&escaped);
    std::mem::replace(&mut spot.name, escaped).into_vec()
}

/// The spot of a file that is there under another name, because its own cannot be.
pub(crate) fn find(spot: &mut Spot) {
    if spot.name.len() > LONGEST || spot.name == side::DIRECTORY {
        let name = escaped(&spot.name, LONGEST);
        if Node::open(&spot.dir, &name).is_ok() {
            spot.name = name;
        }
    }
}

/// Whether `name` is the one that a file got because a directory cannot hold its `true_name`.
pub(crate) fn is_escaped(true_name: &[u8], name: &OsStr) -> bool {
    let mark = name.as_bytes().len().checked_sub(DIGITS + MARK.len());
    let longest = mark.map_or(0, |_| name.len().max(LONGEST));
    let exact = |longest: usize| escaped(OsStr::from_bytes(true_name), longest) == name;
    // File systems with other limits have cut it elsewhere.
    exact(longest) || exact(name.len())
}

/// `prefix~ntbak-0123456789abcdef`, cut so that it has at most `longest` bytes.
pub(crate) fn escaped(name: &OsStr, longest: usize) -> OsString {
    let digest = blake3::hash(name.as_bytes()).to_hex();
    let room = longest.saturating_sub(MARK.len() + DIGITS);
    let mut prefix = name.as_bytes();
    if prefix.len() > room {
        // Not within a character.
        let is_begin = |at: &usize| prefix.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
        let end = (0..=room).rev().find(is_begin).unwrap_or(0);
        prefix = prefix.get(..end).unwrap_or_default();
    }
    let text;
    if Name::from_wtf8(prefix).is_none() {
        text = String::from_utf8_lossy(prefix).replace(char::REPLACEMENT_CHARACTER, "_");
        prefix = text.as_bytes();
    }
    let prefix: Vec<u8> = prefix
        .iter()
        .map(|byte| if byte.is_ascii_control() || br#":"*<>?\|"#.contains(byte) { b'_' } else { *byte })
        .collect();
    OsString::from_vec(
        [&prefix, MARK.as_bytes(), digest.get(..DIGITS).unwrap_or_default().as_bytes()].concat(),
    )
}

/// Whether the directory holds a file whose name differs in case only, and takes one for the other.
pub(crate) fn is_twin(spot: &Spot) -> bool {
    let swapped = |name: &[u8]| -> Vec<u8> {
        let swap = |byte: &u8| if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { *byte };
        name.iter().map(swap).collect()
    };
    let inode =
        |name: &OsStr| Node::open(&spot.dir, name).and_then(|node| node.stat()).map(|stat| stat.st_ino);
    let other = swapped(spot.name.as_bytes());
    let Ok(here) = inode(&spot.name) else { return false };
    // Where case matters, which is almost everywhere, this is all.
    if other == spot.name.as_bytes() || inode(OsStr::from_bytes(&other)) != Ok(here) {
        return false;
    }
    // The directory may be held by a descriptor that cannot be read from.
    let Ok(entries) = crate::host::descent::entries(&spot.dir) else { return false };
    !entries.flatten().any(|entry| entry.file_name().to_bytes() == spot.name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters_and_differ() {
        let long = "ä".repeat(255);
        let name = escaped(long.as_ref(), 255);
        assert!(name.len() <= 255 && name.to_str().is_some(), "{name:?}");
        assert!(name.to_str().unwrap().starts_with("ääää"));
        assert_ne!(name, escaped("ä".repeat(254).as_ref(), 255));
        let odd = escaped("a:b\\c?".as_ref(), 255);
        assert!(odd.to_str().unwrap().starts_with("a_b_c_~ntbak-"), "{odd:?}");
        // Bytes that are no text become one.
        assert_eq!(escaped(OsStr::from_bytes(&[0x80; 300]), 255).len(), MARK.len() + DIGITS);
        assert!(escaped(OsStr::from_bytes(b"caf\xE9"), 255).to_str().unwrap().starts_with("caf_~ntbak-"));
    }
}
