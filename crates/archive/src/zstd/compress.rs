//! Frames on all cores, written in their order: the mirror of [`decompress`](super::decompress).

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use ::zstd::bulk;
use ::zstd::zstd_safe::{CParameter, compress_bound};

use super::{FRAME, TABLE_END_MAGIC, TABLE_FOOTER, TABLE_MAGIC};

/// Compresses what is written to it. [`Compressor::finish`] completes it; dropped without that, its end is missing, and
/// a reader says so.
///
/// Memory: for each thread some 4 MiB of input, 4 MiB of output and what zstd takes for the level; and 8 bytes for each
/// 4 MiB of input.
pub struct Compressor<W: Write> {
    target: W,
    gathered: Vec<u8>,
    /// The entries of the seek table so far.
    table: Vec<u8>,
    frames: u32,
    level: i32,
    /// Compresses where there are no threads.
    own: Option<bulk::Compressor<'static>>,
    threads: Option<Threads>,
    pending: VecDeque<Receiver<io::Result<Done>>>,
    spare: Vec<Done>,
}

/// A frame of input, and where its output is wanted.
struct Job {
    buffers: Done,
    reply: SyncSender<io::Result<Done>>,
}

/// Input and what it became; both buffers are used again.
#[derive(Default)]
struct Done {
    input: Vec<u8>,
    frame: Vec<u8>,
}

struct Threads {
    jobs: Option<SyncSender<Job>>,
    running: Vec<JoinHandle<()>>,
}

fn compressor(level: i32) -> io::Result<bulk::Compressor<'static>> {
    let mut compressor = bulk::Compressor::new(level)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

impl Done {
    fn compress(mut self, compressor: &mut bulk::Compressor<'_>) -> io::Result<Self> {
        self.frame.clear();
        self.frame.reserve(compress_bound(self.input.len()));
        compressor.compress_to_buffer(self.input.as_slice(), &mut self.frame)?;
        Ok(self)
    }
}

impl Threads {
    fn start(level: i32, count: usize) -> io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(count);
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Self { jobs: Some(jobs), running: Vec::new() };
        for _ in 0..count {
            let queue = Arc::clone(&queue);
            let mut compressor = compressor(level)?;
            let work = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job { buffers, reply }) = job else { return };
                    // Nobody waits for it any more when the writer is gone.
                    let _ = reply.send(buffers.compress(&mut compressor));
                }
            };
            threads.running.push(Builder::new().name("zstd".into()).spawn(work)?);
        }
        Ok(threads)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.running.drain(..) {
            let _ = thread.join();
        }
    }
}

impl<W: Write> Compressor<W> {
    /// Compresses into `target` at a `level` of zstd (1 to 22; 0 is zstd's default, 3) with so many `threads`; one
    /// thread is the caller's own.
    ///
    /// # Errors
    /// zstd or the system cannot start.
    pub fn new(target: W, level: i32, threads: usize) -> io::Result<Self> {
        let (own, threads) = match threads {
            0 | 1 => (Some(compressor(level)?), None),
            count => (None, Some(Threads::start(level, count)?)),
        };
        let gathered = Vec::with_capacity(FRAME);
        let (table, pending, spare) = (Vec::new(), VecDeque::new(), Vec::new());
        Ok(Self { target, gathered, table, frames: 0, level, own, threads, pending, spare })
    }

    /// Compresses with as many threads as the machine has cores.
    ///
    /// # Errors
    /// As [`Compressor::new`].
    pub fn on_all_cores(target: W, level: i32) -> io::Result<Self> {
        Self::new(target, level, std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> i32 {
        self.level
    }

    /// Writes everything out, and the seek table.
    ///
    /// # Errors
    /// The target cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_frame()?;
        while !self.pending.is_empty() {
            self.write_oldest()?;
        }
        let too_long = |_| io::Error::other("the seek table has more than 4 GiB");
        let len = u32::try_from(self.table.len() + TABLE_FOOTER).map_err(too_long)?;
        self.target.write_all(&TABLE_MAGIC.to_le_bytes())?;
        self.target.write_all(&len.to_le_bytes())?;
        self.target.write_all(&self.table)?;
        self.target.write_all(&self.frames.to_le_bytes())?;
        self.target.write_all(&[0])?;
        self.target.write_all(&TABLE_END_MAGIC.to_le_bytes())?;
        self.target.flush()?;
        Ok(self.target)
    }

    /// Gives what was gathered away as one frame.
    fn end_frame(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let Done { input, frame } = self.spare.pop().unwrap_or_default();
        let mut buffers = Done { input: std::mem::replace(&mut self.gathered, input), frame };
        self.gathered.clear();
        self.gathered.reserve(FRAME);
        let Some(threads) = &self.threads else {
            if let Some(own) = &mut self.own {
                buffers = buffers.compress(own)?;
            }
            return self.write_frame(buffers);
        };
        let (reply, done) = sync_channel(1);
        let gone = || io::Error::other("the compressing threads have ended");
        threads.jobs.as_ref().ok_or_else(gone)?.send(Job { buffers, reply }).map_err(|_| gone())?;
        self.pending.push_back(done);
        if self.pending.len() > threads.running.len() {
            self.write_oldest()?;
        }
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(done) = self.pending.pop_front() else { return Ok(()) };
        let done = done.recv().map_err(|_| io::Error::other("a compressing thread has ended"))??;
        self.write_frame(done)
    }

    fn write_frame(&mut self, done: Done) -> io::Result<()> {
        self.target.write_all(&done.frame)?;
        // Both are at most a little more than FRAME.
        for size in [done.frame.len(), done.input.len()] {
            self.table.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.frames += 1;
        self.spare.push(done);
        Ok(())
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = FRAME - self.gathered.len();
        let piece = data.get(..room).unwrap_or(data);
        self.gathered.extend_from_slice(piece);
        if self.gathered.len() >= FRAME {
            self.end_frame()?;
        }
        Ok(piece.len())
    }

    /// Flushes what is compressed; a frame that is not full waits for more.
    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}
