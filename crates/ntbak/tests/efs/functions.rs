//! EncryptFile and the functions around it, over memory and over a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use ntbak::efs::Decrypted;
use ntbak::memory::MemoryFile;
use ntbak::source::{MemorySource, RawSource};
use ntbak::win32::{
    Access, Content, Context, Create, DirectoryVolume, Disposition, Drives, EncryptionKeys, EncryptionStatus,
    Entry, FileFlags, Identity, MemoryVolume, Node, Share, System, Volume, VolumeFacts,
    add_users_to_encrypted_file, backup_read, backup_write, decrypt_file, duplicate_encryption_info_file,
    encrypt_file, encryption_disable, file_encryption_status, query_recovery_agents_on_encrypted_file,
    query_users_on_encrypted_file, remove_users_from_encrypted_file, set_user_file_encryption_key,
};
use ntbak::{Capabilities, Error, FileReport, FileSink, FileSource, Result};
use ntbak_efs::{Certificate, KeyRing};
use ntbak_wire::record::Record;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Win32Error};
use tempfile::{TempDir, tempdir};

use crate::keys::{name, people, protected, read_all, recipient, ring};
use crate::made::*;

/// A volume with the functions over it.
struct Place {
    system: System,
    volume: Box<dyn Volume>,
    memory: Option<MemoryVolume>,
    dir: Option<TempDir>,
}

fn alice_with_bobs_recovery() -> EncryptionKeys {
    EncryptionKeys {
        ring: ring(0),
        current: Some(recipient(0)),
        agents: vec![recipient(1)],
        computer: [3; 16],
    }
}

fn places() -> [Place; 2] {
    let memory = MemoryVolume::new();
    let system = |volume: Box<dyn Volume>| {
        System::new(Faulty { volume, fails: None }).with_keys(alice_with_bobs_recovery())
    };
    [
        Place {
            system: system(Box::new(memory.clone())),
            volume: Box::new(memory.clone()),
            memory: Some(memory),
            dir: None,
        },
        Place { system: system(machine()), volume: machine(), memory: None, dir: Some(tempdir().unwrap()) },
    ]
}

impl Place {
    fn at(&self, name: &str) -> String {
        self.dir.as_ref().map_or(name.to_owned(), |dir| dir.path().join(name).to_str().unwrap().to_owned())
    }

    fn put(&self, name: &str, file: MemoryFile) -> String {
        let path = self.at(name);
        match &self.memory {
            Some(memory) => drop(memory.insert(name, file)),
            None => store(file, Path::new(&path)),
        }
        path
    }

    fn source(&self, path: &str) -> Box<dyn FileSource> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let down = |node: Arc<dyn Node>, part: &str| node.child(part.as_bytes()).unwrap().unwrap();
        parts.fold(self.volume.root().unwrap(), down).source().unwrap()
    }

    fn raw(&self, path: &str) -> Vec<u8> {
        export(&*self.source(path))
    }

    /// What a person reads of the unnamed stream.
    fn plain(&self, path: &str, person: usize) -> Result<Vec<u8>> {
        Ok(read_all(&Decrypted::open(self.source(path), &ring(person))?, 0, 1000))
    }

    /// Nothing but these files is there.
    fn only(&self, expected: &[&str]) {
        let Some(dir) = &self.dir else { return };
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".ntbak-side")
            .collect();
        names.sort();
        assert_eq!(names, expected);
    }
}

/// A volume on which writing fails after so many records.
struct Faulty {
    volume: Box<dyn Volume>,
    fails: Option<usize>,
}

impl Volume for Faulty {
    fn root(&self) -> Result<Arc<dyn Node>> {
        Ok(Arc::new(FaultyNode { node: self.volume.root()?, fails: self.fails }))
    }
}

impl From<Faulty> for Drives {
    fn from(volume: Faulty) -> Self {
        Self::new().with_base(volume)
    }
}

struct FaultyNode {
    node: Arc<dyn Node>,
    fails: Option<usize>,
}

