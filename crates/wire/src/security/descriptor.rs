//! Security descriptors in self-relative form.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | Revision (1) |
//! | 1 | 1 | Sbz1, or the resource manager's bits when `SE_RM_CONTROL_VALID` is set |
//! | 2 | 2 | Control |
//! | 4 | 4 | OffsetOwner |
//! | 8 | 4 | OffsetGroup |
//! | 12 | 4 | OffsetSacl |
//! | 16 | 4 | OffsetDacl |
//! | 20 | … | owner, group, SACL and DACL, in any order |
//!
//! Source: `SECURITY_DESCRIPTOR`, \[MS-DTYP\] 2.4.6. Offsets count from the start; 0 means that the part is missing.

use std::fmt;

use super::{acl::Acl, sid::Sid};
use crate::{
    bytes,
    error::{Error, Format, Result},
};

const FORMAT: Format = Format::Security;

bitflags::bitflags! {
    /// The Control field (\[MS-DTYP\] 2.4.6, with the `SE_` names of `winnt.h`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Control: u16 {
        /// `OD`: the owner was set by default.
        const OWNER_DEFAULTED = 0x0001;
        /// `GD`: the group was set by default.
        const GROUP_DEFAULTED = 0x0002;
        /// `DP`: there is a DACL, which may be NULL.
        const DACL_PRESENT = 0x0004;
        /// `DD`: the DACL was set by default.
        const DACL_DEFAULTED = 0x0008;
        /// `SP`: there is a SACL, which may be NULL.
        const SACL_PRESENT = 0x0010;
        /// `SD`: the SACL was set by default.
        const SACL_DEFAULTED = 0x0020;
        /// `DT`: the DACL comes from a trusted source.
        const DACL_TRUSTED = 0x0040;
        /// `SS`: the system is asked for a server ACL.
        const SERVER_SECURITY = 0x0080;
        /// `DC`: the DACL is to be computed through inheritance.
        const DACL_AUTO_INHERIT_REQ = 0x0100;
        /// `SC`: the SACL is to be computed through inheritance.
        const SACL_AUTO_INHERIT_REQ = 0x0200;
        /// `DI`: the DACL was made through inheritance.
        const DACL_AUTO_INHERITED = 0x0400;
        /// `SI`: the SACL was made through inheritance.
        const SACL_AUTO_INHERITED = 0x0800;
        /// `PD`: the DACL does not inherit.
        const DACL_PROTECTED = 0x1000;
        /// `PS`: the SACL does not inherit.
        const SACL_PROTECTED = 0x2000;
        /// `RM`: the byte behind Revision belongs to the resource manager.
        const RM_CONTROL_VALID = 0x4000;
        /// `SR`: the descriptor is self-relative.
        const SELF_RELATIVE = 0x8000;
    }
}

impl Control {
    /// The bits that say something about the DACL.
    pub const DACL: Self = Self::DACL_PRESENT
        .union(Self::DACL_DEFAULTED)
        .union(Self::DACL_TRUSTED)
        .union(Self::SERVER_SECURITY)
        .union(Self::DACL_AUTO_INHERIT_REQ)
        .union(Self::DACL_AUTO_INHERITED)
        .union(Self::DACL_PROTECTED);
    /// The bits that say something about the SACL.
    pub const SACL: Self = Self::SACL_PRESENT
        .union(Self::SACL_DEFAULTED)
        .union(Self::SACL_AUTO_INHERIT_REQ)
        .union(Self::SACL_AUTO_INHERITED)
        .union(Self::SACL_PROTECTED);
}

/// What a descriptor says about one of its ACLs. The three cases mean different things: no DACL or a NULL DACL gives
/// everyone full access, a DACL without ACEs gives no one any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AclPart<'a> {
    /// The present bit is clear: the descriptor says nothing about it.
    #[default]
    Absent,
    /// The present bit is set and the offset is 0: a NULL ACL.
    Null,
    /// There is one, perhaps without ACEs.
    Acl(Acl<'a>),
}

impl<'a> AclPart<'a> {
    /// The ACL, if there is one.
    #[must_use]
    pub fn acl(self) -> Option<Acl<'a>> {
        match self {
            Self::Acl(acl) => Some(acl),
            Self::Absent | Self::Null => None,
        }
    }
}

/// The four parts of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Owner,
    Group,
    Sacl,
    Dacl,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Owner, Self::Group, Self::Sacl, Self::Dacl];

    /// Where the offset of the part is kept.
    pub(super) fn field(self) -> usize {
        match self {
            Self::Owner => 4,
            Self::Group => 8,
            Self::Sacl => 12,
            Self::Dacl => 16,
        }
    }
}

/// A self-relative security descriptor: a view over its bytes, all of which were checked when it was made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecurityDescriptor<'a> {
    bytes: &'a [u8],
    control: Control,
    owner: Option<Sid<'a>>,
    group: Option<Sid<'a>>,
    sacl: AclPart<'a>,
    dacl: AclPart<'a>,
}

impl<'a> SecurityDescriptor<'a> {
    /// Size of the fixed part in bytes, and of the smallest descriptor.
    pub const HEADER_LEN: usize = 20;
    /// The largest descriptor in bytes that ntbak takes: 0x40000. Its parts cannot need more than 131 226 (two ACLs of
    /// 65 535, two SIDs of 68, the fixed part); the limit is the one that Samba has.
    pub const MAX_LEN: usize = 0x4_0000;

