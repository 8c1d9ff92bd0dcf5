//! Security descriptors for places that do not take every one.

use ntbak_wire::security::{SecurityDescriptor, SecurityDescriptorBuilder};

use crate::error::Result;

/// How much of a descriptor a place took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All of it.
    All,
    /// Owner or group were missing, and are those that the file had.
    OwnerFilledIn,
}

/// The descriptor without bytes behind its parts, and with the owner and group of `present` where it has none.
pub(crate) fn complete(payload: &[u8], present: &[u8]) -> Result<(Vec<u8>, Kept)> {
    let new = SecurityDescriptor::parse(payload)?;
    let (owner, group) = (new.owner(), new.group());
    let kept = if owner.is_some() && group.is_some() { Kept::All } else { Kept::OwnerFilledIn };
    let present = SecurityDescriptor::parse(present).ok();
    let builder = SecurityDescriptorBuilder {
        owner: owner.or_else(|| present?.owner()),
        group: group.or_else(|| present?.group()),
        sacl: new.sacl(),
        dacl: new.dacl(),
        control: new.control(),
        resource_manager: new.resource_manager(),
    };
    Ok((builder.build(), kept))
}
