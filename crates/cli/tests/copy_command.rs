//! `ntbak copy`, `cat`, `info`, and what the command itself promises: usage, help, completions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak_wire::record::{StreamFlags, Times};
use ntbak_wire::side::SideHead;
use ntbak_wire::{FileAttributes, FileTime, Name};
use serde_json::Value;

mod harness;
use harness::*;

/// Writes [`rich`] to `name`, and gives it what no backup stream has a place for.
fn rich_file(directory: &Path, name: &str) {
    let path = directory.join(name);
    ntbak(args([&"stream", &"write", &path])).input(&rich()).expect(0);
    add_facts(directory, name);
}

/// Attributes, all four times and a short name, as a copy from NTFS would have left them.
fn add_facts(directory: &Path, name: &str) {
    let written = FileTime::from_unix(1_551_616_517, 123_456_700);
    let file = File::options().write(true).open(directory.join(name)).unwrap();
    let (seconds, nanoseconds) = written.to_unix();
    let modified = std::time::UNIX_EPOCH + std::time::Duration::new(seconds.cast_unsigned(), nanoseconds);
    file.set_modified(modified).unwrap();
    // Where Samba keeps some of them, they would be newer.
    let _ = rustix::fs::removexattr(directory.join(name), "user.DOSATTRIB");
    let side = side_file(directory, name);
    let bytes = fs::read(&side).unwrap();
    let (mut head, begin) = SideHead::decode(&bytes).unwrap();
    head.modified = (seconds, nanoseconds);
    head.attributes = Some(
        FileAttributes::HIDDEN
            | FileAttributes::SYSTEM
            | FileAttributes::READONLY
            | FileAttributes::SPARSE_FILE
            | FileAttributes::REPARSE_POINT
            | FileAttributes::NOT_CONTENT_INDEXED,
    );
    head.times = Times {
        created: Some(FileTime(1)),
        written: Some(written),
        accessed: Some(FileTime(132_000_000_012_345_678)),
        changed: Some(FileTime(133_000_000_000_000_001)),
    };
    head.short_name = Some(Name::from("RICH~1.TXT"));
    head.flags = StreamFlags::SPARSE;
    fs::write(&side, [head.encode(), bytes[begin..].to_vec()].concat()).unwrap();
}

fn info(path: &Path) -> Value {
    let ran = ntbak(args([&"info", &"--json", &path])).expect(0);
    assert_eq!(ran.json().len(), 1);
    ran.json().remove(0)
}

/// Everything that `info` says, but for the path.
fn facts(path: &Path) -> Value {
    let mut info = info(path);
    info.as_object_mut().unwrap().remove("path");
    info
}

#[test]
fn a_copy_has_everything() {
    let dir = scratch();
    rich_file(dir.path(), "source");
    let source = dir.path().join("source");
    let target = dir.path().join("target");
    ntbak(args([&"copy", &source, &target])).expect(0).says("nothing lost");
    assert_eq!(facts(&target), facts(&source));
    assert!(ntbak(args([&"stream", &"read", &target])).expect(0).stdout == rich());
    assert!(allocated(&target) <= 4 * 4096);
    let facts = facts(&target);
    for (key, value) in [
        ("type", "reparse"),
        ("created", "1601-01-01T00:00:00.0000001Z"),
        ("written", "2019-03-03T12:35:17.1234567Z"),
        ("accessed", "2019-04-17T18:40:01.2345678Z"),
        ("short_name", "RICH~1.TXT"),
        ("reparse_tag", "0x80007777"),
    ] {
        assert_eq!(facts[key], value, "{key}");
    }
    assert_eq!(facts["attributes"], 0x2607);
    assert_eq!(facts["streams"].as_array().unwrap().len(), 7);
    assert_eq!(fs::metadata(&target).unwrap().mtime_nsec(), 123_456_700);

    // Into a directory, twice: the second time over what is there.
    let into = dir.path().join("into");
    fs::create_dir(&into).unwrap();
    for _ in 0..2 {
        ntbak(args([&"copy", &source, &into])).expect(0);
        assert!(ntbak(args([&"stream", &"read", &into.join("source")])).expect(0).stdout == rich());
    }
    assert_eq!(names(&into), [".ntbak-side", "source"]);
    assert_eq!(names(&into.join(".ntbak-side")).len(), 1);
    // A plain file over it takes its side file away.
    let plain = dir.path().join("plain");
    fs::write(&plain, b"plain").unwrap();
    ntbak(args([&"copy", &plain, &into.join("source")])).expect(0);
    assert_eq!(ntbak(args([&"stream", &"read", &into.join("source")])).expect(0).stdout, data(b"plain"));
}