impl Node for FaultyNode {
    fn identity(&self) -> Identity {
        self.node.identity()
    }
    fn is_directory(&self) -> bool {
        self.node.is_directory()
    }
    fn source(&self) -> Result<Box<dyn FileSource>> {
        self.node.source()
    }
    fn volume_facts(&self) -> Result<VolumeFacts> {
        self.node.volume_facts()
    }
    fn capabilities(&self, directory: bool) -> Capabilities {
        self.node.capabilities(directory)
    }
    fn child(&self, name: &[u8]) -> Result<Option<Arc<dyn Node>>> {
        let child = self.node.child(name)?;
        Ok(child.map(|node| Arc::new(Self { node, fails: self.fails }) as Arc<dyn Node>))
    }
    fn entries(&self) -> Result<Vec<Entry>> {
        self.node.entries()
    }
    fn content(&self, stream: Option<&StreamName>, write: bool) -> Result<Box<dyn Content>> {
        self.node.content(stream, write)
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self.node.as_any()
    }
    fn sink(&self) -> Result<Box<dyn FileSink>> {
        self.node.sink()
    }
    fn stage(&self, name: &[u8], directory: bool) -> Result<Box<dyn FileSink>> {
        let sink = self.node.stage(name, directory)?;
        Ok(match self.fails {
            Some(left) => Box::new(Fails { sink, left }),
            None => sink,
        })
    }
    fn create(&self, name: &[u8], directory: bool) -> Result<Arc<dyn Node>> {
        self.node.create(name, directory)
    }
}

/// The files of this machine as a drive.
fn machine() -> Box<dyn Volume> {
    Box::new(DirectoryVolume::open("/").unwrap())
}

struct Fails {
    sink: Box<dyn FileSink>,
    left: usize,
}

impl FileSink for Fails {
    fn can(&self) -> &Capabilities {
        self.sink.can()
    }
    fn is_directory(&self) -> bool {
        self.sink.is_directory()
    }
    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        let Some(left) = self.left.checked_sub(1) else { return Err(full()) };
        self.left = left;
        self.sink.put(record, report)
    }
    fn link(&mut self, target: &Path) -> Result<()> {
        self.sink.link(target)
    }
    fn commit(self: Box<Self>, report: &FileReport<'_>) -> Result<()> {
        if self.left == 0 { Err(full()) } else { self.sink.commit(report) }
    }
}

fn full() -> Error {
    Error::new(Win32Error::DISK_FULL, "no room, for a test")
}

fn code<T>(result: Result<T>) -> u32 {
    result.err().map_or(0, |error| error.win32().0)
}

fn content(size: u64) -> Vec<u8> {
    (0..size).map(|at| byte(5, at)).collect()
}

fn plain_file(size: u64) -> MemoryFile {
    MemoryFile::file().with_stream(None, &content(size)).with_stream(Some(name("s")), b"stream")
}

fn with_attributes(mut file: MemoryFile, attributes: FileAttributes) -> MemoryFile {
    file.info.attributes |= attributes;
    file
}

fn thumbprint(person: usize) -> &'static [u8] {
    people()[person].certificate.as_ref().unwrap().thumbprint()
}

#[test]
fn encrypt_and_decrypt_are_there_and_back() {
    for place in places() {
        for size in [0, 1, 512, 70_000] {
            let mut file = plain_file(size);
            file.info.attributes |= FileAttributes::HIDDEN;
            file.info.times.created = Some(ntbak_wire::FileTime(130_000_000_000_000_000));
            let path = place.put("f", file);
            assert_eq!(file_encryption_status(&place.system, &path).unwrap(), EncryptionStatus::Encryptable);
            encrypt_file(&place.system, &path).unwrap();
            assert_eq!(file_encryption_status(&place.system, &path).unwrap(), EncryptionStatus::Encrypted);
            let info = place.source(&path).info().unwrap();
            assert!(info.attributes.contains(FileAttributes::HIDDEN | FileAttributes::ENCRYPTED));
            let raw = place.raw(&path);
            // Already encrypted is a success, and changes nothing.
            encrypt_file(&place.system, &path).unwrap();
            assert!(place.raw(&path) == raw);
            for person in [0, 1] {
                assert!(place.plain(&path, person).unwrap() == content(size));
            }
            assert_eq!(code(place.plain(&path, 2)), 6002);
            decrypt_file(&place.system, &path).unwrap();
            let source = place.source(&path);
            assert!(source.encrypted().unwrap().is_none());
            assert!(read_all(&*source, 0, 1000) == content(size) && read_all(&*source, 1, 9) == b"stream");
            let info = source.info().unwrap();
            assert_eq!(info.times.created, Some(ntbak_wire::FileTime(130_000_000_000_000_000)));
            assert!(info.attributes.contains(FileAttributes::HIDDEN));
            assert!(!info.attributes.contains(FileAttributes::ENCRYPTED));
            // Not encrypted is a success.
            decrypt_file(&place.system, &path).unwrap();
            place.only(&["f"]);
        }
    }
}

