//! The EFS raw format and EFS metadata: what is written, what is read, what is refused. Numbers are those of the list of
//! edge cases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod hostile;
mod metadata;
mod model;
mod raw;
mod round_trip;
