//! Conditional expressions: text to bytes.
//!
//! ```text
//! expr   = and *( "||" and )                                          lowest precedence
//! and    = factor *( "&&" factor )
//! factor = "!" factor / "(" expr ")" / term
//! term   = member-operator sids / exists-operator attribute / attribute [ operator ( attribute / values ) ]
//! values = value / "{" [ value *( "," value ) ] "}"
//! value  = integer / "string" / #hexadecimal / SID(sid)
//! ```
//!
//! Source: \[MS-DTYP\] 2.5.1.1, 2.5.1.3; the bytes: see [`condition`](super::condition). Beyond the grammar, `{}` and a
//! SID outside of a membership operator are read, an attribute without a prefix on the right of an operator, and
//! `%XXXX` in a name without a prefix: the bytes can say all of it.

use super::{
    MAX_DEPTH,
    condition::{
        AND, COMPOSITE, DECIMAL, EXISTS, HEXADECIMAL, INT64, LOCAL, MEMBER, MINUS, NO_SIGN, NOT, OCTAL,
        OCTETS, OR, PLUS, PREFIXES, SID, SIGNATURE, SIGNS, STRING, WORDS, is_name,
    },
    scanner::{Scanner, hex_bytes},
};
use crate::error::Result;

/// The application data for the condition that stands here, up to the parenthesis that closes it.
pub(super) fn parse(scanner: &mut Scanner<'_>) -> Result<Vec<u8>> {
    let mut out = SIGNATURE.to_vec();
    expression(scanner, &mut out, 0)?;
    out.resize(out.len().next_multiple_of(4), 0);
    Ok(out)
}

fn expression(scanner: &mut Scanner<'_>, out: &mut Vec<u8>, depth: u32) -> Result<()> {
    conjunction(scanner, out, depth)?;
    while scanner.eat("||") {
        conjunction(scanner, out, depth)?;
        out.push(OR);
    }
    Ok(())
}

fn conjunction(scanner: &mut Scanner<'_>, out: &mut Vec<u8>, depth: u32) -> Result<()> {
    factor(scanner, out, depth)?;
    while scanner.eat("&&") {
        factor(scanner, out, depth)?;
        out.push(AND);
    }
    Ok(())
}

/// Reads a factor and the white space around it.
fn factor(scanner: &mut Scanner<'_>, out: &mut Vec<u8>, depth: u32) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(scanner.expected("a condition that is not nested as deep"));
    }
    scanner.skip_space();
    if scanner.eat("!") {
        factor(scanner, out, depth + 1)?;
        out.push(NOT);
    } else if scanner.eat("(") {
        expression(scanner, out, depth + 1)?;
        scanner.token(")", "&&, || or ) in a condition")?;
    } else {
        term(scanner, out)?;
        scanner.skip_space();
    }
    Ok(())
}

fn term(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<()> {
    let start = *scanner;
    let word = scanner.take_while(|c| is_name(c, false) || matches!(c, '@' | '%'));
    scanner.skip_space();
    if let Some(code) = code_of(&MEMBER, word) {
        // Windows takes a SID in parentheses, too.
        if scanner.eat("(") {
            scanner.skip_space();
            value(scanner, out)?;
            scanner.token(")", ") behind a SID")?;
        } else {
            values(scanner, out)?;
        }
        out.push(code);
        return Ok(());
    }
    if let Some(code) = code_of(&EXISTS, word) {
        attribute(scanner, out)?;
        out.push(code);
        return Ok(());
    }

    *scanner = start;
    attribute(scanner, out)?;
    scanner.skip_space();
    let operator = match SIGNS.iter().find(|(sign, _)| scanner.eat(sign)) {
        Some((_, code)) => Some(*code),
        None => {
            let start = *scanner;
            let word = scanner.take_while(|c| is_name(c, false));
            match code_of(&WORDS, word) {
                None if word.is_empty() => None,
                None => return Err(start.expected("an operator of a condition")),
                code => code,
            }
        }
    };
    if let Some(code) = operator {
        scanner.skip_space();
        let mut ahead = *scanner;
        let is_sid = ahead.eat("SID") && {
            ahead.skip_space();
            ahead.peek() == Some('(')
        };
        match scanner.peek() {
            Some('"' | '#' | '{' | '+' | '-' | '0'..='9') => values(scanner, out)?,
            _ if is_sid => values(scanner, out)?,
            _ => attribute(scanner, out)?,
        }
        out.push(code);
    }
    Ok(())
}

fn code_of(table: &[(&str, u8)], word: &str) -> Option<u8> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, code)| *code)
}

