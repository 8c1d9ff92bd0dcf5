//! Directories through archives, with other programs as judges.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::common::output;
use crate::common::run::{args, ntbak, ntbak_from};

/// A directory with some of everything that any Linux file system takes.
pub(crate) fn fill(root: &Path) {
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("a/one.txt"), "one").unwrap();
    fs::write(root.join("a/b/two.bin"), vec![7; 300_000]).unwrap();
    fs::write(root.join("a/b/c/Grüße.txt"), "drei").unwrap();
    fs::write(root.join("a:b"), "a colon").unwrap();
    fs::hard_link(root.join("a/one.txt"), root.join("uno.txt")).unwrap();
    symlink("one.txt", root.join("a/link")).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
}

fn names(root: &Path) -> Vec<String> {
    let root_text = root.to_str().unwrap();
    let found = output("find", [root_text, "-not", "-path", "*/.ntbak-side*", "-printf", "%P %y %s\n"]);
    let mut names: Vec<_> =
        String::from_utf8(found)
            .unwrap()
            .lines()
            // The size of a directory means nothing.
            .map(|line| {
                if line.contains(" d ") {
                    line.rsplit_once(' ').unwrap().0.to_owned()
                } else {
                    line.to_owned()
                }
            })
            .collect();
    names.sort();
    names
}

#[test]
fn a_directory_goes_into_archives_and_back() {
    let dir = TempDir::new().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fill(&from);
    for archive in ["plain.tar", "packed.tar.zst"] {
        let archive = dir.path().join(archive);
        ntbak(args!["backup", &from, "-o", &archive]).expect(0).lost_only(&[]);
        ntbak(args!["verify", &archive]).expect(0);
        ntbak(args!["verify", &archive, "--against", &from]).expect(0);
        ntbak(args!["restore", &archive, &to]).expect(0).lost_only(&[]);
        assert_eq!(names(&from), names(&to));
        ntbak(args!["diff", &from, &to]).expect(0);
        ntbak(args!["diff", &archive, &to]).expect(0);
        assert_eq!(
            fs::metadata(to.join("uno.txt")).unwrap().ino(),
            fs::metadata(to.join("a/one.txt")).unwrap().ino()
        );
        let time = |root: &Path| fs::metadata(root.join("a/b")).unwrap().mtime_nsec() / 100;
        assert_eq!(time(&from), time(&to));
        fs::remove_dir_all(&to).unwrap();
        // The same through pipes.
        let piped = ntbak(args!["backup", &from, "-o", "-"]).expect(0).stdout;
        let file = dir.path().join("piped");
        fs::write(&file, piped).unwrap();
        ntbak_from(&file, args!["restore", "-", &to]).expect(0);
        ntbak(args!["diff", &from, &to]).expect(0);
        fs::remove_dir_all(&to).unwrap();
    }
}

/// A stream of a backup stream.
fn record(id: u32, name: &str, content: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (size, len) = (content.len() as u64, u32::try_from(name.len()).unwrap());
    let header = [&id.to_le_bytes()[..], &[0; 4], &size.to_le_bytes(), &len.to_le_bytes()].concat();
    [&header[..], &name, content].concat()
}

