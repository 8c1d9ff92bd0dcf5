//! Mounts without what ntbak needs: what is missing is said, and what can be kept is kept.

use std::fs;

use serde_json::Value;

use crate::common::judge;
use crate::common::make::{self, alternate, data, set, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, command, ntbak, ntbak_with};
use crate::common::{Chance, need_volumes, output, zoo};

const XATTR: &str = "streams_interface=xattr,efs_raw,permissions";
const NONE: &str = "streams_interface=none,efs_raw,permissions";

/// A volume with a file with a small, an empty and a large stream, and one with names of streams that are long.
fn source() -> Volume {
    let a = Volume::new(64);
    let f = a.path("f");
    fs::write(&f, "content").unwrap();
    fs::write(stream(&f, "small"), "small stream").unwrap();
    fs::write(stream(&f, "empty"), "").unwrap();
    fs::write(stream(&f, "64 KiB"), [1; 65_536]).unwrap();
    fs::write(stream(&f, "more"), [2; 65_537]).unwrap();
    let g = a.path("long");
    fs::write(&g, "content").unwrap();
    fs::write(stream(&g, "漢".repeat(100)), "far").unwrap();
    fs::write(stream(&g, "near"), "near").unwrap();
    a
}

#[test]
fn info_names_the_missing_option() {
    need_volumes!();
    let mut a = source();
    let without_efs = "streams_interface=windows,permissions";
    for (options, mode) in [(WINDOWS, "windows"), (XATTR, "xattr"), (NONE, "none"), (without_efs, "windows")]
    {
        a.remount(options);
        for place in [a.path("f"), a.root()] {
            let ran = ntbak(args!["info", &place]);
            assert!(matches!(ran.code, 0 | 3), "{}", ran.stderr);
            let text = String::from_utf8(ran.stdout).unwrap();
            assert!(text.contains(&format!("streams_interface={mode})")), "{text}");
            let missing = text.contains("streams_interface=windows is missing");
            assert_eq!(missing, mode != "windows", "{text}");
            assert_eq!(text.contains("efs_raw is missing"), !options.contains("efs_raw"), "{text}");
            let json: Value = serde_json::from_slice(&ntbak(args!["info", "--json", &place]).stdout).unwrap();
            assert_eq!(json["place"]["streams_interface"], mode);
        }
    }
}

#[test]
fn info_and_cat_show_every_kind_of_file() {
    need_volumes!();
    let a = Volume::new(256);
    fs::create_dir(a.path("zoo")).unwrap();
    let mut faults = Vec::new();
    for item in zoo::fill(&a.path("zoo")) {
        let path = item.at(&a.path("zoo"));
        let code = if item.lost.is_empty() { 0 } else { 3 };
        let ran = ntbak(args!["info", "--json", &path]);
        let kind = match (serde_json::from_slice::<Value>(&ran.stdout), make::get(&path, make::REPARSE)) {
            (Ok(json), reparse) => {
                let wanted =
                    if reparse.is_ok() { "reparse" } else { ["file", "dir"][usize::from(item.directory)] };
                json["type"] == wanted && json["place"]["streams_interface"] == "windows"
            }
            (Err(_), _) => false,
        };
        let plain = ntbak(args!["info", &path]);
        if ran.code != code || plain.code != code || !kind {
            faults.push(format!("{}: {} {} {kind} {}", path.display(), ran.code, plain.code, ran.stderr));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let streams = a.path("zoo/streams.bin");
    assert!(ntbak(args!["cat", &streams]).expect(0).stdout == fs::read(&streams).unwrap());
    let large = stream(&streams, "large");
    assert!(ntbak(args!["cat", &large]).expect(0).stdout == fs::read(&large).unwrap());
    ntbak(args!["cat", &stream(&streams, "missing")]).expect(1);
}

#[test]
fn small_streams_come_from_and_go_to_a_mount_with_xattrs() {
    need_volumes!();
    let (mut a, mut b) = (source(), Volume::new(64));
    let f = a.path("f");
    a.remount(XATTR);
    // From there: what is larger than an extended attribute can be is a loss.
    let ran = ntbak(args!["copy", &f, &b.path("from")]).expect(3).lost_only(&["change-time", "stream"]);
    let lost: Vec<_> = ran.report.iter().filter(|line| line["kind"] == "stream").collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0]["stream"], "more");
    assert!(lost[0]["why"].as_str().unwrap().contains("streams_interface=windows"), "{}", lost[0]);
    let backup = ntbak(args!["stream", "read", &f]).expect(3).lost_only(&["stream"]).stdout;
    ntbak_with(&backup, args!["stream", "write", &b.path("restored")]).expect(0);
    for name in ["from", "restored"] {
        let to = b.path(name);
        assert_eq!(fs::read(stream(&to, "small")).unwrap(), b"small stream");
        assert_eq!(fs::read(stream(&to, "empty")).unwrap(), b"");
        assert_eq!(fs::read(stream(&to, "64 KiB")).unwrap(), [1; 65_536]);
        assert!(fs::metadata(stream(&to, "more")).is_err());
    }
    // And to there.
    a.remount(WINDOWS);
    b.remount(XATTR);
    let ran = ntbak(args!["copy", &f, &b.path("to")]).expect(3).lost_only(&["change-time", "stream"]);
    let lost: Vec<_> = ran.report.iter().filter(|line| line["kind"] == "stream").collect();
    assert_eq!((lost.len(), &lost[0]["stream"]), (1, &"more".into()));
    let in_stream = [data(b"x"), alternate("more", &[3; 65_537]), alternate("fits", b"y")].concat();
    ntbak_with(&in_stream, args!["stream", "write", &b.path("written")]).expect(3).lost_only(&["stream"]);
    b.remount(WINDOWS);
    assert_eq!(fs::read(stream(&b.path("to"), "small")).unwrap(), b"small stream");
    assert_eq!(fs::read(stream(&b.path("to"), "empty")).unwrap(), b"");
    assert_eq!(fs::read(stream(&b.path("to"), "64 KiB")).unwrap(), [1; 65_536]);
    assert_eq!(fs::read(stream(&b.path("written"), "fits")).unwrap(), b"y");
    b.unmount();
    let dump = judge::dump(&b);
    judge::no_leftovers(&dump);
    let names = |path: &str| dump[path]["streams"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names("/to"), ["", "64 KiB", "empty", "small"]);
    assert_eq!(names("/written"), ["", "fits"]);
}