#[test]
fn what_cannot_be_encrypted() {
    for place in places() {
        let (system, bare) = (&place.system, System::new(Faulty { volume: machine(), fails: None }));
        let status = |path: &str| file_encryption_status(system, path).unwrap();
        let path = place.put("system", with_attributes(plain_file(9), FileAttributes::SYSTEM));
        assert_eq!(
            (status(&path), code(encrypt_file(system, &path))),
            (EncryptionStatus::SystemAttribute, 5)
        );
        let path = place.put("read-only", with_attributes(plain_file(9), FileAttributes::READONLY));
        assert_eq!((status(&path), code(encrypt_file(system, &path))), (EncryptionStatus::ReadOnly, 6009));
        assert_eq!(code(encrypt_file(system, &place.at("gone"))), 2);
        assert_eq!(code(file_encryption_status(system, &place.at("gone"))), 2);
        if place.dir.is_some() {
            let path = place.put("f", plain_file(9));
            assert_eq!(code(encrypt_file(&bare, &path)), 6006);
            assert_eq!(status("/"), EncryptionStatus::RootDirectory);
            assert_eq!(code(encrypt_file(system, "/")), 5);
        }
    }
}

/// A directory in the root of a volume is not the root.
#[test]
fn a_directory_is_marked_and_unmarked() {
    for place in places() {
        let folder = MemoryFile::directory().with_stream(Some(name("s")), b"stream");
        let path = place.put("d", folder);
        assert_eq!(file_encryption_status(&place.system, &path).unwrap(), EncryptionStatus::Encryptable);
        encrypt_file(&place.system, &path).unwrap();
        assert_eq!(file_encryption_status(&place.system, &path).unwrap(), EncryptionStatus::Encrypted);
        assert!(place.source(&path).info().unwrap().attributes.is_directory());
        assert_eq!(query_users_on_encrypted_file(&place.system, &path).unwrap().len(), 1);
        decrypt_file(&place.system, &path).unwrap();
        let source = place.source(&path);
        assert!(source.encrypted().unwrap().is_none());
        assert!(!source.info().unwrap().attributes.contains(FileAttributes::ENCRYPTED));
        assert_eq!(read_all(&*source, 0, 9), b"stream");
    }
}

#[test]
fn who_can_open_it_is_told_without_a_key() {
    for place in places() {
        let path = place.put("f", plain_file(9));
        let keyless = System::new(Faulty { volume: machine(), fails: None });
        assert_eq!(code(query_users_on_encrypted_file(&place.system, &path)), 6007);
        encrypt_file(&place.system, &path).unwrap();
        let system = if place.dir.is_some() { &keyless } else { &place.system };
        let users = query_users_on_encrypted_file(system, &path).unwrap();
        let agents = query_recovery_agents_on_encrypted_file(system, &path).unwrap();
        assert_eq!((users.len(), agents.len()), (1, 1));
        assert_eq!(users[0].thumbprint.as_deref(), Some(thumbprint(0)));
        assert_eq!(agents[0].thumbprint.as_deref(), Some(thumbprint(1)));
        assert!(users[0].display.as_ref().unwrap().to_string().contains("alice"));
    }
    // No agents: a success, and nobody.
    let keys = EncryptionKeys { agents: vec![], ..alice_with_bobs_recovery() };
    let volume = MemoryVolume::new();
    volume.insert("f", plain_file(9));
    let system = System::new(volume).with_keys(keys);
    encrypt_file(&system, "f").unwrap();
    assert_eq!(query_recovery_agents_on_encrypted_file(&system, "f").unwrap(), []);
}

