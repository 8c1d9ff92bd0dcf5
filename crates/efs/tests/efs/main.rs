//! Ciphers, keys and metadata of EFS. Numbers are those of the list of edge cases; other programs are the judges.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod corpus;
mod hostile;
mod judge;
mod keys;
mod metadata;
mod vectors;
