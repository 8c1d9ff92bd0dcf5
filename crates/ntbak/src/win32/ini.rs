//! The one setting of `Desktop.ini` that EFS reads; everything else in the file stays as it is.

use std::borrow::Cow;

use ntbak_wire::bytes::{copy_at, utf16_units};
use ntbak_wire::record::{Extent, FileInfo, SmallKind, StreamHead};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::error::{Error, Result};
use crate::source::{FileSource, LinuxAttribute};

/// The most bytes of a file that is changed; those of Windows have a few hundred.
const MOST: u64 = 1 << 20;
const BYTE_ORDER_MARK: u16 = 0xFEFF;
const UTF_8_MARK: &[u16] = &[0xEF, 0xBB, 0xBF];

/// An INI file as units: those of UTF-16, or bytes of whatever code page, which need not be known.
#[derive(Debug, Default)]
pub(super) struct Ini {
    units: Vec<u16>,
    is_utf16: bool,
}

impl Ini {
    /// Reads the unnamed stream of `source`.
    pub(super) fn read(source: &dyn FileSource) -> Result<Self> {
        if source.info()?.attributes.contains(FileAttributes::ENCRYPTED) {
            return Err(Error::new(
                Win32Error::ACCESS_DENIED,
                "the file is encrypted, so its settings are not known",
            ));
        }
        let Some(head) = source.stream(0)?.filter(|head| head.name.is_none()) else {
            return Ok(Self::default());
        };
        if head.size > MOST {
            let why = format!("a Desktop.ini of {} bytes is none: it has {MOST} at most", head.size);
            return Err(Error::new(Win32Error::INVALID_DATA, why));
        }
        let mut bytes = vec![0; usize::try_from(head.size).unwrap_or(0)];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match source.read_at(0, filled as u64, rest)? {
                0 => break,
                got => filled += got,
            }
        }
        bytes.truncate(filled);
        Ok(Self::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        // An odd byte at the end is half a unit, and no text.
        let is_utf16 = bytes.starts_with(&[0xFF, 0xFE]) && bytes.len().is_multiple_of(2);
        let units = match is_utf16 {
            true => utf16_units(bytes).collect(),
            false => bytes.iter().map(|byte| u16::from(*byte)).collect(),
        };
        Self { units, is_utf16 }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self.is_utf16 {
            true => self.units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            // Each was a byte, or is ASCII.
            false => self.units.iter().map(|unit| *unit as u8).collect(),
        }
    }

    /// Whether `[Encryption]` says `Disable=1`; the first one counts, as for `GetPrivateProfileString`.
    pub(super) fn is_disabled(&self) -> bool {
        let mut section = false;
        for line in self.lines() {
            match Line::of(line) {
                Line::Section { encryption } => section = encryption,
                Line::Disable(value) if section => return value == "1",
                _ => {}
            }
        }
        false
    }

    /// The same file with this setting.
    pub(super) fn with_setting(&self, disable: bool) -> Self {
        let setting = units(if disable { "Disable=1\r\n" } else { "Disable=0\r\n" });
        let mut out = Vec::with_capacity(self.units.len() + 40);
        if self.units.is_empty() {
            out.extend(units("[Encryption]\r\n"));
            out.extend(setting);
            return Self { units: out, is_utf16: self.is_utf16 };
        }
        let (mut section, mut done) = (false, false);
        for line in self.lines() {
            match Line::of(line) {
                Line::Section { encryption } => {
                    if section && !done {
                        out.extend_from_slice(&setting);
                        done = true;
                    }
                    section = encryption;
                }
                Line::Disable(_) if section => {
                    if !done {
                        out.extend_from_slice(&setting);
                        done = true;
                    }
                    continue;
                }
                _ => {}
            }
            out.extend_from_slice(line);
        }
        if !done {
            if out.last() != Some(&u16::from(b'\n')) {
                out.extend(units("\r\n"));
            }
            if !section {
                out.extend(units("[Encryption]\r\n"));
            }
            out.extend(setting);
        }
        Self { units: out, is_utf16: self.is_utf16 }
    }

    /// The lines with their ends.
    fn lines(&self) -> impl Iterator<Item = &[u16]> {
        self.units.split_inclusive(|unit| *unit == u16::from(b'\n'))
    }
}

enum Line {
    Section {
        encryption: bool,
    },
    /// The setting, with its value.
    Disable(String),
    Other,
}

