//! Writing a file's facts where Samba looks for them: the mirror of [`Dialect`].
//!
//! An attribute that the file system does not take (no room, no privilege, none at all) is no error: the caller is told
//! so, and has another place. What must be an error is an old attribute that would hide that place and cannot go.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ntbak_wire::ea::{self, Ea};
use ntbak_wire::samba::dosattrib::{self, DosAttrib};
use ntbak_wire::samba::ntacl::{self, NtAcl};
use ntbak_wire::samba::{self, stream};
use ntbak_wire::side;
use ntbak_wire::stream::StreamName;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::{MAX_XATTR, Node};
use crate::host::samba::{Dialect, EFS_INFO, NameRoom};
use crate::memory::StreamKey;

/// The most bytes of a name, namespace included.
const MAX_XATTR_NAME: usize = 255;
/// The largest stream that fits into one attribute, with the byte behind it.
pub(crate) const MAX_STREAM: usize = MAX_XATTR - 1;

/// Bytes of names up to which a file gets streams and EAs as attributes: half of what the kernel lists, so that others
/// have room, too.
pub(crate) const MAX_NAMES: usize = 32_768;

/// Writes the attributes of one file.
#[derive(Debug)]
pub(crate) struct DialectWriter<'a> {
    node: &'a Node,
    /// For names, once one is asked for.
    room: Option<NameRoom>,
    /// What the file has had.
    before: &'a Dialect,
    written: BTreeSet<OsString>,
    /// Old attributes that would hide what is written elsewhere.
    stale: BTreeSet<OsString>,
}

/// Where the EAs of a file went.
#[derive(Debug, Default)]
pub(crate) struct WrittenEas {
    /// The list of those that need another place; empty when all are in attributes.
    pub(crate) rest: Vec<u8>,
    /// Order and flags of all, when attributes alone do not say them.
    pub(crate) order: Vec<(u8, Vec<u8>)>,
}

impl<'a> DialectWriter<'a> {
    /// A writer for the file `node`, which has had `before`.
    pub(crate) fn new(node: &'a Node, before: &'a Dialect) -> Self {
        Self { node, room: None, before, written: BTreeSet::new(), stale: BTreeSet::new() }
    }

    /// Sets one attribute; whether the file system took it.
    fn set(&mut self, name: &OsStr, value: &[u8]) -> bool {
        let taken = name.len() <= MAX_XATTR_NAME && self.node.set_xattr(name, value).is_ok();
        if taken {
            self.written.insert(name.to_owned());
        }
        taken
    }

    /// Sets one whose name is the user's, of whom there may be very many.
    fn set_named(&mut self, name: &OsStr, value: &[u8]) -> bool {
        let room = self.room.get_or_insert_with(|| NameRoom::of(self.node, MAX_NAMES));
        room.take(name.as_bytes()) && self.set(name, value)
    }

    /// Whether the file system has facts of Windows itself.
    pub(crate) fn has_own(&self) -> bool {
        self.before.own.is_some()
    }

    /// What the attribute with attributes and creation time has said.
    pub(crate) fn before_attrib(&self) -> DosAttrib {
        self.before.attrib
    }

    pub(crate) fn attrib(&mut self, attrib: DosAttrib) -> bool {
        if let Some(own) = self.before.own {
            let attributes = attrib.attributes.unwrap_or_default().bits().to_ne_bytes();
            let created = own.created.zip(attrib.created);
            return self.set(own.attributes.as_ref(), &attributes)
                && created.is_none_or(|(name, time)| self.set(name.as_ref(), &time.0.to_ne_bytes()));
        }
        if self.before.attrib != DosAttrib::default() {
            self.stale.insert(dosattrib::NAME.into());
        }
        self.set(dosattrib::NAME.as_ref(), &attrib.build())
    }

    /// The descriptor: where smbd believes it, or, without the privilege for that, where smbd can be told to look.
    pub(crate) fn security(&mut self, security: &[u8]) -> bool {
        if let Some(own) = self.before.own {
            return own.security.first().is_some_and(|name| self.set(name.as_ref(), security));
        }
        self.stale.extend(self.before.acls.iter().cloned());
        let value = NtAcl::build(security).ok();
        let value = value.filter(|value| NtAcl::parse(value).is_ok_and(|acl| acl.security == security));
        let Some(value) = value else { return false };
        self.set(ntacl::NAME.as_ref(), &value) || self.set(ntacl::USER_NAME.as_ref(), &value)
    }

    pub(crate) fn reparse(&mut self, buffer: &[u8]) -> bool {
        if self.before.reparse.is_some() {
            self.stale.insert(samba::REPARSE.into());
        }
        !buffer.is_empty() && !self.has_own() && self.set(samba::REPARSE.as_ref(), buffer)
    }

