//! What is left when something goes wrong: the file as it was, and nothing else.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::judge;
use crate::common::make::{self, alternate, backup, data, set, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, command, ntbak, ntbak_with};
use crate::common::{Chance, need_volumes};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A stream with something of every kind.
fn rich(chance: &mut Chance) -> Vec<u8> {
    let eas = make::ea_full(&[("ONE", &chance.bytes(9000), 0), ("TWO", &chance.bytes(9000), 0x80)]);
    [
        backup(3, 2, "", &make::plain_descriptor(1234)),
        backup(2, 0, "", &eas),
        data(&chance.bytes(60_000)),
        alternate("small", b"x"),
        alternate("large", &chance.bytes(30_000)),
        backup(7, 0, "", &chance.bytes(64)),
    ]
    .concat()
}

#[test]
fn a_cut_stream_leaves_nothing() {
    need_volumes!();
    let mut b = Volume::new(64);
    let bytes = rich(&mut Chance::new(1));
    for len in [1, 19, 21, 100, 5000, 40_000, 90_000, bytes.len() - 1] {
        let ran = ntbak_with(&bytes[..len], args!["stream", "write", &b.path("f")]).expect(1);
        assert!(!ran.stderr.is_empty());
        assert_eq!(names(&b.root()), [""; 0], "cut at {len}");
    }
    let garbage = Chance::new(2).bytes(5000);
    for input in [&garbage[..], &[data(b"x"), garbage.clone()].concat()] {
        ntbak_with(input, args!["stream", "write", &b.path("f")]).expect(1);
        ntbak_with(input, args!["stream", "write", "--directory", &b.path("f")]).expect(1);
        assert_eq!(names(&b.root()), [""; 0]);
    }
    // A directory has no unnamed stream; its named ones are there by then.
    let for_file = [alternate("s", b"x"), data(b"content")].concat();
    ntbak_with(&for_file, args!["stream", "write", "--directory", &b.path("f")]).expect(1);
    assert_eq!(names(&b.root()), [""; 0]);
    ntbak_with(&bytes, args!["stream", "write", &b.path("f")]).expect(0);
    b.unmount();
    judge::no_leftovers(&judge::dump(&b));
}

#[test]
fn a_failed_write_in_place_says_so() {
    need_volumes!();
    let b = Volume::new(64);
    fs::write(b.path("f"), "before").unwrap();
    let bytes = rich(&mut Chance::new(3));
    let ran = ntbak_with(&bytes[..50_000], args!["stream", "write", &b.path("f")]).expect(1);
    assert!(ran.stderr.contains("partly written"), "{}", ran.stderr);
    assert_eq!(names(&b.root()), ["f"]);
}

#[test]
fn a_name_with_a_colon_is_refused() {
    need_volumes!();
    let b = Volume::new(64);
    fs::write(b.path("there"), "content").unwrap();
    fs::write(stream(&b.path("there"), "stream"), "in it").unwrap();
    for name in ["a:b", "there:new", "there:stream", "there:"] {
        ntbak_with(&data(b"other"), args!["stream", "write", &b.path(name)]).expect(1);
        // A stream of the source is the source itself, which is wrong usage.
        let copied = ntbak(args!["copy", &b.path("there"), &b.path(name)]);
        assert!(matches!(copied.code, 1 | 2), "{:?}: {}", copied.what, copied.stderr);
    }
    assert_eq!(names(&b.root()), ["there"]);
    assert_eq!(fs::read(b.path("there")).unwrap(), b"content");
    assert_eq!(fs::read(stream(&b.path("there"), "stream")).unwrap(), b"in it");
    assert_eq!(make::get(&b.path("there"), "ntfs.streams.list").unwrap(), b"stream");
}

