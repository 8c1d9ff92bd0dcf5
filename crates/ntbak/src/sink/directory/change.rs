//! Single facts of a file that is there, changed for Windows' own functions: nothing else about it changes.

use ntbak_wire::FileAttributes;
use ntbak_wire::record::{FileInfo, SmallKind};
use ntbak_wire::stream::StreamName;

use super::DirectorySink;
use crate::error::Result;
use crate::host::node::Spot;
use crate::memory::StreamKey;

/// What such a change is about.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Change {
    /// Attributes and times alone: what only Linux knows of the file, and how it is encrypted, stays.
    pub(super) basic: bool,
    /// Whether the unnamed stream is sparse from now on.
    pub(super) sparse: Option<bool>,
}

impl DirectorySink {
    /// Gives the file at `spot` these attributes and times.
    pub(crate) fn set_basic(spot: Spot, info: FileInfo) -> Result<()> {
        let mut sink = Self::in_place(spot)?;
        (sink.info, sink.change.basic) = (Some(info), true);
        sink.finish(None)
    }

    /// Says that its unnamed stream is sparse, or not.
    pub(crate) fn set_sparse(spot: Spot, mut info: FileInfo, sparse: bool) -> Result<()> {
        let mut sink = Self::in_place(spot)?;
        info.attributes.set(FileAttributes::SPARSE_FILE, sparse);
        sink.info = Some(info);
        sink.change = Change { basic: true, sparse: Some(sparse) };
        sink.finish(None)
    }

    /// Takes the reparse point or the object id from it; the attributes are those in `info`.
    pub(crate) fn remove_small(spot: Spot, info: FileInfo, kind: SmallKind) -> Result<()> {
        let mut sink = Self::in_place(spot)?;
        sink.small.insert(kind, Vec::new());
        (sink.info, sink.change.basic) = (Some(info), true);
        sink.finish(None)
    }

    /// Takes a named stream from it.
    pub(crate) fn remove_stream(spot: Spot, name: &StreamName) -> Result<()> {
        let mut sink = Self::in_place(spot)?;
        sink.streams.names.insert(StreamKey::of(Some(name)));
        sink.finish(None)
    }
}
