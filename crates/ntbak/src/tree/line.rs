//! Files in the order in which they were shown, until everything about each is known: some are completed on other
//! threads, and what is told about them comes in that order all the same.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use super::{Counts, Heard, not_written};
use crate::error::Result;
use crate::report::{FileReport, Report};
use crate::tree_sink::{Finished, TreeSink};

/// So many files may stand behind one that is not complete.
const MOST: usize = 1024;

#[derive(Default)]
pub(super) struct Line {
    files: VecDeque<Waiting>,
    /// Complete, and not at the head of the line yet.
    finished: HashMap<u64, Finished>,
}

struct Waiting {
    path: Vec<u8>,
    shown: PathBuf,
    heard: Vec<Heard>,
    /// What was heard was not passed on.
    held_back: bool,
    /// The number under which it is completed.
    later: Option<u64>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Puts a file at the end, with what was heard of it so far.
    pub(super) fn put(
        &mut self,
        path: Vec<u8>,
        shown: PathBuf,
        heard: Vec<Heard>,
        held_back: bool,
        later: Option<u64>,
    ) {
        self.files.push_back(Waiting { path, shown, heard, held_back, later });
    }

    /// Takes the files of which everything is known from the head of the line; with `all`, waits for the others.
    ///
    /// # Errors
    /// A file could not be written so that there is no use in going on.
    pub(super) fn settle(
        &mut self,
        sink: &mut dyn TreeSink,
        counts: &mut Counts,
        report: &dyn Report,
        all: bool,
    ) -> Result<()> {
        let all = all || self.files.len() > MOST;
        let mut failed = None;
        while let Some(first) = self.files.front() {
            let outcome = match first.later {
                None => None,
                Some(number) => {
                    while let Some(finished) = sink.finished(all) {
                        self.finished.insert(finished.number, finished);
                    }
                    match self.finished.remove(&number) {
                        Some(finished) => Some(finished),
                        None if !all => break,
                        // It never comes.
                        None => None,
                    }
                }
            };
            let Some(Waiting { path, shown, mut heard, held_back, .. }) = self.files.pop_front() else {
                break;
            };
            if held_back {
                heard.iter().for_each(|heard| heard.clone().tell(report));
            }
            if let Some(Finished { outcome, heard: later, .. }) = outcome {
                later.iter().for_each(|heard| heard.clone().tell(report));
                heard.extend(later);
                match outcome {
                    Ok(()) => counts.files += 1,
                    Err(error) => {
                        let report = FileReport { to: report, path: &shown };
                        failed = failed.or(not_written(sink, error, &report).err());
                    }
                }
            }
            sink.remember(&path, &heard)?;
        }
        failed.map_or(Ok(()), Err)
    }
}
