//! `CreateFile`.

use std::sync::{Arc, Mutex};

use ntbak_wire::record::Times;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Win32Error};

use crate::error::{Error, Result};
use crate::sink::encrypted_there;
use crate::win32::host_content::Rewritten;
use crate::win32::open_files::{Deletion, Enter, Place};
use crate::win32::resolve::{Follow, Resolved};
use crate::win32::system::Made;
use crate::win32::volume::read_only;
use crate::win32::{Access, Disposition, FileFlags, Handle, Node, Share, System, fold};

/// The parameters of `CreateFile` behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Create {
    /// dwDesiredAccess.
    pub access: Access,
    /// dwShareMode.
    pub share: Share,
    /// dwCreationDisposition.
    pub disposition: Disposition,
    /// The flags of dwFlagsAndAttributes.
    pub flags: FileFlags,
    /// The attributes of dwFlagsAndAttributes: those of a new file, or of one that CREATE_ALWAYS overwrites.
    pub attributes: FileAttributes,
}

impl Default for Create {
    /// Open what exists, for reading attributes only, shared with everybody.
    fn default() -> Self {
        let (access, share) = (Access::empty(), Share::all());
        let (flags, attributes) = (FileFlags::empty(), FileAttributes::empty());
        Self { access, share, disposition: Disposition::OpenExisting, flags, attributes }
    }
}

/// The attributes that a program can set.
pub(super) const SETTABLE: FileAttributes = FileAttributes::READONLY
    .union(FileAttributes::HIDDEN)
    .union(FileAttributes::SYSTEM)
    .union(FileAttributes::ARCHIVE)
    .union(FileAttributes::TEMPORARY)
    .union(FileAttributes::OFFLINE)
    .union(FileAttributes::NOT_CONTENT_INDEXED)
    .union(FileAttributes::PINNED)
    .union(FileAttributes::UNPINNED);

/// How often a way is looked for that others change meanwhile.
const ATTEMPTS: usize = 16;

impl System {
    /// `CreateFile`: opens or makes a file or, with BACKUP_SEMANTICS, opens a directory. `path` is what
    /// [`Drives`](super::Drives) take: WTF-8 on a drive, any bytes on Linux.
    ///
    /// FILE_FLAG_NO_BUFFERING is accepted here; `BackupRead` and `BackupWrite` refuse the handle, as Windows does.
    /// [`Handle::existed`] says what the last error 183 says on Windows.
    ///
    /// # Errors
    /// | number | when |
    /// | --- | --- |
    /// | 2, 3 | the file, or a directory of its path, is not there |
    /// | 3 | a directory without BACKUP_SEMANTICS, and the path ends with a separator |
    /// | 5 | reserved access bits; a directory without BACKUP_SEMANTICS; a root with another disposition than to open it; writing to, or DELETE_ON_CLOSE of, a read-only file; DELETE_ON_CLOSE on a volume that is only read; CREATE_ALWAYS over a hidden or system file without these attributes; a file that is deleted and still open, a new one in such a directory; the place refuses |
    /// | 19 | the volume is only read |
    /// | 32 | another handle does not share |
    /// | 50 | FILE_ATTRIBUTE_ENCRYPTED for a new file |
    /// | 80 | CREATE_NEW, and it exists |
    /// | 183 | CREATE_ALWAYS or TRUNCATE_EXISTING of a directory |
    /// | 87 | OPEN_REPARSE_POINT with CREATE_ALWAYS; TRUNCATE_EXISTING without GENERIC_WRITE; NO_BUFFERING with FILE_APPEND_DATA |
    /// | 123, 206, 1920, 1921 | the path |
    /// | 1392 | the file is damaged on its volume |
    /// | 1314 | ACCESS_SYSTEM_SECURITY without the privilege |
    pub fn create_file(&self, path: impl AsRef<[u8]>, how: Create) -> Result<Handle> {
        let path = path.as_ref();
        self.try_create_file(path, how).map_err(|error| error.at_path(&*fold::display(path)))
    }