#[test]
fn a_copy_of_a_directory_has_everything() {
    let dir = scratch();
    let source = dir.path().join("d");
    let streams = [security(), eas(), alternate("on it", b"x"), object_id()].concat();
    ntbak(args([&"stream", &"write", &"--directory", &source])).input(&streams).expect(0);
    let target = dir.path().join("e");
    ntbak(args([&"copy", &source, &target])).expect(0);
    assert!(ntbak(args([&"stream", &"read", &target])).expect(0).stdout == streams);
    let written = |path: &Path| info(path)["written"].clone();
    assert_eq!(written(&target), written(&source));
    fs::write(source.join("child"), b"").unwrap();
    ntbak(args([&"copy", &source, &dir.path().join("f")])).expect(0).says("nothing lost");
    assert!(dir.path().join("f/child").exists());
    let into = dir.path().join("into");
    fs::create_dir_all(into.join("d")).unwrap();
    ntbak(args([&"copy", &target.join("../d"), &into])).expect(0);
    assert!(ntbak(args([&"stream", &"read", &into.join("d")])).expect(0).stdout == streams);
    ntbak(args([&"copy", &".", &into])).cd(dir.path()).expect(2).says("NAME");
}

#[test]
fn a_file_is_not_copied_onto_itself() {
    let dir = scratch();
    rich_file(dir.path(), "f");
    let path = dir.path().join("f");
    fs::hard_link(&path, dir.path().join("g")).unwrap();
    let other = dir.path().join("sub/../f");
    fs::create_dir(dir.path().join("sub")).unwrap();
    for target in [&path, &dir.path().join("g"), &other, &dir.path().to_owned()] {
        ntbak(args([&"copy", &path, target])).expect(2).says("same file");
    }
    assert!(ntbak(args([&"stream", &"read", &path])).expect(0).stdout == rich());
}

/// A copy that fails takes nothing along, and leaves nothing.
#[test]
fn a_copy_that_fails_leaves_nothing() {
    let dir = scratch();
    rich_file(dir.path(), "f");
    let into = dir.path().join("into");
    fs::create_dir_all(into.join("f")).unwrap();
    // A file does not replace a directory.
    ntbak(args([&"copy", &dir.path().join("f"), &into])).expect(1);
    assert_eq!(names(&into), ["f"]);
    // Nor a directory a file.
    let source = dir.path().join("d");
    ntbak(args([&"stream", &"write", &"--directory", &source])).input(&alternate("a", b"x")).expect(0);
    fs::write(into.join("file"), b"file").unwrap();
    ntbak(args([&"copy", &source, &into.join("file")])).expect(1);
    assert_eq!(names(&into), ["f", "file"]);
    let gone = dir.path().join("gone/x");
    ntbak(args([&"copy", &dir.path().join("f"), &gone])).expect(1).says("gone");
    ntbak(args([&"copy", &gone, &into])).expect(1).says("gone");
}

/// architecture.md: "a relative symlink becomes a Linux symlink".
#[test]
fn a_copy_of_a_symlink_is_a_symlink() {
    let dir = scratch();
    let link = dir.path().join("link");
    symlink("to/where", &link).unwrap();
    let copy = dir.path().join("copy");
    ntbak(args([&"copy", &link, &copy])).expect(0);
    assert_eq!(info(&copy)["reparse"], info(&link)["reparse"]);
    assert_eq!(fs::read_link(&copy).unwrap(), Path::new("to/where"));
}

