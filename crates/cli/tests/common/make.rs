//! Windows' structures byte by byte, and files with them: nothing here is ntbak's code.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

pub(crate) const ACL: &str = "system.ntfs_acl";
pub(crate) const ATTRIBUTES: &str = "system.ntfs_attrib";
pub(crate) const TIMES: &str = "system.ntfs_times";
pub(crate) const REPARSE: &str = "system.ntfs_reparse_data";
pub(crate) const OBJECT_ID: &str = "system.ntfs_object_id";
pub(crate) const EA: &str = "system.ntfs_ea";
pub(crate) const DOS_NAME: &str = "system.ntfs_dos_name";
pub(crate) const EFS: &str = "system.ntfs_efsinfo";

/// Sets an attribute of the file itself, whatever it leads to.
#[track_caller]
pub(crate) fn set(path: &Path, name: &str, value: &[u8]) {
    let set = rustix::fs::lsetxattr(path, name, value, XattrFlags::empty());
    set.unwrap_or_else(|error| panic!("{name} of {}: {error}", path.display()));
}

/// An attribute of the file itself, by one large buffer.
pub(crate) fn get(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; 65_536];
    let len = rustix::fs::lgetxattr(path, name, &mut value[..])?;
    value.truncate(len);
    Ok(value)
}

/// Lets the kernel find out that the kind of a file has changed.
pub(crate) fn look_twice(path: &Path) {
    for _ in 0..2 {
        let _ = fs::symlink_metadata(path);
    }
}

/// `file:stream`.
pub(crate) fn stream(path: &Path, name: impl AsRef<[u8]>) -> PathBuf {
    let bytes = [path.as_os_str().as_bytes(), b":", name.as_ref()].concat();
    std::ffi::OsStr::from_bytes(&bytes).into()
}

pub(crate) fn attributes(path: &Path, bits: u32) {
    set(path, ATTRIBUTES, &bits.to_ne_bytes());
}

/// Creation, write and access time.
pub(crate) fn times(path: &Path, created: u64, written: u64, accessed: u64) {
    set(path, TIMES, &[created, written, accessed].map(u64::to_ne_bytes).concat());
}

pub(crate) fn get_times(path: &Path) -> [u64; 4] {
    let value = get(path, TIMES).unwrap();
    std::array::from_fn(|index| u64::from_ne_bytes(value[index * 8..][..8].try_into().unwrap()))
}

/// Bytes at offsets of a new file of this size; the rest are holes.
pub(crate) fn sparse(path: &Path, size: u64, pieces: &[(u64, Vec<u8>)]) {
    let file = fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    for (offset, data) in pieces {
        file.write_all_at(data, *offset).unwrap();
    }
}

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

// Security descriptors.

/// S-1-5-…
pub(crate) fn sid(parts: &[u32]) -> Vec<u8> {
    let mut sid = vec![1, u8::try_from(parts.len()).unwrap(), 0, 0, 0, 0, 0, 5];
    sid.extend(parts.iter().flat_map(|part| part.to_le_bytes()));
    sid
}

/// S-1-1-0
pub(crate) fn everyone() -> Vec<u8> {
    vec![1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
}

pub(crate) fn administrators() -> Vec<u8> {
    sid(&[32, 544])
}

pub(crate) fn ace(kind: u8, flags: u8, mask: u32, sid: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + sid.len()).unwrap();
    [&[kind, flags][..], &len.to_le_bytes(), &mask.to_le_bytes(), sid].concat()
}

pub(crate) fn acl(aces: &[Vec<u8>]) -> Vec<u8> {
    let body = aces.concat();
    let (len, count) = (u16::try_from(8 + body.len()).unwrap(), u16::try_from(aces.len()).unwrap());
    [&[2, 0][..], &len.to_le_bytes(), &count.to_le_bytes(), &[0, 0], &body].concat()
}

/// A self-relative descriptor: SACL, DACL, owner, group. The control is SELF_RELATIVE and what is given here.
pub(crate) fn descriptor(
    control: u16,
    owner: &[u8],
    group: &[u8],
    sacl: Option<&[u8]>,
    dacl: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = Vec::new();
    let mut place = |part: Option<&[u8]>| match part.filter(|part| !part.is_empty()) {
        None => 0_u32,
        Some(part) => {
            let offset = u32::try_from(20 + body.len()).unwrap();
            body.extend_from_slice(part);
            offset
        }
    };
    let (sacl, dacl, owner, group) = (place(sacl), place(dacl), place(Some(owner)), place(Some(group)));
    let mut descriptor = vec![1, 0];
    descriptor.extend_from_slice(&(0x8000 | control).to_le_bytes());
    descriptor.extend([owner, group, sacl, dacl].into_iter().flat_map(u32::to_le_bytes));
    [descriptor, body].concat()
}

/// DACL_PRESENT with two entries.
pub(crate) fn plain_descriptor(who: u32) -> Vec<u8> {
    let user = sid(&[21, 1_111_111_111, 2_222_222_222, 3_333_333_333, who]);
    let dacl = acl(&[ace(0, 0, 0x1F_01FF, &user), ace(0, 0x10, 0x12_00A9, &everyone())]);
    descriptor(
        0x0004,
        &user,
        &sid(&[21, 1_111_111_111, 2_222_222_222, 3_333_333_333, 513]),
        None,
        Some(&dacl),
    )
}