impl Line {
    fn of(line: &[u16]) -> Self {
        let line = line.strip_prefix(&[BYTE_ORDER_MARK]).unwrap_or(line);
        let line = line.strip_prefix(UTF_8_MARK).unwrap_or(line);
        let text = String::from_utf16_lossy(line);
        let text = text.trim();
        if text.starts_with('[') {
            return Self::Section { encryption: text.eq_ignore_ascii_case("[Encryption]") };
        }
        match text.split_once('=') {
            Some((key, value)) if key.trim().eq_ignore_ascii_case("Disable") => {
                Self::Disable(value.trim().to_owned())
            }
            _ => Self::Other,
        }
    }
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A file with other content in its unnamed stream, and everything else as it is; a new one when there is none.
pub(super) struct Edited {
    pub(super) there: Option<Box<dyn FileSource>>,
    pub(super) content: Vec<u8>,
}

impl FileSource for Edited {
    fn info(&self) -> Result<FileInfo> {
        let Some(there) = &self.there else {
            return Ok(FileInfo {
                attributes: FileAttributes::ARCHIVE,
                link_count: 1,
                ..FileInfo::default()
            });
        };
        let mut info = there.info()?;
        info.attributes.remove(FileAttributes::SPARSE_FILE | FileAttributes::COMPRESSED);
        (info.times.written, info.times.accessed, info.times.changed) = (None, None, None);
        Ok(info)
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        self.there.as_ref().map_or(Ok(None), |there| there.small(kind))
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        self.there.as_ref().map_or(Ok(None), |there| there.linux_attribute(index))
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        match (&self.there, index) {
            (_, 0) => Ok(Some(StreamHead::plain(None, self.content.len() as u64))),
            (Some(there), _) => there.stream(index),
            (None, _) => Ok(None),
        }
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        self.there.as_ref().map_or(Ok(None), |there| there.next_extent(stream, from))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match (&self.there, stream) {
            (Some(there), 1..) => there.read_at(stream, offset, buf),
            _ => Ok(copy_at(&self.content, offset, buf)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, disable: bool) -> String {
        let after = Ini::of(text.as_bytes()).with_setting(disable);
        assert_eq!(after.is_disabled(), disable, "{text:?}");
        String::from_utf8(after.to_bytes()).unwrap()
    }

    #[test]
    fn only_the_setting_changes() {
        assert_eq!(set("", true), "[Encryption]\r\nDisable=1\r\n");
        assert_eq!(set("[A]\nx=1", true), "[A]\nx=1\r\n[Encryption]\r\nDisable=1\r\n");
        assert_eq!(set("[encryption]\r\n disable = 1 \r\n", false), "[encryption]\r\nDisable=0\r\n");
        // Another section's setting of the name is another one; of two in the section one is left.
        assert_eq!(
            set("[B]\nDisable=0\n[Encryption]\ny=2\nDisable=0\nDisable=0\n[C]\n", true),
            "[B]\nDisable=0\n[Encryption]\ny=2\nDisable=1\r\n[C]\n"
        );
        assert_eq!(set("[Encryption]\n[C]\nz=3\n", true), "[Encryption]\nDisable=1\r\n[C]\nz=3\n");
        assert_eq!(set("\u{FEFF}[Encryption]\nDisable=1\n", false), "\u{FEFF}[Encryption]\nDisable=0\r\n");
    }

    #[test]
    fn bytes_of_any_code_page_and_utf_16_stay() {
        let bytes: Vec<u8> = (1..=255).chain(*b"\r\n").collect();
        let after = Ini::of(&bytes).with_setting(true).to_bytes();
        assert!(after.starts_with(&bytes) && after.ends_with(b"[Encryption]\r\nDisable=1\r\n"));
        // A lone surrogate, too.
        let text: Vec<u16> =
            "\u{FEFF}[Encryption]\r\nDisable=1\r\nä=".encode_utf16().chain([0xD800]).collect();
        let bytes: Vec<u8> = text.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let ini = Ini::of(&bytes);
        assert!(ini.is_disabled());
        let after = ini.with_setting(false);
        assert!(!after.is_disabled());
        let expected: Vec<u16> =
            text.iter().map(|unit| if *unit == u16::from(b'1') { u16::from(b'0') } else { *unit }).collect();
        assert_eq!(after.units, expected);
    }
}
