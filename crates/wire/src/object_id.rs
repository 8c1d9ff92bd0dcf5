//! Object ids: the payload of an OBJECT_ID stream.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 16 | ObjectId |
//! | 16 | 16 | BirthVolumeId |
//! | 32 | 16 | BirthObjectId |
//! | 48 | 16 | DomainId (0) |
//!
//! Source: `FILE_OBJECTID_BUFFER`, \[MS-FSCC\] 2.1.3. The `$OBJECT_ID` attribute of a file often holds the first 16
//! bytes only; the other 48 are in the index `$Extend\$ObjId`.

use std::fmt;

use crate::error::{Error, Format, Result};

/// A `FILE_OBJECTID_BUFFER`: 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectId([u8; ObjectId::LEN]);

/// A GUID in its binary form: the first three fields little-endian (\[MS-DTYP\] 2.3.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

impl ObjectId {
    /// Size in bytes.
    pub const LEN: usize = 64;

    /// Reads an object id of 16 to 64 bytes; what is missing is zero, as on a volume whose index does not have it.
    ///
    /// # Errors
    /// Fewer than 16 or more than 64 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if !(16..=Self::LEN).contains(&bytes.len()) {
            return Err(Error::value(Format::ObjectId, 0, "size", bytes.len() as u64, "16 to 64 bytes"));
        }
        let mut id = [0; Self::LEN];
        for (to, from) in id.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Self(id))
    }

    /// The 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// ObjectId, BirthVolumeId, BirthObjectId and DomainId.
    #[must_use]
    pub fn guids(&self) -> [Guid; 4] {
        let (guids, _) = self.0.as_chunks::<16>();
        std::array::from_fn(|i| Guid(guids.get(i).copied().unwrap_or_default()))
    }
}

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, lower case, without braces.
impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, tail @ ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        let (second, third) = (u16::from_le_bytes([e, g]), u16::from_le_bytes([h, i]));
        write!(f, "{first:08x}-{second:04x}-{third:04x}-")?;
        for (index, byte) in tail.iter().enumerate() {
            if index == 2 {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bs_41_sixteen_bytes_become_sixty_four() {
        let id = ObjectId::parse(&[7; 16]).unwrap();
        assert_eq!(id.as_bytes()[..16], [7; 16]);
        assert_eq!(id.as_bytes()[16..], [0; 48]);
        assert!(ObjectId::parse(&[7; 15]).is_err());
        assert!(ObjectId::parse(&[7; 65]).is_err());
    }

    #[test]
    fn guids_print_with_their_first_fields_swapped() {
        let bytes: Vec<u8> = (0..64).collect();
        let guids = ObjectId::parse(&bytes).unwrap().guids();
        assert_eq!(guids[0].to_string(), "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(guids[3].0[0], 48);
    }
}
