/*!
EFS metadata version 2 (EFS_Version 4 and 5): protectors of any kind.

| offset | size | field |
| --- | --- | --- |
| 0x00 | 4 | Length of all |
| 0x04 | 4 | 0 |
| 0x08 | 4 | EFS_Version |
| 0x0C | 4 | 0 |
| 0x10 | 16 | EFS_ID |
| 0x20 | 4 | offset of the DDF |
| 0x24 | 4 | offset of the DRF, or 0 |
| 0x28 | | the FEK information, a datum |
| … | | the lists: u32 size, u16 count, then key protectors |

All else is a datum in a datum:

| datum | size | |
| --- | --- | --- |
| 0 | 2 | StructureSize, of all of it |
| 2 | 2 | Role |
| 4 | 2 | Type |
| 6 | 2 | Flags |
| 8 | | by type: 1 blob: u16 type, u16, data; 2 text in UTF-16; 3 key protector: u16 type, u16 flags, data nested; 4 nested; 5 and 7: u16, nested; 6: u32 cipher, nested |

How a file's IV goes into the IV of a sector is in no public document, so such a file is told, kept and moved, but not
decrypted.

Source: \[MS-EFSR\] 2.2.2.2.
*/

use super::metadata::{Holder, HolderKind, Wrapping, check_len, fault, string};
use crate::bytes::{array_at, slice_at, u16_at, u32_at};
use crate::error::{Error, Format, Result};
use crate::object_id::Guid;
use crate::security::Sid;

const HEADER: usize = 0x28;
const DATUM: usize = 8;
/// What a datum is nested in at most; \[MS-EFSR\] has no more than five levels.
const MAX_DEPTH: usize = 16;

const ROLE_DISPLAY: u16 = 3;
const ROLE_CONTAINER: u16 = 4;
const ROLE_PROVIDER: u16 = 5;
const ROLE_SID: u16 = 6;
const BLOB_CERTIFICATE_HASH: u16 = 2;
const TYPE_BLOB: u16 = 1;
const TYPE_TEXT: u16 = 2;
const TYPE_PROTECTOR: u16 = 3;
const TYPE_FEK_INFO: u16 = 6;

/// A view over metadata version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// EFS_Version: 4 or 5.
    pub version: u32,
    /// The computer that made the metadata.
    pub id: Guid,
    /// ALG_ID of the cipher of the content (0x6610: AES-256).
    pub algorithm: u32,
    /// The FEK information, whole.
    pub fek_info: Datum<'a>,
    /// Protectors for users.
    pub users: Vec<Datum<'a>>,
    /// Protectors for recovery agents.
    pub agents: Vec<Datum<'a>>,
}

/// A datum: its header and the bytes that are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datum<'a> {
    /// What it is for.
    pub role: u16,
    /// What it is.
    pub kind: u16,
    /// 1: others are nested in it. 2: complex.
    pub flags: u16,
    /// What follows the header of 8 bytes.
    pub body: &'a [u8],
}

impl<'a> Metadata<'a> {
    /// Reads metadata, all that is nested too.
    ///
    /// # Errors
    /// Offsets beyond the end; a datum that is smaller than its header, larger than what it is in, or nested too deep.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        check_len(bytes)?;
        let field = |at| u32_at(bytes, at).unwrap_or_default();
        let (fek_info, _) = Datum::split(bytes, HEADER)?;
        if fek_info.kind != TYPE_FEK_INFO {
            return Err(fault(HEADER as u64 + 4, "Type of the FEK information", fek_info.kind.into(), "6"));
        }
        fek_info.each(HEADER + DATUM, 0, &mut |_| {})?;
        let drf = field(0x24);
        let agents = if drf == 0 { Vec::new() } else { list(bytes, 0x24, drf)? };
        Ok(Self {
            version: field(8),
            id: Guid(array_at(bytes, 0x10).unwrap_or_default()),
            algorithm: u32_at(fek_info.body, 0).unwrap_or_default(),
            fek_info,
            users: list(bytes, 0x20, field(0x20))?,
            agents,
        })
    }

    /// Everyone who can open the file: users, then recovery agents.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        let users = self.users.iter().map(|datum| holder(datum, HolderKind::User));
        let agents = self.agents.iter().map(|datum| holder(datum, HolderKind::RecoveryAgent));
        users.chain(agents).collect()
    }
}

