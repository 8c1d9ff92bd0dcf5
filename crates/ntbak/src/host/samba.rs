//! What Samba, or another program of its dialect, has written to a file: [`ntbak_wire::samba`] by descriptor.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ntbak_wire::ea::{self, Ea};
use ntbak_wire::record::SmallKind;
use ntbak_wire::reparse::ReparseBuffer;
use ntbak_wire::samba::dosattrib::{self, DosAttrib};
use ntbak_wire::samba::ntacl::{self, NtAcl};
use ntbak_wire::samba::{self, stream};
use ntbak_wire::security::SecurityDescriptor;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, FileTime, side};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::linux::{LinuxKind, Own};
use crate::host::node::Node;
use crate::host::streams_depot;
use crate::memory::StreamKey;

/// The facts of one file that are in extended attributes.
#[derive(Debug, Default)]
pub(crate) struct Dialect {
    pub(crate) attrib: DosAttrib,
    pub(crate) security: Option<Vec<u8>>,
    /// smbd believes the descriptor only after it has compared hashes, which we cannot.
    pub(crate) conditional: bool,
    pub(crate) reparse: Option<Vec<u8>>,
    /// By what a side file knows the file.
    pub(crate) mark: Option<[u8; 16]>,
    /// What EFS keeps of an encrypted file, as ntfs-3g shows it.
    pub(crate) efs: Option<Vec<u8>>,
    /// Extended attributes, by name; Samba keeps no flags and no order.
    pub(crate) eas: Vec<Ea<'static>>,
    pub(crate) streams: Vec<AttributeStream>,
    /// It says that a depot has streams of it: [`streams_depot`].
    pub(crate) has_depot: bool,
    /// Attributes of Linux that are no fact about a Windows file.
    pub(crate) foreign: Vec<OsString>,
    /// Attributes with the descriptor; there can be two.
    pub(crate) acls: Vec<OsString>,
    /// The file system has facts of Windows itself, in attributes of its own.
    pub(crate) own: Option<Own>,
    /// The second one says something else than the first, which was taken.
    pub(crate) acls_differ: bool,
    /// Attributes of the dialect that cannot be read, and why.
    pub(crate) unreadable: Vec<(OsString, String)>,
}

/// A named stream in extended attributes.
#[derive(Debug)]
pub(crate) struct AttributeStream {
    pub(crate) name: StreamName,
    pub(crate) size: u64,
    pub(crate) attribute: OsString,
    /// The attributes with its further parts.
    pub(crate) parts: Vec<OsString>,
}

impl Dialect {
    /// Reads what there is; a file system without extended attributes has nothing. `kind` is that of the file system, where
    /// it is known.
    pub(crate) fn read(node: &Node, kind: Option<LinuxKind>) -> Result<Self> {
        let mut unreadable = Vec::new();
        let mut names = match node.xattr_names() {
            Ok(names) => names,
            Err(Errno::TOOBIG) => {
                let why = "it has more names of attributes than the kernel lists (64 KiB)";
                unreadable.push(("user.*".into(), why.to_owned()));
                let is_there = |name: &&&str| node.xattr(**name).is_ok_and(|value| value.is_some());
                std::iter::once(&ntacl::NAME).chain(&OWN_NAMES).filter(is_there).map(OsString::from).collect()
            }
            Err(Errno::OPNOTSUPP | Errno::PERM | Errno::NOSYS | Errno::ACCESS) => return Ok(Self::default()),
            Err(error) => return Err(Error::io("listing the extended attributes", error)),
        };
        // File systems list them in the order of chance.
        names.sort();
        let mut dialect =
            Self { own: kind.unwrap_or_else(|| LinuxKind::of(node)).own(), unreadable, ..Self::default() };
        if let Some(own) = dialect.own {
            dialect.take_own(node, &own, names);
            return Ok(dialect);
        }
        for name in names {
            if let Err(why) = dialect.take(node, &name)? {
                dialect.unreadable.push((name, why));
            }
        }
        // Parts of a stream that has no first one are nothing that Samba shows.
        let parts: HashSet<_> = dialect.streams.iter().flat_map(|stream| stream.parts.clone()).collect();
        dialect.foreign.retain(|name| !parts.contains(name));
        Ok(dialect)
    }