    fn try_create_file(&self, path: &[u8], how: Create) -> Result<Handle> {
        let refuse = |why: &'static str| Err(Error::new(Win32Error::INVALID_PARAMETER, why));
        let asked = match how.flags.contains(FileFlags::DELETE_ON_CLOSE) {
            true => how.access | Access::DELETE,
            false => how.access,
        };
        let access = asked.granted(self.privileges())?;
        let itself = how.flags.contains(FileFlags::OPEN_REPARSE_POINT);
        if itself && how.disposition == Disposition::CreateAlways {
            return refuse("OPEN_REPARSE_POINT cannot be combined with CREATE_ALWAYS");
        }
        // The very bit: neither GENERIC_ALL nor FILE_WRITE_DATA will do.
        if how.disposition == Disposition::TruncateExisting && !how.access.contains(Access::GENERIC_WRITE) {
            return refuse("TRUNCATE_EXISTING needs GENERIC_WRITE");
        }
        if how.flags.contains(FileFlags::NO_BUFFERING) && how.access.contains(Access::FILE_APPEND_DATA) {
            return refuse("an unbuffered handle does not append (FILE_APPEND_DATA)");
        }
        let follow = if itself { Follow::Itself } else { Follow::Links };
        let may_make = !matches!(how.disposition, Disposition::OpenExisting | Disposition::TruncateExisting);
        let _changing = may_make.then(|| self.changing());
        for _ in 0..ATTEMPTS {
            let changes = self.shares().changes();
            let mut resolved = self.drives().resolve(path, follow)?;
            let existing = resolved.node.take();
            let mut access = access;
            let writes = access.intersects(Access::WRITING) || how.disposition != Disposition::OpenExisting;
            if writes
                && existing.as_ref().or(resolved.parent.as_ref()).is_some_and(|node| node.is_read_only())
            {
                access = self.on_read_only(how, existing.is_some())?;
            }
            let opening = Opening { system: self, path, how, access, changes };
            let handle = match existing {
                Some(node) => opening.existing(resolved, node)?,
                None => opening.missing(resolved)?,
            };
            if let Some(handle) = handle {
                return Ok(handle);
            }
        }
        Err(Error::new(Win32Error::SHARING_VIOLATION, "others change the path again and again"))
    }
}

impl System {
    /// The rights that a handle gets on a volume that is only read (\[MS-FSA\] 2.1.5.1 phases 2 and 6, 2.1.5.1.2.1). That
    /// rights to write are refused at once, and not with the first use, is our choice.
    fn on_read_only(&self, how: Create, exists: bool) -> Result<Access> {
        match how.disposition {
            Disposition::CreateNew | Disposition::CreateAlways | Disposition::TruncateExisting => {
                return Err(read_only());
            }
            Disposition::OpenAlways if !exists => return Err(read_only()),
            Disposition::OpenAlways | Disposition::OpenExisting => {}
        }
        if exists && how.flags.contains(FileFlags::DELETE_ON_CLOSE) {
            let why = "nothing is deleted on a volume that is only read";
            return Err(Error::new(Win32Error::ACCESS_DENIED, why));
        }
        let asked = (how.access - Access::MAXIMUM_ALLOWED).granted(self.privileges())?;
        if exists && asked.intersects(Access::WRITING) {
            return Err(read_only());
        }
        Ok(how.access.granted(self.privileges())? - Access::WRITING)
    }
}

struct Opening<'a> {
    system: &'a System,
    path: &'a [u8],
    how: Create,
    access: Access,
    /// How often names had gone away before the path was looked at.
    changes: u64,
}

