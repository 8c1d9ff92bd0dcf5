/*!
Reparse points: the payload of a REPARSE_DATA stream, which is also the `$REPARSE_POINT` attribute on disk,
`system.ntfs_reparse_data` of ntfs-3g and `user.SmbReparse` of Samba.

`REPARSE_DATA_BUFFER`, for tags of Microsoft (bit 31 set); all integers little-endian:

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | ReparseTag |
| 4 | 2 | ReparseDataLength: size of DataBuffer in bytes |
| 6 | 2 | Reserved, 0; ignored |
| 8 | ReparseDataLength | DataBuffer |

`REPARSE_GUID_DATA_BUFFER`, for all other tags:

| offset | size | field |
| --- | --- | --- |
| 0 | 8 | as above |
| 8 | 16 | ReparseGuid, which says whose tag it is |
| 24 | ReparseDataLength | DataBuffer |

The whole has at most [`MAX_SIZE`] bytes. Sources: \[MS-FSCC\] 2.1.2, \[MS-FSA\] 2.1.5.10.37.

[`ReparseBuffer`] checks this much and no more, so a reparse point whose data nobody knows survives as it is.
[`ReparseBuffer::target`] looks into the data.
*/

mod link;
mod set;
mod tag;
mod target;
mod wof;

pub use link::{
    build_lx_symlink, build_mount_point, build_symlink, mount_point_from_print_name,
    substitute_from_print_name, symlink_from_print_name,
};
pub use set::{Conflict, File, check_settable};
pub use tag::ReparseTag;
pub use target::{Nfs, SYMLINK_FLAG_RELATIVE, Target};
pub use wof::{Wof, WofAlgorithm};

use crate::bytes;
use crate::error::{Error, Format, Result};
use crate::object_id::Guid;

/// `MAXIMUM_REPARSE_DATA_BUFFER_SIZE`: the most bytes that a reparse buffer may have.
pub const MAX_SIZE: usize = 16 * 1024;

/// Bytes before the data when the tag is one of Microsoft.
const HEADER: usize = 8;

/// Bytes before the data when it is not.
const GUID_HEADER: usize = 24;

/// A reparse buffer over its bytes. Header and size are right; the data are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReparseBuffer<'a> {
    bytes: &'a [u8],
    tag: ReparseTag,
    guid: Option<Guid>,
}

impl<'a> ReparseBuffer<'a> {
    /// Reads a reparse buffer, which must fill `bytes` exactly.
    ///
    /// \[MS-FSA\] lets any tag have either header; here a tag of Microsoft has no GUID and any other has one, as
    /// \[MS-FSCC\] 2.1.2.2 and 2.1.2.3 ask.
    ///
    /// # Errors
    /// - Fewer than 8 (24 with a GUID) or more than [`MAX_SIZE`] bytes, or a ReparseDataLength that is not the rest of
    ///   them: `ERROR_INVALID_REPARSE_DATA` (4392).
    /// - A reserved tag ([`ReparseTag::is_reserved`]): `ERROR_REPARSE_TAG_INVALID` (4393).
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let size = bytes.len();
        if size > MAX_SIZE {
            return Err(too_large(size));
        }
        let cut = |needed: usize| {
            Error::truncated(Format::Reparse, 0, "reparse header", needed as u64, size as u64)
        };
        let [t0, t1, t2, t3, l0, l1, ..]: [u8; HEADER] =
            bytes::array_at(bytes, 0).ok_or_else(|| cut(HEADER))?;
        let tag = ReparseTag(u32::from_le_bytes([t0, t1, t2, t3]));
        check_tag(tag)?;
        let guid = match tag.is_microsoft() {
            true => None,
            false => Some(Guid(bytes::array_at(bytes, HEADER).ok_or_else(|| cut(GUID_HEADER))?)),
        };
        let buffer = Self { bytes, tag, guid };
        let found = u16::from_le_bytes([l0, l1]);
        if usize::from(found) != buffer.data().len() {
            let expected = "the bytes after the header";
            return Err(Error::value(Format::Reparse, 4, "ReparseDataLength", found.into(), expected));
        }
        Ok(buffer)
    }

    /// The tag: what kind of reparse point it is.
    #[must_use]
    pub fn tag(&self) -> ReparseTag {
        self.tag
    }

    /// The GUID, when the tag is not one of Microsoft.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        self.guid
    }

    /// The data after the header.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.bytes.get(self.data_offset()..).unwrap_or_default()
    }

    /// The whole buffer, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the reparse point leads to, as far as the layout of its data is known.
    ///
    /// # Errors
    /// Data that do not have the layout of their tag. The buffer is still good to keep and to restore.
    pub fn target(&self) -> Result<Target<'a>> {
        Target::decode(self.tag, self.data()).map_err(|error| error.at(self.data_offset() as u64))
    }

    /// One line for people on what the reparse point is; its data as far as they are known, else their first bytes.
    #[must_use]
    pub fn describe(&self) -> String {
        let damage = match self.target() {
            Ok(Target::Opaque(_)) => String::new(),
            Ok(target) => return target.to_string(),
            Err(error) => format!(", damaged ({error})"),
        };
        let guid = self.guid.map(|guid| format!(" {{{guid}}}")).unwrap_or_default();
        let data = self.data();
        let start: String = data.iter().take(16).map(|byte| format!(" {byte:02x}")).collect();
        let more = if data.len() > 16 { " ..." } else { "" };
        format!("{}{guid}{damage}: {} bytes of data{start}{more}", self.tag, data.len())
    }

    fn data_offset(&self) -> usize {
        if self.guid.is_some() { GUID_HEADER } else { HEADER }
    }
}

