//! Other people's programs read what we write, and we read what they write.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use common::*;
use ntbak_archive::{ArchiveReader, Limits, zstd};
use ntbak_wire::record::{Extent, Extents, SmallKind, StreamFlags, StreamHead, Times};
use ntbak_wire::{FileAttributes, FileTime, Name, reparse};

fn sparse(name: Option<&str>) -> Stream {
    let extents = vec![Extent { offset: 65_536, len: 5 }, Extent { offset: 1 << 33, len: 3 }];
    let pieces = vec![(65_536, b"first".to_vec()), (1 << 33, b"end".to_vec())];
    let plain = stream(name, b"").head;
    let head = StreamHead { size: (1 << 33) + 100_000, vdl: (1 << 33) + 100_000, ..plain };
    Stream {
        head: StreamHead { flags: StreamFlags::SPARSE, extents: Extents::Known(extents), ..head },
        pieces,
    }
}

/// An archive with one of everything that tar has a word for.
fn zoo() -> Vec<u8> {
    let mut a = file("a", b"main");
    a.streams.push(stream(Some("stream"), b"of a"));
    a.info.times =
        Times { written: Some(FileTime::from_unix(1_500_000_000, 123_456_700)), ..Times::default() };
    let mut holes = file("holes", b"");
    holes.streams = vec![sparse(None), sparse(Some("ads"))];
    let mut long = file(&format!("dir/{}", "long name ".repeat(20)), b"long");
    long.small.push((SmallKind::Security, b"a security descriptor".to_vec()));
    long.linux.push((b"user.binary".to_vec(), b"\n18 path=/etc/x\n\0".to_vec()));
    let mut link = file("link", b"");
    link.info.attributes |= FileAttributes::REPARSE_POINT;
    link.small.push((SmallKind::Reparse, reparse::build_symlink(&"a".into(), &"a".into(), true).unwrap()));
    let mut unix = file("mode", b"x");
    unix.info.unix_mode = Some(0o750);
    unix.owner = Some((1234, 3_000_000));
    let mut writer = writer();
    let info = a.info.clone();
    for file in [directory(""), directory("dir"), a, holes, long, file("größe", b"umlaut"), link, unix] {
        put(&mut writer, &file, 100_000).unwrap();
    }
    writer.link(b"second", b"a", None, &info).unwrap();
    writer.finish().unwrap()
}

fn folder(archive: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("zoo.tar"), archive).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    dir
}

