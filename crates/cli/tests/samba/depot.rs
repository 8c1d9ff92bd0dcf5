//! Streams in a `streams_depot`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::common::Chance;
use crate::common::make::alternate;
use crate::common::run::{args, ntbak, ntbak_with};
use crate::server::{DEPOT, Server, need_samba};
use crate::source::{attribute, backup, cat, copy, info, streams};

/// The directory where the depot of the share has the streams of a file, by its device and inode.
fn depot_of(server: &Server, path: &Path) -> PathBuf {
    let metadata = fs::metadata(path).unwrap();
    let id = [metadata.dev().to_le_bytes(), metadata.ino().to_le_bytes()].concat();
    let id: String = id.iter().map(|byte| format!("{byte:02X}")).collect();
    let find = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let all = find(&server.path(DEPOT, ".streams")).iter().flat_map(|first| find(first)).collect::<Vec<_>>();
    let mut all = all.iter().flat_map(|second| find(second));
    all.find(|path| path.file_name().unwrap() == &*id).unwrap()
}

#[test]
fn streams_of_a_depot_are_read() {
    need_samba!();
    let server = Server::start();
    let large = Chance::new(3).bytes(3_000_000);
    server.smbclient(DEPOT, "mkdir leaf; mkdir dir; mkdir dir\\deep");
    for name in ["f", "dir\\deep\\g", "leaf"] {
        if name != "leaf" {
            server.put(DEPOT, name, b"content");
        }
        server.put(DEPOT, &format!("{name}:large one"), &large);
        server.put(DEPOT, &format!("{name}:K\u{e4}se \u{1F9C0}"), b"not ascii");
        server.put(DEPOT, &format!("{name}:empty"), b"");
        server.put(DEPOT, &format!("{name}:Zone.Identifier"), b"3");
        let path = server.path(DEPOT, name.replace('\\', "/"));
        assert_eq!(attribute(&path, "user.SAMBA_STREAMS").unwrap(), b"1");
        assert!(depot_of(&server, &path).join(":large one:$DATA").is_file());
        let expected =
            [("K\u{e4}se \u{1F9C0}", 9), ("Zone.Identifier", 1), ("empty", 0), ("large one", 3_000_000)];
        assert_eq!(streams(&path), expected.map(|(name, size)| (name.to_owned(), size)), "{name}");
        assert!(cat(&path, "large one") == large);
        assert_eq!(cat(&path, "K\u{e4}se \u{1F9C0}"), b"not ascii");
        assert_eq!(cat(&path, "ZONE.identifier"), b"3");
        // Whole in a copy, which has them in its own way.
        let to = server.beside("copy");
        copy(&path, &to);
        assert!(backup(&to) == backup(&path), "{name}");
        assert!(attribute(&to, "user.SAMBA_STREAMS").is_none());
        if name == "leaf" { fs::remove_dir_all(&to).unwrap() } else { fs::remove_file(&to).unwrap() }
    }
    // Deleted by Samba, all of them.
    for stream in ["large one", "K\u{e4}se \u{1F9C0}", "empty", "Zone.Identifier"] {
        server.unlink(DEPOT, &format!("f:{stream}"));
    }
    assert_eq!(streams(&server.path(DEPOT, "f")), []);
}

#[test]
fn holes_in_a_depot_are_holes() {
    need_samba!();
    let server = Server::start();
    server.put(DEPOT, "f", b"x");
    server.put(DEPOT, "f:s", b"begin");
    let path = server.path(DEPOT, "f");
    let file = fs::File::options().write(true).open(depot_of(&server, &path).join(":s:$DATA")).unwrap();
    file.set_len(1 << 30).unwrap();
    assert_eq!(info(&path)["streams"][1]["sparse"], true);
    assert!(backup(&path).len() < 1 << 20);
}

#[test]
fn a_depot_that_is_not_there_is_a_loss() {
    need_samba!();
    let server = Server::start();
    server.put(DEPOT, "f", b"x");
    server.put(DEPOT, "f:s", b"lost");
    let path = server.path(DEPOT, "f");
    let depot = server.path(DEPOT, ".streams");
    let told = |what: &str| {
        let ran = ntbak(args!["stream", "read", &path]).expect(3).lost_only(&["stream"]);
        assert!(ran.stderr.contains(what), "{}", ran.stderr);
    };
    // Of somebody who is neither root nor the owner of anything here.
    std::os::unix::fs::chown(&depot, Some(1234), None).unwrap();
    told("another user");
    std::os::unix::fs::chown(&depot, Some(0), None).unwrap();
    assert_eq!(cat(&path, "s"), b"lost");
    fs::rename(&depot, server.beside("elsewhere")).unwrap();
    told("streams_depot");
    // Nor is another kind of file in its place.
    std::os::unix::fs::symlink(server.beside("elsewhere"), &depot).unwrap();
    told("streams_depot");
    fs::remove_file(&depot).unwrap();
    fs::rename(server.beside("elsewhere"), &depot).unwrap();
    // What is in a depot and is no stream.
    let streams = depot_of(&server, &path);
    fs::write(streams.join("no stream"), b"x").unwrap();
    told("no stream");
    fs::remove_file(streams.join("no stream")).unwrap();
    fs::create_dir(streams.join(":d:$DATA")).unwrap();
    told("regular file");
    fs::remove_dir(streams.join(":d:$DATA")).unwrap();
    // Without the mark they are another file's, that had the same inode.
    rustix::fs::removexattr(&path, "user.SAMBA_STREAMS").unwrap();
    assert_eq!(crate::source::streams(&path), []);
}

/// What is written in place is not hidden by what Samba had.
#[test]
fn a_stream_that_is_written_takes_the_place_of_that_in_the_depot() {
    need_samba!();
    let server = Server::start();
    server.put(DEPOT, "f", b"x");
    for stream in ["small", "large", "stays"] {
        server.put(DEPOT, &format!("f:{stream}"), b"of Samba");
    }
    let path = server.path(DEPOT, "f");
    let large = Chance::new(4).bytes(500_000);
    let written = [alternate("SMALL", b"of ntbak"), alternate("large", &large)].concat();
    ntbak_with(&written, args!["stream", "write", &path]).expect(0).lost_only(&[]);
    assert_eq!(cat(&path, "small"), b"of ntbak");
    assert!(cat(&path, "large") == large);
    assert_eq!(cat(&path, "stays"), b"of Samba");
    assert_eq!(streams(&path).len(), 3);
    assert_eq!(server.get(DEPOT, "f:stays"), b"of Samba");
    // And the reverse; the one in the attribute is told of.
    server.put(DEPOT, "f:small", b"of Samba again");
    let ran = ntbak(args!["stream", "read", &path]).expect(3).lost_only(&["stream"]);
    assert!(ran.stderr.contains("attribute"), "{}", ran.stderr);
    let ran = ntbak(args!["cat", format!("{}:small", path.display())]);
    assert_eq!(ran.stdout, b"of Samba again");
}
