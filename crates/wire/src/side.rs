/*!
The side file: what a Linux file system has no place for of a Windows file.

A side file lies in the directory `.ntbak-side/` beside its owner, under a name that is the first 32
hex digits of the BLAKE3 of the owner's name in bytes; the one of a
directory itself is called [`SELF`] and lies in that directory's own `.ntbak-side/`.

| offset | size | field |
| --- | --- | --- |
| 0 | 8 | magic `NTBKSID1` |
| 8 | 8 | size of the owner's content in bytes when this was written |
| 24 | 4 | and nanoseconds |
| 28 | 4 | n: bytes of the owner's name |
| 32 | n | the owner's name, as its directory has it |
| 32 + n | | facts: tag u16, zero u16, length u32, value; one after the other, until a tag 0 of length 0 |
| | | a [backup stream](crate::stream) with everything else, to the end |

All numbers are little-endian. Facts by tag:

| tag | value |
| --- | --- |
| 1 | FILE_ATTRIBUTE_*, u32 |
| 2, 3, 4, 5 | creation, write, access, change time: FILETIME, i64 |
| 6 | 8.3 name, UTF-16LE |
| 7 | the directory is case-sensitive; no value |
| 8 | valid data length of the unnamed stream, u64 |
| 9 | flags of the unnamed stream ([`StreamFlags`]), u8 |
| 10 | a named stream: valid data length u64 (all ones: the size), flags u8, name in UTF-16LE; for those that have one, or for all, in their order |
| 11 | an EA, in the order of the list: flags u8, name; its value is in an attribute `user.NAME`, or in the backup stream |
| 12 | Linux: mode, user, group that the file is to have, then those that it got: u32 each |
| 13 | the true name of the owner, when its directory cannot hold it |
| 14 | an extended attribute of Linux that could not be set: n u16, n bytes of name, value |
| 16 | what EFS keeps of an encrypted file (`$EFS`), when it is not in the attribute `user.ntfs.efsinfo` |
| 15 | the file system does not show the holes of the unnamed stream: runs of zeros of 64 KiB are taken for them; no value |
| 16 | 8 | its modification time: seconds since 1970, signed |
| 17 | log2 of the cluster size of the volume that an encrypted file came from, u8 |
| 18 | 16 bytes by which the owner is known: those of its attribute `user.ntbak.side` |

Facts 8, 9 and 15 hang on the content: they hold only while the owner still has the size and modification time of the head.
Fact 12 holds while the owner has the mode, user and group that it got. Tags that a reader does not know are kept.
*/

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::attributes::FileAttributes;
use crate::bytes;
use crate::error::{Error, Format, Result};
use crate::filetime::FileTime;
use crate::name::Name;
use crate::record::{StreamFlags, Times};

/// The directory of side files.
pub const DIRECTORY: &str = ".ntbak-side";
/// The side file of the directory that it is in.
pub const SELF: &str = "self";
/// The attribute of an owner by which its side file is found again when it was renamed.
pub const MARK: &str = "user.ntbak.side";
/// The first bytes of a side file.
pub const MAGIC: [u8; 8] = *b"NTBKSID1";
/// The most bytes that the head of a side file has, facts included.
pub const MAX_HEAD: usize = 1 << 20;

/// What stands in a side file before its backup stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SideHead {
    /// The owner's name.
    pub owner: Vec<u8>,
    /// Size of the owner's content in bytes.
    pub size: u64,
    /// Its modification time: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// Attributes.
    pub attributes: Option<FileAttributes>,
    /// Times.
    pub times: Times,
    /// The 8.3 name.
    pub short_name: Option<Name>,
    /// A case-sensitive directory.
    pub case_sensitive: bool,
    /// Valid data length of the unnamed stream.
    pub vdl: Option<u64>,
    /// How the unnamed stream is stored.
    pub flags: StreamFlags,
    /// The file system does not show the holes of the unnamed stream.
    pub hidden_holes: bool,
    /// What the backup stream does not say of named streams: name, valid data length when below the size, flags.
    pub streams: Vec<(Name, Option<u64>, StreamFlags)>,
    /// The EAs that are in attributes, and others, in their order: flags and name.
    pub eas: Vec<(u8, Vec<u8>)>,
    /// What the file is to have on Linux, and what it got.
    pub linux: Option<(LinuxOwner, LinuxOwner)>,
    /// The true name of the owner, when its directory cannot hold it.
    pub true_name: Option<Vec<u8>>,
    /// Extended attributes of Linux that could not be set: name and value.
    pub linux_attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// `$EFS` of an encrypted file, when no attribute holds it.
    pub efs: Option<Vec<u8>>,
    /// log2 of the cluster size of the volume that an encrypted file came from.
    pub efs_cluster_shift: Option<u8>,
    /// By what the owner is known, whatever its name: the value of its attribute [`MARK`].
    pub mark: Option<[u8; 16]>,
    /// Facts that this version does not know, by tag.
    pub unknown: Vec<(u16, Vec<u8>)>,
}

