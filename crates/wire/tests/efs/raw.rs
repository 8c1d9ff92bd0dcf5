//! Numbered cases 1 to 23, 31 to 33 and 50 of the raw format.

use ntbak_wire::efs::{StreamEnd, v1};
use ntbak_wire::object_id::Guid;
use ntbak_wire::{Error, Name, Problem, Win32Error};

use crate::model::*;

/// The error of reading `bytes`, which must be the same in one piece and byte by byte.
fn refused(bytes: &[u8]) -> Error {
    let error = decode(bytes).expect_err("this must be refused");
    assert_eq!(decode_in_steps(bytes, 1).unwrap_err(), error);
    assert_eq!(error.win32(), Win32Error::NOT_EXPORT_FORMAT, "{error}");
    error
}

fn one_stream(bytes: &[u8]) -> Stream {
    let raw = decode(bytes).unwrap();
    assert_eq!(decode_in_steps(bytes, 1).unwrap(), raw);
    assert_eq!(raw.metadata, metadata());
    assert_eq!(raw.streams.len(), 1);
    raw.streams[0].clone()
}

#[test]
fn efs_1_efs_2_cut_in_the_file_header() {
    for len in 0..20 {
        let error = decode(&file_header()[..len]).unwrap_err();
        assert_eq!(error.win32(), Win32Error::NOT_EXPORT_FORMAT);
        assert!(matches!(error.problem, Problem::Truncated { what: "file header", .. }));
    }
}

#[test]
fn efs_3_wrong_file_header() {
    for at in 0..12 {
        let mut bytes = prologue();
        bytes[at] ^= 1;
        refused(&bytes);
    }
}

#[test]
fn efs_4_reserved_bytes_are_ignored() {
    let clean = with_segments(&[Head::one(0, 2, 512)]);
    let expected = decode(&clean).unwrap();
    let metadata_at = 20 + 30;
    let stream_at = metadata_at + 16 + metadata().len();
    let segment_at = stream_at + 42;
    let header_at = segment_at + 16;
    let reserved = [
        12..20,
        20 + 12..20 + 24, // the flag of the metadata stream too
        metadata_at + 12..metadata_at + 16,
        stream_at + 16..stream_at + 24,
        segment_at + 12..segment_at + 16,
        header_at + 0x2C..header_at + 0x1F0, // EXTD's reserved word and the padding
    ];
    for at in reserved.into_iter().flatten() {
        let mut bytes = clean.clone();
        bytes[at] = 0xFF;
        assert_eq!(decode(&bytes).unwrap(), expected, "byte {at:#x}");
    }
}

#[test]
fn efs_5_no_metadata_stream() {
    refused(&file_header());
}

#[test]
fn efs_6_data_before_metadata() {
    refused(&[file_header(), data_header("")].concat());
    refused(&[file_header(), segment(&metadata())].concat());
}

#[test]
fn efs_7_two_metadata_streams() {
    refused(&file(&[metadata_header(), segment(&metadata())]));
}

#[test]
fn efs_8_metadata_name_in_the_wrong_order() {
    refused(&[file_header(), stream_header(0, &[0x19, 0x10]), segment(&metadata())].concat());
}

#[test]
fn efs_9_a_name_may_end_with_a_nul() {
    for (stored, bare) in [("::$DATA\0", ""), (":a:$DATA\0", "a"), (":a:$DATA\0\0", "a"), (":a:$DATA", "a")] {
        let bytes = file(&[stream_header(0, &utf16(stored))]);
        assert_eq!(one_stream(&bytes).head.name, name(bare), "{stored:?}");
    }
}

#[test]
fn efs_10_length_of_a_stream_header() {
    let mut long = data_header("");
    long[0] += 6;
    long.extend([0xEE; 6]);
    assert_eq!(one_stream(&file(&[long, Head::one(0, 2, 512).segment()])).end.size, 2);
    let mut short = data_header("");
    short[0] -= 1;
    refused(&file(&[short]));
}

#[test]
fn efs_11_name_lengths_that_cannot_be() {
    for size in [0_u32, 1, 13, 15, 528, 0xFFFF_FFFE, 0xFFFF_FFFF] {
        let mut header = data_header("");
        header[0x18..0x1C].copy_from_slice(&size.to_le_bytes());
        header[..4].copy_from_slice(&size.saturating_add(28).to_le_bytes());
        refused(&file(&[header]));
    }
}

