//! Who has which file open, what they share, and what becomes of a deleted file when nobody has it open any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntbak_wire::Win32Error;
use ntbak_wire::stream::StreamName;

use crate::error::{Error, Result};
use crate::memory::StreamKey;
use crate::win32::{Access, Identity, Node, Share};

/// The open files of a [`System`](super::System).
#[derive(Clone, Default)]
pub(super) struct OpenFiles(Arc<Table>);

#[derive(Default)]
struct Table {
    files: Mutex<HashMap<Identity, OpenFile>>,
    /// How often a name went away: who looked for one before must look again.
    changes: AtomicU64,
}

/// All that is open of one file, under all of its names.
#[derive(Default)]
struct OpenFile {
    entries: Vec<Entry>,
    /// What goes when the last one closes: the name, or a stream.
    pending: Vec<(StreamKey, Deletion)>,
    /// Held by who writes at the end, wherever that is.
    end: Arc<Mutex<()>>,
}

struct Entry {
    token: u64,
    stream: StreamKey,
    share: Share,
    needs: Share,
    place: Arc<Mutex<Place>>,
    node: Option<Arc<dyn Node>>,
    /// DELETE_ON_CLOSE: what this handle leaves to be done.
    on_close: Option<Deletion>,
}

/// Where an open file has its name.
#[derive(Clone, Default)]
pub(super) struct Place {
    pub(super) parent: Option<Arc<dyn Node>>,
    pub(super) name: Vec<u8>,
}

/// A name or a stream that is to go.
#[derive(Clone)]
pub(super) struct Deletion {
    pub(super) place: Arc<Mutex<Place>>,
    pub(super) node: Arc<dyn Node>,
    pub(super) stream: Option<StreamName>,
}

impl Deletion {
    fn run(&self) -> Result<()> {
        if let Some(stream) = &self.stream {
            return self.node.remove_stream(stream);
        }
        let place = lock(&self.place).clone();
        let Some(parent) = place.parent else { return Ok(()) };
        parent.remove(&place.name, &*self.node)
    }
}

/// An entry in the table, taken out when dropped.
pub(super) struct Shared {
    table: OpenFiles,
    identity: Identity,
    token: u64,
    pub(super) share: Share,
}

/// What wants to be in the table.
#[derive(Clone)]
pub(super) struct Enter<'a> {
    pub(super) stream: Option<&'a StreamName>,
    pub(super) access: Access,
    pub(super) share: Share,
    pub(super) place: Arc<Mutex<Place>>,
    pub(super) node: Option<Arc<dyn Node>>,
}

