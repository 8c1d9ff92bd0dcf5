//! What a reparse point leads to: the data of the tags whose layout is known.
//!
//! | tag | data |
//! | --- | --- |
//! | MOUNT_POINT | four u16: offset and size of the substitute name, of the print name; the names, UTF-16LE |
//! | SYMLINK | the same, with a u32 of flags before the names |
//! | NFS | u64 type: `LNK`, then the target, UTF-16LE; `CHR`, `BLK`, then u32 major, u32 minor; `FIFO`, `SOCK`, nothing |
//! | LX_SYMLINK | u32 version 2, then the target as Linux has it |
//! | AF_UNIX, LX_FIFO, LX_CHR, LX_BLK | nothing; device numbers are in the EA `$LXDEV` |
//! | WOF | see [`Wof`] |
//! | APPEXECLINK | u32 version 3, then NUL-terminated UTF-16LE strings |
//!
//! Offsets and sizes of names are in bytes, offsets from the end of the fixed fields; a NUL after a name does not
//! count.
//! Sources: \[MS-FSCC\] 2.1.2.4 to 2.1.2.7; wimlib for WOF; several readers for APPEXECLINK, which Microsoft does not
//! document.

use std::fmt;

use super::link;
use super::tag::ReparseTag;
use super::wof::Wof;
use crate::bytes;
use crate::error::{Error, Format, Result};
use crate::name::Name;

/// The flag of a symbolic link whose substitute name is relative to the directory of the link (\[MS-FSCC\] 2.1.2.4).
pub const SYMLINK_FLAG_RELATIVE: u32 = 1;

/// What a reparse point leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// A junction, or a mounted volume (\[MS-FSCC\] 2.1.2.5).
    MountPoint {
        /// The name that Windows follows, such as `\??\C:\target`.
        substitute: Name,
        /// The name that people see; often empty.
        print: Name,
    },
    /// A symbolic link (\[MS-FSCC\] 2.1.2.4).
    Symlink {
        /// The name that Windows follows.
        substitute: Name,
        /// The name that people see.
        print: Name,
        /// Whether the substitute name is relative to the directory of the link.
        relative: bool,
        /// All flags, [`SYMLINK_FLAG_RELATIVE`] included.
        flags: u32,
    },
    /// A special file that a client of NFS made (\[MS-FSCC\] 2.1.2.6).
    Nfs(Nfs),
    /// A symbolic link of the Windows Subsystem for Linux (\[MS-FSCC\] 2.1.2.7).
    LxSymlink {
        /// The target as Linux has it, mostly UTF-8.
        target: &'a [u8],
    },
    /// A Unix domain socket.
    AfUnix,
    /// A FIFO.
    LxFifo,
    /// A character special file; its numbers are in the EA `$LXDEV`.
    LxChr,
    /// A block special file; its numbers are in the EA `$LXDEV`.
    LxBlk,
    /// A file of the Windows Overlay Filter.
    Wof(Wof<'a>),
    /// An alias that starts an application.
    AppExecLink {
        /// 3 in all that are known.
        version: u32,
        /// Package id, application user model id, path of the executable, kind of application.
        strings: Vec<Name>,
    },
    /// Anything else: the data.
    Opaque(&'a [u8]),
}

/// A special file that a client of NFS made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nfs {
    /// `NFS_SPECFILE_LNK`: a symbolic link, and its target as the client gave it.
    Symlink(Name),
    /// `NFS_SPECFILE_CHR`: a character special file.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// `NFS_SPECFILE_BLK`: a block special file.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// `NFS_SPECFILE_FIFO`.
    Fifo,
    /// `NFS_SPECFILE_SOCK`.
    Socket,
}

