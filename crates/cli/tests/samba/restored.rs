//! What `ntbak copy` has put into a share, as Samba shows it.

use std::collections::BTreeMap;
use std::fs;

use ntbak::memory::MemoryFile;
use ntbak_wire::security::sddl::parse_sddl;

use crate::common::make::{self, set, stream};
use crate::common::mount::Volume;
use crate::common::run::{args, ntbak};
use crate::common::{Chance, need_volumes};
use crate::server::{PLAIN, Server, need_samba, to_sddl};
use crate::source::{
    CREATED_SHOWN, LARGE, SDDL, SMALL, attribute, backup, cat, copy, directory, file, info, large,
    side_files, store, stream_name, streams,
};

/// The sizes that Samba should show.
fn shown(unnamed: Option<u64>) -> BTreeMap<String, u64> {
    let named = SMALL.iter().map(|(name, content)| ((*name).to_owned(), content.len() as u64));
    named.chain(unnamed.map(|size| (String::new(), size))).collect()
}

/// Streams, EAs and descriptor, as Samba gives them.
#[track_caller]
fn assert_facts(server: &Server, name: &str) {
    for (stream, content) in SMALL {
        assert_eq!(server.get(PLAIN, &format!("{name}:{stream}")), content, "{stream}");
    }
    let eas = [("NEEDED".to_owned(), vec![7; 40]), ("PLAIN".to_owned(), b"value".to_vec())];
    assert_eq!(server.eas(PLAIN, name), BTreeMap::from(eas));
    assert_eq!(server.sddl(PLAIN, name), to_sddl(&parse_sddl(SDDL).unwrap()));
    let acl = server.smbcacls(PLAIN, name, &["--numeric", "--query-security-info=15"]);
    let lines: Vec<_> = acl.lines().collect();
    for expected in [
        // SELF_RELATIVE, DACL protected, SACL and DACL auto-inherited and present.
        "CONTROL:0x9c14",
        "OWNER:S-1-5-21-11-22-33-1001",
        "GROUP:S-1-5-21-11-22-33-513",
        "ACL:S-1-5-21-11-22-33-1002:1/0x0/0x001f01ff",
        "ACL:S-1-5-18:0/0x0/0x001f01ff",
        "ACL:S-1-1-0:0/0x3/0x001200a9",
    ] {
        assert!(lines.contains(&expected), "{expected} expected in {acl}");
    }
}

#[test]
fn a_file_is_whole_through_samba() {
    need_samba!();
    let server = Server::start();
    let (from, to) = (server.beside("source"), server.path(PLAIN, "f"));
    store(&file(), &from);
    copy(&from, &to);
    let shown_info = server.info(PLAIN, "f");
    // Samba knows no others of them than these, and keeps those that it does not know.
    assert_eq!(shown_info.attributes, 0x27);
    assert_eq!(shown_info.created, CREATED_SHOWN);
    assert_eq!(shown_info.streams, shown(Some(7)));
    assert_eq!(server.get(PLAIN, "f"), b"content");
    assert_facts(&server, "f");
    // The large one is in the side file, where Samba does not look.
    assert!(
        server.try_smbclient(PLAIN, &format!("get f:{LARGE} /dev/null")).contains("OBJECT_NAME_NOT_FOUND")
    );
    assert_eq!(cat(&to, LARGE), large());
    assert!(backup(&to) == backup(&from));
    let (mut here, mut there) = (info(&from), info(&to));
    for info in [&mut here, &mut there] {
        info.as_object_mut().unwrap().remove("path");
    }
    assert_eq!(there, here);
}

#[test]
fn a_directory_is_whole_through_samba() {
    need_samba!();
    let server = Server::start();
    let (from, to) = (server.beside("source"), server.path(PLAIN, "d"));
    store(&directory(), &from);
    copy(&from, &to);
    let shown_info = server.info(PLAIN, "d");
    assert_eq!(shown_info.attributes, 0x12);
    assert_eq!(shown_info.created, CREATED_SHOWN);
    assert_eq!(shown_info.streams, shown(None));
    assert_facts(&server, "d");
    assert!(backup(&to) == backup(&from));
}