    /// Takes what a file system of Windows' own shows; of its attributes only EAs are in the list of `names`.
    fn take_own(&mut self, node: &Node, own: &Own, names: Vec<OsString>) {
        let value = |name: &str| node.xattr(name).ok().flatten().filter(|value| !value.is_empty());
        self.security = own.security.iter().find_map(|name| value(name));
        let number = |name: &str| value(name)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        self.attrib.attributes = number(own.attributes).map(FileAttributes::from_bits_retain);
        self.attrib.created = own
            .created
            .and_then(|name| value(name)?.first_chunk().map(|bytes| FileTime(i64::from_ne_bytes(*bytes))));
        for name in names {
            let bare = name.as_bytes().strip_prefix(own.ea_prefix.as_bytes());
            let Some(bare) = bare.filter(|bare| !bare.starts_with(b"system.") && !bare.starts_with(b"cifs."))
            else {
                continue;
            };
            match node.xattr(&name) {
                Ok(Some(value)) => self.eas.push(Ea::new(0, bare.to_vec(), value)),
                Ok(None) => {}
                Err(error) => self.unreadable.push((name.clone(), error.to_string())),
            }
        }
    }

    /// Takes one attribute; `Err` inside says why it cannot be.
    fn take(&mut self, node: &Node, name: &OsStr) -> Result<std::result::Result<(), String>> {
        let bytes = name.as_bytes();
        let bare = bytes.strip_prefix(samba::USER.as_bytes());
        let is_acl = bytes == ntacl::NAME.as_bytes() || bytes == ntacl::USER_NAME.as_bytes();
        if bare.is_none() && !is_acl {
            if !KERNEL.iter().any(|kernel| bytes == kernel.as_bytes()) {
                self.foreign.push(name.to_owned());
            }
            return Ok(Ok(()));
        }
        if bytes == streams_depot::MARK.as_bytes() {
            self.has_depot = true;
            return Ok(Ok(()));
        }
        if bytes.starts_with(stream::PREFIX.as_bytes()) {
            return Ok(self.take_stream(node, name));
        }
        let value = match node.xattr(name) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let text = |error: ntbak_wire::Error| error.to_string();
        if is_acl {
            self.acls.push(name.to_owned());
        }
        Ok(match bytes {
            // The one that only root may write comes before the other in the list, and counts more.
            _ if is_acl => self.take_acl(&value).map_err(text),
            _ if bytes == dosattrib::NAME.as_bytes() => {
                DosAttrib::parse(&value).map_err(text).map(|mut attrib| {
                    // These are what something else says.
                    let derived = FileAttributes::DIRECTORY | FileAttributes::ENCRYPTED;
                    attrib.attributes = attrib.attributes.map(|attributes| attributes - derived);
                    self.attrib = attrib;
                })
            }
            _ if bytes == side::MARK.as_bytes() => {
                self.mark = value.try_into().ok();
                Ok(())
            }
            _ if bytes == EFS_INFO.as_bytes() => {
                self.efs = Some(value);
                Ok(())
            }
            _ if bytes == samba::REPARSE.as_bytes() => {
                ReparseBuffer::parse(&value).map(drop).map_err(text).map(|()| {
                    self.reparse = Some(value);
                })
            }
            _ => {
                match bare.filter(|bare| self.is_ea(bare, &value)) {
                    Some(bare) => self.eas.push(Ea::new(0, bare.to_vec(), value)),
                    None => self.foreign.push(name.to_owned()),
                }
                Ok(())
            }
        })
    }

    /// Takes the descriptor; of two, the one that only root may write, which comes first in the list.
    fn take_acl(&mut self, value: &[u8]) -> ntbak_wire::Result<()> {
        let acl = NtAcl::parse(value)?;
        SecurityDescriptor::parse(&acl.security)?;
        if let Some(security) = &self.security {
            self.acls_differ = *security != acl.security;
            return Ok(());
        }
        self.conditional = acl.is_conditional();
        self.security = Some(acl.security);
        Ok(())
    }