#[test]
fn other_programs_read_the_archive() {
    let dir = TempDir::new().unwrap();
    let (from, archive) = (dir.path().join("from"), dir.path().join("a.tar"));
    fill(&from);
    fs::remove_file(from.join("a:b")).unwrap();
    // The entry of its stream, `x:s`, looks like a path on drive X.
    let streams = dir.path().join("x.bkup");
    fs::write(&streams, [record(1, "", b"letter"), record(4, ":s:$DATA", b"its stream")].concat()).unwrap();
    ntbak_from(&streams, args!["stream", "write", &from.join("x")]).expect(0);
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    let text = archive.to_str().unwrap();
    let script = "import sys,tarfile\nwith tarfile.open(sys.argv[1]) as t:\n  print([t.extractfile(n).read().decode() for n in ('x', 'x:s')], t.getmember('sparse').size)";
    let python = String::from_utf8(output("python3", ["-c", script, text])).unwrap();
    assert_eq!(python.trim(), "['letter', 'its stream'] 1048576");
    let script = "import sys,tarfile\nwith tarfile.open(sys.argv[1]) as t:\n  print(t.extractfile('a/one.txt').read().decode(), t.getmember('uno.txt').linkname if t.getmember('uno.txt').islnk() else t.getmember('a/one.txt').linkname)";
    let python = String::from_utf8(output("python3", ["-c", script, text])).unwrap();
    assert!(python.starts_with("one "), "{python}");
    for (program, arguments) in [("tar", &["--warning=no-unknown-keyword", "-xf"][..]), ("bsdtar", &["-xPf"])]
    {
        let to = dir.path().join(program);
        fs::create_dir(&to).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(&archive).arg("-C").arg(&to);
        let Ok(out) = command.output() else {
            assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "{program} is missing");
            eprintln!("skipped: {program} is not installed");
            continue;
        };
        assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(fs::read(to.join("a/b/two.bin")).unwrap(), vec![7; 300_000], "{program}");
        assert_eq!(fs::read(to.join("uno.txt")).unwrap(), b"one", "{program}");
        assert_eq!(fs::read(to.join("x")).unwrap(), b"letter", "{program}");
        assert_eq!(fs::read(to.join("x:s")).unwrap(), b"its stream", "{program}");
        assert_eq!(fs::metadata(to.join("sparse")).unwrap().len(), 1 << 20, "{program}");
    }
    // And the other way: what tar writes is restored.
    let (foreign, to) = (dir.path().join("foreign.tar"), dir.path().join("to"));
    output("tar", ["-C".as_ref(), from.as_os_str(), "-cf".as_ref(), foreign.as_os_str(), ".".as_ref()]);
    ntbak(args!["restore", &foreign, &to]).expect(0);
    assert_eq!(names(&from), names(&to));
    ntbak(args!["verify", &foreign]).expect(1);
}

#[test]
fn parts_of_an_archive_are_listed_and_shown_and_restored() {
    let dir = TempDir::new().unwrap();
    let (from, to, archive) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("a.tar"));
    fill(&from);
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    let listed = String::from_utf8(ntbak(args!["list", &archive]).expect(0).stdout).unwrap();
    assert!(listed.contains(" a/b/two.bin") && listed.contains("uno.txt"), "{listed}");
    let hashed = ntbak(args!["list", &archive, "a/b/two.bin", "--json", "--hash"]).expect(0).stdout;
    let line: serde_json::Value = serde_json::from_slice(&hashed).unwrap();
    assert_eq!(line["path"], "a/b/two.bin");
    assert_eq!(line["streams"][0]["blake3"], blake3::hash(&vec![7; 300_000]).to_hex().as_str());
    let same = ntbak(args!["list", &from.join("a/b/two.bin"), "--json", "--hash"]).expect(0).stdout;
    let same: serde_json::Value = serde_json::from_slice(&same).unwrap();
    assert_eq!(same["streams"], line["streams"]);
    assert_eq!(ntbak(args!["cat", &archive, "a/b/c/Grüße.txt"]).expect(0).stdout, "drei".as_bytes());
    assert_eq!(ntbak(args!["cat", &archive, "a:b"]).expect(0).stdout, b"a colon");
    assert_eq!(ntbak(args!["cat", &archive, "sparse"]).expect(0).stdout, vec![0; 1 << 20]);
    ntbak(args!["cat", &archive, "nothing"]).expect(1);
    ntbak(args!["restore", &archive, &to, "a/b"]).expect(0);
    assert!(to.join("a/b/c/Grüße.txt").exists() && !to.join("a/one.txt").exists());
    ntbak(args!["restore", &archive, &to, "no/such/path"]).expect(3).lost_only(&["content"]);
    ntbak(args!["info", &archive]).expect(0);
    ntbak(args!["backup", &from, "-o", &archive, "--exclude", "*.BIN", "--exclude", "/a/b/c/"]).expect(0);
    let listed = String::from_utf8(ntbak(args!["list", &archive]).expect(0).stdout).unwrap();
    assert!(
        !listed.contains("two.bin") && !listed.contains("a/b/c") && listed.contains("one.txt"),
        "{listed}"
    );
    ntbak(args!["backup", &from, &from, "-o", &archive]).expect(2);
}

