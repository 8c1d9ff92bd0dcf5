//! Files that are completed on other threads, while the next ones are read: attributes, times and the name of a file are
//! most of the work with a small one.
//!
//! A file that is handed over holds its descriptor and what is not content. There are at most [`WAITING`] times [`BATCH`]
//! of them, and as many as the threads have in hand.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use ntbak_wire::Win32Error;

use super::Finished;
use crate::error::{Error, Result};
use crate::host::descent::Identity;
use crate::report::FileReport;
use crate::restore::Restore;
use crate::tree::Heard;

/// Files that a thread takes at a time: waking it costs more than a file.
const BATCH: usize = 16;
/// Batches that wait for a thread.
const WAITING: usize = 4;

/// A name in a directory. Of names that differ in case only, some file systems make one.
type Key = (Identity, Vec<u8>);

struct Job {
    number: u64,
    file: Restore,
    path: PathBuf,
}

/// Threads that complete files.
pub(super) struct Pool {
    jobs: Option<SyncSender<Vec<Job>>>,
    /// Files that are to be handed over together.
    batch: Vec<Job>,
    done: Receiver<Finished>,
    threads: Vec<JoinHandle<()>>,
    next: u64,
    /// What was handed over and is not known to be complete.
    out: BTreeMap<u64, Key>,
    names: HashMap<Key, u64>,
    /// How many of them are in each directory.
    directories: HashMap<Identity, usize>,
    finished: VecDeque<Finished>,
}

impl Pool {
    /// A pool of so many threads, as far as the system gives them; `None` without any.
    pub(super) fn new(threads: usize) -> Option<Self> {
        let (jobs, queue) = sync_channel(WAITING);
        let (reply, done) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let start = |_| {
            let (queue, reply) = (Arc::clone(&queue), reply.clone());
            Builder::new().name("restore".into()).spawn(move || work(&queue, &reply)).ok()
        };
        let threads: Vec<_> = (0..threads).filter_map(start).collect();
        let pool = Self {
            jobs: Some(jobs),
            batch: Vec::new(),
            done,
            threads,
            next: 0,
            out: BTreeMap::new(),
            names: HashMap::new(),
            directories: HashMap::new(),
            finished: VecDeque::new(),
        };
        (!pool.threads.is_empty()).then_some(pool)
    }

    /// Hands a file over that is going to have this name in this directory; answers its number.
    pub(super) fn hand_over(
        &mut self,
        file: Restore,
        path: PathBuf,
        directory: Identity,
        name: &OsStr,
    ) -> Result<u64> {
        let number = self.next;
        self.next += 1;
        let key = key(directory, name);
        self.batch.push(Job { number, file, path });
        if self.batch.len() == BATCH {
            self.send()?;
        }
        self.out.insert(number, key.clone());
        self.names.insert(key, number);
        *self.directories.entry(directory).or_default() += 1;
        Ok(number)
    }

    fn send(&mut self) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        jobs.send(batch).map_err(|_| ended())
    }

    /// Whether a file of this name, in whatever case, is not complete.
    pub(super) fn is_out(&self, directory: Identity, name: &OsStr) -> bool {
        !self.names.is_empty() && self.names.contains_key(&key(directory, name))
    }

    /// Whether a file in this directory is not complete.
    pub(super) fn is_busy(&self, directory: Identity) -> bool {
        self.directories.contains_key(&directory)
    }

    /// Takes what has become complete meanwhile.
    pub(super) fn collect(&mut self) {
        while let Ok(finished) = self.done.try_recv() {
            self.take(finished);
        }
    }

    /// Waits until everything is complete.
    pub(super) fn wait(&mut self) {
        if !self.batch.is_empty() {
            // Where no thread is left, that is found below.
            let _ = self.send();
        }
        while !self.out.is_empty() {
            match self.done.recv() {
                Ok(finished) => self.take(finished),
                // All threads have ended: what still waits for one is not complete.
                Err(_) => {
                    let out: Vec<_> = self.out.keys().copied().collect();
                    for number in out {
                        self.take(Finished { number, outcome: Err(ended()), heard: Vec::new() });
                    }
                }
            }
        }
    }

    fn take(&mut self, finished: Finished) {
        if let Some(key) = self.out.remove(&finished.number) {
            if let Some(count) = self.directories.get_mut(&key.0) {
                *count -= 1;
                if *count == 0 {
                    self.directories.remove(&key.0);
                }
            }
            if self.names.get(&key) == Some(&finished.number) {
                self.names.remove(&key);
            }
        }
        self.finished.push_back(finished);
    }

    /// The next file that is complete.
    pub(super) fn next(&mut self) -> Option<Finished> {
        self.finished.pop_front()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn key(directory: Identity, name: &OsStr) -> Key {
    (directory, name.as_bytes().to_ascii_lowercase())
}

fn work(queue: &Mutex<Receiver<Vec<Job>>>, reply: &Sender<Finished>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = job else { return };
        for Job { number, file, path } in batch {
            let mut answer = Answer { reply, number, outcome: None };
            let told = Told::default();
            let outcome = file.commit(&FileReport { to: &told, path: &path });
            let heard = told.0.into_inner().unwrap_or_else(PoisonError::into_inner);
            answer.outcome = Some((outcome, heard));
        }
    }
}

/// Tells what became of a file, whatever happens.
struct Answer<'a> {
    reply: &'a Sender<Finished>,
    number: u64,
    outcome: Option<(Result<()>, Vec<Heard>)>,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        let (outcome, heard) = self.outcome.take().unwrap_or_else(|| (Err(ended()), Vec::new()));
        // Nobody waits for it any more when the pool is gone.
        let _ = self.reply.send(Finished { number: self.number, outcome, heard });
    }
}

fn ended() -> Error {
    Error::new(Win32Error::OPERATION_ABORTED, "the thread that was to complete it has ended")
}

/// What is told about one file, in its order.
#[derive(Default)]
struct Told(Mutex<Vec<Heard>>);

impl crate::report::Report for Told {
    fn loss(&self, loss: crate::report::Loss) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Heard::Loss(loss));
    }

    fn note(&self, note: crate::report::Note) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Heard::Note(note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_only_wait_for_each_other() {
        let mut pool = Pool::new(1).unwrap();
        let file = crate::sink::MemorySink::staged(crate::memory::SharedFile::default(), false);
        let file = Restore::new(Box::new(file), crate::restore::Unheld::Report);
        pool.hand_over(file, PathBuf::from("a"), (1, 2), "Name".as_ref()).unwrap();
        assert!(pool.is_out((1, 2), "nAME".as_ref()) && !pool.is_out((1, 3), "Name".as_ref()));
        assert!(pool.is_busy((1, 2)) && !pool.is_busy((1, 3)));
        pool.wait();
        assert!(!pool.is_out((1, 2), "Name".as_ref()) && !pool.is_busy((1, 2)));
        let finished = pool.next().unwrap();
        assert!(finished.number == 0 && finished.outcome.is_ok() && pool.next().is_none());
    }
}
