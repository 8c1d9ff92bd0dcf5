//! Hashing and entering on a thread of its own, beside the one that writes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::aside::Entered;
use super::write::Lines;
use crate::remark::Remark;
use crate::tar::Span;
use crate::tar::output::BUFFER;

/// Buffers that wait to be hashed, of 256 KiB each.
const WAITING: usize = 8;

/// The thread, and what it is to be given next.
pub(crate) struct Beside {
    pieces: Option<SyncSender<Piece>>,
    thread: Option<JoinHandle<io::Result<Lines>>>,
    next: Ends,
    /// Buffers that the thread may still read.
    spare: VecDeque<Arc<Vec<u8>>>,
}

/// What comes next in the archive.
enum Piece {
    /// Bytes, and what ends in them.
    Bytes(Arc<Vec<u8>>, Ends),
    /// Entries that are hashed, from this byte on.
    Entered(Entered, u64),
}

/// Entries that end in a buffer, and what was told meanwhile.
#[derive(Default)]
struct Ends {
    entries: Vec<End>,
    /// Their paths and streams, one behind the other.
    names: Vec<u8>,
    remarks: Vec<Remark>,
}

/// An entry that ends.
struct End {
    /// Where in the buffer.
    at: usize,
    offset: u64,
    size: u64,
    path: usize,
    stream: Option<usize>,
}

impl Beside {
    pub(super) fn start(mut lines: Lines) -> io::Result<Self> {
        let (pieces, queue) = sync_channel(WAITING);
        let work = move || work(&queue, &mut lines).map(|()| lines);
        let thread = Builder::new().name("hash".into()).spawn(work)?;
        let (next, spare) = (Ends::default(), VecDeque::new());
        Ok(Self { pieces: Some(pieces), thread: Some(thread), next, spare })
    }

    /// An entry ends here in the buffer.
    pub(super) fn entry(&mut self, at: usize, path: &[u8], stream: Option<&[u8]>, offset: u64, size: u64) {
        let Ends { entries, names, .. } = &mut self.next;
        names.extend_from_slice(path);
        names.extend_from_slice(stream.unwrap_or_default());
        entries.push(End { at, offset, size, path: path.len(), stream: stream.map(<[u8]>::len) });
    }

    pub(super) fn remark(&mut self, remark: &Remark) {
        self.next.remarks.push(remark.clone());
    }

    /// Gives a full buffer to the thread; it can be read meanwhile.
    pub(super) fn hash(&mut self, buffer: Vec<u8>) -> io::Result<Arc<Vec<u8>>> {
        let bytes = Arc::new(buffer);
        let ends = std::mem::take(&mut self.next);
        self.send(Piece::Bytes(Arc::clone(&bytes), ends))?;
        Ok(bytes)
    }

    /// Entries that were written aside come next, from this byte of the archive on.
    pub(super) fn enter(&mut self, entered: Entered, offset: u64) -> io::Result<()> {
        self.send(Piece::Entered(entered, offset))
    }

    fn send(&mut self, piece: Piece) -> io::Result<()> {
        let sent = self.pieces.as_ref().map(|pieces| pieces.send(piece));
        if matches!(sent, Some(Ok(()))) {
            return Ok(());
        }
        // The thread has ended before its time: it tells why.
        self.end()?;
        Err(ended())
    }

    /// Whether nothing ends in what was not given to the thread yet.
    pub(super) fn is_settled(&self) -> bool {
        self.next.entries.is_empty() && self.next.remarks.is_empty()
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

    /// Waits until everything that was given is entered.
    pub(super) fn end(&mut self) -> io::Result<Lines> {
        self.pieces = None;
        let done = self.thread.take().map(JoinHandle::join);
        done.and_then(Result::ok).unwrap_or_else(|| Err(ended()))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that hashes has ended")
}

fn work(queue: &Receiver<Piece>, lines: &mut Lines) -> io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    while let Ok(piece) = queue.recv() {
        let (bytes, ends) = match piece {
            Piece::Bytes(bytes, ends) => (bytes, ends),
            Piece::Entered(entered, offset) => {
                entered.enter(offset, lines)?;
                continue;
            }
        };
        let mut from = 0;
        let mut names = ends.names.as_slice();
        for End { at, offset, size, path, stream } in ends.entries {
            hasher.update(bytes.get(from..at).unwrap_or_default());
            from = at;
            let span = Span { offset, size, hash: *hasher.finalize().as_bytes() };
            hasher.reset();
            let path = names.split_off(..path).unwrap_or_default();
            let stream = stream.map(|len| names.split_off(..len).unwrap_or_default());
            lines.entry(path, stream, &span)?;
        }
        hasher.update(bytes.get(from..).unwrap_or_default());
        ends.remarks.iter().try_for_each(|remark| lines.remark(remark))?;
    }
    Ok(())
}
