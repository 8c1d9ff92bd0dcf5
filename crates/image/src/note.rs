//! What is worth telling about an image and did no harm.

use std::fmt;
use std::path::PathBuf;

/// Something odd about a container or a partition table, in spite of which all of it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The first GPT is damaged or gone; the copy at the end of the disk was used.
    GptPrimaryDamaged,
    /// The GPT at the end of the disk is damaged or not there, as when an image is cut or a disk has grown.
    GptBackupDamaged,
    /// An entry of the GPT has bounds that no disk can have, and was left out.
    PartitionBounds {
        /// The number of the entry.
        number: u32,
    },
    /// A partition goes past the end of the disk.
    PartitionPastEnd {
        /// Its number.
        number: u32,
        /// How many bytes of it are not there.
        missing: u64,
    },
    /// The chain of logical partitions is damaged; those before the damage were found.
    ExtendedChain {
        /// Where, in bytes from the start of the disk.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// One of two headers is damaged; the other was used.
    HeaderCopyUsed {
        /// The structure.
        what: &'static str,
    },
    /// The image was not closed, and its log was applied in memory. The file was not changed.
    LogReplayed {
        /// How many log entries were applied.
        entries: u64,
    },
    /// The image was in use, or not closed, when it was copied.
    NotClosed,
    /// The image is marked as corrupt by the program that wrote it.
    MarkedCorrupt,
    /// The image has snapshots inside; the state that is read is the current one.
    Snapshots {
        /// How many.
        count: u32,
    },
    /// A file below this one is read where this one has nothing.
    BackingFile {
        /// Its path.
        path: PathBuf,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GptPrimaryDamaged => {
                f.write_str("the GPT at the start of the disk is damaged; the copy at its end was used")
            }
            Self::GptBackupDamaged => {
                f.write_str("the copy of the GPT at the end of the disk is missing or damaged")
            }
            Self::PartitionBounds { number } => {
                write!(f, "partition {number} has impossible bounds and was left out")
            }
            Self::PartitionPastEnd { number, missing } => {
                write!(f, "the last {missing} bytes of partition {number} are past the end of the disk")
            }
            Self::ExtendedChain { offset, why } => {
                write!(f, "the chain of logical partitions ends at byte {offset}: {why}")
            }
            Self::HeaderCopyUsed { what } => write!(f, "{what} is damaged; its copy was used"),
            Self::LogReplayed { entries } => {
                write!(
                    f,
                    "the image was not closed: {entries} log entries were applied in memory, the file is unchanged"
                )
            }
            Self::NotClosed => f.write_str("the image was not closed, or was in use when it was copied"),
            Self::MarkedCorrupt => f.write_str(
                "the image is marked as corrupt by the program that wrote it (see: qemu-img check)",
            ),
            Self::Snapshots { count } => {
                write!(f, "the image has {count} snapshots inside; the current state is read")
            }
            Self::BackingFile { path } => {
                write!(f, "what is not in the image is read from {}", path.display())
            }
        }
    }
}