impl<'a> Target<'a> {
    /// The target in `data`, the bytes after the header of a reparse buffer. Tags that are not known are
    /// [`Target::Opaque`].
    ///
    /// # Errors
    /// Data that do not have the layout of the tag; the offset counts from the start of `data`.
    pub(super) fn decode(tag: ReparseTag, data: &'a [u8]) -> Result<Self> {
        let marker = |target| match data.len() {
            0 => Ok(target),
            size => Err(value(0, "size of the data", size as u64, "no data for this tag")),
        };
        match tag {
            ReparseTag::MOUNT_POINT => {
                let [substitute, print] = link::decode_names(data, 8)?;
                Ok(Self::MountPoint { substitute, print })
            }
            ReparseTag::SYMLINK => {
                let [substitute, print] = link::decode_names(data, 12)?;
                let flags = bytes::u32_at(data, 8).ok_or_else(|| cut("symbolic link", 12, data))?;
                Ok(Self::Symlink { substitute, print, relative: flags & SYMLINK_FLAG_RELATIVE != 0, flags })
            }
            ReparseTag::NFS => Nfs::decode(data).map(Self::Nfs),
            ReparseTag::LX_SYMLINK => {
                let (&version, target) =
                    data.split_first_chunk().ok_or_else(|| cut("LX symlink version", 4, data))?;
                match u32::from_le_bytes(version) {
                    2 => Ok(Self::LxSymlink { target }),
                    found => Err(value(0, "LX symlink version", found.into(), "2")),
                }
            }
            ReparseTag::AF_UNIX => marker(Self::AfUnix),
            ReparseTag::LX_FIFO => marker(Self::LxFifo),
            ReparseTag::LX_CHR => marker(Self::LxChr),
            ReparseTag::LX_BLK => marker(Self::LxBlk),
            ReparseTag::WOF => Wof::decode(data).map(Self::Wof),
            ReparseTag::APPEXECLINK => app_exec_link(data),
            _ => Ok(Self::Opaque(data)),
        }
    }

    /// The target of a symbolic link as `symlink` of Linux takes it: one that means the same there.
    ///
    /// A relative link of Windows gets `/` for `\` and is WTF-8; links of WSL and NFS are taken as they are. `None` for
    /// junctions and absolute links of Windows, which begin at a drive or a share, for one that begins at the root of
    /// its volume (`\dir`), for an empty target and one with a NUL, and for everything that is no link.
    #[must_use]
    pub fn linux_target(&self) -> Option<Vec<u8>> {
        let target = match self {
            Self::Symlink { substitute, relative: true, .. } => {
                let slash = |unit: &u16| if *unit == u16::from(b'\\') { u16::from(b'/') } else { *unit };
                let target = Name::from_units(substitute.units().iter().map(slash).collect()).to_wtf8();
                (!target.starts_with(b"/")).then_some(target)?
            }
            Self::LxSymlink { target } => target.to_vec(),
            Self::Nfs(Nfs::Symlink(target)) => target.to_wtf8(),
            _ => return None,
        };
        (!target.is_empty() && !target.contains(&0)).then_some(target)
    }
}

impl Nfs {
    const LNK: u64 = 0x0000_0000_014B_4E4C;
    const CHR: u64 = 0x0000_0000_0052_4843;
    const BLK: u64 = 0x0000_0000_004B_4C42;
    const FIFO: u64 = 0x0000_0000_4F46_4946;
    const SOCK: u64 = 0x0000_0000_4B43_4F53;

    fn decode(data: &[u8]) -> Result<Self> {
        let (&kind, rest) = data.split_first_chunk().ok_or_else(|| cut("NFS type", 8, data))?;
        let wrong_size = |expected| value(8, "size of the NFS data", rest.len() as u64, expected);
        let device = || match rest.as_chunks::<4>() {
            (&[major, minor], []) => Ok((u32::from_le_bytes(major), u32::from_le_bytes(minor))),
            _ => Err(wrong_size("8 bytes for a device")),
        };
        let nothing =
            |this| if rest.is_empty() { Ok(this) } else { Err(wrong_size("no data for this type")) };
        match u64::from_le_bytes(kind) {
            Self::LNK => Name::from_utf16_le(rest)
                .map(Self::Symlink)
                .ok_or_else(|| wrong_size("an even number of bytes for a symbolic link")),
            Self::CHR => device().map(|(major, minor)| Self::CharDevice { major, minor }),
            Self::BLK => device().map(|(major, minor)| Self::BlockDevice { major, minor }),
            Self::FIFO => nothing(Self::Fifo),
            Self::SOCK => nothing(Self::Socket),
            found => Err(value(0, "NFS type", found, "LNK, CHR, BLK, FIFO or SOCK")),
        }
    }
}

