//! Making security descriptors: from parts, without a SACL, and out of two descriptors.
//!
//! | what is made | Control | the parts |
//! | --- | --- | --- |
//! | [`SecurityDescriptorBuilder::build`] | as given, present bits set to fit | SACL, DACL, owner, group |
//! | [`SecurityDescriptor::without_sacl`] | bits of the SACL cleared | those left, in their old order |
//! | [`SecurityDescriptor::merge`] | each bit from where its part comes | in the order of the new descriptor, then of the old |
//!
//! Layout: \[MS-DTYP\] 2.4.6. Each part starts at a multiple of 4 and is written byte for byte.

use super::{
    acl::Acl,
    descriptor::{AclPart, Control, Part, SecurityDescriptor},
    sid::Sid,
};

bitflags::bitflags! {
    /// Which parts of a descriptor are meant (\[MS-DTYP\] 2.4.7).
    ///
    /// The bits that pick single kinds of ACE out of a SACL (label, attribute, scope) are kept and have no effect.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SecurityInformation: u32 {
        /// The owner.
        const OWNER = 0x1;
        /// The primary group.
        const GROUP = 0x2;
        /// The DACL.
        const DACL = 0x4;
        /// The SACL.
        const SACL = 0x8;
        const _ = !0;
    }
}

/// The parts to build a descriptor of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityDescriptorBuilder<'a> {
    /// The Control field. `SE_SELF_RELATIVE` and the two present bits are set by [`build`](Self::build).
    pub control: Control,
    /// The byte behind Revision, which means something with `SE_RM_CONTROL_VALID`.
    pub resource_manager: u8,
    /// The owner.
    pub owner: Option<Sid<'a>>,
    /// The primary group.
    pub group: Option<Sid<'a>>,
    /// The SACL.
    pub sacl: AclPart<'a>,
    /// The DACL.
    pub dacl: AclPart<'a>,
}

impl SecurityDescriptorBuilder<'_> {
    /// The descriptor, in the order that the example of \[MS-DTYP\] 2.5.1.4 has: SACL, DACL, owner, group.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut control = self.control | Control::SELF_RELATIVE;
        control.set(Control::SACL_PRESENT, self.sacl != AclPart::Absent);
        control.set(Control::DACL_PRESENT, self.dacl != AclPart::Absent);
        let parts = [
            (Part::Sacl, self.sacl.acl().map(|acl| acl.bytes())),
            (Part::Dacl, self.dacl.acl().map(|acl| acl.bytes())),
            (Part::Owner, self.owner.map(|sid| sid.bytes())),
            (Part::Group, self.group.map(|sid| sid.bytes())),
        ];
        let parts = parts.into_iter().filter_map(|(part, bytes)| Some((part, bytes?)));
        assemble(control, self.resource_manager, parts)
    }
}

impl<'a> SecurityDescriptor<'a> {
    /// Which parts there are; a NULL ACL is there, an absent one is not.
    #[must_use]
    pub fn parts(&self) -> SecurityInformation {
        let mut parts = SecurityInformation::empty();
        parts.set(SecurityInformation::OWNER, self.owner().is_some());
        parts.set(SecurityInformation::GROUP, self.group().is_some());
        parts.set(SecurityInformation::DACL, self.dacl() != AclPart::Absent);
        parts.set(SecurityInformation::SACL, self.sacl() != AclPart::Absent);
        parts
    }

    /// The descriptor with its SACL left out, as one without ACCESS_SYSTEM_SECURITY gets to read it.
    ///
    /// All five bits of the SACL are cleared ([`Control::SACL`]), since they describe what is not there. The other
    /// parts keep their order and bytes; bytes between and behind them are dropped, as a SACL may be among them. A
    /// descriptor that says nothing about a SACL stays as it is.
    #[must_use]
    pub fn without_sacl(&self) -> Vec<u8> {
        let head = self.bytes().get(Part::Sacl.field()..).and_then(<[u8]>::first_chunk);
        if !self.control().intersects(Control::SACL) && head == Some(&[0; 4]) {
            return self.bytes().to_vec();
        }
        Self::merge(
            None,
            self,
            SecurityInformation::OWNER | SecurityInformation::GROUP | SecurityInformation::DACL,
        )
    }

    /// The descriptor that has `parts` from `new` and the others from `current`, as setting `parts` of an object gives
    /// it: without ACCESS_SYSTEM_SECURITY, owner, group and DACL are set and the SACL stays.
    ///
    /// A part that is named but that `new` does not have is missing in the result; name
    /// `new.parts()` to leave such parts alone. Control bits go with their parts; the resource manager's bits are those
    /// of `current`, or of `new` when there is none.
    #[must_use]
    pub fn merge(
        current: Option<&SecurityDescriptor<'_>>,
        new: &SecurityDescriptor<'_>,
        parts: SecurityInformation,
    ) -> Vec<u8> {
        let bits = |part| match part {
            Part::Owner => (SecurityInformation::OWNER, Control::OWNER_DEFAULTED),
            Part::Group => (SecurityInformation::GROUP, Control::GROUP_DEFAULTED),
            Part::Sacl => (SecurityInformation::SACL, Control::SACL),
            Part::Dacl => (SecurityInformation::DACL, Control::DACL),
        };
        let base = current.unwrap_or(new);
        let mut control = Control::SELF_RELATIVE | base.control() & Control::RM_CONTROL_VALID;
        let mut placed = Vec::with_capacity(Part::ALL.len());
        for part in Part::ALL {
            let (information, mask) = bits(part);
            let from_new = parts.contains(information);
            let Some(source) = (if from_new { Some(new) } else { current }) else { continue };
            control |= source.control() & mask;
            if let Some((offset, bytes)) = source.part(part) {
                placed.push(((!from_new, offset), (part, bytes)));
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        assemble(control, base.resource_manager(), placed.into_iter().map(|(_, part)| part))
    }
}

/// Writes the fixed part and the parts, in this order.
fn assemble<'p>(
    control: Control,
    resource_manager: u8,
    parts: impl Iterator<Item = (Part, &'p [u8])>,
) -> Vec<u8> {
    const _: () = assert!(
        SecurityDescriptor::HEADER_LEN + 2 * (Acl::MAX_LEN + 3) + 2 * Sid::MAX_LEN
            < SecurityDescriptor::MAX_LEN
    );
    let mut head = [0; SecurityDescriptor::HEADER_LEN];
    let mut body = Vec::new();
    for (part, bytes) in parts {
        // Below MAX_LEN by the assertion above, so nothing is cut.
        let offset = (SecurityDescriptor::HEADER_LEN + body.len()) as u32;
        put(&mut head, part.field(), &offset.to_le_bytes());
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    put(&mut head, 0, &[1, resource_manager]);
    put(&mut head, 2, &control.bits().to_le_bytes());
    [&head[..], &body].concat()
}

/// Overwrites the bytes from `offset` on.
fn put(bytes: &mut [u8], offset: usize, with: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(offset).zip(with) {
        *to = *from;
    }
}
