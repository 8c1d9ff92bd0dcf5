//! XPRESS, LZX and the stream of WOF: what wimlib has compressed, known vectors, round trips, damaged data.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::common::{Chance, corpus, disk, have, run};
use crate::encode;
use ntbak_image::{RawFile, ReadAt, Slice};
use ntbak_ntfs::compress::lzx::Lzx;
use ntbak_ntfs::compress::wof::{Algorithm, WofReader};
use ntbak_ntfs::compress::xpress::Xpress;
use proptest::prelude::*;

const ALGORITHMS: [(Algorithm, &str); 4] = [
    (Algorithm::Xpress4K, "XPRESS"),
    (Algorithm::Xpress8K, "XPRESS"),
    (Algorithm::Xpress16K, "XPRESS"),
    (Algorithm::Lzx, "LZX"),
];

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// A resource of a WIM file: where it is, its flags, its size there, the size of its content.
fn resource(entry: &[u8]) -> (u64, u8, u64, u64) {
    (long(entry, 8), entry[7], long(entry, 0) & 0x00FF_FFFF_FFFF_FFFF, long(entry, 16))
}

const COMPRESSED: u8 = 4;
const METADATA: u8 = 2;

/// Content that is text, machine code, numbers, chance and nothing.
fn files(dir: &Path) -> HashSet<Vec<u8>> {
    let mut contents = HashSet::from([vec![b'a'; 100_000], b"abc".repeat(30_000), vec![0; 200_000]]);
    for program in ["/bin/bash", "/usr/bin/qemu-img", "/lib/x86_64-linux-gnu/libc.so.6", "/etc/services"] {
        contents.extend(fs::read(program).map(|bytes| bytes[..bytes.len().min(700_001)].to_vec()));
    }
    let sizes = [1, 2, 9, 10, 11, 100, 4095, 4096, 4097, 8192, 32_767, 32_768, 32_769, 65_536, 1_000_000];
    for (seed, size) in (0..).zip(sizes) {
        contents.insert(disk(seed, size));
        contents.insert((0..size).map(|n| (n / 3 * 7) as u8 & 0x3F).collect());
    }
    for (n, content) in contents.iter().enumerate() {
        fs::write(dir.join(n.to_string()), content).unwrap();
    }
    contents
}