/// The key protectors of a list whose offset stands at `field`.
fn list(bytes: &[u8], field: u64, offset: u32) -> Result<Vec<Datum<'_>>> {
    let start = offset as usize;
    let size = u32_at(bytes, start).filter(|_| start >= HEADER).unwrap_or_default();
    let list = slice_at(bytes, start, size as usize);
    let Some((list, count)) = list.and_then(|list| Some((list, u16_at(list, 4)?))) else {
        return Err(fault(
            field,
            "offset of a protector list",
            offset.into(),
            "a list inside of the metadata",
        ));
    };
    let mut at = 6;
    let mut protectors = Vec::new();
    for _ in 0..count {
        let (datum, next) = Datum::split(list, at).map_err(|error| error.at(offset.into()))?;
        if datum.kind != TYPE_PROTECTOR {
            let place = u64::from(offset) + at as u64 + 4;
            return Err(fault(place, "Type of a key protector", datum.kind.into(), "3"));
        }
        datum.each(start + at + DATUM, 0, &mut |_| {})?;
        protectors.push(datum);
        at = next;
    }
    Ok(protectors)
}

impl<'a> Datum<'a> {
    /// The datum at `at` in `bytes`, and where the next one begins.
    fn split(bytes: &'a [u8], at: usize) -> Result<(Self, usize)> {
        let field = |offset| u16_at(bytes, at + offset);
        let (Some(size), Some(role), Some(kind), Some(flags)) = (field(0), field(2), field(4), field(6))
        else {
            let available = bytes.len().saturating_sub(at) as u64;
            return Err(Error::truncated(Format::EfsMetadata, at as u64, "datum", DATUM as u64, available));
        };
        let body = slice_at(bytes, at, size.into()).and_then(|all| all.get(DATUM..));
        let body = body.ok_or_else(|| {
            fault(at as u64, "StructureSize", size.into(), "8 or more, inside of its parent")
        })?;
        Ok((Self { role, kind, flags, body }, at + usize::from(size)))
    }

    /// Bytes of the body before what is nested in it; `None` when nothing can be.
    fn nested_at(&self) -> Option<usize> {
        match self.kind {
            TYPE_PROTECTOR | TYPE_FEK_INFO => Some(4),
            4 => Some(0),
            5 | 7 => Some(2),
            _ => None,
        }
    }

    /// Calls `found` with each datum that is nested in this one, at any depth. `at` is the offset of the body in the
    /// metadata, for errors. Every datum takes 8 bytes of its parent at least, so this ends.
    fn each(&self, at: usize, depth: usize, found: &mut dyn FnMut(Datum<'a>)) -> Result<()> {
        let Some(start) = self.nested_at() else { return Ok(()) };
        if depth == MAX_DEPTH {
            return Err(fault(at as u64, "depth of nested data", depth as u64 + 1, "at most 16"));
        }
        let nested = self.body.get(start..).unwrap_or_default();
        let mut next = 0;
        while next < nested.len() {
            let (datum, end) = Self::split(nested, next).map_err(|error| error.at((at + start) as u64))?;
            found(datum);
            datum.each(at + start + next + DATUM, depth + 1, found)?;
            next = end;
        }
        Ok(())
    }

    /// A blob's type and data.
    fn blob(&self) -> Option<(u16, &'a [u8])> {
        (self.kind == TYPE_BLOB).then(|| Some((u16_at(self.body, 0)?, self.body.get(4..)?))).flatten()
    }
}

fn holder(protector: &Datum<'_>, kind: HolderKind) -> Holder {
    let (number, flags) =
        (u16_at(protector.body, 0).unwrap_or_default(), u16_at(protector.body, 2).unwrap_or_default());
    let wrapping = match number {
        1 => Wrapping::KeyAgreement,
        2 if flags & 2 != 0 => Wrapping::SmartCard,
        2 => Wrapping::Rsa,
        3 => Wrapping::DpapiNg,
        other => Wrapping::Unknown(other.into()),
    };
    let mut holder = Holder { kind, wrapping, ..Holder::default() };
    let mut found = |datum: Datum<'_>| {
        let text = (datum.kind == TYPE_TEXT).then(|| string(datum.body));
        match (datum.role, datum.blob()) {
            (_, Some((BLOB_CERTIFICATE_HASH, hash))) => holder.thumbprint = Some(hash.to_vec()),
            (ROLE_DISPLAY, _) => holder.display = text,
            (ROLE_CONTAINER, _) => holder.container = text,
            (ROLE_PROVIDER, _) => holder.provider = text,
            (ROLE_SID, Some((_, sid))) => holder.sid = Sid::split(sid).ok().map(|(sid, _)| sid.to_buf()),
            _ => {}
        }
    };
    // The structure was walked when the list was read.
    let _ = protector.each(0, 0, &mut found);
    holder
}
