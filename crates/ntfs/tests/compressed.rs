//! Compressed streams and files of WOF on volumes, read through the volume: numbered cases 33 to 36, and 31 of compressed
//! streams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "compress/encode.rs"]
mod encode;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use common::Image;
use common::compare::{judged, read, same_as_judged};
use common::patch::{Patched, attribute};
use ntbak_ntfs::compress::wof::Algorithm;
use ntbak_ntfs::{AttributeType, File, Options, Problem, Stream, Volume};
use ntbak_wire::Name;
use rustix::fs::XattrFlags;

const UNIT: usize = 65_536;

fn open_path(volume: &Volume, path: &str) -> File {
    let names: Vec<Name> = path.split('/').map(Name::from).collect();
    volume.lookup(&names).unwrap().unwrap_or_else(|| panic!("there is no {path}"))
}

fn stream<'f>(file: &'f File, name: &str) -> &'f Stream {
    file.stream(AttributeType::DATA, &name.encode_utf16().collect::<Vec<_>>()).unwrap()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| b"The same again and again. "[at % 26] ^ (at / 5000) as u8).collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2026_1121_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Any part that is read is that part.
fn same(volume: &Volume, path: &str, name: &str, expected: &[u8]) {
    let file = open_path(volume, path);
    let stream = stream(&file, name);
    assert_eq!(stream.size(), expected.len() as u64, "{path}");
    assert!(read(&file, stream) == expected, "{path}:{name}");
    for at in (0..expected.len()).step_by(1 + expected.len() / 37) {
        for len in [1, 513, 70_000] {
            let mut part = vec![0xEE; len];
            let got = file.read_at(stream, at as u64, &mut part).unwrap();
            assert_eq!(got, len.min(expected.len() - at), "{path}:{name} at {at}");
            assert!(part[..got] == expected[at..at + got], "{path}:{name} at {at}");
        }
    }
}

/// How many units are plain, compressed and holes, and how many lie in several runs.
fn units(file: &File, name: &str) -> [usize; 4] {
    let mut runs = Vec::new();
    for (at, len) in stream(file, name).clusters() {
        for cluster in 0..len / 4096 {
            runs.push(at.map(|at| at / 4096 + cluster));
        }
    }
    let mut found = [0; 4];
    for unit in runs.chunks(16) {
        let stored: Vec<u64> = unit.iter().flatten().copied().collect();
        let kind = match stored.len() {
            0 => 2,
            len => usize::from(len < unit.len()),
        };
        found[kind] += 1;
        found[3] += usize::from(stored.windows(2).any(|pair| pair[0] + 1 != pair[1]));
    }
    found
}

fn compressed_directory(path: &Path) {
    fs::create_dir(path).unwrap();
    rustix::fs::setxattr(path, "system.ntfs_attrib", &0x800_u32.to_le_bytes(), XattrFlags::empty()).unwrap();
}

/// Units that need a few clusters each.
fn scattered() -> Vec<u8> {
    [noise(16_384), text(UNIT - 16_384)].concat().repeat(8)
}

/// The files of these tests: name, content.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let mixed = [text(UNIT), noise(UNIT), vec![0; 2 * UNIT], text(3 * UNIT), noise(777)].concat();
    // A unit with chunks that do not shrink between chunks that do, and one of a page too little to gain.
    let chunks = [text(20_000), noise(8192), text(30_000), vec![0; 4000], noise(5000)].concat();
    vec![
        ("text", text(5 * UNIT)),
        ("mixed", mixed),
        ("chunks", chunks),
        ("odd", text(2 * UNIT + 4097)),
        ("short", text(5001)),
        ("noise", noise(2 * UNIT)),
        ("resident", b"resident".to_vec()),
    ]
}

