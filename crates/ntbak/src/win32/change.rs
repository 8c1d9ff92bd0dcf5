//! Names made and changed: `CreateDirectory`, `CreateHardLink`, `DeleteFile`, `RemoveDirectory`, `MoveFileEx`.

use std::sync::{Arc, Mutex};

use bitflags::bitflags;
use ntbak_wire::{FileAttributes, Win32Error};

use crate::error::{Error, Result};
use crate::report::{Collected, FileReport, Report};
use crate::restore::copy;
use crate::win32::open_files::{Deletion, Enter, Place, Shared};
use crate::win32::resolve::{Follow, Resolved};
use crate::win32::volume::read_only;
use crate::win32::{Access, Handle, Node, Share, System, fold};

bitflags! {
    /// The flags of `MoveFileEx`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct MoveFlags: u32 {
        /// A file that has the new name goes.
        const REPLACE_EXISTING = 0x1;
        /// To another volume, the file is copied.
        const COPY_ALLOWED = 0x2;
        /// With the next start of the system: 50 here.
        const DELAY_UNTIL_REBOOT = 0x4;
        /// Return when the file is moved: always so.
        const WRITE_THROUGH = 0x8;
        /// Reserved: 50 here.
        const CREATE_HARDLINK = 0x10;
        /// Fail when the target is not trackable: ignored.
        const FAIL_IF_NOT_TRACKABLE = 0x20;

        const _ = !0;
    }
}

impl System {
    /// `CreateDirectory`.
    ///
    /// # Errors
    /// 183 when the name is there; 3 when its directory is not; 19 when the volume is only read; the place refuses.
    pub fn create_directory(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let path = path.as_ref();
        let make = || {
            let _changing = self.changing();
            let resolved = self.drives().resolve(path, Follow::Itself)?;
            refuse_read_only(resolved.node.as_ref().or(resolved.parent.as_ref()))?;
            match (resolved.parent, resolved.node, resolved.stream) {
                (_, _, Some(_)) => Err(invalid("a stream is no directory")),
                (_, Some(_), _) | (None, ..) => Err(there_already()),
                (Some(parent), None, None) => {
                    self.refuse_deleted(&*parent)?;
                    parent.create(&resolved.name, true).map(drop)
                }
            }
        };
        make().map_err(|error: Error| error.at_path(&*fold::display(path)))
    }

    /// `CreateHardLink`: `path` becomes one more name of the file `existing`, a link itself.
    ///
    /// # Errors
    /// 183 when the name is there; 2, 3 when one of the two is not; 5 for a directory; 19 when the volume is only read;
    /// 17 when they are on different volumes; 1142 for more names than a file can have.
    pub fn create_hard_link(&self, path: impl AsRef<[u8]>, existing: impl AsRef<[u8]>) -> Result<()> {
        let (path, existing) = (path.as_ref(), existing.as_ref());
        let make = || {
            let _changing = self.changing();
            let (_, file) = self
                .find(existing, Follow::Itself)
                .map_err(|error| error.at_path(&*fold::display(existing)))?;
            refuse_read_only(Some(&file))?;
            if file.is_directory() {
                return Err(denied("a directory has one name"));
            }
            let resolved = self.drives().resolve(path, Follow::Itself)?;
            if resolved.node.is_some() {
                return Err(there_already());
            }
            let parent = resolved.parent.filter(|_| !resolved.directory && resolved.stream.is_none());
            let parent = parent.ok_or_else(|| invalid("a new name is that of a file"))?;
            self.refuse_deleted(&*parent)?;
            parent.link(&resolved.name, &*file)
        };
        make().map_err(|error: Error| error.at_path(&*fold::display(path)))
    }

    /// `DeleteFile`: of a link itself, or one stream (`file:stream`). While others have the file open, and share deleting, it
    /// stays until they close it, and nobody opens it any more.
    ///
    /// # Errors
    /// 2, 3 when it is not there; 5 for a directory and a read-only file; 19 when the volume is only read; 32 when another
    /// handle does not share deleting.
    pub fn delete_file(&self, path: impl AsRef<[u8]>) -> Result<()> {
        self.delete(path.as_ref(), false)
    }

    /// `RemoveDirectory`: of an empty one, or a junction or link itself.
    ///
    /// # Errors
    /// 2, 3 when it is not there; 267 for a file; 145 when something is in it; 5 for a read-only one and a root; 19 when
    /// the volume is only read; 32 when another handle does not share deleting.
    pub fn remove_directory(&self, path: impl AsRef<[u8]>) -> Result<()> {
        self.delete(path.as_ref(), true)
    }

