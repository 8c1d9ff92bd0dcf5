//! Files of the Windows Overlay Filter (WOF), whose contents are compressed or in a WIM image.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | version, 1 |
//! | 4 | 4 | provider: 1 WIM, 2 file |
//! | 8 | | data of the provider |
//!
//! Provider 2: u32 version 1, u32 algorithm. Provider 1:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 8 | 4 | version, 2 |
//! | 12 | 4 | flags |
//! | 16 | 8 | data source id: which WIM file |
//! | 24 | 20 | SHA-1 of the contents |
//! | 44 | 20 | SHA-1 of the table of the WIM file |
//! | 64 | 8 | size of the contents |
//! | 72 | 8 | their size in the WIM file |
//! | 80 | 8 | their offset in the WIM file |
//!
//! Sources: `wof.h` of wimlib for the layouts; Microsoft documents the numbers of providers and algorithms
//! (`WOF_EXTERNAL_INFO`, `FILE_PROVIDER_EXTERNAL_INFO_V1`).

use std::fmt;

use crate::bytes;
use crate::error::{Error, Format, Result};

/// What the Windows Overlay Filter does for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wof<'a> {
    /// Provider 1: the contents are in a WIM image, elsewhere.
    Wim {
        /// Flags, none known.
        flags: u32,
        /// Which WIM file, by its number in the volume's `WimOverlay.dat`.
        data_source_id: u64,
        /// SHA-1 of the contents.
        hash: [u8; 20],
        /// SHA-1 of the table of the WIM file.
        table_hash: [u8; 20],
        /// Size of the contents in bytes.
        size: u64,
        /// Their size in the WIM file in bytes.
        stored_size: u64,
        /// Their offset in the WIM file in bytes.
        offset: u64,
    },
    /// Provider 2: the contents are compressed in the stream `WofCompressedData` of the file.
    File {
        /// How they are compressed.
        algorithm: WofAlgorithm,
    },
    /// A provider that is not known.
    Other {
        /// Its number.
        provider: u32,
        /// Its data.
        data: &'a [u8],
    },
}

/// How WOF compresses a file: `FILE_PROVIDER_COMPRESSION_…`. Any number is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WofAlgorithm(pub u32);

impl WofAlgorithm {
    /// XPRESS in chunks of 4 KiB.
    pub const XPRESS4K: Self = Self(0);
    /// LZX in chunks of 32 KiB.
    pub const LZX: Self = Self(1);
    /// XPRESS in chunks of 8 KiB.
    pub const XPRESS8K: Self = Self(2);
    /// XPRESS in chunks of 16 KiB.
    pub const XPRESS16K: Self = Self(3);
}

impl<'a> Wof<'a> {
    /// Reads the data of a WOF reparse buffer; offsets of errors count from their start.
    pub(super) fn decode(data: &'a [u8]) -> Result<Self> {
        let mut fields = Fields { data, at: 0 };
        fields.version("WOF version", 1, "1")?;
        let provider = u32::from_le_bytes(fields.take()?);
        let wof = match provider {
            1 => {
                fields.version("version of the WIM provider", 2, "2")?;
                Self::Wim {
                    flags: u32::from_le_bytes(fields.take()?),
                    data_source_id: u64::from_le_bytes(fields.take()?),
                    hash: fields.take()?,
                    table_hash: fields.take()?,
                    size: u64::from_le_bytes(fields.take()?),
                    stored_size: u64::from_le_bytes(fields.take()?),
                    offset: u64::from_le_bytes(fields.take()?),
                }
            }
            2 => {
                fields.version("version of the file provider", 1, "1")?;
                Self::File { algorithm: WofAlgorithm(u32::from_le_bytes(fields.take()?)) }
            }
            _ => return Ok(Self::Other { provider, data: data.get(fields.at..).unwrap_or_default() }),
        };
        match data.len() - fields.at {
            0 => Ok(wof),
            more => Err(Error::value(
                Format::Reparse,
                fields.at as u64,
                "bytes after the WOF data",
                more as u64,
                "none",
            )),
        }
    }
}

/// Takes one field after the other.
struct Fields<'a> {
    data: &'a [u8],
    /// Where the next field begins, at most the size of `data`.
    at: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let available = self.data.len() - self.at;
        let cut =
            || Error::truncated(Format::Reparse, self.at as u64, "WOF field", N as u64, available as u64);
        let field = bytes::array_at(self.data, self.at).ok_or_else(cut)?;
        self.at += N;
        Ok(field)
    }

    fn version(&mut self, what: &'static str, version: u32, expected: &'static str) -> Result<()> {
        let at = self.at as u64;
        match u32::from_le_bytes(self.take()?) {
            found if found == version => Ok(()),
            found => Err(Error::value(Format::Reparse, at, what, found.into(), expected)),
        }
    }
}

impl fmt::Display for WofAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::XPRESS4K => f.write_str("XPRESS4K"),
            Self::LZX => f.write_str("LZX"),
            Self::XPRESS8K => f.write_str("XPRESS8K"),
            Self::XPRESS16K => f.write_str("XPRESS16K"),
            Self(number) => write!(f, "algorithm {number}"),
        }
    }
}

/// One line for people.
impl fmt::Display for Wof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wim { data_source_id, size, .. } => {
                write!(f, "WOF file, {size} bytes in WIM image {data_source_id}")
            }
            Self::File { algorithm } => write!(f, "WOF file, {algorithm}"),
            Self::Other { provider, data } => {
                write!(f, "WOF file, provider {provider}, {} bytes", data.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn compressed_files_name_their_algorithm() {
        for (number, name) in ["XPRESS4K", "LZX", "XPRESS8K", "XPRESS16K", "algorithm 4"].iter().enumerate() {
            let data = words(&[1, 2, 1, number as u32]);
            assert_eq!(Wof::decode(&data).unwrap().to_string(), format!("WOF file, {name}"));
        }
    }

    #[test]
    fn files_in_a_wim_image_say_where() {
        let mut data = words(&[1, 1, 2, 9, 7, 0]);
        data.extend([0xAA; 20]);
        data.extend([0xBB; 20]);
        data.extend(words(&[1000, 0, 600, 0, 4096, 0]));
        let wof = Wof::decode(&data).unwrap();
        let expected = Wof::Wim {
            flags: 9,
            data_source_id: 7,
            hash: [0xAA; 20],
            table_hash: [0xBB; 20],
            size: 1000,
            stored_size: 600,
            offset: 4096,
        };
        assert_eq!(wof, expected);
        assert_eq!(wof.to_string(), "WOF file, 1000 bytes in WIM image 7");
        for len in 0..data.len() {
            assert!(Wof::decode(&data[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn what_is_not_known_is_other_or_an_error() {
        assert_eq!(Wof::decode(&words(&[1, 3, 5])).unwrap().to_string(), "WOF file, provider 3, 4 bytes");
        for bad in [&[2, 2, 1, 0][..], &[1, 2, 2, 0], &[1, 1, 1, 0], &[1, 2, 1, 0, 0], &[1, 2, 1], &[1]] {
            assert!(Wof::decode(&words(bad)).is_err(), "{bad:?}");
        }
    }
}
