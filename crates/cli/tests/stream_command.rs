//! `ntbak stream`: read, write, list and extract, on ordinary directories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak_wire::ea::{self, Ea};

mod harness;
#[path = "stream_command/links.rs"]
mod links;

use harness::*;

/// Every id, known or not, every name and every attribute: what `list` shows of anything.
fn every_id() -> Vec<u8> {
    let hard_link = stream(LINK, 0, "", b"d\0i\0r\0\\\0f\0");
    let mut all = [rich(), hard_link].concat();
    for id in [0, PROPERTY, TXFS, GHOSTED, 12, 0x1234_5678, u32::MAX] {
        all.extend(stream(id, 0xFFFF_FFFF, "", b"\x01opaque"));
    }
    all.extend(stream(ALTERNATE, 1, ":bad/name:$DATA", b"x"));
    all.extend(stream(ALTERNATE, 4, "", b""));
    all.extend(stream(DATA, 0x10, "a name on DATA", b"y"));
    all.extend(stream(SECURITY, 0, "", b"no descriptor"));
    all.extend(stream(EA_DATA, 0, "", b"no list"));
    all.extend(stream(REPARSE, 0, "", b""));
    all.extend(stream(OBJECT_ID, 0, "", b"short"));
    all.extend(stream(LINK, 0, "", b"odd"));
    all.extend(stream(BLOCK, 0, "", b"short"));
    all
}

#[test]
fn list_shows_every_id_from_a_file_dash_and_a_pipe() {
    let dir = scratch();
    let path = dir.path().join("all.bkup");
    let all = every_id();
    fs::write(&path, &all).unwrap();
    for form in [&[][..], &["-v"], &["--json"]] {
        let list = |file: &[&str]| {
            let mut args = vec!["stream", "list"];
            args.extend(form);
            args.extend(file);
            ntbak(args).cd(dir.path())
        };
        let from_file = list(&["all.bkup"]).expect(0);
        assert_eq!(from_file.stderr, "");
        for piped in [list(&["-"]), list(&[])] {
            assert_eq!(piped.input(&all).expect(0).text(), from_file.text());
        }
    }
    let dribbled = ntbak(["stream", "list", "--json"]).input(&small()).dribble().expect(0);
    assert_eq!(dribbled.text(), ntbak(["stream", "list", "--json"]).input(&small()).expect(0).text());
}

#[test]
fn list_text_names_ids_sizes_offsets_and_blocks() {
    let plain = ntbak(["stream", "list"]).input(&every_id()).expect(0).text();
    for expected in [
        "DATA",
        "EA_DATA",
        "SECURITY_DATA",
        "ALTERNATE_DATA",
        "LINK",
        "PROPERTY_DATA",
        "OBJECT_ID",
        "REPARSE_DATA",
        "SPARSE_BLOCK",
        "TXFS_DATA",
        "GHOSTED_FILE_EXTENTS",
        "unknown",
        "305419896",
        "4294967295",
        ":Zone.Identifier:$DATA",
        ":Käse \u{1F9C0}:$DATA",
        "4096 bytes at 4096",
        "3 bytes at 1099511627776",
        "end at 2199023255552",
    ] {
        assert!(plain.contains(expected), "{expected}\n{plain}");
    }
    let total = format!("35 streams, {} bytes", every_id().len());
    assert!(plain.trim_end().ends_with(&total), "{plain}");

    let explained = ntbak(["stream", "list", "-v"]).input(&every_id()).expect(0).text();
    for expected in [
        "O:BAG:SYD:PAI(A;;FA;;;SY)(A;OICI;FR;;;WD)S:(AU;SAFA;FA;;;WD)",
        "PLAIN (5 bytes)",
        "NEED_EA",
        "reparse tag 0x80007777",
        "04030201-0605-0807-090a-0b0c0d0e0f10",
        r"hard link to dir\f",
        "ZoneTransfer",
        "not a name that can be restored",
        "not valid",
    ] {
        assert!(explained.contains(expected), "{expected}\n{explained}");
    }
}