/// WIM resources have the layout of WOF streams: each one that wimlib has compressed is one of the files.
#[test]
fn ntfs_36_what_wimlib_has_compressed() {
    if !have(&["wimlib-imagex"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let contents = files(&tree);
    for (algorithm, name) in ALGORITHMS {
        for level in ["20", "50", "100"] {
            let wim = dir.path().join("wim");
            let chunk_size = algorithm.chunk_size().to_string();
            let arguments = ["capture", "--no-acls", "--chunk-size", &chunk_size, "--compress"];
            let compress = format!("{name}:{level}");
            let paths = [tree.to_str().unwrap(), wim.to_str().unwrap()];
            run("wimlib-imagex", arguments.into_iter().chain([compress.as_str()]).chain(paths));
            let what = format!("{algorithm:?} level {level}");
            let bytes = fs::read(&wim).unwrap();
            let (table_at, flags, table_len, _) = resource(&bytes[48..72]);
            assert_eq!(flags & COMPRESSED, 0, "the table of resources is plain");
            let table = &bytes[table_at as usize..][..table_len as usize];
            let mut found = 0;
            let file = RawFile::open(&wim).unwrap();
            for entry in table.chunks_exact(50) {
                let (at, flags, len, size) = resource(entry);
                if flags & COMPRESSED == 0 || flags & METADATA != 0 {
                    continue;
                }
                let reader = WofReader::new(Slice::new(&file, at, len), algorithm, size).unwrap();
                let mut content = vec![0xEE; size as usize];
                reader
                    .read_exact_at(0, &mut content)
                    .unwrap_or_else(|error| panic!("{what}, {size} bytes: {error}"));
                assert!(contents.contains(&content), "{what}, {size} bytes");
                found += 1;
                if size == 1_000_000 {
                    any_read_is_right(&reader, &content);
                }
            }
            assert!(found > 15, "{what}: only {found} were compressed");
            fs::remove_file(wim).unwrap();
        }
    }
}

/// Reads of any place and size, from several threads, give what the file has there.
fn any_read_is_right(reader: &(impl ReadAt + ?Sized), content: &[u8]) {
    std::thread::scope(|scope| {
        for seed in 0..3 {
            scope.spawn(move || {
                let mut chance = Chance::new(seed);
                for _ in 0..150 {
                    let at = chance.below(content.len() + 100);
                    let most = [10, 5000, 100_000][chance.below(3)];
                    let mut buf = vec![0xEE; chance.below(most)];
                    let read = reader.read_at(at as u64, &mut buf).unwrap();
                    let expected = content.get(at..).unwrap_or_default();
                    assert!(buf[..read] == expected[..expected.len().min(buf.len())], "{at}");
                }
            });
        }
    });
}

fn encoder(algorithm: Algorithm) -> impl Fn(&[u8]) -> Vec<u8> {
    move |chunk| match algorithm {
        Algorithm::Lzx => encode::lzx(chunk, 5003),
        _ => encode::xpress(chunk),
    }
}

/// Facts of NTFS, 36: one chunk has no table, the last chunk is plain, nothing at all.
#[test]
fn ntfs_36_streams_of_every_size() {
    for (algorithm, _) in ALGORITHMS {
        let size = algorithm.chunk_size();
        for len in [0, 1, 100, size - 1, size, size + 1, size + 3, 5 * size, 600 * 4096 + 77] {
            let content = disk(len as u64, len);
            let stream = encode::wof(&content, size, 4, encoder(algorithm));
            let reader = WofReader::new(stream, algorithm, len as u64).unwrap();
            let mut out = vec![0xEE; len];
            reader.read_exact_at(0, &mut out).unwrap();
            assert!(out == content, "{algorithm:?} {len}");
            assert_eq!(reader.read_at(len as u64, &mut [0; 9]).unwrap(), 0);
            any_read_is_right(&reader, &content);
        }
    }
}

/// A stream of a file of 4 GiB and more, most of which is not held in memory: the table has 8 bytes an entry.
struct Large {
    chunks: u64,
    packed: Vec<u8>,
}

impl ReadAt for Large {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        let table = (self.chunks - 1) * 8;
        let each = self.packed.len() as u64;
        for (at, byte) in (offset..).zip(buf.iter_mut()) {
            *byte = match at.checked_sub(table) {
                None => ((at / 8 + 1) * each).to_le_bytes()[(at % 8) as usize],
                Some(at) => self.packed[(at % each) as usize],
            };
        }
        Ok(buf.len())
    }

    fn len(&self) -> u64 {
        (self.chunks - 1) * 8 + self.chunks * self.packed.len() as u64
    }
}

#[test]
fn ntfs_36_files_of_4_gib_have_long_entries() {
    let chunk = disk(3, 32_768);
    let chunks = (1 << 17) + 5;
    let stream = Large { chunks, packed: encode::lzx(&chunk, 40_000) };
    let reader = WofReader::new(stream, Algorithm::Lzx, chunks * 32_768).unwrap();
    let mut out = vec![0; 32_768];
    for at in [0, 1 << 32, (chunks - 1) * 32_768] {
        reader.read_exact_at(at, &mut out).unwrap();
        assert!(out == chunk, "{at}");
    }
    // One byte less than 4 GiB: 4 bytes an entry, so this table cannot be right.
    let packed = vec![7; 32_768];
    let reader = WofReader::new(Large { chunks: 1 << 17, packed }, Algorithm::Lzx, (1 << 32) - 1).unwrap();
    assert!(reader.read_exact_at(32_768, &mut out).is_err());
}

#[test]
fn hostile_10_tables_that_cannot_be_right() {
    let content = disk(1, 40_000);
    let good = encode::wof(&content, 4096, 4, encode::xpress);
    let read = |stream: Vec<u8>, size: u64| {
        let mut out = vec![0; 40_000];
        WofReader::new(stream, Algorithm::Xpress4K, size)?.read_exact_at(0, &mut out)
    };
    read(good.clone(), 40_000).unwrap();
    // Not in order, the same twice, past the end, past any end; a chunk larger than what it stands for.
    let entry = |n: usize| u32::from_le_bytes(good[n * 4..n * 4 + 4].try_into().unwrap());
    for value in [0, entry(2), entry(1), entry(8), u32::MAX, good.len() as u32, entry(3) + 4096] {
        let mut bad = good.clone();
        bad[8..12].copy_from_slice(&value.to_le_bytes());
        let same = value == entry(2);
        assert_eq!(read(bad, 40_000).is_ok(), same, "{value}");
    }
    // The last bytes may be a unit that is only read ahead.
    for cut in [0, 1, 35, 36, 37, 300, good.len() - 10] {
        assert!(read(good[..cut].to_vec(), 40_000).is_err(), "{cut}");
    }
    // 2^32 chunks and more.
    for size in [1 << 44, u64::MAX] {
        assert!(WofReader::new(good.clone(), Algorithm::Xpress4K, size).is_err());
    }
}

#[test]
fn algorithms_have_their_numbers() {
    use Algorithm::{Lzx, Xpress4K, Xpress8K, Xpress16K};
    let all: Vec<_> = (0..5).map(Algorithm::from_number).collect();
    assert_eq!(all, [Some(Xpress4K), Some(Lzx), Some(Xpress8K), Some(Xpress16K), None]);
}

/// The examples of \[MS-XCA\] 3.2.
#[test]
fn the_examples_of_the_xpress_specification() {
    let mut lengths = vec![0; 256];
    lengths[0x30..0x3E].copy_from_slice(&[
        0x50, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x45, 0x44, 0x04,
    ]);
    lengths[0x80] = 4;
    let alphabet =
        [lengths, b"\xD8\x52\x3E\xD7\x94\x11\x5B\xE9\x19\x5F\xF9\xD6\x7C\xDF\x8D\x04\0\0\0\0".to_vec()];
    let mut out = [0; 26];
    Xpress::new().decompress(&alphabet.concat(), &mut out).unwrap();
    assert_eq!(&out, b"abcdefghijklmnopqrstuvwxyz");

    let mut lengths = vec![0; 256];
    (lengths[0x30], lengths[0x31], lengths[0x80], lengths[0x8F]) = (0x30, 0x23, 0x02, 0x20);
    let repeated = [lengths, b"\xA8\xDC\0\0\xFF\x26\x01".to_vec()].concat();
    let mut out = [0; 300];
    Xpress::new().decompress(&repeated, &mut out).unwrap();
    assert_eq!(out.to_vec(), b"abc".repeat(100));
    // The length of the match must fit exactly.
    assert!(Xpress::new().decompress(&repeated, &mut [0; 299]).is_err());
}

/// A string of Go source.
fn go_bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let [kind, tail @ ..] = rest else { panic!("{text}") };
        rest = tail;
        let simple = b"abfnrtv\\\"'".iter().position(|known| known == kind);
        match (kind, simple) {
            (b'x', _) => {
                out.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
            (_, Some(index)) => out.push(b"\x07\x08\x0C\n\r\t\x0B\\\"'"[index]),
            _ => panic!("\\{}", char::from(*kind)),
        }
    }
    out
}