#[test]
fn efs_12_segment_lengths_that_cannot_be() {
    for length in (0..16).chain([(16 << 20) + 1, u32::MAX]) {
        let mut segment = segment(&[]);
        segment[..4].copy_from_slice(&length.to_le_bytes());
        refused(&file(&[data_header(""), segment.clone()]));
        refused(&file(&[stream_header(1, &utf16("::$DATA")), segment.clone()]));
        refused(&[file_header(), metadata_header(), segment].concat());
    }
    // Room for the segment's own header, but for no encryption header.
    for room in 0..0x1C {
        refused(&file(&[data_header(""), segment(&vec![0; room])]));
    }
}

#[test]
fn efs_13_length_of_the_encryption_header() {
    let mut head = Head::one(0, 2, 512);
    head.extended.clear();
    head.length = 0x1F;
    let mut bytes = head.bytes();
    bytes.truncate(0x1F);
    refused(&file(&[data_header(""), segment(&[bytes, vec![0; 512]].concat())]));
    // Without padding, with the extended header half there, with more padding than Windows has.
    for length in [0x20, 0x28, 0x30, 0x1F0, 0x400, 0x401] {
        head.length = length;
        let stream = one_stream(&with_segments(&[head.clone()]));
        assert_eq!((stream.end.size, stream.runs[0].1.len()), (2, 512), "{length:#x}");
    }
    // It says more than the segment has.
    let mut bytes = head.bytes();
    bytes[8..12].copy_from_slice(&0xFFFF_FFFF_u32.to_le_bytes());
    refused(&file(&[data_header(""), segment(&bytes)]));
}

#[test]
fn efs_14_blocks_that_are_not_there() {
    let head = Head::one(0, 2, 1024);
    for data in [0, 512, 1023, 1025, 1536] {
        refused(&file(&[data_header(""), segment(&[head.bytes(), vec![0; data]].concat())]));
    }
    // The rest of the block lies behind the segment: whole, but not where the segment says that it is.
    let short = file(&[data_header(""), segment(&[head.bytes(), vec![0; 512]].concat())]);
    refused(&[short, vec![0; 512]].concat());
}

#[test]
fn efs_15_blocks_of_odd_size() {
    for size in [1, 511, 513, 1000] {
        refused(&with_segments(&[Head::one(0, 1, size)]));
    }
}

#[test]
fn efs_16_data_unit_shifts_that_cannot_be() {
    for shift in [0, 1, 8, 31, 32, 63, 64, 255] {
        refused(&with_segments(&[Head::many(0, 2, shift, vec![512])]));
    }
}

#[test]
fn efs_17_the_chunk_shift_is_not_looked_at() {
    let mut head = Head::one(0, 2, 512);
    head.chunk_shift = 0xFF;
    assert_eq!(one_stream(&with_segments(&[head])).end.size, 2);
}

#[test]
fn efs_18_formats_that_cannot_be() {
    for format in [0, 2, 255] {
        refused(&with_segments(&[Head { format, ..Head::one(0, 2, 512) }]));
    }
    for compression in [1, 2, 0x4000] {
        refused(&with_segments(&[Head { compression, ..Head::one(0, 2, 512) }]));
    }
}

#[test]
fn efs_19_the_extended_header() {
    for (flags, sparse) in [(0, false), (1, true), (2, false), (0xFFFF_FFFF, true)] {
        let extended = [&b"EXTD"[..], &words(&[16, flags, 0])].concat();
        assert_eq!(
            one_stream(&with_segments(&[Head { extended, ..Head::one(0, 2, 512) }])).end.sparse,
            sparse
        );
    }
    let extended = [&b"EXTE"[..], &words(&[16, 1, 0])].concat();
    assert!(!one_stream(&with_segments(&[Head { extended, ..Head::one(0, 2, 512) }])).end.sparse);
}

#[test]
fn efs_20_offsets_out_of_order() {
    let at = |offset| Head::one(offset, 512, 512);
    refused(&with_segments(&[at(512), at(0)]));
    refused(&with_segments(&[at(0), at(0)]));
    refused(&with_segments(&[Head::one(0, 1024, 1024), at(512)]));
    refused(&with_segments(&[at(1)]));
    for offset in [u64::MAX - 511, i64::MAX as u64 - 511, 1 << 63] {
        refused(&with_segments(&[at(offset)]));
    }
    let far = i64::MAX as u64 - 1023;
    assert_eq!(one_stream(&with_segments(&[at(far)])).end.size, far + 512);
}