    /// Whether an attribute of the `user` namespace is an EA that Windows could have: neither Samba's own, nor too large,
    /// nor empty, nor one more than a list holds, nor another spelling of one that is there.
    fn is_ea(&self, name: &[u8], value: &[u8]) -> bool {
        let len = |ea: &Ea<'_>| ENTRY + ea.name.len() + ea.value.len();
        let held: usize = self.eas.iter().map(len).sum();
        let fits = ENTRY + name.len() + value.len() + held <= SmallKind::Ea.max_len() as usize;
        let known = self.eas.iter().any(|ea| ea.name.eq_ignore_ascii_case(name));
        can_be_ea(name, value) && fits && !known
    }

    fn take_stream(&mut self, node: &Node, attribute: &OsStr) -> std::result::Result<(), String> {
        let name = stream::stream_of(attribute.as_bytes()).ok_or("no stream has a name like this")?;
        let (content, parts) = read_stream(node, attribute).map_err(|error| error.reason())?;
        let size = content.len() as u64;
        let key = StreamKey::of(Some(&name));
        if self.streams.iter().any(|stream| StreamKey::of(Some(&stream.name)) == key) {
            // Windows has one stream of this name; the other spelling is an attribute like any.
            self.foreign.push(attribute.to_owned());
            return Ok(());
        }
        self.streams.push(AttributeStream { name, size, attribute: attribute.to_owned(), parts });
        Ok(())
    }

    /// Leaves the EAs that fit into no list with `told`, those that are kept elsewhere, to Linux.
    pub(crate) fn fit_eas(&mut self, told: &[u8]) {
        let len = |ea: &Ea<'_>| ENTRY + ea.name.len() + ea.value.len();
        // A damaged list is an error when it is asked for.
        let told = ea::parse_full(told).map(|told| told.to_vec()).unwrap_or_default();
        let told = told.iter().filter(|told| !self.eas.iter().any(|ea| ea.name == told.name));
        let mut room = (SmallKind::Ea.max_len() as usize).saturating_sub(told.map(len).sum());
        let prefix = self.own.map_or(samba::USER, |own| own.ea_prefix);
        let fits = |ea: &Ea<'_>| room.checked_sub(len(ea)).map(|left| room = left).is_some();
        let (fit, rest) = std::mem::take(&mut self.eas).into_iter().partition::<Vec<_>, _>(fits);
        self.eas = fit;
        let names = rest.iter().map(|ea| OsString::from_vec([prefix.as_bytes(), &ea.name].concat()));
        self.foreign.extend(names);
    }

    /// The extended attributes as a list. `order` says what attributes do not: order and flags, and which entries there
    /// were when it was written; `told` are those that are kept elsewhere. Where both have one, the attribute is newer.
    pub(crate) fn ea_list(&self, order: &[(u8, Vec<u8>)], told: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let told = match told {
            Some(told) => ea::parse_full(told)?.to_vec(),
            None => Vec::new(),
        };
        let mut list =
            EaList { here: self.eas.iter().map(Some).collect(), told: told.iter().map(Some).collect() };
        let ordered: Vec<_> = order
            .iter()
            .filter_map(|(flags, name)| {
                let known = |other: &[u8]| order.iter().any(|(_, name)| name == other);
                let found = list.take(name, known)?;
                Some(Ea { flags: *flags, ..found.clone() })
            })
            .collect();
        let told =
            told.iter().filter_map(|told| list.take(&told.name, |_| false)).cloned().collect::<Vec<_>>();
        let list: Vec<Ea<'_>> =
            ordered.into_iter().chain(told).chain(list.here.into_iter().flatten().cloned()).collect();
        Ok(if list.is_empty() { None } else { Some(ea::build_full(&list)?) })
    }
}

/// EAs of both places, each until it is taken.
struct EaList<'a> {
    here: Vec<Option<&'a Ea<'a>>>,
    told: Vec<Option<&'a Ea<'a>>>,
}

impl<'a> EaList<'a> {
    /// The EA of this name, which leaves the list: that of exactly this name, here or elsewhere; else one that differs in
    /// case only, unless it is `known` by itself.
    fn take(&mut self, name: &[u8], known: impl Fn(&[u8]) -> bool) -> Option<&'a Ea<'a>> {
        fn find<'a>(list: &mut [Option<&'a Ea<'a>>], test: impl Fn(&Ea<'_>) -> bool) -> Option<&'a Ea<'a>> {
            list.iter_mut().find(|ea| ea.is_some_and(&test))?.take()
        }
        let exact = |ea: &Ea<'_>| *ea.name == *name;
        let alike = |ea: &Ea<'_>| ea.name.eq_ignore_ascii_case(name) && !known(&ea.name);
        let here = find(&mut self.here, exact);
        let told = find(&mut self.told, exact);
        here.or_else(|| find(&mut self.here, alike)).or(told)
    }
}

