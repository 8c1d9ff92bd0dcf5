//! Handles: a file, the rights to it, and what it shares with other handles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ntbak_wire::Win32Error;

use crate::error::{Error, Result};
use crate::report::Report;
use crate::restore_stream::{LinkResolver, WritePolicy};
use crate::win32::file_encryption::SharedKeys;
use crate::win32::{Access, FileFlags, Identity, OpenFile, Share};

/// An open file, as `CreateFile` gives it. Clones are the same handle; it is closed when the last one is dropped.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

pub(super) struct Inner {
    pub(super) id: u64,
    pub(super) file: Arc<dyn OpenFile>,
    pub(super) access: Access,
    pub(super) flags: FileFlags,
    /// Opened for restore with the privilege for it, which grants FILE_GENERIC_WRITE (\[MS-FSA\] 2.1.5.1 phase 4).
    pub(super) restore_intent: bool,
    /// A handle to one alternate data stream.
    pub(super) named_stream: bool,
    pub(super) policy: WritePolicy,
    pub(super) links: Option<MakeResolver>,
    pub(super) report: Option<Arc<dyn Report + Send>>,
    pub(super) keys: Arc<SharedKeys>,
    shared: Shared,
}

/// Makes the link resolver of one `BackupWrite` context for the file with this path.
pub(super) type MakeResolver = Arc<dyn Fn(&str) -> Box<dyn LinkResolver> + Send + Sync>;

impl Handle {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The rights of the handle, generic ones mapped.
    #[must_use]
    pub fn access(&self) -> Access {
        self.0.access
    }

    /// The path by which it was opened.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.file.path()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    pub(super) fn new(
        file: Arc<dyn OpenFile>,
        access: Access,
        flags: FileFlags,
        restore_intent: bool,
        named_stream: bool,
        shared: Shared,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (policy, links, report) = (WritePolicy::default(), None, None);
        let keys = Arc::default();
        Self { id, file, access, flags, restore_intent, named_stream, policy, links, report, keys, shared }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { id, access, flags, shared, .. } = &*self.0;
        let path = self.path();
        f.debug_struct("Handle")
            .field("id", id)
            .field("path", &path)
            .field("access", access)
            .field("flags", flags)
            .field("share", &shared.share)
            .finish()
    }
}

/// Who has which file open, and what they share.
#[derive(Debug, Clone, Default)]
pub(super) struct ShareTable(Arc<Mutex<HashMap<Identity, Vec<Entry>>>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    token: u64,
    share: Share,
    needs: Share,
}

/// An entry in the table, taken out when dropped.
pub(super) struct Shared {
    table: ShareTable,
    identity: Identity,
    token: u64,
    share: Share,
}

impl ShareTable {
    /// Enters a handle, if those that are open allow it and it allows them.
    pub(super) fn enter(&self, identity: Identity, access: Access, share: Share) -> Result<Shared> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let needs = access.needs_shared();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = table.entry(identity).or_default();
        // A handle that neither reads, writes nor deletes takes no part in sharing.
        let clashes = |open: &Entry| {
            let both_take_part = !needs.is_empty() && !open.needs.is_empty();
            both_take_part && !(open.share.contains(needs) && share.contains(open.needs))
        };
        if entries.iter().any(clashes) {
            return Err(Error::new(Win32Error::SHARING_VIOLATION, "another handle does not share the file"));
        }
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        entries.push(Entry { token, share, needs });
        Ok(Shared { table: self.clone(), identity, token, share })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut table = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = table.get_mut(&self.identity) {
            entries.retain(|entry| entry.token != self.token);
            if entries.is_empty() {
                table.remove(&self.identity);
            }
        }
    }
}
