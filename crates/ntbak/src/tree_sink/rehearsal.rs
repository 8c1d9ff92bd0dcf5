//! A rehearsal: what a place could not keep is told, and nothing is written.

use std::path::Path;

use ntbak_wire::record::{FileInfo, Record};

use super::{Begun, TreeSink};
use crate::backup::BackupOptions;
use crate::capability::Capabilities;
use crate::error::Result;
use crate::place::Place;
use crate::report::FileReport;
use crate::restore::{Restore, Unheld};
use crate::sink::FileSink;
use crate::tree::LinkVisit;

/// Takes many files, and keeps nothing of them.
pub struct Rehearsal {
    place: Option<Place>,
}

impl Rehearsal {
    /// Of a restore into this place; of a backup without one: an archive holds everything.
    #[must_use]
    pub fn new(place: Option<Place>) -> Self {
        Self { place }
    }

    fn can(&self, directory: bool) -> Capabilities {
        self.place.as_ref().map_or_else(Capabilities::everything, |place| place.capabilities(directory))
    }
}

impl TreeSink for Rehearsal {
    fn options(&self) -> BackupOptions {
        BackupOptions {
            extents_first: true,
            stop_at_vdl: true,
            small_first: true,
            no_content: true,
            ..BackupOptions::default()
        }
    }

    fn begin(&mut self, _: &[u8], info: &FileInfo, _: &FileReport<'_>) -> Result<Begun<'_>> {
        let directory = info.attributes.is_directory();
        let file = Nothing { can: self.can(directory), directory };
        Ok(Begun::Checked(Restore::new(Box::new(file), Unheld::Report)))
    }

    fn link(&mut self, _: &LinkVisit<'_>, _: &FileReport<'_>) -> Result<bool> {
        Ok(true)
    }
}

struct Nothing {
    can: Capabilities,
    directory: bool,
}

impl FileSink for Nothing {
    fn can(&self) -> &Capabilities {
        &self.can
    }

    fn is_directory(&self) -> bool {
        self.directory
    }

    fn put(&mut self, _: &Record<'_>, _: &FileReport<'_>) -> Result<()> {
        Ok(())
    }

    fn link(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn commit(self: Box<Self>, _: &FileReport<'_>) -> Result<()> {
        Ok(())
    }
}