/// Who owns a file on Linux, and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinuxOwner {
    /// Permission bits.
    pub mode: u32,
    /// The user's number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
}

#[derive(FromBytes, IntoBytes, Unaligned, Immutable, KnownLayout)]
#[repr(C)]
struct Fixed {
    magic: [u8; 8],
    size: U64,
    seconds: I64,
    nanoseconds: U32,
    name_len: U32,
}

#[derive(FromBytes, IntoBytes, Unaligned, Immutable, KnownLayout)]
#[repr(C)]
struct Fact {
    tag: U16,
    zero: U16,
    len: U32,
}

const ATTRIBUTES: u16 = 1;
const CREATED: u16 = 2;
const WRITTEN: u16 = 3;
const ACCESSED: u16 = 4;
const CHANGED: u16 = 5;
const SHORT_NAME: u16 = 6;
const CASE_SENSITIVE: u16 = 7;
const VDL: u16 = 8;
const FLAGS: u16 = 9;
const STREAM: u16 = 10;
const EA: u16 = 11;
const LINUX: u16 = 12;
const TRUE_NAME: u16 = 13;
const LINUX_ATTRIBUTE: u16 = 14;
const HIDDEN_HOLES: u16 = 15;
const EFS: u16 = 16;
const EFS_CLUSTER_SHIFT: u16 = 17;
const OWNER_MARK: u16 = 18;

impl SideHead {
    /// Whether there is any fact in it.
    #[must_use]
    pub fn has_facts(&self) -> bool {
        let bare = Self {
            owner: self.owner.clone(),
            size: self.size,
            modified: self.modified,
            mark: self.mark,
            ..Self::default()
        };
        *self != bare
    }

    /// Whether all that it says is attributes and times.
    #[must_use]
    pub fn is_basic(&self) -> bool {
        !Self { attributes: None, times: Times::default(), ..self.clone() }.has_facts()
    }

    /// Drops what hangs on the content.
    pub fn forget_content(&mut self) {
        (self.vdl, self.flags, self.hidden_holes) = (None, StreamFlags::empty(), false);
        (self.times.written, self.times.accessed, self.times.changed) = (None, None, None);
    }