#[test]
fn a_stream_whose_name_is_too_long_for_an_xattr_is_a_loss() {
    need_volumes!();
    let (mut a, mut b) = (source(), Volume::new(64));
    let from = a.path("long");
    b.remount(XATTR);
    let to = ntbak(args!["copy", &from, &b.path("to")]);
    a.remount(XATTR);
    b.remount(WINDOWS);
    ntbak(args!["copy", &from, &b.path("from")]).expect(3).lost_only(&["change-time", "stream"]);
    assert_eq!(fs::read(stream(&b.path("from"), "near")).unwrap(), b"near");
    to.expect(3).lost_only(&["change-time", "stream"]);
    assert_eq!(fs::read(stream(&b.path("to"), "near")).unwrap(), b"near");
}

/// Of some kinds of files a mount with xattrs gives no streams, and does not say whether there are any.
#[test]
fn streams_that_an_xattr_mount_hides_are_told() {
    need_volumes!();
    let (mut a, b) = (Volume::new(64), Volume::new(64));
    for name in ["reparse", "fifo", "socket", "colon"] {
        fs::write(a.path(name), if name == "socket" { "1" } else { "" }).unwrap();
        fs::write(stream(&a.path(name), if name == "colon" { "a:b" } else { "hidden" }), "lost").unwrap();
    }
    set(&a.path("reparse"), make::REPARSE, &make::third_party(b"x"));
    make::attributes(&a.path("fifo"), 0x4);
    make::attributes(&a.path("socket"), 0x4);
    a.remount(XATTR);
    let mut silent = Vec::new();
    for name in ["reparse", "fifo", "socket", "colon"] {
        let ran = ntbak(args!["copy", &a.path(name), &b.path(name)]);
        let brought = make::get(&b.path(name), "ntfs.streams.list").is_ok_and(|list| !list.is_empty());
        if ran.code != 3 || !(brought || ran.lost().contains("stream")) {
            silent.push(format!("{name}: {}: {}", ran.code, ran.stderr));
        }
    }
    assert!(silent.is_empty(), "lost in silence: {}", silent.join("\n"));
}

