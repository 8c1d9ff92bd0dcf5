//! Where a sink writes: to a new file beside its place, or to the one that is there.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use ntbak_wire::Win32Error;
use ntbak_wire::record::StreamHead;

use crate::error::{Error, Result};
use crate::host::content::ContentWriter;
use crate::host::node::{Node, Spot};
use crate::host::stage::{self, Stage};

/// The file that a sink writes.
#[derive(Debug)]
pub(crate) enum Target {
    /// A new file that gets its name when it is whole.
    Staged(Stage),
    /// The file that is there.
    InPlace(Spot),
}

impl Target {
    pub(crate) fn is_staged(&self) -> bool {
        matches!(self, Self::Staged(_))
    }

    /// The place that the file has, or is going to have.
    pub(crate) fn spot(&self) -> &Spot {
        match self {
            Self::Staged(stage) => stage.spot(),
            Self::InPlace(spot) => spot,
        }
    }

    /// The name that the file has now.
    pub(crate) fn name(&self) -> &OsStr {
        match self {
            Self::Staged(stage) => stage.name(),
            Self::InPlace(spot) => &spot.name,
        }
    }

    /// The file as it is now.
    pub(crate) fn node(&self) -> Result<Node> {
        match self {
            Self::Staged(stage) => stage.node(),
            Self::InPlace(spot) => spot.node(),
        }
    }

    /// Begins the unnamed stream of the file.
    pub(crate) fn begin_content(&self, head: &StreamHead) -> Result<ContentWriter> {
        let held = match self {
            Self::Staged(stage) => stage.open_file(),
            Self::InPlace(_) => None,
        };
        let fd = match held {
            Some(fd) => fd,
            None => stage::open_for_writing(&self.spot().dir, self.name())
                .map(Arc::new)
                .map_err(|error| Error::io("opening the content", error))?,
        };
        ContentWriter::open(fd, head)
    }

    /// Puts a hard link to `existing` in the place of the file: at once, or when it is published.
    pub(crate) fn link(&mut self, existing: &Path) -> Result<()> {
        let existing = Spot::of(existing)?;
        if existing.is_among_side_files() {
            let why = "a link must not lead to a side file";
            return Err(Error::new(Win32Error::ACCESS_DENIED, why).at_path(&existing.path));
        }
        match self {
            Self::Staged(stage) => stage.replace_by_link(&existing),
            Self::InPlace(spot) => stage::link_over(spot, &existing),
        }
    }

    /// Gives a staged file its name.
    pub(crate) fn publish(&mut self) -> Result<()> {
        match self {
            Self::Staged(stage) => stage.publish(),
            Self::InPlace(_) => Ok(()),
        }
    }
}