fn volume() -> Option<Image> {
    if let Some(why) = common::no_volumes() {
        common::skip(&why);
        return None;
    }
    let image = Image::formatted(32, &["-c", "4096"]);
    image.mounted(|root| {
        let dir = root.join("c");
        compressed_directory(&dir);
        for (name, content) in contents() {
            fs::write(dir.join(name), content).unwrap();
        }
        fs::write(dir.join("text:stream"), text(100_000)).unwrap();
        // Case 35: a hole in the middle, and one at the end.
        let sparse = fs::File::create(dir.join("sparse")).unwrap();
        sparse.write_all_at(&text(70_000), 300_000).unwrap();
        sparse.set_len(900_000).unwrap();
        // Free space of single clusters, so that units lie in many runs.
        fs::create_dir(root.join("fill")).unwrap();
        for n in 0..1500 {
            fs::write(root.join(format!("fill/{n:04}")), noise(4096)).unwrap();
        }
        fs::write(root.join("rest"), noise(4096)).unwrap();
        let mut rest = fs::File::options().append(true).open(root.join("rest")).unwrap();
        while std::io::Write::write_all(&mut rest, &noise(UNIT)).is_ok() {}
        for n in (0..1500).step_by(2) {
            fs::remove_file(root.join(format!("fill/{n:04}"))).unwrap();
        }
        fs::write(dir.join("scattered"), scattered()).unwrap();
    });
    Some(image)
}

#[test]
fn ntfs_33_units_of_every_kind() {
    let Some(image) = volume() else { return };
    let volume = Volume::open(image.open(), Options::default()).unwrap();
    let seen = same_as_judged(&volume, &judged(&image.path(), 0));
    assert!(seen.compressed >= 8, "{seen:?}");
    for (name, content) in contents() {
        same(&volume, &format!("c/{name}"), "", &content);
    }
    same(&volume, "c/text", "stream", &text(100_000));
    same(&volume, "c/scattered", "", &scattered());
    let of = |path| units(&open_path(&volume, path), "");
    let [plain, compressed, holes, _] = of("c/mixed");
    assert!(plain >= 1 && compressed >= 4 && holes == 2, "{:?}", of("c/mixed"));
    assert!(of("c/scattered")[3] > 0, "{:?}", of("c/scattered"));
    assert_eq!(of("c/noise")[..3], [2, 0, 0]);
    // A unit counts whole where it has any cluster.
    let file = open_path(&volume, "c/mixed");
    let extents: Vec<_> = stream(&file, "").extents().map(|extent| (extent.offset, extent.len)).collect();
    assert_eq!(extents, [(0, 2 * UNIT as u64), (4 * UNIT as u64, 3 * UNIT as u64 + 777)]);
}

/// Compression unit 0: nothing is in units, so everything is plain.
#[test]
fn ntfs_33_compression_unit_0() {
    let Some(image) = volume() else { return };
    let mut patched = Patched::new(Arc::new(image.bytes()));
    let record = open_path(&patched.open().unwrap(), "c/noise").reference().record();
    patched.edit(record, |record| {
        let (at, _) = attribute(record, AttributeType::DATA);
        assert_eq!(record[at + 34], 4);
        record[at + 34] = 0;
    });
    same(&patched.open().unwrap(), "c/noise", "", &noise(2 * UNIT));
}

#[test]
fn ntfs_34_a_resident_stream_with_the_compressed_flag() {
    let Some(image) = volume() else { return };
    let volume = Volume::open(image.open(), Options::default()).unwrap();
    let file = open_path(&volume, "c/resident");
    let stream = stream(&file, "");
    assert!(stream.is_resident() && stream.flags().bits() & 1 == 1 && !stream.is_compressed());
    assert_eq!(read(&file, stream), b"resident");
}

