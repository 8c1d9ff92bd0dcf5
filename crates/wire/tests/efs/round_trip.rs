//! What is written is read again: sizes, valid data lengths, holes, names, any cut of the input.

use ntbak_wire::efs::{
    Content, Decoder, Encoder, Event, Export, Piece, Segment, Segments, StreamEnd, StreamHead, StreamPlan,
};
use ntbak_wire::record::Extent;
use proptest::prelude::*;

use crate::model::*;

/// Exports streams whose content lies whole in memory, and checks what the plan promised.
pub(crate) fn export(metadata: Vec<u8>, streams: &[(StreamPlan, Vec<u8>)]) -> Vec<u8> {
    let plans = streams.iter().map(|(plan, _)| plan.clone()).collect();
    let mut export = Export::new(metadata, plans).unwrap();
    let promised = export.encoded_len();
    let mut raw = Vec::new();
    while let Some(piece) = export.next().unwrap() {
        match piece {
            Piece::Bytes(bytes) => raw.extend_from_slice(bytes),
            Piece::Data { stream, offset, len } => {
                assert!(len <= 65536);
                raw.extend_from_slice(&streams[stream].1[offset as usize..][..len as usize]);
            }
        }
    }
    assert_eq!(raw.len() as u64, promised);
    raw
}

fn content_of(size: u64, vdl: u64, cluster_shift: u8, extents: Option<Vec<Extent>>) -> Content {
    Content { size, vdl, cluster_shift, extents }
}

fn plan(name_of: &str, content: Content) -> StreamPlan {
    StreamPlan { head: StreamHead { name: name(name_of), encrypted: true }, content }
}

/// Ciphertext for a stream of `size` bytes, to the end of its last sector.
fn bytes_for(size: u64) -> Vec<u8> {
    (0..size.next_multiple_of(512)).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 13) as u8 | 1).collect()
}

/// The stream as a reader without a key would store it: ciphertext where there is some, else zeros.
fn flat(stream: &Stream) -> Vec<u8> {
    let mut bytes = vec![0; stream.end.size.next_multiple_of(512) as usize];
    for (at, run) in &stream.runs {
        bytes[*at as usize..][..run.len()].copy_from_slice(run);
    }
    bytes
}

#[test]
fn efs_24_sizes_around_the_edges() {
    for size in [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 70_000, 131_072, 200_001] {
        let data = bytes_for(size);
        let raw = export(metadata(), &[(plan("", Content::plain(size)), data.clone())]);
        let stream = &decode(&raw).unwrap().streams[0];
        let open = size > 0 && size % 65_536 == 0;
        assert_eq!(stream.end, StreamEnd { size, vdl: size, sparse: false, gaps: false, open });
        assert_eq!(flat(stream), data);
    }
    // The example of 70,000 bytes: a full segment, and one of nine sectors in a unit of 8 KiB.
    let segments: Vec<Segment> = Segments::new(&Content::plain(70_000)).unwrap().collect();
    let facts: Vec<_> =
        segments.iter().map(|s| (s.offset, s.len, s.valid, s.unit_shift, s.blocks.clone())).collect();
    assert_eq!(facts, [(0, 65536, 65536, 16, vec![65536]), (65536, 4464, 4464, 13, vec![4608])]);
}

#[test]
fn efs_24_four_gigabytes_with_holes() {
    for size in [(1_u64 << 32) - 1, (1 << 32) + 1] {
        let last = size / 65536 * 65536;
        let extents = vec![Extent { offset: 65536, len: 65536 }, Extent { offset: last, len: size - last }];
        let content = content_of(size, size, 12, Some(extents));
        let mut encoder = Encoder::new();
        let mut raw = Vec::new();
        encoder.metadata(&metadata(), &mut raw).unwrap();
        encoder.stream(&StreamHead { name: None, encrypted: true }, &mut raw).unwrap();
        let mut expected = Vec::new();
        for segment in Segments::new(&content).unwrap() {
            encoder.segment(&segment, &mut raw).unwrap();
            let data = vec![7; segment.stored() as usize];
            encoder.data(&data, &mut raw).unwrap();
            expected.extend(segment.runs());
        }
        encoder.finish().unwrap();
        assert_eq!(expected, [(65536, 65536), (last, (size - last).next_multiple_of(512))]);
        assert!(raw.len() < 1 << 20, "holes cost next to nothing: {}", raw.len());
        let stream = decode(&raw).unwrap().streams.remove(0);
        assert_eq!((stream.end.size, stream.end.vdl, stream.end.sparse), (size, size, true));
        let runs: Vec<_> = stream.runs.iter().map(|(at, run)| (*at, run.len() as u64)).collect();
        assert_eq!(runs, expected);
    }
}