    /// Checks a descriptor from end to end.
    ///
    /// Parts may be in any order, overlap, and have bytes between or behind them. An ACL whose present bit is clear is
    /// not looked at, but its offset must lie inside. Sbz1 is not looked at.
    ///
    /// # Errors
    /// Fewer than 20 bytes or more than [`MAX_LEN`](Self::MAX_LEN), a Revision other than 1, a descriptor that is not
    /// self-relative, an offset outside or in the fixed part, and anything that [`Sid::split`] or [`Acl::split`] give.
    /// [`Error::win32`] of all of them is `ERROR_INVALID_SECURITY_DESCR` (1338).
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let len = bytes.len() as u64;
        if bytes.len() > Self::MAX_LEN {
            return Err(Error::value(FORMAT, 0, "size", len, "at most 0x40000 bytes"));
        }
        let Some(&[revision, _sbz1, control_low, control_high, ..]) = bytes.get(..Self::HEADER_LEN) else {
            return Err(Error::truncated(FORMAT, 0, "security descriptor", Self::HEADER_LEN as u64, len));
        };
        if revision != 1 {
            return Err(Error::value(FORMAT, 0, "Revision", u64::from(revision), "1"));
        }
        let control = Control::from_bits_retain(u16::from_le_bytes([control_low, control_high]));
        if !control.contains(Control::SELF_RELATIVE) {
            return Err(Error::value(
                FORMAT,
                2,
                "Control",
                u64::from(control.bits()),
                "SE_SELF_RELATIVE (0x8000) set",
            ));
        }

        let sid = |part| match part {
            None => Ok(None),
            Some((offset, bytes)) => Sid::split(bytes).map(|(sid, _)| Some(sid)).map_err(|e| e.at(offset)),
        };
        let acl = |present, part| match (control.contains(present), part) {
            (false, _) => Ok(AclPart::Absent),
            (true, None) => Ok(AclPart::Null),
            (true, Some((offset, bytes))) => {
                Acl::split(bytes).map(|(acl, _)| AclPart::Acl(acl)).map_err(|e: Error| e.at(offset))
            }
        };
        Ok(Self {
            bytes,
            control,
            owner: sid(part_at(bytes, Part::Owner, "OffsetOwner")?)?,
            group: sid(part_at(bytes, Part::Group, "OffsetGroup")?)?,
            sacl: acl(Control::SACL_PRESENT, part_at(bytes, Part::Sacl, "OffsetSacl")?)?,
            dacl: acl(Control::DACL_PRESENT, part_at(bytes, Part::Dacl, "OffsetDacl")?)?,
        })
    }

    /// The bytes, just as they were given: with those behind the last part.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many of the bytes the descriptor takes: up to the end of its last part.
    #[must_use]
    pub fn used_len(&self) -> usize {
        let end = |part| self.part(part).map_or(0, |(offset, bytes)| offset as usize + bytes.len());
        Part::ALL.into_iter().map(end).fold(Self::HEADER_LEN, usize::max)
    }

    /// The offset and the bytes of a part.
    pub(super) fn part(&self, part: Part) -> Option<(u32, &'a [u8])> {
        let bytes = match part {
            Part::Owner => self.owner?.bytes(),
            Part::Group => self.group?.bytes(),
            Part::Sacl => self.sacl.acl()?.bytes(),
            Part::Dacl => self.dacl.acl()?.bytes(),
        };
        Some((bytes::u32_at(self.bytes, part.field())?, bytes))
    }

    /// The Control field.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control
    }

    /// The byte behind Revision: Sbz1, or the resource manager's bits when `SE_RM_CONTROL_VALID` is set.
    #[must_use]
    pub fn resource_manager(&self) -> u8 {
        self.bytes.get(1).copied().unwrap_or_default()
    }

    /// The owner.
    #[must_use]
    pub fn owner(&self) -> Option<Sid<'a>> {
        self.owner
    }

    /// The primary group.
    #[must_use]
    pub fn group(&self) -> Option<Sid<'a>> {
        self.group
    }

    /// The system access control list: audit, mandatory label, resource attributes, central policy.
    #[must_use]
    pub fn sacl(&self) -> AclPart<'a> {
        self.sacl
    }

    /// The discretionary access control list.
    #[must_use]
    pub fn dacl(&self) -> AclPart<'a> {
        self.dacl
    }
}

/// The offset of a part, and the bytes from there to the end; `None` for offset 0.
fn part_at<'a>(bytes: &'a [u8], part: Part, what: &'static str) -> Result<Option<(u64, &'a [u8])>> {
    let field = part.field();
    let offset = bytes::u32_at(bytes, field).unwrap_or_default();
    if offset == 0 {
        return Ok(None);
    }
    usize::try_from(offset)
        .ok()
        .filter(|start| *start >= SecurityDescriptor::HEADER_LEN)
        .and_then(|start| bytes.get(start..))
        .map(|part| Some((u64::from(offset), part)))
        .ok_or_else(|| {
            Error::value(FORMAT, field as u64, what, u64::from(offset), "0, or a place behind the fixed part")
        })
}

impl fmt::Debug for SecurityDescriptor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityDescriptor")
            .field("control", &self.control)
            .field("owner", &self.owner)
            .field("group", &self.group)
            .field("sacl", &self.sacl)
            .field("dacl", &self.dacl)
            .finish()
    }
}
