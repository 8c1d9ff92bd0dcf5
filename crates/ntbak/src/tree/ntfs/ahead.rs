//! Files are opened, and their small streams read, while those before them are on their way.
//!
//! The walk gathers files into batches. A few threads take one each: they open its files in the order of their records,
//! and read what is small in the order of its clusters; where the place lets them, they also [pack](Packing) the small
//! files. The batches come back in the order in which they were gathered, so the order of files is that of the walk,
//! whatever the threads do. In memory are, for each thread and two more, at most 64 files and 1 MiB of their content, so
//! that it is still in the processor's cache when it is shown, or 2 MiB that are packed; and of a large file 3 MiB.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use ntbak_ntfs::{FileReference, Link, NearbyFiles};
use ntbak_wire::Win32Error;
use ntbak_wire::record::FileInfo;

use super::large::LargeFile;
use super::orders::{CloseOnDrop, Order, Orders};
use super::walk::{Paths, Wanted};
use super::{See, VolumeFile, lost};
use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind, Report};
use crate::source::{FileSource, NtfsSource};
use crate::tree::{Pack, Packed, Packing, Visit, WalkOptions};

/// Files of a batch.
const FILES: usize = 64;
/// Bytes of content of a batch, as far as the catalogue knows, after which the next one begins.
const BYTES: u64 = 256 << 10;
/// The most bytes of content that are read for a batch.
const MOST_BYTES: u64 = 1 << 20;
/// Streams of up to so many bytes are read ahead.
pub(super) const SMALL: u64 = 256 << 10;
/// The most bytes of a batch that are packed.
const MOST_PACKED: u64 = 2 << 20;
/// Bytes that an entry of a pack takes beside its content, about.
const ENTRY: u64 = 2 << 10;
/// The most packs of a batch: each has a buffer.
const MOST_PACKS: usize = 4;
/// A disk that is read by more has nothing from it.
const MAX_THREADS: usize = 4;

/// A file that is to be shown.
pub(super) struct Job {
    pub(super) reference: FileReference,
    /// Whether it is encrypted, as far as the catalogue knows.
    pub(super) is_encrypted: bool,
    /// Bytes of its unnamed stream, as far as the catalogue knows.
    pub(super) size: u64,
    pub(super) path: Vec<u8>,
    pub(super) shown: PathBuf,
    /// The name by which it is shown.
    pub(super) link: Option<Link>,
    /// Its other names.
    pub(super) others: Vec<Wanted>,
    /// What is to be told before it is shown.
    pub(super) told: Vec<(PathBuf, LossKind, String)>,
}

/// Files that are read together.
#[derive(Default)]
pub(super) struct Batch {
    jobs: Vec<Job>,
    /// When it comes back: what has become of them, in their order.
    made: Vec<Made>,
    content: Arc<Vec<u8>>,
}

/// What a thread has made of files.
enum Made {
    /// Some are written.
    Packed(Packed),
    /// One is opened.
    Opened(Job, Result<Arc<NtfsSource>>),
}

/// What all threads know.
struct Shared<'s> {
    paths: Paths<'s>,
    walking: WalkOptions<'s>,
    packing: Option<&'s Packing<'s>>,
    /// Batches that were shown. Their buffers are used again, for fresh memory is dear; and to free what else there is
    /// of them is work, which is for those who have made it.
    shown: Mutex<Vec<Batch>>,
}

/// The files that were gathered, and those that are being read.
pub(super) struct Ahead<'a, 'e> {
    shared: &'a Shared<'a>,
    visit: See<'e>,
    files: NearbyFiles,
    gathered: Batch,
    bytes: u64,
    /// None where there are no threads.
    orders: Option<&'a Orders>,
    pending: VecDeque<Receiver<Result<Batch>>>,
    most_pending: usize,
}

/// Shows all files that `walk` adds, in that order.
///
/// # Errors
/// Those of `walk` and `visit`, at once.
pub(super) fn read_ahead<'w>(
    paths: Paths<'w>,
    walking: WalkOptions<'w>,
    visit: See<'_>,
    walk: impl FnOnce(&mut Ahead<'_, '_>) -> Result<()>,
) -> Result<()> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let wanted = match paths.tree.volume.options().threads {
        0 => cores,
        threads => threads,
    };
    let wanted = wanted.min(MAX_THREADS);
    let packing = walking.packing.filter(|_| wanted > 1 && !walking.backup.no_content);
    let shared = Shared { paths, walking, packing, shown: Mutex::default() };
    let orders = Orders::default();
    thread::scope(|scope| {
        let _close = CloseOnDrop(&orders);
        // Who shows files reads, too, where there is nothing to be shown yet.
        let started = (1..wanted).filter(|_| start(scope, &shared, &orders)).count();
        let mut ahead = Ahead {
            shared: &shared,
            visit,
            files: shared.files(),
            gathered: Batch::default(),
            bytes: 0,
            orders: (started > 0).then_some(&orders),
            pending: VecDeque::new(),
            most_pending: started + 2,
        };
        walk(&mut ahead)?;
        ahead.finish()
    })
}

