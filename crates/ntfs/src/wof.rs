/*!
Files that Windows has compressed "for the system" (WOF, CompactOS).

The reparse point has the tag 0x80000017; the unnamed stream is one hole of the real size, and the stream
`WofCompressedData` has the content. Windows shows neither, so a reader who takes the hole for the content gets zeros:
reading the unnamed stream gives the content, or an error where it cannot be had.
*/

use std::fmt;
use std::io;
use std::sync::Arc;

use ntbak_image::ReadAt;
use ntbak_wire::reparse::{ReparseBuffer, ReparseTag, Target, Wof, WofAlgorithm};

use crate::attribute::AttributeType;
use crate::compress::wof::{Algorithm, WofReader};
use crate::error::{Error, Problem, Result};
use crate::file::File;
use crate::stream::Stream;
use crate::volume::Volume;
use ntbak_wire::bytes::u32_at;

/// The stream that has the content.
pub(crate) const STREAM: &str = "WofCompressedData";

/// The content of a file that WOF has compressed.
pub(crate) struct Overlay {
    content: Result<WofReader<Packed>>,
}

impl Overlay {
    /// What a reparse buffer says of the content of `file`; `None` when it is no business of WOF.
    pub(crate) fn open(file: &File, reparse: &[u8]) -> Option<Self> {
        let is_wof = u32_at(reparse, 0) == Some(ReparseTag::WOF.0);
        is_wof.then(|| Self { content: content(file, reparse) })
    }

    /// How it is compressed; `None` when the content is out of reach.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.content.as_ref().ok().map(WofReader::algorithm)
    }

    /// Why the content is out of reach.
    pub(crate) fn fault(&self) -> Option<&Error> {
        self.content.as_ref().err()
    }

    /// Reads content of the unnamed stream: what is good first.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let reader = self.content.as_ref().map_err(Error::clone)?;
        reader.read_good(offset, buf).map_err(|error| from_io(error, offset))
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Overlay").field(&self.algorithm()).field(&self.fault()).finish()
    }
}

/// What WOF has made of a file.
impl File {
    /// Whether Windows has compressed it as a whole (WOF): the unnamed stream is a hole on the volume, and its content in
    /// the stream `WofCompressedData` or in a WIM file.
    #[must_use]
    pub fn is_wof(&self) -> bool {
        self.overlay.is_some()
    }

    /// How WOF has compressed it, where it did.
    ///
    /// # Errors
    /// WOF has the content, and it cannot be had: it is in a WIM file, or the stream `WofCompressedData` is missing or too
    /// short.
    pub fn wof(&self) -> Result<Option<Algorithm>> {
        let Some(overlay) = &self.overlay else { return Ok(None) };
        match overlay.fault() {
            None => Ok(overlay.algorithm()),
            Some(fault) => Err(fault.clone().in_record(self.reference().record())),
        }
    }
}

/// Whether the content of this stream is elsewhere.
pub(crate) fn is_elsewhere(stream: &Stream) -> bool {
    stream.kind() == AttributeType::DATA && stream.name().is_empty()
}

fn content(file: &File, reparse: &[u8]) -> Result<WofReader<Packed>> {
    let unsupported = |what, hint| Error::new("reparse point", 16, Problem::Unsupported { what, hint });
    let target = ReparseBuffer::parse(reparse).and_then(|buffer| buffer.target());
    let number = match target {
        Ok(Target::Wof(Wof::File { algorithm: WofAlgorithm(number) })) => number,
        Ok(Target::Wof(Wof::Wim { .. })) => {
            let hint = "it is not on the volume: take the file out of that WIM file";
            return Err(unsupported("content in a WIM file", hint));
        }
        Ok(_) => {
            return Err(unsupported(
                "a provider of WOF that is not known",
                "read_raw_at shows what is stored",
            ));
        }
        Err(error) => {
            return Err(Error::new(
                "reparse point",
                error.offset,
                Problem::Compressed(error.to_string().into()),
            ));
        }
    };
    let algorithm = Algorithm::from_number(number)
        .ok_or_else(|| Error::value("reparse point", 20, "algorithm of WOF", number.into(), "0 to 3"))?;
    let name: Vec<u16> = STREAM.encode_utf16().collect();
    let missing = |what| Error::not_found("MFT record", what);
    let unnamed = file.stream(AttributeType::DATA, &[]).ok_or_else(|| missing("unnamed stream"))?;
    let stream =
        file.stream(AttributeType::DATA, &name).ok_or_else(|| missing("stream WofCompressedData"))?;
    let packed = match file.resident(stream) {
        Some(value) => Packed::Resident(value.into()),
        None => Packed::Stream(file.volume().clone(), stream.clone()),
    };
    WofReader::new(packed, algorithm, unnamed.size()).map_err(|error| from_io(error, 0))
}

/// The stream `WofCompressedData`, apart from its file.
enum Packed {
    Resident(Box<[u8]>),
    Stream(Volume, Stream),
}

impl ReadAt for Packed {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let (volume, stream) = match self {
            Self::Resident(value) => return (**value).read_at(offset, buf),
            Self::Stream(volume, stream) => (volume, stream),
        };
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match stream.read_at(volume.device(), &[], offset.saturating_add(done as u64), rest) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(done)
    }

    fn len(&self) -> u64 {
        match self {
            Self::Resident(value) => value.len(),
            Self::Stream(_, stream) => stream.size(),
        }
    }
}

/// The error of a reader: one of the volume, or one of the compressed data.
fn from_io(error: io::Error, offset: u64) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => {
            let text: Arc<str> = error.to_string().into();
            Error::new("content compressed by WOF", offset, Problem::Compressed(text))
        }
    }
}
