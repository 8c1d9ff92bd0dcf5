//! Security identifiers.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | Revision (1) |
//! | 1 | 1 | SubAuthorityCount (at most 15) |
//! | 2 | 6 | IdentifierAuthority, big-endian |
//! | 8 | 4 each | SubAuthority, little-endian |
//!
//! Source: `SID`, \[MS-DTYP\] 2.4.2.2; text form `S-1-…`, \[MS-DTYP\] 2.4.2.1.

use std::{fmt, str::FromStr};

use super::{syntax, well_known};
use crate::{
    bytes,
    error::{Error, Format, Result},
};

const FORMAT: Format = Format::Security;

/// A security identifier: a view over its 8 to 68 bytes, which were checked when it was made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid<'a>(&'a [u8]);

/// A security identifier that owns its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SidBuf(Vec<u8>);

impl<'a> Sid<'a> {
    /// Size in bytes of a SID without any sub-authority, the smallest one.
    pub const MIN_LEN: usize = 8;
    /// Size in bytes of a SID with 15 sub-authorities, the largest one.
    pub const MAX_LEN: usize = Self::MIN_LEN + 4 * Self::MAX_SUB_AUTHORITIES;
    /// The most sub-authorities that a SID can have (\[MS-DTYP\] 2.4.2.2).
    pub const MAX_SUB_AUTHORITIES: usize = 15;

    /// The SID that is exactly these bytes.
    ///
    /// # Errors
    /// What [`Sid::split`] gives, and bytes behind the SID.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (sid, rest) = Self::split(bytes)?;
        if rest.is_empty() {
            Ok(sid)
        } else {
            Err(Error::value(FORMAT, 0, "size of a SID", bytes.len() as u64, "8 + 4 * SubAuthorityCount"))
        }
    }

    /// The SID at the start of `bytes`, and the bytes behind it.
    ///
    /// # Errors
    /// A revision other than 1, more than 15 sub-authorities, or a SID that goes beyond the end of `bytes`.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let available = bytes.len() as u64;
        let &[revision, count, ..] = bytes else {
            return Err(Error::truncated(FORMAT, 0, "SID", Self::MIN_LEN as u64, available));
        };
        if revision != 1 {
            return Err(Error::value(FORMAT, 0, "Revision of a SID", u64::from(revision), "1"));
        }
        let count = usize::from(count);
        if count > Self::MAX_SUB_AUTHORITIES {
            return Err(Error::value(FORMAT, 1, "SubAuthorityCount", count as u64, "at most 15"));
        }
        let len = Self::MIN_LEN + 4 * count;
        bytes
            .split_at_checked(len)
            .map(|(sid, rest)| (Self(sid), rest))
            .ok_or_else(|| Error::truncated(FORMAT, 0, "SID", len as u64, available))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The identifier authority, a 48-bit number.
    #[must_use]
    pub fn authority(&self) -> u64 {
        let [a, b, c, d, e, f] = bytes::array_at(self.0, 2).unwrap_or_default();
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The sub-authorities, at most 15; the last one is the relative identifier (RID).
    pub fn sub_authorities(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (numbers, _) = self.0.get(Self::MIN_LEN..).unwrap_or_default().as_chunks::<4>();
        numbers.iter().map(|number| u32::from_le_bytes(*number))
    }

    /// The two letters that SDDL has for this SID (\[MS-DTYP\] 2.5.1.1), such as `BA` for `S-1-5-32-544`.
    ///
    /// Aliases that depend on a domain (`DA`, `LA`, …) are never given: they would lose which domain it is.
    #[must_use]
    pub fn alias(&self) -> Option<&'static str> {
        well_known::find(*self)?.alias
    }

    /// The name that an English Windows shows for a well-known SID (\[MS-DTYP\] 2.4.2.4), such as
    /// `BUILTIN\Administrators`.
    #[must_use]
    pub fn well_known(&self) -> Option<&'static str> {
        Some(well_known::find(*self)?.name)
    }

    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_buf(&self) -> SidBuf {
        SidBuf(self.0.to_vec())
    }
}

impl SidBuf {
    /// The SID of this identifier authority and these sub-authorities.
    ///
    /// # Errors
    /// An authority of more than 48 bits, or more than 15 sub-authorities.
    pub fn new(authority: u64, sub_authorities: &[u32]) -> Result<Self> {
        let [0, 0, authority @ ..] = authority.to_be_bytes() else {
            return Err(Error::value(FORMAT, 2, "IdentifierAuthority", authority, "at most 48 bits"));
        };
        let count = u8::try_from(sub_authorities.len()).unwrap_or(u8::MAX);
        if usize::from(count) > Sid::MAX_SUB_AUTHORITIES {
            return Err(Error::value(FORMAT, 1, "SubAuthorityCount", u64::from(count), "at most 15"));
        }
        let mut bytes = vec![1, count];
        bytes.extend(authority);
        bytes.extend(sub_authorities.iter().flat_map(|number| number.to_le_bytes()));
        Ok(Self(bytes))
    }

