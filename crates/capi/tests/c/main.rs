//! The C library as programs in C use it: they are compiled, linked with it and run.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../../../../xtask/src/install_c.rs"]
mod install_c;

mod cases;
mod common;
mod examples;
mod fence;
mod headers;
mod installed;
mod layout;
mod python;
