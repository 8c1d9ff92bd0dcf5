//! ACEs as text.
//!
//! ```text
//! (type;flags;rights;object guid;inherited object guid;sid)      every type with a name in SDDL
//! (type;flags;rights;object guid;inherited object guid;sid;(…))  callback: a condition; RA: an attribute
//! (type;flags;rights;object guid;inherited object guid;sid;#…)   ours: the bytes behind the SID
//! (#…)                                                           ours: all bytes
//! ```
//!
//! Source: \[MS-DTYP\] 2.5.1.1.

use super::{
    super::{
        ace::{Ace, AceBody, ObjectFlags, ObjectTypes},
        ace_type::{AceType, Layout},
    },
    claim, condition, condition_text,
    print::push_sid,
    rights::{parse_ace_flags, parse_rights, push_ace_flags, push_rights},
    scanner::{Scanner, push_hex},
};
use crate::error::Result;

/// Appends an ACE, in the first of the forms that read back as the same bytes.
pub(super) fn push_ace(out: &mut String, ace: Ace<'_>) {
    let start = out.len();
    for form in [push_usual, push_with_hex_data] {
        if form(out, ace).is_some() && reads_back(out.get(start..).unwrap_or_default(), ace) {
            return;
        }
        out.truncate(start);
    }
    out.push_str("(#");
    push_hex(out, ace.bytes());
    out.push(')');
}

fn reads_back(text: &str, ace: Ace<'_>) -> bool {
    let mut scanner = Scanner::new(text, None);
    parse_ace(&mut scanner).is_ok_and(|bytes| bytes == ace.bytes()) && scanner.at_end()
}

/// The form that Windows has. `None` when there is none.
fn push_usual(out: &mut String, ace: Ace<'_>) -> Option<()> {
    let body = push_fields(out, ace)?;
    let data = match ace.ace_type().layout() {
        _ if body.data.is_empty() => None,
        Layout::Callback | Layout::CallbackObject => Some(condition::to_text(body.data)?),
        Layout::ResourceAttribute => Some(claim::to_text(body.data)?),
        // Bytes behind the SID have no meaning, and no place in the text.
        Layout::Simple | Layout::Object | Layout::Opaque => return None,
    };
    if let Some(data) = data {
        out.extend([";(", &data, ")"]);
    }
    out.push(')');
    Some(())
}

fn push_with_hex_data(out: &mut String, ace: Ace<'_>) -> Option<()> {
    let body = push_fields(out, ace)?;
    out.push_str(";#");
    push_hex(out, body.data);
    out.push(')');
    Some(())
}

/// Appends the parenthesis and the six fields that all types have.
fn push_fields<'a>(out: &mut String, ace: Ace<'a>) -> Option<AceBody<'a>> {
    let (ace_type, body) = (ace.ace_type(), ace.body()?);
    out.push('(');
    out.push_str(ace_type.sddl()?);
    out.push(';');
    push_ace_flags(out, ace.flags(), ace_type);
    out.push(';');
    push_rights(out, body.mask, ace_type);
    let types = body.object.unwrap_or_default();
    for guid in [types.object_type, types.inherited_object_type] {
        out.push(';');
        if let Some(guid) = guid {
            out.push_str(&guid.to_string());
        }
    }
    out.push(';');
    push_sid(out, body.sid);
    Some(body)
}

/// Reads an ACE in any of its forms; the bytes that come back are those of a whole ACE.
pub(super) fn parse_ace(scanner: &mut Scanner<'_>) -> Result<Vec<u8>> {
    let start = *scanner;
    scanner.token("(", "( in front of an ACE")?;
    if scanner.eat("#") {
        let bytes = scanner.hex_bytes()?;
        scanner.token(")", ") behind an ACE")?;
        return match Ace::split(&bytes) {
            Ok((_, [])) => Ok(bytes),
            _ => Err(start.expected("the bytes of one whole ACE")),
        };
    }

    let name = scanner.take_while(|c| c.is_ascii_alphabetic());
    let mut ace_type = AceType::from_sddl(name).ok_or_else(|| start.expected("an ACE with a known type"))?;
    separator(scanner)?;
    let flags = parse_ace_flags(scanner)?;
    separator(scanner)?;
    let mask = parse_rights(scanner)?;
    separator(scanner)?;
    let object_type = parse_guid(scanner, ace_type)?;
    separator(scanner)?;
    let inherited_object_type = parse_guid(scanner, ace_type)?;
    separator(scanner)?;
    let sid = scanner.sid()?;
    scanner.skip_space();
    let data = if scanner.eat(";") { parse_data(scanner, ace_type)? } else { Vec::new() };
    scanner.token(")", ") behind an ACE")?;

    // Documented for ConvertStringSecurityDescriptorToSecurityDescriptor, for this type only.
    if ace_type == AceType::AccessAllowedObject && object_type.is_none() && inherited_object_type.is_none() {
        ace_type = AceType::AccessAllowed;
    }
    let object = ObjectTypes { flags: ObjectFlags::empty(), object_type, inherited_object_type };
    AceBody { mask, object: Some(object), sid: sid.as_sid(), data: &data }
        .build(ace_type, flags)
        .map_err(|_| start.expected("an ACE of at most 65532 bytes"))
}

fn separator(scanner: &mut Scanner<'_>) -> Result<()> {
    scanner.token(";", "; between the fields of an ACE")
}

fn parse_guid(scanner: &mut Scanner<'_>, ace_type: AceType) -> Result<Option<crate::object_id::Guid>> {
    if scanner.peek() == Some(';') {
        return Ok(None);
    }
    if !ace_type.is_object() {
        return Err(scanner.expected("; without a GUID, since the type has none,"));
    }
    scanner.guid().map(Some)
}

/// Reads the seventh field.
fn parse_data(scanner: &mut Scanner<'_>, ace_type: AceType) -> Result<Vec<u8>> {
    scanner.skip_space();
    if scanner.eat("#") {
        return scanner.hex_bytes();
    }
    match ace_type.layout() {
        Layout::Callback | Layout::CallbackObject => {
            scanner.token("(", "( in front of a condition")?;
            let data = condition_text::parse(scanner)?;
            scanner.token(")", ") behind a condition")?;
            Ok(data)
        }
        Layout::ResourceAttribute => {
            scanner.token("(", "( in front of an attribute")?;
            let data = claim::parse(scanner)?;
            scanner.token(")", ") behind an attribute")?;
            Ok(data)
        }
        Layout::Simple | Layout::Object | Layout::Opaque => {
            Err(scanner.expected(") since an ACE of this type has six fields"))
        }
    }
}
