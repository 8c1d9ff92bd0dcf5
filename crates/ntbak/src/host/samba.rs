//! What Samba, or another program of its dialect, has written to a file: [`ntbak_wire::samba`] by descriptor.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ntbak_wire::ea::{self, Ea};
use ntbak_wire::samba::dosattrib::{self, DosAttrib};
use ntbak_wire::samba::ntacl::{self, NtAcl};
use ntbak_wire::samba::{self, stream};
use ntbak_wire::stream::StreamName;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::Node;

/// The facts of one file that are in extended attributes.
#[derive(Debug, Default)]
pub(crate) struct Dialect {
    pub(crate) attrib: DosAttrib,
    pub(crate) security: Option<Vec<u8>>,
    /// smbd believes the descriptor only after it has compared hashes, which we cannot.
    pub(crate) conditional: bool,
    pub(crate) reparse: Option<Vec<u8>>,
    /// Extended attributes, by name; Samba keeps no flags and no order.
    pub(crate) eas: Vec<Ea<'static>>,
    pub(crate) streams: Vec<AttributeStream>,
    /// Attributes of Linux that are no fact about a Windows file.
    pub(crate) foreign: Vec<OsString>,
    /// Attributes of the dialect that cannot be read, and why.
    pub(crate) unreadable: Vec<(OsString, String)>,
}

/// A named stream in extended attributes.
#[derive(Debug)]
pub(crate) struct AttributeStream {
    pub(crate) name: StreamName,
    pub(crate) size: u64,
    attribute: OsString,
}

impl Dialect {
    /// Reads what there is; a file system without extended attributes has nothing.
    pub(crate) fn read(node: &Node) -> Result<Self> {
        let mut names = match node.xattr_names() {
            Ok(names) => names,
            Err(Errno::OPNOTSUPP | Errno::PERM | Errno::NOSYS | Errno::ACCESS) => return Ok(Self::default()),
            Err(error) => return Err(Error::io("listing the extended attributes", error)),
        };
        // File systems list them in the order of chance.
        names.sort();
        let mut dialect = Self::default();
        for name in names {
            if let Err(why) = dialect.take(node, &name)? {
                dialect.unreadable.push((name, why));
            }
        }
        Ok(dialect)
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
        if bytes.starts_with(stream::PREFIX.as_bytes()) {
            return Ok(self.take_stream(node, name));
        }
        let value = match node.xattr(name) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let text = |error: ntbak_wire::Error| error.to_string();
        Ok(match bytes {
            // The one that only root may write comes before the other in the list, and counts more.
            _ if is_acl && self.security.is_some() => Ok(()),
            _ if is_acl => NtAcl::parse(&value).map_err(text).map(|acl| {
                self.conditional = acl.is_conditional();
                self.security = Some(acl.security);
            }),
            _ if bytes == dosattrib::NAME.as_bytes() => {
                DosAttrib::parse(&value).map_err(text).map(|attrib| self.attrib = attrib)
            }
            _ if bytes == samba::REPARSE.as_bytes() => {
                self.reparse = Some(value);
                Ok(())
            }
            _ => match bare.filter(|bare| !samba::is_private(bare)) {
                Some(bare) if bare.len() > ea::MAX_NAME || bare.is_empty() => {
                    Err("no extended attribute of Windows has a name like this".to_owned())
                }
                Some(bare) => {
                    self.eas.push(Ea::new(0, bare.to_vec(), value));
                    Ok(())
                }
                None => Ok(()),
            },
        })
    }

    fn take_stream(&mut self, node: &Node, attribute: &OsStr) -> std::result::Result<(), String> {
        let name = stream::stream_of(attribute.as_bytes()).ok_or("no stream has a name like this")?;
        let content = read_stream(node, attribute).map_err(|error| error.reason())?;
        let size = content.len() as u64;
        self.streams.push(AttributeStream { name, size, attribute: attribute.to_owned() });
        Ok(())
    }

    /// The extended attributes as a list, with flags, order and further entries of `told`, a list that was kept
    /// elsewhere; where both have a value, the one here is the newer.
    pub(crate) fn ea_list(&self, told: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let same = |a: &Ea<'_>, b: &Ea<'_>| a.name.eq_ignore_ascii_case(&b.name);
        let mut list: Vec<Ea<'_>> = match told {
            Some(told) => ea::parse_full(told)?.to_vec(),
            None => Vec::new(),
        };
        for known in &mut list {
            if let Some(here) = self.eas.iter().find(|here| same(here, known)) {
                known.value = here.value.clone();
            }
        }
        let new: Vec<_> =
            self.eas.iter().filter(|here| !list.iter().any(|known| same(known, here))).cloned().collect();
        list.extend(new);
        Ok(if list.is_empty() { None } else { Some(ea::build_full(&list)?) })
    }
}

impl AttributeStream {
    /// Its content, whole: it is as large as a few extended attributes at most.
    pub(crate) fn read(&self, node: &Node) -> Result<Vec<u8>> {
        read_stream(node, &self.attribute)
    }
}

/// Attributes by which the kernel and its security modules do their own work.
const KERNEL: [&str; 3] = ["security.selinux", "security.ima", "security.evm"];

/// All parts of a stream.
fn read_stream(node: &Node, attribute: &OsStr) -> Result<Vec<u8>> {
    let value = |name: &OsStr| {
        let value =
            node.xattr(name).map_err(|error| Error::io("reading a stream from its attribute", error))?;
        value.ok_or_else(|| Error::io("reading a stream from its attribute", Errno::NODATA))
    };
    let first = value(attribute)?;
    let Some((content, parts)) = stream::parse(&first) else { return Ok(Vec::new()) };
    let mut content = content.to_vec();
    // Whether the mark counts the first part, too, is not written anywhere: so the last one may be missing.
    let last = if parts > 1 { parts.min(stream::MAX_PARTS) } else { 0 };
    for number in 1..=last {
        let Some(name) = stream::part_of(attribute.as_bytes(), number).map(OsString::from_vec) else { break };
        match node.xattr(&name) {
            Ok(None) if number == last && number > 1 => {}
            _ => content.extend(value(&name)?),
        }
    }
    Ok(content)
}