#[test]
fn efs_21_more_bytes_than_there_are() {
    refused(&with_segments(&[Head { len: 513, ..Head::one(0, 512, 512) }]));
    refused(&with_segments(&[Head { len: u32::MAX, ..Head::one(0, 512, 512) }]));
    refused(&with_segments(&[Head::many(0, 1, 0, vec![])]));
    let end = one_stream(&with_segments(&[Head { valid: 4000, ..Head::one(0, 2, 512) }])).end;
    assert_eq!((end.size, end.vdl), (2, 2), "a valid data length past the end is the end");
}

#[test]
fn a_block_larger_than_its_unit_is_the_last_one() {
    let stream = one_stream(&with_segments(&[Head::many(0, 1536, 9, vec![512, 1024])]));
    assert_eq!(stream.runs[0].1.len(), 1536);
    refused(&with_segments(&[Head::many(0, 1024, 9, vec![1024, 512])]));
}

#[test]
fn efs_22_gaps_between_segments_have_no_content() {
    for sparse in [0, 1] {
        let extended = [&b"EXTD"[..], &words(&[16, sparse, 0])].concat();
        let head = |offset| Head { extended: extended.clone(), ..Head::one(offset, 512, 512) };
        let stream = one_stream(&with_segments(&[head(0), head(8192)]));
        assert_eq!(
            stream.end,
            StreamEnd { size: 8704, vdl: 8704, sparse: sparse == 1, gaps: true, open: false }
        );
        let runs: Vec<_> = stream.runs.iter().map(|(at, run)| (*at, run.len())).collect();
        assert_eq!(runs, [(0, 512), (8192, 512)]);
    }
}

#[test]
fn efs_23_nothing_but_holes() {
    let stream = one_stream(&with_segments(&[Head::many(0, 3 * 65536 - 5, 16, vec![0, 0, 0])]));
    assert_eq!((stream.end.size, stream.runs.len()), (3 * 65536 - 5, 0));
}

#[test]
fn holes_lie_between_the_blocks_of_a_segment() {
    let stream =
        one_stream(&with_segments(&[Head::many(4096, 5 * 4096, 12, vec![0, 4096, 4096, 512, 4096])]));
    let runs: Vec<_> = stream.runs.iter().map(|(at, run)| (*at, run.len())).collect();
    assert_eq!(runs, [(8192, 8192 + 512), (20480, 4096)]);
}

#[test]
fn an_empty_stream_has_no_segment_or_one_without_blocks() {
    assert_eq!(one_stream(&with_segments(&[])).end, StreamEnd::default());
    assert_eq!(one_stream(&with_segments(&[Head::many(0, 0, 0, vec![])])).end, StreamEnd::default());
}

#[test]
fn efs_31_many_streams_and_long_names() {
    let longest = "n".repeat(255);
    let mut names: Vec<String> = (0..100).map(|number| format!("stream{number}")).collect();
    names.extend([longest, "\u{1F600}".into()]);
    let parts: Vec<_> = names.iter().map(|name| data_header(name)).collect();
    let raw = decode(&file(&parts)).unwrap();
    let found: Vec<_> =
        raw.streams.iter().map(|stream| stream.head.name.as_ref().unwrap().to_string()).collect();
    assert_eq!(found, names);
    // An unpaired surrogate is a legal name on NTFS.
    let lone: Vec<u8> = [&utf16(":")[..], &[0, 0xD8], &utf16(":$DATA")].concat();
    let name = one_stream(&file(&[stream_header(0, &lone)])).head.name.unwrap();
    assert_eq!(name.name(), &Name::from_units(vec![0xD800]));
    for bad in [":n:$EA", "n", "", ":a/b:$DATA", &format!(":{}:$DATA", "n".repeat(256)), ":\0:$DATA"] {
        refused(&file(&[stream_header(0, &utf16(bad))]));
    }
}

#[test]
fn efs_32_plain_streams_beside_encrypted_ones() {
    let plain =
        [stream_header(1, &utf16(":plain:$DATA")), segment(b"not "), segment(b""), segment(b"secret")]
            .concat();
    let raw = decode(&file(&[data_header(""), Head::one(0, 2, 512).segment(), plain])).unwrap();
    assert!(raw.streams[0].head.encrypted);
    assert!(!raw.streams[1].head.encrypted);
    assert_eq!(raw.streams[1].runs, [(0, b"not secret".to_vec())]);
    assert_eq!(raw.streams[1].end, StreamEnd { size: 10, vdl: 10, sparse: false, gaps: false, open: true });
    for flag in [2, 3, 0x100] {
        refused(&file(&[stream_header(flag, &utf16("::$DATA"))]));
    }
}

