//! Files that an ordinary user has restored, in a share with `acl_xattr:security_acl_name = user.NTACL`.

use std::fs;
use std::path::Path;
use std::process::Command;

use ntbak_wire::security::sddl::parse_sddl;

use crate::common::run::{args, ntbak};
use crate::server::{Server, USER_ACL, need_samba, to_sddl};
use crate::source::{CREATED_SHOWN, SDDL, SMALL, attribute, directory, file, info, store};

/// Runs `ntbak copy` as a user who is nobody.
#[track_caller]
fn copy_as_nobody(server: &Server, from: &Path, to: &Path) {
    // The target directory of the build may be out of reach for nobody.
    let binary = server.beside("ntbak");
    if !binary.exists() {
        assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_ntbak")).arg(&binary).status().unwrap().success());
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary).arg("copy");
    let out = command.arg(from).arg(to).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// A server with a file and a directory in the share, restored by nobody.
fn restored() -> Server {
    let server = Server::start();
    let share = server.path(USER_ACL, "");
    // Whose directory it is, is believed also when Samba gives the files to somebody else.
    std::os::unix::fs::chown(&share, Some(65_534), Some(65_534)).unwrap();
    let home = server.beside("home");
    fs::create_dir(&home).unwrap();
    store(&file(), &home.join("f"));
    store(&directory(), &home.join("d"));
    // As their own files, side files too.
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(&home).status().unwrap().success());
    for name in ["f", "d"] {
        copy_as_nobody(&server, &home.join(name), &share.join(name));
    }
    server
}

#[test]
fn what_an_ordinary_user_restored_is_whole_through_samba() {
    need_samba!();
    let server = restored();
    for name in ["f", "d"] {
        let path = server.path(USER_ACL, name);
        assert!(attribute(&path, "security.NTACL").is_none(), "only root may write that");
        assert!(attribute(&path, "user.NTACL").is_some());
        assert_eq!(server.sddl(USER_ACL, name), to_sddl(&parse_sddl(SDDL).unwrap()));
        let shown = server.info(USER_ACL, name);
        assert_eq!(shown.created, CREATED_SHOWN);
        for (stream, content) in SMALL {
            assert_eq!(server.get(USER_ACL, &format!("{name}:{stream}")), content, "{stream}");
        }
        assert_eq!(server.eas(USER_ACL, name).len(), 2);
        assert_eq!(info(&path)["sddl"], server.sddl(USER_ACL, name));
    }
    assert_eq!(server.info(USER_ACL, "f").attributes, 0x27);
}

#[test]
fn what_samba_changes_there_is_read() {
    need_samba!();
    let server = restored();
    server.smbclient(USER_ACL, "setmode f -r");
    for name in ["f", "d"] {
        server.smbcacls(USER_ACL, name, &["-a", "ACL:S-1-5-21-11-22-33-1003:ALLOWED/0x0/READ"]);
        let path = server.path(USER_ACL, name);
        assert_eq!(attribute(&path, "user.NTACL").unwrap()[0], 4);
        let found = info(&path)["sddl"].as_str().unwrap().to_owned();
        assert_eq!(found, server.sddl(USER_ACL, name));
        assert!(found.contains("S-1-5-21-11-22-33-1003"), "{found}");
    }
}

/// What root restores has its descriptor where smbd usually looks; Samba's own is then a second one.
#[test]
fn two_descriptors_are_told() {
    need_samba!();
    let server = Server::start();
    let (from, path) = (server.beside("source"), server.path(USER_ACL, "f"));
    store(&file(), &from);
    ntbak(args!["copy", &from, &path]).expect(0);
    assert!(attribute(&path, "security.NTACL").is_some());
    server.smbclient(USER_ACL, "setmode f -r");
    server.smbcacls(USER_ACL, "f", &["-a", "ACL:S-1-5-21-11-22-33-1003:ALLOWED/0x0/READ"]);
    assert!(attribute(&path, "user.NTACL").is_some());
    let ran = ntbak(args!["copy", &path, &server.beside("copy")]).expect(3).lost_only(&["security"]);
    assert!(ran.stderr.contains("user.NTACL"), "{}", ran.stderr);
}
