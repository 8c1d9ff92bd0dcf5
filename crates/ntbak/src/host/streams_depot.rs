//! Named streams that Samba's module `streams_depot` keeps as files of their own. They are read, and removed when
//! something else takes their place; ntbak writes none.
//!
//! | what | where |
//! | --- | --- |
//! | mark | `user.SAMBA_STREAMS` of the owner: without it, what the depot has was another file's |
//! | depot | the directory `.streams` in the root of the share |
//! | streams of one file | in it, `XX/YY/ID/`; ID: device and inode, u64 little-endian each, as 32 upper-case hex digits |
//! | a stream | in that, the file `:NAME:$DATA` |
//!
//! XX and YY are the lowest and the next byte of a hash over the 16 bytes of ID. Seen from smbd 4.17; the depot can be
//! put elsewhere (`streams_depot:directory`), where it is not found.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ntbak_wire::Name;
use ntbak_wire::record::{Extent, Extents, StreamFlags, StreamHead};
use ntbak_wire::samba::stream;
use ntbak_wire::stream::StreamName;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::holes;
use crate::host::node::{Node, Spot};
use crate::memory::StreamKey;
use crate::source::size;

/// The attribute by which a file says that the depot has streams of it.
pub(crate) const MARK: &str = "user.SAMBA_STREAMS";

const DIRECTORY: &str = ".streams";
/// How many directories upwards a depot is looked for: more than a path has components.
const MAX_STEPS: usize = 2048;
/// The most streams of one file.
const MAX_STREAMS: usize = 1 << 18;

/// The streams of one file in a depot.
#[derive(Debug)]
pub(crate) struct Depot {
    /// The directory with them.
    dir: OwnedFd,
    pub(crate) streams: Vec<DepotStream>,
    /// What is there and is no stream, and why.
    pub(crate) unreadable: Vec<(OsString, String)>,
}

/// A named stream in a depot.
#[derive(Debug)]
pub(crate) struct DepotStream {
    pub(crate) name: StreamName,
    pub(crate) head: StreamHead,
    file: OsString,
}

impl Depot {
    /// The streams of `node`, which has the mark; `Err` inside says why they are out of reach.
    pub(crate) fn open(node: &Node, spot: &Spot, stat: &Stat) -> Result<std::result::Result<Self, String>> {
        let fault = |error| Error::io("looking for Samba's streams", error);
        let dir = match find(node, spot, stat) {
            Ok(Ok(dir)) => dir,
            Ok(Err(why)) => return Ok(Err(why)),
            Err(Errno::ACCESS | Errno::PERM) => return Ok(Err("access to it is denied".to_owned())),
            Err(error) => return Err(fault(error)),
        };
        let mut depot = Self { dir, streams: Vec::new(), unreadable: Vec::new() };
        let mut names = Vec::new();
        for entry in Dir::read_from(&depot.dir).map_err(fault)? {
            let name = entry.map_err(fault)?.file_name().to_owned();
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            if names.len() == MAX_STREAMS {
                depot.unreadable.push((OsString::new(), format!("it has more than {MAX_STREAMS} streams")));
                break;
            }
            names.push(OsString::from_vec(name.into_bytes()));
        }
        // A directory has them in the order of chance.
        names.sort();
        let mut keys = HashSet::new();
        for name in names {
            match depot.enter(&name) {
                Ok(stream) if keys.insert(StreamKey::of(Some(&stream.name))) => depot.streams.push(stream),
                Ok(_) => depot.unreadable.push((name, "another stream differs in case only".to_owned())),
                Err(why) => depot.unreadable.push((name, why)),
            }
        }
        Ok(Ok(depot))
    }

    fn enter(&self, file: &OsStr) -> std::result::Result<DepotStream, String> {
        let name = stream_of(file.as_bytes()).ok_or("no stream has a name like this")?;
        let io = |error: Errno| error.to_string();
        let stat = rustix::fs::statat(&self.dir, file, AtFlags::SYMLINK_NOFOLLOW).map_err(io)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("it is no regular file".to_owned());
        }
        let head = StreamHead::plain(Some(name.clone()), size(&stat));
        let mut stream = DepotStream { name, head, file: file.to_owned() };
        let whole = Extent { offset: 0, len: stream.head.size };
        // A file that takes less room than it has bytes has holes, or is compressed by the file system.
        if u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) < whole.len {
            let fd = self.open_file(&stream).map_err(io)?;
            if holes::next_native(&fd, 0).map_err(|error| error.reason())? != Some(whole) {
                stream.head.flags = StreamFlags::SPARSE;
                stream.head.extents = Extents::Unknown;
            }
        }
        Ok(stream)
    }

    fn open_file(&self, stream: &DepotStream) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, &stream.file, flags, Mode::empty())
    }

    /// Opens the content of a stream.
    pub(crate) fn content(&self, stream: &DepotStream) -> Result<OwnedFd> {
        self.open_file(stream).map_err(|error| Error::io("opening a stream of Samba's depot", error))
    }

    /// Removes the streams with these keys: they would hide what took their place.
    pub(crate) fn remove(&self, keys: &HashSet<StreamKey>) -> Result<()> {
        for stream in self.streams.iter().filter(|stream| keys.contains(&StreamKey::of(Some(&stream.name)))) {
            match rustix::fs::unlinkat(&self.dir, &stream.file, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => {
                    let what = format!(
                        "removing {} of Samba's depot, which is out of date now",
                        stream.file.display()
                    );
                    return Err(Error::io(what, error));
                }
            }
        }
        Ok(())
    }
}