#[test]
fn efs_62_users_come_and_go() {
    for place in places() {
        let path = place.put("f", plain_file(3000));
        encrypt_file(&place.system, &path).unwrap();
        let users = || query_users_on_encrypted_file(&place.system, &path).unwrap().len();
        add_users_to_encrypted_file(&place.system, &path, &[recipient(2)]).unwrap();
        assert_eq!((users(), place.plain(&path, 2).unwrap() == content(3000)), (2, true));
        // Twice is once.
        add_users_to_encrypted_file(&place.system, &path, &[recipient(2), recipient(2)]).unwrap();
        assert_eq!(users(), 2);
        // Nobody knows this hash; nobody has ever heard of an empty one.
        let raw = place.raw(&path);
        remove_users_from_encrypted_file(&place.system, &path, &[&[0x77; 20], b""]).unwrap();
        assert!(place.raw(&path) == raw);
        // A recovery agent is no user.
        remove_users_from_encrypted_file(&place.system, &path, &[thumbprint(1)]).unwrap();
        assert!(place.plain(&path, 1).is_ok());
        // All at once would leave nobody: nothing changes.
        let all = [thumbprint(2), thumbprint(0)];
        assert_eq!(code(remove_users_from_encrypted_file(&place.system, &path, &all)), 87);
        assert!(place.raw(&path) == raw);
        remove_users_from_encrypted_file(&place.system, &path, &[thumbprint(2)]).unwrap();
        assert_eq!((users(), code(place.plain(&path, 2))), (1, 6002));
        assert_eq!(code(remove_users_from_encrypted_file(&place.system, &path, &[thumbprint(0)])), 87);
        assert!(place.plain(&path, 0).unwrap() == content(3000));
        assert_eq!(query_recovery_agents_on_encrypted_file(&place.system, &path).unwrap().len(), 1);
        place.only(&["f"]);
    }
}

#[test]
fn nobody_changes_users_without_a_key() {
    let volume = MemoryVolume::new();
    volume.insert("f", plain_file(9));
    encrypt_file(&System::new(volume.clone()).with_keys(alice_with_bobs_recovery()), "f").unwrap();
    let raw = volume.get("f").unwrap().read().efs_raw.clone();
    for (ring, expected) in [(ring(2), 6002), (KeyRing::new(), 6006)] {
        let system =
            System::new(volume.clone()).with_keys(EncryptionKeys { ring, ..EncryptionKeys::default() });
        assert_eq!(code(add_users_to_encrypted_file(&system, "f", &[recipient(2)])), expected);
        assert_eq!(code(remove_users_from_encrypted_file(&system, "f", &[thumbprint(0)])), expected);
        assert_eq!(code(decrypt_file(&system, "f")), expected);
        assert_eq!(
            code(duplicate_encryption_info_file(&system, "f", "g", false, FileAttributes::empty())),
            expected
        );
    }
    assert_eq!(volume.get("f").unwrap().read().efs_raw, raw);
    assert!(volume.get("g").is_none());
}

#[test]
fn efs_63_too_many_users_change_nothing() {
    let place = &places()[0];
    // Ready-made metadata, full but for less than one entry.
    let path = place.put("f", plain_file(100));
    encrypt_file(&place.system, &path).unwrap();
    let source = place.source(&path);
    let mut metadata = source.encrypted().unwrap().unwrap().metadata().to_vec();
    let opened = Decrypted::open(source, &ring(0)).unwrap().opened().fek.clone();
    let mut crowd = recipient(2);
    crowd.display = Some(ntbak_wire::Name::from("n".repeat(60_000).as_str()));
    let near = |metadata: &[u8]| metadata.len() + 250_000 > 262_144;
    assert!(!near(&metadata));
    metadata = ntbak_efs::add_user(&metadata, &opened, &crowd).unwrap();
    drop(place.put("f", file(export(&ntbak::efs::Rekeyed::new(place.source(&path), metadata)))));
    let before = place.raw(&path);
    let mut more = recipient(1);
    more.display = crowd.display.clone();
    let result = add_users_to_encrypted_file(&place.system, &path, &[more.clone()]);
    assert!(result.is_ok(), "240 KB are allowed: {result:?}");
    drop(place.put("f", file(before.clone())));
    more.display = Some(ntbak_wire::Name::from("n".repeat(75_000).as_str()));
    let result = add_users_to_encrypted_file(&place.system, &path, &[more]);
    assert_eq!(code(result), 6013);
    assert!(place.raw(&path) == before);
}