/// Whoever could not read the source must not be able to read its copy.
#[test]
fn a_copy_is_not_open_to_more_people_than_its_source() {
    let dir = scratch();
    let secret = dir.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let copy = dir.path().join("copy");
    ntbak(args([&"copy", &secret, &copy])).expect(0);
    assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn cat_gives_the_bytes_of_one_stream() {
    let dir = scratch();
    rich_file(dir.path(), "f");
    let path = dir.path().join("f");
    let cat = |stream: &str| ntbak(["cat", &format!("{}{stream}", path.display())]);
    assert_eq!(cat("").expect(0).stdout, fs::read(&path).unwrap());
    for name in [":Zone.Identifier", ":zone.identifier", ":Zone.Identifier:$DATA"] {
        assert_eq!(cat(name).expect(0).text(), "[ZoneTransfer]\r\nZoneId=3\r\n", "{name}");
    }
    assert_eq!(cat(":empty").expect(0).text(), "");
    assert_eq!(cat(":only a hole").expect(0).stdout, vec![0; 1 << 20]);
    assert_eq!(cat(":Käse \u{1F9C0}").expect(0).stdout, vec![9; 100_000]);
    cat(":gone").expect(1).says("no stream gone").says("ntbak info");
    ntbak(args([&"cat", &"f:empty"])).cd(dir.path()).expect(0);
    ntbak(args([&"cat", &dir.path()])).expect(1).says("directory");
    ntbak(args([&"cat", &dir.path().join("gone")])).expect(1).says("gone");
    ntbak(args([&"cat", &dir.path().join("gone:x")])).expect(1).says("gone");
}

#[test]
fn a_path_that_exists_wins_over_a_stream() {
    let dir = scratch();
    ntbak(["stream", "write", "a"]).cd(dir.path()).input(&alternate("b", b"stream")).expect(0);
    assert_eq!(ntbak(["cat", "a:b"]).cd(dir.path()).expect(0).text(), "stream");
    fs::write(dir.path().join("a:b"), b"file").unwrap();
    assert_eq!(ntbak(["cat", "a:b"]).cd(dir.path()).expect(0).text(), "file");
    fs::remove_file(dir.path().join("a")).unwrap();
    assert_eq!(ntbak(["cat", "./a:b"]).cd(dir.path()).expect(0).text(), "file");
    fs::write(dir.path().join(":c"), b"colon first").unwrap();
    assert_eq!(ntbak(["cat", ":c"]).cd(dir.path()).expect(0).text(), "colon first");
    fs::write(dir.path().join("-x"), b"dash").unwrap();
    assert_eq!(ntbak(["cat", "--", "-x"]).cd(dir.path()).expect(0).text(), "dash");
}

#[test]
fn info_says_what_there_is_in_text_and_json() {
    let dir = scratch();
    rich_file(dir.path(), "f");
    let path = dir.path().join("f");
    let text = ntbak(args([&"info", &path])).expect(0).text();
    for expected in
        ["RICH~1.TXT", "RHSPLI", "2019-03-03T12:35:17.1234567Z", "O:BAG:SY", "0x80007777", ":holey", "sparse"]
    {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let json = info(&path);
    assert_eq!(STANDARD.decode(json["sd"].as_str().unwrap()).unwrap(), descriptor());
    assert_eq!(STANDARD.decode(json["reparse"].as_str().unwrap()).unwrap(), reparse_buffer());
    assert!(json["attributes"].is_u64() && json["streams"][0]["size"].is_u64());
    assert_eq!(json["streams"][0]["name"], "");
    assert_eq!(json["streams"][2]["size"], 1_u64 << 41);
    assert_eq!(info(dir.path())["type"], "dir");
    // What goes where in this place.
    assert!(text.contains("user.DOSATTRIB") && text.contains("in side file"), "{text}");
    assert!(json["place"]["in_side_file"].as_str().unwrap().contains("change time"));
    ntbak(args([&"info", &dir.path().join("gone")])).expect(1).says("gone");
}

#[test]
fn info_of_names_that_are_no_text() {
    let dir = scratch();
    for name in [&b"new\nline"[..], b"no utf8 \xFF\xFE", &[b'n'; 255], b"\x1B[31m"] {
        let path = dir.path().join(OsStr::from_bytes(name));
        let input = alternate("s", b"x");
        ntbak(args([&"stream", &"write", &path])).input(&input).expect(0);
        let json = info(&path);
        match std::str::from_utf8(name) {
            Ok(name) => assert!(json["path"].as_str().unwrap().ends_with(name)),
            Err(_) => {
                let raw = STANDARD.decode(json["path_raw"].as_str().unwrap()).unwrap();
                assert_eq!(raw, path.as_os_str().as_bytes());
            }
        }
        assert_eq!(json["streams"][1]["name"], "s");
        let copy = dir.path().join("copies");
        fs::create_dir_all(&copy).unwrap();
        ntbak(args([&"copy", &path, &copy])).expect(0);
        let read = ntbak(args([&"stream", &"read", &copy.join(OsStr::from_bytes(name))])).expect(0);
        assert_eq!(read.stdout, input);
        let stream = [path.as_os_str().as_bytes(), b":s"].concat();
        assert_eq!(ntbak(args([&"cat", &OsStr::from_bytes(&stream)])).expect(0).stdout, b"x");
    }
}

/// Attributes that mirror another fact are there when it is, whoever wrote it.
#[test]
fn info_has_the_attributes_of_what_a_stream_brought() {
    let dir = scratch();
    let path = dir.path().join("f");
    ntbak(args([&"stream", &"write", &path])).input(&stream(REPARSE, 0, "", &reparse_buffer())).expect(0);
    assert_eq!(info(&path)["attributes"].as_u64().unwrap() & 0x400, 0x400, "REPARSE_POINT");
    let path = dir.path().join("g");
    ntbak(args([&"stream", &"write", &path])).input(&stream(DATA, SPARSE, "", b"x")).expect(0);
    assert_eq!(info(&path)["attributes"].as_u64().unwrap() & 0x200, 0x200, "SPARSE_FILE");
}

#[test]
fn nobody_gets_errors_and_no_half_files() {
    let dir = scratch();
    rich_file(dir.path(), "f");
    let path = dir.path().join("f");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    if !is_root() {
        eprintln!("skipped: only root has files that others cannot read");
        return;
    }
    for arguments in [
        args([&"cat", &path]),
        args([&"stream", &"read", &path]),
        args([&"copy", &path, &open]),
        args([&"stream", &"write", &path]),
        args([&"stream", &"write", &dir.path().join("new")]),
        args([&"stream", &"read", &open, &"-o", &dir.path().join("new")]),
        args([&"info", &open, &"--report", &dir.path().join("new")]),
    ] {
        let Some(run) = ntbak_as_nobody(dir.path(), &arguments) else { return };
        run.input(&data(b"x")).expect(1).says("Permission denied");
        assert_eq!(names(&open), [""; 0], "{arguments:?}");
    }
    assert!(ntbak(args([&"stream", &"read", &path])).expect(0).stdout == rich());
    // Where nobody may write, everything works.
    let new = open.join("new");
    let run = ntbak_as_nobody(dir.path(), args([&"stream", &"write", &new])).unwrap();
    run.input(&rich()).expect(0);
    let run = ntbak_as_nobody(dir.path(), args([&"copy", &new, &open.join("copy")])).unwrap();
    run.expect(0);
    assert!(ntbak(args([&"stream", &"read", &open.join("copy")])).expect(0).stdout == rich());
}

/// One file that root has restored must not take a directory away from everybody else.
#[test]
fn side_files_of_another_user_do_not_bar_a_plain_file() {
    let dir = scratch();
    if !is_root() {
        eprintln!("skipped: it takes root to have another user");
        return;
    }
    rich_file(dir.path(), "by root");
    let plain = dir.path().join("plain");
    fs::write(&plain, b"for all to read").unwrap();
    let Some(run) = ntbak_as_nobody(dir.path(), args([&"cat", &plain])) else { return };
    assert_eq!(run.expect(0).text(), "for all to read");
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    let dir = scratch();
    for wrong in [
        &[][..],
        &["stream"],
        &["nonsense"],
        &["stream", "extract"],
        &["stream", "extract", "--data", "--id", "1"],
        &["stream", "extract", "--name", "a", "--data"],
        &["stream", "extract", "--id", "-1"],
        &["stream", "extract", "--id", "4294967296"],
        &["stream", "list", "a", "b"],
        &["stream", "write"],
        &["copy", "a"],
        &["info"],
        &["cat"],
        &["info", ".", "--allow-loss", "everything"],
        &["info", ".", "-q", "-v"],
        &["completions", "tcl"],
    ] {
        let ran = ntbak(wrong).cd(dir.path()).expect(2);
        assert!(!ran.stderr.is_empty() && ran.stdout.is_empty(), "{wrong:?}");
    }
    let ran = ntbak(["info", ".", "--allow-loss", "everything"]).expect(2);
    ran.says("opaque-stream");
    for right in [&["--help"][..], &["--version"], &["stream", "extract", "--help"], &["help", "stream"]] {
        assert!(!ntbak(right).expect(0).stdout.is_empty());
    }
    assert!(ntbak(["--help"]).expect(0).text().contains("Exit codes"));
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn unknown_files_are_1() {
    for wrong in [
        &["stream", "list", "/nowhere/x"][..],
        &["stream", "extract", "--data", "/nowhere/x"],
        &["stream", "read", "/nowhere/x"],
        &["stream", "write", "/nowhere/x"],
        &["copy", "/nowhere/x", "/nowhere/y"],
        &["cat", "/nowhere/x"],
        &["info", "/nowhere/x"],
        &["stream", "list", "/"],
        &["cat", "/dev/null"],
    ] {
        ntbak(wrong).expect(1).says(wrong.last().unwrap().trim_end_matches("/x").trim_end_matches("/y"));
    }
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = ntbak(["completions", shell]).expect(0).text();
        assert!(text.contains("ntbak") && text.contains("link-root"), "{shell}");
    }
    let page = ntbak(["man"]).expect(0).text();
    for expected in [".TH", "ntbak", "Exit codes", "stream", "copy"] {
        assert!(page.contains(expected), "{expected}");
    }
}

/// cli.md promises manual pages: the options of `stream write` are nowhere in that of `ntbak`.
#[test]
fn the_manual_has_the_options_of_the_subcommands() {
    let page = ntbak(["man"]).expect(0).text();
    assert!(page.contains("link\\-root"), "{page}");
}

#[test]
fn completions_and_the_manual_for_a_reader_that_goes_away() {
    for arguments in [&["completions", "bash"][..], &["completions", "fish"], &["man"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = ntbak(arguments).stdout_to(Stdio::from(writer)).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

/// A full disk is an error, not success.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let dir = scratch();
    let path = dir.path().join("f");
    fs::write(&path, b"x").unwrap();
    for arguments in [
        args([&"cat", &path]),
        args([&"info", &path]),
        args([&"stream", &"read", &path]),
        args([&"man"]),
        args([&"completions", &"bash"]),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        ntbak(arguments).stdout_to(Stdio::from(full)).expect(1).says("No space left");
    }
    let report = args([&"stream", &"write", &path, &"--report", &"/dev/full"]);
    let lost = [stream(PROPERTY, 0, "", b"p"), data(b"x")].concat();
    ntbak(report).input(&lost).expect(1).says("report");
}