fn attribute(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<()> {
    let start = *scanner;
    let prefix = PREFIXES.iter().find(|(prefix, _)| scanner.eat(prefix));
    let units = match prefix {
        Some(_) => name(scanner, |c| is_name(c, true))?,
        None if scanner.peek() == Some('@') => Vec::new(),
        None => name(scanner, |c| is_name(c, false) || c == '@')?,
    };
    if units.is_empty() {
        return Err(start.expected("an attribute of a condition"));
    }
    out.push(prefix.map_or(LOCAL, |(_, code)| *code));
    push_sized(out, &utf16_le(&units));
    Ok(())
}

/// The units of a name of these characters and of `%XXXX`, which is not `%0000` (\[MS-DTYP\] 2.5.1.1, `lit-char`).
pub(super) fn name(scanner: &mut Scanner<'_>, is: impl Fn(char) -> bool) -> Result<Vec<u16>> {
    let mut units = Vec::new();
    loop {
        units.extend(scanner.take_while(&is).encode_utf16());
        let start = *scanner;
        if !scanner.eat("%") {
            return Ok(units);
        }
        let digits: String = std::iter::from_fn(|| scanner.bump()).take(4).collect();
        let unit = hex_bytes(&digits).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes);
        units.push(
            unit.filter(|unit| *unit != 0).ok_or_else(|| start.expected("% and four hexadecimal digits"))?,
        );
    }
}

/// One literal, or a list of them as a composite.
fn values(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<()> {
    if !scanner.eat("{") {
        return value(scanner, out);
    }
    let mut elements = Vec::new();
    scanner.skip_space();
    while !scanner.eat("}") {
        if !elements.is_empty() {
            scanner.token(",", ", or } in a list of values")?;
        }
        value(scanner, &mut elements)?;
        scanner.skip_space();
    }
    out.push(COMPOSITE);
    push_sized(out, &elements);
    Ok(())
}

fn value(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<()> {
    match scanner.peek() {
        Some('"') => {
            let units = string(scanner)?;
            out.push(STRING);
            push_sized(out, &utf16_le(&units));
        }
        Some('#') => {
            let octets = octets(scanner)?;
            out.push(OCTETS);
            push_sized(out, &octets);
        }
        Some('+' | '-' | '0'..='9') => integer(scanner, out)?,
        _ => {
            let sid = sid(scanner)?;
            out.push(SID);
            push_sized(out, sid.as_sid().bytes());
        }
    }
    Ok(())
}

/// `SID(…)`.
pub(super) fn sid(scanner: &mut Scanner<'_>) -> Result<super::super::sid::SidBuf> {
    if !scanner.eat("SID") {
        return Err(scanner.expected("a value: a number, \"string\", #hexadecimal or SID(…),"));
    }
    scanner.token("(", "( behind SID")?;
    let sid = scanner.sid()?;
    scanner.token(")", ") behind a SID")?;
    Ok(sid)
}

/// The units between quotation marks, among which there are no escapes.
pub(super) fn string(scanner: &mut Scanner<'_>) -> Result<Vec<u16>> {
    scanner.require("\"", "a string in quotation marks")?;
    let units = scanner.take_while(|c| c != '"').encode_utf16().collect();
    scanner.require("\"", "a quotation mark")?;
    Ok(units)
}

/// `#` and digits, among which `#` stands for 0; the first one too when their number is odd.
pub(super) fn octets(scanner: &mut Scanner<'_>) -> Result<Vec<u8>> {
    let start = *scanner;
    scanner.eat("#");
    let mut digits = scanner.take_while(|c| c.is_ascii_hexdigit() || c == '#').replace('#', "0");
    if !digits.len().is_multiple_of(2) {
        digits.insert(0, '0');
    }
    hex_bytes(&digits).ok_or_else(|| start.expected("hexadecimal digits"))
}

fn integer(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<()> {
    let (value, sign, radix) = signed(scanner)?;
    out.push(INT64);
    out.extend(value.to_le_bytes());
    out.push(sign);
    out.push(match radix {
        8 => OCTAL,
        10 => DECIMAL,
        _ => HEXADECIMAL,
    });
    Ok(())
}

/// A number of 64 bits with its sign, the code of that, and its radix.
pub(super) fn signed(scanner: &mut Scanner<'_>) -> Result<(i64, u8, u32)> {
    let start = *scanner;
    let sign = match () {
        () if scanner.eat("+") => PLUS,
        () if scanner.eat("-") => MINUS,
        () => NO_SIGN,
    };
    let number = scanner.number()?;
    let value = match sign {
        MINUS => 0_i64.checked_sub_unsigned(number.value),
        _ => i64::try_from(number.value).ok(),
    };
    let value = value.ok_or_else(|| start.expected("a number of 64 bits with its sign"))?;
    Ok((value, sign, number.radix))
}

pub(super) fn utf16_le(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

/// Appends a length and the bytes it counts. A text of [`MAX_TEXT_LEN`](super::MAX_TEXT_LEN) gives nothing that needs
/// more than 32 bits.
fn push_sized(out: &mut Vec<u8>, content: &[u8]) {
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(content);
}