#[test]
fn efs_33_a_stream_name_comes_once() {
    refused(&file(&[data_header(""), data_header("")]));
    refused(&file(&[data_header("a"), data_header("b"), data_header("a")]));
    refused(&file(&[stream_header(0, &utf16(":a:$DATA")), stream_header(1, &utf16(":a:$DATA\0"))]));
}

#[test]
fn efs_50_nothing_may_follow() {
    let whole = with_segments(&[Head::one(0, 2, 512)]);
    for tail in [&[0_u8][..], &[0; 11], &[0; 12], &[0xFF; 64], b"PK\x05\x06"] {
        refused(&[&whole[..], tail].concat());
    }
}

#[test]
fn efs_52_size_of_the_metadata() {
    let sized = |size: usize| {
        let mut bytes = words(&[size as u32, 0, 99]);
        bytes.resize(size, 0);
        [file_header(), metadata_header(), segment(&bytes)].concat()
    };
    for size in [0, 1, 12, 0x54, 262_145, 300_000] {
        let mut bytes = sized(size.max(12));
        if size < 12 {
            bytes = [file_header(), metadata_header(), segment(&vec![0; size])].concat();
        }
        refused(&bytes);
    }
    for size in [0x55, 262_144] {
        assert_eq!(decode(&sized(size)).unwrap().metadata.len(), size);
    }
    let mut lie = prologue();
    lie[66] += 1;
    refused(&lie);
}

#[test]
fn metadata_may_come_in_several_segments() {
    let whole = metadata();
    let (a, b) = whole.split_at(40);
    let bytes = [file_header(), metadata_header(), segment(a), segment(&[]), segment(b)].concat();
    assert_eq!(decode(&bytes).unwrap().metadata, whole);
    let many: Vec<_> = (0..5).map(|_| segment(&[0; 60_000])).collect();
    refused(&[file_header(), metadata_header(), many.concat()].concat());
}

#[test]
fn a_refused_decoder_stays_refused() {
    let bytes = file(&[metadata_header()]);
    let mut decoder = ntbak_wire::efs::Decoder::new();
    let mut input = &bytes[..];
    let error = loop {
        match decoder.next(&mut input) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("refused"),
            Err(error) => break error,
        }
    };
    assert_eq!(decoder.next(&mut &[0; 100][..]).unwrap_err(), error);
    assert_eq!(decoder.finish().unwrap_err(), error);
}

/// The layout of the worked example, all but the ciphertext; `ntbak-efs` has the whole file with its hash.
#[test]
fn the_worked_example_is_laid_out_byte_for_byte() {
    let mut builder = v1::Builder::new(2, Guid(std::array::from_fn(|at| at as u8)));
    let thumbprint: Vec<u8> = (0xA0..=0xB3).collect();
    let entry = v1::NewEntry {
        thumbprint: &thumbprint,
        encrypted_fek: &[0xEE; 256],
        display: Some(&Name::from("u")),
        ..v1::NewEntry::default()
    };
    builder.add(ntbak_wire::efs::HolderKind::User, &entry);
    let metadata = builder.build().unwrap();
    let info =
        [words(&[0x48, 0, 3, 0x2C, 0x1C, 0, 0, 0x14, 0x14, 0, 0, 0x28]), thumbprint, utf16("u\0")].concat();
    let expected = [
        words(&[0x1B4, 0, 2, 0]),
        (0..16).collect(),
        vec![0; 32],
        words(&[0x54, 0, 0, 0, 0, 1, 0x15C, 0x14, 0x100, 0x5C, 0]),
        info,
        vec![0xEE; 256],
    ]
    .concat();
    assert_eq!(metadata, expected);

    let plan = ntbak_wire::efs::StreamPlan {
        head: ntbak_wire::efs::StreamHead { name: None, encrypted: true },
        content: ntbak_wire::efs::Content::plain(2),
    };
    let data: Vec<u8> = (0..512).map(|at| (at % 251) as u8).collect();
    let raw = crate::round_trip::export(metadata.clone(), &[(plan, data)]);
    let expected = [
        file_header(),
        metadata_header(),
        segment(&metadata),
        data_header(""),
        Head::one(0, 2, 512).segment(),
    ]
    .concat();
    assert_eq!(raw, expected);
    assert_eq!((raw.len(), raw[0x1F6], raw[0x220..0x222].to_vec()), (1568, 0x2A, vec![0, 4]));
}
