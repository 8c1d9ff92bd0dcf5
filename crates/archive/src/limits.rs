//! Budgets: what a reader takes before it calls an archive hostile.

/// How much of one thing a reader holds in memory. The defaults are far above what any honest archive has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the extended headers of one entry, GNU long names included. 2 MiB; Go and libarchive take 1 MiB.
    pub header: u64,
    /// Bytes of all global headers that are in force. 1 MiB.
    pub global: u64,
    /// Extension headers (`x`, `g`, `L`, `K`) before one entry. 64.
    pub extensions: u32,
    /// Ranges of one sparse stream. 2,097,152, which are 32 MiB in memory.
    pub extents: usize,
    /// Bytes of `.ntbak/volume.json`. 1 MiB.
    pub volume: u64,
    /// Bytes of one line of the manifest. 8 MiB.
    pub line: usize,
    /// Frames of a seek table. 8,388,608, which are 64 MiB in memory and 32 TiB of an archive of ours.
    pub frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: 2 << 20,
            global: 1 << 20,
            extensions: 64,
            extents: 1 << 21,
            volume: 1 << 20,
            line: 8 << 20,
            frames: 1 << 23,
        }
    }
}

/// The most bytes that we write into the extended header of one entry: what Go's `archive/tar` and libarchive read.
pub(crate) const MAX_HEADER: usize = 1 << 20;