fn app_exec_link(data: &[u8]) -> Result<Target<'_>> {
    let (&version, text) = data.split_first_chunk().ok_or_else(|| cut("app exec link version", 4, data))?;
    let odd = || value(4, "size of the app exec link strings", text.len() as u64, "an even number of bytes");
    let text = Name::from_utf16_le(text).ok_or_else(odd)?;
    let mut strings: Vec<Name> =
        text.units().split(|unit| *unit == 0).map(|units| Name::from_units(units.to_vec())).collect();
    // What follows the last NUL: nothing, or a string that lacks its NUL.
    if strings.last().is_some_and(Name::is_empty) {
        strings.pop();
    }
    Ok(Target::AppExecLink { version: u32::from_le_bytes(version), strings })
}

fn value(offset: u64, what: &'static str, found: u64, expected: &'static str) -> Error {
    Error::value(Format::Reparse, offset, what, found, expected)
}

fn cut(what: &'static str, needed: u64, data: &[u8]) -> Error {
    Error::truncated(Format::Reparse, 0, what, needed, data.len() as u64)
}

/// One line for people.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MountPoint { substitute, print } => {
                let is_volume = link::is_volume(substitute);
                write!(f, "{} {substitute}", if is_volume { "mount point of" } else { "junction to" })?;
                shown_as(f, substitute, print)
            }
            Self::Symlink { substitute, print, relative, .. } => {
                write!(f, "symlink to {substitute}{}", if *relative { " (relative)" } else { "" })?;
                shown_as(f, substitute, print)
            }
            Self::Nfs(Nfs::Symlink(target)) => write!(f, "NFS symlink to {target}"),
            Self::Nfs(Nfs::CharDevice { major, minor }) => write!(f, "NFS character device {major}:{minor}"),
            Self::Nfs(Nfs::BlockDevice { major, minor }) => write!(f, "NFS block device {major}:{minor}"),
            Self::Nfs(Nfs::Fifo) => f.write_str("NFS FIFO"),
            Self::Nfs(Nfs::Socket) => f.write_str("NFS socket"),
            Self::LxSymlink { target } => {
                write!(f, "LX symlink to {}", Name::from(&*String::from_utf8_lossy(target)))
            }
            Self::AfUnix => f.write_str("Unix domain socket"),
            Self::LxFifo => f.write_str("LX FIFO"),
            Self::LxChr => f.write_str("LX character device"),
            Self::LxBlk => f.write_str("LX block device"),
            Self::Wof(wof) => wof.fmt(f),
            Self::AppExecLink { strings, .. } => match &strings[..] {
                [package, application, path, ..] => {
                    write!(f, "app execution alias of {path}, package {package}, application {application}")
                }
                _ => write!(f, "app execution alias, {} strings", strings.len()),
            },
            Self::Opaque(data) => write!(f, "{} bytes of data", data.len()),
        }
    }
}

