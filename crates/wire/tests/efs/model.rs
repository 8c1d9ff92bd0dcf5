//! Raw data as a plain value, made by hand from the layout tables and not by the writer under test.

use ntbak_wire::Result;
use ntbak_wire::efs::{Decoder, Event, Segment, StreamEnd, StreamHead};
use ntbak_wire::stream::StreamName;

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn name(text: &str) -> Option<StreamName> {
    (!text.is_empty()).then(|| StreamName::new(text.into()).unwrap())
}

pub(crate) fn file_header() -> Vec<u8> {
    [&[0, 1, 0, 0][..], &utf16("ROBS"), &[0; 8]].concat()
}

pub(crate) fn stream_header(flag: u32, name: &[u8]) -> Vec<u8> {
    let size = name.len() as u32;
    [&words(&[28 + size])[..], &utf16("NTFS"), &words(&[flag, 0, 0, size]), name].concat()
}

pub(crate) fn metadata_header() -> Vec<u8> {
    stream_header(0, &[0x10, 0x19])
}

pub(crate) fn data_header(name: &str) -> Vec<u8> {
    stream_header(0, &utf16(&format!(":{name}:$DATA")))
}

pub(crate) fn segment(payload: &[u8]) -> Vec<u8> {
    [&words(&[16 + payload.len() as u32])[..], &utf16("GURE"), &[0; 4], payload].concat()
}

/// An encryption header with whatever is asked for, right or wrong.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) len: u32,
    pub(crate) valid: u32,
    pub(crate) compression: u16,
    pub(crate) unit_shift: u8,
    pub(crate) chunk_shift: u8,
    pub(crate) format: u8,
    pub(crate) count: u16,
    pub(crate) blocks: Vec<u32>,
    pub(crate) extended: Vec<u8>,
}

impl Head {
    /// One block of `stored` bytes for `len` bytes of the stream.
    pub(crate) fn one(offset: u64, len: u32, stored: u32) -> Self {
        let shift = stored.max(512).next_power_of_two().trailing_zeros() as u8;
        Self::many(offset, len, shift, vec![stored])
    }

    pub(crate) fn many(offset: u64, len: u32, shift: u8, blocks: Vec<u32>) -> Self {
        Self {
            offset,
            length: 496,
            len,
            valid: len,
            compression: 0,
            unit_shift: shift,
            chunk_shift: shift,
            format: 1,
            count: blocks.len() as u16,
            blocks,
            extended: [&b"EXTD"[..], &words(&[16, 0, 0])].concat(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.offset.to_le_bytes().to_vec();
        bytes.extend(words(&[self.length, self.len, self.valid]));
        bytes.extend(self.compression.to_le_bytes());
        bytes.extend([self.unit_shift, self.chunk_shift, 12, self.format]);
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(words(&self.blocks));
        bytes.extend(&self.extended);
        bytes.resize(bytes.len().max(self.length as usize), 0);
        bytes
    }

    /// A whole segment, with as much ciphertext as the blocks say.
    pub(crate) fn segment(&self) -> Vec<u8> {
        let stored = self.blocks.iter().map(|size| *size as usize).sum();
        segment(&[self.bytes(), (0..stored).map(|at| (at % 251) as u8).collect()].concat())
    }
}

/// The smallest metadata that every reader takes: of a version that nobody knows.
pub(crate) fn metadata() -> Vec<u8> {
    let mut bytes = words(&[0x60, 0, 99]);
    bytes.resize(0x60, 0xAB);
    bytes
}

/// The headers and metadata that every file begins with.
pub(crate) fn prologue() -> Vec<u8> {
    [file_header(), metadata_header(), segment(&metadata())].concat()
}

/// Raw data with these parts behind the metadata.
pub(crate) fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    [prologue(), parts.concat()].concat()
}

/// Raw data with one unnamed encrypted stream of these segments.
pub(crate) fn with_segments(heads: &[Head]) -> Vec<u8> {
    let segments: Vec<_> = heads.iter().map(Head::segment).collect();
    file(&[data_header(""), segments.concat()])
}

/// What raw data say, with neighbouring pieces of content joined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Raw {
    pub(crate) metadata: Vec<u8>,
    pub(crate) streams: Vec<Stream>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) head: StreamHead,
    pub(crate) segments: Vec<Segment>,
    pub(crate) runs: Vec<(u64, Vec<u8>)>,
    pub(crate) end: StreamEnd,
}

/// Decodes all of `bytes`, given in slices of `step` bytes.
pub(crate) fn decode_in_steps(bytes: &[u8], step: usize) -> Result<Raw> {
    let mut decoder = Decoder::new();
    let mut raw = Raw::default();
    for mut input in bytes.chunks(step) {
        while let Some(event) = decoder.next(&mut input)? {
            take(&mut raw, event);
        }
        assert!(input.is_empty(), "a decoder takes all that it is given");
    }
    while let Some(event) = decoder.finish()? {
        take(&mut raw, event);
    }
    assert_eq!(decoder.offset(), bytes.len() as u64);
    Ok(raw)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Raw> {
    decode_in_steps(bytes, bytes.len().max(1))
}

fn take(raw: &mut Raw, event: Event<'_>) {
    match event {
        Event::Metadata(bytes) => raw.metadata = bytes,
        Event::Stream(head) => raw.streams.push(Stream {
            head,
            segments: Vec::new(),
            runs: Vec::new(),
            end: StreamEnd { open: true, ..StreamEnd::default() },
        }),
        Event::Segment(segment) => raw.streams.last_mut().unwrap().segments.push(segment),
        Event::Data { offset, data } => {
            assert!(!data.is_empty());
            let runs = &mut raw.streams.last_mut().unwrap().runs;
            match runs.last_mut() {
                Some((at, run)) if *at + run.len() as u64 == offset => run.extend_from_slice(data),
                last => {
                    assert!(last.is_none_or(|(at, run)| *at + (run.len() as u64) < offset));
                    runs.push((offset, data.to_vec()));
                }
            }
        }
        Event::EndStream(end) => raw.streams.last_mut().unwrap().end = end,
    }
}