/// Of a file of Windows only some parts; and as many threads as are asked for.
#[test]
fn parts_of_files_are_left_out_as_asked() {
    let dir = TempDir::new().unwrap();
    let (from, archive) = (dir.path().join("from"), dir.path().join("a.tar.zst"));
    fill(&from);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sample.bkup");
    ntbak_from(&sample, args!["stream", "write", &from.join("report.txt")]).expect(0);
    let all = ["data", "ads", "security", "ea", "reparse", "objectid"];
    let listed = |place: &Path| -> serde_json::Value {
        let line = ntbak(args!["list", "--json", place, "report.txt"]).expect(0).stdout;
        // Of an archive the directory that it is in is listed, too.
        let mut lines =
            line.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap());
        lines.find(|file: &serde_json::Value| file["path"] == "report.txt").unwrap()
    };
    let whole = listed(&from);
    for kind in all.into_iter().chain(["data,ads"]) {
        for jobs in ["1", "3"] {
            ntbak(args!["backup", &from, "-o", &archive, "--streams", kind, "-j", jobs]).expect(0);
            ntbak(args!["verify", &archive]).expect(0);
        }
        let found = listed(&archive);
        assert_eq!(found.get("sddl"), whole.get("sddl").filter(|_| kind == "security"), "{kind}");
        assert_eq!(found.get("ea"), whole.get("ea").filter(|_| kind == "ea"), "{kind}");
        assert_eq!(found.get("object_id"), whole.get("object_id").filter(|_| kind == "objectid"), "{kind}");
        let named = |file: &serde_json::Value, named: bool| -> Vec<serde_json::Value> {
            let streams = file["streams"].as_array().unwrap().iter();
            streams.filter(|stream| (stream["name"] != "") == named).cloned().collect()
        };
        let ads = if kind.contains("ads") { named(&whole, true) } else { Vec::new() };
        assert_eq!(named(&found, true).len(), ads.len(), "{kind}");
        // A tar archive has no file without content.
        let size = if kind.contains("data") { whole["streams"][0]["size"].clone() } else { 0.into() };
        assert_eq!(named(&found, false)[0]["size"], size, "{kind}: {found}");
        // Out of a whole archive the same parts are restored, and copied without one.
        let (restored, copied) =
            (dir.path().join(format!("restored-{kind}")), dir.path().join(format!("copied-{kind}")));
        ntbak(args!["backup", &from, "-o", &archive]).expect(0);
        ntbak(args!["restore", &archive, &restored, "--streams", kind, "-j", "4"]).expect(0);
        ntbak(args!["copy", &from, &copied, "--streams", kind]).expect(0);
        ntbak(args!["diff", &restored, &copied]).expect(0);
        ntbak(args!["diff", &from, &copied, "--streams", kind]).expect(0);
    }
    ntbak(args!["backup", &from, "-o", &archive, "--streams", "nothing"]).expect(2);
    ntbak(args!["backup", &from, "-o", &archive, "-j", "0"]).expect(2);
}

/// What was never a file of Windows gets nothing beside it that only Windows' files have.
#[test]
fn files_of_linux_get_no_side_files() {
    let dir = TempDir::new().unwrap();
    let (from, to, archive) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("a.tar"));
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/b/file"), "text").unwrap();
    fs::hard_link(from.join("a/b/file"), from.join("name")).unwrap();
    if rustix::fs::setxattr(&from, "user.probe", b"1", rustix::fs::XattrFlags::empty()).is_err() {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "there are no attributes here");
        eprintln!("skipped: the file system has no attributes");
        return;
    }
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    ntbak(args!["restore", &archive, &to]).expect(0).lost_only(&[]);
    ntbak(args!["diff", &from, &to]).expect(0);
    let found = output("find", [to.to_str().unwrap(), "-name", ".ntbak-side"]);
    assert_eq!(String::from_utf8(found).unwrap(), "");
}

#[test]
fn differences_are_told() {
    let dir = TempDir::new().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fill(&from);
    ntbak(args!["copy", &from, &to]).expect(0);
    ntbak(args!["diff", &from, &to]).expect(0);
    fs::write(to.join("a/b/two.bin"), vec![8; 300_000]).unwrap();
    fs::write(to.join("new"), "x").unwrap();
    fs::remove_file(to.join("uno.txt")).unwrap();
    let told = ntbak(args!["diff", &from, &to]).expect(1).stdout;
    let told = String::from_utf8(told).unwrap();
    for line in ["a/b/two.bin: content (BLAKE3)", "new: only in B", "uno.txt: only in A", "a/one.txt: names"]
    {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    // No terminal, no colours, unless they are asked for.
    assert!(!told.contains('\x1b'));
    let colored = ntbak(args!["diff", "--color", "always", &from, &to]).expect(1).stdout;
    assert!(String::from_utf8(colored).unwrap().contains("uno.txt: \x1b[31monly in A\x1b[0m"));
    // A name is no way to the terminal.
    fs::write(to.join("a\x1b[2Jb\nc"), "x").unwrap();
    for told in [ntbak(args!["diff", &from, &to]).stdout, ntbak(args!["list", &to]).stdout] {
        assert!(!told.contains(&0x1b) && told.windows(4).any(|at| at == b"b\\nc"));
    }
    fs::remove_file(to.join("a\x1b[2Jb\nc")).unwrap();
    let json = ntbak(args!["diff", "--json", &from, &to]).expect(1).stdout;
    let json = String::from_utf8(json).unwrap();
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["path"] == "new" && line["what"] == "only" && line["b"] == true));
    // A directory does not go into itself.
    ntbak(args!["copy", &from, &from.join("a/inside")]).expect(2);
}