#[test]
fn list_json_has_numbers_bytes_and_raw_names() {
    let lonely: Vec<u8> = [b':', 0, 0, 0xD8, b'z', 0].to_vec();
    let mut surrogate = stream(ALTERNATE, 0, "", b"");
    surrogate[16] = 6;
    surrogate.extend(lonely);
    let lines = ntbak(["stream", "list", "--json"]).input(&[rich(), surrogate].concat()).expect(0).json();
    assert_eq!(lines[0]["type"], "SECURITY_DATA");
    assert_eq!(lines[0]["offset"], 0);
    assert_eq!(STANDARD.decode(lines[0]["sd"].as_str().unwrap()).unwrap(), descriptor());
    assert!(lines[0]["sddl"].as_str().unwrap().starts_with("O:BAG:SY"));
    assert_eq!(lines[1]["ea"][1]["name"], "NEEDED");
    assert_eq!(lines[1]["ea"][1]["flags"], 128);
    assert_eq!(lines[2]["reparse_tag"], "0x80007777");
    assert_eq!(lines[3]["attributes"], 8);
    assert_eq!(lines[4]["block_offset"], 4096);
    assert_eq!(lines[4]["size"], 4104);
    let last = lines.last().unwrap();
    assert_eq!(last["name"], ":\\u{d800}z");
    assert_eq!(STANDARD.decode(last["name_raw"].as_str().unwrap()).unwrap(), b":\xED\xA0\x80z");
    let id = &lines[lines.len() - 2];
    assert_eq!(STANDARD.decode(id["object_id"].as_str().unwrap()).unwrap().len(), 64);
}

/// Terminals obey control characters; what comes from a file must not speak to them.
#[test]
fn list_lets_no_control_character_through() {
    let evil = Ea::new(0, &b"E\x1B]0;evil\x07"[..], &b"v"[..]);
    let evil_xattr = Ea::new(0, &b"LX.\x1B[31mX"[..], &b"lxea\x1B[2J"[..]);
    let input = [
        stream(EA_DATA, 0, "", &ea::build_full(&[evil, evil_xattr]).unwrap()),
        stream(ALTERNATE, 0, ":\x1B[31m:$DATA", b"\x1B[2J"),
        stream(DATA, 0, "", b"\x1B]0;evil\x07"),
        link("\x1B[31m"),
        stream(DATA, 0, "", "\u{9B}31m csi".as_bytes()),
    ]
    .concat();
    let ran = ntbak(["stream", "list", "-v"]).input(&input).expect(0);
    let is_evil = |c: char| c.is_control() && c != '\n';
    assert!(!ran.text().contains(is_evil), "{:?}", ran.text());
}

#[test]
fn list_names_the_offset_of_every_cut() {
    let whole = small();
    let dir = scratch();
    let path = dir.path().join("cut");
    let mut boundaries = vec![0];
    for line in ntbak(["stream", "list", "--json"]).input(&whole).expect(0).json() {
        boundaries.push(line["offset"].as_u64().unwrap() as usize);
    }
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let from_file = ntbak(args([&"stream", &"list", &path])).run();
        let from_pipe = ntbak(["stream", "list", "--json"]).input(&whole[..cut]).run();
        let expected = i32::from(!boundaries.contains(&cut));
        assert_eq!((from_file.code, from_pipe.code), (expected, expected), "{cut}");
        if expected == 1 {
            from_file.says("truncated").says("at byte ").says("cut");
            from_pipe.says("at byte ").says("standard input");
        }
        for line in from_pipe.json() {
            assert!(line["offset"].as_u64().unwrap() < cut as u64);
        }
    }
}