impl OpenFiles {
    fn files(&self) -> MutexGuard<'_, HashMap<Identity, OpenFile>> {
        lock(&self.0.files)
    }

    /// How often a name went away so far.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::SeqCst)
    }

    /// A name went away, or another file has it now.
    pub(super) fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Enters somebody who needs the whole file, if those that have it open allow it and are allowed.
    pub(super) fn enter(&self, identity: Identity, access: Access, share: Share) -> Result<Shared> {
        let enter = Enter { stream: None, access, share, place: Arc::default(), node: None };
        self.enter_stream(identity, enter)
    }

    /// The same for a handle to one stream.
    pub(super) fn enter_stream(&self, identity: Identity, enter: Enter<'_>) -> Result<Shared> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (needs, share) = (enter.access.needs_shared(), enter.share);
        let stream = StreamKey::of(enter.stream);
        let mut files = self.files();
        if let Some(file) = files.get(&identity) {
            if file.pending.iter().any(|(of, _)| *of == StreamKey::default() || *of == stream) {
                return Err(Error::new(Win32Error::ACCESS_DENIED, "the file is deleted, and still open"));
            }
            let clashes = |open: &Entry| {
                // A handle that neither reads, writes nor deletes takes no part in sharing.
                if needs.is_empty() || open.needs.is_empty() {
                    return false;
                }
                if open.stream == stream {
                    return !(open.share.contains(needs) && share.contains(open.needs));
                }
                // Who deletes the file deletes all of its streams.
                let deletes = |needs: Share, of: &StreamKey| {
                    needs.contains(Share::DELETE) && *of == StreamKey::default()
                };
                deletes(needs, &stream) && !open.share.contains(Share::DELETE)
                    || deletes(open.needs, &open.stream) && !share.contains(Share::DELETE)
            };
            if file.entries.iter().any(clashes) {
                return Err(Error::new(
                    Win32Error::SHARING_VIOLATION,
                    "another handle does not share the file",
                ));
            }
        }
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        let Enter { place, node, .. } = enter;
        let entry = Entry { token, stream, share, needs, place, node, on_close: None };
        files.entry(identity).or_default().entries.push(entry);
        drop(files);
        Ok(Shared { table: self.clone(), identity, token, share })
    }

    /// The file, or the stream, goes with this handle and all others.
    pub(super) fn delete_on_close(&self, shared: &Shared, deletion: Deletion) {
        let mut files = self.files();
        let entries = files.get_mut(&shared.identity).into_iter().flat_map(|file| &mut file.entries);
        for entry in entries.filter(|entry| entry.token == shared.token) {
            entry.on_close = Some(deletion.clone());
        }
    }

    /// Whether anybody else has the file open.
    pub(super) fn is_open_elsewhere(&self, shared: &Shared) -> bool {
        let files = self.files();
        let mut entries = files.get(&shared.identity).into_iter().flat_map(|file| &file.entries);
        entries.any(|entry| entry.token != shared.token)
    }

    /// Says that the file, or the stream, goes when its last handle closes; or that it stays after all.
    pub(super) fn set_pending(
        &self,
        identity: Identity,
        stream: Option<&StreamName>,
        deletion: Option<Deletion>,
    ) {
        let key = StreamKey::of(stream);
        let mut files = self.files();
        let Some(file) = files.get_mut(&identity) else { return };
        file.pending.retain(|(of, _)| *of != key);
        file.pending.extend(deletion.map(|deletion| (key, deletion)));
    }

    /// Whether it is going to go.
    pub(super) fn is_pending(&self, identity: Identity, stream: Option<&StreamName>) -> bool {
        let key = StreamKey::of(stream);
        self.files().get(&identity).is_some_and(|file| file.pending.iter().any(|(of, _)| *of == key))
    }

    /// Lets those who have a file open by its old name know it by the new one.
    pub(super) fn renamed(&self, identity: Identity, from: &Place, to: &Place) {
        self.changed();
        let files = self.files();
        for entry in files.get(&identity).into_iter().flat_map(|file| &file.entries) {
            let mut place = lock(&entry.place);
            let same = |a: &Option<Arc<dyn Node>>, b: &Option<Arc<dyn Node>>| {
                a.as_ref().map(|node| node.identity()) == b.as_ref().map(|node| node.identity())
            };
            if same(&place.parent, &from.parent) && place.name == from.name {
                if let (Some(node), Some(parent)) = (&entry.node, &to.parent) {
                    node.moved(&**parent, &to.name);
                }
                place.clone_from(to);
            }
        }
    }
}

impl Shared {
    /// Held by one handle at a time that writes at the end of the file: of two, none writes over the other.
    pub(super) fn end(&self) -> Arc<Mutex<()>> {
        self.table.files().get(&self.identity).map(|file| file.end.clone()).unwrap_or_default()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut files = self.table.files();
        let Some(file) = files.get_mut(&self.identity) else { return };
        let at = file.entries.iter().position(|entry| entry.token == self.token);
        let closed = at.map(|at| file.entries.swap_remove(at));
        if let Some((key, deletion)) = closed.and_then(|entry| Some((entry.stream, entry.on_close?))) {
            file.pending.retain(|(of, _)| *of != key);
            file.pending.push((key, deletion));
        }
        let entries = &file.entries;
        let is_due = |key: &StreamKey| match *key == StreamKey::default() {
            true => entries.is_empty(),
            false => entries.iter().all(|entry| entry.stream != *key),
        };
        let pending = std::mem::take(&mut file.pending);
        let (due, left): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(key, _)| is_due(key));
        file.pending = left;
        if file.entries.is_empty() {
            files.remove(&self.identity);
        }
        // Still under the lock: nobody can open what is about to go.
        for (_, deletion) in due {
            self.table.changed();
            // There is nobody to tell, as on Windows.
            let _ = deletion.run();
        }
    }
}

/// A lock that somebody's panic does not close.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
