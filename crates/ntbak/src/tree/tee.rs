//! A report that is passed on and remembered, for a target that keeps it.

use std::sync::{Mutex, PoisonError};

use super::Heard;
use crate::report::{Loss, Note, Progress, Report};

pub(super) struct Tee<'a> {
    to: &'a dyn Report,
    heard: Mutex<Vec<Heard>>,
}

impl<'a> Tee<'a> {
    pub(super) fn new(to: &'a dyn Report) -> Self {
        Self { to, heard: Mutex::default() }
    }

    /// What was told since the last time.
    pub(super) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&self, heard: Heard) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    }
}

impl Report for Tee<'_> {
    fn loss(&self, loss: Loss) {
        self.hear(Heard::Loss(loss.clone()));
        self.to.loss(loss);
    }

    fn note(&self, note: Note) {
        self.hear(Heard::Note(note.clone()));
        self.to.note(note);
    }

    fn cancelled(&self) -> bool {
        self.to.cancelled()
    }

    fn progress(&self, progress: Progress) {
        self.to.progress(progress);
    }
}