/// The cluster size is told and no more: whatever a foreign export says there, a sparse stream is exported again.
#[test]
fn efs_23_any_cluster_size_will_do() {
    for cluster_shift in [0, 1, 4, 8, 9, 12, 21, 63, 255] {
        let extents = vec![Extent { offset: 65_536, len: 512 }];
        let content = content_of(200_000, 200_000, cluster_shift, Some(extents));
        let data = bytes_for(200_000);
        let stream =
            decode(&export(metadata(), &[(plan("", content), data.clone())])).unwrap().streams.remove(0);
        assert_eq!(stream.segments[0].cluster_shift, cluster_shift);
        let runs: Vec<_> = stream.runs.iter().map(|(at, run)| (*at, run.len())).collect();
        assert_eq!(runs, [(65_536, 512)], "{cluster_shift}");
    }
}

#[test]
fn efs_25_the_valid_data_length() {
    for (size, vdl, stored) in [
        (1000, 0, 0),
        (1000, 100, 512),
        (1000, 512, 512),
        (1000, 513, 1024),
        (300_000, 0, 0),
        (300_000, 70_000, 70_144),
        (300_000, 131_072, 131_072),
    ] {
        let content = content_of(size, vdl, 12, None);
        let data = bytes_for(size);
        let stream =
            decode(&export(metadata(), &[(plan("", content), data.clone())])).unwrap().streams.remove(0);
        assert_eq!((stream.end.size, stream.end.vdl), (size, vdl));
        let held: u64 = stream.segments.iter().map(Segment::stored).sum();
        assert_eq!(held, stored, "size {size}, valid data length {vdl}");
        assert_eq!(flat(&stream)[..stored as usize], data[..stored as usize]);
    }
}

#[test]
fn efs_26_one_byte_at_a_time() {
    let raw = sample();
    let whole = decode(&raw).unwrap();
    for step in [1, 2, 3, 7, 511, 512, 513, 4096] {
        assert_eq!(decode_in_steps(&raw, step).unwrap(), whole, "{step}");
    }
}

#[test]
fn efs_29_export_import_export_is_the_same() {
    let raw = sample();
    assert_eq!(again(&raw), raw);
}

#[test]
fn efs_30_a_foreign_cut_is_normalised() {
    // 1536 bytes in segments of one and two sectors, headers without padding; then the same as we write it.
    let mut first = Head::one(0, 512, 512);
    first.length = 0x20;
    first.extended.clear();
    let mut second = Head::one(512, 1000, 1024);
    second.length = 0x40;
    let foreign = with_segments(&[first, second]);
    let ours = again(&foreign);
    assert_ne!(ours, foreign);
    assert_eq!(flat(&decode(&ours).unwrap().streams[0]), flat(&decode(&foreign).unwrap().streams[0]));
    assert_eq!(decode(&ours).unwrap().streams[0].end.size, 1512);
    assert_eq!(again(&ours), ours);
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let mut raw = Vec::new();
    let head = StreamHead { name: None, encrypted: true };
    let mut encoder = Encoder::new();
    assert!(encoder.stream(&head, &mut raw).is_err(), "metadata first");
    assert!(encoder.finish().is_err());
    encoder.metadata(&metadata(), &mut raw).unwrap();
    assert!(encoder.metadata(&metadata(), &mut raw).is_err());
    let segment = Segment { len: 512, valid: 512, unit_shift: 9, blocks: vec![512], ..Segment::default() };
    assert!(encoder.segment(&segment, &mut raw).is_err(), "no stream");
    encoder.stream(&head, &mut raw).unwrap();
    assert!(encoder.plain_segment(1, &mut raw).is_err(), "an encrypted stream has no plain segment");
    encoder.segment(&segment, &mut raw).unwrap();
    let len = raw.len();
    assert!(encoder.segment(&segment, &mut raw).is_err(), "the ciphertext has not come");
    assert!(encoder.data(&[0; 513], &mut raw).is_err());
    assert!(encoder.finish().is_err());
    assert_eq!(raw.len(), len);
    encoder.data(&[0; 512], &mut raw).unwrap();
    assert!(encoder.segment(&segment, &mut raw).is_err(), "the same place again");
    assert!(encoder.stream(&head, &mut raw).is_err(), "the same name again");
    encoder.finish().unwrap();
    for wrong in [
        Segment { offset: 1, ..segment.clone() },
        Segment { unit_shift: 8, ..segment.clone() },
        Segment { blocks: vec![100], ..segment.clone() },
        Segment { len: 513, ..segment.clone() },
        Segment { blocks: vec![1024, 512], ..segment.clone() },
        Segment { offset: 1 << 63, ..segment.clone() },
    ] {
        assert!(
            encoder.segment(&Segment { offset: wrong.offset.max(4096), ..wrong.clone() }, &mut raw).is_err()
                || wrong.offset == 1
        );
        assert!(encoder.segment(&wrong, &mut raw).is_err());
    }
    for extents in [
        vec![Extent { offset: 1, len: 511 }],
        vec![Extent { offset: 512, len: 512 }, Extent { offset: 0, len: 512 }],
        vec![Extent { offset: 0, len: 1 << 40 }],
        vec![Extent { offset: 512, len: u64::MAX }],
        vec![Extent { offset: 0, len: 100 }],
    ] {
        assert!(Segments::new(&content_of(4096, 4096, 12, Some(extents.clone()))).is_err(), "{extents:?}");
    }
    assert!(Segments::new(&Content::plain(u64::MAX)).is_err());
}

