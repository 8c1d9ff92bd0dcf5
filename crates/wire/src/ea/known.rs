//! What known EAs mean: those of the Windows Subsystem for Linux (WSL), which Linux drivers write as well.
//!
//! | name | value |
//! | --- | --- |
//! | `$LXUID`, `$LXGID`, `$LXMOD` | u32: owner, group, mode with the file type |
//! | `$LXDEV` | 8 bytes: u32 major, u32 minor (WSL, ntfs-3g); or 4 bytes: a `dev_t` (kernel ntfs3) |
//! | `LX.NAME` | `lxea`, then the value of the Linux extended attribute NAME |
//! | `LXATTRB` (WSL 1) | 56 bytes, see [`LxAttributes`] |
//! | `LXXATTR` (WSL 1) | u16 flags, u16 version 1, then entries {u32 next, u16 value size, u8 name size, name, value} |
//!
//! Sources: wslattr and the Linux drivers; Microsoft documents only that the names exist.

use std::fmt;

use super::Ea;
use crate::bytes;
use crate::name::Name;

/// The meaning of an EA that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Known<'a> {
    /// `$LXUID`: the owner.
    Uid(u32),
    /// `$LXGID`: the group.
    Gid(u32),
    /// `$LXMOD`: the mode, file type included.
    Mode(u32),
    /// `$LXDEV`: what device a character or block special file is.
    Device {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// `LX.NAME`: a Linux extended attribute.
    Xattr {
        /// NAME, in upper case when NTFS has stored it.
        name: &'a [u8],
        /// Its value, without `lxea`.
        value: &'a [u8],
    },
    /// `LXATTRB`.
    Attributes(LxAttributes),
    /// `LXXATTR`: names and values of Linux extended attributes.
    Xattrs(Vec<(&'a [u8], &'a [u8])>),
}

/// `LXATTRB`: the attributes of a file of WSL 1, 56 bytes.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0 | 2 | flags, 0 |
/// | 2 | 2 | version, 1 |
/// | 4 | 4 | mode |
/// | 8 | 4 | uid |
/// | 12 | 4 | gid |
/// | 16 | 4 | rdev, a `dev_t` of the Linux kernel: major << 20 \| minor |
/// | 20 | 12 | nanoseconds of the access, modification and change times |
/// | 32 | 24 | seconds of the access, modification and change times, since 1970 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LxAttributes {
    /// The mode, file type included.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The major number of a device file.
    pub major: u32,
    /// The minor number of a device file.
    pub minor: u32,
    /// Access, modification and change time: seconds since 1970, and nanoseconds.
    pub times: [(u64, u32); 3],
}

/// The meaning of `ea`; `None` when its name is not known or its value has not the layout of that name.
#[must_use]
pub fn known<'a>(ea: &'a Ea<'_>) -> Option<Known<'a>> {
    let value: &[u8] = &ea.value;
    let name = ea.name.to_ascii_uppercase();
    Some(match name.as_slice() {
        b"$LXUID" => Known::Uid(u32_value(value)?),
        b"$LXGID" => Known::Gid(u32_value(value)?),
        b"$LXMOD" => Known::Mode(u32_value(value)?),
        b"$LXDEV" => {
            let (major, minor) = match value.len() {
                4 => split_dev(u32_value(value)?),
                8 => (bytes::u32_at(value, 0)?, bytes::u32_at(value, 4)?),
                _ => return None,
            };
            Known::Device { major, minor }
        }
        b"LXATTRB" => Known::Attributes(lx_attributes(value)?),
        b"LXXATTR" => Known::Xattrs(lx_xattrs(value)?),
        [b'L', b'X', b'.', _, ..] => {
            Known::Xattr { name: ea.name.get(3..)?, value: value.strip_prefix(b"lxea")? }
        }
        _ => return None,
    })
}

/// One line for people on what `ea` means; `None` as for [`known`].
#[must_use]
pub fn describe(ea: &Ea<'_>) -> Option<String> {
    known(ea).map(|known| known.to_string())
}

fn u32_value(value: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(value.try_into().ok()?))
}

/// Major and minor number of a `dev_t`, as the Linux kernel has it inside: 12 bits and 20 bits.
///
/// ntfs3 stores `i_rdev` itself, not the encoding that user space gets from `stat`.
fn split_dev(dev: u32) -> (u32, u32) {
    (dev >> 20, dev & 0xF_FFFF)
}

fn lx_attributes(value: &[u8]) -> Option<LxAttributes> {
    let field = |offset| bytes::u32_at(value, offset);
    if value.len() != 56 || bytes::u16_at(value, 2)? != 1 {
        return None;
    }
    let (major, minor) = split_dev(field(16)?);
    let time = |index: usize| Some((bytes::u64_at(value, 32 + 8 * index)?, field(20 + 4 * index)?));
    Some(LxAttributes {
        mode: field(4)?,
        uid: field(8)?,
        gid: field(12)?,
        major,
        minor,
        times: [time(0)?, time(1)?, time(2)?],
    })
}

