//! The payload of a LINK stream: the path of the file to make a hard link to.
//!
//! UTF-16LE, not empty, no NUL, not terminated. Microsoft documents no layout; this is the one that strarc writes, and
//! BackupRead never gives such a stream: a backup program makes it.

use crate::error::{Error, Format, Result};
use crate::name::Name;

/// The target path of a LINK payload.
///
/// # Errors
/// An empty payload, an odd number of bytes, or a NUL in it.
pub fn parse(payload: &[u8]) -> Result<Name> {
    let size = payload.len() as u64;
    let odd = || Error::value(Format::Link, 0, "size", size, "an even number of bytes");
    let path = Name::from_utf16_le(payload).ok_or_else(odd)?;
    if path.is_empty() {
        return Err(Error::name(Format::Link, 0, "target path", "it is empty"));
    }
    if let Some(at) = path.units().iter().position(|unit| *unit == 0) {
        return Err(Error::name(Format::Link, at as u64 * 2, "target path", "it has a NUL"));
    }
    Ok(path)
}

/// The payload for a link to `path`.
#[must_use]
pub fn build(path: &Name) -> Vec<u8> {
    path.to_utf16_le()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_path_is_a_target() {
        let path = Name::from("dir\\file");
        assert_eq!(parse(&build(&path)), Ok(path));
        for bad in [&b""[..], b"a", b"a\0\0\0"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
