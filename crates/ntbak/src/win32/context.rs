//! The context of a backup or restore: what `lpContext` points to.

use std::sync::Arc;

use ntbak_wire::Win32Error;

use crate::backup_stream::BackupReader;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::restore_stream::BackupWriter;
use crate::source::FileSource;
use crate::win32::Handle;

/// A place in the backup stream of one file: NULL before the first call (`Context::default()`), made by that call,
/// freed by a call with bAbort, or by dropping it.
///
/// It remembers its handle; another one is refused with 87.
#[derive(Default)]
pub struct Context(pub(super) Option<Box<Open>>);

pub(super) struct Open {
    /// The handle by its number only: a context that is not freed must not keep the file open.
    handle: u64,
    pub(super) path: String,
    pub(super) report: Option<Arc<dyn Report + Send>>,
    pub(super) side: Side,
}

pub(super) enum Side {
    Read { reader: BackupReader, source: Box<dyn FileSource> },
    Write(Box<BackupWriter>),
}

impl Context {
    /// Whether it is NULL: never used, or freed.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The context for `handle`, made by `begin` when it is NULL.
    pub(super) fn open(
        &mut self,
        handle: &Handle,
        begin: impl FnOnce() -> Result<Side>,
    ) -> Result<&mut Side> {
        let open = match &mut self.0 {
            Some(open) => open,
            empty => {
                let (inner, side) = (handle.inner(), begin()?);
                let (path, report) = (handle.path().to_owned(), inner.report.clone());
                empty.insert(Box::new(Open { handle: inner.id, path, report, side }))
            }
        };
        if open.handle != handle.inner().id {
            return Err(wrong("the context belongs to another handle"));
        }
        Ok(&mut open.side)
    }
}

pub(super) fn wrong(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_PARAMETER, why)
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_deref() {
            None => f.write_str("Context(NULL)"),
            Some(Open { side: Side::Read { reader, .. }, .. }) => {
                f.debug_tuple("Context").field(reader).finish()
            }
            Some(Open { side: Side::Write(writer), .. }) => {
                f.debug_tuple("Context").field(&writer.position()).finish()
            }
        }
    }
}