impl Opening<'_> {
    /// Opens what is there; `None` when it is not there any more.
    fn existing(&self, mut resolved: Resolved, node: Arc<dyn Node>) -> Result<Option<Handle>> {
        let source = node.source()?;
        let attributes = source.info()?.attributes;
        let stream_there = match &resolved.stream {
            None => true,
            // Its name is what it was made with.
            Some(name) => match Rewritten::find(&*source, name)?.and_then(|(_, head)| head.name) {
                Some(name) => {
                    resolved.stream = Some(name);
                    true
                }
                None => false,
            },
        };
        drop(source);
        let Some(name) = resolved.stream.clone().filter(|_| !stream_there) else {
            return self.open(resolved, node, attributes);
        };
        if matches!(self.how.disposition, Disposition::OpenExisting | Disposition::TruncateExisting) {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "the stream is not there"));
        }
        if attributes.contains(FileAttributes::READONLY) && !attributes.is_directory() {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "the file is read-only"));
        }
        node.make_stream(&name)?;
        self.handle(resolved, node, false).map(Some)
    }

    fn open(
        &self,
        resolved: Resolved,
        node: Arc<dyn Node>,
        attributes: FileAttributes,
    ) -> Result<Option<Handle>> {
        let denied = |why: &'static str| Error::new(Win32Error::ACCESS_DENIED, why);
        let Create { disposition, flags, .. } = self.how;
        let is_directory = attributes.is_directory();
        if resolved.directory && !is_directory {
            return Err(Error::new(Win32Error::INVALID_NAME, "a file is no directory"));
        }
        let whole = resolved.stream.is_none();
        if is_directory && whole && !flags.contains(FileFlags::BACKUP_SEMANTICS) {
            // As Wine's tests observe it: the separator makes the difference.
            let code =
                if resolved.directory { Win32Error::PATH_NOT_FOUND } else { Win32Error::ACCESS_DENIED };
            let error = Error::new(code, "it is a directory");
            return Err(error.hint("a directory is opened with FILE_FLAG_BACKUP_SEMANTICS"));
        }
        let opens = matches!(disposition, Disposition::OpenExisting | Disposition::OpenAlways);
        if is_directory && whole && !opens && resolved.parent.is_none() {
            return Err(denied("the root of a volume is not made anew"));
        }
        if disposition == Disposition::CreateNew {
            return Err(Error::new(Win32Error::FILE_EXISTS, "the file exists already"));
        }
        let empties = !opens;
        if is_directory && whole && empties {
            return Err(Error::new(Win32Error::ALREADY_EXISTS, "a directory is not emptied"));
        }
        node.check()?;
        let writes = self.access.intersects(Access::FILE_WRITE_DATA | Access::FILE_APPEND_DATA) || empties;
        let deletes = flags.contains(FileFlags::DELETE_ON_CLOSE);
        if attributes.contains(FileAttributes::READONLY) && (writes && !is_directory || deletes) {
            return Err(denied("the file is read-only"));
        }
        if disposition == Disposition::CreateAlways && whole {
            let guarded = attributes & (FileAttributes::HIDDEN | FileAttributes::SYSTEM);
            if !self.how.attributes.contains(guarded) {
                return Err(denied("a hidden or system file is there, and the new one is not to be"));
            }
        }
        // Emptied, it would be an encrypted file still, and what is written then would be taken for ciphertext.
        if empties && attributes.contains(FileAttributes::ENCRYPTED) {
            return Err(encrypted_there());
        }
        if empties {
            // A file that is going to be emptied must be shared before, not after.
            let access = self.access | Access::FILE_WRITE_DATA;
            drop(self.system.shares().enter_stream(node.identity(), self.enter(&resolved, access))?);
        }
        let handle = self.handle(resolved.clone(), node.clone(), true)?;
        if !self.is_still_there(&resolved, &node)? {
            return Ok(None);
        }
        match &resolved.stream {
            Some(name) if empties => node.content(Some(name), true)?.set_size(0)?,
            None if disposition == Disposition::CreateAlways => {
                node.overwrite()?;
                let kept = attributes & !SETTABLE & !FileAttributes::NORMAL;
                let kept = kept - FileAttributes::SPARSE_FILE - FileAttributes::COMPRESSED;
                let wanted = kept | self.how.attributes & SETTABLE | FileAttributes::ARCHIVE;
                if node.source()?.info()?.attributes != wanted {
                    node.set_basic(Some(wanted), &Times::default())?;
                }
            }
            None if empties => node.content(None, true)?.set_size(0)?,
            _ => {}
        }
        Ok(Some(handle))
    }

    /// Makes what is not there; `None` when it is there by now.
    fn missing(&self, resolved: Resolved) -> Result<Option<Handle>> {
        let Create { disposition, attributes, .. } = self.how;
        if matches!(disposition, Disposition::OpenExisting | Disposition::TruncateExisting) {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "the file is not there"));
        }
        let Some(parent) = resolved.parent.clone().filter(|_| !resolved.directory) else {
            return Err(Error::new(Win32Error::INVALID_NAME, "a new file has a name"));
        };
        if attributes.contains(FileAttributes::READONLY)
            && self.how.flags.contains(FileFlags::DELETE_ON_CLOSE)
        {
            let why = "a read-only file is not deleted";
            return Err(Error::new(Win32Error::ACCESS_DENIED, why));
        }
        if attributes.contains(FileAttributes::ENCRYPTED) {
            let why = "a new file is not encrypted as it is made";
            return Err(Error::new(Win32Error::NOT_SUPPORTED, why).hint("EncryptFile encrypts it"));
        }
        self.system.refuse_deleted(&*parent)?;
        let node = match parent.create(&resolved.name, false) {
            Ok(node) => node,
            Err(error) if error.win32() == Win32Error::ALREADY_EXISTS => return Ok(None),
            Err(error) => return Err(error),
        };
        let made = || {
            let wanted = attributes & SETTABLE | FileAttributes::ARCHIVE;
            if wanted != FileAttributes::ARCHIVE {
                node.set_basic(Some(wanted), &Times::default())?;
            }
            if let Some(name) = &resolved.stream {
                node.make_stream(name)?;
            }
            self.handle(resolved.clone(), node.clone(), false)
        };
        made().map(Some).inspect_err(|_| {
            // Half a file is none; that it could not be removed is the lesser trouble.
            let _ = parent.remove(&resolved.name, &*node);
        })
    }

    /// Whether the name is still that of the file, now that the file is open.
    fn is_still_there(&self, resolved: &Resolved, node: &Arc<dyn Node>) -> Result<bool> {
        let Some(parent) = &resolved.parent else { return Ok(true) };
        if self.system.shares().changes() == self.changes {
            return Ok(true);
        }
        let there = parent.child(&resolved.name)?;
        Ok(there.is_some_and(|there| there.identity() == node.identity()))
    }

    fn enter<'a>(&self, resolved: &'a Resolved, access: Access) -> Enter<'a> {
        let place = Arc::new(Mutex::new(resolved.place()));
        Enter { stream: resolved.stream.as_ref(), access, share: self.how.share, place, node: None }
    }

    fn handle(&self, resolved: Resolved, node: Arc<dyn Node>, existed: bool) -> Result<Handle> {
        let (shares, identity) = (self.system.shares(), node.identity());
        let enter = Enter { node: Some(node.clone()), ..self.enter(&resolved, self.access) };
        let place = enter.place.clone();
        let shared = shares.enter_stream(identity, enter)?;
        let stream: Option<StreamName> = resolved.stream;
        if self.how.flags.contains(FileFlags::DELETE_ON_CLOSE) {
            shares.delete_on_close(
                &shared,
                Deletion { place: place.clone(), node: node.clone(), stream: stream.clone() },
            );
        }
        Ok(self.system.make_handle(Made {
            node,
            identity,
            place,
            path: fold::display(self.path).into_owned(),
            stream,
            access: self.access,
            flags: self.how.flags,
            existed,
            shared,
        }))
    }
}

impl Resolved {
    /// Where the file has its name.
    pub(super) fn place(&self) -> Place {
        Place { parent: self.parent.clone(), name: self.name.clone() }
    }
}
