//! A cache for the tables of a container: pages of 4 KiB, a fixed number of them, read when they are asked for.
//!
//! Tables can be large (64 KiB for each 512 MiB of a qcow2 image), so they are not held whole. Each page has one slot
//! that it can be in; neighbours never share one. A hit is a read lock and no allocation.

use std::io;
use std::sync::{PoisonError, RwLock};

use crate::read_at::{ReadAt, clamp};

const PAGE: u64 = 4096;

/// A cache of pages of one source.
pub(crate) struct Pages {
    slots: Box<[RwLock<Page>]>,
}

#[derive(Default)]
struct Page {
    /// Which page it is: its offset plus one, 0 for none.
    key: u64,
    bytes: Vec<u8>,
}

impl Pages {
    /// A cache of at most `count` pages (at least one).
    pub(crate) fn new(count: usize) -> Self {
        Self { slots: (0..count.max(1)).map(|_| RwLock::default()).collect() }
    }

    /// Looks at the bytes of `source` from `offset` to the end of their page, or of the source.
    pub(crate) fn with<R>(
        &self,
        source: &dyn ReadAt,
        offset: u64,
        look: impl FnOnce(&[u8]) -> R,
    ) -> io::Result<R> {
        let start = offset - offset % PAGE;
        let key = start + 1;
        let index = (start / PAGE) % self.slots.len() as u64;
        // The index is below the number of slots.
        let Some(slot) = self.slots.get(usize::try_from(index).unwrap_or(0)) else {
            return Err(io::Error::other("a cache without slots"));
        };
        let within = (offset - start) as usize;
        {
            // A slot is whole or has key 0, even after a panic elsewhere.
            let page = slot.read().unwrap_or_else(PoisonError::into_inner);
            if page.key == key {
                return Ok(look(page.bytes.get(within..).unwrap_or_default()));
            }
        }
        let mut page = slot.write().unwrap_or_else(PoisonError::into_inner);
        if page.key != key {
            page.key = 0;
            page.bytes.resize(clamp(start, PAGE as usize, source.len()), 0);
            source.read_exact_at(start, &mut page.bytes)?;
            page.key = key;
        }
        Ok(look(page.bytes.get(within..).unwrap_or_default()))
    }
}