#[test]
fn ntfs_35_compressed_and_sparse() {
    let Some(image) = volume() else { return };
    let mut expected = vec![0; 900_000];
    expected[300_000..370_000].copy_from_slice(&text(70_000));
    let mut patched = Patched::new(Arc::new(image.bytes()));
    let record = open_path(&patched.open().unwrap(), "c/sparse").reference().record();
    for flags in [0x0001, 0x8001_u16] {
        patched.edit(record, |record| {
            let (at, _) = attribute(record, AttributeType::DATA);
            record[at + 12..at + 14].copy_from_slice(&flags.to_le_bytes());
        });
        let volume = patched.open().unwrap();
        let file = open_path(&volume, "c/sparse");
        assert!(stream(&file, "").is_compressed());
        same(&volume, "c/sparse", "", &expected);
        let extents: Vec<_> = stream(&file, "").extents().map(|extent| (extent.offset, extent.len)).collect();
        assert_eq!(extents, [(4 * UNIT as u64, 2 * UNIT as u64)]);
    }
}

/// What lies past the valid data length is zeros, whatever the units hold.
#[test]
fn ntfs_31_valid_data_length_within_a_unit() {
    let Some(image) = volume() else { return };
    let mut patched = Patched::new(Arc::new(image.bytes()));
    let record = open_path(&patched.open().unwrap(), "c/text").reference().record();
    for vdl in [0, 1, 100_000, 4 * UNIT] {
        patched.edit(record, |record| {
            let (at, _) = attribute(record, AttributeType::DATA);
            record[at + 56..at + 64].copy_from_slice(&(vdl as u64).to_le_bytes());
        });
        let mut expected = text(5 * UNIT);
        expected[vdl..].fill(0);
        same(&patched.open().unwrap(), "c/text", "", &expected);
    }
}

/// A unit that is damaged: what is before it is read, and what is behind it.
#[test]
fn hostile_10_a_damaged_unit() {
    let Some(image) = volume() else { return };
    let mut patched = Patched::new(Arc::new(image.bytes()));
    let volume = patched.open().unwrap();
    let file = open_path(&volume, "c/text");
    let runs: Vec<_> = stream(&file, "").clusters().collect();
    let second = runs.iter().filter_map(|(at, _)| *at).nth(1).unwrap();
    patched.write(second, &[0x03, 0xB0, 1, 0, 0, 0]);
    let volume = patched.open().unwrap();
    let file = open_path(&volume, "c/text");
    let mut buffer = vec![0; 5 * UNIT];
    assert_eq!(file.read_at(stream(&file, ""), 0, &mut buffer).unwrap(), UNIT);
    assert!(buffer[..UNIT] == text(UNIT));
    let error = file.read_at(stream(&file, ""), UNIT as u64, &mut buffer).unwrap_err();
    assert!(matches!(error.problem, Problem::Compressed(_)) && error.win32().0 == 1392, "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "record {}, compressed stream at byte 65536: LZNT1 data at byte 3: a match begins before its chunk",
            file.reference().record()
        )
    );
    let rest = file.read_at(stream(&file, ""), 2 * UNIT as u64, &mut buffer).unwrap();
    assert!(buffer[..rest] == text(5 * UNIT)[2 * UNIT..]);
}

const ALGORITHMS: [(Algorithm, u32); 4] =
    [(Algorithm::Xpress4K, 0), (Algorithm::Lzx, 1), (Algorithm::Xpress8K, 2), (Algorithm::Xpress16K, 3)];

fn set_wof(path: &Path, words: &[u32]) {
    let head = [0x8000_0017, 4 * words.len() as u32];
    let buffer: Vec<u8> = head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect();
    rustix::fs::setxattr(path, "system.ntfs_reparse_data", &buffer, XattrFlags::empty()).unwrap();
}

/// A file as WOF stores it: a hole of its size, the packed stream, and the reparse point.
fn make_wof(path: &Path, size: u64, packed: &[u8], words: &[u32]) {
    fs::File::create(path).unwrap().set_len(size).unwrap();
    fs::write(format!("{}:WofCompressedData", path.display()), packed).unwrap();
    set_wof(path, words);
}

