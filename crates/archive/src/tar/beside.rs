//! Hashing on a thread of its own, beside the one that writes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::Span;
use super::output::BUFFER;

/// Buffers that wait to be hashed, of 256 KiB each.
const WAITING: usize = 8;

/// The thread, and what it was given.
pub(super) struct Beside {
    pieces: Option<SyncSender<Piece>>,
    hashes: Receiver<[u8; 32]>,
    thread: Option<JoinHandle<()>>,
    /// Entries that ended and have no hash yet: offset and size.
    ended: VecDeque<(u64, u64)>,
    /// Where entries end in the buffer that is being filled.
    ends: Vec<usize>,
    /// Buffers that the thread may still read.
    spare: VecDeque<Arc<Vec<u8>>>,
}

/// The next bytes of the archive, and where in them entries end.
struct Piece {
    bytes: Arc<Vec<u8>>,
    ends: Vec<usize>,
}

impl Beside {
    pub(super) fn start() -> io::Result<Self> {
        let (pieces, queue) = sync_channel(WAITING);
        let (reply, hashes) = channel();
        let thread = Builder::new().name("hash".into()).spawn(move || work(&queue, &reply))?;
        let (ended, ends, spare) = (VecDeque::new(), Vec::new(), VecDeque::new());
        Ok(Self { pieces: Some(pieces), hashes, thread: Some(thread), ended, ends, spare })
    }

    /// An entry ends here in the buffer.
    pub(super) fn end_entry(&mut self, at: usize, offset: u64, size: u64) {
        self.ends.push(at);
        self.ended.push_back((offset, size));
    }

    /// Whether there are entries without their hash.
    pub(super) fn is_waiting(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Gives a full buffer to the thread; it can be read meanwhile.
    pub(super) fn hash(&mut self, buffer: Vec<u8>) -> io::Result<Arc<Vec<u8>>> {
        let bytes = Arc::new(buffer);
        let piece = Piece { bytes: Arc::clone(&bytes), ends: std::mem::take(&mut self.ends) };
        let pieces = self.pieces.as_ref().ok_or_else(ended)?;
        pieces.send(piece).map_err(|_| ended())?;
        Ok(bytes)
    }

    /// A buffer to be filled next, in exchange for one that was written.
    pub(super) fn recycle(&mut self, written: Arc<Vec<u8>>) -> Vec<u8> {
        self.spare.push_back(written);
        let hashed = self.spare.pop_front().map(Arc::try_unwrap);
        match hashed {
            Some(Ok(mut buffer)) => {
                buffer.clear();
                buffer
            }
            Some(Err(still_read)) => {
                if self.spare.len() <= WAITING {
                    self.spare.push_front(still_read);
                }
                Vec::with_capacity(BUFFER)
            }
            None => Vec::with_capacity(BUFFER),
        }
    }

    /// The next entry with its hash.
    pub(super) fn next(&mut self, wait: bool) -> io::Result<Option<Span>> {
        if self.ended.is_empty() {
            return Ok(None);
        }
        let hash = match self.hashes.try_recv() {
            Err(TryRecvError::Empty) if wait => self.hashes.recv().map_err(|_| ended())?,
            Err(TryRecvError::Empty) => return Ok(None),
            received => received.map_err(|_| ended())?,
        };
        Ok(self.ended.pop_front().map(|(offset, size)| Span { offset, size, hash }))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that hashes has ended")
}

fn work(queue: &Receiver<Piece>, reply: &Sender<[u8; 32]>) {
    let mut hasher = blake3::Hasher::new();
    while let Ok(Piece { bytes, ends }) = queue.recv() {
        let mut from = 0;
        for end in ends {
            hasher.update(bytes.get(from..end).unwrap_or_default());
            from = end;
            if reply.send(*hasher.finalize().as_bytes()).is_err() {
                return;
            }
            hasher.reset();
        }
        hasher.update(bytes.get(from..).unwrap_or_default());
    }
}
