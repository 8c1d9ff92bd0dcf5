//! How fast a volume is read: `cargo run --release --package ntbak-ntfs --example scan IMAGE [OFFSET]`.
//!
//! Every way is timed in turn with a plain read of the whole image, five times; the medians are told. The volume of the
//! project's figures is made by `build-ntfs-image.sh`, which stands beside the judges of the tests.
#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ntbak_image::{RawFile, Slice};
use ntbak_ntfs::catalogue::CatalogueOptions;
use ntbak_ntfs::{FileReference, Options, ReadAt, Volume};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let image = arguments.next().ok_or("usage: scan IMAGE [OFFSET]")?;
    let offset = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let threads = thread::available_parallelism()?.get();

    let mut times: Vec<(String, Vec<Duration>)> = Vec::new();
    let mut done = String::new();
    for round in 0..=ROUNDS {
        let mut time = |what: String, work: &dyn Fn() -> Result<String>| -> Result<()> {
            let begun = Instant::now();
            let said = work()?;
            let taken = begun.elapsed();
            // The first round fills the caches.
            if round == 0 {
                done += &format!("{what}: {said}\n");
                times.push((what, Vec::new()));
            } else if let Some((_, times)) = times.iter_mut().find(|(name, _)| *name == what) {
                times.push(taken);
            }
            Ok(())
        };
        time("plain read of the image".into(), &|| plain(&image))?;
        for threads in [1, threads] {
            let open = || open(&image, offset, threads);
            time(format!("catalogue, {threads} threads"), &|| catalogue(&open()?))?;
            time(format!("catalogue and all paths, {threads} threads"), &|| paths(&open()?))?;
            time(format!("all metadata of all files, {threads} threads"), &|| {
                files(&open()?, threads, false)
            })?;
            time(format!("the same and all content, {threads} threads"), &|| files(&open()?, threads, true))?;
        }
    }
    println!("{done}");
    for (what, mut times) in times {
        times.sort();
        if let (Some(least), Some(median)) = (times.first(), times.get(times.len() / 2)) {
            println!("{what:45} least {least:>10.2?}   median {median:>10.2?}");
        }
    }
    Ok(())
}

fn open(image: &str, offset: u64, threads: usize) -> Result<Volume> {
    let file = RawFile::open(image)?;
    Ok(Volume::open(Slice::new(file, offset, u64::MAX), Options::default().threads(threads))?)
}

fn plain(image: &str) -> Result<String> {
    let file = RawFile::open(image)?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        match ReadAt::read_at(&file, at, &mut buffer)? {
            0 => break Ok(format!("{at} bytes")),
            got => at += got as u64,
        }
    }
}

fn catalogue(volume: &Volume) -> Result<String> {
    let catalogue = volume.catalogue(CatalogueOptions::default())?;
    Ok(format!("{:?}", catalogue.counts()))
}

fn paths(volume: &Volume) -> Result<String> {
    let catalogue = volume.catalogue(CatalogueOptions::default())?;
    let mut units = 0;
    for (_, name) in catalogue.walk() {
        let path = catalogue.path(name).unwrap_or_default();
        units += path.into_iter().map(|name| catalogue.name(name).len() + 1).sum::<usize>();
    }
    Ok(format!("{} names, {units} units of paths", catalogue.walk().count()))
}

/// Opens every file in the order of records, and asks for everything it has.
fn files(volume: &Volume, threads: usize, content: bool) -> Result<String> {
    /// Files that a thread takes at once.
    const BATCH: usize = 64;
    let catalogue = volume.catalogue(CatalogueOptions::default())?;
    let references: Vec<FileReference> = catalogue.files().map(|(_, entry)| entry.reference()).collect();
    let (next, bytes, extents, faults) =
        (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            let batch = references.iter().skip(start).take(BATCH);
            if start >= references.len() {
                break;
            }
            for reference in batch {
                match one(volume, *reference, content.then_some(&mut buffer)) {
                    Ok((read, found)) => {
                        bytes.fetch_add(read, Ordering::Relaxed);
                        extents.fetch_add(found, Ordering::Relaxed);
                    }
                    Err(_) => {
                        faults.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    Ok(format!("{} files, {extents:?} extents, {bytes:?} bytes, {faults:?} faults", references.len()))
}

fn one(
    volume: &Volume,
    reference: FileReference,
    buffer: Option<&mut Vec<u8>>,
) -> ntbak_ntfs::Result<(u64, u64)> {
    let file = volume.file(reference)?;
    let small = [
        file.security()?.map_or(0, |bytes| bytes.len()),
        file.eas()?.map_or(0, |bytes| bytes.len()),
        file.reparse()?.map_or(0, |bytes| bytes.len()),
        file.object_id()?.map_or(0, |_| 64),
        file.efs()?.map_or(0, |bytes| bytes.len()),
        file.links().len(),
    ];
    let (mut bytes, mut extents) = (small.iter().sum::<usize>() as u64, 0);
    let mut buffer = buffer;
    for stream in file.streams() {
        for extent in stream.extents() {
            extents += 1;
            let Some(buffer) = buffer.as_deref_mut() else { continue };
            let mut at = extent.offset;
            while at < extent.end() {
                let len = usize::try_from(extent.end() - at).unwrap_or(usize::MAX).min(buffer.len());
                at += match file.read_at(stream, at, buffer.get_mut(..len).unwrap_or_default())? {
                    0 => break,
                    got => got as u64,
                };
            }
            bytes += at - extent.offset;
        }
    }
    Ok((bytes, extents))
}