/// One chunk without a table, a last chunk that is plain, resident and large streams, every algorithm; and what is left
/// readable where the stream is not what it should be.
#[test]
fn ntfs_36_files_of_wof_on_a_volume() {
    if let Some(why) = common::no_volumes() {
        common::skip(&why);
        return;
    }
    let mut files = Vec::new();
    for (algorithm, number) in ALGORITHMS {
        let chunk = algorithm.chunk_size();
        for len in [1, 300, chunk, chunk + 1, 10 * chunk + 77, 700_001] {
            let content = if len < chunk { text(len) } else { [text(len - 70), noise(70)].concat() };
            let packed = encode::wof(&content, chunk, 4, |chunk| match algorithm {
                Algorithm::Lzx => encode::lzx(chunk, 5003),
                _ => encode::xpress(chunk),
            });
            files.push((format!("w{number}-{len}"), number, content, packed));
        }
    }
    let image = Image::formatted(32, &[]);
    let large = files.iter().find(|(name, ..)| name == "w0-700001").unwrap().clone();
    image.mounted(|root| {
        for (name, number, content, packed) in &files {
            make_wof(&root.join(name), content.len() as u64, packed, &[1, 2, 1, *number]);
        }
        let (_, _, content, mut packed) = large.clone();
        let size = content.len() as u64;
        // In the middle of its chunks; the table and the chunks before are good.
        let at = packed.len() / 2;
        packed[at..at + 600].fill(0xFF);
        make_wof(&root.join("damaged"), size, &packed, &[1, 2, 1, 0]);
        make_wof(&root.join("cut"), size, &packed[..50], &[1, 2, 1, 0]);
        make_wof(&root.join("algorithm"), size, &packed, &[1, 2, 1, 9]);
        let mut wim = vec![1, 1, 2];
        wim.resize(22, 0);
        make_wof(&root.join("wim"), size, b"", &wim);
        make_wof(&root.join("short"), size, b"", &[1, 2, 1]);
        let missing = root.join("missing");
        fs::File::create(&missing).unwrap().set_len(size).unwrap();
        set_wof(&missing, &[1, 2, 1, 0]);
    });
    let volume = Volume::open(image.open(), Options::default()).unwrap();
    for (name, number, content, packed) in &files {
        let file = open_path(&volume, name);
        assert!(file.is_wof() && file.damage().is_empty());
        let expected = ALGORITHMS.iter().find(|(_, of)| of == number).unwrap().0;
        assert_eq!(file.wof().unwrap(), Some(expected));
        same(&volume, name, "", content);
        assert!(read(&file, stream(&file, "WofCompressedData")) == *packed);
        // What is stored is the hole.
        let unnamed = stream(&file, "");
        let mut raw = vec![1; content.len().min(16)];
        assert_eq!(file.read_raw_at(unnamed, 0, &mut raw).unwrap(), raw.len());
        assert!(
            raw.iter().all(|byte| *byte == 0) && (unnamed.is_resident() || unnamed.next_extent(0).is_none())
        );
    }

    let file = open_path(&volume, "damaged");
    let mut buffer = vec![0; 700_001];
    let good = file.read_at(stream(&file, ""), 0, &mut buffer).unwrap();
    assert!(good.is_multiple_of(4096) && (100_000..600_000).contains(&good), "{good}");
    assert!(buffer[..good] == large.2[..good]);
    let error = file.read_at(stream(&file, ""), good as u64, &mut buffer).unwrap_err();
    assert!(matches!(error.problem, Problem::Compressed(_)), "{error}");

    let why = |name: &str| {
        let file = open_path(&volume, name);
        let error = file.wof().unwrap_err();
        let read = file.read_at(stream(&file, ""), 0, &mut [0; 16]).unwrap_err();
        assert_eq!(error.to_string(), read.to_string());
        (error.win32().0, error.to_string())
    };
    for (name, code, expected) in [
        ("cut", 1392, "the chunk table has 680 bytes, and the stream only 50"),
        ("algorithm", 1392, "algorithm of WOF is 0x9, expected 0 to 3"),
        ("wim", 50, "content in a WIM file is not supported"),
        ("short", 1392, "truncated"),
        ("missing", 2, "there is no stream WofCompressedData"),
    ] {
        let (number, text) = why(name);
        assert!(number == code && text.contains(expected), "{name}: {number} {text}");
    }
}
