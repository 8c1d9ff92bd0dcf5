//! Sparse files: their content, and where the image shows that their holes are.

use std::fs;

use serde_json::json;

use crate::common::judge;
use crate::common::make::{self, backup, block, data, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, ntbak, ntbak_from, ntbak_with};
use crate::common::{Chance, need_volumes};

/// NTFS makes holes of this size.
const UNIT: u64 = 65_536;

#[test]
fn a_thousand_ranges_in_four_gib_stay_where_they_are() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(1024), Volume::new(1024));
    let mut chance = Chance::new(77);
    let size = 4 << 30;
    let pieces: Vec<_> = (0..1000_u64)
        .map(|index| {
            // The last one ends with the file.
            let units = if index % 10 == 3 { 3 } else { 1 };
            let offset = if index == 999 { size - units * UNIT } else { index * 65 * UNIT };
            let mut content = chance.bytes(usize::try_from(units * UNIT).unwrap());
            if index % 50 == 7 {
                // Zeros that are no hole: not a whole unit of them.
                content[1..].fill(0);
            }
            (offset, content)
        })
        .collect();
    let (from, backup) = (a.path("big"), a.beside("backup"));
    make::sparse(&from, size, &pieces);
    a.remount(WINDOWS);

    ntbak(args!["stream", "read", &from, "-o", &backup]).expect(0).lost_only(&[]);
    let content: usize = pieces.iter().map(|(_, content)| content.len()).sum();
    let descriptor = 20 + make::get(&from, make::ACL).unwrap().len();
    let expected = descriptor + 20 + pieces.len() * 28 + content + 28;
    assert_eq!(fs::metadata(&backup).unwrap().len(), expected as u64, "each range is one SPARSE_BLOCK");
    ntbak_from(&backup, args!["stream", "write", &b.path("restored")]).expect(0).lost_only(&[]);
    ntbak(args!["copy", &from, &b.path("copied")]).expect(3).lost_only(&["change-time"]);

    a.unmount();
    b.unmount();
    let source = judge::ranges(&a, "big");
    let ranges: Vec<_> = pieces.iter().map(|(offset, content)| json!([offset, content.len()])).collect();
    let found: Vec<_> =
        source["ranges"].as_array().unwrap().iter().map(|range| json!([range[0], range[1]])).collect();
    assert_eq!(found, ranges, "the source is not as this test wants it");
    for name in ["restored", "copied"] {
        let target = judge::ranges(&b, name);
        assert!(target == source, "{name}: other ranges, or other bytes in them");
    }
}

#[test]
fn ranges_at_any_offset_keep_their_content() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(256), Volume::new(256));
    let mut chance = Chance::new(78);
    let size = 128 << 20;
    let pieces: Vec<_> = (0..300)
        .map(|_| {
            let len = 1 + chance.below(100_000);
            (chance.number() % (size - len as u64), chance.bytes(len))
        })
        .collect();
    let (from, backup) = (a.path("odd"), a.beside("backup"));
    make::sparse(&from, size + 777, &pieces);
    a.remount(WINDOWS);
    ntbak(args!["stream", "read", &from, "-o", &backup]).expect(0).lost_only(&[]);
    ntbak_from(&backup, args!["stream", "write", &b.path("odd")]).expect(0).lost_only(&[]);
    ntbak(args!["copy", &from, &b.path("copied")]).expect(3).lost_only(&["change-time"]);
    b.remount(WINDOWS);
    assert!(judge::cmp(&from, &b.path("odd")));
    assert!(judge::cmp(&from, &b.path("copied")));
    a.unmount();
    b.unmount();
    let (before, after) = (judge::dump(&a), judge::dump(&b));
    judge::no_leftovers(&after);
    for name in ["/odd", "/copied"] {
        let (one, other) = (&before["/odd"]["streams"][""], &after[name]["streams"][""]);
        assert_eq!((&one[0], &one[1]), (&other[0], &other[1]), "{name}");
        assert_eq!(other[2], "s", "{name} is not sparse any more");
        assert!(other[3].as_u64() <= one[3].as_u64(), "{name} has holes where there was content");
    }
}

#[test]
fn sparse_blocks_of_any_order_and_size_are_restored() {
    need_volumes!();
    let mut b = Volume::new(128);
    // Overlapping, backwards, unaligned; the end is told by the terminator.
    let main = [
        backup(1, 8, "", b""),
        block(3 << 20, &[1; 5]),
        block(1 << 20, &[2; 200_000]),
        block((1 << 20) + 100, &[3; 50]),
        block(10 << 20, b""),
    ]
    .concat();
    let named = [backup(4, 8, "s", b""), block(1 << 20, &[4; 65_536]), block(4 << 20, b"")].concat();
    ntbak_with(&[main, named].concat(), args!["stream", "write", &b.path("f")]).expect(0).lost_only(&[]);
    let mut expected = vec![0; 10 << 20];
    expected[3 << 20..][..5].fill(1);
    expected[1 << 20..][..200_000].fill(2);
    expected[(1 << 20) + 100..][..50].fill(3);
    let mut expected_named = vec![0; 4 << 20];
    expected_named[1 << 20..][..65_536].fill(4);
    b.remount(WINDOWS);
    assert!(fs::read(b.path("f")).unwrap() == expected);
    assert!(fs::read(stream(&b.path("f"), "s")).unwrap() == expected_named);
    b.unmount();
    let dump = judge::dump(&b);
    let streams = &dump["/f"]["streams"];
    assert_eq!((&streams[""][2], &streams["s"][2]), (&json!("s"), &json!("s")));
    assert_eq!(streams["s"][3], (4 << 20) - 65_536, "the named stream has its holes");
    assert_eq!(judge::ntfscat(&b, "/f", "s"), expected_named);
}

#[test]
fn a_sparse_stream_without_a_hole_is_a_loss_of_holes() {
    need_volumes!();
    let b = Volume::new(64);
    let whole = backup(1, 8, "", &[5; 100_000]);
    ntbak_with(&whole, args!["stream", "write", &b.path("f")]).expect(3).lost_only(&["holes"]);
    assert!(fs::read(b.path("f")).unwrap() == [5; 100_000]);
}

#[test]
fn holes_of_a_sparse_stream_show_nothing_of_what_was_there() {
    need_volumes!();
    let mut b = Volume::new(64);
    let file = b.path("f");
    ntbak_with(&data(&[9; 3 << 20]), args!["stream", "write", &file]).expect(0);
    let sparse = [backup(1, 8, "", b""), block(1 << 20, &[1; 65_536]), block(2 << 20, b"")].concat();
    ntbak_with(&sparse, args!["stream", "write", &file]).expect(0).lost_only(&[]);
    b.remount(WINDOWS);
    let mut expected = vec![0; 2 << 20];
    expected[1 << 20..][..65_536].fill(1);
    assert!(fs::read(&file).unwrap() == expected);
}
