//! `ntbak stream write` with LINK streams.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::harness::*;

#[test]
fn links_resolve_below_the_link_root_only() {
    let dir = scratch();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("sub/there"), b"linked").unwrap();
    fs::write(dir.path().join("secret"), b"secret").unwrap();
    symlink(dir.path(), root.join("way out")).unwrap();
    let path = dir.path().join("f");
    let write = |input: &[u8], root: Option<&Path>| {
        let mut args = args([&"stream", &"write", &path]);
        if let Some(root) = root {
            args.extend(["--link-root".into(), root.into()]);
        }
        ntbak(args).input(input).run()
    };
    let ran = write(&link(r"sub\there"), None);
    assert_eq!(ran.code, 1);
    ran.says("--link-root");
    for bad in [
        r"sub\gone",
        r"gone\there",
        r"..\secret",
        r"sub\..\..\secret",
        "../secret",
        ".",
        r"way out\secret",
        dir.path().join("secret").to_str().unwrap(),
        r"sub",
        r"\",
        "/",
        r"C:\sub\there",
    ] {
        let ran = write(&link(bad), Some(&root));
        assert_eq!(ran.code, 1, "{bad}");
        assert_eq!(names(dir.path()), ["root", "secret"], "{bad}");
    }
    for good in [r"sub\there", "/sub//there", r"\sub/there"] {
        assert_eq!(write(&link(good), Some(&root)).code, 0);
        assert_eq!(fs::metadata(&path).unwrap().ino(), fs::metadata(root.join("sub/there")).unwrap().ino());
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(write(&link(r"sub\there"), Some(Path::new("/nowhere"))).code, 1);
    // In place: the link takes the place of the file.
    fs::write(&path, b"was here").unwrap();
    assert_eq!(write(&link(r"sub\there"), Some(&root)).code, 0);
    assert_eq!(fs::read(&path).unwrap(), b"linked");
}

/// "In place of everything else about it": the old file's facts are not those of the link.
#[test]
fn a_link_does_not_take_the_facts_of_the_file_whose_name_it_gets() {
    let dir = scratch();
    let (path, target) = (dir.path().join("f"), dir.path().join("there"));
    ntbak(args([&"stream", &"write", &path])).input(&alternate("old", b"old")).expect(0);
    ntbak(args([&"stream", &"write", &target])).input(&data(b"theirs")).expect(0);
    let write = args([&"stream", &"write", &"--link-root", &dir.path(), &path]);
    ntbak(write).input(&link("there")).expect(0);
    assert_eq!(ntbak(args([&"stream", &"read", &path])).expect(0).stdout, data(b"theirs"));
}

/// A hard link has the streams of the file; where it cannot have them, that is a loss.
#[test]
fn a_link_has_the_facts_of_its_target_or_says_that_they_are_lost() {
    let dir = scratch();
    let (path, target) = (dir.path().join("f"), dir.path().join("there"));
    ntbak(args([&"stream", &"write", &target])).input(&alternate("theirs", b"x")).expect(0);
    let write = args([&"stream", &"write", &"--link-root", &dir.path(), &path]);
    let ran = ntbak(write).input(&link("there")).run();
    let read = ntbak(args([&"stream", &"read", &path])).expect(0);
    assert!(ran.code == 3 || read.stdout == alternate("theirs", b"x"), "{}", ran.stderr);
}

/// Streams that come with a LINK are not dropped without a word.
#[test]
fn what_comes_with_a_link_is_kept_or_lost_but_not_forgotten() {
    let dir = scratch();
    let (path, target) = (dir.path().join("f"), dir.path().join("there"));
    fs::write(target, b"x").unwrap();
    let write = args([&"stream", &"write", &"--link-root", &dir.path(), &path]);
    let ran = ntbak(write).input(&[link("there"), security()].concat()).run();
    let kept = || ntbak(args([&"stream", &"read", &path])).expect(0).stdout.starts_with(&security());
    assert!(ran.code != 0 || kept(), "{}", ran.stderr);
}

/// What follows a LINK must not be written into the file that it leads to.
#[test]
fn content_after_a_link_does_not_go_through_it() {
    let dir = scratch();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("victim"), b"precious").unwrap();
    for exists in [false, true] {
        let path = dir.path().join("f");
        if exists {
            fs::write(&path, b"").unwrap();
        }
        let input = [link("victim"), data(b"overwritten")].concat();
        ntbak(args([&"stream", &"write", &"--link-root", &root, &path])).input(&input).run();
        assert_eq!(fs::read(root.join("victim")).unwrap(), b"precious", "exists: {exists}");
        let _ = fs::remove_file(&path);
    }
}