/// Starts a thread; without any, the work is done where it is wanted.
fn start<'s>(scope: &'s Scope<'s, '_>, shared: &'s Shared<'s>, orders: &'s Orders) -> bool {
    let work = move || {
        let (_close, mut files) = (CloseOnDrop(orders), shared.files());
        while let Some(order) = orders.take() {
            shared.follow(order, &mut files);
        }
    };
    thread::Builder::new().name("reading".into()).spawn_scoped(scope, work).is_ok()
}

impl Ahead<'_, '_> {
    /// The next file.
    pub(super) fn add(&mut self, job: Job) -> Result<()> {
        self.bytes += job.size.min(SMALL);
        self.gathered.jobs.push(job);
        if self.gathered.jobs.len() < FILES && self.bytes < BYTES { Ok(()) } else { self.send() }
    }

    fn finish(&mut self) -> Result<()> {
        self.send()?;
        while let Some(oldest) = self.pending.pop_front() {
            self.show_pending(&oldest)?;
        }
        Ok(())
    }

    /// Gives the gathered files to a thread, and shows the oldest ones when enough are on their way.
    fn send(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.gathered);
        self.bytes = 0;
        let Some(orders) = self.orders else {
            let batch = self.shared.read(batch, &mut self.files)?;
            return self.show(batch);
        };
        let (reply, done) = sync_channel(1);
        orders.give(Order::Batch(batch, reply));
        self.pending.push_back(done);
        if self.pending.len() > self.most_pending
            && let Some(oldest) = self.pending.pop_front()
        {
            self.show_pending(&oldest)?;
        }
        Ok(())
    }

    fn show_pending(&mut self, oldest: &Receiver<Result<Batch>>) -> Result<()> {
        // While it is not there, what else is to be read is done here: to wait and be woken takes time.
        let batch = loop {
            match oldest.try_recv() {
                Ok(batch) => break batch,
                Err(TryRecvError::Disconnected) => return Err(ended()),
                Err(TryRecvError::Empty) => match self.orders.and_then(Orders::next) {
                    Some(order) => self.shared.follow(order, &mut self.files),
                    None => break oldest.recv().map_err(|_| ended())?,
                },
            }
        };
        self.show(batch?)
    }

    fn show(&mut self, mut batch: Batch) -> Result<()> {
        for made in std::mem::take(&mut batch.made) {
            match made {
                Made::Packed(packed) => (self.visit)(Visit::Packed(packed))?,
                Made::Opened(mut job, source) => {
                    self.show_opened(&mut job, &source)?;
                    batch.made.push(Made::Opened(job, source));
                }
            }
        }
        // Who has packed all files has kept the rest.
        if !batch.made.is_empty() {
            self.shared.recycle(batch);
        }
        Ok(())
    }

    fn show_opened(&mut self, job: &mut Job, source: &Result<Arc<NtfsSource>>) -> Result<()> {
        let WalkOptions { report, backup, .. } = self.shared.walking;
        let is_large = |(_, stream): (usize, &ntbak_ntfs::Stream)| stream.size() > SMALL;
        match (source, self.orders) {
            (Ok(source), Some(orders)) if !backup.no_content && source.stored_streams().any(is_large) => {
                let large = LargeFile::new(source, orders);
                self.shared.show(job, Ok((&large, source.basic_information())), report, self.visit)
            }
            _ => {
                let source = source.as_ref().map(|source| whole(source));
                self.shared.show(job, source, report, self.visit)
            }
        }
    }
}

/// Bytes that a file is going to have in a pack, about: each stream and each name has an entry, and in that its path
/// twice at the most.
fn packed_size(job: &Job, source: Option<&NtfsSource>) -> u64 {
    let (streams, bytes) = source.map_or((0, 0), NtfsSource::size);
    let entries = streams + job.others.len() + 1;
    bytes.saturating_add(entries as u64 * (ENTRY + 2 * job.path.len() as u64))
}

/// A file as it is shown when it is read in one go.
fn whole(source: &NtfsSource) -> (&dyn FileSource, &FileInfo) {
    (source, source.basic_information())
}

fn ended() -> Error {
    Error::new(Win32Error::OPERATION_ABORTED, "a thread that reads the volume has ended")
}