// Extended attributes: name, value, flags.
pub(crate) type Ea<'a> = (&'a str, &'a [u8], u8);

fn ea_entry((name, value, flags): &Ea<'_>) -> Vec<u8> {
    let (name_len, value_len) = (u8::try_from(name.len()).unwrap(), u16::try_from(value.len()).unwrap());
    let value_len = value_len.to_le_bytes();
    [&[*flags, name_len][..], &value_len, name.as_bytes(), &[0], value].concat()
}

/// The list as it is on disk: every entry padded, every NextEntryOffset set.
pub(crate) fn ea_on_disk(eas: &[Ea<'_>]) -> Vec<u8> {
    let padded = |ea: &Ea<'_>| {
        let mut entry = ea_entry(ea);
        entry.resize((entry.len() + 4).next_multiple_of(4) - 4, 0);
        [&u32::try_from(entry.len() + 4).unwrap().to_le_bytes()[..], &entry].concat()
    };
    eas.iter().flat_map(padded).collect()
}

/// The list as a backup stream has it: the last NextEntryOffset is 0, nothing behind the last value.
pub(crate) fn ea_full(eas: &[Ea<'_>]) -> Vec<u8> {
    let mut list = Vec::new();
    for (index, ea) in eas.iter().enumerate() {
        let mut entry = ea_entry(ea);
        if index + 1 == eas.len() {
            list.extend_from_slice(&[0; 4]);
        } else {
            entry.resize((entry.len() + 4).next_multiple_of(4) - 4, 0);
            list.extend_from_slice(&u32::try_from(entry.len() + 4).unwrap().to_le_bytes());
        }
        list.extend_from_slice(&entry);
    }
    list
}

// Reparse buffers.

/// A buffer of one of Microsoft's tags.
pub(crate) fn reparse(tag: u32, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    [&tag.to_le_bytes()[..], &len.to_le_bytes(), &[0, 0], payload].concat()
}

pub(crate) fn symlink(target: &str, relative: bool) -> Vec<u8> {
    let target = utf16(target);
    let len = u16::try_from(target.len()).unwrap();
    let mut payload: Vec<_> = [0, len, len, len].into_iter().flat_map(u16::to_le_bytes).collect();
    payload.extend_from_slice(&u32::from(relative).to_le_bytes());
    reparse(0xA000_000C, &[payload, target.clone(), target].concat())
}

pub(crate) fn junction(target: &str) -> Vec<u8> {
    let (real, shown) = (utf16(&format!("\\??\\{target}\0")), utf16(&format!("{target}\0")));
    let (real_len, shown_len) = (u16::try_from(real.len()).unwrap(), u16::try_from(shown.len()).unwrap());
    let lens = [0, real_len - 2, real_len, shown_len - 2];
    let payload: Vec<_> = lens.into_iter().flat_map(u16::to_le_bytes).collect();
    reparse(0xA000_0003, &[payload, real, shown].concat())
}

pub(crate) fn lx_symlink(target: &str) -> Vec<u8> {
    reparse(0xA000_001D, &[&2_u32.to_le_bytes()[..], target.as_bytes()].concat())
}

/// A tag that is not Microsoft's, with a GUID.
pub(crate) fn third_party(payload: &[u8]) -> Vec<u8> {
    let guid: [u8; 16] = std::array::from_fn(|index| 0xA0 + index as u8);
    let len = u16::try_from(payload.len()).unwrap();
    [&0x0000_4242_u32.to_le_bytes()[..], &len.to_le_bytes(), &[0, 0], &guid, payload].concat()
}

// Backup streams.

/// One stream; `name` only for alternate data.
pub(crate) fn backup(id: u32, attributes: u32, name: &str, payload: &[u8]) -> Vec<u8> {
    let name = if name.is_empty() { Vec::new() } else { utf16(&format!(":{name}:$DATA")) };
    [
        &id.to_le_bytes()[..],
        &attributes.to_le_bytes(),
        &(payload.len() as u64).to_le_bytes(),
        &u32::try_from(name.len()).unwrap().to_le_bytes(),
        &name,
        payload,
    ]
    .concat()
}

pub(crate) fn data(payload: &[u8]) -> Vec<u8> {
    backup(1, 0, "", payload)
}

pub(crate) fn alternate(name: &str, payload: &[u8]) -> Vec<u8> {
    backup(4, 0, name, payload)
}

/// A SPARSE_BLOCK; without data it is the terminator.
pub(crate) fn block(offset: u64, data: &[u8]) -> Vec<u8> {
    backup(9, 8, "", &[&offset.to_le_bytes()[..], data].concat())
}

/// Metadata of an encrypted file, as far as ntfs-3g looks into it.
pub(crate) fn efs() -> Vec<u8> {
    let mut efs = vec![0; 256];
    for (at, value) in [(0, 256_u32), (8, 2), (0x40, 0x54)] {
        efs[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    efs
}
