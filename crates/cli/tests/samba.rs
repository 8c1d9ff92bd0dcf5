//! ntbak on directories that a real smbd shares: what smbclient, smbcacls and Samba's own Python bindings say of them.
//!
//! Needs root, smbd, smbclient and python3-samba; where they are missing the tests say `skipped: `, unless
//! NTBAK_REQUIRE_ALL is set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "samba/bindings.rs"]
mod bindings;
#[path = "samba/changed.rs"]
mod changed;
#[path = "samba/depot.rs"]
mod depot;
#[path = "samba/restored.rs"]
mod restored;
#[path = "samba/server.rs"]
mod server;
#[path = "samba/source.rs"]
mod source;
#[path = "samba/user_acl.rs"]
mod user_acl;
#[path = "samba/written.rs"]
mod written;
