/*!
EFS metadata version 1 (EFS_Version 1, 2 and 3): lists of who can open the file, and with what.

| offset | size | field |
| --- | --- | --- |
| 0x00 | 4 | Length of all |
| 0x04 | 4 | 0 |
| 0x08 | 4 | EFS_Version: 1 DESX, 2 any cipher, 3 with smart-card entries |
| 0x0C | 4 | 0 |
| 0x10 | 16 | EFS_ID, a GUID of the computer |
| 0x20 | 16 | EFS_Hash: 0, or the MD5 of all that Windows 2000 wants |
| 0x30 | 16 | 0 |
| 0x40 | 4 | offset of the DDF, the list of users |
| 0x44 | 4 | offset of the DRF, the list of recovery agents; 0 is none |
| 0x48 | 12 | 0 |
| 0x54 | | the lists: u32 count, then entries back to back |

| entry | size | |
| --- | --- | --- |
| 0x00 | 4 | Length |
| 0x04 | 4 | offset of the public key information |
| 0x08 | 4 | size of the encrypted FEK |
| 0x0C | 4 | offset of the encrypted FEK |
| 0x10 | 4 | Flags: 0 RSA, 1 AES-256 by a smart card |

| public key information | size | |
| --- | --- | --- |
| 0x00 | 4 | Length |
| 0x04 | 4 | offset of the owner's SID, or 0 |
| 0x08 | 4 | type: 3 certificate; 1 key container (old) |
| 0x0C | 4 | size of the certificate data |
| 0x10 | 4 | offset of the certificate data |
| 0x14 | 8 | 0 |

| certificate data | size | |
| --- | --- | --- |
| 0x00 | 4, 4 | thumbprint: offset, size (20) |
| 0x08 | 4 | offset of the container name, or 0 |
| 0x0C | 4 | offset of the provider name, or 0 |
| 0x10 | 4 | offset of the display name, or 0 |

Each offset counts from the beginning of its own structure. Strings are UTF-16 with a NUL.

Source: \[MS-EFSR\] 2.2.2.1; the type 1 is known from other programs only.
*/

use super::metadata::{Holder, HolderKind, MAX_METADATA, Wrapping, check_len, fault, string};
use crate::bytes::{array_at, slice_at, u32_at};
use crate::error::{Error, Format, Problem, Result};
use crate::name::Name;
use crate::object_id::Guid;
use crate::security::Sid;

/// Bytes before the lists.
const HEADER: usize = 0x54;
const ENTRY: usize = 0x14;
const KEY_INFO: usize = 0x1C;
const CERTIFICATE: usize = 0x14;
/// The most bytes of zeros that may follow the last list.
const TAIL: usize = 8;

const TYPE_CONTAINER: u32 = 1;
const TYPE_CERTIFICATE: u32 = 3;
const FLAG_RSA: u32 = 0;
const FLAG_SMART_CARD: u32 = 1;

/// A view over metadata version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// EFS_Version: 1, 2 or 3.
    pub version: u32,
    /// The computer that made the metadata.
    pub id: Guid,
    /// EFS_Hash; not checked by anyone since Windows XP.
    pub hash: [u8; 16],
    /// The data decryption field: users.
    pub users: Vec<Entry<'a>>,
    /// The data recovery field: recovery agents.
    pub agents: Vec<Entry<'a>>,
    header: [u8; HEADER],
    /// Zero bytes behind the last list; Windows 10 leaves four where there are no agents.
    tail: usize,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    raw: &'a [u8],
    /// 0: the FEK is wrapped with RSA. 1: with AES-256, by a smart card.
    pub flags: u32,
    /// The wrapped FEK; with RSA the bytes are in reverse order.
    pub encrypted_fek: &'a [u8],
    /// The account.
    pub sid: Option<Sid<'a>>,
    /// Whose key it is.
    pub key: KeyInfo<'a>,
}

/// What an [`Entry`] says of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyInfo<'a> {
    /// Type 3: a certificate.
    Certificate {
        /// SHA-1 of the certificate in DER.
        thumbprint: &'a [u8],
        /// The key container.
        container: Option<Name>,
        /// The provider of the container.
        provider: Option<Name>,
        /// A name for people.
        display: Option<Name>,
    },
    /// Type 1, of old: a key container without a certificate.
    Container {
        /// The key container.
        container: Option<Name>,
        /// The provider of the container.
        provider: Option<Name>,
    },
    /// Another type.
    Unknown(u32),
}

