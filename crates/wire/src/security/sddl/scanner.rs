//! Reading text from left to right.
//!
//! | element | grammar, \[MS-DTYP\] 2.5.1.1 |
//! | --- | --- |
//! | keyword, punctuation | ASCII, in upper or lower case |
//! | number | `0x` hexadecimal, `0` octal, else decimal |
//! | SID | `S-1-…` or an alias of two letters |
//! | GUID | `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` |
//! | hexadecimal bytes | two digits each |

use super::super::{
    sid::{Sid, SidBuf},
    syntax,
};
use crate::{
    error::{Error, Result},
    object_id::Guid,
};

/// A place in a text, and the domain that aliases are relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'t> {
    text: &'t str,
    rest: &'t str,
    domain: Option<Sid<'t>>,
}

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: u64,
    pub(super) radix: u32,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str, domain: Option<Sid<'t>>) -> Self {
        Self { text, rest: text, domain }
    }

    /// The error that something else should have stood here.
    pub(super) fn expected(&self, what: &'static str) -> Error {
        let before = self.text.len().saturating_sub(self.rest.len());
        syntax(self.text.get(..before).unwrap_or_default().chars().count() as u64, what)
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// The next character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next();
        self.rest = rest.as_str();
        next
    }

    /// White space of the grammar: 0x09 to 0x0D and 0x20.
    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(|c| matches!(c, '\u{9}'..='\u{D}' | ' '));
    }

    /// Takes `token`, in upper or lower case, if it stands here.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        match self.rest.split_at_checked(token.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(token) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `token`, which must stand here.
    pub(super) fn require(&mut self, token: &str, what: &'static str) -> Result<()> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(what)) }
    }

    /// Takes `token`, which must stand here, with the white space around it.
    pub(super) fn token(&mut self, token: &str, what: &'static str) -> Result<()> {
        self.skip_space();
        self.require(token, what)?;
        self.skip_space();
        Ok(())
    }

    /// The characters from here on that `is` accepts.
    pub(super) fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// A number without a sign.
    pub(super) fn number(&mut self) -> Result<Number> {
        const WHAT: &str = "a number of at most 64 bits";
        let start = *self;
        let (digits, radix) = if self.eat("0x") {
            (self.take_while(|c| c.is_ascii_hexdigit()), 16)
        } else {
            match self.take_while(|c| c.is_ascii_digit()) {
                octal if octal.len() > 1 && octal.starts_with('0') => (octal, 8),
                decimal => (decimal, 10),
            }
        };
        let value = u64::from_str_radix(digits, radix).map_err(|_| start.expected(WHAT))?;
        Ok(Number { value, radix })
    }

    /// A number of at most 32 bits.
    pub(super) fn number32(&mut self) -> Result<u32> {
        let start = *self;
        u32::try_from(self.number()?.value).map_err(|_| start.expected("a number of at most 32 bits"))
    }

    pub(super) fn sid(&mut self) -> Result<SidBuf> {
        // No alias is `S-`, so two characters tell which of the two it is.
        let is_number = self.rest.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("S-"));
        let (sid, len) = if is_number {
            SidBuf::split_text(self.rest)
        } else {
            let alias = self.rest.get(..2).unwrap_or_default();
            SidBuf::from_alias(alias, self.domain).map(|sid| (sid, alias.len()))
        }
        .map_err(|error| error.at(self.expected("").offset))
        // A domain with 15 sub-authorities cannot be added to; for the text, that is a fault in the text.
        .map_err(|error| Error { format: crate::error::Format::Sddl, ..error })?;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(sid)
    }

    pub(super) fn guid(&mut self) -> Result<Guid> {
        let start = *self;
        let digits = self.take_while(|c| c.is_ascii_hexdigit() || c == '-');
        parse_guid(digits).ok_or_else(|| start.expected("a GUID"))
    }

    /// Hexadecimal digits, two for each byte.
    pub(super) fn hex_bytes(&mut self) -> Result<Vec<u8>> {
        let start = *self;
        hex_bytes(self.take_while(|c| c.is_ascii_hexdigit()))
            .ok_or_else(|| start.expected("an even number of hexadecimal digits"))
    }
}

/// The bytes of hexadecimal digits; `None` when their number is odd or something else is among them.
pub(super) fn hex_bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let digit = |c: u8| char::from(c).to_digit(16).map(|value| value as u8);
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Appends bytes in hexadecimal.
pub(super) fn push_hex(out: &mut String, bytes: &[u8]) {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    out.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
}

/// The three fields in front are little-endian in the binary form (\[MS-DTYP\] 2.3.4.2, 2.3.4.3).
fn parse_guid(text: &str) -> Option<Guid> {
    let lengths = text.split('-').map(str::len);
    if !lengths.eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let bytes: [u8; 16] = hex_bytes(&text.replace('-', ""))?.try_into().ok()?;
    let [a, b, c, d, e, f, g, h, tail @ ..] = bytes;
    let mut guid = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    for (to, from) in guid.iter_mut().skip(8).zip(tail) {
        *to = from;
    }
    Some(Guid(guid))
}