/// Two encrypted streams, one with holes, one plain.
fn sample() -> Vec<u8> {
    let extents = vec![Extent { offset: 65536, len: 65536 }, Extent { offset: 262_144, len: 1000 }];
    let sparse = content_of(263_144, 263_144, 12, Some(extents));
    let plain = StreamPlan {
        head: StreamHead { name: name("note"), encrypted: false },
        content: Content::plain(70_000),
    };
    export(
        metadata(),
        &[
            (plan("", Content::plain(70_000)), bytes_for(70_000)),
            (plan("holes", sparse), bytes_for(263_144)),
            (plain, bytes_for(70_000)),
            (plan("empty", Content::plain(0)), Vec::new()),
        ],
    )
}

/// Import and export once more.
fn again(raw: &[u8]) -> Vec<u8> {
    let found = decode(raw).unwrap();
    let streams: Vec<_> = found
        .streams
        .iter()
        .map(|stream| {
            let extents = stream.end.sparse.then(|| {
                stream.runs.iter().map(|(at, run)| Extent { offset: *at, len: run.len() as u64 }).collect()
            });
            let cluster_shift = stream.segments.first().map_or(12, |segment| segment.cluster_shift);
            let content = content_of(stream.end.size, stream.end.vdl, cluster_shift, extents);
            (StreamPlan { head: stream.head.clone(), content }, flat(stream))
        })
        .collect();
    export(found.metadata, &streams)
}

fn any_content() -> impl Strategy<Value = Content> {
    let runs = proptest::collection::vec((0_u64..40, 1_u64..40), 0..6);
    (0_u64..400_000, 0_u64..420_000, 9_u8..17, proptest::option::of((runs, 0_u8..8))).prop_map(
        |(size, vdl, cluster_shift, sparse)| {
            let extents = sparse.map(|(runs, scale)| {
                let mut at = 0;
                let mut extents = Vec::new();
                for (gap, len) in runs {
                    let offset = at + (gap << (9 + scale));
                    let end = (offset + (len << (9 + scale))).min(size.next_multiple_of(512));
                    if offset >= end {
                        break;
                    }
                    extents.push(Extent { offset, len: end - offset });
                    at = end;
                }
                extents
            });
            content_of(size, vdl.min(size), cluster_shift, extents)
        },
    )
}

proptest! {
    #[test]
    fn any_content_round_trips(content in any_content(), step in 1_usize..5000) {
        let data = bytes_for(content.size);
        let raw = export(metadata(), &[(plan("", content.clone()), data.clone())]);
        let stream = decode_in_steps(&raw, step).unwrap().streams.remove(0);
        prop_assert_eq!(stream.end.size, content.size);
        prop_assert_eq!(stream.end.vdl, content.vdl);
        // Exactly the sectors below the valid data length that are in an extent.
        let valid = content.vdl.next_multiple_of(512);
        let everything = vec![Extent { offset: 0, len: content.size.next_multiple_of(512) }];
        let mut expected = vec![0; data.len()];
        for extent in content.extents.as_ref().unwrap_or(&everything) {
            let (from, to) = (extent.offset.min(valid) as usize, extent.end().min(valid) as usize);
            expected[from..to].copy_from_slice(&data[from..to]);
        }
        prop_assert!(flat(&stream) == expected);
        prop_assert_eq!(again(&raw), raw);
    }

    /// Events come no matter how the input is cut, and a decoder never asks for more than it was given.
    #[test]
    fn any_cut_gives_the_same(cuts in proptest::collection::vec(0_usize..4000, 0..40)) {
        let raw = sample();
        let mut decoder = Decoder::new();
        let (mut at, mut held) = (0_usize, 0);
        let mut ends = Vec::new();
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let mut input = &raw[at..raw.len().min(at.saturating_add(cut))];
            at += input.len();
            while let Some(event) = decoder.next(&mut input).unwrap() {
                match event {
                    Event::Data { data, .. } => held += data.len(),
                    Event::EndStream(end) => ends.push(end.size),
                    _ => {}
                }
            }
        }
        while let Some(event) = decoder.finish().unwrap() {
            if let Event::EndStream(end) = event { ends.push(end.size) }
        }
        prop_assert_eq!(ends, [70_000, 263_144, 70_000, 0]);
        prop_assert_eq!(held, 70_144 + 65_536 + 1024 + 70_000);
    }
}