impl AttributeStream {
    /// Its content, whole: it is as large as a few extended attributes at most.
    pub(crate) fn read(&self, node: &Node) -> Result<Vec<u8>> {
        read_stream(node, &self.attribute).map(|(content, _)| content)
    }
}

/// What EFS keeps of a file, by the name that a mount of ntfs-3g with `efs_raw` lists.
pub(crate) const EFS_INFO: &str = "user.ntfs.efsinfo";

/// Bytes of an EA in a list beside name and value: header, NUL, padding.
const ENTRY: usize = 8 + 1 + 3;

/// Attributes of the `user` namespace that mean something to ntbak and smbd, so that no copy takes them as they are.
pub(crate) const OWN_NAMES: [&str; 6] =
    [dosattrib::NAME, ntacl::USER_NAME, samba::REPARSE, EFS_INFO, side::MARK, streams_depot::MARK];

/// Whether an attribute of the `user` namespace is neither a stream nor an EA, whatever else the file has.
pub(crate) fn is_foreign(name: &[u8], value: &[u8]) -> bool {
    let own =
        OWN_NAMES.iter().any(|own| own.as_bytes() == name) || name.starts_with(stream::PREFIX.as_bytes());
    let bare = name.strip_prefix(samba::USER.as_bytes());
    bare.is_some_and(|bare| !own && !can_be_ea(bare, value))
}

/// Whether Windows could have an EA of this name and value.
fn can_be_ea(name: &[u8], value: &[u8]) -> bool {
    let lengths =
        (1..=ea::MAX_NAME).contains(&name.len()) && (1..=usize::from(u16::MAX)).contains(&value.len());
    lengths && !samba::is_private(name)
}

/// How much room there is for names of attributes: the kernel lists no more than 64 KiB of them, and a file that has more
/// cannot be read any more.
#[derive(Debug)]
pub(crate) struct NameRoom {
    there: HashSet<OsString>,
    left: usize,
}

impl NameRoom {
    /// The room on a file up to `most` bytes of names.
    pub(crate) fn of(node: &Node, most: usize) -> Self {
        let there: HashSet<_> = node.xattr_names().unwrap_or_default().into_iter().collect();
        let used = there.iter().map(|name| name.len() + 1).sum();
        Self { there, left: most.saturating_sub(used) }
    }

    /// Takes room for this name; whether there was any.
    pub(crate) fn take(&mut self, name: &[u8]) -> bool {
        if self.there.contains(OsStr::from_bytes(name)) {
            return true;
        }
        let left = self.left.checked_sub(name.len() + 1);
        left.map(|left| self.left = left).is_some()
    }
}

/// Attributes by which the kernel and its security modules do their own work.
const KERNEL: [&str; 3] = ["security.selinux", "security.ima", "security.evm"];

/// All parts of a stream, and the names of those behind the first.
fn read_stream(node: &Node, attribute: &OsStr) -> Result<(Vec<u8>, Vec<OsString>)> {
    let value = |name: &OsStr| {
        let value =
            node.xattr(name).map_err(|error| Error::io("reading a stream from its attribute", error))?;
        value.ok_or_else(|| Error::io("reading a stream from its attribute", Errno::NODATA))
    };
    let first = value(attribute)?;
    let Some((content, parts)) = stream::parse(&first) else { return Ok(Default::default()) };
    let (mut content, mut names) = (content.to_vec(), Vec::new());
    // Whether the mark counts the first part, too, is not written anywhere: so the last one may be missing.
    let last = if parts > 1 { parts.min(stream::MAX_PARTS) } else { 0 };
    for number in 1..=last {
        let Some(name) = stream::part_of(attribute.as_bytes(), number).map(OsString::from_vec) else { break };
        match node.xattr(&name) {
            Ok(None) if number == last && number > 1 => {}
            _ => {
                content.extend(value(&name)?);
                names.push(name);
            }
        }
    }
    Ok((content, names))
}
