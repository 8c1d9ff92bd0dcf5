//! Access control entries.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | AceType |
//! | 1 | 1 | AceFlags |
//! | 2 | 2 | AceSize, header included, a multiple of 4 |
//! | 4 | AceSize − 4 | the body, laid out by type: see [`Layout`] |
//!
//! Source: `ACE_HEADER`, \[MS-DTYP\] 2.4.4.1. AceSize may be larger than the fields need.

use std::fmt;

use super::{
    ace_type::{AceType, Layout},
    mask::AccessMask,
    sid::Sid,
};
use crate::{
    bytes,
    error::{Error, Format, Result},
    object_id::Guid,
};

const FORMAT: Format = Format::Security;

bitflags::bitflags! {
    /// The flags of an ACE (\[MS-DTYP\] 2.4.4.1; 0x20 from `winnt.h`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AceFlags: u8 {
        /// Files in a directory inherit the ACE.
        const OBJECT_INHERIT = 0x01;
        /// Directories in a directory inherit the ACE.
        const CONTAINER_INHERIT = 0x02;
        /// What inherits the ACE does not pass it on.
        const NO_PROPAGATE_INHERIT = 0x04;
        /// The ACE is there to be inherited and has no effect on the object itself.
        const INHERIT_ONLY = 0x08;
        /// The ACE was inherited.
        const INHERITED = 0x10;
        /// The ACE is critical.
        const CRITICAL = 0x20;
        /// Successful access is audited; in an access filter ACE, the filter is protected by trust.
        const SUCCESSFUL_ACCESS = 0x40;
        /// Failed access is audited.
        const FAILED_ACCESS = 0x80;
    }
}

bitflags::bitflags! {
    /// Which GUIDs an object ACE has (\[MS-DTYP\] 2.4.4.3). Bits without a name are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ObjectFlags: u32 {
        /// ObjectType is there.
        const OBJECT_TYPE_PRESENT = 0x1;
        /// InheritedObjectType is there.
        const INHERITED_OBJECT_TYPE_PRESENT = 0x2;
        const _ = !0;
    }
}

/// An access control entry: a view over its bytes, which were checked when it was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ace<'a>(&'a [u8]);

/// The fields of an ACE whose type is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AceBody<'a> {
    /// The rights it is about; for a mandatory label, its policy.
    pub mask: AccessMask,
    /// The kinds of object it is about, when the type has these fields ([`AceType::is_object`]).
    pub object: Option<ObjectTypes>,
    /// Whom it is about.
    pub sid: Sid<'a>,
    /// The bytes behind the SID: application data of a callback ACE, attribute data of a resource attribute ACE, and
    /// without meaning in others.
    pub data: &'a [u8],
}

/// The fields that only object ACEs have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ObjectTypes {
    /// Which of the two are there; bits other than those two are kept.
    pub flags: ObjectFlags,
    /// The property, property set, extended right or kind of child object.
    pub object_type: Option<Guid>,
    /// The kind of child object that inherits the ACE.
    pub inherited_object_type: Option<Guid>,
}

impl<'a> Ace<'a> {
    /// Size of the header in bytes, and of the smallest ACE of an unknown type.
    pub const HEADER_LEN: usize = 4;

