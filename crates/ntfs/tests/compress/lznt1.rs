//! LZNT1: known vectors, round trips, what ntfs-3g writes, and damaged data.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use crate::common::{Chance, corpus, disk, have, run, shell, skip};
use crate::encode;
use ntbak_ntfs::compress::lznt1::decompress;
use proptest::prelude::*;

fn unit(data: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = vec![0xEE; 65_536];
    decompress(data, &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

/// A chunk header and its data.
fn chunk(flags: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = (flags | (data.len() - 1) as u16).to_le_bytes().to_vec();
    bytes.extend(data);
    bytes
}

const PACKED: u16 = 0xB000;
const PLAIN: u16 = 0x3000;

/// The example of \[MS-XCA\] 3.3.
#[test]
fn the_example_of_the_specification() {
    let text = "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E \
                A F# F# G A A G F# E D D E F# E D D\0";
    let packed = [
        0x38, 0xB0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xA2, 0x47, 0x01, 0xA0,
        0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xC0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88,
        0x05, 0xB4, 0x02, 0x4A, 0x44, 0xEF, 0x03, 0x58, 0x02, 0x8C, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xBE,
        0x00, 0x9E, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00,
    ];
    let out = unit(&packed).unwrap();
    assert_eq!(String::from_utf8_lossy(&out[..text.len()]), text);
    assert!(out[text.len()..].iter().all(|byte| *byte == 0));
}

/// Facts of NTFS, 33: a short chunk is filled to 4096 bytes, so what follows stands where it belongs; plain chunks in a
/// compressed unit; a size that is no multiple of 4 KiB.
#[test]
fn ntfs_33_chunks_of_every_kind() {
    let mut data = chunk(PACKED, b"\0abc");
    let plain: Vec<u8> = (0..4096).map(|n| (n * 7) as u8).collect();
    data.extend(chunk(PLAIN, &plain));
    // "x", then 4095 more of it: distance 1, in as long matches as there are.
    data.extend(chunk(PACKED, &[2, b'x', 0xFC, 0x0F]));
    data.extend([0, 0]);
    data.extend(b"what is behind the end does not matter");
    let mut expected = vec![0; 65_536];
    expected[..3].copy_from_slice(b"abc");
    expected[4096..8192].copy_from_slice(&plain);
    expected[8192..12_288].fill(b'x');
    assert!(unit(&data).unwrap() == expected);
    for len in [1, 3, 4095, 4096, 4097, 8200, 12_288, 20_000] {
        let mut out = vec![0xEE; len];
        decompress(&data, &mut out).unwrap();
        assert!(out == expected[..len], "{len}");
    }
    // Without the end mark, the end of the data is the end; one byte is no header.
    let end = data.iter().rposition(|byte| *byte == 0x0F).unwrap() + 1;
    assert!(unit(&data[..end]).unwrap() == expected);
    assert!(unit(&data[..end + 1]).unwrap() == expected);
    assert!(unit(&[]).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn hostile_10_lznt1_is_kept_in_bounds() {
    for (data, says) in [
        (chunk(PACKED, &[1, 0, 0]), "before its chunk"),
        (chunk(PACKED, &[2, b'a', 0, 0x10]), "before its chunk"),
        // A match may not reach into the chunk before.
        ([chunk(PACKED, b"\0abcdefgh"), chunk(PACKED, &[2, b'a', 0, 0x20])].concat(), "before its chunk"),
        // 1 + 4095 + 3 bytes.
        (chunk(PACKED, &[6, b'x', 0xFC, 0x0F, 0, 0]), "more than 4096"),
        (chunk(PACKED, &[2, b'x', 0xFF, 0x0F]), "more than 4096"),
        (chunk(PACKED, &[4, b'a', b'b', 0x00]), "cut off"),
        (chunk(0x8000, b"\0abc"), "signature"),
        (chunk(0xF000, b"\0abc"), "signature"),
        (chunk(PLAIN, &[1; 4095]), "4096 bytes"),
        (vec![0xFF, 0xBF, 0], "past the end"),
    ] {
        let error = unit(&data).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    // The largest gain: 64 KiB of 16 chunks.
    let bomb = chunk(PACKED, &[2, b'x', 0xFC, 0x0F]).repeat(40);
    assert!(unit(&bomb).unwrap().iter().all(|byte| *byte == b'x'));
    let mut chance = Chance::new(1);
    let good = encode::lznt1(&disk(5, 65_536));
    for _ in 0..3000 {
        let mut bad = good.clone();
        for _ in 0..1 + chance.below(8) {
            let at = chance.below(bad.len());
            bad[at] = chance.number() as u8;
        }
        bad.truncate(chance.below(bad.len() + 1));
        let _ = unit(&bad);
        let _ = unit(&bad[bad.len() / 2..]);
    }
}

#[test]
fn what_a_corpus_has() {
    if let (Some(packed), Some(plain)) =
        (corpus("securityronin/lznt1_real.bin"), corpus("securityronin/lznt1_real.expected"))
    {
        let (out, plain) = (unit(&fs::read(packed).unwrap()).unwrap(), fs::read(plain).unwrap());
        assert!(out[..plain.len()] == plain);
        assert!(out[plain.len()..].iter().all(|byte| *byte == 0));
    }
    if let Some(packed) = corpus("keramics/lznt1-compressed") {
        let out = unit(&fs::read(packed).unwrap()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let text = text.trim_end_matches('\0');
        assert!(text.trim_start().starts_with("Apache License"), "{text}");
        assert!(text.trim_end().ends_with("limitations under the License."), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back(seed: u64, len in 0usize..=65_536) {
        let data = disk(seed, len);
        let packed = encode::lznt1(&data);
        let mut out = vec![0xEE; len];
        decompress(&packed, &mut out).unwrap();
        prop_assert!(out == data);
    }

    #[test]
    fn any_bytes_do_no_harm(data in proptest::collection::vec(any::<u8>(), 0..6000), len in 0usize..9000) {
        let _ = decompress(&data, &mut vec![0; len]);
    }
}

/// Files that ntfs-3g has compressed, read from their clusters.
#[test]
fn ntfs_33_what_ntfs_3g_has_compressed() {
    if !have(&["mkntfs", "ntfs-3g", "ntfscluster", "setfattr"]) {
        return;
    }
    if fs::File::options().read(true).write(true).open("/dev/fuse").is_err() {
        return skip("/dev/fuse cannot be opened");
    }
    let dir = tempfile::tempdir().unwrap();
    let (image, mount) = (dir.path().join("volume"), dir.path().join("mount"));
    fs::create_dir(&mount).unwrap();
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    shell(&format!("mkntfs -F -Q -q -c 4096 {}", image.display()));
    shell(&format!("ntfs-3g -o compression {} {}", image.display(), mount.display()));
    let sizes = [100_000, 65_536, 65_537, 300_001, 4096 * 17 - 1, 1 << 20];
    let contents: Vec<Vec<u8>> = (0u64..).zip(sizes).map(|(n, size)| disk(n + 20, size)).collect();
    let written = (|| {
        let folder = mount.join("c");
        fs::create_dir(&folder)?;
        let set = Command::new("setfattr")
            .args(["-h", "-n", "system.ntfs_attrib_be", "-v", "0x00000800"])
            .arg(&folder)
            .status()?;
        assert!(set.success());
        for (n, content) in contents.iter().enumerate() {
            fs::write(folder.join(format!("f{n}")), content)?;
        }
        Ok::<(), std::io::Error>(())
    })();
    run("umount", [&mount]);
    written.unwrap();

    let volume = fs::File::open(&image).unwrap();
    let mut kinds = [0; 3];
    for (n, content) in contents.iter().enumerate() {
        let name = format!("c/f{n}");
        let image = image.to_str().unwrap();
        let text = String::from_utf8_lossy(&run("ntfscluster", ["-f", "-F", &name, image])).into_owned();
        // Lines of three numbers: VCN, LCN, clusters.
        let runs: Vec<Vec<i64>> = text
            .lines()
            .filter_map(|line| {
                line.split_whitespace().map(|word| word.parse::<i64>().ok()).collect::<Option<_>>()
            })
            .filter(|run: &Vec<i64>| run.len() == 3)
            .collect();
        let clusters = content.len().div_ceil(4096).next_multiple_of(16);
        let mut place = vec![None; clusters];
        for run in runs {
            for n in 0..run[2] {
                place[usize::try_from(run[0] + n).unwrap()] = (run[1] >= 0).then_some((run[1] + n) as u64);
            }
        }
        let mut out = Vec::new();
        for unit in place.chunks(16) {
            let there: Vec<u64> = unit.iter().map_while(|place| *place).collect();
            let mut data = vec![0; there.len() * 4096];
            for (to, lcn) in data.chunks_mut(4096).zip(&there) {
                volume.read_exact_at(to, lcn * 4096).unwrap();
            }
            kinds[match there.len() {
                0 => 0,
                16 => 1,
                _ => 2,
            }] += 1;
            match there.len() {
                0 => out.extend([0; 65_536]),
                // The last unit of a file may have all the clusters that the file has, and be plain.
                16 => out.extend(data),
                _ => {
                    let start = out.len();
                    out.resize(start + 65_536, 0xEE);
                    decompress(&data, &mut out[start..]).unwrap_or_else(|error| panic!("{name}: {error}"));
                }
            }
        }
        assert!(out[..content.len()] == content[..], "{name}: {text}");
    }
    assert!(kinds[1] > 0 && kinds[2] > 3, "plain and compressed units: {kinds:?}\n");
}
