//! The letters for rights, ACE flags and ACL flags.
//!
//! | table | written in a row | written alone |
//! | --- | --- | --- |
//! | [`RIGHTS`] | single bits, lowest first, as Windows does | |
//! | [`WHOLE`] | | masks for files and registry keys |
//! | [`LABEL`] | the policy of a mandatory label | |
//!
//! Source: \[MS-DTYP\] 2.5.1.1, "ACE Strings" of the Win32 documentation. A mask that the letters cannot make is written
//! in hexadecimal.

use super::{
    super::{ace::AceFlags, ace_type::AceType, descriptor::Control, mask::AccessMask},
    scanner::Scanner,
};
use crate::error::Result;

/// Single rights: generic and standard ones, and those of directory objects, which name the low bits.
const RIGHTS: [(&str, u32); 17] = [
    ("CC", 1 << 0),
    ("DC", 1 << 1),
    ("LC", 1 << 2),
    ("SW", 1 << 3),
    ("RP", 1 << 4),
    ("WP", 1 << 5),
    ("DT", 1 << 6),
    ("LO", 1 << 7),
    ("CR", 1 << 8),
    ("SD", 1 << 16),
    ("RC", 1 << 17),
    ("WD", 1 << 18),
    ("WO", 1 << 19),
    ("GA", 1 << 28),
    ("GX", 1 << 29),
    ("GW", 1 << 30),
    ("GR", 1 << 31),
];

/// Whole masks. `KX` is the same as `KR` and not written.
const WHOLE: [(&str, u32); 8] = [
    ("FA", 0x001F_01FF),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00A0),
    ("KA", 0x000F_003F),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
    ("KX", 0x0002_0019),
];

/// The policy of a mandatory label.
const LABEL: [(&str, u32); 3] = [("NW", 1), ("NR", 2), ("NX", 4)];

/// The flags of an ACE, in the order that Windows writes them.
const ACE_FLAGS: [(&str, AceFlags); 8] = [
    ("OI", AceFlags::OBJECT_INHERIT),
    ("CI", AceFlags::CONTAINER_INHERIT),
    ("NP", AceFlags::NO_PROPAGATE_INHERIT),
    ("IO", AceFlags::INHERIT_ONLY),
    ("ID", AceFlags::INHERITED),
    ("CR", AceFlags::CRITICAL),
    ("SA", AceFlags::SUCCESSFUL_ACCESS),
    ("FA", AceFlags::FAILED_ACCESS),
];

/// The name of 0x40 in an access filter ACE.
const TRUST_PROTECTED_FILTER: &str = "TP";

/// The flags of an ACL, in the order that Windows writes them: letters, the bit for a DACL, the bit for a SACL.
pub(super) const ACL_FLAGS: [(&str, Control, Control); 3] = [
    ("P", Control::DACL_PROTECTED, Control::SACL_PROTECTED),
    ("AR", Control::DACL_AUTO_INHERIT_REQ, Control::SACL_AUTO_INHERIT_REQ),
    ("AI", Control::DACL_AUTO_INHERITED, Control::SACL_AUTO_INHERITED),
];

/// Appends the rights of an ACE of this type.
pub(super) fn push_rights(out: &mut String, mask: AccessMask, ace_type: AceType) {
    let mask = mask.bits();
    let single: &[_] = if ace_type == AceType::SystemMandatoryLabel { &LABEL } else { &RIGHTS };
    let whole = WHOLE.iter().find(|(_, bits)| *bits == mask && ace_type != AceType::SystemMandatoryLabel);
    if let Some((name, _)) = whole {
        out.push_str(name);
    } else if single.iter().fold(mask, |left, (_, bit)| left & !bit) == 0 {
        out.extend(single.iter().filter(|(_, bit)| mask & bit != 0).map(|(name, _)| *name));
    } else {
        out.push_str(&format!("{mask:#x}"));
    }
}

/// Reads rights: letters, nothing, or a number.
pub(super) fn parse_rights(scanner: &mut Scanner<'_>) -> Result<AccessMask> {
    if scanner.peek().is_some_and(|c| c.is_ascii_digit()) {
        return scanner.number32().map(AccessMask::from_bits_retain);
    }
    let mut mask = 0;
    while scanner.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
        let mut all = RIGHTS.iter().chain(&WHOLE).chain(&LABEL);
        let (_, bits) = all
            .find(|(name, _)| scanner.eat(name))
            .ok_or_else(|| scanner.expected("two letters for a right"))?;
        mask |= bits;
    }
    Ok(AccessMask::from_bits_retain(mask))
}

/// Appends the flags of an ACE of this type.
pub(super) fn push_ace_flags(out: &mut String, flags: AceFlags, ace_type: AceType) {
    for (name, flag) in ACE_FLAGS {
        if flags.contains(flag) {
            let is_filter = ace_type == AceType::SystemAccessFilter && flag == AceFlags::SUCCESSFUL_ACCESS;
            out.push_str(if is_filter { TRUST_PROTECTED_FILTER } else { name });
        }
    }
}

/// Reads flags of an ACE.
pub(super) fn parse_ace_flags(scanner: &mut Scanner<'_>) -> Result<AceFlags> {
    let mut flags = AceFlags::empty();
    while scanner.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
        let mut all = ACE_FLAGS.iter().chain(&[(TRUST_PROTECTED_FILTER, AceFlags::SUCCESSFUL_ACCESS)]);
        let (_, flag) = all
            .find(|(name, _)| scanner.eat(name))
            .ok_or_else(|| scanner.expected("two letters for an ACE flag"))?;
        flags |= *flag;
    }
    Ok(flags)
}