fn lx_xattrs(value: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if bytes::u16_at(value, 2)? != 1 {
        return None;
    }
    let mut rest = value.get(4..)?;
    let mut xattrs = Vec::new();
    while !rest.is_empty() {
        let next = bytes::u32_at(rest, 0)? as usize;
        let value_len = usize::from(bytes::u16_at(rest, 4)?);
        let name_len = usize::from(*rest.get(6)?);
        let value_at = 7 + name_len;
        xattrs.push((bytes::slice_at(rest, 7, name_len)?, bytes::slice_at(rest, value_at, value_len)?));
        if next == 0 {
            break;
        }
        if next < value_at + value_len {
            return None;
        }
        rest = rest.get(next..)?;
    }
    Some(xattrs)
}

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "WSL owner: uid {uid}"),
            Self::Gid(gid) => write!(f, "WSL group: gid {gid}"),
            Self::Mode(mode) => write!(f, "WSL mode: {mode:07o}"),
            Self::Device { major, minor } => write!(f, "WSL device: {major}:{minor}"),
            Self::Xattr { name, value } => write!(f, "WSL xattr {}: {} bytes", text(name), value.len()),
            Self::Attributes(LxAttributes { mode, uid, gid, major, minor, .. }) => {
                write!(f, "WSL 1 attributes: mode {mode:07o}, uid {uid}, gid {gid}, device {major}:{minor}")
            }
            Self::Xattrs(xattrs) => {
                f.write_str("WSL 1 xattrs:")?;
                for (index, (name, value)) in xattrs.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {} ({} bytes)", text(name), value.len())?;
                }
                Ok(())
            }
        }
    }
}

/// `bytes` for people, control characters escaped.
fn text(bytes: &[u8]) -> Name {
    Name::from(&*String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn described(name: &'static str, value: &[u8]) -> Option<String> {
        describe(&Ea::new(0, name.as_bytes(), value))
    }

    #[test]
    fn bs_72_lxdev_has_8_bytes_or_4() {
        let device = |value: &[u8]| known(&Ea::new(0, b"$LXDEV", value)).map(|known| known.to_string());
        // /dev/sda1, 8:1, and one whose minor number needs more than 8 bits.
        assert_eq!(device(b"\x08\0\0\0\x01\0\0\0").unwrap(), "WSL device: 8:1");
        assert_eq!(device(b"\x01\0\x80\0").unwrap(), "WSL device: 8:1");
        assert_eq!(device(b"\xFF\xFF\x3F\x10").unwrap(), "WSL device: 259:1048575");
        for bad in [&b""[..], b"\0\0\0", b"\0\0\0\0\0", b"\0\0\0\0\0\0\0\0\0"] {
            assert_eq!(device(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn values_of_wsl_2_are_understood() {
        assert_eq!(described("$LXUID", b"\xE8\x03\0\0").unwrap(), "WSL owner: uid 1000");
        assert_eq!(described("$lxgid", b"\x64\0\0\0").unwrap(), "WSL group: gid 100");
        assert_eq!(described("$LXMOD", b"\xA4\x81\0\0").unwrap(), "WSL mode: 0100644");
        assert_eq!(described("$LXMOD", b"\xA4\x81"), None);
        assert_eq!(described("LX.USER.A", b"lxeavalue").unwrap(), "WSL xattr USER.A: 5 bytes");
        assert_eq!(described("LX.", b"lxeavalue"), None);
        assert_eq!(described("LX.USER.A", b"value"), None);
        assert_eq!(described("OTHER", b"value"), None);
    }

    #[test]
    fn values_of_wsl_1_are_understood() {
        let words = [0x1_0000_u32, 0o100_600, 1, 2, 5 << 20 | 3, 10, 11, 12];
        let mut value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        value.extend([20_u64, 21, 22].iter().flat_map(|seconds| seconds.to_le_bytes()));
        let ea = Ea::new(0, b"LXATTRB", value.clone());
        let Some(Known::Attributes(attributes)) = known(&ea) else { panic!("{:?}", known(&ea)) };
        assert_eq!(attributes.times, [(20, 10), (21, 11), (22, 12)]);
        assert_eq!(
            described("LXATTRB", &value).unwrap(),
            "WSL 1 attributes: mode 0100600, uid 1, gid 2, device 5:3"
        );
        assert_eq!(described("LXATTRB", &value[..55]), None);

        let xattrs = b"\0\0\x01\0\x0A\0\0\0\x01\0\x01av?\0\0\0\0\x02\0\x01bxy";
        assert_eq!(described("LXXATTR", xattrs).unwrap(), "WSL 1 xattrs: a (1 bytes), b (2 bytes)");
        assert_eq!(described("LXXATTR", &xattrs[..xattrs.len() - 1]), None);
        let mut backwards = xattrs.to_vec();
        backwards[4] = 1;
        assert_eq!(described("LXXATTR", &backwards), None);
    }

    proptest! {
        #[test]
        fn any_value_is_described_or_not(
            name in "(\\$LXUID|\\$LXDEV|LXATTRB|LXXATTR|LX\\.A|X)",
            value: Vec<u8>,
        ) {
            let _ = describe(&Ea::new(0, name.as_bytes(), value.as_slice()));
            let _ = describe(&Ea::new(0, name.as_bytes(), [b"\0\0\x01\0", &value[..]].concat()));
        }
    }
}