/// A reparse buffer of any tag. `guid` must be there when, and only when, the tag is not one of Microsoft.
///
/// # Errors
/// A reserved tag; a GUID where none belongs, or none where one does; more than [`MAX_SIZE`] bytes in all.
pub fn build(tag: ReparseTag, guid: Option<Guid>, data: &[u8]) -> Result<Vec<u8>> {
    check_tag(tag)?;
    if guid.is_some() == tag.is_microsoft() {
        let expected = if tag.is_microsoft() { "no GUID for this tag" } else { "a GUID for this tag" };
        let found = u64::from(guid.is_some());
        return Err(Error::value(Format::Reparse, 8, "number of reparse GUIDs", found, expected));
    }
    let header = if guid.is_some() { GUID_HEADER } else { HEADER };
    let size = header.saturating_add(data.len());
    let length = match u16::try_from(data.len()) {
        Ok(length) if size <= MAX_SIZE => length,
        _ => return Err(too_large(size)),
    };
    let mut buffer = Vec::with_capacity(size);
    buffer.extend_from_slice(&tag.0.to_le_bytes());
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&[0, 0]);
    buffer.extend_from_slice(guid.as_ref().map_or(&[], |guid| guid.0.as_slice()));
    buffer.extend_from_slice(data);
    Ok(buffer)
}

fn check_tag(tag: ReparseTag) -> Result<()> {
    if tag.is_reserved() {
        return Err(Error::value(
            Format::Reparse,
            0,
            "reparse tag",
            tag.0.into(),
            "a tag that is not reserved",
        ));
    }
    Ok(())
}

