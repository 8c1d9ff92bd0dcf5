//! `EncryptFile` and the functions around it, over keys that the caller supplies: on Linux there is no store of
//! certificates to ask.

use std::sync::{Mutex, PoisonError};

use ntbak_efs::{Added, Algorithm, Certificate, Fek, KeyRing, Recipient};
use ntbak_wire::efs::{Holder, HolderKind, Metadata, Wrapping};
use ntbak_wire::object_id::Guid;
use ntbak_wire::record::{FileInfo, SmallKind, StreamHead};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::capability::Facts;
use crate::efs::{Decrypted, Protected, Protection, Rekeyed};
use crate::error::{Error, Result};
use crate::report::{Collected, FileReport, Report};
use crate::restore::copy;
use crate::source::FileSource;
use crate::win32::ini::{Edited, Ini};
use crate::win32::open_files::Shared;
use crate::win32::{Access, Share, System};

/// The keys of the caller.
#[derive(Debug, Clone, Default)]
pub struct EncryptionKeys {
    /// Private keys: they open files.
    pub ring: KeyRing,
    /// For whom [`encrypt_file`] encrypts: the user's current key.
    pub current: Option<Recipient>,
    /// Recovery agents of every new file.
    pub agents: Vec<Recipient>,
    /// A GUID of this computer, which goes into new metadata.
    pub computer: [u8; 16],
}

/// What [`file_encryption_status`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum EncryptionStatus {
    /// FILE_ENCRYPTABLE.
    Encryptable = 0,
    /// FILE_IS_ENCRYPTED.
    Encrypted = 1,
    /// FILE_SYSTEM_ATTR: a system file.
    SystemAttribute = 2,
    /// FILE_ROOT_DIR.
    RootDirectory = 3,
    /// FILE_SYSTEM_NOT_SUPPORT: the place holds no encrypted files.
    NotSupported = 6,
    /// FILE_READ_ONLY: the file is, or its volume.
    ReadOnly = 8,
    /// FILE_DIR_DISALLOWED: see [`encryption_disable`].
    Disallowed = 9,
}

/// Keys that several functions of one [`System`] share.
pub(super) type SharedKeys = Mutex<EncryptionKeys>;

