//! Many files with the command: archives, restores, copies, and what may go wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "trees/commands.rs"]
mod commands;
#[path = "trees/faults.rs"]
mod faults;
#[path = "trees/sample.rs"]
mod sample;
#[path = "trees/volumes.rs"]
mod volumes;