    /// The bytes of the head; the backup stream follows.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let fixed = Fixed {
            magic: MAGIC,
            size: self.size.into(),
            seconds: self.modified.0.into(),
            nanoseconds: self.modified.1.into(),
            // A name of 4 GiB is no name that a file has.
            name_len: u32::try_from(self.owner.len()).unwrap_or(u32::MAX).into(),
        };
        let mut out = fixed.as_bytes().to_vec();
        out.extend_from_slice(&self.owner);
        let mut put = |tag: u16, value: &[u8]| {
            let len = u32::try_from(value.len()).unwrap_or(u32::MAX).into();
            out.extend_from_slice(Fact { tag: tag.into(), zero: 0.into(), len }.as_bytes());
            out.extend_from_slice(value);
        };
        if let Some(attributes) = self.attributes {
            put(ATTRIBUTES, &attributes.bits().to_le_bytes());
        }
        let Times { created, written, accessed, changed } = self.times;
        for (tag, time) in [(CREATED, created), (WRITTEN, written), (ACCESSED, accessed), (CHANGED, changed)]
        {
            if let Some(time) = time {
                put(tag, &time.0.to_le_bytes());
            }
        }
        if let Some(short) = &self.short_name {
            put(SHORT_NAME, &short.to_utf16_le());
        }
        if self.case_sensitive {
            put(CASE_SENSITIVE, &[]);
        }
        if let Some(vdl) = self.vdl {
            put(VDL, &vdl.to_le_bytes());
        }
        if !self.flags.is_empty() {
            put(FLAGS, &[self.flags.bits()]);
        }
        if self.hidden_holes {
            put(HIDDEN_HOLES, &[]);
        }
        for (name, vdl, flags) in &self.streams {
            let vdl = vdl.unwrap_or(u64::MAX).to_le_bytes();
            put(STREAM, &[&vdl[..], &[flags.bits()], &name.to_utf16_le()].concat());
        }
        for (flags, name) in &self.eas {
            put(EA, &[&[*flags], &name[..]].concat());
        }
        if let Some((wanted, got)) = self.linux {
            put(LINUX, &[wanted.encode(), got.encode()].concat());
        }
        if let Some(name) = &self.true_name {
            put(TRUE_NAME, name);
        }
        for (name, value) in &self.linux_attributes {
            // The kernel has no name of more than 255 bytes.
            let len = u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes();
            put(LINUX_ATTRIBUTE, &[&len[..], name, value].concat());
        }
        if let Some(efs) = &self.efs {
            put(EFS, efs);
        }
        if let Some(shift) = self.efs_cluster_shift {
            put(EFS_CLUSTER_SHIFT, &[shift]);
        }
        if let Some(mark) = &self.mark {
            put(OWNER_MARK, mark);
        }
        for (tag, value) in &self.unknown {
            put(*tag, value);
        }
        put(0, &[]);
        out
    }

    /// Reads a head from the first bytes of a side file; answers where its backup stream begins.
    ///
    /// # Errors
    /// Not a side file; or a head that is cut, or has a fact of a size that it cannot have.
    pub fn decode(input: &[u8]) -> Result<(Self, usize)> {
        let cut = |what, offset: usize, needed: usize| {
            let available = input.len().saturating_sub(offset) as u64;
            Error::truncated(Format::SideFile, offset as u64, what, needed as u64, available)
        };
        let len = size_of::<Fixed>();
        let (fixed, _) = Fixed::read_from_prefix(input).map_err(|_| cut("head", 0, len))?;
        if fixed.magic != MAGIC {
            return Err(Error::value(
                Format::SideFile,
                0,
                "magic",
                u64::from_le_bytes(fixed.magic),
                "NTBKSID1",
            ));
        }
        let name_len = fixed.name_len.get() as usize;
        let owner =
            bytes::slice_at(input, len, name_len).ok_or_else(|| cut("owner's name", len, name_len))?;
        let mut head = Self {
            owner: owner.to_vec(),
            size: fixed.size.get(),
            modified: (fixed.seconds.get(), fixed.nanoseconds.get()),
            ..Self::default()
        };
        let mut at = len + name_len;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let (fact, _) = Fact::read_from_prefix(rest).map_err(|_| cut("fact", at, size_of::<Fact>()))?;
            let (tag, len) = (fact.tag.get(), fact.len.get() as usize);
            let begin = at + size_of::<Fact>();
            let value = bytes::slice_at(input, begin, len).ok_or_else(|| cut("fact", begin, len))?;
            at = begin + len;
            if tag == 0 {
                return Ok((head, at));
            }
            head.fact(tag, value).ok_or_else(|| {
                Error::value(
                    Format::SideFile,
                    begin as u64,
                    "size of a fact",
                    len as u64,
                    "the size of its tag",
                )
            })?;
        }
    }

    /// Takes one fact; `None` when its value cannot be one.
    fn fact(&mut self, tag: u16, value: &[u8]) -> Option<()> {
        fn exact<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
            value.try_into().ok()
        }
        let time = |value| Some(FileTime(i64::from_le_bytes(exact(value)?)));
        match tag {
            ATTRIBUTES => {
                let bits = u32::from_le_bytes(exact(value)?);
                self.attributes = Some(FileAttributes::from_bits_retain(bits));
            }
            CREATED => self.times.created = Some(time(value)?),
            WRITTEN => self.times.written = Some(time(value)?),
            ACCESSED => self.times.accessed = Some(time(value)?),
            CHANGED => self.times.changed = Some(time(value)?),
            SHORT_NAME => self.short_name = Some(Name::from_utf16_le(value)?),
            CASE_SENSITIVE => self.case_sensitive = true,
            VDL => self.vdl = Some(u64::from_le_bytes(exact(value)?)),
            FLAGS => self.flags = StreamFlags::from_bits_retain(exact::<1>(value)?[0]),
            STREAM => {
                let (vdl, rest) = value.split_first_chunk()?;
                let (flags, name) = rest.split_first()?;
                let vdl = Some(u64::from_le_bytes(*vdl)).filter(|vdl| *vdl != u64::MAX);
                self.streams.push((Name::from_utf16_le(name)?, vdl, StreamFlags::from_bits_retain(*flags)));
            }
            EA => {
                let (flags, name) = value.split_first()?;
                self.eas.push((*flags, name.to_vec()));
            }
            LINUX => {
                let numbers = exact::<24>(value)?;
                let (wanted, got) = numbers.split_at(12);
                self.linux = Some((LinuxOwner::decode(wanted)?, LinuxOwner::decode(got)?));
            }
            OWNER_MARK => self.mark = Some(exact(value)?),
            EFS => self.efs = Some(value.to_vec()),
            EFS_CLUSTER_SHIFT => self.efs_cluster_shift = Some(exact::<1>(value)?[0]),
            HIDDEN_HOLES => self.hidden_holes = true,
            TRUE_NAME => self.true_name = Some(value.to_vec()),
            LINUX_ATTRIBUTE => {
                let (len, rest) = value.split_first_chunk()?;
                let (name, value) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
                self.linux_attributes.push((name.to_vec(), value.to_vec()));
            }
            _ => self.unknown.push((tag, value.to_vec())),
        }
        Some(())
    }
}

