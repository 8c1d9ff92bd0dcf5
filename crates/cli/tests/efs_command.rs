//! `ntbak efs`: export, import, info, decrypt, encrypt and users, in ordinary directories and on raw exports, with keys that
//! openssl has made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

mod harness;

use harness::*;

const PASSWORD: &str = "geheim-\u{f6} 1";

macro_rules! args {
    ($($argument:expr),* $(,)?) => { vec![$(OsString::from($argument)),*] };
}

/// Key pairs of alice and bob: `NAME.key`, `NAME.cert` and PFX files under a password, an empty one, and none.
struct Keys(TempDir);

/// `None`, with a word about it, where there is no openssl.
fn keys() -> Option<&'static Keys> {
    static KEYS: OnceLock<Option<Keys>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        Command::new("openssl").arg("version").output().is_ok().then(|| {
            let keys = Keys(scratch());
            keys.make("alice");
            keys.make("bob");
            keys
        })
    });
    if keys.is_none() {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no openssl");
        eprintln!("skipped: no openssl to make keys with");
    }
    keys.as_ref()
}

macro_rules! keys {
    () => {
        match keys() {
            Some(keys) => keys,
            None => return,
        }
    };
}

fn openssl(args: Vec<OsString>) {
    let out = Command::new("openssl").args(&args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

impl Keys {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn make(&self, name: &str) {
        let (key, cert) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.cert")));
        openssl(args![
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &cert,
            "-days",
            "2",
            "-subj",
            format!("/CN={name}"),
            "-addext",
            "extendedKeyUsage=1.3.6.1.4.1.311.10.3.4",
        ]);
        let pfx = |file: &str, password: &str, options: &[&str]| {
            let mut args = args!["pkcs12", "-export", "-inkey", &key, "-in", &cert, "-out", self.path(file)];
            args.extend(args!["-passout", format!("pass:{password}")]);
            args.extend(options.iter().map(OsString::from));
            openssl(args);
        };
        pfx(&format!("{name}.pfx"), PASSWORD, &[]);
        pfx(&format!("{name}.legacy.pfx"), PASSWORD, &["-legacy"]);
        pfx(&format!("{name}.empty.pfx"), "", &[]);
        let encrypted = self.path(&format!("{name}.encrypted.key"));
        openssl(args![
            "pkcs8",
            "-topk8",
            "-in",
            &key,
            "-out",
            &encrypted,
            "-passout",
            format!("pass:{PASSWORD}")
        ]);
        fs::write(self.path("password"), format!("{PASSWORD}\nsecond line\n")).unwrap();
        fs::write(self.path("wrong"), "something else\n").unwrap();
        fs::write(self.path("none"), "").unwrap();
    }

    /// A plain file of these bytes, encrypted for alice as `dir/name`.
    fn encrypt(&self, dir: &Path, name: &str, content: &[u8]) -> PathBuf {
        let (plain, secret) = (dir.join("to be encrypted"), dir.join(name));
        fs::write(&plain, content).unwrap();
        ntbak(args!["efs", "encrypt", &plain, "--for", self.path("alice.cert"), "-o", &secret]).expect(0);
        fs::remove_file(plain).unwrap();
        secret
    }

    /// `efs decrypt` of a file to standard output with alice's bare key and certificate: no password at all.
    fn decrypt(&self, location: &Path) -> Vec<u8> {
        ntbak(self.with("alice", args!["efs", "decrypt", location])).expect(0).stdout
    }

    fn with(&self, name: &str, mut args: Vec<OsString>) -> Vec<OsString> {
        args.extend(args![
            "--key",
            self.path(&format!("{name}.key")),
            "--key",
            self.path(&format!("{name}.cert"))
        ]);
        args
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 % 251) as u8).collect()
}

/// No file of ours is left over.
fn no_parts(dir: &Path) {
    assert!(!names(dir).iter().any(|name| name.ends_with(".part")), "{:?}", names(dir));
}

#[test]
fn there_and_back_in_a_directory_and_as_an_export() {
    let (keys, dir) = (keys!(), scratch());
    for size in [0, 1, 512, 70_000] {
        let secret = keys.encrypt(dir.path(), "secret", &content(size));
        assert!(size == 0 || !fs::read(&secret).unwrap().starts_with(&content(size)[..size.min(16)]));
        assert_eq!(keys.decrypt(&secret), content(size));
        let raw = dir.path().join("raw");
        ntbak(args!["efs", "export", &secret, "-o", &raw]).expect(0).says("exported");
        assert_eq!(ntbak(args!["efs", "export", &secret]).expect(0).stdout, fs::read(&raw).unwrap());
        assert_eq!(keys.decrypt(&raw), content(size));
        let imported = dir.path().join("imported");
        ntbak(args!["efs", "import", &imported]).input(&fs::read(&raw).unwrap()).expect(0);
        assert_eq!(keys.decrypt(&imported), content(size));
        // The whole file, and one stream of it into a file.
        let (whole, one) = (dir.path().join("whole"), dir.path().join("one"));
        ntbak(keys.with("alice", args!["efs", "decrypt", &imported, "-o", &whole])).expect(0);
        assert_eq!(fs::read(&whole).unwrap(), content(size));
        let shown = ntbak(keys.with("alice", args!["efs", "decrypt", &imported, "-o", "-"])).expect(0);
        assert_eq!(shown.stdout, content(size));
        ntbak(args!["efs", "encrypt", &whole, "--for", keys.path("alice.cert"), "-o", &one, "--raw"])
            .expect(0);
        assert_eq!(keys.decrypt(&one), content(size));
        // What an export shows is an export, wherever it came from.
        assert!(fs::read(&one).unwrap().starts_with(b"\x00\x01\x00\x00R\0O\0B\0S\0"));
    }
    no_parts(dir.path());
}

#[test]
fn keys_and_passwords_of_every_kind() {
    let (keys, dir) = (keys!(), scratch());
    let secret = keys.encrypt(dir.path(), "secret", b"content");
    let run = |key: &str, options: Vec<OsString>| {
        ntbak([args!["efs", "decrypt", &secret, "--key", keys.path(key)], options].concat())
    };
    let file = |name: &str| args!["--password-file", keys.path(name)];
    for key in ["alice.pfx", "alice.legacy.pfx", "alice.encrypted.key"] {
        assert_eq!(run(key, file("password")).expect(0).stdout, b"content", "{key}");
        let command = args!["--password-command", format!("printf '%s\\nmore\\n' '{PASSWORD}'")];
        assert_eq!(run(key, command).expect(0).stdout, b"content", "{key}");
        assert_eq!(run(key, args![]).env("NTBAK_PASSWORD", PASSWORD).expect(0).stdout, b"content", "{key}");
        // A file goes before the environment.
        run(key, file("wrong")).env("NTBAK_PASSWORD", PASSWORD).expect(1);
        // Wrong, empty, and none at all: the same words, and not the password in them.
        for ran in [
            run(key, file("wrong")).expect(1),
            run(key, file("none")).expect(1),
            run(key, args![]).expect(1),
            run(key, args![]).env("NTBAK_PASSWORD", "Passw0rd-in-the-environment").expect(1),
        ] {
            ran.says("the password does not open").says(key);
            // Who gave none is told how to.
            assert_eq!(ran.stderr.contains("NTBAK_PASSWORD"), ran.stderr.contains("no password was given"));
            assert!(
                !ran.stderr.contains("something else") && !ran.stderr.contains("Passw0rd"),
                "{}",
                ran.stderr
            );
            assert_eq!(ran.stdout, b"");
        }
    }
    // An empty password is found whatever is given; a bare key needs none.
    for options in [args![], file("none"), file("password")] {
        assert_eq!(run("alice.empty.pfx", options.clone()).expect(0).stdout, b"content");
        assert_eq!(run("alice.key", options).expect(0).stdout, b"content");
    }
    // With the mark of an editor before it, and the line end of Windows behind it.
    fs::write(dir.path().join("windows"), format!("\u{FEFF}{PASSWORD}\r\n")).unwrap();
    let windows = args!["--password-file", dir.path().join("windows")];
    assert_eq!(run("alice.pfx", windows).expect(0).stdout, b"content");
    run("alice.pfx", args!["--password-command", "echo to be seen >&2; exit 3"]).expect(2).says("to be seen");
    run("alice.pfx", args!["--password-file", dir.path().join("gone")]).expect(1).says("gone");
    run("alice.pfx", args!["--password-file", "a", "--password-command", "b"]).expect(2);
    run("gone", args![]).expect(1).says("gone");
    fs::write(dir.path().join("no key"), "neither").unwrap();
    ntbak(args!["efs", "decrypt", &secret, "--key", dir.path().join("no key")]).expect(1).says("no key");
    // No key, and those of others.
    ntbak(args!["efs", "decrypt", &secret]).expect(1).says("there is no key");
    run("alice.pfx", args![]).expect(1).says("no password was given");
    let bob = ntbak(keys.with("bob", args!["efs", "decrypt", &secret])).expect(1);
    bob.says("none of the keys (1)").says("`ntbak efs info`");
    run("alice.cert", args![]).expect(1);
}

#[test]
fn info_needs_no_key() {
    let (keys, dir) = (keys!(), scratch());
    let plain = dir.path().join("plain");
    fs::write(&plain, content(3000)).unwrap();
    let secret = dir.path().join("secret");
    ntbak(args![
        "efs",
        "encrypt",
        &plain,
        "--for",
        keys.path("alice.cert"),
        "--agent",
        keys.path("bob.cert"),
        "-o",
        &secret
    ])
    .expect(0);
    let raw = dir.path().join("raw");
    ntbak(args!["efs", "export", &secret, "-o", &raw]).expect(0);
    for location in [&secret, &raw] {
        let text = ntbak(args!["efs", "info", location]).expect(0).text();
        for expected in ["alice", "bob", "users", "recovery", "EFS version   2", "(unnamed)  3000 bytes"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let json = &ntbak(args!["efs", "info", "--json", location]).expect(0).json()[0];
        assert_eq!((&json["efs_version"], &json["streams"][0]["size"]), (&2.into(), &3000.into()));
        assert_eq!(
            (&json["streams"][0]["name"], &json["streams"][0]["encrypted"]),
            (&"".into(), &true.into())
        );
        assert_eq!(json["users"][0]["thumbprint"].as_str().unwrap().len(), 40);
        assert!(json["recovery_agents"][0]["name"].as_str().unwrap().contains("bob"));
        let list = ntbak(args!["efs", "users", "list", location]).expect(0).text();
        assert_eq!(list.lines().count(), 2, "{list}");
    }
    for command in ["info", "export"] {
        ntbak(args!["efs", command, &plain]).expect(2).says("not encrypted");
        ntbak(args!["efs", command, dir.path().join("gone")]).expect(1).says("gone");
    }
    ntbak(args!["efs", "users", "list", &plain]).expect(2).says("not encrypted");
    ntbak(args!["efs", "encrypt", &secret, "--for", keys.path("alice.cert"), "-o", dir.path().join("x")])
        .expect(2)
        .says("already");
    ntbak(args!["efs", "decrypt", &secret, "--all"]).expect(2);
    let archive = dir.path().join("a.tar.zst");
    ntbak(args!["backup", &secret, "-o", &archive]).expect(0);
    ntbak(args!["efs", "info", &archive]).expect(2).says("an archive").says("ARCHIVE::PATH");
}

/// Success must mean that there is no plaintext left under that name, nor behind it.
#[test]
fn what_cannot_be_encrypted_says_so() {
    let (keys, dir) = (keys!(), scratch());
    let at = |name: &str| dir.path().join(name);
    let encrypt = |from: &str, to: &str, key: &str| {
        ntbak(args!["efs", "encrypt", at(from), "--for", keys.path(key), "-o", at(to)])
    };
    fs::write(at("f"), "content").unwrap();
    symlink("f", at("link")).unwrap();
    encrypt("link", "x", "alice.cert").expect(1).says("link");
    assert!(at("x").symlink_metadata().is_err());
    fs::hard_link(at("f"), at("other")).unwrap();
    encrypt("f", "f", "alice.cert").expect(2).says("hard links");
    assert_eq!(fs::read(at("f")).unwrap(), b"content");
    fs::remove_file(at("other")).unwrap();
    encrypt("f", "f", "alice.cert").expect(0);
    assert_eq!(ntbak(keys.with("alice", args!["efs", "decrypt", at("f")])).expect(0).stdout, b"content");
    // A directory that is there is marked as it is, and unmarked.
    fs::create_dir_all(at("d/sub")).unwrap();
    encrypt("d", "d", "alice.cert").expect(0).says("directory alone");
    ntbak(args!["efs", "info", at("d")]).expect(0);
    ntbak(keys.with("alice", args!["efs", "decrypt", at("d"), "-o", at("d")])).expect(0).says("--all");
    ntbak(args!["efs", "info", at("d")]).expect(2).says("not encrypted");
    assert!(at("d/sub").is_dir());
    // For whom: a certificate, or a PFX that gives one without asking.
    fs::write(at("g"), "content").unwrap();
    for key in ["alice.pfx", "alice.key"] {
        encrypt("g", "h", key).expect(1).says("a certificate is wanted");
    }
    encrypt("g", "h", "alice.empty.pfx").expect(0);
    assert_eq!(ntbak(keys.with("alice", args!["efs", "decrypt", at("h")])).expect(0).stdout, b"content");
}

#[test]
fn decrypt_all_brings_streams_of_directories() {
    let (keys, dir) = (keys!(), scratch());
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("tree/d")).unwrap();
    fs::create_dir(at("tree/e")).unwrap();
    ntbak(args!["stream", "write", at("tree/d")]).input(&alternate("s", b"secret")).expect(0);
    for name in ["tree/d", "tree/e"] {
        let (path, cert) = (at(name), keys.path("alice.cert"));
        ntbak(args!["efs", "encrypt", &path, "--for", cert, "-o", &path]).expect(0);
    }
    let all = args!["efs", "decrypt", at("tree"), "--all", "-o", at("out")];
    ntbak(keys.with("alice", all)).expect(0).says("1 file");
    let found = ntbak(args!["cat", format!("{}:s", at("out/d").display())]).expect(0);
    assert_eq!(found.stdout, b"secret");
    assert!(!at("out/e").exists());
    let alone = args!["efs", "decrypt", at("tree/d"), "--stream", "s"];
    assert_eq!(ntbak(keys.with("alice", alone)).expect(0).stdout, b"secret");
    let all = args!["efs", "decrypt", at("tree"), "--all", "-o", at("nothing")];
    ntbak(keys.with("bob", all)).expect(3).says("lost efs of").says("tree/d");
}

/// Key files are small: whatever is given for one, it takes neither all memory nor a minute.
#[test]
fn what_is_no_key_file_is_refused_at_once() {
    let (keys, dir) = (keys!(), scratch());
    let secret = keys.encrypt(dir.path(), "secret", b"content");
    let with = |key: &Path| ntbak(args!["efs", "decrypt", &secret, "--key", key]);
    with(Path::new("/dev/zero")).expect(2).says("no key");
    let blocks = dir.path().join("blocks");
    fs::write(&blocks, "-----BEGIN A-----\n-----END A-----\n".repeat(100_000)).unwrap();
    let begun = std::time::Instant::now();
    with(&blocks).expect(1).says("PEM of a A");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn efs_62_users_by_the_command() {
    let (keys, dir) = (keys!(), scratch());
    let secret = keys.encrypt(dir.path(), "secret", b"content");
    let users = |arguments: Vec<OsString>, name: &str| {
        ntbak(keys.with(name, [args!["efs", "users"], arguments].concat()))
    };
    let thumbprint = |name: &str| {
        let list = ntbak(args!["efs", "users", "list", &secret]).expect(0).text();
        let line = list.lines().find(|line| line.contains(name)).unwrap();
        line.split_whitespace().find(|word| word.len() == 40).unwrap().to_owned()
    };
    let alice = thumbprint("alice");
    users(args!["add", &secret, "--for", keys.path("bob.cert")], "bob").expect(1).says("none of the keys");
    users(args!["add", &secret, "--for", keys.path("bob.cert")], "alice").expect(0);
    users(args!["add", &secret, "--for", keys.path("bob.cert")], "alice").expect(0);
    assert_eq!(ntbak(args!["efs", "users", "list", &secret]).expect(0).text().lines().count(), 2);
    let before = fs::read(&secret).unwrap();
    // As certmgr shows it: upper case, with spaces.
    let pairs: Vec<_> =
        alice.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
    users(args!["remove", &secret, "--thumbprint", pairs.join(" ")], "bob").expect(0);
    assert_eq!(fs::read(&secret).unwrap(), before, "the ciphertext is the same");
    ntbak(keys.with("alice", args!["efs", "decrypt", &secret])).expect(1);
    assert_eq!(ntbak(keys.with("bob", args!["efs", "decrypt", &secret])).expect(0).stdout, b"content");
    users(args!["remove", &secret, "--thumbprint", thumbprint("bob")], "bob").expect(1).says("last");
    for text in ["", "0", "xy", "abc", "é"] {
        users(args!["remove", &secret, "--thumbprint", text], "bob").expect(2).says("hex digits");
    }
    // A mistyped one must not look as if the user were gone; agents stay.
    users(args!["remove", &secret, "--thumbprint", "00"], "bob").expect(2).says("no user has it");
    let raw = dir.path().join("raw");
    ntbak(args!["efs", "export", &secret, "-o", &raw]).expect(0);
    users(args!["add", &raw, "--for", keys.path("alice.cert")], "bob").expect(2).says("raw export");
    fs::remove_file(&raw).unwrap();
    // Another name of the file would keep its users.
    fs::hard_link(&secret, dir.path().join("link")).unwrap();
    users(args!["add", &secret, "--for", keys.path("alice.cert")], "bob").expect(2).says("hard links");
    no_parts(dir.path());
}

#[test]
fn outputs_appear_whole_or_not_at_all() {
    let (keys, dir) = (keys!(), scratch());
    let secret = keys.encrypt(dir.path(), "secret", &content(200_000));
    let raw = ntbak(args!["efs", "export", &secret]).expect(0).stdout;
    let there = dir.path().join("there");
    fs::write(&there, "what was there").unwrap();
    // A raw export that is cut: no file, and what was there stays.
    for (cut, path) in [(100, "new"), (raw.len() - 1, "new"), (raw.len() - 1, "there")] {
        ntbak(args!["efs", "import", dir.path().join(path)]).input(&raw[..cut]).expect(1);
    }
    ntbak(args!["efs", "import", dir.path().join("new")]).expect(1);
    let damaged = dir.path().join("damaged");
    fs::write(&damaged, &raw[..raw.len() - 1000]).unwrap();
    for output in [&dir.path().join("new"), &there] {
        ntbak(keys.with("alice", args!["efs", "decrypt", &damaged, "-o", output])).expect(1);
        ntbak(keys.with("bob", args!["efs", "decrypt", &secret, "-o", output])).expect(1);
        ntbak(args!["efs", "export", &damaged, "-o", output]).expect(1);
        ntbak(args!["efs", "encrypt", &secret, "--for", keys.path("alice.cert"), "-o", output]).expect(2);
        ntbak(args!["efs", "encrypt", &there, "--for", keys.path("alice.key"), "-o", output]).expect(1);
    }
    assert_eq!(fs::read(&there).unwrap(), b"what was there");
    assert_eq!(
        names(dir.path()).into_iter().filter(|name| name != ".ntbak-side").collect::<Vec<_>>(),
        ["damaged", "secret", "there"]
    );
    // A file that only its owner reads is replaced by one like it.
    fs::set_permissions(&there, fs::Permissions::from_mode(0o600)).unwrap();
    ntbak(args!["efs", "export", &secret, "-o", &there]).expect(0);
    assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o600);
    // Not found, not a place.
    ntbak(args!["efs", "export", &secret, "-o", dir.path().join("no/where")]).expect(1);
    ntbak(args!["efs", "import", dir.path().join("no/where")]).input(&raw).expect(1);
}

#[test]
fn importing_over_what_is_there() {
    let (keys, dir) = (keys!(), scratch());
    let secret = keys.encrypt(dir.path(), "secret", b"content");
    let raw = ntbak(args!["efs", "export", &secret]).expect(0).stdout;
    // A plain file, whose descriptor stays.
    let path = dir.path().join("f");
    ntbak(args!["stream", "write", &path]).input(&[security(), data(b"plain")].concat()).expect(0);
    ntbak(args!["efs", "import", &path]).input(&raw).expect(0);
    assert_eq!(keys.decrypt(&path), b"content");
    let info = ntbak(args!["info", "--json", &path]).expect(0).json();
    assert!(info[0].to_string().contains("O:BA"), "{}", info[0]);
    // A damaged one is what imports are for; that its facts are lost is told.
    fs::write(&path, "somebody wrote over the ciphertext").unwrap();
    ntbak(args!["efs", "info", &path]).expect(1).says("no ciphertext");
    ntbak(args!["efs", "import", &path]).input(&raw).expect(3).says("cannot be read");
    assert_eq!(keys.decrypt(&path), b"content");
    // The link is replaced, and not the file behind it.
    let link = dir.path().join("link");
    symlink("f", &link).unwrap();
    let other = keys.encrypt(dir.path(), "other", b"other");
    let other = ntbak(args!["efs", "export", &other]).expect(0).stdout;
    ntbak(args!["efs", "import", &link]).input(&other).expect(0);
    assert_eq!(keys.decrypt(&path), b"content");
    assert_eq!(keys.decrypt(&link), b"other");
    assert_eq!(fs::symlink_metadata(&link).unwrap().permissions().mode() & 0o022, 0);
    // Directories: a file does not take their place, and their own data need the option.
    fs::create_dir(dir.path().join("d")).unwrap();
    ntbak(args!["efs", "import", dir.path().join("d")]).input(&raw).expect(1);
    ntbak(args!["efs", "import", "--directory", dir.path().join("d")]).input(&raw).expect(1);
    no_parts(dir.path());
}

/// Plaintext that is written into a file of ciphertext would be taken for that.
#[test]
fn stream_write_does_not_touch_an_encrypted_file() {
    let (keys, dir) = (keys!(), scratch());
    let secret = keys.encrypt(dir.path(), "secret", b"content");
    for input in [data(b"plaintext"), alternate("s", b"stream"), [security(), data(b"x")].concat()] {
        ntbak(args!["stream", "write", &secret]).input(&input).expect(1).says("encrypted");
        assert_eq!(keys.decrypt(&secret), b"content");
    }
    // What is no content may be written.
    ntbak(args!["stream", "write", &secret]).input(&security()).expect(0);
    assert_eq!(keys.decrypt(&secret), b"content");
    ntbak(args!["stream", "read", &secret]).expect(1).says("efs export");
    // A copy over it is a new file.
    let plain = dir.path().join("plain");
    fs::write(&plain, "plain").unwrap();
    ntbak(args!["copy", &plain, &secret]).expect(0);
    assert_eq!(fs::read(&secret).unwrap(), b"plain");
    ntbak(args!["efs", "info", &secret]).expect(2).says("not encrypted");
}

#[test]
fn decrypt_all_stays_in_its_directories() {
    let (keys, dir) = (keys!(), scratch());
    let (tree, out, elsewhere) =
        (dir.path().join("tree"), dir.path().join("out"), dir.path().join("elsewhere"));
    for path in [&tree, &elsewhere, &tree.join("sub"), &tree.join("linked"), &tree.join("closed")] {
        fs::create_dir(path).unwrap();
    }
    keys.encrypt(&tree, "one", b"one");
    keys.encrypt(&tree.join("sub"), "two", &content(20_000));
    keys.encrypt(&tree.join("linked"), "three", b"three");
    keys.encrypt(&elsewhere, "four", b"four");
    fs::write(tree.join("plain"), "plain").unwrap();
    ntbak(args!["efs", "export", tree.join("one"), "-o", tree.join("export")]).expect(0);
    // Links out of the tree, to a file and a directory, and a pipe.
    symlink(elsewhere.join("four"), tree.join("link to four")).unwrap();
    symlink(&elsewhere, tree.join("link to elsewhere")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, tree.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    // A link in the way of a directory of OUT, as somebody may have put it there.
    fs::create_dir(&out).unwrap();
    symlink(&elsewhere, out.join("linked")).unwrap();
    // A file in the way that is there already is replaced; a link there is replaced, and not followed.
    symlink(elsewhere.join("four"), out.join("one")).unwrap();
    let before = fs::read(elsewhere.join("four")).unwrap();
    let ran = ntbak(keys.with("alice", args!["efs", "decrypt", &tree, "--all", "-o", &out])).expect(3);
    ran.says("three").says("nothing is put behind it");
    assert_eq!(fs::read(out.join("one")).unwrap(), b"one");
    assert_eq!(fs::read(out.join("export")).unwrap(), b"one");
    assert_eq!(fs::read(out.join("sub/two")).unwrap(), content(20_000));
    assert_eq!(fs::read(elsewhere.join("four")).unwrap(), before);
    let mut there = names(&elsewhere);
    there.retain(|name| name != ".ntbak-side");
    assert_eq!(there, ["four"], "nothing was written through the link");
    let mut there = names(&out);
    there.retain(|name| name != ".ntbak-side");
    assert_eq!(there, ["export", "linked", "one", "sub"]);
    // With nobody's key all are told, and the code says so.
    let ran = ntbak(keys.with("bob", args!["efs", "decrypt", &tree, "--all", "-o", dir.path().join("bobs")]))
        .expect(3);
    ran.says("one").says("two").says("three");
    ntbak(keys.with("alice", args!["efs", "decrypt", dir.path().join("gone"), "--all", "-o", &out]))
        .expect(1);
    // A pipe alone is no file, and is not waited for.
    ntbak(args!["efs", "info", tree.join("pipe")]).run();
}

/// Out of archives, compressed or not, as out of the directory: named streams, holes, links and what nobody opens.
#[test]
fn decrypt_all_takes_archives() {
    let (keys, dir) = (keys!(), scratch());
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    keys.encrypt(&tree, "one", &content(70_000));
    keys.encrypt(&tree.join("sub"), "two", b"");
    fs::hard_link(tree.join("one"), tree.join("sub/one again")).unwrap();
    let plain = dir.path().join("plain");
    let streams = [data(b"content"), alternate("hidden", b"of the stream")].concat();
    ntbak(args!["stream", "write", &plain]).input(&streams).expect(0);
    let (alice, bob) = (keys.path("alice.cert"), keys.path("bob.cert"));
    ntbak(args!["efs", "encrypt", &plain, "--for", alice, "-o", tree.join("sub/three")]).expect(0);
    ntbak(args!["efs", "encrypt", &plain, "--for", bob, "-o", tree.join("bobs")]).expect(0);
    fs::write(tree.join("in plain"), "not encrypted").unwrap();
    for name in ["x.tar", "x.tar.zst"] {
        let (archive, out) = (dir.path().join(name), dir.path().join(name).with_extension("out"));
        ntbak(args!["backup", &tree, "-o", &archive]).expect(0);
        let decrypt = args!["efs", "decrypt", &archive, "--all", "-o", &out];
        let ran = ntbak(keys.with("alice", decrypt)).expect(3);
        ran.says("lost efs of").says("bobs").says("4 files decrypted");
        assert_eq!(fs::read(out.join("one")).unwrap(), content(70_000));
        assert_eq!(fs::read(out.join("sub/one again")).unwrap(), content(70_000));
        assert_eq!(fs::read(out.join("sub/two")).unwrap(), b"");
        assert_eq!(fs::read(out.join("sub/three")).unwrap(), b"content");
        let hidden = ntbak(args!["cat", format!("{}:hidden", out.join("sub/three").display())]).expect(0);
        assert_eq!(hidden.stdout, b"of the stream");
        assert!(!out.join("bobs").exists() && !out.join("in plain").exists());
        // One file alone, without restoring it.
        let inside = |path: &str| format!("{}::{path}", archive.display());
        assert_eq!(keys.decrypt(inside("one").as_ref()), content(70_000));
        assert_eq!(keys.decrypt(inside("/sub/three").as_ref()), b"content");
        let exports = [inside("./bobs").into(), tree.join("bobs")]
            .map(|bobs: PathBuf| ntbak(args!["efs", "export", bobs]).expect(0).stdout);
        assert!(exports[0] == exports[1]);
        ntbak(args!["efs", "info", inside("bobs")]).expect(0);
        ntbak(args!["efs", "info", inside("in plain")]).expect(2).says("not encrypted");
        assert_eq!(keys.decrypt(inside("sub/one again").as_ref()), content(70_000));
        ntbak(args!["efs", "info", inside("gone")]).expect(1).says("no such file");
        ntbak(args!["efs", "info", &archive]).expect(2).says("::");
        // Damaged, it is an error or a loss, and never garbage under a name.
        let mut bytes = fs::read(&archive).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(&archive, bytes).unwrap();
        let out = dir.path().join("half").join(name);
        fs::create_dir_all(&out).unwrap();
        let ran = ntbak(keys.with("alice", args!["efs", "decrypt", &archive, "--all", "-o", &out])).run();
        assert!([1, 3].contains(&ran.code), "{}", ran.stderr);
        for (name, whole) in [("one", content(70_000)), ("sub/three", b"content".to_vec())] {
            assert!(fs::read(out.join(name)).is_ok_and(|found| found == whole) || !out.join(name).exists());
        }
    }
}

/// One that cannot be listed is told; the others are decrypted.
#[test]
fn decrypt_all_tells_what_it_cannot_list() {
    let (keys, dir) = (keys!(), scratch());
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("closed")).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    keys.encrypt(&tree, "one", b"one");
    fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(keys.path("alice.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let out = dir.path().join("out");
    // The side files of the tree are root's, but the attribute is everybody's.
    let args = keys.with("alice", args!["efs", "decrypt", &tree, "--all", "-o", &out]);
    let Some(run) = ntbak_as_nobody(dir.path(), args) else { return };
    run.expect(3).says("closed");
    fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}
