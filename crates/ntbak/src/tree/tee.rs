//! A report that is passed on and remembered, for a target that keeps it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Heard;
use crate::report::{Loss, Note, Progress, Report};

pub(super) struct Tee<'a> {
    to: &'a dyn Report,
    heard: Mutex<Vec<Heard>>,
    /// It is remembered only: something else has to be told before it.
    held_back: AtomicBool,
}

impl<'a> Tee<'a> {
    pub(super) fn new(to: &'a dyn Report) -> Self {
        Self { to, heard: Mutex::default(), held_back: AtomicBool::new(false) }
    }

    /// What was told since the last time.
    pub(super) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on nothing is passed on.
    pub(super) fn hold_back(&self) {
        self.held_back.store(true, Ordering::Relaxed);
    }

    /// Passes on what was held back, and from now on everything at once.
    pub(super) fn pass_on(&self) {
        if self.held_back.swap(false, Ordering::Relaxed) {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            heard.into_iter().for_each(|heard| heard.tell(self.to));
        }
    }

    pub(super) fn is_held_back(&self) -> bool {
        self.held_back.load(Ordering::Relaxed)
    }

    fn hear(&self, heard: Heard) {
        if !self.is_held_back() {
            heard.clone().tell(self.to);
        }
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    }
}

impl Report for Tee<'_> {
    fn loss(&self, loss: Loss) {
        self.hear(Heard::Loss(loss));
    }

    fn note(&self, note: Note) {
        self.hear(Heard::Note(note));
    }

    fn cancelled(&self) -> bool {
        self.to.cancelled()
    }

    fn progress(&self, progress: Progress) {
        self.to.progress(progress);
    }
}