impl<'a> Metadata<'a> {
    /// Reads metadata whose size [`check_len`] has checked.
    ///
    /// # Errors
    /// Offsets beyond the end, lists that overlap or do not end, no user at all.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        check_len(bytes)?;
        let header: [u8; HEADER] = array_at(bytes, 0).unwrap_or([0; HEADER]);
        let field = |at| u32_at(&header, at).unwrap_or_default();
        let (ddf, drf) = (field(0x40), field(0x44));
        let (users, end) = list(bytes, 0x40, ddf)?;
        if users.is_empty() {
            return Err(fault(ddf.into(), "number of users", 0, "one or more"));
        }
        let (agents, drf_end) = if drf == 0 { (Vec::new(), 0) } else { list(bytes, 0x44, drf)? };
        if drf != 0 && (drf as usize) < end && (ddf as usize) < drf_end {
            return Err(fault(0x44, "DRF_Offset", drf.into(), "a list apart from the DDF"));
        }
        let behind = bytes.get(end.max(drf_end)..).unwrap_or_default();
        let tail =
            if behind.len() <= TAIL && behind.iter().all(|byte| *byte == 0) { behind.len() } else { 0 };
        Ok(Self {
            version: field(8),
            id: Guid(array_at(&header, 0x10).unwrap_or_default()),
            hash: array_at(&header, 0x20).unwrap_or_default(),
            users,
            agents,
            header,
            tail,
        })
    }

    /// Everyone who can open the file: users, then recovery agents.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        let users = self.users.iter().map(|entry| entry.holder(HolderKind::User));
        let agents = self.agents.iter().map(|entry| entry.holder(HolderKind::RecoveryAgent));
        users.chain(agents).collect()
    }

    /// Begins a change: a builder with all that is here, each entry byte for byte.
    #[must_use]
    pub fn to_builder(&self) -> Builder {
        let raw = |entries: &[Entry<'_>]| entries.iter().map(|entry| entry.raw.to_vec()).collect();
        Builder { header: self.header, users: raw(&self.users), agents: raw(&self.agents), tail: self.tail }
    }
}

/// The entries of a list whose offset stands at `field`, and where it ends.
fn list(bytes: &[u8], field: u64, offset: u32) -> Result<(Vec<Entry<'_>>, usize)> {
    let start = offset as usize;
    let count = u32_at(bytes, start).filter(|_| start >= HEADER);
    let Some(count) = count else {
        return Err(fault(
            field,
            "offset of a key list",
            offset.into(),
            "behind the header, inside of the metadata",
        ));
    };
    let mut at = start + 4;
    // Every entry takes 20 bytes or more, so the loop ends with the bytes whatever the count says.
    if count as usize > bytes.len() / ENTRY {
        return Err(fault(
            offset.into(),
            "number of entries",
            count.into(),
            "no more than there is room for",
        ));
    }
    let mut entries = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let rest = bytes.get(at..).unwrap_or_default();
        let entry = Entry::split(rest).map_err(|error| error.at(at as u64))?;
        at += entry.raw.len();
        entries.push(entry);
    }
    Ok((entries, at))
}

impl<'a> Entry<'a> {
    /// The entry at the front of `bytes`.
    fn split(bytes: &'a [u8]) -> Result<Self> {
        let length = u32_at(bytes, 0).unwrap_or_default();
        let raw = bytes.get(..length as usize).filter(|raw| raw.len() >= ENTRY);
        let Some(raw) = raw else {
            return Err(fault(
                0,
                "Length of an entry",
                length.into(),
                "0x14 or more, inside of the metadata",
            ));
        };
        let field = |at| u32_at(raw, at).unwrap_or_default();
        let (offset, size) = (field(0x0C), field(0x08));
        let encrypted_fek = slice_at(raw, offset as usize, size as usize).ok_or_else(|| {
            fault(0x0C, "offset of the encrypted FEK", offset.into(), "inside of the entry")
        })?;
        let offset = field(0x04);
        let info = raw.get(offset as usize..).filter(|info| info.len() >= KEY_INFO);
        let info = info.ok_or_else(|| {
            fault(4, "offset of the public key information", offset.into(), "inside of the entry")
        })?;
        let (sid, key) = key_info(info).map_err(|error| error.at(offset.into()))?;
        Ok(Self { raw, flags: field(0x10), encrypted_fek, sid, key })
    }