    fn delete(&self, path: &[u8], directory: bool) -> Result<()> {
        let delete = || {
            let _changing = self.changing();
            let (resolved, node) = self.find(path, Follow::Itself)?;
            refuse_read_only(Some(&node))?;
            let attributes = node.source()?.info()?.attributes;
            if directory && (!attributes.is_directory() || resolved.stream.is_some()) {
                return Err(Error::new(Win32Error::DIRECTORY, "it is no directory"));
            }
            if !directory && attributes.is_directory() && resolved.stream.is_none() {
                return Err(denied("it is a directory"));
            }
            if attributes.contains(FileAttributes::READONLY) {
                return Err(denied("it is read-only"));
            }
            if resolved.parent.is_none() && resolved.stream.is_none() {
                return Err(denied("the root of a volume stays"));
            }
            let shared = self.enter_to_delete(&resolved, &node)?;
            let is_reparse = attributes.contains(FileAttributes::REPARSE_POINT);
            if directory && !is_reparse && !node.entries()?.is_empty() {
                return Err(Error::new(Win32Error::DIR_NOT_EMPTY, "the directory is not empty"));
            }
            let (shares, identity) = (self.shares(), node.identity());
            if shares.is_open_elsewhere(&shared) {
                let place = Arc::new(Mutex::new(resolved.place()));
                let deletion = Deletion { place, node, stream: resolved.stream.clone() };
                shares.set_pending(identity, resolved.stream.as_ref(), Some(deletion));
                return Ok(());
            }
            shares.changed();
            match (&resolved.stream, &resolved.parent) {
                (Some(stream), _) => node.remove_stream(stream),
                (None, Some(parent)) => parent.remove(&resolved.name, &*node),
                (None, None) => Ok(()),
            }
        };
        delete().map_err(|error: Error| error.at_path(&*fold::display(path)))
    }

    /// Takes part in sharing as one who deletes.
    fn enter_to_delete(&self, resolved: &Resolved, node: &Arc<dyn Node>) -> Result<Shared> {
        let place = Arc::new(Mutex::new(resolved.place()));
        let (access, share) = (Access::DELETE, Share::all());
        let stream = resolved.stream.as_ref();
        self.shares().enter_stream(node.identity(), Enter { stream, access, share, place, node: None })
    }

