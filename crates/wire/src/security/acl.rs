//! Access control lists.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | AclRevision (2, or 4 with object ACEs) |
//! | 1 | 1 | Sbz1 |
//! | 2 | 2 | AclSize, header included |
//! | 4 | 2 | AceCount |
//! | 6 | 2 | Sbz2 |
//! | 8 | … | the ACEs, then bytes without meaning up to AclSize |
//!
//! Source: `ACL`, \[MS-DTYP\] 2.4.5.

use std::fmt;

use super::{ace::Ace, ace_type::AceType};
use crate::{
    bytes,
    error::{Error, Format, Result},
};

const FORMAT: Format = Format::Security;

/// An access control list: a view over its bytes, which were checked when it was made, ACEs included.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Acl<'a>(&'a [u8]);

/// The ACEs of an ACL, in order.
#[derive(Debug, Clone)]
pub struct Aces<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Acl<'a> {
    /// Size of the header in bytes, and of an ACL without ACEs.
    pub const HEADER_LEN: usize = 8;
    /// The largest ACL in bytes: AclSize has 16 bits.
    pub const MAX_LEN: usize = 0xFFFF;

    /// The ACL at the start of `bytes`, and the bytes behind it.
    ///
    /// \[MS-DTYP\] allows the revisions 2 and 4; 3, which Windows has for compound ACEs, is let through. Sbz1 and Sbz2
    /// are not looked at, and neither is which ACE types go with which revision.
    ///
    /// # Errors
    /// Another revision, an AclSize below 8 or beyond the end of `bytes`, fewer ACEs in it than AceCount says, or
    /// anything that [`Ace::split`] gives.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let available = bytes.len() as u64;
        let truncated = |needed| Error::truncated(FORMAT, 0, "ACL", needed, available);
        let &[revision, _sbz1, size_low, size_high, count_low, count_high, _, _, ..] = bytes else {
            return Err(truncated(Self::HEADER_LEN as u64));
        };
        if !matches!(revision, 2..=4) {
            return Err(Error::value(FORMAT, 0, "AclRevision", u64::from(revision), "2 or 4"));
        }
        let size = u16::from_le_bytes([size_low, size_high]);
        let len = usize::from(size);
        if len < Self::HEADER_LEN {
            return Err(Error::value(FORMAT, 2, "AclSize", u64::from(size), "at least 8"));
        }
        let (acl, behind) = bytes.split_at_checked(len).ok_or_else(|| truncated(u64::from(size)))?;

        let mut rest = acl.get(Self::HEADER_LEN..).unwrap_or_default();
        for _ in 0..u16::from_le_bytes([count_low, count_high]) {
            let base = acl.len().saturating_sub(rest.len()) as u64;
            (_, rest) = Ace::split(rest).map_err(|error| error.at(base))?;
        }
        Ok((Self(acl), behind))
    }

    /// The bytes, header and bytes behind the last ACE included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// AclRevision.
    #[must_use]
    pub fn revision(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// The two reserved fields, 1 and 2 bytes; zero by the specification.
    pub(super) fn reserved(&self) -> (u8, u16) {
        (self.0.get(1).copied().unwrap_or_default(), bytes::u16_at(self.0, 6).unwrap_or_default())
    }

    /// AceCount.
    #[must_use]
    pub fn ace_count(&self) -> u16 {
        bytes::u16_at(self.0, 4).unwrap_or_default()
    }

    /// The ACEs.
    #[must_use]
    pub fn aces(&self) -> Aces<'a> {
        Aces { rest: self.0.get(Self::HEADER_LEN..).unwrap_or_default(), left: self.ace_count() }
    }

    /// The bytes behind the last ACE.
    #[must_use]
    pub fn slack(&self) -> &'a [u8] {
        let mut aces = self.aces();
        aces.by_ref().for_each(drop);
        aces.rest
    }
}

impl<'a> Iterator for Aces<'a> {
    type Item = Ace<'a>;

    fn next(&mut self) -> Option<Ace<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (ace, rest) = Ace::split(self.rest).ok()?;
        self.rest = rest;
        Some(ace)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.left)))
    }
}

impl fmt::Debug for Acl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Acl");
        out.field("revision", &self.revision()).field("aces", &self.aces().collect::<Vec<_>>()).finish()
    }
}

/// Builds an ACL out of whole ACEs.
#[derive(Debug, Clone, Default)]
pub struct AclBuilder {
    aces: Vec<u8>,
    count: usize,
    revision: u8,
}

impl AclBuilder {
    /// An ACL without ACEs so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an ACE behind the others.
    pub fn push(&mut self, ace: Ace<'_>) {
        self.aces.extend(ace.bytes());
        self.count += 1;
        self.revision = self.revision.max(revision_for(ace.ace_type()));
    }

    /// The ACL: revision 4 when it holds an object ACE, 3 for a compound one, else 2, which is what Windows makes out
    /// of SDDL. Reserved fields are zero.
    ///
    /// # Errors
    /// An ACL of 65 536 bytes or more.
    pub fn build(&self) -> Result<Vec<u8>> {
        self.build_with(self.revision(), (0, 0), &[])
    }

    /// The revision that [`AclBuilder::build`] would give.
    pub(super) fn revision(&self) -> u8 {
        self.revision.max(2)
    }

    /// As [`AclBuilder::build`], with the fields that it would choose, and bytes behind the last ACE.
    pub(super) fn build_with(&self, revision: u8, (sbz1, sbz2): (u8, u16), slack: &[u8]) -> Result<Vec<u8>> {
        let len = Acl::HEADER_LEN + self.aces.len() + slack.len();
        let too_long = |_| Error::value(FORMAT, 2, "AclSize", len as u64, "at most 65535");
        let size = u16::try_from(len).map_err(too_long)?;
        let count = u16::try_from(self.count).map_err(too_long)?;
        let mut acl = vec![revision, sbz1];
        acl.extend(size.to_le_bytes());
        acl.extend(count.to_le_bytes());
        acl.extend(sbz2.to_le_bytes());
        acl.extend(&self.aces);
        acl.extend(slack);
        Ok(acl)
    }
}

/// The lowest AclRevision whose ACLs hold ACEs of this type.
fn revision_for(ace_type: AceType) -> u8 {
    match ace_type {
        AceType::AccessAllowedCompound => 3,
        kind if kind.is_object() => 4,
        _ => 2,
    }
}