/// The directory with the streams of a file: from where the file is up to the root of its file system.
fn find(node: &Node, spot: &Spot, stat: &Stat) -> rustix::io::Result<std::result::Result<OwnedFd, String>> {
    let path = path_of(stat.st_dev, stat.st_ino);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |dir: &OwnedFd, name: &str, flags| rustix::fs::openat(dir, name, flags, Mode::empty());
    let mut dir = if node.is_directory() { node.open_content(flags)? } else { open(&spot.dir, ".", flags)? };
    let mut why = format!("no {DIRECTORY} above it has {path}");
    for _ in 0..MAX_STEPS {
        let here = rustix::fs::fstat(&dir)?;
        if here.st_dev != stat.st_dev {
            break;
        }
        match open(&dir, DIRECTORY, flags | OFlags::NOFOLLOW) {
            Ok(depot) => {
                // As for side files: where many may write, a depot could be planted. What is in it is its owner's matter.
                let owner = rustix::fs::fstat(&depot)?.st_uid;
                let trusted = [0, rustix::process::geteuid().as_raw(), here.st_uid, stat.st_uid];
                // One by one, so that no link leads to the streams of another file.
                let mut steps = path.split('/');
                let below = steps.try_fold(depot, |dir, name| open(&dir, name, flags | OFlags::NOFOLLOW));
                let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                match below.and_then(|dir| open(&dir, ".", readable)) {
                    Ok(streams) if trusted.contains(&owner) => return Ok(Ok(streams)),
                    Ok(_) => why = format!("{DIRECTORY} belongs to another user ({owner})"),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(error),
        }
        let above = open(&dir, "..", flags)?;
        let parent = rustix::fs::fstat(&above)?;
        if (parent.st_dev, parent.st_ino) == (here.st_dev, here.st_ino) {
            break;
        }
        dir = above;
    }
    Ok(Err(why))
}

/// Where a depot has the streams of a file.
fn path_of(device: u64, inode: u64) -> String {
    let id: Vec<u8> = [device.to_le_bytes(), inode.to_le_bytes()].concat();
    let mut hash = 0x38F1_3AF0_u32;
    for (byte, shift) in id.iter().zip((0_u32..).step_by(5)) {
        hash = hash.wrapping_add(u32::from(*byte) << (shift % 24));
    }
    let hash = hash.wrapping_mul(1_103_515_243).wrapping_add(12_345);
    let [first, second, ..] = hash.to_le_bytes();
    let id: String = id.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{first:02X}/{second:02X}/{id}")
}

/// The stream that a file of this name in a depot is.
fn stream_of(file: &[u8]) -> Option<StreamName> {
    let name = file.strip_prefix(b":")?;
    let (bare, kind) = name.split_at_checked(name.len().checked_sub(stream::SUFFIX.len())?)?;
    let known = kind.eq_ignore_ascii_case(stream::SUFFIX.as_bytes());
    StreamName::new(Name::from_wtf8(bare).filter(|_| known)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen on an ext4 of smbd 4.17: device 0xFE00.
    #[test]
    fn the_place_of_a_file_is_that_of_samba() {
        assert_eq!(path_of(0xFE00, 10_584_684), "F5/FC/00FE0000000000006C82A10000000000");
        assert_eq!(path_of(0xFE00, 10_600_954), "F5/FC/00FE000000000000FAC1A10000000000");
    }

    #[test]
    fn names_have_a_colon_and_their_type() {
        assert_eq!(stream_of(b":a b:$DATA").unwrap().to_string(), "a b");
        for other in [&b"a:$DATA"[..], b":a", b"::$DATA", b":$DATA", b"", b":", b":a/b:$DATA", b":a:$DATAX"] {
            assert_eq!(stream_of(other), None, "{other:?}");
        }
    }
}