    /// The entry as it is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// SHA-1 of the certificate, unless the entry names no certificate.
    #[must_use]
    pub fn thumbprint(&self) -> Option<&'a [u8]> {
        match self.key {
            KeyInfo::Certificate { thumbprint, .. } => Some(thumbprint),
            _ => None,
        }
    }

    /// How the FEK is wrapped.
    #[must_use]
    pub fn wrapping(&self) -> Wrapping {
        match self.flags {
            FLAG_RSA => Wrapping::Rsa,
            FLAG_SMART_CARD => Wrapping::SmartCard,
            other => Wrapping::Unknown(other),
        }
    }

    /// The entry for a listing.
    #[must_use]
    pub fn holder(&self, kind: HolderKind) -> Holder {
        let mut holder = Holder {
            kind,
            thumbprint: self.thumbprint().map(<[u8]>::to_vec),
            sid: self.sid.map(|sid| sid.to_buf()),
            wrapping: self.wrapping(),
            ..Holder::default()
        };
        match &self.key {
            KeyInfo::Certificate { container, provider, display, .. } => {
                holder.container.clone_from(container);
                holder.provider.clone_from(provider);
                holder.display.clone_from(display);
            }
            KeyInfo::Container { container, provider } => {
                holder.container.clone_from(container);
                holder.provider.clone_from(provider);
            }
            KeyInfo::Unknown(_) => {}
        }
        holder
    }
}

/// The account and the key in the public key information that `bytes` begins with.
fn key_info(bytes: &[u8]) -> Result<(Option<Sid<'_>>, KeyInfo<'_>)> {
    let length = u32_at(bytes, 0).unwrap_or_default();
    let Some(bytes) = bytes.get(..length as usize).filter(|bytes| bytes.len() >= KEY_INFO) else {
        let expected = "0x1c or more, inside of the entry";
        return Err(fault(0, "Length of the public key information", length.into(), expected));
    };
    let field = |at| u32_at(bytes, at).unwrap_or_default();
    let sid = match field(4) {
        0 => None,
        offset => {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let (sid, _) = Sid::split(rest)
                .map_err(|error| Error { format: Format::EfsMetadata, ..error }.at(offset.into()))?;
            Some(sid)
        }
    };
    let key = match field(8) {
        TYPE_CERTIFICATE => {
            let (size, offset) = (field(0x0C), field(0x10));
            let data =
                slice_at(bytes, offset as usize, size as usize).filter(|data| data.len() >= CERTIFICATE);
            let data = data.ok_or_else(|| {
                fault(
                    0x10,
                    "offset of the certificate data",
                    offset.into(),
                    "inside of the public key information",
                )
            })?;
            certificate(data).map_err(|error| error.at(offset.into()))?
        }
        TYPE_CONTAINER => {
            KeyInfo::Container { container: string_at(bytes, 0x0C)?, provider: string_at(bytes, 0x10)? }
        }
        other => KeyInfo::Unknown(other),
    };
    Ok((sid, key))
}

fn certificate(data: &[u8]) -> Result<KeyInfo<'_>> {
    let (offset, size) = (u32_at(data, 0).unwrap_or_default(), u32_at(data, 4).unwrap_or_default());
    let thumbprint = slice_at(data, offset as usize, size as usize).ok_or_else(|| {
        fault(0, "offset of the thumbprint", offset.into(), "inside of the certificate data")
    })?;
    Ok(KeyInfo::Certificate {
        thumbprint,
        container: string_at(data, 0x08)?,
        provider: string_at(data, 0x0C)?,
        display: string_at(data, 0x10)?,
    })
}

/// The string whose offset stands at `field`; 0 is none.
fn string_at(bytes: &[u8], field: usize) -> Result<Option<Name>> {
    match u32_at(bytes, field).unwrap_or_default() {
        0 => Ok(None),
        offset => match bytes.get(offset as usize..) {
            Some(text) => Ok(Some(string(text))),
            None => Err(fault(field as u64, "offset of a string", offset.into(), "inside of its structure")),
        },
    }
}

/// Makes metadata version 1, anew or from what is there ([`Metadata::to_builder`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    header: [u8; HEADER],
    users: Vec<Vec<u8>>,
    agents: Vec<Vec<u8>>,
    tail: usize,
}

/// An entry to be made.
#[derive(Debug, Clone, Default)]
pub struct NewEntry<'a> {
    /// SHA-1 of the certificate in DER.
    pub thumbprint: &'a [u8],
    /// The wrapped FEK, as it is stored.
    pub encrypted_fek: &'a [u8],
    /// A name for people.
    pub display: Option<&'a Name>,
    /// Key container and its provider. Windows has them in the owner's entry only.
    pub container: Option<(&'a Name, &'a Name)>,
    /// The account. Windows has it in the owner's entry only.
    pub sid: Option<Sid<'a>>,
}

