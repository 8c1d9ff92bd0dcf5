//! A file with large streams: their next pieces are read while the last one is on its way.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use ntbak_wire::record::{Extent, FileInfo, SmallKind, StreamHead};

use super::ahead::{Order, SMALL};
use crate::efs::Encrypted;
use crate::error::Result;
use crate::report::FileReport;
use crate::source::{Facet, FileSource, NtfsSource};

/// Bytes of a piece.
const PIECE: u64 = 256 << 10;
/// Pieces that are on their way at a time.
const PIECES: usize = 3;

/// A piece of a stream that is to be read, and then was.
pub(super) struct Piece {
    source: Arc<NtfsSource>,
    stream: usize,
    offset: u64,
    buffer: Vec<u8>,
    /// Bytes that are wanted, and that could be read.
    want: usize,
    got: usize,
}

impl Piece {
    /// Reads it. What cannot be read is read again by who wants it, and told there.
    pub(super) fn read(&mut self) {
        if self.buffer.len() < self.want {
            self.buffer.resize(self.want, 0);
        }
        while let Some(rest) = self.buffer.get_mut(self.got..self.want).filter(|rest| !rest.is_empty()) {
            match self.source.read_at(self.stream, self.offset + self.got as u64, rest) {
                Ok(got) if got > 0 => self.got += got,
                _ => return,
            }
        }
    }
}

/// The file, and what is on its way.
pub(super) struct LargeFile<'a> {
    source: Arc<NtfsSource>,
    orders: &'a SyncSender<Order>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stream: usize,
    /// Where the first piece that is on its way begins, and the next one that is not.
    next: u64,
    asked: u64,
    pending: VecDeque<Receiver<Piece>>,
    spare: Vec<Vec<u8>>,
}

impl<'a> LargeFile<'a> {
    pub(super) fn new(source: &Arc<NtfsSource>, orders: &'a SyncSender<Order>) -> Self {
        Self { source: Arc::clone(source), orders, state: Mutex::default() }
    }

    /// The next piece in place of `buffer`, when it was read whole.
    fn next_piece(&self, stream: usize, offset: u64, most: usize, buffer: &mut Vec<u8>) -> Option<usize> {
        let (_, attribute) = self.source.stored_streams().find(|(number, _)| *number == stream)?;
        let end = attribute.vdl();
        if end <= SMALL {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stream != stream || state.next != offset {
            let spare = std::mem::take(&mut state.spare);
            *state = State { stream, next: offset, asked: offset, spare, ..State::default() };
        }
        while state.asked < end && state.pending.len() < PIECES {
            let want = (end - state.asked).min(PIECE) as usize;
            let (source, offset) = (Arc::clone(&self.source), state.asked);
            let buffer = state.spare.pop().unwrap_or_default();
            let (reply, done) = sync_channel(1);
            let piece = Piece { source, stream, offset, buffer, want, got: 0 };
            self.orders.send(Order::Piece(piece, reply)).ok()?;
            state.pending.push_back(done);
            state.asked += want as u64;
        }
        let mut piece = state.pending.pop_front()?.recv().ok()?;
        if piece.got < piece.want || piece.got > most {
            // The next call begins anew behind it.
            state.next = u64::MAX;
            return None;
        }
        state.next = offset + piece.got as u64;
        std::mem::swap(buffer, &mut piece.buffer);
        state.spare.push(piece.buffer);
        Some(piece.got)
    }
}

impl FileSource for LargeFile<'_> {
    fn info(&self) -> Result<FileInfo> {
        self.source.info()
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        self.source.small(kind)
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        self.source.stream(index)
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        self.source.next_extent(stream, from)
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.source.read_at(stream, offset, buf)
    }

    fn read_piece(&self, stream: usize, offset: u64, most: usize, buffer: &mut Vec<u8>) -> Result<usize> {
        match self.next_piece(stream, offset, most, buffer) {
            Some(got) => Ok(got),
            None => self.source.read_piece(stream, offset, most, buffer),
        }
    }

    fn in_memory(&self, stream: usize) -> Option<&[u8]> {
        self.source.in_memory(stream)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        self.source.encrypted()
    }

    fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
        self.source.remarks(about, report)
    }
}