/// Each stream is either shown by Samba as it is, or in the side file; ntbak reads both.
#[test]
fn streams_of_any_size_are_in_one_of_two_places() {
    need_samba!();
    let server = Server::start();
    let mut chance = Chance::new(5);
    let sizes = [0, 1, 255, 1000, 3000, 3990, 4060, 4096, 16_000, 65_534, 65_535, 65_536, 65_537, 300_000];
    for size in sizes {
        let name = format!("f{size}");
        let content = chance.bytes(size);
        let (from, to) = (server.beside(&name), server.path(PLAIN, &name));
        store(&MemoryFile::file().with_stream(stream_name("s"), &content), &from);
        copy(&from, &to);
        let in_attribute = attribute(&to, "user.DosStream.s:$DATA").is_some();
        assert!(in_attribute || size > 1000, "{size}: any file system takes this");
        assert!(!in_attribute || size <= 65_535, "{size}: no attribute is so large");
        let seen = server.info(PLAIN, &name).streams.get("s").copied();
        assert_eq!(seen, in_attribute.then_some(size as u64));
        if in_attribute {
            assert!(server.get(PLAIN, &format!("{name}:s")) == content, "{size}");
        }
        assert!(cat(&to, "s") == content, "{size}");
    }
}

#[test]
fn more_streams_than_attributes_hold_are_all_there() {
    need_samba!();
    let server = Server::start();
    let mut chance = Chance::new(6);
    let contents: Vec<_> = (0..60).map(|number| (format!("stream {number}"), chance.bytes(900))).collect();
    let whole = contents
        .iter()
        .fold(MemoryFile::file(), |file, (name, content)| file.with_stream(stream_name(name), content));
    let (from, to) = (server.beside("source"), server.path(PLAIN, "f"));
    store(&whole, &from);
    copy(&from, &to);
    let seen = server.info(PLAIN, "f").streams;
    for (name, content) in &contents {
        assert!(cat(&to, name) == *content, "{name}");
        if seen.contains_key(name) {
            assert!(server.get(PLAIN, &format!("f:{name}")) == *content, "{name}");
        }
    }
    assert!(seen.len() > 1, "some are in attributes");
    assert_eq!(streams(&to).len(), 60);
    assert!(seen.len() == 61 || side_files(&server.path(PLAIN, "")) == 1);
}

/// From a file that NTFS has, not one that was made up.
#[test]
fn a_file_of_an_ntfs_volume_is_whole_through_samba() {
    need_samba!();
    need_volumes!();
    let (server, volume) = (Server::start(), Volume::new(64));
    let from = volume.path("f");
    fs::write(&from, "content").unwrap();
    fs::write(stream(&from, "a stream"), "on NTFS").unwrap();
    set(&from, make::EA, &make::ea_on_disk(&[("COLOUR", b"green", 0)]));
    set(&from, make::ACL, &make::plain_descriptor(1234));
    make::attributes(&from, 0x26);
    make::times(&from, 126_256_467_062_345_678, 126_256_467_077_890_123, 126_256_467_087_890_123);
    let to = server.path(PLAIN, "f");
    ntbak(args!["copy", &from, &to]).expect(0).lost_only(&[]);
    let shown_info = server.info(PLAIN, "f");
    assert_eq!((shown_info.attributes, &*shown_info.created), (0x26, CREATED_SHOWN));
    assert_eq!(shown_info.streams, BTreeMap::from([(String::new(), 7), ("a stream".to_owned(), 7)]));
    assert_eq!(server.get(PLAIN, "f:a stream"), b"on NTFS");
    assert_eq!(server.eas(PLAIN, "f"), BTreeMap::from([("COLOUR".to_owned(), b"green".to_vec())]));
    assert_eq!(server.sddl(PLAIN, "f"), to_sddl(&make::get(&from, make::ACL).unwrap()));
}