impl LinuxOwner {
    fn encode(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let fields = [self.mode, self.user, self.group].map(u32::to_le_bytes);
        bytes.copy_from_slice(fields.as_flattened());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at| bytes::u32_at(bytes, at);
        Some(Self { mode: number(0)?, user: number(4)?, group: number(8)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> SideHead {
        SideHead {
            owner: b"caf\xC3\xA9.txt".to_vec(),
            size: 12,
            modified: (-5, 999_999_999),
            attributes: Some(FileAttributes::HIDDEN | FileAttributes::from_bits_retain(0x8000_0000)),
            times: Times { created: Some(FileTime(1)), changed: Some(FileTime(-2)), ..Times::default() },
            short_name: Some(Name::from("CAF~1.TXT")),
            case_sensitive: true,
            vdl: Some(7),
            flags: StreamFlags::SPARSE,
            hidden_holes: true,
            streams: vec![(Name::from("ads"), Some(3), StreamFlags::COMPRESSED)],
            eas: vec![(0x80, b"EA".to_vec()), (0, vec![])],
            linux: Some((
                LinuxOwner { mode: 0o4755, user: 1, group: 2 },
                LinuxOwner { mode: 0o755, user: 0, group: u32::MAX },
            )),
            true_name: Some(b"a name".to_vec()),
            linux_attributes: vec![(b"trusted.x".to_vec(), b"value".to_vec())],
            efs: Some(vec![7; 100]),
            efs_cluster_shift: Some(12),
            mark: Some([5; 16]),
            unknown: vec![(900, b"later".to_vec())],
        }
    }

    #[test]
    fn a_head_survives_and_every_cut_is_an_error() {
        let head = example();
        let mut bytes = head.encode();
        let len = bytes.len();
        bytes.extend_from_slice(b"stream");
        assert_eq!(SideHead::decode(&bytes), Ok((head, len)));
        for cut in 0..len {
            assert!(SideHead::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_fact_of_a_wrong_size_is_an_error() {
        let mut bytes = SideHead { vdl: Some(1), ..SideHead::default() }.encode();
        let at = bytes.len() - 8 - 8 - 4;
        bytes[at] = 7;
        bytes.remove(at + 4);
        let error = SideHead::decode(&bytes).unwrap_err();
        assert!(error.to_string().contains("size of a fact"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_an_error(tail: Vec<u8>) {
            let _ = SideHead::decode(&tail);
            let _ = SideHead::decode(&[&MAGIC[..], &tail].concat());
        }
    }
}
