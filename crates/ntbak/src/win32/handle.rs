//! Handles: a file, the rights to it, a position, and what it shares with other handles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use ntbak_wire::Win32Error;
use ntbak_wire::stream::StreamName;

use crate::error::{Error, Result};
use crate::report::Report;
use crate::restore_stream::{LinkResolver, WritePolicy};
use crate::win32::file_encryption::SharedKeys;
use crate::win32::links::LinkRoot;
use crate::win32::open_files::{Place, Shared, lock};
use crate::win32::{Access, Content, FileFlags, Identity, Node};

/// An open file, as `CreateFile` gives it. Clones are the same handle; it is closed when the last one is dropped. Any
/// thread may use it.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

pub(super) struct Inner {
    pub(super) id: u64,
    pub(super) node: Arc<dyn Node>,
    pub(super) identity: Identity,
    pub(super) place: Arc<Mutex<Place>>,
    /// As the caller wrote it.
    pub(super) path: String,
    /// The one alternate data stream that it is a handle to.
    pub(super) stream: Option<StreamName>,
    pub(super) access: Access,
    pub(super) flags: FileFlags,
    /// Opened for restore with the privilege for it, which grants FILE_GENERIC_WRITE (\[MS-FSA\] 2.1.5.1 phase 4).
    pub(super) restore_intent: bool,
    pub(super) existed: bool,
    pub(super) policy: WritePolicy,
    pub(super) links: Option<MakeResolver>,
    pub(super) link_root: Option<LinkRoot>,
    pub(super) report: Option<Arc<dyn Report + Send>>,
    pub(super) keys: Arc<SharedKeys>,
    /// Of `ReadFile` and `WriteFile`.
    pub(super) position: Mutex<u64>,
    /// The content of the stream, once it was read or written.
    pub(super) content: OnceLock<Box<dyn Content>>,
    pub(super) shared: Shared,
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
        &self.0.path
    }

    /// Whether the file was there when it was opened: CREATE_ALWAYS and OPEN_ALWAYS say so by the last error 183, though
    /// they succeed.
    #[must_use]
    pub fn existed(&self) -> bool {
        self.0.existed
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// The number of the next handle.
    pub(super) fn next_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Where the file has its name now.
    pub(super) fn place(&self) -> Place {
        lock(&self.place).clone()
    }

    /// The same failure with the path of the file.
    pub(super) fn at(&self, error: Error) -> Error {
        error.at_path(&self.path)
    }

    /// Fails where one of `rights` is needed and none is there.
    pub(super) fn need(&self, rights: Access, what: &'static str) -> Result<()> {
        if self.access.intersects(rights) {
            return Ok(());
        }
        Err(self.at(Error::new(Win32Error::ACCESS_DENIED, format!("the handle has no right to {what}"))))
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { id, path, access, flags, shared, .. } = &*self.0;
        f.debug_struct("Handle")
            .field("id", id)
            .field("path", path)
            .field("access", access)
            .field("flags", flags)
            .field("share", &shared.share)
            .finish()
    }
}
