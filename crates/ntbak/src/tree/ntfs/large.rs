//! A file with large streams: a thread reads a stream piece by piece, some ahead of who uses them.

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use ntbak_wire::record::{Extent, FileInfo, SmallKind, StreamHead};

use super::ahead::SMALL;
use super::orders::{Order, Orders};
use crate::efs::Encrypted;
use crate::error::Result;
use crate::report::FileReport;
use crate::source::{Facet, FileSource, NtfsSource};

/// Bytes of a piece.
const PIECE: u64 = 512 << 10;
/// Pieces that wait to be used.
const PIECES: usize = 3;

/// A stream that is to be read, by one thread: it is cheaper to let it wait than to wake another.
pub(super) struct Reading {
    source: Arc<NtfsSource>,
    stream: usize,
    from: u64,
    end: u64,
    pieces: SyncSender<Piece>,
    spent: Receiver<Vec<u8>>,
}

/// The next bytes of it.
struct Piece {
    buffer: Vec<u8>,
    len: usize,
}

impl Reading {
    /// Reads until nobody wants more. What cannot be read is read again by who wants it, and told there.
    pub(super) fn read(self) {
        let mut offset = self.from;
        while offset < self.end {
            let len = (self.end - offset).min(PIECE) as usize;
            let mut buffer = self.spent.try_recv().unwrap_or_default();
            if buffer.len() < len {
                buffer.resize(len, 0);
            }
            let mut got = 0;
            while let Some(rest) = buffer.get_mut(got..len).filter(|rest| !rest.is_empty()) {
                match self.source.read_at(self.stream, offset + got as u64, rest) {
                    Ok(more) if more > 0 => got += more,
                    _ => return,
                }
            }
            if self.pieces.send(Piece { buffer, len }).is_err() {
                return;
            }
            offset += len as u64;
        }
    }
}

/// The file, and what is on its way.
pub(super) struct LargeFile<'a> {
    source: Arc<NtfsSource>,
    orders: &'a Orders,
    coming: Mutex<Option<Coming>>,
}

/// A stream that is being read.
struct Coming {
    stream: usize,
    /// Where its next piece begins.
    next: u64,
    pieces: Receiver<Piece>,
    spent: Sender<Vec<u8>>,
}

impl<'a> LargeFile<'a> {
    pub(super) fn new(source: &Arc<NtfsSource>, orders: &'a Orders) -> Self {
        Self { source: Arc::clone(source), orders, coming: Mutex::default() }
    }

    /// The next piece in place of `buffer`, when it was read whole.
    fn next_piece(&self, stream: usize, offset: u64, most: usize, buffer: &mut Vec<u8>) -> Option<usize> {
        let (_, attribute) = self.source.stored_streams().find(|(number, _)| *number == stream)?;
        let end = attribute.vdl();
        if end <= SMALL {
            return None;
        }
        let mut state = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        // What was asked for before is given up first, so that its thread is free.
        let coming = state.take().filter(|coming| coming.stream == stream && coming.next == offset);
        let mut coming = coming.unwrap_or_else(|| self.order(stream, offset, end));
        // An end before its time; the next call begins anew behind it.
        let Piece { buffer: piece, len } = coming.pieces.recv().ok().filter(|piece| piece.len <= most)?;
        coming.next += len as u64;
        // Nobody wants it back where the last piece was read.
        let _ = coming.spent.send(std::mem::replace(buffer, piece));
        *state = Some(coming);
        Some(len)
    }

    fn order(&self, stream: usize, from: u64, end: u64) -> Coming {
        let (pieces, come) = sync_channel(PIECES);
        let (spent, back) = channel();
        let source = Arc::clone(&self.source);
        self.orders.give(Order::Stream(Reading { source, stream, from, end, pieces, spent: back }));
        Coming { stream, next: from, pieces: come, spent }
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