#[test]
fn hostile_sizes_are_errors_with_their_offset() {
    let mut endless_name = stream_of_size(ALTERNATE, 0, 0, "", b"");
    endless_name[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut odd_name = stream_of_size(ALTERNATE, 0, 0, "", b"abc");
    odd_name[16] = 3;
    let mut large_name = stream_of_size(ALTERNATE, 0, 0, "", b"");
    large_name[16..20].copy_from_slice(&65_538_u32.to_le_bytes());
    for (bytes, offset) in [
        (stream_of_size(DATA, 0, u64::MAX, "", b""), 13),
        (stream_of_size(DATA, 0, 1 << 63, "", b""), 13),
        (endless_name, 21),
        (large_name, 21),
        (odd_name, 21),
    ] {
        let input = [&data(b"")[..20], &bytes].concat();
        let list = ntbak(["stream", "list"]).input(&input).expect(1);
        list.says(&format!("at byte {}", offset + 15));
        ntbak(["stream", "extract", "--data"]).input(&input).expect(1).says("at byte ");
        let dir = scratch();
        let path = dir.path().join("f");
        ntbak(args([&"stream", &"write", &path])).input(&input).expect(1).says("at byte ");
        assert_eq!(names(dir.path()), [""; 0]);
    }
    // Sizes that could be true, and are not: no memory is taken for them.
    for id in [DATA, EA_DATA, SECURITY, ALTERNATE, REPARSE, OBJECT_ID, LINK, BLOCK, PROPERTY, 77] {
        let input = stream_of_size(id, 0, i64::MAX as u64, ":n:$DATA", b"tiny");
        for form in ["--json", "-v"] {
            ntbak(["stream", "list", form]).input(&input).expect(1).says("truncated");
        }
        let dir = scratch();
        let path = dir.path().join("f");
        ntbak(args([&"stream", &"write", &path])).input(&input).expect(1).says("at byte ");
        assert_eq!(names(dir.path()), [""; 0]);
    }
}

#[test]
fn strict_refuses_what_ms_bkup_forbids() {
    for (input, write) in [
        (stream(PROPERTY, 0, "", b"p"), 3),
        (stream(12, 0, "", b"p"), 1),
        (stream(DATA, 0, "name", b"p"), 0),
        (stream(ALTERNATE, 0, "", b"p"), 1),
        (block(0, b"p"), 0),
        ([stream(ALTERNATE, SPARSE, ":a", b""), stream(DATA, SPARSE, "", b""), block(9, b"")].concat(), 0),
    ] {
        ntbak(["stream", "list"]).input(&input).expect(0);
        ntbak(["stream", "list", "--strict"]).input(&input).expect(1).says("at byte ");
        let dir = scratch();
        let path = dir.path().join("f");
        ntbak(args([&"stream", &"write", &path])).input(&input).expect(write);
        let _ = fs::remove_file(&path);
        let strict = ntbak(args([&"stream", &"write", &"--strict", &path])).input(&input).expect(1);
        strict.says("at byte ");
        assert!(!path.exists());
    }
    // What a strict reader has to ignore is a loss, and said.
    let dir = scratch();
    let path = dir.path().join("f");
    let run = ntbak(args([&"stream", &"write", &"--strict", &path])).input(&[eas(), data(b"x")].concat());
    run.expect(3).says("opaque-stream").says("EA_DATA");
    ntbak(args([&"stream", &"write", &path])).input(&eas()).expect(0);
    let read = ntbak(args([&"stream", &"read", &"--strict", &path])).expect(3);
    read.says("lost ea");
    assert_eq!(read.stdout, data(b"x"));
}

#[test]
fn extract_gives_content_with_holes_as_zeros_or_holes() {
    let dir = scratch();
    let out = dir.path().join("out");
    let mut expected = vec![0; 1 << 20];
    expected[4096..8192].fill(0x41);
    expected[655_360..663_552].fill(0x42);
    let ran = ntbak(["stream", "extract", "--data"]).input(&rich()).expect(0);
    assert!(ran.stdout == expected);
    for name in ["holey", "HOLEY", ":holey", ":holey:$DATA"] {
        ntbak(args([&"stream", &"extract", &"--name", &name, &"-o", &out])).input(&rich()).expect(0);
        assert_eq!(fs::metadata(&out).unwrap().len(), 1 << 41);
        assert!(allocated(&out) < 65_536);
    }
    ntbak(args([&"stream", &"extract", &"--data", &"-o", &out])).input(&rich()).expect(0);
    assert!(fs::read(&out).unwrap() == expected);
    assert!(allocated(&out) <= 4 * 4096, "{}", allocated(&out));
    let hole = ntbak(["stream", "extract", "--name", "only a hole"]).input(&rich()).expect(0);
    assert!(hole.stdout == vec![0; 1 << 20]);
    let ran = ntbak(["stream", "extract", "--name", "käse \u{1F9C0}", "-"]).input(&rich()).expect(0);
    assert!(ran.stdout == vec![9; 100_000]);
    let ran = ntbak(["stream", "extract", "--id", "3"]).input(&rich()).expect(0);
    assert_eq!(ran.stdout, descriptor());
    let ran = ntbak(["stream", "extract", "--id", "12"]).input(&every_id()).dribble().expect(0);
    assert_eq!(ran.stdout, b"\x01opaque");
    // A file without DATA is an empty one.
    assert_eq!(ntbak(["stream", "extract", "--data"]).input(&security()).expect(0).stdout, b"");
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn extract_of_what_is_not_there_or_cut_leaves_nothing() {
    let dir = scratch();
    let out = dir.path().join("out");
    for what in [&["--name", "nobody"][..], &["--id", "6"], &["--id", "99"]] {
        let mut args = args([&"stream", &"extract", &"-o", &out]);
        args.extend(what.iter().map(Into::into));
        ntbak(args).input(&rich()).expect(1).says("there is no stream").says("ntbak stream list");
    }
    ntbak(["stream", "extract", "--name", "a/b"]).input(&rich()).expect(2).says("stream name");
    // A refused kind before a header that cannot be: an error, not a loop.
    let hostile =
        [&stream(12, 0, "", b"")[..], &1u32.to_le_bytes(), &[0; 4], &(1u64 << 63).to_le_bytes(), &[0; 4]];
    ntbak(["stream", "extract", "--data"]).input(&hostile.concat()).expect(1).says("Size");
    let whole = small();
    for cut in 1..whole.len() {
        let extract = args([&"stream", &"extract", &"--id", &"7", &"-o", &out]);
        ntbak(extract).input(&whole[..cut]).expect(1);
        assert_eq!(names(dir.path()), [""; 0], "{cut}");
    }
}

/// Two streams of EAs add up, an empty value deletes: in a new file as in one that is there.
#[test]
fn bs_52_eas_of_two_streams_add_up() {
    use ntbak_wire::ea::{Ea, build_full};
    let dir = scratch();
    let ea = |name: &'static [u8], value: &'static [u8]| build_full(&[Ea::new(0, name, value)]).unwrap();
    let all = [ea(b"A", b"1"), ea(b"B", b"2"), ea(b"GONE", b"3"), ea(b"GONE", b"")];
    let input: Vec<u8> = all.iter().flat_map(|list| stream(2, 0, "", list)).collect();
    let file = dir.path().join("f");
    for _ in 0..2 {
        ntbak(args([&"stream", &"write", &file])).input(&input).expect(0);
        let read = ntbak(args([&"stream", &"read", &file])).expect(0).stdout;
        let eas = build_full(&[Ea::new(0, &b"A"[..], &b"1"[..]), Ea::new(0, &b"B"[..], &b"2"[..])]).unwrap();
        assert_eq!(read, stream(2, 0, "", &eas));
    }
}

#[test]
fn extract_of_blocks_out_of_order_needs_a_file() {
    let dir = scratch();
    let out = dir.path().join("out");
    let input = [
        stream(ALTERNATE, SPARSE, ":s:$DATA", b""),
        block(10, b"later"),
        block(0, b"sooner"),
        block(20, b""),
    ]
    .concat();
    let ran = ntbak(["stream", "extract", "--name", "s"]).input(&input).expect(1);
    ran.says("not in order").says("-o FILE");
    ntbak(args([&"stream", &"extract", &"--name", &"s", &"-o", &out])).input(&input).expect(0);
    assert_eq!(fs::read(&out).unwrap(), b"sooner\0\0\0\0later\0\0\0\0\0");
    let twice = [data(b"first, and longer"), data(b"second")].concat();
    ntbak(["stream", "extract", "--data"]).input(&twice).expect(1).says("second time");
    ntbak(args([&"stream", &"extract", &"--data", &"-o", &out])).input(&twice).expect(0);
    assert_eq!(fs::read(&out).unwrap(), b"second");
}

#[test]
fn output_files_may_have_names_of_255_bytes() {
    let dir = scratch();
    let out = dir.path().join("o".repeat(255));
    ntbak(args([&"stream", &"extract", &"--data", &"-o", &out])).input(&data(b"x")).expect(0);
    assert_eq!(fs::read(out).unwrap(), b"x");
}

/// `-o /dev/null`, as root, must not put a file in the place of the device.
#[test]
fn output_to_what_is_no_file_goes_into_it() {
    let dir = scratch();
    let link = dir.path().join("link");
    let file = dir.path().join("file");
    fs::write(&file, b"old").unwrap();
    symlink(&file, &link).unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let hold = File::options().read(true).write(true).open(&fifo).unwrap();
    ntbak(args([&"stream", &"extract", &"--data", &"-o", &fifo])).input(&data(b"x")).run();
    drop(hold);
    let kind = fs::symlink_metadata(&fifo).unwrap().file_type();
    assert!(!kind.is_file(), "the named pipe was replaced by a file");
}

#[test]
fn write_then_read_is_the_same_bytes() {
    let dir = scratch();
    let path = dir.path().join("f");
    ntbak(args([&"stream", &"write", &path])).input(&rich()).dribble().expect(0).says("nothing lost");
    let read = ntbak(args([&"stream", &"read", &path])).expect(0);
    read.says("nothing lost");
    assert!(read.stdout == rich());
    assert!(allocated(&path) <= 4 * 4096);
    let out = dir.path().join("out.bkup");
    ntbak(args([&"stream", &"read", &"-q", &path, &"-o", &out])).expect(0);
    assert!(fs::read(&out).unwrap() == rich());
    let bare = ntbak(args([&"stream", &"read", &"--no-security", &path])).expect(0);
    assert!(bare.stdout == rich()[security().len()..]);

    // Into a second file, over a pipe, and a third time in place over the first.
    let second = dir.path().join("second");
    ntbak(args([&"stream", &"write", &second])).input(&read.stdout).expect(0);
    ntbak(args([&"stream", &"write", &path])).input(&read.stdout).expect(0);
    for path in [&path, &second] {
        assert!(ntbak(args([&"stream", &"read", path])).expect(0).stdout == rich());
    }
    assert_eq!(names(dir.path()), [".ntbak-side", "f", "out.bkup", "second"]);
    assert_eq!(names(&dir.path().join(".ntbak-side")).len(), 2);
    let mode = fs::metadata(dir.path().join(".ntbak-side")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn write_of_a_directory_and_back() {
    let dir = scratch();
    let path = dir.path().join("d");
    let input = [security(), eas(), alternate("on a directory", b"x"), object_id()].concat();
    ntbak(args([&"stream", &"write", &"--directory", &path])).input(&input).expect(0);
    assert!(path.is_dir());
    assert!(ntbak(args([&"stream", &"read", &path])).expect(0).stdout == input);
    // DATA belongs to no directory; an empty one harms nobody.
    ntbak(args([&"stream", &"write", &path])).input(&data(b"x")).expect(1);
    ntbak(args([&"stream", &"write", &path])).input(&data(b"")).expect(0);
    assert!(ntbak(args([&"stream", &"read", &path])).expect(0).stdout == input);
    let file = dir.path().join("f");
    fs::write(&file, b"").unwrap();
    ntbak(args([&"stream", &"write", &"--directory", &file])).expect(2).says("not a directory");
}

#[test]
fn write_cut_at_any_byte_leaves_nothing_of_a_new_file() {
    let dir = scratch();
    let path = dir.path().join("f");
    let whole = [small(), security()].concat();
    let mut kept = 0;
    for cut in 0..whole.len() {
        let ran = ntbak(args([&"stream", &"write", &path])).input(&whole[..cut]).run();
        if ran.code == 0 {
            kept += 1;
            fs::remove_file(&path).unwrap();
            let _ = fs::remove_dir_all(dir.path().join(".ntbak-side"));
        } else {
            assert_eq!(ran.code, 1);
            ran.says("at byte ").says("truncated");
        }
        assert_eq!(names(dir.path()), [""; 0], "{cut}");
    }
    assert_eq!(kept, 7);
}

#[test]
fn write_cut_leaves_nothing_of_a_new_directory() {
    let dir = scratch();
    let path = dir.path().join("d");
    let whole = [alternate("a", b"content"), security()].concat();
    for cut in [10, 30, whole.len() - 1] {
        ntbak(args([&"stream", &"write", &"--directory", &path])).input(&whole[..cut]).expect(1);
        assert_eq!(names(dir.path()), [""; 0], "{cut}");
    }
}

#[test]
fn write_in_place_keeps_the_streams_that_are_not_named() {
    let dir = scratch();
    let path = dir.path().join("f");
    let before = [data(b"a long content"), alternate("keep", b"kept"), alternate("change", b"old")].concat();
    ntbak(args([&"stream", &"write", &path])).input(&before).expect(0);
    let inode = fs::metadata(&path).unwrap().ino();
    let input = [data(b"short"), alternate("CHANGE", b"new"), alternate("more", b"m")].concat();
    ntbak(args([&"stream", &"write", &path])).input(&input).expect(0);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(fs::read(&path).unwrap(), b"short");
    let read = ntbak(args([&"stream", &"read", &path])).expect(0).stdout;
    for (name, content) in [("keep", "kept"), ("change", "new"), ("more", "m")] {
        let ran = ntbak(["stream", "extract", "--name", name]).input(&read).expect(0);
        assert_eq!(ran.text(), content);
    }
    let sparse = [stream(DATA, SPARSE, "", b""), block(8192, b"end")].concat();
    ntbak(args([&"stream", &"write", &path])).input(&sparse).expect(0);
    let mut expected = vec![0; 8192];
    expected.extend(b"end");
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn write_in_place_cut_says_so_and_the_file_can_still_be_read() {
    let dir = scratch();
    let path = dir.path().join("f");
    let before = [security(), data(b"content"), alternate("keep", b"kept")].concat();
    ntbak(args([&"stream", &"write", &path])).input(&before).expect(0);
    for input in [
        &data(b"other content")[..25],
        &alternate("new", b"a named stream that is cut")[..60],
        &[&sparse_data()[..], &alternate("x", b"cut again")[..40]].concat(),
        &eas()[..50],
    ] {
        let ran = ntbak(args([&"stream", &"write", &path])).input(input).expect(1);
        ran.says("partly written").says("truncated");
        let read = ntbak(args([&"stream", &"read", &path])).expect(0);
        let kept = ntbak(["stream", "extract", "--name", "keep"]).input(&read.stdout).expect(0);
        assert_eq!(kept.stdout, b"kept");
        ntbak(["stream", "extract", "--id", "3"]).input(&read.stdout).expect(0);
    }
}

/// Nothing was written, so nothing is partly written.
#[test]
fn write_does_not_call_a_file_partly_written_that_it_never_touched() {
    let dir = scratch();
    let file = dir.path().join("f");
    fs::write(&file, b"whole").unwrap();
    let ran = ntbak(args([&"stream", &"write", &"--directory", &file])).expect(2);
    assert!(!ran.stderr.contains("partly written"), "{}", ran.stderr);
    let target = dir.path().join("link");
    symlink("f", &target).unwrap();
    let ran = ntbak(args([&"stream", &"write", &target])).input(&data(b"through")).expect(1);
    assert_eq!(fs::read(&file).unwrap(), b"whole");
    assert!(!ran.stderr.contains("partly written"), "{}", ran.stderr);
}

#[test]
fn losses_set_the_exit_code_and_fill_the_report() {
    let dir = scratch();
    let (path, report) = (dir.path().join("f"), dir.path().join("report"));
    let input =
        [data(b"x"), stream(PROPERTY, 0, "", b"p"), stream(TXFS, 0, "", b"t"), stream(GHOSTED, 0, "", b"g")]
            .concat();
    let write = |more: &[&str]| {
        let mut args = args([&"stream", &"write", &path, &"--report", &report]);
        args.extend(more.iter().map(Into::into));
        ntbak(args).input(&input)
    };
    write(&[]).expect(3).says("PROPERTY_DATA").says("2 losses, 1 note");
    write(&["--allow-loss", "opaque-stream"]).expect(0).says("lost opaque-stream").says("2 losses");
    write(&["--allow-loss", "ea,opaque-stream"]).expect(0);
    write(&["--allow-loss", "ea", "--allow-loss=opaque-stream"]).expect(0);
    write(&["--allow-loss", "ea"]).expect(3);
    write(&["-v"]).expect(3).says("note on").says("TXFS_DATA");
    let quiet = write(&["-q"]).expect(3);
    assert_eq!((quiet.text(), quiet.stderr.as_str()), (String::new(), ""));
    let lines: Vec<serde_json::Value> = fs::read_to_string(&report)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["type"], &lines[0]["kind"]), (&"loss".into(), &"opaque-stream".into()));
    assert_eq!(lines[0]["path"], path.to_str().unwrap());
    assert_eq!(lines[1]["type"], "note");
    // What was lost before a failure is in the report, and nobody says that it finished.
    let cut = [input.as_slice(), b"cut"].concat();
    let ran = ntbak(args([&"stream", &"write", &path, &"--report", &report])).input(&cut).expect(1);
    assert_eq!(fs::read_to_string(&report).unwrap().lines().count(), 3);
    assert!(!ran.stderr.contains("finished"), "{}", ran.stderr);
    let nowhere = args([&"stream", &"write", &path, &"--report", &"/nowhere/report"]);
    ntbak(nowhere).input(&input).expect(1).says("/nowhere/report");
}

#[test]
fn no_security_leaves_the_descriptor_alone() {
    let dir = scratch();
    let path = dir.path().join("f");
    let input = [security(), data(b"x")].concat();
    ntbak(args([&"stream", &"write", &"--no-security", &path])).input(&input).expect(0);
    assert_eq!(ntbak(args([&"stream", &"read", &path])).expect(0).stdout, data(b"x"));
    let broken = [stream(SECURITY, 2, "", b"no descriptor"), data(b"x")].concat();
    ntbak(args([&"stream", &"write", &"--no-security", &path])).input(&broken).expect(0);
    ntbak(args([&"stream", &"write", &path])).input(&broken).expect(1).says("security descriptor");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = scratch();
    let path = dir.path().join("f");
    let mut file = File::create(&path).unwrap();
    file.seek(SeekFrom::Start(1 << 23)).unwrap();
    file.write_all(b"x").unwrap();
    let bkup = dir.path().join("bkup");
    let many: Vec<u8> = (0..5000).flat_map(|n| alternate(&format!("a{n}"), b"b")).collect();
    fs::write(&bkup, [many, alternate("large", &vec![0; 1 << 20])].concat()).unwrap();
    for arguments in [
        args([&"stream", &"read", &path]),
        args([&"stream", &"list", &bkup]),
        args([&"stream", &"list", &"--json", &bkup]),
        args([&"stream", &"extract", &"--name", &"large", &bkup]),
        args([&"cat", &path]),
        args([&"info", &path]),
        args([&"info", &"--json", &path]),
    ] {
        let shown = format!("{arguments:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = ntbak(arguments).stdout_to(Stdio::from(writer)).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shown}");
    }
}

/// Nor is one that reads only what is on standard error: the work goes on.
#[test]
fn nobody_reading_standard_error_stops_nothing() {
    let dir = scratch();
    let path = dir.path().join("f");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let input = [stream(PROPERTY, 0, "", b"p"), data(b"x")].concat();
    let ran = ntbak(args([&"stream", &"write", &path])).input(&input).stderr_to(Stdio::from(writer)).run();
    assert_eq!(ran.code, 3);
    assert_eq!(fs::read(&path).unwrap(), b"x");
}