/// A copy of the keys.
pub(super) fn keys_of(system: &System) -> EncryptionKeys {
    system.keys().lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// `EncryptFile`: encrypts all streams of a file for the current user and the recovery agents; the file is replaced when
/// its encrypted form is whole. A directory gets the attribute and metadata, its children stay as they are.
///
/// # Errors
/// | number | when |
/// | --- | --- |
/// | 5 | a system file |
/// | 19 | the volume is only read; so it is with all functions here that change something |
/// | 32 | another handle has it open |
/// | 50 | a file with several names (hard links): the others would keep the plaintext |
/// | 6006 | no current key: see [`set_user_file_encryption_key`] |
/// | 6009 | a read-only file |
/// | 6010 | encryption is disabled for its directory |
/// | 6014 | the place holds no encrypted files |
pub fn encrypt_file(system: &System, path: &str) -> Result<()> {
    let at_path = |error: Error| error.at_path(path);
    system.refuse_read_only(path).map_err(at_path)?;
    let (source, _alone) = open_alone(system, path).map_err(at_path)?;
    let info = source.info().map_err(at_path)?;
    match status(system, path, &info).map_err(at_path)? {
        EncryptionStatus::Encrypted => return Ok(()),
        EncryptionStatus::Encryptable => {}
        EncryptionStatus::ReadOnly => {
            return Err(at_path(Error::new(Win32Error::FILE_READ_ONLY, "the file is read-only")));
        }
        EncryptionStatus::Disallowed => {
            let why = "encryption is disabled in its directory (Desktop.ini)";
            return Err(at_path(Error::new(Win32Error::DIR_EFS_DISALLOWED, why)));
        }
        EncryptionStatus::NotSupported => {
            let why = "this place holds no encrypted files";
            return Err(at_path(Error::new(Win32Error::VOLUME_NOT_SUPPORT_EFS, why)));
        }
        EncryptionStatus::SystemAttribute | EncryptionStatus::RootDirectory => {
            let why = "neither system files nor the root of a volume are encrypted";
            return Err(at_path(Error::new(Win32Error::ACCESS_DENIED, why)));
        }
    }
    refuse_links(&info).map_err(at_path)?;
    let keys = keys_of(system);
    let Some(current) = keys.current else {
        let why = "there is no current key to encrypt for; set one";
        return Err(at_path(Error::new(Win32Error::NO_USER_KEYS, why)));
    };
    let fek = Fek::generate(Algorithm::Aes256).map_err(|error| at_path(error.into()))?;
    let with = Protection {
        fek: &fek,
        users: &[current],
        agents: &keys.agents,
        computer: Guid(keys.computer),
        holes: system.keeps_holes(path),
    };
    let source = Protected::new(source, &with).map_err(at_path)?;
    replace(system, path, &source).map_err(at_path)
}

/// `DecryptFile`: puts the plaintext in the place of an encrypted file. A file that is not encrypted stays as it is.
///
/// # Errors
/// 6002 or 6006 when no key opens it, 6009 when it is read-only, 32 when another handle has it open, 50 for a file with
/// several names and for a directory on ntfs-3g, which cannot take metadata away.
pub fn decrypt_file(system: &System, path: &str) -> Result<()> {
    let at_path = |error: Error| error.at_path(path);
    system.refuse_read_only(path).map_err(at_path)?;
    let (source, _alone) = open_alone(system, path).map_err(at_path)?;
    let info = source.info().map_err(at_path)?;
    if !info.attributes.contains(FileAttributes::ENCRYPTED) {
        return Ok(());
    }
    if info.attributes.contains(FileAttributes::READONLY) && !info.attributes.is_directory() {
        return Err(at_path(Error::new(Win32Error::FILE_READ_ONLY, "the file is read-only")));
    }
    refuse_links(&info).map_err(at_path)?;
    let plain = Decrypted::open(source, &keys_of(system).ring).map_err(at_path)?;
    replace(system, path, &plain).map_err(at_path)?;
    // A directory is changed as it is, and not every place can do that.
    let still = open(system, path).and_then(|source| source.info()).map_err(at_path)?;
    if still.attributes.contains(FileAttributes::ENCRYPTED) {
        let why = "it stays encrypted: the place cannot take that away from a directory";
        return Err(at_path(Error::new(Win32Error::NOT_SUPPORTED, why)));
    }
    Ok(())
}

/// `FileEncryptionStatus`.
///
/// # Errors
/// The file is not there or cannot be looked at.
pub fn file_encryption_status(system: &System, path: &str) -> Result<EncryptionStatus> {
    let at_path = |error: Error| error.at_path(path);
    let info = open(system, path).and_then(|source| source.info()).map_err(at_path)?;
    status(system, path, &info).map_err(at_path)
}

fn status(system: &System, path: &str, info: &FileInfo) -> Result<EncryptionStatus> {
    let attributes = info.attributes;
    let is = |attribute| attributes.contains(attribute);
    Ok(if is(FileAttributes::ENCRYPTED) {
        EncryptionStatus::Encrypted
    } else if is(FileAttributes::SYSTEM) {
        EncryptionStatus::SystemAttribute
    } else if attributes.is_directory() && is_root(path) {
        EncryptionStatus::RootDirectory
    } else if is(FileAttributes::READONLY) && !attributes.is_directory()
        || system.refuse_read_only(path).is_err()
    {
        EncryptionStatus::ReadOnly
    } else if is_disabled(system, path, attributes)? {
        EncryptionStatus::Disallowed
    } else if !system.holds(path, attributes.is_directory(), Facts::EFS) {
        EncryptionStatus::NotSupported
    } else {
        EncryptionStatus::Encryptable
    })
}

/// `QueryUsersOnEncryptedFile`: who can open the file, without the recovery agents. No key is needed.
///
/// # Errors
/// 6007 when it is not encrypted; 6008 when its metadata are damaged.
pub fn query_users_on_encrypted_file(system: &System, path: &str) -> Result<Vec<Holder>> {
    holders(system, path, HolderKind::User)
}

/// `QueryRecoveryAgentsOnEncryptedFile`; none is an empty list.
///
/// # Errors
/// The same.
pub fn query_recovery_agents_on_encrypted_file(system: &System, path: &str) -> Result<Vec<Holder>> {
    holders(system, path, HolderKind::RecoveryAgent)
}

fn holders(system: &System, path: &str, kind: HolderKind) -> Result<Vec<Holder>> {
    let (_, metadata) = encrypted(system, path)?;
    let holders = Metadata::parse(&metadata).map_err(|error| Error::from(error).at_path(path))?.holders();
    Ok(holders.into_iter().filter(|holder| holder.kind == kind).collect())
}

/// `AddUsersToEncryptedFile`: who holds these certificates can open the file from now on. One that is there already is
/// not added again.
///
/// # Errors
/// 6002 or 6006 when no key opens the file, 6013 for more than 262,144 bytes of metadata; the file is unchanged then.
pub fn add_users_to_encrypted_file(system: &System, path: &str, users: &[Recipient]) -> Result<()> {
    let at_path = |error: Error| error.at_path(path);
    system.refuse_read_only(path).map_err(at_path)?;
    let (source, mut metadata, _alone) = encrypted_alone(system, path)?;
    let opened = Metadata::parse(&metadata)
        .map_err(|error| at_path(error.into()))
        .and_then(|parsed| keys_of(system).ring.open(&parsed).map_err(|error| at_path(error.into())))?;
    for user in users {
        metadata =
            ntbak_efs::add_user(&metadata, &opened.fek, user).map_err(|error| at_path(error.into()))?;
    }
    replace(system, path, &Rekeyed::new(source, metadata)).map_err(at_path)
}

/// `RemoveUsersFromEncryptedFile`: takes the users with these thumbprints away; others are ignored. The caller must hold a
/// key of the file.
///
/// # Errors
/// 6002 or 6006 when no key opens the file; 87 when no user would be left.
pub fn remove_users_from_encrypted_file(system: &System, path: &str, thumbprints: &[&[u8]]) -> Result<()> {
    let at_path = |error: Error| error.at_path(path);
    system.refuse_read_only(path).map_err(at_path)?;
    let (source, mut metadata, _alone) = encrypted_alone(system, path)?;
    let parsed = Metadata::parse(&metadata).map_err(|error| at_path(error.into()))?;
    keys_of(system).ring.open(&parsed).map_err(|error| at_path(error.into()))?;
    for thumbprint in thumbprints {
        metadata = ntbak_efs::remove_user(&metadata, thumbprint).map_err(|error| at_path(error.into()))?;
    }
    replace(system, path, &Rekeyed::new(source, metadata)).map_err(at_path)
}

/// `DuplicateEncryptionInfoFile`: gives `to` the users and recovery agents of `from`, and a new key. With `create_new` it
/// must not be there; otherwise it is emptied. `attributes` are those of the new file. Both are files, or both directories.
///
/// The file gets a key of its own where the certificates of all users and agents are among those of the caller. Windows
/// makes one for a single user; where it cannot be made the key of `from` is taken over, and equal sectors of both files are
/// equal ciphertext.
///
/// # Errors
/// 6007 when `from` is not encrypted, 80 when `to` is there and must not be, 6002 when no key opens `from`, 32 when
/// another handle has one of them open, or both are the same.
pub fn duplicate_encryption_info_file(
    system: &System,
    from: &str,
    to: &str,
    create_new: bool,
    attributes: FileAttributes,
) -> Result<()> {
    system.refuse_read_only(to).map_err(|error| error.at_path(to))?;
    // Both alone: `to` may be another name of `from`.
    let (source, metadata, _alone) = encrypted_alone(system, from)?;
    let directory = source.info().map_err(|error| error.at_path(from))?.attributes.is_directory();
    let at_path = |error: Error| error.at_path(to);
    let keys = keys_of(system);
    let own = Metadata::parse(&metadata)
        .map_err(Error::from)
        .and_then(|parsed| with_own_key(&parsed, keys.ring.open(&parsed)?.fek.algorithm(), &keys));
    let metadata = own.map_err(|error| error.at_path(from))?.unwrap_or(metadata);
    let there = match open_alone(system, to) {
        Ok(_) if create_new => {
            return Err(at_path(Error::new(Win32Error::FILE_EXISTS, "the file exists already")));
        }
        Ok(there) => Some(there),
        Err(error) if is_missing(&error) => None,
        Err(error) => return Err(at_path(error)),
    };
    if let Some((there, _)) = &there {
        let info = there.info().map_err(at_path)?;
        refuse_links(&info).map_err(at_path)?;
        if info.attributes.is_directory() != directory {
            let why = "one of the two is a directory, and the other is not";
            return Err(at_path(Error::new(Win32Error::INVALID_PARAMETER, why)));
        }
    }
    let kind = if directory { FileAttributes::DIRECTORY } else { FileAttributes::empty() };
    let info = FileInfo { attributes: attributes | kind, link_count: 1, ..FileInfo::default() };
    let empty = Rekeyed::new(Empty { info }, metadata);
    replace(system, to, &empty).map_err(at_path)
}

/// The same people, and a new key; `None` where the certificate of one of them is not at hand.
fn with_own_key(
    metadata: &Metadata<'_>,
    algorithm: Algorithm,
    keys: &EncryptionKeys,
) -> Result<Option<Vec<u8>>> {
    let Metadata::V1(view) = metadata else { return Ok(None) };
    let certificate = |thumbprint: &[u8]| {
        let mine = keys.ring.identities().iter().filter_map(|identity| identity.certificate.as_ref());
        let known = keys.current.iter().chain(&keys.agents).map(|recipient| &recipient.certificate);
        mine.chain(known).find(|certificate| certificate.thumbprint() == thumbprint).cloned()
    };
    let (mut users, mut agents) = (Vec::new(), Vec::new());
    for holder in view.holders() {
        let found = holder.thumbprint.as_deref().and_then(certificate);
        let Some(certificate) = found.filter(|_| holder.wrapping == Wrapping::Rsa) else { return Ok(None) };
        let list = if holder.kind == HolderKind::User { &mut users } else { &mut agents };
        list.push(Recipient {
            certificate,
            display: holder.display,
            sid: holder.sid,
            container: holder.container.zip(holder.provider),
        });
    }
    let fek = Fek::generate(algorithm)?;
    let made = ntbak_efs::protect(&fek, &users, &agents, view.id)?;
    let hashed = view.hash != [0; 16];
    Ok(Some(if hashed { ntbak_efs::with_windows_2000_hash(&made)? } else { made }))
}

/// `SetUserFileEncryptionKey`: new files are encrypted for the holder of this certificate.
///
/// # Errors
/// 50 when its key is not RSA.
pub fn set_user_file_encryption_key(system: &System, certificate: Certificate) -> Result<()> {
    if certificate.public_key().is_none() {
        let why = "the key of the certificate is not RSA";
        return Err(Error::new(Win32Error::NOT_SUPPORTED, why));
    }
    system.keys().lock().unwrap_or_else(PoisonError::into_inner).current = Some(Recipient::new(certificate));
    Ok(())
}

/// Adds the keys of a PFX or PEM file to those of the caller (`ntbak_efs_add_key`). Where [`encrypt_file`] has nobody to encrypt
/// for yet, it is the owner of the first of them that has a certificate for EFS.
///
/// # Errors
/// 86 for a wrong password, 13 for what is no key file; 50 when nothing in it can be used.
pub fn add_encryption_key(system: &System, file: &[u8], password: Option<&str>) -> Result<Added> {
    let mut keys = system.keys().lock().unwrap_or_else(PoisonError::into_inner);
    let added = keys.ring.add_file(file, password)?;
    if keys.current.is_none() {
        let certificates = keys.ring.identities().iter().filter_map(|identity| identity.certificate.as_ref());
        let mut own = certificates.filter(|own| own.is_for_efs() && own.public_key().is_some());
        let current = own.next().cloned().map(Recipient::new);
        keys.current = current;
    }
    Ok(added)
}

/// `EncryptionDisable`: whether [`encrypt_file`] works for the files of a directory, by its `Desktop.ini`.
///
/// # Errors
/// 267 when it is no directory; 5 when its `Desktop.ini` is encrypted; the file cannot be written. Everything else in
/// that file stays as it is, byte for byte.
pub fn encryption_disable(system: &System, path: &str, disable: bool) -> Result<()> {
    system.refuse_read_only(path).map_err(|error| error.at_path(path))?;
    let source = open(system, path).map_err(|error| error.at_path(path))?;
    if !source.info().map_err(|error| error.at_path(path))?.attributes.is_directory() {
        return Err(Error::new(Win32Error::DIRECTORY, "it is no directory").at_path(path));
    }
    let (ini, there) = find_ini(system, Some(path))?;
    let at_path = |error: Error| error.at_path(&ini);
    let before = match &there {
        Some(there) => Ini::read(&**there).map_err(at_path)?,
        None => Ini::default(),
    };
    let ini_after = Edited { there, content: before.with_setting(disable).to_bytes() };
    replace(system, &ini, &ini_after).map_err(at_path)
}

/// Whether the directory of a file, or the directory itself, says that nothing is encrypted in it.
fn is_disabled(system: &System, path: &str, attributes: FileAttributes) -> Result<bool> {
    let directory = if attributes.is_directory() { Some(path) } else { parent(path) };
    let (ini, there) = find_ini(system, directory)?;
    let Some(there) = there else { return Ok(false) };
    if there.info()?.attributes.contains(FileAttributes::ENCRYPTED) {
        // A system file, which Windows does not encrypt; what it says is not known.
        return Ok(false);
    }
    Ok(Ini::read(&*there).map_err(|error| error.at_path(&ini))?.is_disabled())
}

/// The `Desktop.ini` of a directory: its path, and the file when it is there. Where case matters, Windows' own spellings
/// are looked for.
fn find_ini(system: &System, directory: Option<&str>) -> Result<(String, Option<Box<dyn FileSource>>)> {
    let path = |name: &str| directory.map_or_else(|| name.to_owned(), |directory| join(directory, name));
    for name in ["desktop.ini", "DESKTOP.INI", "Desktop.ini"] {
        match open(system, &path(name)) {
            Ok(source) => return Ok((path(name), Some(source))),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error.at_path(path(name))),
        }
    }
    Ok((path("Desktop.ini"), None))
}