impl Shared<'_> {
    /// What a thread opens files with.
    fn files(&self) -> NearbyFiles {
        NearbyFiles::new(self.paths.tree.volume.volume())
    }

    /// Does what was ordered.
    fn follow(&self, order: Order, files: &mut NearbyFiles) {
        match order {
            // Nobody waits for it any more when the walk has failed.
            Order::Batch(batch, reply) => drop(reply.send(self.read(batch, files))),
            Order::Stream(reading) => reading.read(),
        }
    }

    /// Opens the files of a batch, reads what is small of them, and packs them.
    fn read(&self, mut batch: Batch, files: &mut NearbyFiles) -> Result<Batch> {
        let volume = &self.paths.tree.volume;
        let open = |job: &Job| {
            let source = volume.source_nearby(files, job.reference, &job.shown)?;
            Ok(match &job.link {
                Some(link) => source.found_as(link.parent, &link.name),
                None => source,
            })
        };
        let mut sources: Vec<_> = batch.jobs.iter().map(open).collect();
        // Freed here in any case: what was shown must not pile up.
        let spent = self.shown.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if !self.walking.backup.no_content {
            let buffer = spent.map(|Batch { content, .. }| content).and_then(Arc::into_inner);
            batch.content = self.read_content(&mut sources, buffer.unwrap_or_default());
        }
        let mut opened = std::mem::take(&mut batch.jobs).into_iter().zip(sources);
        let Some(packing) = self.packing else {
            let open = |(job, source): (_, Result<_>)| Made::Opened(job, source.map(Arc::new));
            batch.made = opened.map(open).collect();
            return Ok(batch);
        };
        batch.made = self.pack(&mut opened, packing)?;
        if batch.made.iter().all(|made| matches!(made, Made::Packed(_))) {
            self.recycle(Batch { content: std::mem::take(&mut batch.content), ..Batch::default() });
        }
        Ok(batch)
    }

    /// Packs the small ones among some files.
    fn pack(
        &self,
        files: &mut dyn Iterator<Item = (Job, Result<NtfsSource>)>,
        packing: &Packing<'_>,
    ) -> Result<Vec<Made>> {
        let ear = packing.ear();
        let (mut made, mut open, mut packs, mut packed) = (Vec::new(), None, 0, 0);
        for (mut job, source) in files {
            let size = packed_size(&job, source.as_ref().ok());
            let so_far = packed + open.as_ref().map_or(0, Pack::len);
            let has_place = open.is_some() || packs < MOST_PACKS;
            if size <= SMALL && so_far + size <= MOST_PACKED && has_place {
                let pack = open.get_or_insert_with(|| {
                    packs += 1;
                    packing.begin(&ear)
                });
                self.show(&mut job, source.as_ref().map(whole), &ear, &mut |visit| pack.visit(visit))?;
                continue;
            }
            if let Some(pack) = open.take() {
                packed += pack.len();
                made.push(Made::Packed(pack.close()?));
            }
            made.push(Made::Opened(job, source.map(Arc::new)));
        }
        if let Some(pack) = open {
            made.push(Made::Packed(pack.close()?));
        }
        Ok(made)
    }

    /// Shows one file.
    fn show(
        &self,
        job: &mut Job,
        source: Result<(&dyn FileSource, &FileInfo), &Error>,
        report: &dyn Report,
        visit: See<'_>,
    ) -> Result<()> {
        for (path, kind, why) in job.told.drain(..) {
            FileReport { to: report, path: &path }.loss(kind, why);
        }
        let (path, shown, others, paths) = (&job.path, &job.shown, &job.others, Some(self.paths));
        match source {
            Ok((source, info)) => {
                let file = VolumeFile { path, shown, source, info, others, paths };
                file.show(self.walking.backup, report, visit)
            }
            Err(error) => lost(path, shown, job.is_encrypted, error, report, visit),
        }
    }

    fn recycle(&self, shown: Batch) {
        let mut all = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(shown);
        debug_assert!(all.len() <= 3 * MAX_THREADS, "what was shown piles up");
    }

    fn read_content(&self, sources: &mut [Result<NtfsSource>], mut buffer: Vec<u8>) -> Arc<Vec<u8>> {
        let mut left = MOST_BYTES;
        let (mut places, mut streams) = (Vec::new(), Vec::new());
        for (file, source) in sources.iter().enumerate() {
            for (number, stream) in source.iter().flat_map(NtfsSource::stored_streams) {
                let len = stream.size();
                if (1..=SMALL).contains(&len) && len <= left {
                    left -= len;
                    places.push((file, number));
                    streams.push(stream);
                }
            }
        }
        let ranges = self.paths.tree.volume.volume().read_ahead(&streams, &mut buffer);
        let content = Arc::new(buffer);
        for ((file, number), range) in places.into_iter().zip(ranges) {
            let Some(Ok(source)) = sources.get_mut(file) else { continue };
            match range {
                Some(range) => source.put_ahead(number, &content, range),
                None => {
                    if let Some((bytes, range)) = read_alone(source, number) {
                        source.put_ahead(number, &bytes, range);
                    }
                }
            }
        }
        content
    }
}

/// The content of a small stream that is stored in some other way: compressed, mostly. What cannot be read here fails
/// again where it is wanted, and is told there.
fn read_alone(source: &NtfsSource, number: usize) -> Option<(Arc<Vec<u8>>, Range<usize>)> {
    let head = source.stream(number).ok()??;
    let mut bytes = vec![0; usize::try_from(head.vdl).ok()?];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match source.read_at(number, done as u64, rest) {
            Ok(got) if got > 0 => done += got,
            _ => return None,
        }
    }
    Some((Arc::new(bytes), 0..done))
}