#[test]
fn duplicate_gives_the_same_people() {
    for place in places() {
        let (system, none) = (&place.system, FileAttributes::empty());
        let from = place.put("from", plain_file(3000));
        assert_eq!(code(duplicate_encryption_info_file(system, &from, &place.at("to"), true, none)), 6007);
        encrypt_file(system, &from).unwrap();
        let raw = place.raw(&from);
        let to = place.at("to");
        duplicate_encryption_info_file(system, &from, &to, true, FileAttributes::HIDDEN).unwrap();
        assert_eq!(file_encryption_status(system, &to).unwrap(), EncryptionStatus::Encrypted);
        assert!(place.source(&to).info().unwrap().attributes.contains(FileAttributes::HIDDEN));
        let people = |path: &str| {
            let users = query_users_on_encrypted_file(system, path).unwrap();
            [users, query_recovery_agents_on_encrypted_file(system, path).unwrap()]
        };
        assert_eq!(people(&to), people(&from));
        // With a key of its own: equal sectors of the two must not show.
        let fek = |path: &str| {
            let source = place.source(path);
            let file = source.encrypted().unwrap().unwrap();
            ring(0).open(&ntbak_wire::efs::Metadata::parse(file.metadata()).unwrap()).unwrap().fek
        };
        assert_ne!(fek(&to), fek(&from));
        // Where a certificate is not at hand, it is the same one.
        add_users_to_encrypted_file(system, &from, &[recipient(2)]).unwrap();
        let shared = place.at("shared");
        duplicate_encryption_info_file(system, &from, &shared, true, none).unwrap();
        assert_eq!((fek(&shared), people(&shared)), (fek(&from), people(&from)));
        remove_users_from_encrypted_file(system, &from, &[thumbprint(2)]).unwrap();
        // It is empty, and decrypts to that.
        assert!(
            ring(0)
                .open(
                    &ntbak_wire::efs::Metadata::parse(
                        place.source(&to).encrypted().unwrap().unwrap().metadata()
                    )
                    .unwrap()
                )
                .is_ok()
        );
        // Once more: with CREATE_NEW it is there already, without it is emptied.
        assert_eq!(code(duplicate_encryption_info_file(system, &from, &to, true, none)), 80);
        drop(place.put("to", plain_file(70_000)));
        duplicate_encryption_info_file(system, &from, &to, false, none).unwrap();
        assert_eq!(people(&to), people(&from));
        assert!(place.raw(&to).len() < raw.len());
        // To itself would empty it.
        assert_eq!(code(duplicate_encryption_info_file(system, &from, &from, false, none)), 32);
        // A file is no directory.
        let folder = place.put("d", MemoryFile::directory());
        assert_eq!(code(duplicate_encryption_info_file(system, &from, &folder, false, none)), 87);
        assert_eq!(code(duplicate_encryption_info_file(system, &place.at("gone"), &to, false, none)), 2);
        assert!(place.raw(&from) == raw);
        decrypt_file(system, &to).unwrap();
        assert_eq!(place.source(&to).stream(0).unwrap().map_or(0, |head| head.size), 0);
        place.only(&["d", "from", "shared", "to"]);
    }
}

#[test]
fn the_current_key_is_that_of_new_files() {
    for place in places() {
        set_user_file_encryption_key(&place.system, people()[2].certificate.clone().unwrap()).unwrap();
        let path = place.put("f", plain_file(10));
        encrypt_file(&place.system, &path).unwrap();
        assert!(place.plain(&path, 2).is_ok() && place.plain(&path, 1).is_ok());
        assert_eq!(code(place.plain(&path, 0)), 6002);
        // Whoever encrypts for somebody else cannot decrypt it.
        assert_eq!(code(decrypt_file(&place.system, &path)), 6002);
    }
    let elliptic = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "/dev/null",
        ])
        .args(["-subj", "/CN=ec"])
        .output();
    let Ok(elliptic) = elliptic else {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no openssl");
        eprintln!("skipped: no openssl to make a key of an elliptic curve with");
        return;
    };
    let elliptic = Certificate::read(&elliptic.stdout).unwrap();
    assert_eq!(code(set_user_file_encryption_key(&places()[0].system, elliptic)), 50);
}