fn is_missing(error: &Error) -> bool {
    [Win32Error::FILE_NOT_FOUND, Win32Error::PATH_NOT_FOUND].contains(&error.win32())
}

/// `/`, `C:\`, or nothing at all.
fn is_root(path: &str) -> bool {
    let path = path.trim_end_matches(['/', '\\']);
    path.is_empty() || path.len() == 2 && path.ends_with(':')
}

fn parent(path: &str) -> Option<&str> {
    let at = path.trim_end_matches(['/', '\\']).rfind(['/', '\\'])?;
    path.get(..at.max(1))
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches(['/', '\\']))
}

fn open(system: &System, path: &str) -> Result<Box<dyn FileSource>> {
    system.open_itself(path)?.source()
}

/// A file that nobody else has open, and what keeps it so.
fn open_alone(system: &System, path: &str) -> Result<(Box<dyn FileSource>, Shared)> {
    let opened = system.open_itself(path)?;
    let access = Access::FILE_READ_DATA | Access::FILE_WRITE_DATA;
    let shared = system.shares().enter(opened.identity(), access, Share::empty())?;
    Ok((opened.source()?, shared))
}

/// An encrypted file that nobody else has open, its metadata, and what keeps it so.
fn encrypted_alone(system: &System, path: &str) -> Result<(Box<dyn FileSource>, Vec<u8>, Shared)> {
    let at_path = |error: Error| error.at_path(path);
    let (source, shared) = open_alone(system, path).map_err(at_path)?;
    let metadata = metadata_of(&*source).map_err(at_path)?;
    refuse_links(&source.info().map_err(at_path)?).map_err(at_path)?;
    Ok((source, metadata, shared))
}