#[test]
fn an_archive_in_its_own_source_is_passed_over_and_overwriting_is_as_asked() {
    let dir = TempDir::new().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fill(&from);
    let archive = from.join("archive.tar");
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    ntbak(args!["restore", &archive, &to]).expect(0);
    assert!(!to.join("archive.tar").exists());
    fs::write(to.join("a/one.txt"), "changed").unwrap();
    for (mode, content) in [("never", "changed"), ("if-newer", "changed"), ("always", "one")] {
        ntbak(args!["restore", &archive, &to, "--overwrite", mode]).expect(0);
        assert_eq!(fs::read_to_string(to.join("a/one.txt")).unwrap(), content, "{mode}");
    }
    let before = names(&to);
    let empty = dir.path().join("not-made");
    ntbak(args!["restore", &archive, &empty, "--dry-run"]).expect(0);
    ntbak(args!["backup", &from, "-o", dir.path().join("no.tar"), "-n"]).expect(0);
    assert!(!empty.exists() && !dir.path().join("no.tar").exists());
    assert_eq!(names(&to), before);
}

/// A name that was asked for and is not there is a loss, wherever the others are.
#[test]
fn what_was_asked_for_and_is_not_there_is_told() {
    let dir = TempDir::new().unwrap();
    let (from, to, archive) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("a.tar"));
    fill(&from);
    let list = dir.path().join("list");
    fs::write(&list, "uno.txt\nnowhere\na/b\n").unwrap();
    let told = ["content"];
    let some = ntbak(args!["backup", &from, "-o", &archive, "--files-from", &list]).expect(3);
    assert!(some.lost_only(&told).stderr.contains("lost content of nowhere"));
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    for place in [&from, &archive] {
        ntbak(args!["list", place, "uno.txt", "no"]).expect(3).lost_only(&told);
        ntbak(args!["list", place, "uno.txt", "./a/b/"]).expect(0);
    }
    ntbak(args!["diff", &archive, &from, "--files-from", &list]).expect(3).lost_only(&told);
    ntbak(args!["restore", &archive, &to, "sparse", "a/b", "a/no", "b"]).expect(3).lost_only(&told);
    assert!(to.join("a/b/two.bin").exists() && !to.join("a/one.txt").exists());
    ntbak(args!["copy", &from, dir.path().join("copy"), "--files-from", &list]).expect(3).lost_only(&told);
    // What the rules leave out is not missed.
    ntbak(args!["restore", &archive, &to, "sparse", "a/no", "--exclude", "no"]).expect(0);
}

/// A second name is one of the file that was backed up, never of another one that stayed under its first name.
#[test]
fn a_hard_link_is_never_made_to_what_was_there_before() {
    let dir = TempDir::new().unwrap();
    let (from, archive) = (dir.path().join("from"), dir.path().join("a.tar"));
    fs::create_dir(&from).unwrap();
    fs::write(from.join("first"), "new").unwrap();
    fs::hard_link(from.join("first"), from.join("second")).unwrap();
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    for how in ["never", "if-newer"] {
        let to = dir.path().join(how);
        fs::create_dir(&to).unwrap();
        fs::write(to.join("first"), "old").unwrap();
        let ran = ntbak(args!["restore", &archive, &to, "--overwrite", how]).expect(3);
        assert!(!to.join("second").exists(), "{}", ran.stderr);
        ran.lost_only(&["link"]);
        // What is newer stays, by whatever name.
        fs::write(to.join("second"), "mine").unwrap();
        ntbak(args!["restore", &archive, &to, "--overwrite", how]).expect(0);
        assert_eq!(fs::read(to.join("second")).unwrap(), b"mine");
        // The rest of a run that was ended.
        fs::remove_file(to.join("second")).unwrap();
        ntbak(args!["restore", &archive, &to]).expect(0);
        fs::remove_file(to.join("second")).unwrap();
        ntbak(args!["restore", &archive, &to, "--overwrite", how]).expect(0);
        let inode = |name: &str| fs::metadata(to.join(name)).unwrap().ino();
        assert_eq!(inode("first"), inode("second"));
    }
}