    /// The ACE at the start of `bytes`, and the bytes behind it.
    ///
    /// # Errors
    /// An AceSize that is below 4, not a multiple of 4 or beyond the end of `bytes`; a body that does not fit the
    /// layout of its type.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let available = bytes.len() as u64;
        let Some(size) = bytes::u16_at(bytes, 2) else {
            return Err(Error::truncated(FORMAT, 0, "ACE header", Self::HEADER_LEN as u64, available));
        };
        let len = usize::from(size);
        if len < Self::HEADER_LEN || !len.is_multiple_of(4) {
            return Err(Error::value(FORMAT, 2, "AceSize", u64::from(size), "a multiple of 4, at least 4"));
        }
        let (ace, rest) = bytes
            .split_at_checked(len)
            .ok_or_else(|| Error::truncated(FORMAT, 0, "ACE", u64::from(size), available))?;
        let ace = Self(ace);
        ace.parse_body()?;
        Ok((ace, rest))
    }

    /// The bytes, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The type.
    #[must_use]
    pub fn ace_type(&self) -> AceType {
        self.0.first().copied().unwrap_or_default().into()
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> AceFlags {
        AceFlags::from_bits_retain(self.0.get(1).copied().unwrap_or_default())
    }

    /// What follows the header, whatever the type.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.0.get(Self::HEADER_LEN..).unwrap_or_default()
    }

    /// The fields; `None` when the layout of the type is not known.
    #[must_use]
    pub fn body(&self) -> Option<AceBody<'a>> {
        self.parse_body().ok().flatten()
    }

    fn parse_body(&self) -> Result<Option<AceBody<'a>>> {
        let layout = self.ace_type().layout();
        if layout == Layout::Opaque {
            return Ok(None);
        }
        let payload = self.payload();
        let truncated = |needed: usize| {
            let needed = (Self::HEADER_LEN + needed) as u64;
            Error::truncated(FORMAT, 0, "ACE of its type", needed, self.0.len() as u64)
        };
        let mask = bytes::u32_at(payload, 0).ok_or_else(|| truncated(4 + Sid::MIN_LEN))?;
        let mut offset = 4;

        let object = if self.ace_type().is_object() {
            let flags = bytes::u32_at(payload, 4).map(ObjectFlags::from_bits_retain);
            let flags = flags.ok_or_else(|| truncated(8 + Sid::MIN_LEN))?;
            offset += 4;
            let mut guid = |flag| {
                if !flags.contains(flag) {
                    return Ok(None);
                }
                let guid = bytes::array_at(payload, offset).map(Guid);
                offset += 16;
                guid.ok_or_else(|| truncated(offset + Sid::MIN_LEN)).map(Some)
            };
            let object_type = guid(ObjectFlags::OBJECT_TYPE_PRESENT)?;
            let inherited_object_type = guid(ObjectFlags::INHERITED_OBJECT_TYPE_PRESENT)?;
            Some(ObjectTypes { flags, object_type, inherited_object_type })
        } else {
            None
        };

        let (sid, data) = Sid::split(payload.get(offset..).unwrap_or_default())
            .map_err(|error| error.at((Self::HEADER_LEN + offset) as u64))?;
        Ok(Some(AceBody { mask: AccessMask::from_bits_retain(mask), object, sid, data }))
    }
}

impl AceBody<'_> {
    /// The bytes of an ACE with this body. The data get zero bytes behind them up to a multiple of 4.
    ///
    /// The GUIDs that are written are those that are there, and the two flags for them follow suit; `object` is
    /// ignored for a type without these fields, and taken as empty when it is missing for a type with them.
    ///
    /// # Errors
    /// A type whose layout is not known, or an ACE of 65 536 bytes or more.
    pub fn build(&self, ace_type: AceType, flags: AceFlags) -> Result<Vec<u8>> {
        let code = ace_type.code();
        if ace_type.layout() == Layout::Opaque {
            return Err(Error::value(FORMAT, 0, "AceType", u64::from(code), "a type whose layout is known"));
        }
        let mut ace = vec![code, flags.bits(), 0, 0];
        ace.extend(self.mask.bits().to_le_bytes());
        if ace_type.is_object() {
            let types = self.object.unwrap_or_default();
            let mut present = types.flags;
            present.set(ObjectFlags::OBJECT_TYPE_PRESENT, types.object_type.is_some());
            present.set(ObjectFlags::INHERITED_OBJECT_TYPE_PRESENT, types.inherited_object_type.is_some());
            ace.extend(present.bits().to_le_bytes());
            for guid in [types.object_type, types.inherited_object_type].into_iter().flatten() {
                ace.extend(guid.0);
            }
        }
        ace.extend(self.sid.bytes());
        ace.extend(self.data);
        ace.resize(ace.len().next_multiple_of(4), 0);

        let size = u16::try_from(ace.len())
            .map_err(|_| Error::value(FORMAT, 2, "AceSize", ace.len() as u64, "at most 65532"))?;
        for (to, from) in ace.iter_mut().skip(2).zip(size.to_le_bytes()) {
            *to = from;
        }
        Ok(ace)
    }
}

impl fmt::Debug for Ace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Ace");
        out.field("ace_type", &self.ace_type()).field("flags", &self.flags());
        match self.body() {
            Some(body) => out.field("body", &body).finish(),
            None => out.field("payload", &self.payload()).finish(),
        }
    }
}
