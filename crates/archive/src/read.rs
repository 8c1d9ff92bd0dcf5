//! Reading from a source that may be interrupted.

use std::io::{ErrorKind, Read, Result};

/// Reads what comes next, however often that is interrupted. A reader that claims more than it was given room for is not
/// believed.
pub(crate) fn read(source: &mut impl Read, room: &mut [u8]) -> Result<usize> {
    loop {
        match source.read(room) {
            Ok(got) => return Ok(got.min(room.len())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