/// What every program must have made of [`zoo`] in `out`.
fn check_unpacked(out: &Path) {
    let read = |name: &str| fs::read(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read("a"), b"main");
    assert_eq!(read("a:stream"), b"of a");
    assert_eq!(read("größe"), b"umlaut");
    assert_eq!(read(&format!("dir/{}", "long name ".repeat(20))), b"long");
    assert_eq!(fs::read_link(out.join("link")).unwrap().as_os_str(), "a");
    assert_eq!(read("second"), b"main");
    assert!(!out.join("stream").exists());
    let modified = fs::metadata(out.join("a")).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_500_000_000);
    for name in ["holes", "holes:ads"] {
        use std::os::unix::fs::{FileExt, MetadataExt};
        let file = fs::File::open(out.join(name)).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), (1 << 33) + 100_000, "{name}");
        assert!(metadata.blocks() < 10_000, "{name} has lost its holes");
        let mut piece = [9; 8];
        file.read_exact_at(&mut piece, 65_535).unwrap();
        assert_eq!(&piece, b"\0first\0\0");
        file.read_exact_at(&mut piece, (1 << 33) - 2).unwrap();
        assert_eq!(&piece, b"\0\0end\0\0\0");
    }
    let manifest = String::from_utf8(read(".ntbak/manifest.jsonl")).unwrap();
    assert!(manifest.lines().last().unwrap().contains(r#""type":"end""#));
    // The proof can be checked by anybody: the hash of all lines before the last.
    let end = manifest.trim_end().rfind('\n').unwrap() + 1;
    assert!(manifest[end..].contains(&blake3::hash(&manifest.as_bytes()[..end]).to_hex().to_string()));
}

#[test]
fn gnu_tar_unpacks_it() {
    let dir = folder(&zoo());
    let args = ["--warning=no-unknown-keyword", "--sparse", "-xf", "zoo.tar", "-C", "out"];
    let Some(output) = judge("tar", &args, dir.path()) else { return };
    text(&output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no warning");
    check_unpacked(&dir.path().join("out"));
}

#[test]
fn bsdtar_unpacks_it() {
    let dir = folder(&zoo());
    let Some(output) = judge("bsdtar", &["-P", "-xf", "../zoo.tar"], &dir.path().join("out")) else { return };
    text(&output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no warning");
    check_unpacked(&dir.path().join("out"));
}

const PYTHON: &str = r#"
import tarfile, sys
tar = tarfile.open("zoo.tar")
names = [m.name for m in tar]
print(len(names))
long = [m for m in tar if m.name.startswith("dir/long")][0]
print(long.pax_headers["MSWINDOWS.rawsd"])
print(repr(long.pax_headers["SCHILY.xattr.user.binary"]))
mode = tar.getmember("mode")
print(oct(mode.mode), mode.uid, mode.gid)
print(tar.getmember("second").linkname, tar.getmember("link").linkname)
holes = tar.getmember("holes:ads")
print(holes.size, holes.pax_headers["NTBAK.sparse"])
tar.extractall("out")
"#;

#[test]
fn python_reads_and_unpacks_it() {
    let dir = folder(&zoo());
    let Some(output) = judge("python3", &["-c", PYTHON], dir.path()) else { return };
    let expected = "13\nYSBzZWN1cml0eSBkZXNjcmlwdG9y\n'\\n18 path=/etc/x\\n\\x00'\n0o750 1234 3000000\na a\n8590034592 1\n";
    assert_eq!(text(&output), expected);
    check_unpacked(&dir.path().join("out"));
}

#[test]
fn the_tar_crate_reads_it() {
    let archive = zoo();
    let mut tar = ::tar::Archive::new(&archive[..]);
    let mut count = 0;
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path_bytes().as_ref() == b"a" {
            let mut content = String::new();
            std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
            assert_eq!(content, "main");
        }
        count += 1;
    }
    assert_eq!(count, 13);
}

#[test]
fn names_that_are_not_utf8_reach_gnu_tar() {
    let mut bad = file("x", b"content");
    bad.path = b"dir\xFF/\xED\xA0\xBD".to_vec();
    let dir = folder(&archive(&[bad]));
    let Some(output) = judge(
        "tar",
        &["--warning=no-unknown-keyword", "-tf", "zoo.tar", "--quoting-style=escape"],
        dir.path(),
    ) else {
        return;
    };
    assert!(text(&output).contains("dir\\377/\\355\\240\\275"), "{}", text(&output));
}

#[test]
fn zstd_reads_it_and_we_read_what_zstd_writes() {
    let dir = folder(&zoo());
    let plain = fs::read(dir.path().join("zoo.tar")).unwrap();
    let mut packed = zstd::Compressor::new(Vec::new(), 3, 2).unwrap();
    packed.write_all(&plain).unwrap();
    fs::write(dir.path().join("ours.zst"), packed.finish().unwrap()).unwrap();
    let Some(output) = judge("zstd", &["-dq", "ours.zst", "-o", "ours.tar"], dir.path()) else { return };
    text(&output);
    assert!(fs::read(dir.path().join("ours.tar")).unwrap() == plain);
    text(&judge("zstd", &["-q", "-19", "zoo.tar", "-o", "theirs.zst"], dir.path()).unwrap());
    let theirs = fs::read(dir.path().join("theirs.zst")).unwrap();
    let source = ntbak_archive::open(&theirs[..]).unwrap();
    assert!(source.is_zstd());
    let found = collect(&mut ArchiveReader::proving(source, Limits::default(), spool())).unwrap();
    assert_eq!((found.remarks, found.summary.faults, found.summary.complete), (vec![], 0, true));
    // GNU tar reads it in one go.
    let args = ["--zstd", "--warning=no-unknown-keyword", "-tf", "ours.zst"];
    assert_eq!(text(&judge("tar", &args, dir.path()).unwrap()).lines().count(), 13);
}

/// A directory with files that tar programs are to pack.
fn tree() -> tempfile::TempDir {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join("tree").join(name);
    fs::create_dir_all(at("dir")).unwrap();
    fs::write(at("dir/file"), b"content").unwrap();
    fs::write(at(&"n".repeat(150)), b"long").unwrap();
    fs::write(at("größe"), b"umlaut").unwrap();
    fs::write(at("a:b"), b"no stream").unwrap();
    std::os::unix::fs::symlink("dir/file", at("link")).unwrap();
    fs::hard_link(at("dir/file"), at("hard")).unwrap();
    let holes = fs::File::create(at("holes")).unwrap();
    for at in 0..40 {
        holes.write_all_at(b"data", at * 1_000_000).unwrap();
    }
    holes.set_len(50_000_000).unwrap();
    dir
}

fn check_read(name: &str, archive: &[u8], holes: bool) {
    let found = collect(&mut ArchiveReader::new(ntbak_archive::open(archive).unwrap(), Limits::default()));
    let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(found.remarks, [], "{name}");
    assert!(!found.summary.ours && found.summary.complete, "{name}");
    let file = |path: &str| {
        let path = format!("tree/{path}").into_bytes();
        found.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{name}: no {path:?}"))
    };
    let content = |path: &str| file(path).streams[0].pieces[0].1.clone();
    let (first, second) =
        if found.links[0].0 == b"tree/hard" { ("dir/file", "hard") } else { ("hard", "dir/file") };
    assert_eq!(content(first), b"content", "{name}");
    assert_eq!(
        found.links,
        [(format!("tree/{second}").into(), format!("tree/{first}").into(), None)],
        "{name}"
    );
    assert_eq!(content(&"n".repeat(150)), b"long");
    assert_eq!(content("größe"), b"umlaut");
    assert_eq!(content("a:b"), b"no stream");
    assert!(file("dir").info.attributes.is_directory());
    assert!(file("dir/file".replace("dir/file", first).as_str()).info.times.written.is_some());
    let target = reparse::build_symlink(&r"dir\file".into(), &r"dir\file".into(), true).unwrap();
    assert_eq!(file("link").small, [(SmallKind::Reparse, target)]);
    let stream = &file("holes").streams[0];
    assert_eq!(stream.head.size, 50_000_000, "{name}");
    let mut whole = vec![0; 50_000_000];
    for (offset, data) in &stream.pieces {
        whole[*offset as usize..][..data.len()].copy_from_slice(data);
    }
    let ones = (0..40).all(|at| whole[at * 1_000_000..][..4] == *b"data");
    assert!(ones && whole.iter().filter(|byte| **byte != 0).count() == 160, "{name}");
    assert_eq!(stream.head.extents != Extents::All, holes, "{name}");
}

#[test]
fn what_gnu_tar_writes_is_read() {
    let dir = tree();
    for (format, sparse) in [
        ("--format=gnu", ""),
        ("--format=gnu", "--sparse"),
        ("--format=pax", ""),
        ("--format=pax", "--sparse-version=0.0"),
        ("--format=pax", "--sparse-version=0.1"),
        ("--format=pax", "--sparse-version=1.0"),
        ("--format=ustar", ""),
    ] {
        let mut args = vec![format, "-cf", "x.tar"];
        if !sparse.is_empty() {
            args.extend(["--sparse", sparse]);
        }
        args.push("tree");
        let Some(output) = judge("tar", &args, dir.path()) else { return };
        let (_, _) = (output.status.success() || format == "--format=ustar", &output);
        if format == "--format=ustar" {
            // It cannot hold the long name, and leaves it out.
            assert!(!output.status.success());
            continue;
        }
        text(&output);
        check_read(&args.join(" "), &fs::read(dir.path().join("x.tar")).unwrap(), !sparse.is_empty());
    }
}

#[test]
fn what_bsdtar_writes_is_read() {
    let dir = tree();
    for (format, holes) in [("pax", true), ("gnutar", false)] {
        let args = ["--format", format, "-cf", "x.tar", "tree"];
        let Some(output) = judge("bsdtar", &args, dir.path()) else { return };
        text(&output);
        check_read(&args.join(" "), &fs::read(dir.path().join("x.tar")).unwrap(), holes);
    }
}

#[test]
fn what_python_writes_is_read() {
    let dir = tree();
    for format in ["PAX_FORMAT", "GNU_FORMAT"] {
        let code = format!(
            "import tarfile; t = tarfile.open('x.tar', 'w', format=tarfile.{format}); t.add('tree'); t.close()"
        );
        let Some(output) = judge("python3", &["-c", &code], dir.path()) else { return };
        text(&output);
        check_read(format, &fs::read(dir.path().join("x.tar")).unwrap(), false);
    }
}

#[test]
fn ustar_of_gnu_tar_and_python_is_read() {
    let dir = tree();
    fs::remove_file(dir.path().join("tree").join("n".repeat(150))).unwrap();
    let deep = format!("tree/{}", "d".repeat(90));
    fs::create_dir_all(dir.path().join(&deep)).unwrap();
    fs::write(dir.path().join(format!("{deep}/{}", "f".repeat(60))), b"deep").unwrap();
    for (program, args) in [
        ("tar", &["--format=ustar", "-cf", "x.tar", "tree"][..]),
        (
            "python3",
            &[
                "-c",
                "import tarfile; t = tarfile.open('x.tar', 'w', format=tarfile.USTAR_FORMAT); t.add('tree')",
            ],
        ),
    ] {
        let Some(output) = judge(program, args, dir.path()) else { return };
        text(&output);
        let found = read(&fs::read(dir.path().join("x.tar")).unwrap()).unwrap();
        let path = format!("{deep}/{}", "f".repeat(60)).into_bytes();
        assert_eq!(found.files.iter().filter(|file| file.path == path).count(), 1, "{program}");
    }
}

/// What Python's `tarfile` writes with the keys that go-winio's `backuptar` writes, in its order of entries.
const GO_WINIO: &str = r#"
import tarfile, io, base64
t = tarfile.open("x.tar", "w", format=tarfile.PAX_FORMAT)
def add(name, data=b"", kind=tarfile.REGTYPE, link="", mode=0o100000, **pax):
    i = tarfile.TarInfo(name); i.size = len(data); i.type = kind; i.linkname = link; i.mode = mode; i.mtime = 1000000000
    i.pax_headers = {k.replace("_", "."): v for k, v in pax.items()}
    t.addfile(i, io.BytesIO(data))
b = lambda d: base64.b64encode(d).decode()
sd = bytes([1, 0, 4, 128]) + bytes(16)
add("Files", kind=tarfile.DIRTYPE, mode=0o040000, **{"MSWINDOWS.fileattr": "16", "MSWINDOWS.rawsd": b(sd)})
add("Files/f", b"main", **{"MSWINDOWS.fileattr": "32", "MSWINDOWS.rawsd": b(sd), "MSWINDOWS.sd": "O:BAG:BA",
    "LIBARCHIVE.creationtime": "-1.5", "MSWINDOWS.xattr.B": b(b"2"), "MSWINDOWS.xattr.A": b(b"1"), "atime": "5.25"})
add("Files/f:Zone.Identifier", b"[ZoneTransfer]")
add("Files/f:second", b"s")
add("Files/f2", b"", **{"MSWINDOWS.fileattr": "128", "MSWINDOWS.sd": "O:BAG:BA"})
add("Files/f2:a/b", b"a file in a directory", **{"MSWINDOWS.fileattr": "32"})
add("Files/j", kind=tarfile.SYMTYPE, link="C:\\Target", mode=0o120000, **{"MSWINDOWS.fileattr": "1040", "MSWINDOWS.mountpoint": "1"})
add("Files/l", kind=tarfile.SYMTYPE, link="..\\f", mode=0o120000, **{"MSWINDOWS.fileattr": "1056"})
t.close()
"#;

#[test]
fn bs_73_what_go_winio_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(output) = judge("python3", &["-c", GO_WINIO], dir.path()) else { return };
    text(&output);
    let found = read(&fs::read(dir.path().join("x.tar")).unwrap()).unwrap();
    assert_eq!(found.remarks, []);
    let [folder, f, f2, inner, junction, link] = &found.files[..] else { panic!("{:?}", found.files) };
    let sd = [&[1, 0, 4, 128][..], &[0; 16]].concat();
    assert!(folder.info.attributes.is_directory());
    // rawsd wins over sd; the creation time may be negative; EAs come in any order; no mode of Linux.
    assert_eq!(f.small[0], (SmallKind::Security, sd));
    let eas = ntbak_wire::ea::parse_full(&f.small[1].1).unwrap().to_vec();
    assert_eq!(eas.len(), 2);
    assert!(eas.iter().any(|ea| ea.name[..] == *b"A" && ea.value[..] == *b"1"));
    assert_eq!(f.info.times.created, Some(FileTime::from_unix(-2, 500_000_000)));
    assert_eq!(f.info.times.accessed, Some(FileTime::from_unix(5, 250_000_000)));
    assert_eq!(f.info.times.written, Some(FileTime::from_unix(1_000_000_000, 0)));
    assert_eq!((f.info.unix_mode, f.owner), (None, None));
    let streams: Vec<_> = f.streams.iter().map(|s| s.head.name.as_ref().map(ToString::to_string)).collect();
    assert_eq!(streams, [None, Some("Zone.Identifier".into()), Some("second".into())]);
    // SDDL where there is nothing better; the creation time is then the write time.
    let sddl = ntbak_wire::security::sddl::parse_sddl("O:BAG:BA").unwrap();
    assert_eq!(f2.small, [(SmallKind::Security, sddl)]);
    assert_eq!(f2.info.times.created, f2.info.times.written);
    assert_eq!(inner.path, b"Files/f2:a/b");
    let target = Name::from(r"C:\Target");
    assert_eq!(junction.small[0].1, reparse::mount_point_from_print_name(&target).unwrap());
    assert!(junction.info.attributes.is_directory() && junction.streams.is_empty());
    assert_eq!(link.small[0].1, reparse::symlink_from_print_name(&r"..\f".into()).unwrap());
}