#[test]
fn encryption_disable_is_a_line_of_desktop_ini() {
    for place in places() {
        let system = &place.system;
        let folder = place.put("d", MemoryFile::directory());
        let file = place.put("d/f", plain_file(10));
        encryption_disable(system, &folder, true).unwrap();
        let ini = |name: &str| read_all(&*place.source(&place.at(name)), 0, 100);
        assert_eq!(ini("d/Desktop.ini"), b"[Encryption]\r\nDisable=1\r\n");
        assert_eq!(file_encryption_status(system, &file).unwrap(), EncryptionStatus::Disallowed);
        assert_eq!(code(encrypt_file(system, &file)), 6010);
        assert_eq!(file_encryption_status(system, &folder).unwrap(), EncryptionStatus::Disallowed);
        // Not below, and not beside.
        let (below, beside) = (place.put("d/e", MemoryFile::directory()), place.put("g", plain_file(1)));
        assert_eq!(file_encryption_status(system, &beside).unwrap(), EncryptionStatus::Encryptable);
        let below = [below, place.put("d/e/f", plain_file(1))];
        assert_eq!(file_encryption_status(system, &below[1]).unwrap(), EncryptionStatus::Encryptable);
        encryption_disable(system, &folder, false).unwrap();
        assert_eq!(ini("d/Desktop.ini"), b"[Encryption]\r\nDisable=0\r\n");
        encrypt_file(system, &file).unwrap();
        // Files that are encrypted are so all the same; only encrypting is off.
        encryption_disable(system, &folder, true).unwrap();
        assert_eq!(file_encryption_status(system, &file).unwrap(), EncryptionStatus::Encrypted);
        decrypt_file(system, &file).unwrap();
        assert_eq!(code(encryption_disable(system, &file, true)), 267);
        assert_eq!(code(encryption_disable(system, &place.at("gone"), true)), 2);
    }
}

/// Everything else about the file stays: other sections, line ends, bytes of a code page, UTF-16, attributes, streams.
#[test]
fn encryption_disable_keeps_what_is_there() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let cases = [
        (
            b"[.ShellClassInfo]\nInfoTip=caf\xE9\n".to_vec(),
            b"[.ShellClassInfo]\nInfoTip=caf\xE9\n[Encryption]\r\nDisable=1\r\n".to_vec(),
        ),
        (
            b"[A]\r\nx=\xFF\x81\r\n[Encryption]\r\nDisable=0\r\nother=3\r\n[B]\r\nDisable=0".to_vec(),
            b"[A]\r\nx=\xFF\x81\r\n[Encryption]\r\nDisable=1\r\nother=3\r\n[B]\r\nDisable=0".to_vec(),
        ),
        (
            utf16("\u{FEFF}[A]\r\nx=K\u{e4}se\u{1F9C0}\r\n"),
            utf16("\u{FEFF}[A]\r\nx=K\u{e4}se\u{1F9C0}\r\n[Encryption]\r\nDisable=1\r\n"),
        ),
    ];
    for place in places() {
        for (number, (before, after)) in cases.iter().enumerate() {
            // As Windows spells it.
            let folder = place.put(&format!("d{number}"), MemoryFile::directory());
            let ini = MemoryFile::file().with_stream(None, before).with_stream(Some(name("s")), b"stream");
            let ini = with_attributes(ini, FileAttributes::HIDDEN | FileAttributes::SYSTEM);
            let path = place.put(&format!("d{number}/desktop.ini"), ini);
            encryption_disable(&place.system, &folder, true).unwrap();
            let source = place.source(&path);
            let found = read_all(&*source, 0, 100);
            assert!(found == *after, "{:?}", String::from_utf8_lossy(&found));
            assert!(
                source.info().unwrap().attributes.contains(FileAttributes::HIDDEN | FileAttributes::SYSTEM)
            );
            assert_eq!(read_all(&*source, 1, 100), b"stream");
            assert_eq!(file_encryption_status(&place.system, &folder).unwrap(), EncryptionStatus::Disallowed);
            encryption_disable(&place.system, &folder, true).unwrap();
            assert!(read_all(&*place.source(&path), 0, 100) == *after, "twice is once");
            if let Some(dir) = &place.dir {
                assert!(!dir.path().join(format!("d{number}/Desktop.ini")).exists());
            }
        }
        // Something large of that name is no Desktop.ini, and is left alone.
        let folder = place.put("large", MemoryFile::directory());
        let path = place.put("large/desktop.ini", plain_file(2 << 20));
        assert_eq!(code(encryption_disable(&place.system, &folder, true)), 13);
        assert!(read_all(&*place.source(&path), 0, 1 << 20) == content(2 << 20));
    }
}

#[test]
fn efs_48_an_open_handle_is_in_the_way() {
    for place in places() {
        let (system, none) = (&place.system, FileAttributes::empty());
        let path = place.put("f", plain_file(9));
        let how = Create { access: Access::GENERIC_READ, share: Share::READ, ..Create::default() };
        let handle = system.create_file(&path, how).unwrap();
        assert_eq!(code(encrypt_file(system, &path)), 32);
        drop(handle);
        encrypt_file(system, &path).unwrap();
        let handle = system.create_file(&path, how).unwrap();
        assert_eq!(code(decrypt_file(system, &path)), 32);
        assert_eq!(code(add_users_to_encrypted_file(system, &path, &[recipient(2)])), 32);
        assert_eq!(code(remove_users_from_encrypted_file(system, &path, &[])), 32);
        assert_eq!(code(duplicate_encryption_info_file(system, &path, &place.at("g"), true, none)), 32);
        // Looking is allowed.
        assert!(query_users_on_encrypted_file(system, &path).is_ok());
        drop(handle);
        decrypt_file(system, &path).unwrap();
    }
}