/// A file is replaced: its other names would keep what it was before.
fn refuse_links(info: &FileInfo) -> Result<()> {
    if info.link_count < 2 || info.attributes.is_directory() {
        return Ok(());
    }
    let why = format!("it has {} names (hard links), and the others would stay as they are", info.link_count);
    Err(Error::new(Win32Error::NOT_SUPPORTED, why).hint("remove the other names first"))
}

/// An encrypted file and its metadata.
fn encrypted(system: &System, path: &str) -> Result<(Box<dyn FileSource>, Vec<u8>)> {
    let at_path = |error: Error| error.at_path(path);
    let source = open(system, path).map_err(at_path)?;
    let metadata = metadata_of(&*source).map_err(at_path)?;
    Ok((source, metadata))
}

fn metadata_of(source: &dyn FileSource) -> Result<Vec<u8>> {
    let metadata = source.encrypted()?.map(|file| file.metadata().to_vec());
    metadata.ok_or_else(|| Error::new(Win32Error::FILE_NOT_ENCRYPTED, "the file is not encrypted"))
}

/// Puts a file in the place of the one at `path`, whole or not at all.
fn replace(system: &System, path: &str, source: &dyn FileSource) -> Result<()> {
    let directory = source.info()?.attributes.is_directory();
    let silent = Collected::new();
    let report = FileReport { to: report_of(system, &silent), path: path.as_ref() };
    copy(source, system.stage(path, directory)?, &report)
}

