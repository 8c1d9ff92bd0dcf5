//! Files that are written on several threads, some on each, for a place that takes them in their order.

use std::io::Sink;
use std::mem;
use std::sync::{Mutex, PoisonError};

use ntbak_archive::Fragment;
use ntbak_wire::Win32Error;

use super::{Counts, Heard, Visit, bring, bring_link, cancelled};
use crate::error::{Error, Result};
use crate::report::{Loss, Note, Progress, Report};
use crate::tree_sink::{ArchiveSink, TakesFragments, TreeSink};

/// So many buffers of at most so many bytes are kept.
const MOST_SPENT: usize = 8;
const MOST_KEPT: usize = 1 << 20;

/// Lets a tree write files aside, as many at a time as it has threads: each [`Pack`] becomes a [`Packed`], to be shown
/// where its files would have been.
pub struct Packing<'a> {
    report: &'a dyn Report,
    /// Buffers are used again, for fresh memory is dear.
    spent: Mutex<Vec<Vec<u8>>>,
}

impl<'a> Packing<'a> {
    pub(super) fn new(report: &'a dyn Report) -> Self {
        Self { report, spent: Mutex::default() }
    }

    /// What hears about the files of a pack.
    #[must_use]
    pub fn ear(&self) -> Ear<'a> {
        Ear { report: self.report, heard: Mutex::default() }
    }

    /// Begins a pack of files, about which `ear` hears.
    #[must_use]
    pub fn begin<'e>(&self, ear: &'e Ear<'e>) -> Pack<'e> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let sink = ArchiveSink::aside(spent.unwrap_or_default());
        Pack { sink, ear, counts: Counts::default(), heard: Vec::new() }
    }

    /// Puts a pack into its place.
    pub(super) fn unpack(&self, fragment: Fragment, place: &mut dyn TakesFragments) -> Result<()> {
        let buffer = place.append(fragment)?;
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() <= MOST_KEPT && spent.len() < MOST_SPENT {
            spent.push(buffer);
        }
        Ok(())
    }
}

/// A report that keeps what it is told until it can be told in the order of the files.
pub struct Ear<'a> {
    report: &'a dyn Report,
    heard: Mutex<Vec<Heard>>,
}

impl Ear<'_> {
    fn hear(&self, heard: Heard) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    }
}

impl Report for Ear<'_> {
    fn loss(&self, loss: Loss) {
        self.hear(Heard::Loss(loss));
    }

    fn note(&self, note: Note) {
        self.hear(Heard::Note(note));
    }

    fn cancelled(&self) -> bool {
        self.report.cancelled()
    }

    /// What the whole work has done, nobody knows here.
    fn progress(&self, _: Progress) {}
}

/// Files that are being written aside. All of them is in memory.
pub struct Pack<'e> {
    sink: ArchiveSink<Sink>,
    ear: &'e Ear<'e>,
    counts: Counts,
    heard: Vec<Heard>,
}

/// Files that were written aside, and what was told about them.
pub struct Packed {
    pub(super) fragment: Fragment,
    pub(super) counts: Counts,
    pub(super) heard: Vec<Heard>,
}

impl Pack<'_> {
    /// Writes a file or another name of one, as [`transfer`](super::transfer) would.
    ///
    /// # Errors
    /// The work was cancelled.
    pub fn visit(&mut self, visit: Visit<'_>) -> Result<()> {
        if self.ear.cancelled() {
            return Err(cancelled());
        }
        let path = visit.path();
        match visit {
            Visit::File(file) => bring(file, &mut self.sink, self.ear, &mut self.counts).map(drop)?,
            Visit::Link(link) => bring_link(&link, &mut self.sink, self.ear, &mut self.counts)?,
            Visit::Told(_) => {}
            Visit::Packed(_) => {
                return Err(Error::new(Win32Error::INVALID_PARAMETER, "a pack of files within another one"));
            }
        }
        let heard = mem::take(&mut *self.ear.heard.lock().unwrap_or_else(PoisonError::into_inner));
        self.sink.remember(path, &heard)?;
        self.heard.extend(heard);
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.sink.len()
    }

    /// The files, whole.
    ///
    /// # Errors
    /// One is not.
    pub fn close(self) -> Result<Packed> {
        let Self { sink, counts, heard, .. } = self;
        Ok(Packed { fragment: sink.into_fragment()?, counts, heard })
    }
}

impl Packed {
    /// Tells what there is to tell about its files.
    pub(super) fn tell(&mut self, report: &dyn Report) {
        self.heard.drain(..).for_each(|heard| heard.tell(report));
    }
}
