//! A caller and the drives: what all functions have in common.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use ntbak_wire::Win32Error;
use ntbak_wire::stream::StreamName;

use crate::capability::Facts;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::restore_stream::{LinkResolver, WritePolicy};
use crate::sink::FileSink;
use crate::win32::change::refuse_read_only;
use crate::win32::file_encryption::{EncryptionKeys, SharedKeys};
use crate::win32::handle::{Inner, MakeResolver};
use crate::win32::host_content::Rewritten;
use crate::win32::links::LinkRoot;
use crate::win32::open_files::{OpenFiles, Place, Shared, lock};
use crate::win32::path::{self, Last, Parsed};
use crate::win32::resolve::{Follow, Resolved};
use crate::win32::{Access, Drives, FileFlags, Handle, Identity, Node, Privileges};

/// The drives, what is open on them, and the caller.
pub struct System {
    drives: Arc<Drives>,
    shares: OpenFiles,
    changing: Mutex<()>,
    privileges: Privileges,
    policy: Mutex<WritePolicy>,
    links: Option<MakeResolver>,
    link_root: Option<Vec<u8>>,
    links_on_drives: bool,
    report: Option<Arc<dyn Report + Send>>,
    keys: Arc<SharedKeys>,
}

impl System {
    /// The functions over these drives, or over one volume without a letter, for a caller who has every privilege.
    #[must_use]
    pub fn new(drives: impl Into<Drives>) -> Self {
        Self {
            drives: Arc::new(drives.into()),
            shares: OpenFiles::default(),
            changing: Mutex::default(),
            privileges: Privileges::all(),
            policy: Mutex::default(),
            links: None,
            link_root: None,
            links_on_drives: false,
            report: None,
            keys: Arc::default(),
        }
    }

    /// The same, for a caller with these privileges only.
    #[must_use]
    pub fn with_privileges(mut self, privileges: Privileges) -> Self {
        self.privileges = privileges;
        self
    }

    /// The same with this policy for `BackupWrite`.
    #[must_use]
    pub fn with_policy(self, policy: WritePolicy) -> Self {
        self.set_policy(policy);
        self
    }

    /// Changes the policy for `BackupWrite` on files that are opened from now on (`ntbak_set_policy`).
    pub fn set_policy(&self, policy: WritePolicy) {
        *lock(&self.policy) = policy;
    }

    /// The same with a resolver for LINK streams: called with the path of the file that is written, for each context.
    #[must_use]
    pub fn with_links<F>(mut self, resolver: F) -> Self
    where
        F: Fn(&str) -> Box<dyn LinkResolver> + Send + Sync + 'static,
    {
        self.links = Some(Arc::new(resolver));
        self
    }

    /// The same with LINK streams whose paths are below a directory of the drives: the file that is written becomes one more
    /// name of the file there. A resolver comes before it.
    #[must_use]
    pub fn with_link_root(mut self, directory: impl AsRef<[u8]>) -> Self {
        self.link_root = Some(directory.as_ref().to_vec());
        self
    }

    /// The same with LINK streams whose paths begin at the root of the drive of the file that is written, as
    /// `FindFirstFileNameW` tells names. A resolver and a link root come before it; a file that was opened by a path of Linux
    /// becomes no link.
    #[must_use]
    pub fn with_links_on_drives(mut self) -> Self {
        self.links_on_drives = true;
        self
    }

    /// The same with a report, which hears what `BackupWrite` passes over, and what `BackupRead` cannot read: Windows'
    /// functions have no way to say it.
    #[must_use]
    pub fn with_report(mut self, report: Arc<dyn Report + Send>) -> Self {
        self.report = Some(report);
        self
    }

    /// The same with keys for encrypted files: the functions of file encryption need them, and `BackupRead` gives the
    /// plaintext of what one of them opens.
    #[must_use]
    pub fn with_keys(mut self, keys: EncryptionKeys) -> Self {
        self.keys = Arc::new(Mutex::new(keys));
        self
    }

    pub(super) fn keys(&self) -> &SharedKeys {
        &self.keys
    }

    /// Whether a file or directory at `path` can hold `fact`.
    pub(super) fn holds(&self, path: &str, directory: bool, fact: Facts) -> bool {
        let resolved = self.drives.resolve(path.as_bytes(), Follow::Itself);
        let node = resolved.ok().and_then(|resolved| resolved.node.or(resolved.parent));
        node.is_none_or(|node| node.capabilities(directory).holds(fact))
    }

    /// Whether an encrypted file at `path` can have holes.
    pub(super) fn keeps_holes(&self, path: &str) -> bool {
        self.holds(path, false, Facts::VDL)
    }

    pub(super) fn shares(&self) -> &OpenFiles {
        &self.shares
    }