fn too_large(size: usize) -> Error {
    Error::value(Format::Reparse, 0, "size of the reparse buffer", size as u64, "at most 16384 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::name::Name;

    const GUID: Guid = Guid([0x11; 16]);

    fn win32(bytes: &[u8]) -> u32 {
        ReparseBuffer::parse(bytes).unwrap_err().win32().0
    }

    #[test]
    fn bs_34_every_byte_is_kept() {
        let junction = build_mount_point(&Name::from(r"\??\C:\target"), &Name::from(r"C:\target")).unwrap();
        let wof = build(ReparseTag::WOF, None, &[1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]).unwrap();
        let lx = build_lx_symlink(b"/etc/\xFFpasswd").unwrap();
        let foreign = build(ReparseTag(0x0000_0123), Some(GUID), b"their data").unwrap();
        let unknown = build(ReparseTag(0x8000_7777), None, &[0xAB; 40]).unwrap();
        let described = [
            r"junction to \??\C:\target, shown as C:\target",
            "WOF file, LZX",
            "LX symlink to /etc/\u{FFFD}passwd",
            "reparse tag 0x00000123 {11111111-1111-1111-1111-111111111111}: \
             10 bytes of data 74 68 65 69 72 20 64 61 74 61",
            "reparse tag 0x80007777: \
             40 bytes of data ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ...",
        ];
        for (bytes, described) in [junction, wof, lx, foreign, unknown].iter().zip(described) {
            let mut bytes = bytes.clone();
            // The reserved field means nothing and stays.
            bytes[6] = 0x5A;
            let buffer = ReparseBuffer::parse(&bytes).unwrap();
            assert_eq!(buffer.bytes(), bytes);
            assert_eq!(buffer.describe(), described);
        }
    }

    #[test]
    fn bs_34_a_third_party_tag_has_a_guid() {
        let bytes = build(ReparseTag(0x0000_0123), Some(GUID), b"data").unwrap();
        assert_eq!(bytes[..8], [0x23, 1, 0, 0, 4, 0, 0, 0]);
        assert_eq!(bytes[8..], [&[0x11; 16][..], b"data"].concat());
        let buffer = ReparseBuffer::parse(&bytes).unwrap();
        assert_eq!(
            (buffer.tag(), buffer.guid(), buffer.data()),
            (ReparseTag(0x123), Some(GUID), &b"data"[..])
        );
        assert_eq!(buffer.target(), Ok(Target::Opaque(b"data")));
        assert!(build(ReparseTag(0x123), None, b"").is_err());
        assert!(build(ReparseTag::WOF, Some(GUID), b"").is_err());
    }

    #[test]
    fn bs_54_wrong_sizes_are_4392() {
        let largest = build(ReparseTag::DEDUP, None, &[0; MAX_SIZE - 8]).unwrap();
        assert_eq!(largest.len(), 16384);
        assert!(ReparseBuffer::parse(&largest).is_ok());
        assert_eq!(win32(&largest[..7]), 4392);
        assert_eq!(win32(&[&largest[..], b"\0"].concat()), 4392);
        assert_eq!(build(ReparseTag::DEDUP, None, &[0; MAX_SIZE - 7]).unwrap_err().win32().0, 4392);
        assert_eq!(build(ReparseTag::DEDUP, None, &[0; 65536]).unwrap_err().win32().0, 4392);

        assert_eq!(win32(b""), 4392);
        assert!(ReparseBuffer::parse(b"\x13\0\0\x80\0\0\0\0").is_ok());
        assert_eq!(win32(b"\x13\0\0\x80\x01\0\0\0"), 4392);
        assert_eq!(win32(b"\x13\0\0\x80\0\0\0\0\0"), 4392);
        // A tag of Microsoft with the length that a GUID would explain.
        assert_eq!(win32(&[&b"\x13\0\0\x80\0\0\0\0"[..], &[0; 16]].concat()), 4392);

        let foreign = build(ReparseTag(0x123), Some(GUID), b"").unwrap();
        assert_eq!(win32(&foreign[..23]), 4392);
        assert_eq!(win32(&[&foreign[..], b"\0"].concat()), 4392);
    }

    #[test]
    fn bs_54_reserved_tags_are_4393() {
        for tag in 0..3_u8 {
            let bytes = [&[tag, 0, 0, 0, 0, 0, 0, 0][..], &[0; 16]].concat();
            assert_eq!(win32(&bytes), 4393);
            assert_eq!(build(ReparseTag(tag.into()), Some(GUID), b"").unwrap_err().win32().0, 4393);
        }
    }

    #[test]
    fn damaged_data_are_kept_and_said() {
        let bytes = build(ReparseTag::SYMLINK, None, &[0xFF; 12]).unwrap();
        let buffer = ReparseBuffer::parse(&bytes).unwrap();
        let error = buffer.target().unwrap_err();
        assert_eq!((error.offset, error.win32().0), (8, 4392));
        assert_eq!(buffer.bytes(), bytes);
        assert!(buffer.describe().starts_with("IO_REPARSE_TAG_SYMLINK, damaged (reparse buffer at byte 8: "));
    }

    proptest! {
        #[test]
        fn any_buffer_round_trips(
            tag in 3..=u32::MAX,
            guid: [u8; 16],
            data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let tag = ReparseTag(tag);
            let guid = (!tag.is_microsoft()).then_some(Guid(guid));
            let bytes = build(tag, guid, &data)?;
            let buffer = ReparseBuffer::parse(&bytes)?;
            prop_assert_eq!((buffer.tag(), buffer.guid(), buffer.data()), (tag, guid, &data[..]));
            prop_assert_eq!(buffer.bytes(), bytes.as_slice());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(buffer) = ReparseBuffer::parse(&bytes) {
                let _ = buffer.describe();
            }
        }
    }
}
