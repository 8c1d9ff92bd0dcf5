//! Encrypted files on real `efs_raw` volumes: `ntfsdecrypt` reads what ntbak has encrypted, and ntbak what it has.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::judge;
use crate::common::make::{self, set, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, ntbak, ntbak_from, ntbak_with};
use crate::common::{Chance, need_volumes, output};

/// Sizes at the edges of sectors and segments.
const SIZES: [usize; 10] = [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 70_000, 5 << 20];

/// A key pair, its certificate, and both in a PFX with this password.
pub(crate) struct Key {
    dir: TempDir,
}

pub(crate) const PASSWORD: &str = "geheim-ö";

impl Key {
    /// ntfsdecrypt 2022.10.3 cuts the last character off a usage: so there is one more, which is right once cut.
    pub(crate) fn new(name: &str) -> Self {
        let dir = TempDir::with_prefix("ntbak-key-").unwrap();
        let key = Self { dir };
        let usage = "extendedKeyUsage=1.3.6.1.4.1.311.10.3.4,1.3.6.1.4.1.311.10.3.40";
        let subject = format!("/CN={name}");
        let (private, certificate, pfx) = (key.path("key"), key.path("cert"), key.path("pfx"));
        output(
            "openssl",
            args![
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                &private,
                "-out",
                &certificate,
                "-days",
                "2",
                "-subj",
                &subject,
                "-addext",
                usage
            ],
        );
        output(
            "openssl",
            args![
                "pkcs12",
                "-export",
                "-legacy",
                "-inkey",
                &private,
                "-in",
                &certificate,
                "-out",
                &pfx,
                "-passout",
                format!("pass:{PASSWORD}")
            ],
        );
        fs::write(key.path("password"), format!("{PASSWORD}\n")).unwrap();
        key
    }

    pub(crate) fn path(&self, what: &str) -> PathBuf {
        self.dir.path().join(what)
    }
}