impl NewEntry<'_> {
    /// The entry, laid out as Windows 10 does.
    fn encode(&self) -> Vec<u8> {
        let mut data = vec![0; CERTIFICATE];
        put(&mut data, 0, CERTIFICATE as u32);
        put(&mut data, 4, self.thumbprint.len() as u32);
        data.extend_from_slice(self.thumbprint);
        let (container, provider) = self.container.unzip();
        for (field, text) in [(0x08, container), (0x0C, provider), (0x10, self.display)] {
            if let Some(text) = text {
                let at = data.len() as u32;
                put(&mut data, field, at);
                data.extend(text.to_utf16_le());
                data.extend_from_slice(&[0, 0]);
            }
        }
        let sid = self.sid.map_or(&[][..], |sid| sid.bytes());
        let mut info = vec![0; KEY_INFO];
        put(&mut info, 0x00, (KEY_INFO + sid.len() + data.len()) as u32);
        put(&mut info, 0x04, if sid.is_empty() { 0 } else { KEY_INFO as u32 });
        put(&mut info, 0x08, TYPE_CERTIFICATE);
        put(&mut info, 0x0C, data.len() as u32);
        put(&mut info, 0x10, (KEY_INFO + sid.len()) as u32);
        info.extend_from_slice(sid);
        info.extend_from_slice(&data);
        let mut entry = vec![0; ENTRY];
        put(&mut entry, 0x00, (ENTRY + info.len() + self.encrypted_fek.len()) as u32);
        put(&mut entry, 0x04, ENTRY as u32);
        put(&mut entry, 0x08, self.encrypted_fek.len() as u32);
        put(&mut entry, 0x0C, (ENTRY + info.len()) as u32);
        put(&mut entry, 0x10, FLAG_RSA);
        entry.extend_from_slice(&info);
        entry.extend_from_slice(self.encrypted_fek);
        entry
    }
}

impl Builder {
    /// Metadata without any holder. `version` is EFS_Version: 2, or 1 for DESX alone, as Windows 2000 reads it.
    #[must_use]
    pub fn new(version: u32, id: Guid) -> Self {
        let mut header = [0; HEADER];
        put(&mut header, 0x08, version);
        if let Some(field) = header.get_mut(0x10..0x20) {
            field.copy_from_slice(&id.0);
        }
        Self { header, users: Vec::new(), agents: Vec::new(), tail: 0 }
    }

    /// The same with this many zero bytes, at most 8, behind the last list.
    #[must_use]
    pub fn with_tail(mut self, bytes: usize) -> Self {
        self.tail = bytes.min(TAIL);
        self
    }

    /// Sets EFS_Hash.
    pub fn set_hash(&mut self, hash: [u8; 16]) {
        if let Some(field) = self.header.get_mut(0x20..0x30) {
            field.copy_from_slice(&hash);
        }
    }

    /// Adds a user or recovery agent at the end of its list.
    pub fn add(&mut self, kind: HolderKind, entry: &NewEntry<'_>) {
        self.list(kind).push(entry.encode());
    }

    /// Takes away the entries of `kind` with this thumbprint, and answers how many they were.
    pub fn remove(&mut self, kind: HolderKind, thumbprint: &[u8]) -> usize {
        let list = self.list(kind);
        let before = list.len();
        list.retain(|raw| !Entry::split(raw).is_ok_and(|entry| entry.thumbprint() == Some(thumbprint)));
        before - list.len()
    }

    /// How many users there are.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }

    fn list(&mut self, kind: HolderKind) -> &mut Vec<Vec<u8>> {
        match kind {
            HolderKind::User => &mut self.users,
            HolderKind::RecoveryAgent => &mut self.agents,
        }
    }

    /// The metadata: header, users, agents, each without a gap.
    ///
    /// # Errors
    /// No user (Win32 error 6008), or more than 262,144 bytes (6013).
    pub fn build(&self) -> Result<Vec<u8>> {
        if self.users.is_empty() {
            return Err(fault(HEADER as u64, "number of users", 0, "one or more"));
        }
        let lists = [&self.users, &self.agents];
        let entries: usize = lists.iter().flat_map(|list| list.iter()).map(Vec::len).sum();
        let size = HEADER + entries + 4 + if self.agents.is_empty() { 0 } else { 4 } + self.tail;
        if size > MAX_METADATA {
            let problem =
                Problem::TooLarge { what: "EFS metadata", size: size as u64, limit: MAX_METADATA as u64 };
            return Err(Error { format: Format::EfsMetadata, offset: 0, problem });
        }
        let mut bytes = self.header.to_vec();
        bytes.reserve(size);
        put(&mut bytes, 0x00, size as u32);
        for (field, list) in [(0x40, &self.users), (0x44, &self.agents)] {
            let at = bytes.len() as u32;
            put(&mut bytes, field, if list.is_empty() { 0 } else { at });
            if !list.is_empty() {
                bytes.extend_from_slice(&(list.len() as u32).to_le_bytes());
                bytes.extend(list.iter().flatten());
            }
        }
        bytes.resize(bytes.len() + self.tail, 0);
        Ok(bytes)
    }
}

/// Writes a number at `at`.
fn put(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(field) = bytes.get_mut(at..at + 4) {
        field.copy_from_slice(&number.to_le_bytes());
    }
}
