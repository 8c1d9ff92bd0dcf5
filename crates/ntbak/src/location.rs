/*!
What a user types to name a file: `PATH ['#' PARTITION] ['::' INSIDE]`.

| typed | what it is |
| --- | --- |
| `dir/file` | a file or directory of this machine |
| `dir/file:stream` | one of its streams |
| `disk.qcow2::` | the NTFS volume in a disk image, or on a device |
| `disk.qcow2::Users/bob/x.txt`, `disk.qcow2::\Users\bob\x.txt` | a file in it |
| `disk.qcow2::Users/bob/x.txt:stream` | one of its streams |
| `disk.qcow2#2::Windows` | the same on partition 2 |

A path that exists as it is typed wins over every reading of `\`, `:`, `#` and `::`.
*/

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, Win32Error};

use crate::error::{Error, Result};
use crate::memory::StreamKey;
use crate::ntfs_volume::{NtfsVolume, VolumeOptions};
use crate::place;
use crate::source::{FileSource, NtfsSource};
use crate::tree::NtfsTree;

/// Where a file is, by what the user typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this machine.
    Host {
        /// The file or directory.
        path: PathBuf,
        /// The stream behind the colon.
        stream: Option<StreamName>,
    },
    /// In an NTFS volume in a disk image or on a device.
    Image {
        /// The image or device.
        path: PathBuf,
        /// The number of the partition, where one was typed.
        partition: Option<u32>,
        /// The path in the volume, and perhaps a stream, as it was typed: empty for the volume as such.
        inside: Vec<u8>,
    },
}

impl Location {
    /// Reads what the user typed. Whether the parts of it are there decides how it is read; nothing is opened.
    #[must_use]
    pub fn parse(typed: &Path) -> Self {
        let whole = || Self::Host { path: typed.to_owned(), stream: None };
        let bytes = typed.as_os_str().as_bytes();
        // Most paths have none of these.
        if !bytes.iter().any(|byte| matches!(byte, b':' | b'#')) || exists(typed) {
            return whole();
        }
        for (at, _) in bytes.windows(2).enumerate().filter(|(_, pair)| pair == b"::") {
            let (Some(before), Some(inside)) = (bytes.get(..at), bytes.get(at + 2..)) else { continue };
            if inside.eq_ignore_ascii_case(b"$DATA") && is_disk(before) {
                return Self::Host { path: to_path(before), stream: None };
            }
            if let Some((path, partition)) = disk(before) {
                return Self::Image { path, partition, inside: inside.to_vec() };
            }
        }
        if let Some((path, partition @ Some(_))) = disk(bytes) {
            return Self::Image { path, partition, inside: Vec::new() };
        }
        file_and_stream(bytes).unwrap_or_else(whole)
    }

    /// As [`parse`](Self::parse), for who wants all that is there: a disk image as it is typed is the volume in it. What
    /// it is, its content says ([`ntbak_image::is_disk_image`]).
    #[must_use]
    pub fn parse_tree(typed: &Path) -> Self {
        match Self::parse(typed) {
            Self::Host { path, stream: None } if ntbak_image::is_disk_image(&path) => {
                Self::Image { path, partition: None, inside: Vec::new() }
            }
            location => location,
        }
    }

    /// The file or directory of this machine, or the image.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Host { path, .. } | Self::Image { path, .. } => path,
        }
    }
}

/// Whether there is something of this very name. On an ntfs-3g mount FILE:STREAM exists, but in no listing: it is the
/// stream that is meant.
fn exists(path: &Path) -> bool {
    if fs::symlink_metadata(path).is_err() {
        return false;
    }
    let Some(name) = path.file_name().filter(|name| name.as_bytes().contains(&b':')) else { return true };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parent
        .read_dir()
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() == name)))
}

/// `PATH` or `PATH#NUMBER`, when there is such a file or device.
fn disk(bytes: &[u8]) -> Option<(PathBuf, Option<u32>)> {
    if is_disk(bytes) {
        return Some((to_path(bytes), None));
    }
    let hash = bytes.iter().rposition(|byte| *byte == b'#')?;
    let (path, number) = bytes.split_at(hash);
    let number = std::str::from_utf8(number.get(1..)?).ok()?;
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
    is_disk(path).then(|| (to_path(path), Some(number)))
}

fn is_disk(bytes: &[u8]) -> bool {
    fs::metadata(to_path(bytes)).is_ok_and(|metadata| !metadata.is_dir())
}

fn to_path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

/// `FILE:STREAM`, the colon in the last name.
fn file_and_stream(bytes: &[u8]) -> Option<Location> {
    let begin = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let colon = bytes.get(begin..)?.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
    let (path, stream) = bytes.split_at(begin + colon);
    let stream = Name::from_wtf8(stream).and_then(|stream| StreamName::from_wire(&stream).ok())?;
    Some(Location::Host { path: to_path(path), stream: Some(stream) })
}

/// A file that was opened by its location.
pub struct Opened {
    place: Opening,
    /// As reports and errors call it.
    path: PathBuf,
    stream: Option<StreamName>,
}

enum Opening {
    Host(Box<dyn FileSource>),
    Volume(Box<NtfsVolume>, Box<NtfsSource>),
}

