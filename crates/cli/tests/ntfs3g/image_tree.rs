//! Whole volumes out of images: archives, copies, lists and comparisons, judged by the dumper, wimlib and ntfs-3g.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, Mode};
use serde_json::Value;

use super::image::inside;
use super::image_corpus::{IMAGES, volumes as corpus};
use super::round_trip::{IN_COPY, volumes};
use crate::common::judge::{self, Dump};
use crate::common::make::stream;
use crate::common::mount::Volume;
use crate::common::run::{Ran, args, command, ntbak};
use crate::common::{Chance, need_volumes};

/// The lines of `list --json`.
fn list(arguments: &[OsString]) -> Vec<Value> {
    let ran = ntbak([&args!["list", "--json"][..], arguments].concat()).expect(0);
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn paths(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["path"].as_str().unwrap()).collect()
}

/// `/a/b` as the dumper has it.
fn dumped(path: &str) -> String {
    if path == "." { "/".to_owned() } else { format!("/{path}") }
}

/// What differs, by path, stream and fact, from the lines of `diff --json`.
fn differences(ran: &Ran) -> BTreeSet<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = String::from_utf8(ran.stdout.clone()).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (text(&line["path"]), text(&line["stream"]), text(&line["what"])))
        .collect()
}

/// What the volume of `image` has in `members`, and that of another does not have; both hold the same paths.
pub(crate) fn assert_same(before: &Dump, after: &Dump, members: &[&str]) {
    let shown = |dump: &Dump| dump.keys().cloned().collect::<Vec<_>>();
    assert_eq!(shown(after), shown(before));
    let mut faults = Vec::new();
    for (path, file) in before {
        let found = judge::differences(file, &after[path], members);
        faults.extend(found.into_iter().map(|what| format!("{path}: {what}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The volume with every kind of file, and links within and across directories; unmounted.
fn zoo() -> (Volume, Volume, Dump) {
    let (mut a, b, _, _) = volumes();
    let deep = a.path("zoo/directory/a/b/c");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("deep"), Chance::new(1).bytes(20_000)).unwrap();
    // The directory gets its record after the file that is moved into it.
    fs::write(a.path("early"), "before its directory").unwrap();
    fs::create_dir(a.path("late")).unwrap();
    fs::rename(a.path("early"), a.path("late/early")).unwrap();
    fs::write(a.path("zoo/linked"), "three names").unwrap();
    for name in ["zoo/directory/other name", "late/third name"] {
        fs::hard_link(a.path("zoo/linked"), a.path(name)).unwrap();
    }
    a.unmount();
    let before = judge::dump(&a);
    (a, b, before)
}

/// Sparse files that end in a hole have their valid data length only on the volume they are from.
pub(crate) const NOT_ON_A_MOUNT: [&str; 2] = ["change-time", "vdl"];

/// As [`NOT_ON_A_MOUNT`], in the words of the dumper; `ns` of the root is what the target has.
pub(crate) fn on_a_mount(dump: &Dump) -> Dump {
    let mut dump = dump.clone();
    for file in dump.values_mut() {
        file.as_object_mut().unwrap().remove("vdl");
    }
    // Where the mount point was is not restored: the name of the root, and what mkntfs made of it.
    dump.remove("/");
    dump
}

#[test]
fn a_volume_goes_through_an_archive_to_another_volume() {
    need_volumes!();
    let (a, mut b, before) = zoo();
    let archive = a.beside("volume.tar.zst");
    ntbak(args!["backup", a.image(), "-o", &archive]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &archive, "--against", a.image()]).expect(0).lost_only(&[]);
    ntbak(args!["diff", &archive, inside(&a.image(), "")]).expect(0).lost_only(&[]);
    // Equal volumes give equal archives.
    let again = a.beside("again.tar.zst");
    ntbak(args!["backup", a.image(), "-o", &again]).expect(0);
    assert!(judge::cmp(&archive, &again));
    let info: Value =
        serde_json::from_slice(&ntbak(args!["info", "--json", &archive]).expect(0).stdout).unwrap();
    assert_eq!((&info["complete"], info["files"].as_u64()), (&true.into(), Some(unique(&before))));
    let allowed = NOT_ON_A_MOUNT.join(",");
    let restored = ntbak(args!["restore", &archive, b.root(), "--allow-loss", &allowed]).expect(0);
    restored.lost_only(&NOT_ON_A_MOUNT);
    b.unmount();
    let after = judge::dump(&b);
    judge::no_leftovers(&after);
    assert_same(&on_a_mount(&before), &on_a_mount(&after), &IN_COPY);
}

/// How many files a dump has.
fn unique(dump: &Dump) -> u64 {
    dump.values().map(|file| file["rec"].as_u64().unwrap()).collect::<BTreeSet<_>>().len() as u64
}

#[test]
fn a_volume_is_copied_to_another_in_one_step() {
    need_volumes!();
    let (a, mut b, before) = zoo();
    let allowed = NOT_ON_A_MOUNT.join(",");
    let copied = ntbak(args!["copy", inside(&a.image(), "zoo"), b.path("zoo"), "--allow-loss", &allowed]);
    // A directory that is there gets the source under its name, so it is made in the zoo.
    copied.expect(0).lost_only(&NOT_ON_A_MOUNT);
    assert!(b.path("zoo/zoo/directory/a/b/c/deep").is_file());
    b.unmount();
    let below = |dump: &Dump, root: &str| -> Dump {
        let of = |path: &String| path.strip_prefix(root).map(str::to_owned);
        dump.iter().filter_map(|(path, file)| Some((of(path)?, file.clone()))).collect()
    };
    let (one, other) = (below(&before, "/zoo/"), below(&judge::dump(&b), "/zoo/zoo/"));
    // `linked` has names outside of what was copied.
    let members: Vec<_> = IN_COPY.into_iter().filter(|member| !["links", "ns"].contains(member)).collect();
    assert_same(&on_a_mount(&one), &on_a_mount(&other), &members);
    assert_eq!(other["linked"]["paths"].as_array().unwrap().len(), 2);
}

#[test]
fn a_directory_on_linux_holds_a_whole_volume() {
    need_volumes!();
    let (a, _b, _) = zoo();
    let (dir, archive) = (a.beside("dir"), a.beside("a.tar"));
    ntbak(args!["copy", a.image(), &dir]).expect(0).lost_only(&[]);
    ntbak(args!["diff", a.image(), &dir]).expect(0).lost_only(&[]);
    ntbak(args!["backup", &dir, "-o", &archive]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &archive, "--against", a.image()]).expect(0).lost_only(&[]);
}

/// What a list says is what the dumper says, in the order of records, each directory before what is in it.
pub(crate) fn assert_listed(image: &Path, dump: &Dump) {
    let lines = list(&args![image]);
    let listed: BTreeSet<String> = paths(&lines).into_iter().map(dumped).collect();
    let (mut expected, mut hidden): (BTreeSet<String>, usize) = Default::default();
    for (path, file) in dump {
        // The dumper has the files of NTFS, too, and lone surrogates in another way.
        let system = path.starts_with("/$Extend") || file["rec"].as_u64().unwrap() < 16 && path != "/";
        if system || path.contains("&#") {
            hidden += 1;
        } else {
            expected.insert(path.clone());
        }
    }
    let missing: Vec<_> = expected.difference(&listed).collect();
    assert!(missing.is_empty(), "{}: {missing:?}", image.display());
    assert!(listed.len() <= expected.len() + hidden && listed.len() == lines.len());
    let mut seen = BTreeSet::new();
    let (mut last, mut disorder) = (0, 0);
    for line in &lines {
        let path = line["path"].as_str().unwrap();
        let parent = path.rsplit_once('/').map_or(".", |(parent, _)| parent);
        assert!(path == "." || seen.contains(parent), "{path} before its directory");
        seen.insert(path.to_owned());
        let Some(file) = dump.get(&dumped(path)) else { continue };
        let record = file["rec"].as_u64().unwrap();
        disorder += u32::from(record < last && file["dir"] == false && line["type"] != "link");
        last = if file["dir"] == true { last } else { record };
        if line["type"] == "link" {
            continue;
        }
        assert_eq!(
            line["attributes"].as_u64().unwrap() & !0x10,
            file["attr"].as_u64().unwrap() & 0xCFFF_FFEF
        );
        let sizes = |streams: &Value| -> BTreeMap<String, u64> {
            let one = |stream: &Value| {
                (stream["name"].as_str().unwrap().to_owned(), stream["size"].as_u64().unwrap())
            };
            streams.as_array().unwrap().iter().map(one).collect()
        };
        if line["efs"].is_null() && file["streams"].get("WofCompressedData").is_none() {
            let theirs = file["streams"].as_object().unwrap();
            let theirs = theirs.iter().filter(|(name, _)| !name.contains("&#"));
            let theirs: BTreeMap<String, u64> =
                theirs.map(|(name, stream)| (name.clone(), stream[0].as_u64().unwrap())).collect();
            assert!(theirs.iter().all(|(name, size)| sizes(&line["streams"])[name] == *size), "{path}");
        }
    }
    assert_eq!(disorder, 0, "{}", image.display());
}

#[test]
fn a_list_is_what_the_dumper_and_wimlib_say() {
    need_volumes!();
    let (a, _b, before) = zoo();
    assert_listed(&a.image(), &before);
    let wim = a.beside("volume.wim");
    let Ok(ran) = Command::new("wimlib-imagex")
        .args(args!["capture", "--compress=none", "--no-acls", a.image(), &wim])
        .output()
    else {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "NTBAK_REQUIRE_ALL is set");
        eprintln!("skipped: wimlib-imagex is not installed");
        return;
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let ran = Command::new("wimlib-imagex").args(args!["dir", &wim]).output().unwrap();
    let theirs = String::from_utf8_lossy(&ran.stdout).into_owned();
    let theirs: BTreeSet<String> = theirs.lines().map(str::to_owned).collect();
    let lines = list(&args![a.image()]);
    let shown = |path: &str| path.contains('\u{FFFD}');
    let ours: BTreeSet<String> = paths(&lines).into_iter().map(dumped).collect();
    for path in ours.iter().filter(|path| !shown(path)) {
        assert!(theirs.contains(path), "{path} is not in the WIM");
    }
    for path in theirs.iter().filter(|path| !shown(path)) {
        assert!(ours.contains(path), "{path} is in the WIM only");
    }
}

/// Of every image of the corpus: the list is that of the dumper, the archive is whole and equal, and the mount of the same
/// volume differs in nothing but what ntfs-3g does not show.
#[test]
fn every_image_of_the_corpus_as_a_tree() {
    need_volumes!();
    for name in IMAGES {
        let Some((volume, mut alone)) = corpus(name) else { continue };
        drop(volume);
        assert_listed(&alone.image(), &judge::dump(&alone));
        let archive = alone.beside("a.tar.zst");
        ntbak(args!["backup", "--wof", "raw", alone.image(), "-o", &archive]).expect(0).lost_only(&[]);
        ntbak(args!["verify", &archive, "--wof", "raw", "--against", alone.image()]).expect(0);
        alone.mount("ro,streams_interface=windows,efs_raw,permissions");
        let ran = ntbak(args!["diff", "--json", &archive, alone.root()]);
        assert!(ran.code <= 3, "{}", ran.stderr);
        let lost: BTreeSet<_> = ran
            .report
            .iter()
            .filter(|line| line["type"] == "loss")
            .map(|line| line["path"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned())
            .collect();
        let unexplained: Vec<_> = differences(&ran)
            .into_iter()
            .filter(|(path, stream, what)| {
                // Flags of named streams and valid data lengths ntfs-3g does not show; nor the 8.3 names of further names.
                let hidden =
                    what == "vdl" || !stream.is_empty() && ["sparse", "compressed"].contains(&&**what);
                // Where it says so itself.
                let told = path.rsplit('/').next().is_some_and(|name| lost.contains(name));
                // It takes what is behind a colon for a stream.
                !(hidden || told || path.contains(':'))
            })
            .collect();
        alone.unmount();
        assert!(unexplained.is_empty(), "{name}: {unexplained:#?}");
    }
}

#[test]
fn parts_of_a_volume() {
    need_volumes!();
    let mut a = Volume::new(64);
    fs::create_dir_all(a.path("Users/Bob/Documents")).unwrap();
    fs::create_dir_all(a.path("Users/Eve")).unwrap();
    fs::write(a.path("Users/Bob/a.txt"), "a").unwrap();
    fs::write(a.path("Users/Bob/Documents/b.DOC"), "b").unwrap();
    fs::write(stream(&a.path("Users/Bob/a.txt"), "s"), "stream").unwrap();
    fs::write(a.path("Users/Eve/c.txt"), "c").unwrap();
    fs::hard_link(a.path("Users/Bob/a.txt"), a.path("Users/Eve/also a.txt")).unwrap();
    fs::write(a.path("pagefile.sys"), vec![0; 5000]).unwrap();
    a.unmount();
    let image = a.image();
    let shown = |arguments: &[OsString]| -> Vec<String> {
        paths(&list(arguments)).into_iter().map(str::to_owned).collect()
    };
    // A directory, as the volume compares names, and a file.
    assert_eq!(shown(&args![inside(&image, "users\\BOB")]), [".", "Documents", "a.txt", "Documents/b.DOC"]);
    assert_eq!(shown(&args![inside(&image, "USERS/bob/A.TXT")]), ["a.txt"]);
    // Paths and rules: the directories on the way come, too.
    assert_eq!(
        shown(&args![&image, "Users/Bob/Documents"]),
        [".", "Users", "Users/Bob", "Users/Bob/Documents", "Users/Bob/Documents/b.DOC"]
    );
    assert_eq!(shown(&args![&image, "--include", "*.doc"]).last().unwrap(), "Users/Bob/Documents/b.DOC");
    let without = shown(&args![&image, "--exclude", "bob", "--exclude", "/pagefile.sys"]);
    let expected = [".", "Users", "Users/Eve", "Users/Eve/also a.txt", "Users/Eve/c.txt"];
    assert_eq!(without.into_iter().collect::<BTreeSet<_>>(), expected.map(String::from).into());
    // A note on what else a file is called.
    let ran = ntbak(args!["list", inside(&image, "Users/Bob")]).expect(0);
    assert!(ran.report.iter().any(|line| line["what"].as_str().unwrap_or_default().contains("other names")));
    // Several sources, each under its name.
    let other = a.beside("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("x"), "x").unwrap();
    let archive = a.beside("several.tar");
    ntbak(args![
        "backup",
        inside(&image, "users/bob"),
        &other,
        inside(&image, "USERS/eve/C.txt"),
        "-o",
        &archive
    ])
    .expect(0);
    let several: BTreeSet<_> = shown(&args![&archive]).into_iter().collect();
    let expected = ["Bob", "Bob/Documents", "Bob/Documents/b.DOC", "Bob/a.txt", "c.txt", "other", "other/x"];
    assert_eq!(several, expected.map(String::from).into());
    ntbak(args!["backup", &image, inside(&image, ""), "-o", a.beside("no.tar")]).expect(0);
    ntbak(args!["backup", inside(&image, "Users"), inside(&image, "users"), "-o", a.beside("no.tar")])
        .expect(2);
    // A stream is no tree; and an image is not written over.
    ntbak(args!["backup", inside(&image, "Users/Bob/a.txt:s"), "-o", a.beside("no.tar")]).expect(2);
    ntbak(args!["backup", &image, "-o", &image]).expect(2);
    ntbak(args!["copy", inside(&image, "Users/Bob/a.txt"), &image]).expect(2);
    ntbak(args!["list", inside(&image, "no such")]).expect(1);
    // One stream, in both ways.
    assert_eq!(ntbak(args!["cat", &image, "users/bob/A.txt"]).expect(0).stdout, b"a");
    assert_eq!(ntbak(args!["cat", &image, "users/bob/A.txt:S"]).expect(0).stdout, b"stream");
    ntbak(args!["cat", &image, "nothing"]).expect(1);
    // NTFS' own files, for who names them.
    assert!(shown(&args![inside(&image, "$extend")]).contains(&"$ObjId".to_owned()));
    assert_eq!(shown(&args![inside(&image, "$Bitmap")]), ["$Bitmap"]);
    // A rehearsal writes nothing.
    let target = a.beside("target");
    ntbak(args!["copy", "-n", &image, &target]).expect(0);
    ntbak(args!["backup", "-n", &image, "-o", a.beside("none.tar")]).expect(0);
    assert!(!target.exists() && !a.beside("none.tar").exists());
}

/// The first command of the manual: as an ordinary user, without any tool.
#[test]
fn a_user_backs_up_an_image_and_restores_it() {
    need_volumes!();
    let (a, _b, _) = zoo();
    let dir = a.image().parent().unwrap().to_owned();
    for path in [&dir, &a.image()] {
        rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(0o777), AtFlags::empty()).unwrap();
    }
    let as_user = |arguments: &[OsString], code: i32| {
        let ran = command()
            .args(arguments)
            .uid(65_534)
            .gid(65_534)
            .env("PATH", "")
            .env("TMPDIR", &dir)
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let archive = dir.join("user.tar.zst");
    as_user(&args!["backup", a.image(), "-o", &archive], 0);
    as_user(&args!["list", &archive], 0);
    as_user(&args!["restore", &archive, dir.join("restored")], 0);
    as_user(&args!["diff", a.image(), dir.join("restored")], 0);
}