/// Another name of the file would keep the plaintext.
#[test]
fn hard_links_are_refused() {
    let place = &places()[1];
    let path = place.put("f", plain_file(9));
    fs::hard_link(&path, place.at("g")).unwrap();
    assert_eq!(code(encrypt_file(&place.system, &path)), 50);
    assert!(place.source(&path).encrypted().unwrap().is_none());
    fs::remove_file(place.at("g")).unwrap();
    encrypt_file(&place.system, &path).unwrap();
    fs::hard_link(&path, place.at("g")).unwrap();
    assert_eq!(code(decrypt_file(&place.system, &path)), 50);
    assert_eq!(code(add_users_to_encrypted_file(&place.system, &path, &[recipient(2)])), 50);
}

#[test]
fn a_failure_leaves_the_file_as_it_was() {
    for kind in [0, 1] {
        let place = &places()[kind];
        let plain = place.put("plain", plain_file(200_000));
        let secret = place.put("secret", plain_file(200_000));
        encrypt_file(&place.system, &secret).unwrap();
        let raw = place.raw(&secret);
        for fails in 0..12 {
            let volume: Box<dyn Volume> = match &place.memory {
                Some(memory) => Box::new(memory.clone()),
                None => machine(),
            };
            let system =
                System::new(Faulty { volume, fails: Some(fails) }).with_keys(alice_with_bobs_recovery());
            let results = [
                code(encrypt_file(&system, &plain)),
                code(decrypt_file(&system, &secret)),
                code(add_users_to_encrypted_file(&system, &secret, &[recipient(2)])),
                code(remove_users_from_encrypted_file(&system, &secret, &[])),
            ];
            // Few records are many bytes; with enough of them it works.
            if results.contains(&0) {
                assert!(fails > 3, "{fails}");
                break;
            }
            assert_eq!(results, [112; 4], "{fails}");
            assert!(place.raw(&secret) == raw, "{fails}");
            let source = place.source(&plain);
            assert!(
                source.encrypted().unwrap().is_none() && read_all(&*source, 0, 1 << 20) == content(200_000)
            );
            place.only(&["plain", "secret"]);
        }
    }
}

fn backup(system: &System, path: &str) -> Result<Vec<u8>> {
    let how =
        Create { access: Access::GENERIC_READ, flags: FileFlags::BACKUP_SEMANTICS, ..Create::default() };
    let handle = system.create_file(path, how)?;
    let (mut context, mut out, mut buffer, mut read) = (Context::default(), Vec::new(), [0; 4096], 0);
    loop {
        backup_read(Some(&handle), &mut buffer, &mut read, false, true, &mut context)?;
        if read == 0 {
            return Ok(out);
        }
        out.extend_from_slice(&buffer[..read as usize]);
    }
}

#[test]
fn backup_read_gives_plaintext_to_who_has_a_key() {
    for place in places() {
        let path = place.put("f", plain_file(70_000));
        let before = backup(&place.system, &path).unwrap();
        encrypt_file(&place.system, &path).unwrap();
        assert!(backup(&place.system, &path).unwrap() == before);
        let other = |ring: KeyRing| {
            let volume: Box<dyn Volume> = match &place.memory {
                Some(memory) => Box::new(memory.clone()),
                None => machine(),
            };
            let keys = EncryptionKeys { ring, ..EncryptionKeys::default() };
            code(backup(&System::new(Faulty { volume, fails: None }).with_keys(keys), &path))
        };
        assert_eq!((other(ring(1)), other(ring(2)), other(KeyRing::new())), (0, 5, 5));
    }
    // Encrypted, and the place does not show how: no key helps.
    let volume = MemoryVolume::new();
    volume.insert("f", with_attributes(MemoryFile::file(), FileAttributes::ENCRYPTED));
    assert_eq!(code(backup(&System::new(volume).with_keys(alice_with_bobs_recovery()), "f")), 5);
}

