//! Files that `ntbak` has restored and Samba has changed since: what Samba says wins over the side file.

use std::path::PathBuf;

use crate::server::{PLAIN, Server, need_samba};
use crate::source::{LARGE, SMALL, cat, copy, eas, file, info, large, store, streams};

/// A server with a restored file, which Samba may write to.
fn restored() -> (Server, PathBuf) {
    let server = Server::start();
    let mut file = file();
    file.info.attributes.remove(ntbak_wire::FileAttributes::READONLY);
    // Nobody but the audited one is kept out.
    file.security = Some(ntbak_wire::security::sddl::parse_sddl("O:BAG:BAD:P(A;;FA;;;WD)").unwrap());
    let from = server.beside("source");
    store(&file, &from);
    let path = server.path(PLAIN, "f");
    copy(&from, &path);
    (server, path)
}

#[test]
fn streams_that_samba_changed() {
    need_samba!();
    let (server, path) = restored();
    let before = streams(&path);
    assert_eq!(before.len(), SMALL.len() + 1);
    // Nobody overwrites streams of a hidden file without saying that it is one.
    server.smbclient(PLAIN, "setmode f -hs");
    server.put(PLAIN, "f:one byte", b"longer than it was");
    assert_eq!(cat(&path, "one byte"), b"longer than it was");
    server.put(PLAIN, "f:two hundred", b"");
    assert_eq!(cat(&path, "two hundred"), b"");
    // In another case it is the same stream.
    server.put(PLAIN, "f:ZONE.identifier", b"3");
    assert_eq!(cat(&path, "Zone.Identifier"), b"3");
    assert_eq!(streams(&path).len(), before.len());
    server.unlink(PLAIN, "f:one byte");
    server.smbclient(PLAIN, "rename f:empty :renamed");
    server.put(PLAIN, "f:new", b"new");
    let names: Vec<_> = streams(&path).into_iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name == "one byte" || name == "empty"), "{names:?}");
    for name in ["renamed", "new", LARGE, "two hundred"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    // The one in the side file, which Samba does not see, gets a smaller one of its name.
    assert_eq!(cat(&path, LARGE), large());
    server.put(PLAIN, &format!("f:{LARGE}"), b"small now");
    assert_eq!(cat(&path, LARGE), b"small now");
    // What is read is what a copy has, and what Samba says of that.
    let to = server.path(PLAIN, "copy");
    copy(&path, &to);
    assert_eq!(streams(&to), streams(&path));
    assert_eq!(server.info(PLAIN, "copy").streams, server.info(PLAIN, "f").streams);
    assert_eq!(server.get(PLAIN, &format!("copy:{LARGE}")), b"small now");
}

#[test]
fn bs_67_attributes_and_creation_time_that_samba_changed() {
    need_samba!();
    let (server, path) = restored();
    assert_eq!(info(&path)["attributes"], 0x2026);
    server.smbclient(PLAIN, "setmode f -hs+r");
    // NOT_CONTENT_INDEXED is one that Samba does not know, so that it has not changed it.
    assert_eq!(info(&path)["attributes"], 0x2021);
    assert!(info(&path)["created"].as_str().unwrap().contains(".2345678Z"));
    server.smbclient(PLAIN, "setmode f -r; utimes f 2011:12:13-14:15:16 -1 -1 -1");
    assert_eq!(info(&path)["created"], "2011-12-13T14:15:16.0000000Z");
    assert_eq!(server.info(PLAIN, "f").created, "Tue Dec 13 14:15:16 2011 UTC");
    let to = server.path(PLAIN, "copy");
    copy(&path, &to);
    assert_eq!(info(&to)["created"], info(&path)["created"]);
    assert_eq!(info(&to)["attributes"], 0x2020);
}

#[test]
fn descriptors_that_samba_changed() {
    need_samba!();
    let (server, path) = restored();
    let before = info(&path)["sddl"].as_str().unwrap().to_owned();
    server.smbcacls(PLAIN, "f", &["-a", "ACL:S-1-5-21-11-22-33-1002:DENIED/0x0/FULL"]);
    let now = info(&path)["sddl"].as_str().unwrap().to_owned();
    assert_ne!(now, before);
    assert_eq!(now, server.sddl(PLAIN, "f"));
    assert!(now.contains("(D;;FA;;;S-1-5-21-11-22-33-1002)"), "{now}");
    let to = server.path(PLAIN, "copy");
    copy(&path, &to);
    assert_eq!(server.sddl(PLAIN, "copy"), now);
}

#[test]
fn eas_that_samba_changed() {
    need_samba!();
    let (server, path) = restored();
    let ea = |name: &str, flags, value: &[u8]| (name.to_owned(), flags, value.to_vec());
    assert_eq!(eas(&path), [ea("PLAIN", 0, b"value"), ea("NEEDED", 0x80, &[7; 40])]);
    server.smbclient(PLAIN, "setea f PLAIN changed; setea f ANOTHER added");
    assert_eq!(
        eas(&path),
        [ea("PLAIN", 0, b"changed"), ea("NEEDED", 0x80, &[7; 40]), ea("ANOTHER", 0, b"added")]
    );
    server.smbclient(PLAIN, "setea f NEEDED \"\"");
    assert_eq!(eas(&path), [ea("PLAIN", 0, b"changed"), ea("ANOTHER", 0, b"added")]);
    server.smbclient(PLAIN, "setea f PLAIN \"\"; setea f ANOTHER \"\"");
    assert_eq!(eas(&path), []);
}

#[test]
fn content_that_samba_changed() {
    need_samba!();
    let (server, path) = restored();
    // Nobody overwrites a hidden file without saying that it is one.
    server.smbclient(PLAIN, "setmode f -hs");
    server.put(PLAIN, "f", b"quite another content");
    assert_eq!(std::fs::read(&path).unwrap(), b"quite another content");
    assert_eq!(info(&path)["streams"][0]["size"], 21);
    // A write is no reason to forget what else there is.
    assert_eq!(cat(&path, LARGE), large());
    let to = server.path(PLAIN, "copy");
    copy(&path, &to);
    assert_eq!(server.get(PLAIN, "copy"), b"quite another content");
}
