//! What Samba's clients have written, as `ntbak` reads it.

use std::fs;

use crate::common::run::{args, ntbak, ntbak_with};
use crate::server::{PLAIN, Server, UNTYPED, need_samba};
use crate::source::{CREATED_SHOWN, attribute, backup, cat, eas, info, streams};

const CREATED: &str = "2001-02-03T04:05:06";
const ACL: &str = "O:S-1-5-21-11-22-33-1001G:S-1-5-21-11-22-33-513D:PAI\
    (D;;0x1f01ff;;;S-1-5-21-11-22-33-1002)(A;;0x1f01ff;;;WD)";

/// Gives `name` all that smbclient and smbcacls can give, but content.
fn give_facts(server: &Server, name: &str) {
    for (stream, content) in [
        ("Zone.Identifier", &b"[ZoneTransfer]\r\nZoneId=3\r\n"[..]),
        ("with spaces and dots.", b"x"),
        ("K\u{e4}se \u{1F9C0}", b"not ascii"),
        ("empty", b""),
        ("three thousand", &[0; 3000]),
    ] {
        server.put(PLAIN, &format!("{name}:{stream}"), content);
    }
    server.smbclient(PLAIN, &format!("setea {name} COMMENT \"by Samba\"; setea {name} Mixed x"));
    server.smbcacls(PLAIN, name, &["--sddl", "-S", ACL]);
    server.smbclient(PLAIN, &format!("setmode {name} +rhs"));
    server.smbclient(PLAIN, &format!("utimes {name} 2001:02:03-04:05:06 -1 -1 -1"));
}

#[track_caller]
fn assert_facts(server: &Server, path: &std::path::Path, name: &str) {
    let found = info(path);
    assert!(found["created"].as_str().unwrap().starts_with(CREATED), "{found}");
    assert_eq!(found["sddl"].as_str().unwrap(), server.sddl(PLAIN, name));
    assert!(
        found["sddl"].as_str().unwrap().starts_with("O:S-1-5-21-11-22-33-1001G:S-1-5-21-11-22-33-513D:P")
    );
    let seen: Vec<_> = [
        ("K\u{e4}se \u{1F9C0}", 9),
        ("Zone.Identifier", 26),
        ("empty", 0),
        ("three thousand", 3000),
        ("with spaces and dots.", 1),
    ]
    .map(|(name, size)| (name.to_owned(), size))
    .into();
    assert_eq!(streams(path), seen);
    assert_eq!(cat(path, "Zone.Identifier"), b"[ZoneTransfer]\r\nZoneId=3\r\n");
    assert_eq!(cat(path, "K\u{e4}se \u{1F9C0}"), b"not ascii");
    assert_eq!(cat(path, "three thousand"), [0; 3000]);
    let list = [("COMMENT", "by Samba"), ("Mixed", "x")];
    let list = list.map(|(name, value)| (name.to_owned(), 0, value.as_bytes().to_vec()));
    assert_eq!(eas(path), list);
}

#[test]
fn bs_66_bs_67_bs_68_a_file_of_samba_is_read_whole() {
    need_samba!();
    let server = Server::start();
    server.put(PLAIN, "f", b"content");
    give_facts(&server, "f");
    let path = server.path(PLAIN, "f");
    // What smbd of today writes: a version 4 with hashes, a version 5.
    assert_eq!(attribute(&path, "security.NTACL").unwrap()[..4], [4, 0, 4, 0]);
    assert_eq!(attribute(&path, "user.DOSATTRIB").unwrap()[2..8], [5, 0, 5, 0, 0, 0][..]);
    assert_eq!(attribute(&path, "user.DosStream.empty:$DATA").unwrap(), [0]);
    assert_facts(&server, &path, "f");
    assert_eq!(info(&path)["attributes"], 0x27);
    assert_eq!(server.info(PLAIN, "f").attributes, 0x27);
    assert_eq!(server.info(PLAIN, "f").created, CREATED_SHOWN);
    assert_eq!(fs::read(&path).unwrap(), b"content");

    // A copy is the same, here and beside the share; in the share Samba sees it so.
    for to in [server.path(PLAIN, "copy"), server.beside("copy")] {
        let ran = ntbak(args!["copy", &path, &to]).expect(0).lost_only(&[]);
        let notes = ran.report.iter().filter(|line| line["type"] == "note");
        let notes: Vec<_> = notes.map(|line| line["what"].as_str().unwrap()).collect();
        assert!(notes.iter().any(|note| note.contains("POSIX ACL")), "{notes:?}");
        assert_facts(&server, &to, "f");
        assert_eq!(info(&to)["attributes"], 0x27);
        assert!(backup(&to) == backup(&path));
    }
    assert_eq!(server.info(PLAIN, "copy"), server.info(PLAIN, "f"));
    assert_eq!(server.sddl(PLAIN, "copy"), server.sddl(PLAIN, "f"));
    assert_eq!(server.eas(PLAIN, "copy"), server.eas(PLAIN, "f"));

    // The backup stream has all but attributes and creation time, for which it has no place.
    let to = server.path(PLAIN, "restored");
    ntbak_with(&backup(&path), args!["stream", "write", &to]).expect(0).lost_only(&[]);
    assert!(backup(&to) == backup(&path));
    assert_eq!(server.info(PLAIN, "restored").streams, server.info(PLAIN, "f").streams);
    assert_eq!(server.sddl(PLAIN, "restored"), server.sddl(PLAIN, "f"));
}