fn report_of<'a>(system: &'a System, silent: &'a Collected) -> &'a dyn Report {
    match system.report() {
        Some(report) => report,
        None => silent,
    }
}

/// A file without content.
struct Empty {
    info: FileInfo,
}

impl FileSource for Empty {
    fn info(&self) -> Result<FileInfo> {
        let mut info = self.info.clone();
        info.attributes.insert(FileAttributes::ENCRYPTED);
        Ok(info)
    }

    fn small(&self, _kind: SmallKind) -> Result<Option<std::borrow::Cow<'_, [u8]>>> {
        Ok(None)
    }

    fn stream(&self, _index: usize) -> Result<Option<StreamHead>> {
        Ok(None)
    }

    fn next_extent(&self, _stream: usize, _from: u64) -> Result<Option<ntbak_wire::record::Extent>> {
        Ok(None)
    }

    fn read_at(&self, _stream: usize, _offset: u64, _buf: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn crate::efs::Encrypted + '_>>> {
        Ok(Some(Box::new(NoStreams)))
    }
}

struct NoStreams;

impl crate::efs::Encrypted for NoStreams {
    fn metadata(&self) -> &[u8] {
        &[]
    }

    fn streams(&self) -> &[ntbak_wire::efs::StreamPlan] {
        &[]
    }

    fn read_stored(&self, _stream: usize, _offset: u64, _buf: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
}
