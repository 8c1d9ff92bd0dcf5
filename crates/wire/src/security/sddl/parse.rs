//! Text to security descriptor.
//!
//! | section | at most once each, in any order |
//! | --- | --- |
//! | `O:`, `G:` | a SID |
//! | `D:`, `S:` | flags, then `NO_ACCESS_CONTROL` or ACEs |
//!
//! Source: \[MS-DTYP\] 2.5.1.1.

use super::{
    super::{
        ace::Ace,
        acl::{Acl, AclBuilder},
        builder::SecurityDescriptorBuilder,
        descriptor::{AclPart, Control},
        sid::{Sid, SidBuf},
    },
    MAX_TEXT_LEN,
    ace_text::parse_ace,
    rights::ACL_FLAGS,
    scanner::Scanner,
};
use crate::error::{Error, Format, Result};

/// The self-relative descriptor of a text, made as [`SecurityDescriptorBuilder::build`] does.
///
/// # Errors
/// Text that does not follow the grammar of [SDDL](super), is longer than [`MAX_TEXT_LEN`], names a SID relative to a
/// domain, or gives an ACE or ACL larger than its size field can say. [`Error::offset`] counts characters.
pub fn parse_sddl(text: &str) -> Result<Vec<u8>> {
    parse(text, None)
}

/// As [`parse_sddl`], with `domain` for the aliases that are relative to a domain, to the root domain of its forest or
/// to a machine, such as `DA` or `LA`.
///
/// # Errors
/// As [`parse_sddl`].
pub fn parse_sddl_in_domain(text: &str, domain: Sid<'_>) -> Result<Vec<u8>> {
    parse(text, Some(domain))
}

/// What a text says about an ACL.
enum AclText {
    Null,
    Acl(Vec<u8>),
}

fn parse(text: &str, domain: Option<Sid<'_>>) -> Result<Vec<u8>> {
    if text.len() > MAX_TEXT_LEN {
        return Err(Error::value(Format::Sddl, 0, "length", text.len() as u64, "at most 1048576 bytes"));
    }
    let mut scanner = Scanner::new(text, domain);
    let (mut owner, mut group): (Option<SidBuf>, Option<SidBuf>) = (None, None);
    let (mut dacl, mut sacl): (Option<AclText>, Option<AclText>) = (None, None);
    let mut control = Control::empty();
    loop {
        scanner.skip_space();
        if scanner.at_end() {
            break;
        } else if owner.is_none() && scanner.eat("O:") {
            scanner.skip_space();
            owner = Some(scanner.sid()?);
        } else if group.is_none() && scanner.eat("G:") {
            scanner.skip_space();
            group = Some(scanner.sid()?);
        } else if dacl.is_none() && scanner.eat("D:") {
            dacl = Some(parse_acl(&mut scanner, &mut control, |(_, dacl, _)| dacl)?);
        } else if sacl.is_none() && scanner.eat("S:") {
            sacl = Some(parse_acl(&mut scanner, &mut control, |(_, _, sacl)| sacl)?);
        } else {
            return Err(scanner.expected("O:, G:, D: or S:, each at most once,"));
        }
    }
    let builder = SecurityDescriptorBuilder {
        control,
        resource_manager: 0,
        owner: owner.as_ref().map(SidBuf::as_sid),
        group: group.as_ref().map(SidBuf::as_sid),
        sacl: acl_part(sacl.as_ref())?,
        dacl: acl_part(dacl.as_ref())?,
    };
    Ok(builder.build())
}

fn acl_part(text: Option<&AclText>) -> Result<AclPart<'_>> {
    match text {
        None => Ok(AclPart::Absent),
        Some(AclText::Null) => Ok(AclPart::Null),
        Some(AclText::Acl(bytes)) => Ok(AclPart::Acl(Acl::split(bytes)?.0)),
    }
}

fn parse_acl(
    scanner: &mut Scanner<'_>,
    control: &mut Control,
    bit: impl Fn((&str, Control, Control)) -> Control,
) -> Result<AclText> {
    let start = *scanner;
    let mut header = None;
    loop {
        scanner.skip_space();
        if scanner.eat("NO_ACCESS_CONTROL") {
            return Ok(AclText::Null);
        } else if let Some(flag) = ACL_FLAGS.into_iter().find(|(name, ..)| scanner.eat(name)) {
            *control |= bit(flag);
        } else if header.is_none() && scanner.eat("#") {
            header = Some(scanner.hex_bytes()?);
        } else {
            break;
        }
    }

    let mut acl = AclBuilder::new();
    while scanner.peek() == Some('(') {
        let ace = parse_ace(scanner)?;
        // Made by our own builder or checked already, so it is whole.
        acl.push(Ace::split(&ace)?.0);
        scanner.skip_space();
    }
    match header.as_deref() {
        None => acl.build(),
        Some(&[revision @ 2..=4, sbz1, low, high, ref slack @ ..]) => {
            acl.build_with(revision, (sbz1, u16::from_le_bytes([low, high])), slack)
        }
        Some(_) => return Err(start.expected("an ACL revision from 2 to 4 and three more bytes")),
    }
    .map(AclText::Acl)
    .map_err(|_| start.expected("an ACL of at most 65535 bytes"))
}