/// The print name, where it is another one.
fn shown_as(f: &mut fmt::Formatter<'_>, substitute: &Name, print: &Name) -> fmt::Result {
    if print == substitute { Ok(()) } else { write!(f, ", shown as {print}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        Name::from(text).to_utf16_le()
    }

    fn symlink(text: &str, relative: bool) -> Target<'static> {
        Target::Symlink { substitute: text.into(), print: "".into(), relative, flags: relative.into() }
    }

    #[test]
    fn special_files_of_nfs_are_understood() {
        let decode = |kind: &[u8], rest: &[u8]| {
            let mut data = kind.to_vec();
            data.resize(8, 0);
            data.extend_from_slice(rest);
            Target::decode(ReparseTag::NFS, &data).map(|target| (target.to_string(), target.linux_target()))
        };
        let link = decode(b"LNK\x01", &utf16("../a\\b")).unwrap();
        assert_eq!(link, ("NFS symlink to ../a\\b".to_owned(), Some(b"../a\\b".to_vec())));
        assert_eq!(decode(b"CHR", b"\x05\0\0\0\x01\0\0\0").unwrap().0, "NFS character device 5:1");
        assert_eq!(decode(b"BLK", b"\x08\0\0\0\x02\0\0\0").unwrap().0, "NFS block device 8:2");
        assert_eq!(decode(b"FIFO", b"").unwrap().0, "NFS FIFO");
        assert_eq!(decode(b"SOCK", b"").unwrap().0, "NFS socket");
        for (kind, rest) in [
            (&b"LNK\x01"[..], &b"a"[..]),
            (b"CHR", b"\0\0\0\0"),
            (b"BLK", &[0; 9]),
            (b"FIFO", b"x"),
            (b"DOOR", b""),
        ] {
            assert_eq!(decode(kind, rest).unwrap_err().win32().0, 4392, "{kind:?}");
        }
        assert!(Target::decode(ReparseTag::NFS, b"LNK\x01\0\0\0").is_err());
    }

    #[test]
    fn special_files_of_wsl_are_understood() {
        let decode = |tag, data| Target::decode(tag, data).map(|target| target.to_string());
        assert_eq!(decode(ReparseTag::AF_UNIX, b"").unwrap(), "Unix domain socket");
        assert_eq!(decode(ReparseTag::LX_FIFO, b"").unwrap(), "LX FIFO");
        assert_eq!(decode(ReparseTag::LX_CHR, b"").unwrap(), "LX character device");
        assert_eq!(decode(ReparseTag::LX_BLK, b"").unwrap(), "LX block device");
        assert!(decode(ReparseTag::LX_BLK, b"\0").is_err());
        assert_eq!(decode(ReparseTag::LX_SYMLINK, b"\x02\0\0\0/a\nb").unwrap(), "LX symlink to /a\\u{a}b");
        assert!(decode(ReparseTag::LX_SYMLINK, b"\x01\0\0\0").is_err());
        assert!(decode(ReparseTag::LX_SYMLINK, b"\x02\0\0").is_err());
    }

    #[test]
    fn app_execution_aliases_are_understood() {
        let alias = |text: &str| [b"\x03\0\0\0", &utf16(text)[..]].concat();
        let data = alias("Id\0Id!App\0C:\\x.exe\x000\0");
        let target = Target::decode(ReparseTag::APPEXECLINK, &data).unwrap();
        let strings = ["Id", "Id!App", "C:\\x.exe", "0"].map(Name::from).to_vec();
        assert_eq!(target, Target::AppExecLink { version: 3, strings });
        assert_eq!(target.to_string(), "app execution alias of C:\\x.exe, package Id, application Id!App");

        let count =
            |data: &[u8]| Target::decode(ReparseTag::APPEXECLINK, data).map(|target| target.to_string());
        assert_eq!(count(&alias("")).unwrap(), "app execution alias, 0 strings");
        assert_eq!(count(&alias("a\0b")).unwrap(), "app execution alias, 2 strings");
        assert!(count(b"\x03\0\0\0a").is_err());
        assert!(count(b"\x03\0\0").is_err());
    }

    #[test]
    fn linux_can_follow_relative_links_only() {
        assert_eq!(symlink(r"..\dir\x", true).linux_target().unwrap(), b"../dir/x");
        assert_eq!(symlink(r"ä😀", true).linux_target().unwrap(), "ä😀".as_bytes());
        let lone = Target::Symlink {
            substitute: Name::from_units(vec![0xD800]),
            print: Name::default(),
            relative: true,
            flags: 1,
        };
        assert_eq!(lone.linux_target().unwrap(), b"\xED\xA0\x80");
        for absolute in
            [symlink(r"\??\C:\x", false), symlink(r"\dir", true), symlink("", true), symlink("a\0", true)]
        {
            assert_eq!(absolute.linux_target(), None, "{absolute}");
        }
        assert_eq!(Target::LxSymlink { target: b"/a\xFF" }.linux_target().unwrap(), b"/a\xFF");
        assert_eq!(Target::LxSymlink { target: b"/a\0" }.linux_target(), None);
        assert_eq!(Target::AfUnix.linux_target(), None);
    }

    proptest! {
        #[test]
        fn any_data_are_decoded_or_refused(
            tag in prop::sample::select(vec![
                ReparseTag::MOUNT_POINT, ReparseTag::SYMLINK, ReparseTag::NFS, ReparseTag::LX_SYMLINK,
                ReparseTag::WOF, ReparseTag::APPEXECLINK, ReparseTag::AF_UNIX, ReparseTag::DEDUP,
            ]),
            data: Vec<u8>,
        ) {
            if let Ok(target) = Target::decode(tag, &data) {
                let _ = (target.to_string(), target.linux_target());
            }
        }
    }
}
