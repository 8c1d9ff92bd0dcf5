//! The decompressors alone: LZNT1, and what WOF uses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod encode;
mod lznt1;
mod wof;