/// A directory is backed up without its key; so it is with the keys of others at hand.
#[test]
fn a_directory_is_backed_up_with_the_wrong_key_as_with_none() {
    for place in places() {
        let path = place.put("d", MemoryFile::directory());
        let before = backup(&place.system, &path).unwrap();
        encrypt_file(&place.system, &path).unwrap();
        for ring in [KeyRing::new(), ring(0), ring(2)] {
            let volume: Box<dyn Volume> = match &place.memory {
                Some(memory) => Box::new(memory.clone()),
                None => machine(),
            };
            let system = System::new(Faulty { volume, fails: None })
                .with_keys(EncryptionKeys { ring, ..EncryptionKeys::default() });
            assert!(backup(&system, &path).unwrap() == before);
        }
    }
}

/// What a link leads to would stay as it is, while the link said that it is encrypted.
#[test]
fn a_link_is_not_encrypted() {
    let place = &places()[1];
    let target = place.put("f", plain_file(100));
    let link = place.at("link");
    std::os::unix::fs::symlink("f", &link).unwrap();
    assert_eq!(code(encrypt_file(&place.system, &link)), 50);
    assert_eq!(file_encryption_status(&place.system, &link).unwrap(), EncryptionStatus::Encryptable);
    assert!(place.source(&target).encrypted().unwrap().is_none());
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("f"));
}

/// What would be written into ciphertext is nonsense afterwards: Windows refuses who has no key, and so do we.
#[test]
fn nothing_is_written_into_an_encrypted_file() {
    for place in places() {
        let path = place.put("f", plain_file(3000));
        let bytes = backup(&place.system, &path).unwrap();
        encrypt_file(&place.system, &path).unwrap();
        let raw = place.raw(&path);
        let access = Access::GENERIC_WRITE | Access::WRITE_DAC | Access::WRITE_OWNER;
        let flags = FileFlags::BACKUP_SEMANTICS;
        for disposition in [Disposition::CreateAlways, Disposition::TruncateExisting] {
            let how = Create { access, disposition, flags, ..Create::default() };
            assert_eq!(code(place.system.create_file(&path, how)), 5, "{disposition:?}");
            assert!(place.raw(&path) == raw);
        }
        let how = Create { access, disposition: Disposition::OpenExisting, flags, ..Create::default() };
        let handle = place.system.create_file(&path, how).unwrap();
        let (mut context, mut written) = (Context::default(), 0);
        let result = backup_write(Some(&handle), &bytes, &mut written, false, false, &mut context);
        assert_eq!(code(result), 5);
        drop((context, handle));
        assert!(place.raw(&path) == raw);
        assert!(place.plain(&path, 0).unwrap() == content(3000));
    }
}

/// A new file that replaces an encrypted one is not encrypted, and the reverse; the mode of a link is no mode of a file.
#[test]
fn copies_over_one_another() {
    let place = &places()[1];
    let path = place.put("f", plain_file(3000));
    encrypt_file(&place.system, &path).unwrap();
    drop(place.put("f", MemoryFile::file().with_stream(None, b"plain")));
    assert!(place.source(&path).encrypted().unwrap().is_none());
    assert_eq!(read_all(&*place.source(&path), 0, 9), b"plain");
    let secret = export(&protected(MemorySource::new(ntbak::memory::SharedFile::new(plain_file(99))), true));
    drop(place.put("f", file(secret.clone())));
    assert!(place.raw(&path) == secret);
    std::os::unix::fs::symlink("f", place.at("link")).unwrap();
    let link = place.at("link");
    let sink = ntbak::place::stage(Path::new(&link), false).unwrap();
    let there = ntbak::place::open(Path::new(&link)).unwrap();
    let (told, mut rest) = (ntbak::Collected::new(), &secret[..]);
    let report = FileReport { to: &told, path: Path::new("link") };
    let read = |block: &mut [u8]| {
        let len = rest.len().min(block.len());
        block[..len].copy_from_slice(&rest[..len]);
        rest = &rest[len..];
        Ok(len)
    };
    ntbak::efs::import_raw(sink, Some(&*there), read, &report).unwrap();
    let mode = fs::symlink_metadata(&link).unwrap().permissions().mode();
    assert_eq!(mode & 0o022, 0, "{mode:o}");
    assert!(
        read_all(&Decrypted::open(RawSource::open(place.raw(&link)).unwrap(), &ring(0)).unwrap(), 0, 999)
            == content(99)
    );
}
