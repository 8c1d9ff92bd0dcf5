//! NTFS volumes, read without a mount.
#![forbid(unsafe_code)]

pub mod compress;
