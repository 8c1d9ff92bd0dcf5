//! Records without borrows, what they make of a file, and what the streams themselves say about it.

use std::collections::BTreeMap;

use ntbak_wire::record::{Extents, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::stream::{Decoded, Position, RecordDecoder, StreamName};
use ntbak_wire::{Name, Win32Error};
use proptest::sample::Index;

/// A stream as it is put into the input: id, attributes, name, payload.
pub(crate) type Raw = (u32, u32, Name, Vec<u8>);

pub(crate) fn raw(id: u32, attributes: u32, name: &str, payload: impl AsRef<[u8]>) -> Raw {
    (id, attributes, Name::from(name), payload.as_ref().to_vec())
}

pub(crate) fn block(offset: u64, data: &[u8]) -> Raw {
    raw(9, 8, "", [&offset.to_le_bytes()[..], data].concat())
}

pub(crate) fn bytes_of(streams: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, attributes, name, payload) in streams {
        let name = name.to_utf16_le();
        out.extend(id.to_le_bytes());
        out.extend(attributes.to_le_bytes());
        out.extend((payload.len() as u64).to_le_bytes());
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name);
        out.extend(payload);
    }
    out
}

/// What a decoder said, without borrows; adjacent `Bytes` are one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rec {
    Small(SmallKind, Vec<u8>),
    Stream(StreamHead),
    Block(u64, u64),
    Bytes(u64, Vec<u8>),
    End(u64),
    Ignored(u32),
    /// An error: its offset, its number, and where the stream that it is in begins.
    Fault(u64, Win32Error, u64),
}
pub(crate) use Rec::{Bytes, End, Fault, Ignored, Small, Stream};

pub(crate) fn push(records: &mut Vec<Rec>, decoded: Decoded<'_>) {
    let record = match decoded {
        Decoded::Ignored(header) => Ignored(header.id.into()),
        Decoded::Record(Record::Small(kind, payload)) => Small(kind, payload.into_owned()),
        Decoded::Record(Record::Stream(head)) => Stream(head.clone()),
        Decoded::Record(Record::Block(extent)) => Rec::Block(extent.offset, extent.len),
        Decoded::Record(Record::EndStream { size }) => End(size),
        Decoded::Record(Record::Bytes { offset, data }) => match records.last_mut() {
            Some(Bytes(before, joined)) if *before + joined.len() as u64 == offset => {
                return joined.extend(data);
            }
            _ => Bytes(offset, data.to_vec()),
        },
        Decoded::Record(other) => panic!("not of a backup stream: {other:?}"),
    };
    records.push(record);
}

pub(crate) fn fault(decoder: &RecordDecoder, error: &ntbak_wire::Error) -> Rec {
    Fault(error.offset, error.win32(), decoder.current().1)
}

pub(crate) fn finish(decoder: &mut RecordDecoder, records: &mut Vec<Rec>) {
    match decoder.finish() {
        Ok(None) => {}
        Ok(Some(record)) => push(records, Decoded::Record(record)),
        Err(error) => records.push(fault(decoder, &error)),
    }
}

/// Feeds `pieces`, goes on after an error (as a caller may) unless the header itself could not be read.
pub(crate) fn run<'a>(mut decoder: RecordDecoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Rec> {
    let mut records = Vec::new();
    for mut input in pieces {
        loop {
            match decoder.next(&mut input) {
                Ok(None) => break,
                Ok(Some(decoded)) => push(&mut records, decoded),
                Err(error) => {
                    records.push(fault(&decoder, &error));
                    if decoder.position() == Position::Header {
                        return records;
                    }
                }
            }
        }
        assert!(input.is_empty(), "`None` must mean that the input is used up");
    }
    finish(&mut decoder, &mut records);
    records
}

pub(crate) fn decode(streams: &[Raw]) -> Vec<Rec> {
    run(RecordDecoder::new(), [&bytes_of(streams)[..]])
}

/// What records make of a file: the bytes that were written, by their offset, and where each stream ends.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct File {
    pub(crate) small: BTreeMap<SmallKind, Vec<u8>>,
    pub(crate) streams: BTreeMap<Option<Name>, Content>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Content {
    pub(crate) size: u64,
    pub(crate) sparse: bool,
    pub(crate) bytes: BTreeMap<u64, u8>,
}

impl Content {
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        self.bytes.extend((offset..).zip(data.iter().copied()));
    }
}

