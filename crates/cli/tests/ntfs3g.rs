//! ntbak on real NTFS volumes that ntfs-3g mounts, judged by programs that are not ntbak.
//!
//! Needs root, FUSE, ntfs-3g with its tools, getfattr and python3, and the judges beside the workspace (NTBAK_JUDGES);
//! where they are missing the tests say `skipped: `, unless NTBAK_REQUIRE_ALL is set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "ntfs3g/canonical.rs"]
mod canonical;
#[path = "ntfs3g/copy.rs"]
mod copy;
#[path = "ntfs3g/efs.rs"]
mod efs;
#[path = "ntfs3g/failure.rs"]
mod failure;
#[path = "ntfs3g/image.rs"]
mod image;
#[path = "ntfs3g/image_corpus.rs"]
mod image_corpus;
#[path = "ntfs3g/image_efs.rs"]
mod image_efs;
#[path = "ntfs3g/image_options.rs"]
mod image_options;
#[path = "ntfs3g/image_shapes.rs"]
mod image_shapes;
#[path = "ntfs3g/image_tree.rs"]
mod image_tree;
#[path = "ntfs3g/image_tree_hostile.rs"]
mod image_tree_hostile;
#[path = "ntfs3g/in_place.rs"]
mod in_place;
#[path = "ntfs3g/modes.rs"]
mod modes;
#[path = "ntfs3g/round_trip.rs"]
mod round_trip;
#[path = "ntfs3g/sparse.rs"]
mod sparse;
#[path = "ntfs3g/through_directory.rs"]
mod through_directory;
#[path = "ntfs3g/win32.rs"]
mod win32;
#[path = "ntfs3g/win32_backup.rs"]
mod win32_backup;
#[path = "ntfs3g/win32_contained.rs"]
mod win32_contained;
#[path = "ntfs3g/win32_full.rs"]
mod win32_full;
#[path = "ntfs3g/win32_tables.rs"]
mod win32_tables;