    pub(super) fn report(&self) -> Option<&(dyn Report + Send)> {
        self.report.as_deref()
    }

    /// The volumes.
    #[must_use]
    pub fn drives(&self) -> &Drives {
        &self.drives
    }

    /// What the caller may do.
    #[must_use]
    pub fn privileges(&self) -> Privileges {
        self.privileges
    }

    /// Held while names are made and changed: two spellings of one name must not be made at the same time.
    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        lock(&self.changing)
    }

    /// Fails where `parent` is deleted, and still open: nothing comes into it any more.
    pub(super) fn refuse_deleted(&self, parent: &dyn Node) -> Result<()> {
        if self.shares().is_pending(parent.identity(), None) {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "the directory is deleted, and still open"));
        }
        Ok(())
    }

    /// The file that a path names, a link itself, if it is there.
    pub(super) fn find(&self, path: &[u8], follow: Follow) -> Result<(Resolved, Arc<dyn Node>)> {
        let mut resolved = self.drives.resolve(path, follow)?;
        let node = resolved.node.take();
        let node = node.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "the file is not there"))?;
        if resolved.directory && !node.is_directory() {
            return Err(Error::new(Win32Error::INVALID_NAME, "a file is no directory"));
        }
        if let Some(stream) = &resolved.stream {
            let found = Rewritten::find(&*node.source()?, stream)?.and_then(|(_, head)| head.name);
            let none = || Error::new(Win32Error::FILE_NOT_FOUND, "the stream is not there");
            resolved.stream = Some(found.ok_or_else(none)?);
        }
        Ok((resolved, node))
    }

    /// Fails with 19 where nothing can be written to what a path names, or is going to name.
    pub(super) fn refuse_read_only(&self, path: &str) -> Result<()> {
        let resolved = self.drives.resolve(path.as_bytes(), Follow::Itself)?;
        refuse_read_only(resolved.node.as_ref().or(resolved.parent.as_ref()))
    }

    /// The file that a path names, whatever it is.
    pub(super) fn open_itself(&self, path: &str) -> Result<Arc<dyn Node>> {
        self.find(path.as_bytes(), Follow::Itself).map(|(_, node)| node)
    }

    /// A new file at `path`, which appears with its commit, in place of one that is there; or a directory, which may be
    /// there already.
    pub(super) fn stage(&self, path: &str, directory: bool) -> Result<Box<dyn FileSink>> {
        let resolved = self.drives.resolve(path.as_bytes(), Follow::Itself)?;
        let directory_there = resolved.node.as_ref().is_some_and(|node| node.is_directory());
        match (resolved.parent, resolved.node) {
            (None, Some(there)) if directory && directory_there => there.sink(),
            (Some(parent), _) if directory || !resolved.directory => parent.stage(&resolved.name, directory),
            (Some(_), _) => {
                let why = "it ends with a separator, and no directory of this name is there";
                Err(Error::new(Win32Error::PATH_NOT_FOUND, why))
            }
            (None, _) => Err(Error::new(Win32Error::ACCESS_DENIED, "the root of a volume stays what it is")),
        }
    }

    /// The root of the drive that a path is on, where LINK streams begin there.
    fn root_of(&self, path: &str) -> Option<Vec<u8>> {
        let is_drive = |letter| self.drives.has(letter);
        match path::parse(path.as_bytes(), Last::Name, is_drive) {
            Ok(Parsed::Drive(letter, _)) if self.links_on_drives => Some(vec![letter, b':', b'\\']),
            _ => None,
        }
    }

    pub(super) fn make_handle(&self, made: Made) -> Handle {
        let Made { node, identity, place, path, stream, access, flags, existed, shared } = made;
        let restore = self.privileges.contains(Privileges::RESTORE);
        let link_root = self.link_root.clone().or_else(|| self.root_of(&path));
        let link_root = link_root.map(|path| LinkRoot { drives: self.drives.clone(), path });
        Handle::new(Inner {
            id: Inner::next_id(),
            node,
            identity,
            place,
            path,
            stream,
            access,
            flags,
            restore_intent: restore && flags.contains(FileFlags::BACKUP_SEMANTICS),
            existed,
            policy: *lock(&self.policy),
            links: self.links.clone(),
            link_root,
            report: self.report.clone(),
            keys: self.keys.clone(),
            position: Mutex::default(),
            content: OnceLock::new(),
            shared,
        })
    }
}

/// What a handle is made of.
pub(super) struct Made {
    pub(super) node: Arc<dyn Node>,
    pub(super) identity: Identity,
    pub(super) place: Arc<Mutex<Place>>,
    pub(super) path: String,
    pub(super) stream: Option<StreamName>,
    pub(super) access: Access,
    pub(super) flags: FileFlags,
    pub(super) existed: bool,
    pub(super) shared: Shared,
}