    /// `MoveFileEx`: gives a file or directory another name, a link itself.
    ///
    /// # Errors
    /// 2, 3 when it, or the directory of the new name, is not there; 5 for a root, for a directory in the place of another
    /// file, for a read-only file, or one that is open, in whose place it is to come; 17 to another volume without
    /// COPY_ALLOWED; 19 from or to a volume that is only read; 32 when another handle does not share deleting; 50 for
    /// DELAY_UNTIL_REBOOT; 87 for a directory into itself, 5 for one into a directory in it; 183 when the new name is there.
    pub fn move_file_ex(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>, flags: MoveFlags) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        if flags.contains(MoveFlags::DELAY_UNTIL_REBOOT | MoveFlags::COPY_ALLOWED) {
            let why = "a move that is put off is within one volume";
            return Err(Error::new(Win32Error::INVALID_PARAMETER, why).at_path(&*fold::display(from)));
        }
        if flags.intersects(MoveFlags::DELAY_UNTIL_REBOOT | MoveFlags::CREATE_HARDLINK) {
            let why = "nothing is put off until the system starts again";
            return Err(Error::new(Win32Error::NOT_SUPPORTED, why).at_path(&*fold::display(from)));
        }
        let change = || {
            let _changing = self.changing();
            let (resolved, node) = self.find(from, Follow::Itself)?;
            refuse_read_only(Some(&node))?;
            if resolved.stream.is_some() {
                return Err(invalid("a stream cannot be moved"));
            }
            let _shared = self.enter_to_delete(&resolved, &node)?;
            let replace = flags.contains(MoveFlags::REPLACE_EXISTING);
            match self.give_name(&resolved.place(), &node, to, replace) {
                Err(error)
                    if error.win32() == Win32Error::NOT_SAME_DEVICE
                        && flags.contains(MoveFlags::COPY_ALLOWED)
                        && !node.is_directory() =>
                {
                    self.move_copy(&resolved, &node, to, replace)
                }
                result => result,
            }
        };
        change().map_err(|error: Error| error.at_path(&*fold::display(from)))
    }

    /// `SetFileInformationByHandle` with FileRenameInfo: gives the file of a handle another name.
    ///
    /// # Errors
    /// 5 without DELETE; as [`System::move_file_ex`] for the rest.
    pub fn rename(&self, file: &Handle, to: impl AsRef<[u8]>, replace: bool) -> Result<()> {
        let inner = file.inner();
        inner.need(Access::DELETE, "rename (DELETE)")?;
        if inner.stream.is_some() {
            let why = "a stream is not renamed here";
            return Err(inner.at(Error::new(Win32Error::NOT_SUPPORTED, why)));
        }
        let _changing = self.changing();
        self.give_name(&inner.place(), &inner.node, to.as_ref(), replace).map_err(|error| inner.at(error))
    }

    fn give_name(&self, from: &Place, node: &Arc<dyn Node>, to: &[u8], replace: bool) -> Result<()> {
        let Some(old_parent) = &from.parent else { return Err(denied("the root of a volume stays")) };
        let target = self.drives().resolve(to, Follow::Itself)?;
        let Some(parent) = &target.parent else { return Err(denied("the root of a volume stays")) };
        if target.stream.is_some() || target.directory && !node.is_directory() {
            return Err(invalid("a new name is that of a file"));
        }
        let mut name = target.name.clone();
        let mut replace = replace;
        let mut held = None;
        if let Some(there) = &target.node {
            if there.identity() == node.identity() {
                // Another spelling of the same name is the one that is wanted.
                let same_place = parent.identity() == old_parent.identity() && target.name == from.name;
                if same_place {
                    match self.drives().last_name(to) {
                        Some(last) if last != fold::shown(&from.name) => name = last.to_wtf8(),
                        _ => return Ok(()),
                    }
                }
                // Two names of one file become one.
                replace |= !same_place;
            } else if !replace {
                return Err(there_already());
            }
            held = self.check_replaced(node, there)?;
        }
        self.refuse_deleted(&**parent)?;
        let renamed = old_parent.rename(&from.name, &**node, &**parent, &name, replace);
        renamed.map_err(|error| {
            // Into itself is 87, deeper in it is 5.
            let deeper = node.is_directory() && parent.identity() != node.identity();
            match error.win32() {
                Win32Error::INVALID_PARAMETER if deeper => denied("a directory cannot be moved into itself"),
                _ => error,
            }
        })?;
        let new = Place { parent: Some(parent.clone()), name };
        node.moved(&**parent, &new.name);
        self.shares().renamed(node.identity(), from, &new);
        drop(held);
        Ok(())
    }

    /// Whether `node` may come in the place of `there` (\[MS-FSA\] 2.1.5.15.11). Nobody opens that as long as the answer
    /// is held.
    fn check_replaced(&self, node: &Arc<dyn Node>, there: &Arc<dyn Node>) -> Result<Option<Shared>> {
        if there.identity() == node.identity() {
            return Ok(None);
        }
        if there.is_directory() || node.is_directory() {
            return Err(denied("a directory is not replaced, and replaces nothing"));
        }
        if there.source()?.info()?.attributes.contains(FileAttributes::READONLY) {
            return Err(denied("the file that has the name is read-only"));
        }
        let open = || denied("the file that has the name is open");
        let held = self.shares().enter(there.identity(), Access::DELETE, Share::empty());
        let held = held.map_err(|_| open())?;
        if self.shares().is_open_elsewhere(&held) {
            return Err(open());
        }
        Ok(Some(held))
    }

    /// Moves a file to another volume: copied whole, its security descriptor too, then removed.
    fn move_copy(&self, from: &Resolved, node: &Arc<dyn Node>, to: &[u8], replace: bool) -> Result<()> {
        let target = self.drives().resolve(to, Follow::Itself)?;
        let mut held = None;
        if let Some(there) = &target.node {
            if !replace {
                return Err(there_already());
            }
            held = self.check_replaced(node, there)?;
        }
        let (Some(parent), Some(old)) = (&target.parent, &from.parent) else {
            return Err(denied("the root of a volume stays"));
        };
        self.refuse_deleted(&**parent)?;
        let path = fold::display(to);
        let silent = Collected::new();
        let report: &dyn Report = match self.report() {
            Some(report) => report,
            None => &silent,
        };
        let report = FileReport { to: report, path: path.as_ref().as_ref() };
        copy(&*node.source()?, parent.stage(&target.name, false)?, &report)?;
        self.shares().changed();
        drop(held);
        // Copied it is; that the old one stays is no failure of the function.
        let _ = old.remove(&from.name, &**node);
        Ok(())
    }
}

/// Fails with 19 where nothing can be written.
pub(super) fn refuse_read_only(node: Option<&Arc<dyn Node>>) -> Result<()> {
    if node.is_some_and(|node| node.is_read_only()) { Err(read_only()) } else { Ok(()) }
}

fn there_already() -> Error {
    Error::new(Win32Error::ALREADY_EXISTS, "the name is there already")
}

fn denied(why: &'static str) -> Error {
    Error::new(Win32Error::ACCESS_DENIED, why)
}

fn invalid(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_NAME, why)
}