    /// By what a side file knows the file; `None` when there is none, or no attribute for it.
    pub(crate) fn mark(&mut self, has_side: bool) -> Option<[u8; 16]> {
        let before = self.before.mark;
        if before.is_some() && !has_side {
            self.stale.insert(side::MARK.into());
        }
        if !has_side || before.is_some() || self.has_own() {
            return before.filter(|_| has_side);
        }
        let half = || RandomState::new().build_hasher().finish().to_ne_bytes();
        let mut mark = [0; 16];
        mark.copy_from_slice([half(), half()].as_flattened());
        self.set(side::MARK.as_ref(), &mark).then_some(mark)
    }

    /// What EFS keeps of an encrypted file, where ntfs-3g shows it.
    pub(crate) fn efs(&mut self, metadata: &[u8]) -> bool {
        self.forget_efs();
        !self.has_own() && self.set(EFS_INFO.as_ref(), metadata)
    }

    /// What EFS kept of the file is elsewhere, or no more.
    pub(crate) fn forget_efs(&mut self) {
        if self.before.efs.is_some() {
            self.stale.insert(EFS_INFO.into());
        }
    }

    /// All EAs of the file; those that it has had and that are not in `list` go.
    pub(crate) fn eas(&mut self, list: &[u8]) -> Result<WrittenEas> {
        let prefix = self.before.own.map_or(samba::USER, |own| own.ea_prefix);
        let attribute = |name: &[u8]| OsString::from_vec([prefix.as_bytes(), name].concat());
        self.stale.extend(self.before.eas.iter().map(|ea| attribute(&ea.name)));
        let list = ea::parse_full(list)?.to_vec();
        let mut here = Dialect::default();
        let mut rest = Vec::new();
        for ea in &list {
            let free = self.may_be_set(&ea.name) && !here.eas.iter().any(|other| other.name == ea.name);
            if free && !ea.name.is_empty() && self.set_named(&attribute(&ea.name), &ea.value) {
                here.eas.push(Ea::new(0, ea.name.clone(), ea.value.clone()).into_owned());
            } else {
                rest.push(ea.clone());
            }
        }
        let rest = if rest.is_empty() { Vec::new() } else { ea::build_full(&rest)? };
        here.eas.sort_by(|a, b| a.name.cmp(&b.name));
        let alone = here.ea_list(&[], Some(&rest).filter(|rest| !rest.is_empty()).map(Vec::as_slice))?;
        let said = alone.as_deref().map(ea::parse_full).transpose()?.map(|said| said.to_vec());
        let order = if said.unwrap_or_default() == list {
            Vec::new()
        } else {
            list.iter().map(|ea| (ea.flags, ea.name.to_vec())).collect()
        };
        Ok(WrittenEas { rest, order })
    }

    /// Whether an EA of this name may be an attribute: on ntfs3 it would be called just so, whatever that means there.
    fn may_be_set(&self, name: &[u8]) -> bool {
        const NAMESPACES: [&[u8]; 6] = [b"system.", b"security.", b"trusted.", b"os2.", b"cifs.", b"smb3."];
        let names_one = NAMESPACES
            .iter()
            .any(|space| name.get(..space.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(space)));
        !(samba::is_private(name) || self.has_own() && names_one)
    }

    pub(crate) fn stream(&mut self, name: &StreamName, content: &[u8]) -> bool {
        let attribute = stream::attribute_of(name);
        // Samba's names are UTF-8, and some are no names there.
        let known =
            stream::stream_of(&attribute).as_ref() == Some(name) && std::str::from_utf8(&attribute).is_ok();
        self.forget_stream(&StreamKey::of(Some(name)));
        known
            && !self.has_own()
            && content.len() <= MAX_STREAM
            && self.set_named(OsStr::from_bytes(&attribute), &stream::build(content))
    }

    /// The stream with this key is elsewhere, or no more.
    pub(crate) fn forget_stream(&mut self, key: &StreamKey) {
        for stream in self.before.streams.iter().filter(|stream| StreamKey::of(Some(&stream.name)) == *key) {
            self.stale.insert(stream.attribute.clone());
            self.stale.extend(stream.parts.iter().cloned());
        }
    }

    /// Removes what would hide the other place, once that is there.
    pub(crate) fn finish(self) -> Result<()> {
        for name in self.stale.difference(&self.written) {
            match self.node.remove_xattr(name) {
                Ok(()) | Err(Errno::NODATA) => {}
                Err(error) => {
                    let what = format!("removing the attribute {}, which is out of date now", name.display());
                    return Err(Error::io(what, error));
                }
            }
        }
        Ok(())
    }
}