#[test]
fn what_a_corpus_has() {
    if let Some(path) = corpus("keramics/lzxpress_huffman-compressed") {
        let mut out = [0; 26];
        Xpress::new().decompress(&fs::read(path).unwrap(), &mut out).unwrap();
        assert_eq!(&out, b"abcdefghijklmnopqrstuvwxyz");
    }
    let Some(path) = corpus("go-ntfs/huffman_vectors.txt") else { return };
    let text = fs::read_to_string(path).unwrap();
    let mut compared = 0;
    for line in text.lines().filter(|line| line.trim_start().starts_with("{\"")) {
        let parts: Vec<&str> = line.split("[]byte(\"").collect();
        let [name, packed, plain] = parts[..] else { continue };
        let inside = |part: &str| go_bytes(&part[..part.rfind("\")").unwrap()]);
        let (packed, plain) = (inside(packed), inside(plain));
        let good = line.trim_end().trim_end_matches(',').trim_end().ends_with("true}");
        // After 64 KiB, the general format has a new table; no chunk of WOF is so large.
        if plain.len() > 65_536 || !good {
            continue;
        }
        // Its encoder has put the bytes of a long length one unit earlier than \[MS-XCA\] 2.2.4 and wimlib read them.
        if name.contains("Huff0") {
            assert!(Xpress::new().decompress(&packed, &mut vec![0; plain.len()]).is_err());
            continue;
        }
        let mut out = vec![0; plain.len()];
        Xpress::new().decompress(&packed, &mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(out == plain, "{name}");
        compared += 1;
    }
    assert!(compared >= 3, "{compared} vectors");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn xpress_comes_back(seed: u64, len in 0usize..=65_536) {
        let data = disk(seed, len);
        let packed = encode::xpress(&data);
        let (mut out, mut xpress) = (vec![0xEE; len], Xpress::new());
        xpress.decompress(&packed, &mut out).unwrap();
        prop_assert!(out == data);
        // Cut in the middle of the bits, it is noticed.
        if len > 100 {
            prop_assert!(xpress.decompress(&packed[..packed.len() - 60], &mut out).is_err());
        }
    }

    #[test]
    fn lzx_comes_back(seed: u64, len in 0usize..=32_768, block in prop_oneof![1usize..3000, 3000usize..40_000]) {
        let mut data = disk(seed, len);
        // Calls of machine code, forth and back and past all bounds.
        let mut chance = Chance::new(seed);
        for _ in 0..len / 200 {
            let at = chance.below(len.saturating_sub(5).max(1));
            let operand = [chance.below(40_000) as i32 - 20_000, 12_000_000 - chance.below(70_000) as i32, -1, i32::MIN];
            if at + 5 <= len {
                data[at] = 0xE8;
                data[at + 1..at + 5].copy_from_slice(&operand[chance.below(4)].to_le_bytes());
            }
        }
        // Blocks of one byte, each with its codes, would take minutes.
        let block = block.max(len / 40).max(1);
        let packed = encode::lzx(&data, block);
        let (mut out, mut lzx) = (vec![0xEE; len], Lzx::new());
        lzx.decompress(&packed, &mut out).unwrap();
        prop_assert!(out == data);
        if len > 100 {
            prop_assert!(lzx.decompress(&packed[..packed.len() - 60], &mut out).is_err());
        }
    }

    #[test]
    fn any_bytes_do_no_harm(data in proptest::collection::vec(any::<u8>(), 0..3000), len in 0usize..70_000) {
        let mut out = vec![0; len];
        let _ = Xpress::new().decompress(&data, &mut out);
        let _ = Lzx::new().decompress(&data, &mut out);
        for algorithm in [Algorithm::Xpress8K, Algorithm::Lzx] {
            if let Ok(reader) = WofReader::new(data.clone(), algorithm, len as u64) {
                let _ = reader.read_at(0, &mut out);
            }
        }
    }
}

/// The state is used again after a chunk that failed.
#[test]
fn mutated_chunks_do_no_harm() {
    let plain = disk(9, 32_768);
    let (packed_xpress, packed_lzx) = (encode::xpress(&plain[..16_384]), encode::lzx(&plain, 9001));
    let (mut xpress, mut lzx) = (Xpress::new(), Lzx::new());
    let mut chance = Chance::new(4);
    let mut out = vec![0; 32_768];
    for round in 0..3000 {
        for (good, is_lzx) in [(&packed_xpress, false), (&packed_lzx, true)] {
            let mut bad = good.clone();
            for _ in 0..1 + chance.below(4) {
                let at = chance.below(if round % 2 == 0 { 600 } else { bad.len() });
                bad[at] = chance.number() as u8;
            }
            if round % 5 == 0 {
                bad.truncate(chance.below(bad.len()));
            }
            let _ = match is_lzx {
                true => lzx.decompress(&bad, &mut out),
                false => xpress.decompress(&bad, &mut out[..16_384]),
            };
        }
    }
    xpress.decompress(&packed_xpress, &mut out[..16_384]).unwrap();
    assert!(out[..16_384] == plain[..16_384]);
    lzx.decompress(&packed_lzx, &mut out).unwrap();
    assert!(out == plain);
}
