//! Trees: from memory into archives and directories and back, in any order; and what hostile archives may not do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "directory/helpers.rs"]
#[allow(dead_code)]
mod helpers;
#[path = "tree/hostile.rs"]
mod hostile;
#[path = "tree/round_trip.rs"]
mod round_trip;