/// Opens the file or directory at `location`; `typed` is what reports and errors call it.
///
/// # Errors
/// It is not there, or cannot be read; an image is of a kind that is not read, has no NTFS volume, or several.
pub fn open(location: &Location, typed: &Path, options: VolumeOptions) -> Result<Opened> {
    match location {
        Location::Host { path, stream } => {
            let place = Opening::Host(place::open(path)?);
            Ok(Opened { place, path: path.clone(), stream: stream.clone() })
        }
        Location::Image { path, partition, inside } => {
            let volume = NtfsVolume::open(path, *partition, options)?;
            let mut found = volume.find(inside).map_err(|error| error.at_path(typed))?;
            let stream = found.stream.take();
            let mut path = typed.to_owned();
            if inside.is_empty() && !typed.as_os_str().as_bytes().ends_with(b"::") {
                path.as_mut_os_string().push("::");
            }
            let source = volume.source_of(found, &path);
            let place = Opening::Volume(Box::new(volume), Box::new(source));
            Ok(Opened { place, path, stream })
        }
    }
}

impl Opened {
    /// The file as a source.
    #[must_use]
    pub fn source(&self) -> &dyn FileSource {
        match &self.place {
            Opening::Host(source) => &**source,
            Opening::Volume(_, source) => &**source,
        }
    }

    /// The volume that it is on, and the file there, when it is in an image.
    #[must_use]
    pub fn on_volume(&self) -> Option<(&NtfsVolume, &NtfsSource)> {
        match &self.place {
            Opening::Host(_) => None,
            Opening::Volume(volume, source) => Some((volume, source)),
        }
    }

    /// The file as a source, alone.
    #[must_use]
    pub fn into_source(self) -> Box<dyn FileSource> {
        match self.place {
            Opening::Host(source) => source,
            Opening::Volume(_, source) => source,
        }
    }

    /// The file, and what is in it, as a tree, when it is in an image.
    #[must_use]
    pub fn into_tree(self) -> Option<NtfsTree> {
        match self.place {
            Opening::Host(_) => None,
            Opening::Volume(volume, source) => Some(NtfsTree::new(*volume, &source, &self.path)),
        }
    }

    /// As reports and errors call it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The stream that was typed.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamName> {
        self.stream.as_ref()
    }

    /// The number of that stream in the source, or of the unnamed one.
    ///
    /// # Errors
    /// It has none of that name (Win32 error 2).
    pub fn find_stream(&self) -> Result<usize> {
        let found = match &self.place {
            Opening::Volume(_, source) => source.find_stream(self.stream()),
            Opening::Host(source) => {
                let wanted = StreamKey::of(self.stream());
                let mut index = 0;
                loop {
                    match source.stream(index)? {
                        Some(head) if StreamKey::of(head.name.as_ref()) == wanted => break Some(index),
                        Some(_) => index += 1,
                        None => break None,
                    }
                }
            }
        };
        let why = || match &self.stream {
            Some(stream) => format!("it has no stream {stream}; `ntbak info` lists those that it has"),
            None => "a directory has no unnamed data stream".to_owned(),
        };
        found.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, why()).at_path(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(path: &Path, stream: Option<&str>) -> Location {
        let stream = stream.map(|name| StreamName::new(Name::from(name)).unwrap());
        Location::Host { path: path.to_owned(), stream }
    }

    fn image(path: &Path, partition: Option<u32>, inside: &str) -> Location {
        Location::Image { path: path.to_owned(), partition, inside: inside.into() }
    }

    #[test]
    fn what_is_there_decides_how_a_location_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let parse = |typed: &str| Location::parse(&at(typed));
        for name in ["disk", "odd#1::x", "file"] {
            fs::write(at(name), b"").unwrap();
        }
        fs::create_dir(at("dir")).unwrap();
        for (typed, expected) in [
            ("disk", host(&at("disk"), None)),
            ("none", host(&at("none"), None)),
            ("disk::", image(&at("disk"), None, "")),
            ("disk::a/b:c", image(&at("disk"), None, "a/b:c")),
            ("disk::a::b", image(&at("disk"), None, "a::b")),
            ("disk#12::\\a", image(&at("disk"), Some(12), "\\a")),
            ("disk#2", image(&at("disk"), Some(2), "")),
            ("disk#", host(&at("disk#"), None)),
            ("disk#99999999999", host(&at("disk#99999999999"), None)),
            ("none::a", host(&at("none::a"), None)),
            ("file:stream", host(&at("file"), Some("stream"))),
            ("file:stream:$DATA", host(&at("file"), Some("stream"))),
            ("file::$data", host(&at("file"), None)),
            ("dir:stream", host(&at("dir"), Some("stream"))),
            // A directory is no disk.
            ("dir::a", host(&at("dir::a"), None)),
            ("odd#1::x", host(&at("odd#1::x"), None)),
            ("odd#1::x::y", image(&at("odd#1::x"), None, "y")),
            ("odd#1::x#3::y", image(&at("odd#1::x"), Some(3), "y")),
        ] {
            assert_eq!(parse(typed), expected, "{typed}");
        }
    }
    #[test]
    fn a_disk_image_by_itself_is_its_volume() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("disk"), b"QFI\xFB").unwrap();
        fs::write(at("file"), b"text").unwrap();
        let parse = |typed: &str| Location::parse_tree(&at(typed));
        assert_eq!(parse("disk"), image(&at("disk"), None, ""));
        assert_eq!(parse("disk#1::x"), image(&at("disk"), Some(1), "x"));
        assert_eq!(parse("disk:stream"), host(&at("disk"), Some("stream")));
        assert_eq!((parse("file"), parse("")), (host(&at("file"), None), host(dir.path(), None)));
        assert_eq!(Location::parse(&at("disk")), host(&at("disk"), None));
    }
}
