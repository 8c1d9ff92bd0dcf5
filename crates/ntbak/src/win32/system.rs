//! `CreateFile`, and what all handles have in common.

use std::sync::{Arc, Mutex};

use ntbak_wire::Win32Error;

use crate::capability::Facts;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::restore_stream::{LinkResolver, WritePolicy};
use crate::win32::file_encryption::{EncryptionKeys, SharedKeys};
use crate::win32::handle::{Inner, MakeResolver, ShareTable};
use crate::win32::{Access, Disposition, FileFlags, Handle, OpenRequest, Privileges, Share, Volume};

/// A volume with handles to its files.
pub struct System {
    volume: Box<dyn Volume>,
    shares: ShareTable,
    privileges: Privileges,
    policy: WritePolicy,
    links: Option<MakeResolver>,
    report: Option<Arc<dyn Report + Send>>,
    keys: Arc<SharedKeys>,
}

/// The parameters of `CreateFile` behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Create {
    /// dwDesiredAccess.
    pub access: Access,
    /// dwShareMode.
    pub share: Share,
    /// dwCreationDisposition.
    pub disposition: Disposition,
    /// The flags of dwFlagsAndAttributes.
    pub flags: FileFlags,
}

impl Default for Create {
    /// Open what exists, for reading attributes only, shared with everybody.
    fn default() -> Self {
        let (access, share) = (Access::empty(), Share::all());
        Self { access, share, disposition: Disposition::OpenExisting, flags: FileFlags::empty() }
    }
}

impl System {
    /// The functions over this volume, for a caller who has every privilege.
    #[must_use]
    pub fn new(volume: impl Volume + 'static) -> Self {
        Self {
            volume: Box::new(volume),
            shares: ShareTable::default(),
            privileges: Privileges::all(),
            policy: WritePolicy::default(),
            links: None,
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
    pub fn with_policy(mut self, policy: WritePolicy) -> Self {
        self.policy = policy;
        self
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

    /// The same with a report, which hears what `BackupWrite` passes over: Windows' function has no way to say it.
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
        self.volume.capabilities(path, directory).holds(fact)
    }

    /// Whether an encrypted file at `path` can have holes.
    pub(super) fn keeps_holes(&self, path: &str) -> bool {
        self.holds(path, false, Facts::VDL)
    }

    pub(super) fn volume(&self) -> &dyn Volume {
        &*self.volume
    }

    pub(super) fn shares(&self) -> &ShareTable {
        &self.shares
    }

    pub(super) fn report(&self) -> Option<&(dyn Report + Send)> {
        self.report.as_deref()
    }

    /// `CreateFile`: opens or makes a file or, with BACKUP_SEMANTICS, opens a directory.
    ///
    /// FILE_FLAG_NO_BUFFERING is accepted here; `BackupRead` and `BackupWrite` refuse the handle, as Windows does.
    ///
    /// # Errors
    /// | number | when |
    /// | --- | --- |
    /// | 2, 3 | the file, or a directory of its path, is not there |
    /// | 5 | reserved access bits; a directory without BACKUP_SEMANTICS; the place refuses |
    /// | 32 | another handle does not share |
    /// | 80 | CREATE_NEW, and it exists |
    /// | 87 | OPEN_REPARSE_POINT with CREATE_ALWAYS; TRUNCATE_EXISTING without write access |
    /// | 1314 | ACCESS_SYSTEM_SECURITY without the privilege |
    pub fn create_file(&self, path: &str, how: Create) -> Result<Handle> {
        let refuse = |why: &'static str| Err(Error::new(Win32Error::INVALID_PARAMETER, why).at_path(path));
        let access = how.access.granted(self.privileges).map_err(|error| error.at_path(path))?;
        let open_reparse_point = how.flags.contains(FileFlags::OPEN_REPARSE_POINT);
        if open_reparse_point && how.disposition == Disposition::CreateAlways {
            return refuse("OPEN_REPARSE_POINT cannot be combined with CREATE_ALWAYS");
        }
        if how.disposition == Disposition::TruncateExisting && !access.contains(Access::FILE_WRITE_DATA) {
            return refuse("TRUNCATE_EXISTING needs the right to write");
        }
        let backup = how.flags.contains(FileFlags::BACKUP_SEMANTICS);
        // A file that is going to be emptied must be shared before, not after.
        let empties = matches!(how.disposition, Disposition::CreateAlways | Disposition::TruncateExisting);
        let request =
            OpenRequest { path, disposition: how.disposition, open_reparse_point, directories: backup };
        if empties
            && let Ok(present) =
                self.volume.open(&OpenRequest { disposition: Disposition::OpenExisting, ..request })
        {
            let shared = self.shares.enter(present.identity, access | Access::FILE_WRITE_DATA, how.share);
            drop(shared.map_err(|error| error.at_path(path))?);
        }
        let opened = self.volume.open(&request).map_err(|error| error.at_path(path))?;
        let shared =
            self.shares.enter(opened.identity, access, how.share).map_err(|error| error.at_path(path))?;
        let restore_intent = backup && self.privileges.contains(Privileges::RESTORE);
        let mut inner =
            Inner::new(opened.file, access, how.flags, restore_intent, opened.named_stream, shared);
        inner.policy = self.policy;
        inner.links.clone_from(&self.links);
        inner.report.clone_from(&self.report);
        inner.keys.clone_from(&self.keys);
        Ok(Handle::new(inner))
    }
}