#[test]
fn without_streams_everything_else_is_copied() {
    need_volumes!();
    let (mut a, mut b) = (source(), Volume::new(64));
    let f = a.path("f");
    set(&f, make::EA, &make::ea_on_disk(&[("E", b"1", 0)]));
    a.remount(NONE);
    let ran = ntbak(args!["copy", &f, &b.path("from")]).expect(3).lost_only(&["change-time", "stream"]);
    assert!(ran.stderr.contains("streams_interface=windows"), "{}", ran.stderr);
    ntbak(args!["stream", "read", &f]).expect(3).lost_only(&["stream"]);
    a.remount(WINDOWS);
    b.remount(NONE);
    let ran = ntbak(args!["copy", &f, &b.path("to")]).expect(3).lost_only(&["change-time", "stream"]);
    let losses = ran.report.iter().filter(|line| line["type"] == "loss");
    let names: Vec<_> = losses.filter_map(|line| line["stream"].as_str()).collect();
    assert_eq!(names.len(), 4, "each stream is told: {names:?}");
    for name in ["from", "to"] {
        assert_eq!(fs::read(b.path(name)).unwrap(), b"content");
        assert_eq!(make::get(&b.path(name), make::EA), make::get(&f, make::EA));
    }
    // A colon is nothing special there.
    ntbak_with(&data(b"x"), args!["stream", "write", &b.path("a:b")]).expect(0);
    assert_eq!(fs::read(b.path("a:b")).unwrap(), b"x");
}

/// A link has no attributes of the user namespace, by which a mount with streams would be known.
#[test]
fn a_link_is_no_reason_to_think_that_streams_are_missing() {
    need_volumes!();
    let (mut a, b) = (Volume::new(64), Volume::new(64));
    std::os::unix::fs::symlink("nowhere", a.path("link")).unwrap();
    for (options, mode) in [(WINDOWS, "windows"), (XATTR, "xattr"), (NONE, "none")] {
        a.remount(options);
        let ran = ntbak(args!["copy", &a.path("link"), &b.path("link")]).expect(3);
        assert_eq!(fs::read_link(b.path("link")).unwrap().to_str(), Some("nowhere"));
        if mode == "windows" {
            ran.lost_only(&["change-time"]);
        }
        let json: Value =
            serde_json::from_slice(&ntbak(args!["info", "--json", &a.path("link")]).stdout).unwrap();
        assert_eq!(json["place"]["streams_interface"], mode);
    }
}

#[test]
fn an_ordinary_user_copies_what_is_his() {
    need_volumes!();
    use std::os::unix::fs::PermissionsExt;
    let (a, mut b) = (Volume::new(64), Volume::new(64));
    let open_to_all = fs::Permissions::from_mode(0o755);
    for volume in [&a, &b] {
        fs::set_permissions(volume.beside(""), open_to_all.clone()).unwrap();
        fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o777)).unwrap();
    }
    // The target directory of a build may be out of reach.
    let binary = b.beside("ntbak-binary");
    // By another process: a file that one of this process' children has open for writing cannot be run.
    output("cp", [command().get_program(), binary.as_os_str()]);
    let f = a.path("f");
    fs::write(&f, Chance::new(1).bytes(5000)).unwrap();
    fs::write(stream(&f, "s"), "stream").unwrap();
    let user = make::sid(&[21, 1, 2, 3, 1000]);
    let dacl = make::acl(&[make::ace(0, 0, 0x1F_01FF, &make::everyone())]);
    let descriptor = make::descriptor(4, &user, &user, None, Some(&dacl));
    set(&f, make::ACL, &descriptor);
    set(&f, make::EA, &make::ea_on_disk(&[("E", b"1", 0x80)]));
    set(&f, make::OBJECT_ID, &Chance::new(2).bytes(64));
    set(&f, make::DOS_NAME, b"SHORT~1");
    make::attributes(&f, 0x23);
    make::times(&f, 130_000_000_000_000_001, 130_000_000_000_000_002, 130_000_000_000_000_003);
    let expected = make::get_times(&f);
    let ran = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(args![&binary, "copy", &f, &b.path("f")])
        .output();
    let Ok(ran) = ran else {
        eprintln!("skipped: no setpriv to become an ordinary user with");
        return;
    };
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(3), "{stderr}");
    assert_eq!(stderr.matches("lost ").count(), 1, "only the change time: {stderr}");
    assert_eq!(judge::payload_differences(&f, &b.path("f")), [""; 0]);
    assert_eq!(make::get_times(&b.path("f"))[..3], expected[..3]);
    b.unmount();
    let dump = judge::dump(&b);
    judge::no_leftovers(&dump);
    assert_eq!((&dump["/f"]["attr"], &dump["/f"]["dos"]), (&0x23.into(), &serde_json::json!(["SHORT~1"])));
}
