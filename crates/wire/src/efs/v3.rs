//! EFS metadata version 3: `.pfile`, for rights management. It is told and kept; its keys are with a licence server.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 6 | `.pfile` |
//! | 6 | 4 | major version (2) |
//! | 10 | 4 | minor version (1) |
//! | 14 | 4 | R: size of the redirection text |
//! | 18 | R | text for people without a reader of such files, UTF-8 |
//! | 18 + R | 4 | total header length |
//! | +4 | 4, 4 | original extension: offset, length |
//! | +12 | 4 | offset of the publishing licence |
//! | +16 | 4 | offset of the encrypted data |
//! | +20 | 8 | original file size |
//! | +28 | 4, 4 | metadata: offset, length |
//!
//! Source: \[MS-EFSR\] 2.2.2.3.

use super::metadata::fault;
use crate::bytes::{slice_at, u32_at, u64_at};
use crate::error::{Error, Format, Result};

/// The first six bytes.
pub(super) const MAGIC: &[u8; 6] = b".pfile";
const REDIRECTION: usize = 18;

/// A view over `.pfile` metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Major and minor version: 2 and 1.
    pub version: (u32, u32),
    /// Text for people, UTF-8 as a rule.
    pub redirection: &'a [u8],
    /// The extension of the file before it was protected, UTF-16LE.
    pub extension: &'a [u8],
    /// Size of the file before it was protected, in bytes.
    pub original_size: u64,
    /// The publishing licence (\[MS-RMPR\] 2.2.9.7) and all behind it.
    pub licence: &'a [u8],
}

impl<'a> Metadata<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// A cut header, or an offset beyond the end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let cut = || Error::truncated(Format::EfsMetadata, 0, ".pfile header", 54, bytes.len() as u64);
        let field = |at| u32_at(bytes, at).ok_or_else(cut);
        let slice = |what, at: u32, len: usize| {
            slice_at(bytes, at as usize, len)
                .ok_or_else(|| fault(0, what, at.into(), "inside of the metadata"))
        };
        let size = field(14)?;
        let redirection = slice("redirection text", REDIRECTION as u32, size as usize)?;
        let fixed = REDIRECTION + size as usize;
        let extension = slice("original extension", field(fixed + 4)?, field(fixed + 8)? as usize)?;
        let licence = field(fixed + 12)?;
        let licence = slice("publishing licence", licence, bytes.len().saturating_sub(licence as usize))?;
        let original_size = u64_at(bytes, fixed + 20).ok_or_else(cut)?;
        field(fixed + 32)?;
        Ok(Self { version: (field(6)?, field(10)?), redirection, extension, original_size, licence })
    }
}
