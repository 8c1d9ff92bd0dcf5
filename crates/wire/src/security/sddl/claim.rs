//! Resource attributes.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | Name: offset of a UTF-16LE string that ends with a zero unit |
//! | 4 | 2 | ValueType |
//! | 6 | 2 | Reserved (0) |
//! | 8 | 4 | Flags |
//! | 12 | 4 | ValueCount |
//! | 16 | 4 each | Values: offsets |
//! | … | … | the name, then the values, as Windows arranges them: in a row, without padding |
//!
//! | ValueType | text | value |
//! | --- | --- | --- |
//! | 1, 2 | `TI`, `TU` | 8 bytes |
//! | 3 | `TS` | UTF-16LE string that ends with a zero unit |
//! | 5, 16 | `TD`, `TX` | length (4), a SID or other bytes |
//! | 6 | `TB` | 8 bytes, 0 or 1 |
//!
//! Source: `CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1`, \[MS-DTYP\] 2.4.10.1; text `("name",type,flags,value,…)`, 2.5.1.1.

use super::{
    super::sid::Sid,
    condition::{is_name, push_name, push_string},
    condition_text::{name, octets, sid, signed, string, utf16_le},
    print::push_sid,
    scanner::{Scanner, push_hex},
};
use crate::{bytes, error::Result};

const HEADER_LEN: usize = 16;

/// The types of values and their letters.
const TYPES: [(&str, Type); 6] = [
    ("TI", Type::Int64),
    ("TU", Type::Uint64),
    ("TS", Type::String),
    ("TD", Type::Sid),
    ("TB", Type::Boolean),
    ("TX", Type::Octets),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int64 = 0x01,
    Uint64 = 0x02,
    String = 0x03,
    Sid = 0x05,
    Boolean = 0x06,
    Octets = 0x10,
}

/// The text of attribute data, without the parentheses around it. `None` when they are not what the table above says,
/// or hold a string that text has no form for.
pub(super) fn to_text(data: &[u8]) -> Option<String> {
    let code = bytes::u16_at(data, 4)?;
    let (letters, kind) = TYPES.into_iter().find(|(_, kind)| *kind as u16 == code)?;
    let mut out = String::from("\"");
    push_name(&mut out, string_at(data, offset_at(data, 0)?)?, |c| is_name(c, true));
    out.push_str(&format!("\",{letters},{:#x}", bytes::u32_at(data, 8)?));

    let count = usize::try_from(bytes::u32_at(data, 12)?).ok()?;
    let offsets = bytes::slice_at(data, HEADER_LEN, count.checked_mul(4)?)?;
    for offset in (0..offsets.len()).step_by(4) {
        // Many offsets of one long value: not what Windows makes, and the text could grow without bounds.
        (out.len() <= 16 * data.len()).then_some(())?;
        out.push(',');
        push_value(&mut out, kind, data, offset_at(offsets, offset)?)?;
    }
    Some(out)
}

fn offset_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(bytes::u32_at(bytes, at)?).ok()
}

fn push_value(out: &mut String, kind: Type, data: &[u8], offset: usize) -> Option<()> {
    match kind {
        Type::Int64 => out.push_str(&bytes::u64_at(data, offset)?.cast_signed().to_string()),
        Type::Uint64 | Type::Boolean => out.push_str(&bytes::u64_at(data, offset)?.to_string()),
        Type::String => push_string(out, string_at(data, offset)?)?,
        Type::Sid => push_sid(out, Sid::parse(octets_at(data, offset)?).ok()?),
        Type::Octets => {
            out.push('#');
            push_hex(out, octets_at(data, offset)?);
        }
    }
    Some(())
}

/// The units of the string at `offset`, up to the zero unit that must be there.
fn string_at(data: &[u8], offset: usize) -> Option<impl Iterator<Item = u16> + '_> {
    let rest = data.get(offset..)?;
    let len = bytes::utf16_units(rest).position(|unit| unit == 0)?;
    Some(bytes::utf16_units(rest).take(len))
}

fn octets_at(data: &[u8], offset: usize) -> Option<&[u8]> {
    bytes::slice_at(data, offset.checked_add(4)?, offset_at(data, offset)?)
}

/// The attribute data for the attribute that stands here, up to the parenthesis that closes it.
pub(super) fn parse(scanner: &mut Scanner<'_>) -> Result<Vec<u8>> {
    scanner.require("\"", "the name of an attribute in quotation marks")?;
    // Any character but the two that have a meaning: those that must be escaped are no danger between quotation marks.
    let mut name = utf16_le(&name(scanner, |c| !matches!(c, '"' | '%' | '\0'))?);
    name.extend([0, 0]);
    scanner.require("\"", "a quotation mark")?;
    comma(scanner)?;
    let (_, kind) = TYPES
        .into_iter()
        .find(|(letters, _)| scanner.eat(letters))
        .ok_or_else(|| scanner.expected("the type of an attribute: TI, TU, TS, TD, TX or TB"))?;
    comma(scanner)?;
    let flags = scanner.number32()?;
    scanner.skip_space();

    let mut values = Vec::new();
    let mut starts = Vec::new();
    while scanner.peek() == Some(',') {
        comma(scanner)?;
        starts.push(values.len());
        value(scanner, kind, &mut values)?;
        scanner.skip_space();
    }

    // Sums of lengths that a text of MAX_TEXT_LEN can give are far below 32 bits.
    let name_offset = HEADER_LEN + 4 * starts.len();
    let mut out = (name_offset as u32).to_le_bytes().to_vec();
    out.extend((kind as u16).to_le_bytes());
    out.extend([0, 0]);
    out.extend(flags.to_le_bytes());
    out.extend((starts.len() as u32).to_le_bytes());
    let values_offset = name_offset + name.len();
    out.extend(starts.iter().flat_map(|start| ((values_offset + start) as u32).to_le_bytes()));
    out.extend(name);
    out.extend(values);
    Ok(out)
}

fn comma(scanner: &mut Scanner<'_>) -> Result<()> {
    scanner.token(",", ", in an attribute")
}

fn value(scanner: &mut Scanner<'_>, kind: Type, out: &mut Vec<u8>) -> Result<()> {
    let sized = |out: &mut Vec<u8>, content: &[u8]| {
        out.extend((content.len() as u32).to_le_bytes());
        out.extend(content);
    };
    match kind {
        Type::Int64 => out.extend(signed(scanner)?.0.to_le_bytes()),
        Type::Uint64 => out.extend(scanner.number()?.value.to_le_bytes()),
        Type::Boolean => {
            let start = *scanner;
            match scanner.number()?.value {
                value @ 0..=1 => out.extend(value.to_le_bytes()),
                _ => return Err(start.expected("0 or 1")),
            }
        }
        Type::String => {
            let start = *scanner;
            let units = string(scanner)?;
            if units.contains(&0) {
                return Err(start.expected("a string without a zero character"));
            }
            out.extend(utf16_le(&units));
            out.extend([0, 0]);
        }
        // The grammar has the SID alone; Windows also takes it as in a condition.
        Type::Sid => {
            let mut ahead = *scanner;
            let sid = if ahead.eat("SID") { sid(scanner)? } else { scanner.sid()? };
            sized(out, sid.as_sid().bytes());
        }
        Type::Octets => sized(out, &octets(scanner)?),
    }
    Ok(())
}
