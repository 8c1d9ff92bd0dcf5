//! File attributes.

use bitflags::bitflags;

bitflags! {
    /// `FILE_ATTRIBUTE_*` (\[MS-FSCC\] 2.6). Bits that are not named here are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct FileAttributes: u32 {
        /// The file cannot be written or deleted through Win32.
        const READONLY = 0x1;
        /// Left out of ordinary listings.
        const HIDDEN = 0x2;
        /// Belongs to the operating system.
        const SYSTEM = 0x4;
        /// A directory.
        const DIRECTORY = 0x10;
        /// Changed since the last backup.
        const ARCHIVE = 0x20;
        /// Reserved for devices.
        const DEVICE = 0x40;
        /// No other attribute is set.
        const NORMAL = 0x80;
        /// Temporary.
        const TEMPORARY = 0x100;
        /// The unnamed stream is sparse.
        const SPARSE_FILE = 0x200;
        /// Has a reparse point.
        const REPARSE_POINT = 0x400;
        /// Compressed by NTFS; on a directory: new files are.
        const COMPRESSED = 0x800;
        /// The content is not there at once.
        const OFFLINE = 0x1000;
        /// Not to be indexed.
        const NOT_CONTENT_INDEXED = 0x2000;
        /// Encrypted by EFS; on a directory: new files are.
        const ENCRYPTED = 0x4000;
        /// Integrity streams (ReFS).
        const INTEGRITY_STREAM = 0x8000;
        /// Virtual (reserved).
        const VIRTUAL = 0x1_0000;
        /// Left out of the integrity scrubber (ReFS).
        const NO_SCRUB_DATA = 0x2_0000;
        /// Has extended attributes; the same bit as `RECALL_ON_OPEN`.
        const RECALL_ON_OPEN = 0x4_0000;
        /// Keep the content on this machine.
        const PINNED = 0x8_0000;
        /// The content may leave this machine.
        const UNPINNED = 0x10_0000;
        /// Reading fetches the content from elsewhere.
        const RECALL_ON_DATA_ACCESS = 0x40_0000;

        const _ = !0;
    }
}

impl FileAttributes {
    /// Whether this is a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        self.contains(Self::DIRECTORY)
    }

    /// One letter for each attribute that people know, as `attrib` and `dir` show them, `-` for none.
    #[must_use]
    pub fn letters(self) -> String {
        const LETTERS: [(FileAttributes, char); 14] = [
            (FileAttributes::READONLY, 'R'),
            (FileAttributes::HIDDEN, 'H'),
            (FileAttributes::SYSTEM, 'S'),
            (FileAttributes::DIRECTORY, 'D'),
            (FileAttributes::ARCHIVE, 'A'),
            (FileAttributes::TEMPORARY, 'T'),
            (FileAttributes::SPARSE_FILE, 'P'),
            (FileAttributes::REPARSE_POINT, 'L'),
            (FileAttributes::COMPRESSED, 'C'),
            (FileAttributes::OFFLINE, 'O'),
            (FileAttributes::NOT_CONTENT_INDEXED, 'I'),
            (FileAttributes::ENCRYPTED, 'E'),
            (FileAttributes::INTEGRITY_STREAM, 'V'),
            (FileAttributes::NO_SCRUB_DATA, 'X'),
        ];
        let letters: String =
            LETTERS.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, letter)| letter).collect();
        if letters.is_empty() { "-".into() } else { letters }
    }
}