#[test]
fn a_full_volume_keeps_what_was_there() {
    need_volumes!();
    let mut chance = Chance::new(5);
    let a = Volume::new(64);
    let (from, bytes) = (a.path("f"), rich(&mut chance));
    ntbak_with(&bytes, args!["stream", "write", &from]).expect(0);
    set(&from, make::DOS_NAME, b"SHORT~1");
    // Not even the content fits.
    let mut b = Volume::new(8);
    fs::write(b.path("old"), "old content").unwrap();
    let large = data(&chance.bytes(16 << 20));
    let ran = ntbak_with(&large, args!["stream", "write", &b.path("new")]).expect(1);
    assert!(ran.stderr.contains("space"), "{}", ran.stderr);
    assert_eq!(names(&b.root()), ["old"]);
    fs::write(a.path("large"), chance.bytes(16 << 20)).unwrap();
    ntbak(args!["copy", &a.path("large"), &b.path("old")]).expect(1);
    assert_eq!(fs::read(b.path("old")).unwrap(), b"old content");
    // Everything fits but the last bit, whichever that is.
    let (mut failed, mut done) = (0, 0);
    for clusters in [0, 1, 2, 4, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30, 34, 60] {
        let filler = b.path("filler");
        let fill = fs::File::create(&filler).unwrap();
        let mut filled = 0;
        for chunk in [1 << 20, 65_536, 4096] {
            while let Ok(len) = (&fill).write(&vec![1; chunk]) {
                filled += len as u64;
            }
        }
        fill.set_len(filled.saturating_sub(filled % 4096 + clusters * 4096)).unwrap();
        drop(fill);
        for target in ["new", "old"] {
            let target = b.path(target);
            let was_there = target.exists();
            let ran = ntbak(args!["copy", &from, &target, "--allow-loss", "change-time"]);
            match ran.code {
                0 => {
                    done += 1;
                    let what = judge::payload_differences(&from, &target);
                    assert!(what.is_empty() && judge::cmp(&from, &target), "{clusters}: {what:?}");
                    assert_eq!(ran.lost().len(), 1, "{}", ran.stderr);
                    assert_eq!(make::get(&target, make::DOS_NAME).unwrap(), b"SHORT~1");
                    fs::remove_file(&target).unwrap();
                    if was_there {
                        fs::write(&target, "old content").unwrap();
                    }
                }
                1 => {
                    failed += 1;
                    assert_eq!(target.exists(), was_there, "{clusters}: {}", ran.stderr);
                    if was_there {
                        assert_eq!(fs::read(&target).unwrap(), b"old content", "{clusters}: {}", ran.stderr);
                    }
                }
                code => panic!("{clusters} clusters: exit code {code}: {}", ran.stderr),
            }
        }
        assert_eq!(names(&b.root()), ["filler", "old"], "{clusters}");
        fs::remove_file(&filler).unwrap();
    }
    assert!(failed > 5 && done > 1, "{failed} failed, {done} done: the volume was filled badly");
    b.unmount();
    judge::no_leftovers(&judge::dump(&b));
}

/// Takes all clusters of a volume.
fn fill(filler: &Path) {
    let file = fs::File::create(filler).unwrap();
    for chunk in [1 << 20, 65_536, 4096, 512] {
        while (&file).write(&vec![1; chunk]).is_ok_and(|len| len > 0) {}
    }
}