/// Runs ntfsdecrypt on a file of an unmounted volume; with `input`, encrypts that into it.
fn ntfsdecrypt(volume: &Volume, key: &Key, path: &str, input: Option<&[u8]>) -> Vec<u8> {
    assert!(!volume.is_mounted());
    let mut command = Command::new("ntfsdecrypt");
    if input.is_some() {
        command.arg("-e");
    }
    command.args(args!["-q", "-k", &key.path("pfx"), &volume.image(), path]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    stdin.write_all(input.unwrap_or_default()).unwrap();
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "ntfsdecrypt {path}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

pub(crate) fn content(size: usize) -> Vec<u8> {
    Chance::new(size as u64 + 1).bytes(size)
}

pub(crate) fn decrypt(key: &Key, path: &Path, stream: Option<&str>) -> Vec<u8> {
    let mut arguments =
        args!["efs", "decrypt", path, "--key", &key.path("pfx"), "--password-file", &key.path("password")]
            .to_vec();
    if let Some(stream) = stream {
        arguments.extend(args!["--stream", stream]);
    }
    ntbak(arguments).expect(0).stdout
}

/// Makes the encrypted file `name` of a plain one beside the volume.
pub(crate) fn encrypt(volume: &Volume, key: &Key, name: &str, plain: &[u8]) {
    let file = volume.beside("plain");
    fs::write(&file, plain).unwrap();
    let to = volume.path(name);
    let lost = ["change-time"];
    let ran = ntbak(args!["efs", "encrypt", &file, "--for", &key.path("cert"), "-o", &to]).expect(3);
    ran.lost_only(&lost);
}

#[test]
fn ntfsdecrypt_reads_what_ntbak_encrypts_and_the_reverse() {
    need_volumes!();
    let key = Key::new("alice");
    let mut a = Volume::new(128);
    for size in SIZES {
        encrypt(&a, &key, &format!("f{size}"), &content(size));
    }
    a.unmount();
    for size in SIZES.into_iter().filter(|size| *size > 0) {
        let found = ntfsdecrypt(&a, &key, &format!("/f{size}"), None);
        assert!(found == content(size), "{size}: {} bytes", found.len());
    }
    // Other content by ntfsdecrypt, under the same key.
    for size in [1, 513, 65_536, 70_000] {
        ntfsdecrypt(&a, &key, &format!("/f{size}"), Some(&content(size / 2 + 3)));
    }
    a.mount(WINDOWS);
    for size in SIZES {
        let expected = if [1, 513, 65_536, 70_000].contains(&size) { size / 2 + 3 } else { size };
        let found = decrypt(&key, &a.path(format!("f{size}")), None);
        assert!(found == content(expected), "{size}: {} bytes", found.len());
    }
}

#[test]
fn efs_29_an_export_is_the_same_behind_every_place() {
    need_volumes!();
    let key = Key::new("alice");
    let (a, mut b) = (Volume::new(128), Volume::new(128));
    let dir = a.beside("directory");
    fs::create_dir(&dir).unwrap();
    for size in SIZES {
        let (name, raw) = (format!("f{size}"), a.beside("raw"));
        encrypt(&a, &key, &name, &content(size));
        ntbak(args!["efs", "export", &a.path(&name), "-o", &raw]).expect(0);
        // Imported, and copied without a key: volume, directory, volume.
        ntbak_from(&raw, args!["efs", "import", &b.path(format!("imported{size}"))]).expect(0);
        ntbak(args!["copy", &a.path(&name), &dir.join(&name)]).expect(0);
        ntbak(args!["copy", &dir.join(&name), &b.path(&name)]).expect(3).lost_only(&["change-time"]);
        for place in [b.path(format!("imported{size}")), dir.join(&name), b.path(&name)] {
            let again = ntbak(args!["efs", "export", &place]).expect(0).stdout;
            assert!(again == fs::read(&raw).unwrap(), "{}", place.display());
        }
        assert!(decrypt(&key, &raw, None) == content(size), "the export itself");
    }
    b.unmount();
    let dump = judge::dump(&b);
    judge::no_leftovers(&dump);
    assert_eq!(dump["/f513"]["attr"].as_u64().unwrap() & 0x4000, 0x4000);
    assert!(ntfsdecrypt(&b, &key, "/f70000", None) == content(70_000));
}

/// Named streams are encrypted with the file; what is no stream comes along.
#[test]
fn efs_31_streams_and_everything_else() {
    need_volumes!();
    let (key, other) = (Key::new("alice"), Key::new("bob"));
    let (a, b) = (Volume::new(64), Volume::new(64));
    let plain = a.path("plain");
    fs::write(&plain, content(5000)).unwrap();
    fs::write(stream(&plain, "two words"), content(700)).unwrap();
    fs::write(stream(&plain, "empty"), "").unwrap();
    set(&plain, make::ACL, &make::plain_descriptor(7));
    set(&plain, make::EA, &make::ea_on_disk(&[("E", b"1", 0x80)]));
    make::attributes(&plain, 0x22);
    let secret = a.path("secret");
    ntbak(args![
        "efs",
        "encrypt",
        &plain,
        "--for",
        &key.path("cert"),
        "--agent",
        &other.path("cert"),
        "-o",
        &secret
    ])
    .expect(3)
    .lost_only(&["change-time"]);
    let copied = b.path("copied");
    ntbak(args!["copy", &secret, &copied]).expect(3).lost_only(&["change-time"]);
    for at in [&secret, &copied] {
        assert_eq!(judge::payload_differences(&plain, at), [""; 0]);
        // By a user's key, and by a recovery agent's.
        for key in [&key, &other] {
            assert!(decrypt(key, at, None) == content(5000));
            assert!(decrypt(key, at, Some("two words")) == content(700));
            assert!(decrypt(key, at, Some("empty")).is_empty());
        }
    }
    let info = ntbak(args!["efs", "info", "--json", &copied]).expect(0).stdout;
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(
        (info["users"].as_array().unwrap().len(), info["recovery_agents"].as_array().unwrap().len()),
        (1, 1)
    );
    assert_eq!(info["streams"][0]["size"], 5000);
    // The whole file in plain: as it was.
    let again = b.path("again");
    let run = ntbak(args![
        "efs",
        "decrypt",
        &copied,
        "--key",
        &key.path("pfx"),
        "--password-file",
        &key.path("password"),
        "-o",
        &again
    ]);
    run.expect(3).lost_only(&["change-time"]);
    assert!(judge::cmp(&plain, &again));
    assert_eq!(fs::read(stream(&again, "two words")).unwrap(), content(700));
    assert_eq!(judge::payload_differences(&plain, &again), [""; 0]);
    // Without a key nothing is backed up as plaintext, and with the wrong one nothing is decrypted.
    ntbak(args!["stream", "read", &copied]).expect(1);
    let stranger = Key::new("stranger");
    let run = ntbak(args![
        "efs",
        "decrypt",
        &copied,
        "--key",
        &stranger.path("key"),
        "--key",
        &stranger.path("cert")
    ]);
    assert!(run.expect(1).stderr.contains("none of the"));
}

#[test]
fn efs_62_users_come_and_go() {
    need_volumes!();
    let (alice, bob) = (Key::new("alice"), Key::new("bob"));
    let a = Volume::new(64);
    let secret = a.path("secret");
    encrypt(&a, &alice, "secret", &content(3000));
    let with =
        |key: &Key| args!["--key", &key.path("pfx"), "--password-file", &key.path("password")].to_vec();
    let users = |arguments: &[std::ffi::OsString], key: &Key| {
        ntbak([args!["efs", "users"].to_vec(), arguments.to_vec(), with(key)].concat())
    };
    assert!(ntbak([args!["efs", "decrypt", &secret].to_vec(), with(&bob)].concat()).code == 1);
    users(&args!["add", &secret, "--for", &bob.path("cert")], &alice).expect(3);
    assert!(decrypt(&bob, &secret, None) == content(3000));
    let list = String::from_utf8(ntbak(args!["efs", "users", "list", &secret]).expect(0).stdout).unwrap();
    assert_eq!(list.lines().count(), 2, "{list}");
    let thumbprint = |name: &str| {
        let line = list.lines().find(|line| line.contains(name)).unwrap();
        line.split_whitespace().find(|word| word.len() == 40).unwrap().to_owned()
    };
    users(&args!["remove", &secret, "--thumbprint", thumbprint("alice")], &bob).expect(3);
    assert!(ntbak([args!["efs", "decrypt", &secret].to_vec(), with(&alice)].concat()).code == 1);
    assert!(decrypt(&bob, &secret, None) == content(3000));
    // The last one stays.
    let before = ntbak(args!["efs", "export", &secret]).expect(0).stdout;
    users(&args!["remove", &secret, "--thumbprint", thumbprint("bob")], &bob).expect(1);
    assert!(ntbak(args!["efs", "export", &secret]).expect(0).stdout == before);
}

#[test]
fn efs_69_to_72_what_a_mount_cannot_do() {
    need_volumes!();
    let key = Key::new("alice");
    let mut a = Volume::new(64);
    encrypt(&a, &key, "f", &content(1000));
    let raw = ntbak(args!["efs", "export", &a.path("f")]).expect(0).stdout;
    // A hole, which ntfs-3g would take for ciphertext.
    let sparse = a.beside("sparse");
    make::sparse(&sparse, 1 << 20, &[(512 << 10, vec![7; 65_536])]);
    let export = a.beside("export");
    ntbak(args!["efs", "encrypt", &sparse, "--for", &key.path("cert"), "-o", &export, "--raw"]).expect(0);
    let ran = ntbak_from(&export, args!["efs", "import", &a.path("sparse")]).expect(1);
    assert!(ran.stderr.contains("hole"), "{}", ran.stderr);
    assert!(!a.path("sparse").exists());
    assert!(decrypt(&key, &export, None) == fs::read(&sparse).unwrap());
    // With the key the holes are encrypted zeros.
    ntbak(args!["efs", "encrypt", &sparse, "--for", &key.path("cert"), "-o", &a.path("sparse")]).expect(3);
    assert!(decrypt(&key, &a.path("sparse"), None) == fs::read(&sparse).unwrap());
    // In a compressed directory nothing can be encrypted.
    fs::create_dir(a.path("compressed")).unwrap();
    make::attributes(&a.path("compressed"), 0x800);
    let ran = ntbak_with(&raw, args!["efs", "import", &a.path("compressed/f")]);
    assert!(ran.code == 1 && ran.stderr.contains("compressed"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(a.path("compressed")).unwrap().count(), 0);
    // Without efs_raw there is nothing to read or write, and the message says what is missing.
    a.remount("streams_interface=windows");
    let ran = ntbak(args!["efs", "export", &a.path("f")]).expect(1);
    assert!(ran.stderr.contains("efs_raw"), "{}", ran.stderr);
    let ran = ntbak_with(&raw, args!["efs", "import", &a.path("g")]).expect(1);
    assert!(ran.stderr.contains("efs_raw"), "{}", ran.stderr);
    assert!(!a.path("g").exists());
}

/// ntfs-3g sets what EFS keeps once; that somebody else was first is no success.
#[test]
fn efs_70_what_is_there_already_is_an_error() {
    need_volumes!();
    let key = Key::new("alice");
    let a = Volume::new(64);
    encrypt(&a, &key, "f", &content(1000));
    let export = a.beside("export");
    fs::write(&export, ntbak(args!["efs", "export", &a.path("f")]).expect(0).stdout).unwrap();
    let before = fs::read_dir(a.root()).unwrap().count();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=fsetxattr,setxattr,lsetxattr:error=EEXIST"]);
    command.arg(env!("CARGO_BIN_EXE_ntbak")).args(["efs", "import"]).arg(a.path("g"));
    let ran = command.stdin(fs::File::open(&export).unwrap()).output().unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(1) && stderr.contains("what EFS keeps of the file"), "{stderr}");
    assert!(!a.path("g").exists());
    assert_eq!(fs::read_dir(a.root()).unwrap().count(), before);
}

#[test]
fn efs_38_a_directory_is_encrypted() {
    need_volumes!();
    let key = Key::new("alice");
    let (a, mut b) = (Volume::new(64), Volume::new(64));
    fs::create_dir(a.path("plain")).unwrap();
    ntbak(args!["efs", "encrypt", &a.path("plain"), "--for", &key.path("cert"), "-o", &a.path("d")])
        .expect(3);
    ntbak(args!["copy", &a.path("d"), &b.path("d")]).expect(3).lost_only(&["change-time"]);
    let exports =
        [a.path("d"), b.path("d")].map(|path| ntbak(args!["efs", "export", &path]).expect(0).stdout);
    assert!(exports[0] == exports[1]);
    // In place, ntfs-3g does not take it away again: nobody may believe that it did.
    let decrypt = args!["efs", "decrypt", &a.path("d"), "--key", &key.path("key"), "-o", &a.path("d")];
    ntbak(decrypt).expect(3).lost_only(&["change-time", "efs"]);
    ntbak(args!["efs", "info", &a.path("d")]).expect(0);
    // The data of a file do not become a directory without them.
    fs::write(a.path("plain/f"), "content").unwrap();
    let raw = a.path("plain/raw");
    let file = a.path("plain/f");
    ntbak(args!["efs", "encrypt", &file, "--for", &key.path("cert"), "--raw", "-o", &raw]).expect(0);
    let import = ntbak_from(&raw, args!["efs", "import", &a.path("new"), "--directory"]).expect(1);
    assert!(import.stderr.contains("no unnamed data stream"), "{}", import.stderr);
    assert!(!a.path("new").exists());
    b.unmount();
    assert_eq!(judge::dump(&b)["/d"]["attr"].as_u64().unwrap() & 0x4000, 0x4000);
}

#[test]
fn decrypt_all_opens_what_it_can_and_tells_the_rest() {
    need_volumes!();
    let (alice, bob) = (Key::new("alice"), Key::new("bob"));
    let a = Volume::new(64);
    fs::create_dir(a.path("sub")).unwrap();
    encrypt(&a, &alice, "one", &content(10));
    encrypt(&a, &alice, "sub/two", &content(20_000));
    encrypt(&a, &bob, "sub/bobs", &content(30));
    fs::write(a.path("plain"), "not encrypted").unwrap();
    let out = a.beside("out");
    let ran = ntbak(args![
        "efs",
        "decrypt",
        &a.root(),
        "--all",
        "-o",
        &out,
        "--key",
        &alice.path("pfx"),
        "--password-file",
        &alice.path("password")
    ]);
    let ran = ran.expect(3).lost_only(&["efs"]);
    assert!(ran.stderr.contains("bobs"), "{}", ran.stderr);
    assert!(fs::read(out.join("one")).unwrap() == content(10));
    assert!(fs::read(out.join("sub/two")).unwrap() == content(20_000));
    assert!(!out.join("sub/bobs").exists() && !out.join("plain").exists());
}
