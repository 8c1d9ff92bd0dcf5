//! What a sink can hold: asked before the work starts, so that a loss is known before it happens.

use std::borrow::Cow;

use bitflags::bitflags;
use ntbak_wire::FileAttributes;

bitflags! {
    /// Facts about a file that one place can hold and another cannot.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Facts: u32 {
        /// Named (alternate) data streams.
        const NAMED_STREAMS = 1 << 0;
        /// Owner, group and discretionary access control list.
        const SECURITY = 1 << 1;
        /// The system access control list.
        const SACL = 1 << 2;
        /// Extended attributes.
        const EA = 1 << 3;
        /// Their flags (NEED_EA).
        const EA_FLAGS = 1 << 4;
        /// Reparse points of every tag.
        const REPARSE = 1 << 5;
        /// Object ids, all 64 bytes.
        const OBJECT_ID = 1 << 6;
        /// Sparse streams and their holes.
        const HOLES = 1 << 7;
        /// That a stream is sparse although it has no hole.
        const SPARSE_FLAG = 1 << 8;
        /// Valid data length.
        const VDL = 1 << 9;
        /// That a stream is compressed.
        const COMPRESSION = 1 << 10;
        /// Case-sensitive directories.
        const CASE_SENSITIVE = 1 << 11;
        /// 8.3 names.
        const SHORT_NAME = 1 << 12;
        /// Creation time.
        const CREATED = 1 << 13;
        /// Last write time.
        const WRITTEN = 1 << 14;
        /// Last access time.
        const ACCESSED = 1 << 15;
        /// Change time.
        const CHANGED = 1 << 16;
        /// Encrypted files as they are, without their key.
        const EFS = 1 << 17;
        /// What only Linux knows of a file: owner, mode, extended attributes outside of Windows' facts.
        const LINUX = 1 << 18;
    }
}

impl Facts {
    /// What people call each fact, in the order of a report.
    pub const NAMES: [(Self, &'static str); 19] = [
        (Self::NAMED_STREAMS, "alternate data streams"),
        (Self::SECURITY, "security descriptor"),
        (Self::SACL, "system access control list"),
        (Self::EA, "extended attributes"),
        (Self::EA_FLAGS, "flags of extended attributes"),
        (Self::REPARSE, "reparse points"),
        (Self::OBJECT_ID, "object ids"),
        (Self::HOLES, "holes of sparse streams"),
        (Self::SPARSE_FLAG, "sparse flag without a hole"),
        (Self::VDL, "valid data length"),
        (Self::COMPRESSION, "compression"),
        (Self::CASE_SENSITIVE, "case-sensitive directories"),
        (Self::SHORT_NAME, "8.3 names"),
        (Self::CREATED, "creation time"),
        (Self::WRITTEN, "write time"),
        (Self::ACCESSED, "access time"),
        (Self::CHANGED, "change time"),
        (Self::EFS, "encrypted files, as they are"),
        (Self::LINUX, "owner, mode and attributes of Linux"),
    ];
}

/// What a place can hold of a file, and why not the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The facts that it holds.
    pub holds: Facts,
    /// The attributes that can be set there. Those that only mirror another fact (sparse, reparse point) count as
    /// settable where that fact is held.
    pub attributes: FileAttributes,
    /// Whether a stream's extents must be known before its content comes ([`Extents::Known`]), as a forward-only
    /// archive needs it.
    ///
    /// [`Extents::Known`]: ntbak_wire::record::Extents::Known
    pub extents_first: bool,
    /// Why facts are not held, and what would help: the first entry that names a fact speaks for it.
    pub because: Vec<(Facts, Cow<'static, str>)>,
}

impl Capabilities {
    /// A place that holds everything.
    #[must_use]
    pub fn everything() -> Self {
        let (holds, attributes) = (Facts::all(), FileAttributes::all());
        Self { holds, attributes, extents_first: false, because: Vec::new() }
    }

    /// The same place without these facts, for this reason.
    #[must_use]
    pub fn without(mut self, facts: Facts, because: impl Into<Cow<'static, str>>) -> Self {
        self.holds -= facts;
        self.because.push((facts, because.into()));
        self
    }

    /// Whether all of `facts` are held.
    #[must_use]
    pub fn holds(&self, facts: Facts) -> bool {
        self.holds.contains(facts)
    }

    /// Why `fact` is not held.
    #[must_use]
    pub fn why_not(&self, fact: Facts) -> &str {
        let reason = self.because.iter().find(|(facts, _)| facts.intersects(fact));
        reason.map_or("the target has no place for it", |(_, why)| why)
    }
}
