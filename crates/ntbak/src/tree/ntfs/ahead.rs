//! Files are opened, and their small streams read, while those before them are on their way.
//!
//! The walk gathers files into batches. A few threads take one each: they open its files in the order of their records,
//! and read what is small in the order of its clusters. The batches come back in the order in which they were gathered,
//! so the order of files is that of the walk, whatever the threads do. In memory are, for each thread and two more, at
//! most 64 files and 1 MiB of their content, so that it is still in the processor's cache when it is shown; and of a
//! large file 1 MiB.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use ntbak_ntfs::{FileReference, Link, NearbyFiles};
use ntbak_wire::Win32Error;

use super::large::{LargeFile, Piece};
use super::walk::{Paths, Wanted};
use super::{Each, VolumeFile};
use crate::error::{Error, Result};
use crate::ntfs_volume::NtfsVolume;
use crate::report::{FileReport, LossKind, Report};
use crate::source::{FileSource, NtfsSource};

/// Files of a batch.
const FILES: usize = 64;
/// Bytes of content of a batch, as far as the catalogue knows, after which the next one begins.
const BYTES: u64 = 256 << 10;
/// The most bytes of content that are read for a batch.
const MOST_BYTES: u64 = 1 << 20;
/// Streams of up to so many bytes are read ahead.
pub(super) const SMALL: u64 = 256 << 10;
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

#[derive(Default)]
pub(super) struct Batch {
    jobs: Vec<Job>,
    /// As many as there are jobs, when it comes back.
    sources: Vec<Result<Arc<NtfsSource>>>,
    content: Arc<Vec<u8>>,
}

/// What is to be read, and where it is waited for.
pub(super) enum Order {
    /// Many files.
    Batch(Batch, SyncSender<Batch>),
    /// A piece of a large one.
    Piece(Piece, SyncSender<Piece>),
}

/// What all threads know.
struct Shared<'s> {
    volume: &'s NtfsVolume,
    with_content: bool,
    /// Batches that were shown. Their buffers are used again, for fresh memory is dear; and to free what else there is
    /// of them is work, which is for those who have made it.
    shown: Mutex<Vec<Batch>>,
}

/// The files that were gathered, and those that are being read.
pub(super) struct Ahead<'a, 'e> {
    shared: &'a Shared<'a>,
    paths: Paths<'a>,
    report: &'a dyn Report,
    each: Each<'e>,
    gathered: Batch,
    bytes: u64,
    /// None where there are no threads.
    orders: Option<SyncSender<Order>>,
    pending: VecDeque<Receiver<Batch>>,
    most_pending: usize,
}

/// Gives `each` all files that `walk` adds, in that order.
///
/// # Errors
/// Those of `walk` and `each`, at once.
pub(super) fn read_ahead<'w>(
    paths: Paths<'w>,
    report: &'w dyn Report,
    with_content: bool,
    each: Each<'_>,
    walk: impl FnOnce(&mut Ahead<'_, '_>) -> Result<()>,
) -> Result<()> {
    let volume = &paths.tree.volume;
    let shared = Shared { volume, with_content, shown: Mutex::default() };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let wanted = match volume.options().threads {
        0 => cores,
        threads => threads,
    };
    let wanted = wanted.min(MAX_THREADS);
    let (orders, queue) = sync_channel::<Order>(wanted + 1);
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        let started = (0..wanted).filter(|_| start(scope, &shared, &queue)).count();
        let mut ahead = Ahead {
            shared: &shared,
            paths,
            report,
            each,
            gathered: Batch::default(),
            bytes: 0,
            orders: (started > 0).then_some(orders),
            pending: VecDeque::new(),
            most_pending: started + 1,
        };
        walk(&mut ahead)?;
        ahead.finish()
    })
}

/// Starts a thread; without any, the work is done where it is wanted.
fn start<'s>(scope: &'s Scope<'s, '_>, shared: &'s Shared<'s>, queue: &'s Mutex<Receiver<Order>>) -> bool {
    let work = move || {
        loop {
            let order = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            // Nobody waits for it any more when the walk has failed.
            let _ = match order {
                Err(_) => return,
                Ok(Order::Batch(mut batch, reply)) => {
                    shared.read(&mut batch);
                    reply.send(batch).map_err(drop)
                }
                Ok(Order::Piece(mut piece, reply)) => {
                    piece.read();
                    reply.send(piece).map_err(drop)
                }
            };
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
        let mut batch = std::mem::take(&mut self.gathered);
        self.bytes = 0;
        let Some(orders) = &self.orders else {
            self.shared.read(&mut batch);
            return self.show(batch);
        };
        let (reply, done) = sync_channel(1);
        orders.send(Order::Batch(batch, reply)).map_err(|_| ended())?;
        self.pending.push_back(done);
        if self.pending.len() > self.most_pending
            && let Some(oldest) = self.pending.pop_front()
        {
            self.show_pending(&oldest)?;
        }
        Ok(())
    }

    fn show_pending(&mut self, oldest: &Receiver<Batch>) -> Result<()> {
        let batch = oldest.recv().map_err(|_| ended())?;
        self.show(batch)
    }

    fn show(&mut self, mut batch: Batch) -> Result<()> {
        for (job, source) in batch.jobs.iter_mut().zip(&batch.sources) {
            for (path, kind, why) in job.told.drain(..) {
                FileReport { to: self.report, path: &path }.loss(kind, why);
            }
            let (path, shown, others, paths) = (&job.path, &job.shown, &job.others, Some(self.paths));
            let source = match source {
                Ok(source) => source,
                Err(error) => {
                    let kind = if job.is_encrypted { LossKind::Efs } else { LossKind::Content };
                    FileReport { to: self.report, path: shown }.loss(kind, error.reason());
                    continue;
                }
            };
            let mut show = |file: &dyn FileSource| {
                let info = source.basic_information();
                (self.each)(&VolumeFile { path, shown, source: file, info, others, paths })
            };
            let is_large = |(_, stream): (usize, &ntbak_ntfs::Stream)| stream.size() > SMALL;
            match &self.orders {
                Some(orders) if self.shared.with_content && source.stored_streams().any(is_large) => {
                    show(&LargeFile::new(source, orders))?;
                }
                _ => show(&**source)?,
            }
        }
        self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
        Ok(())
    }
}

fn ended() -> Error {
    Error::new(Win32Error::OPERATION_ABORTED, "a thread that reads the volume has ended")
}

impl Shared<'_> {
    /// Opens the files of a batch, and reads what is small of them.
    fn read(&self, batch: &mut Batch) {
        let mut files = NearbyFiles::new(self.volume.volume());
        let open = |job: &Job| {
            let source = self.volume.source_nearby(&mut files, job.reference, &job.shown)?;
            Ok(match &job.link {
                Some(link) => source.found_as(link.parent, &link.name),
                None => source,
            })
        };
        let mut sources: Vec<_> = batch.jobs.iter().map(open).collect();
        let spent = self.shown.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = spent.map(|Batch { content, .. }| content).and_then(Arc::into_inner);
        if self.with_content {
            batch.content = self.read_content(&mut sources, buffer.unwrap_or_default());
        }
        batch.sources = sources.into_iter().map(|source| source.map(Arc::new)).collect();
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
        let ranges = self.volume.volume().read_ahead(&streams, &mut buffer);
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