    /// The SID that SDDL calls by these two letters (\[MS-DTYP\] 2.5.1.1; upper or lower case).
    ///
    /// `DA`, `DU`, `LA` and others are relative to a domain; they take the SID of it from `domain`, which stands for
    /// the domain, the root domain of its forest, and the machine alike.
    ///
    /// # Errors
    /// Letters that are no alias, or a relative alias without a `domain`.
    pub fn from_alias(alias: &str, domain: Option<Sid<'_>>) -> Result<Self> {
        if let Some(known) = well_known::by_alias(alias) {
            return Self::new(known.authority, known.sub_authorities);
        }
        let rid = well_known::domain_rid(alias).ok_or_else(|| syntax(0, "a SID (S-1-… or an SDDL alias)"))?;
        let domain = domain.ok_or_else(|| {
            syntax(0, "the SID of a domain, which this alias is relative to, but none was given;")
        })?;
        let sub_authorities: Vec<u32> = domain.sub_authorities().chain([rid]).collect();
        Self::new(domain.authority(), &sub_authorities)
    }

    /// The SID at the start of a text, as `S-1-…`, and how many bytes of the text it takes.
    ///
    /// An authority in hexadecimal takes at most 12 digits, so that a following `D:` is not taken for one.
    pub(super) fn split_text(text: &str) -> Result<(Self, usize)> {
        let mut rest = text
            .strip_prefix("S-1-")
            .or_else(|| text.strip_prefix("s-1-"))
            .ok_or_else(|| syntax(0, "a SID that starts with S-1-"))?;
        let at = |rest: &str| text.len().saturating_sub(rest.len()) as u64;

        let hex = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        let (digits, radix) = match hex {
            Some(hex) => (leading(hex, 12, |c| c.is_ascii_hexdigit()), 16),
            None => (leading(rest, usize::MAX, |c| c.is_ascii_digit()), 10),
        };
        let authority = u64::from_str_radix(digits, radix)
            .ok()
            .filter(|authority| *authority < 1 << 48)
            .ok_or_else(|| syntax(at(rest), "an identifier authority of at most 48 bits"))?;
        rest = hex.unwrap_or(rest).get(digits.len()..).unwrap_or_default();

        let mut sub_authorities = Vec::new();
        while let Some(number) = rest.strip_prefix('-') {
            let digits = leading(number, usize::MAX, |c| c.is_ascii_digit());
            let value = digits.parse().map_err(|_| syntax(at(number), "a number of at most 32 bits"))?;
            if sub_authorities.len() == Sid::MAX_SUB_AUTHORITIES {
                return Err(syntax(at(number), "at most 15 sub-authorities"));
            }
            sub_authorities.push(value);
            rest = number.get(digits.len()..).unwrap_or_default();
        }
        Ok((Self::new(authority, &sub_authorities)?, text.len() - rest.len()))
    }

    /// The view of it.
    #[must_use]
    pub fn as_sid(&self) -> Sid<'_> {
        Sid(&self.0)
    }
}

/// The ASCII characters at the start of `text` that `is` accepts, at most `max` of them.
fn leading(text: &str, max: usize, is: impl Fn(char) -> bool) -> &str {
    let len = text.chars().take(max).take_while(|c| is(*c)).count();
    text.get(..len).unwrap_or_default()
}

/// `S-1-…`; an authority of 2^32 or more in hexadecimal (\[MS-DTYP\] 2.4.2.1).
impl fmt::Display for Sid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.authority() {
            small @ 0..=0xFFFF_FFFF => write!(f, "S-1-{small}")?,
            large => write!(f, "S-1-0x{large:012x}")?,
        }
        self.sub_authorities().try_for_each(|number| write!(f, "-{number}"))
    }
}

impl fmt::Debug for Sid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({self})")
    }
}

impl fmt::Display for SidBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_sid().fmt(f)
    }
}

impl fmt::Debug for SidBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SidBuf({self})")
    }
}

/// Reads `S-1-…`. Aliases are not SIDs of their own: see [`SidBuf::from_alias`].
impl FromStr for SidBuf {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (sid, len) = Self::split_text(text)?;
        if len == text.len() { Ok(sid) } else { Err(syntax(len as u64, "the end of a SID")) }
    }
}
