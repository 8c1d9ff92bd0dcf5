//! Security descriptor to text.
//!
//! | part | text |
//! | --- | --- |
//! | owner, group | `O:`, `G:` and a SID |
//! | DACL, SACL | `D:`, `S:`, flags, then `NO_ACCESS_CONTROL` for a NULL ACL, or an ACE in parentheses each |
//!
//! Source: \[MS-DTYP\] 2.5.1.1. The escapes are described in [the module above](super).

use super::{
    super::{
        acl::Acl,
        descriptor::{AclPart, Control, SecurityDescriptor},
        sid::Sid,
    },
    ace_text::push_ace,
    rights::ACL_FLAGS,
    scanner::push_hex,
};

/// The text of a descriptor. It never fails; what SDDL has no words for is written as [escapes](super).
#[must_use]
pub fn to_sddl(descriptor: &SecurityDescriptor<'_>) -> String {
    let mut out = String::new();
    for (tag, sid) in [("O:", descriptor.owner()), ("G:", descriptor.group())] {
        if let Some(sid) = sid {
            out.push_str(tag);
            push_sid(&mut out, sid);
        }
    }
    let control = descriptor.control();
    push_acl_part(&mut out, "D:", descriptor.dacl(), |(_, dacl, _)| control.contains(dacl));
    push_acl_part(&mut out, "S:", descriptor.sacl(), |(_, _, sacl)| control.contains(sacl));
    out
}

/// Appends a SID: its alias, or its number.
pub(super) fn push_sid(out: &mut String, sid: Sid<'_>) {
    match sid.alias() {
        Some(alias) => out.push_str(alias),
        None => out.push_str(&sid.to_string()),
    }
}

fn push_acl_part(
    out: &mut String,
    tag: &str,
    part: AclPart<'_>,
    has: impl Fn((&str, Control, Control)) -> bool,
) {
    if part == AclPart::Absent {
        return;
    }
    out.push_str(tag);
    out.extend(ACL_FLAGS.into_iter().filter(|flag| has(*flag)).map(|(name, ..)| name));
    match part {
        AclPart::Absent => {}
        AclPart::Null => out.push_str("NO_ACCESS_CONTROL"),
        AclPart::Acl(acl) => push_acl(out, acl),
    }
}

fn push_acl(out: &mut String, acl: Acl<'_>) {
    let (sbz1, sbz2) = acl.reserved();
    // The revision alone is not worth it: text has no place for it, and Samba writes 4 everywhere.
    if (sbz1, sbz2) != (0, 0) || !acl.slack().is_empty() {
        let [low, high] = sbz2.to_le_bytes();
        out.push('#');
        push_hex(out, &[acl.revision(), sbz1, low, high]);
        push_hex(out, acl.slack());
    }
    acl.aces().for_each(|ace| push_ace(out, ace));
}