/// Applies records as a sink does, and checks their grammar.
pub(crate) fn apply(records: &[Rec]) -> File {
    let mut file = File::default();
    let mut open: Option<(StreamHead, Option<(u64, u64)>)> = None;
    for record in records {
        match (record, &mut open) {
            (Small(kind, payload), None) => _ = file.small.insert(*kind, payload.clone()),
            (Stream(head), None) => {
                let content =
                    file.streams.entry(head.name.as_ref().map(|name| name.name().clone())).or_default();
                if !head.amend {
                    *content = Content::default();
                }
                content.sparse |= head.flags.contains(StreamFlags::SPARSE);
                open = Some((head.clone(), None));
            }
            (Rec::Block(offset, len), Some((head, block))) => {
                assert!(head.extents != Extents::All && *len > 0);
                *block = Some((*offset, *len));
            }
            (Bytes(offset, data), Some((head, block))) => {
                let (first, len) = if head.extents == Extents::All { (0, head.size) } else { block.unwrap() };
                assert!(
                    *offset >= first && offset + data.len() as u64 <= first + len,
                    "outside of its block"
                );
                let name = head.name.as_ref().map(|name| name.name().clone());
                file.streams.get_mut(&name).unwrap().write(*offset, data);
            }
            (End(size), Some((head, _))) => {
                let name = head.name.as_ref().map(|name| name.name().clone());
                let content = file.streams.get_mut(&name).unwrap();
                content.size = if head.amend { content.size.max(*size) } else { *size };
                assert!(content.bytes.keys().all(|offset| offset < &content.size), "bytes past the end");
                open = None;
            }
            (Ignored(_), None) | (Fault(..), _) => {}
            (record, open) => panic!("{record:?} in {open:?}"),
        }
    }
    assert!(open.is_none(), "a stream did not end");
    file
}

/// What the streams say about a file (facts 1.3, 1.8, 2.4), of whose input bytes `skipped` says which were not given.
pub(crate) fn interpret(streams: &[Raw], skipped: &[bool]) -> File {
    let mut file = File::default();
    let mut target = Some(None);
    let mut start = 0;
    for (id, attributes, name, payload) in streams {
        let first = start + 20 + name.units().len() * 2;
        start = first + payload.len();
        let there = |at: usize| !skipped.get(first + at).copied().unwrap_or(false);
        let given = |from: usize, base: u64| {
            (from..payload.len())
                .filter(|at| there(*at))
                .map(move |at| (base + (at - from) as u64, payload[at]))
        };
        match (id, SmallKind::from_stream_id((*id).into())) {
            (_, Some(kind)) if payload.len() as u64 <= kind.max_len() && (0..payload.len()).all(there) => {
                file.small.insert(kind, payload.clone());
            }
            (1 | 4, _) => {
                target = if *id == 1 { Some(None) } else { bare(name).map(Some) };
                if let Some(target) = target.clone() {
                    let bytes = given(0, 0).collect();
                    let content = Content { size: payload.len() as u64, sparse: attributes & 8 != 0, bytes };
                    file.streams.insert(target, content);
                }
            }
            (9, _) if payload.len() >= 8 => {
                let Some(target) = target.clone() else { continue };
                let content = file.streams.entry(target).or_default();
                content.sparse = true;
                let offset = u64::from_le_bytes(payload[..8].try_into().unwrap());
                let end = offset.saturating_add(payload.len() as u64 - 8);
                if (0..8).all(there) && end < 1 << 63 {
                    content.bytes.extend(given(8, offset));
                    content.size = content.size.max(end);
                }
            }
            _ => {}
        }
    }
    file
}

/// The name without colons and type; `None` when it is not one. Only for the names that these tests use.
pub(crate) fn bare(name: &Name) -> Option<Name> {
    let text = name.to_utf8()?;
    let bare = text.strip_prefix(':')?;
    let bare = bare.strip_suffix(":$DATA").unwrap_or(bare);
    (!bare.is_empty() && !bare.contains([':', '/', '\\', '\0'])).then(|| Name::from(bare))
}

/// `bytes` cut at these places.
pub(crate) fn cut<'a>(bytes: &'a [u8], at: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = at.iter().map(|index| index.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

pub(crate) fn sparse_head(name: Option<&str>) -> StreamHead {
    let name = name.map(|name| StreamName::new(Name::from(name)).unwrap());
    StreamHead { flags: StreamFlags::SPARSE, extents: Extents::Unknown, ..StreamHead::plain(name, 0) }
}

pub(crate) fn plain_head(name: Option<&str>, size: u64) -> StreamHead {
    StreamHead { flags: StreamFlags::empty(), extents: Extents::All, size, vdl: size, ..sparse_head(name) }
}

pub(crate) fn amending(name: Option<&str>) -> StreamHead {
    StreamHead { amend: true, ..sparse_head(name) }
}