/// Copies a small file with a short name over an old one, in directories with ever more names, on a volume without a
/// free cluster: nothing needs one but the names, and the descriptor of a new file if the volume has none like it.
fn copy_into_full_directories(known_descriptor: bool) {
    let (a, mut b) = (Volume::new(64), Volume::new(8));
    let from = a.path("from");
    fs::write(&from, "new content").unwrap();
    set(&from, make::DOS_NAME, b"SHORT~1");
    if known_descriptor {
        ntbak(args!["copy", &from, &b.path("first")]).expect(3);
        fs::remove_file(b.path("first")).unwrap();
    }
    let directory = b.path("directory");
    let mut faults = Vec::new();
    for count in 4..60 {
        fs::create_dir(&directory).unwrap();
        // Behind the short name, in the order of NTFS.
        for number in 0..count {
            fs::write(directory.join(format!("t{number:03} {}", "n".repeat(60))), "").unwrap();
        }
        let target = directory.join("old");
        fs::write(&target, "old content").unwrap();
        fill(&b.path("filler"));
        let ran = ntbak(args!["copy", &from, &target, "--allow-loss", "change-time"]);
        let content = fs::read_to_string(&target).unwrap();
        let expected = match ran.code {
            // The short name may be a loss; the file is whole then.
            0 | 3 => "new content",
            _ => "old content",
        };
        let left: Vec<_> = names(&directory).into_iter().filter(|name| name.contains("ntbak")).collect();
        if content != expected || !left.is_empty() {
            faults.push(format!("{count}: {content}, left over {left:?}, {}: {}", ran.code, ran.stderr));
        }
        fs::remove_file(b.path("filler")).unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    b.unmount();
    judge::no_leftovers(&judge::dump(&b));
}

#[test]
fn a_full_directory_keeps_what_was_there() {
    need_volumes!();
    copy_into_full_directories(true);
}

#[test]
fn a_full_volume_that_knows_no_such_descriptor_keeps_what_was_there() {
    need_volumes!();
    copy_into_full_directories(false);
}

#[test]
fn a_killed_write_leaves_no_file_under_the_name() {
    need_volumes!();
    let mut b = Volume::new(128);
    let bytes = data(&Chance::new(6).bytes(4 << 20));
    let mut child = command()
        .args(args!["stream", "write", &b.path("new")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes[..3 << 20]).unwrap();
    wait_for(|| {
        names(&b.root()).iter().any(|name| fs::metadata(b.path(name)).is_ok_and(|file| file.len() > 0))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!b.path("new").exists());
    drop(input);
    // A copy over a file that is there leaves that one.
    fs::write(b.path("old"), "old content").unwrap();
    let source = b.beside("source");
    fs::write(&source, Chance::new(7).bytes(100 << 20)).unwrap();
    let before = names(&b.root());
    let mut child = command()
        .args(args!["copy", &source, &b.path("old")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| names(&b.root()) != before);
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    assert!(!ended.success(), "it was done before it could be killed");
    assert_eq!(fs::read(b.path("old")).unwrap(), b"old content");
    b.remount(WINDOWS);
    assert!(!b.path("new").exists());
    assert_eq!(fs::read(b.path("old")).unwrap(), b"old content");
    // And the names are free for the next try.
    ntbak_with(&bytes, args!["stream", "write", &b.path("new")]).expect(0);
    assert!(fs::read(b.path("new")).unwrap() == bytes[20..]);
}

fn wait_for(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not begin");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_encrypted_file_has_no_backup_stream_and_no_copy_where_the_mount_hides_it() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(64), Volume::new(64));
    // Two sectors of what stands for ciphertext, and how much of the last one is padding.
    let encrypted = a.path("secret");
    fs::write(&encrypted, [&Chance::new(8).bytes(1024)[..], &[16, 0]].concat()).unwrap();
    set(&encrypted, make::EFS, &make::efs());
    let bits = make::get(&encrypted, make::ATTRIBUTES).unwrap();
    assert_eq!(u32::from_ne_bytes(bits[..].try_into().unwrap()) & 0x4000, 0x4000);
    fs::write(b.path("old"), "old content").unwrap();
    for options in [WINDOWS, "streams_interface=windows,permissions"] {
        a.remount(options);
        let backup = a.beside("backup");
        let mut runs = vec![
            ntbak(args!["stream", "read", &encrypted]),
            ntbak(args!["stream", "read", &encrypted, "-o", &backup]),
        ];
        // With efs_raw a copy carries it as it is.
        if options != WINDOWS {
            runs.push(ntbak(args!["copy", &encrypted, &b.path("new")]));
            runs.push(ntbak(args!["copy", &encrypted, &b.path("old")]));
        }
        for ran in runs {
            let ran = ran.expect(1);
            assert!(ran.stderr.contains("encrypted"), "{:?}: {}", ran.what, ran.stderr);
            assert!(ran.stdout.is_empty());
        }
        assert!(!backup.exists());
        assert_eq!(names(&b.root()), ["old"]);
        assert_eq!(fs::read(b.path("old")).unwrap(), b"old content");
        ntbak(args!["info", &encrypted]).expect(0);
    }
    b.unmount();
    judge::no_leftovers(&judge::dump(&b));
}

#[test]
fn the_encryption_of_a_directory_is_a_loss_where_the_mount_hides_it() {
    need_volumes!();
    let (mut a, b) = (Volume::new(64), Volume::new(64));
    fs::create_dir(a.path("d")).unwrap();
    set(&a.path("d"), make::EFS, &make::efs());
    ntbak(args!["copy", &a.path("d"), &b.path("d")]).expect(3).lost_only(&["change-time"]);
    // Where the mount does not show it.
    a.remount("streams_interface=windows,permissions");
    ntbak(args!["copy", &a.path("d"), &b.path("e")]).expect(3).lost_only(&["change-time", "efs"]);
}