#[test]
fn a_directory_of_samba_is_read_whole() {
    need_samba!();
    let server = Server::start();
    server.smbclient(PLAIN, "mkdir d");
    give_facts(&server, "d");
    let path = server.path(PLAIN, "d");
    assert_facts(&server, &path, "d");
    assert_eq!(info(&path)["attributes"], server.info(PLAIN, "d").attributes);
    ntbak(args!["copy", &path, &server.path(PLAIN, "copy")]).expect(0).lost_only(&[]);
    assert_facts(&server, &server.path(PLAIN, "copy"), "d");
    assert_eq!(server.info(PLAIN, "copy"), server.info(PLAIN, "d"));
    assert_eq!(server.sddl(PLAIN, "copy"), server.sddl(PLAIN, "d"));
}

/// Entry by entry, as an administrator works.
#[test]
fn every_step_of_smbcacls_is_read() {
    need_samba!();
    let server = Server::start();
    server.put(PLAIN, "f", b"x");
    let path = server.path(PLAIN, "f");
    let entry = "ACL:S-1-5-21-11-22-33-1002:DENIED/0x0/READ";
    let other = "ACL:S-1-5-21-11-22-33-1003:ALLOWED/0x0/FULL";
    let steps: [&[&str]; 6] = [
        &["-a", entry],
        &["-a", other],
        &["-M", "ACL:S-1-5-21-11-22-33-1003:ALLOWED/0x0/0x00120089"],
        &["-D", entry],
        &["-C", "S-1-5-21-11-22-33-1003"],
        &["-I", "remove"],
    ];
    let mut before = String::new();
    for arguments in steps {
        server.smbcacls(PLAIN, "f", arguments);
        let now = info(&path)["sddl"].as_str().unwrap().to_owned();
        assert_eq!(now, server.sddl(PLAIN, "f"), "{arguments:?}");
        assert_ne!(now, before, "{arguments:?} changed nothing");
        before = now;
    }
}

/// smbd clears SACL_PRESENT when a client changes the DACL alone, and keeps the SACL.
#[test]
fn bs_66_a_sacl_survives_a_change_of_the_dacl() {
    need_samba!();
    let server = Server::start();
    server.put(PLAIN, "f", b"x");
    let path = server.path(PLAIN, "f");
    server.set_sddl(PLAIN, "f", &format!("{ACL}S:(AU;SAFA;0x1f01ff;;;WD)"));
    let sddl = || info(&path)["sddl"].as_str().unwrap().to_owned();
    assert!(sddl().ends_with("S:(AU;SAFA;FA;;;WD)"), "{}", sddl());
    assert_eq!(sddl(), server.sddl(PLAIN, "f"));
    server.smbcacls(PLAIN, "f", &["-a", "ACL:S-1-5-21-11-22-33-1003:ALLOWED/0x0/READ"]);
    assert!(sddl().contains("33-1003)S:(AU;SAFA;FA;;;WD)"), "{}", sddl());
    assert_eq!(sddl(), server.sddl(PLAIN, "f"));
}

/// `streams_xattr:store_stream_type = no`.
#[test]
fn bs_68_streams_without_their_type_are_read() {
    need_samba!();
    let server = Server::start();
    server.put(UNTYPED, "f", b"x");
    server.put(UNTYPED, "f:a stream", b"content");
    let path = server.path(UNTYPED, "f");
    assert!(attribute(&path, "user.DosStream.a stream").is_some());
    assert_eq!(streams(&path), [("a stream".to_owned(), 7)]);
    assert_eq!(cat(&path, "a stream"), b"content");
}

/// Nothing of it stays behind in a copy, and the file on which Samba works is as it was.
#[test]
fn reading_changes_nothing() {
    need_samba!();
    let server = Server::start();
    server.put(PLAIN, "f", b"content");
    give_facts(&server, "f");
    let path = server.path(PLAIN, "f");
    let state = || {
        let mut names = vec![0; 65_536];
        let len = rustix::fs::listxattr(&path, &mut names[..]).unwrap();
        names.truncate(len);
        let names: Vec<_> = names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
        let values = names.iter().map(|name| attribute(&path, std::str::from_utf8(name).unwrap()).unwrap());
        (values.collect::<Vec<_>>(), fs::metadata(&path).unwrap().modified().unwrap())
    };
    let before = state();
    backup(&path);
    info(&path);
    ntbak(args!["copy", &path, &server.beside("copy")]).expect(0);
    assert_eq!(state(), before);
}
