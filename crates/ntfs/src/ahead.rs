//! Streams of many files, read at once in the order in which they lie on the volume.

use std::ops::Range;

use crate::stream::Stream;
use crate::volume::Volume;

/// Bytes of what adjoins that are read at once.
const MOST: usize = 1 << 20;

/// A range of clusters, and where in the buffer it belongs.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Byte of the volume.
    from: u64,
    len: usize,
    /// Bytes of it that are wanted: all but what is behind the valid data length.
    wanted: usize,
    to: usize,
    stream: usize,
}

impl Volume {
    /// Reads the content of streams up to the valid data length into `buffer`, which grows as it must: where each one
    /// is there, or `None` where it is not, and is to be read by itself: what is resident, compressed or encrypted, has
    /// holes, or cannot be read whole. Together they should have some megabytes at the most.
    #[must_use]
    pub fn read_ahead(&self, streams: &[&Stream], buffer: &mut Vec<u8>) -> Vec<Option<Range<usize>>> {
        let cluster = u64::from(self.geometry().cluster_size);
        let mut found: Vec<Option<Range<usize>>> = vec![None; streams.len()];
        let mut pieces = Vec::with_capacity(streams.len());
        let mut order: Vec<(u64, usize)> = Vec::with_capacity(streams.len());
        for (index, stream) in streams.iter().enumerate() {
            if let Some(first) = stream.plain_runs().next().filter(|_| stream.is_plain()) {
                order.push((first.0, index));
            }
        }
        order.sort_unstable();
        let mut to = 0;
        for (_, index) in order {
            let Some(stream) = streams.get(index) else { continue };
            let (start, valid) = (to, stream.vdl());
            let mut left = valid.next_multiple_of(cluster);
            for (from, len) in stream.plain_runs() {
                let len = len.min(left) as usize;
                let wanted = len.min(valid as usize - (to - start));
                pieces.push(Piece { from, len, wanted, to, stream: index });
                (to, left) = (to + len, left - len as u64);
                if left == 0 {
                    break;
                }
            }
            if let Some(found) = found.get_mut(index) {
                *found = Some(start..start + valid as usize);
            }
        }
        if buffer.len() < to {
            buffer.resize(to, 0);
        }
        // Those of fragmented streams lie elsewhere.
        pieces.sort_unstable_by_key(|piece| piece.from);
        let adjoins = |a: &Piece, b: &Piece| a.from + a.len as u64 == b.from && a.to + a.len == b.to;
        for group in pieces.chunk_by(adjoins) {
            for part in Parts(group) {
                let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
                let target = buffer.get_mut(first.to..last.to + last.wanted).unwrap_or_default();
                if self.device().read_exact(first.from, target).is_err() {
                    for piece in part {
                        found.get_mut(piece.stream).and_then(Option::take);
                    }
                }
            }
        }
        found
    }
}

/// What adjoins, in parts of some [`MOST`] bytes.
struct Parts<'p>(&'p [Piece]);

impl<'p> Iterator for Parts<'p> {
    type Item = &'p [Piece];

    fn next(&mut self) -> Option<Self::Item> {
        let mut sum = 0;
        let within = |piece: &&Piece| {
            sum += piece.len;
            sum <= MOST
        };
        let count = self.0.iter().take_while(within).count().max(1);
        let (part, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(part)
    }
}
