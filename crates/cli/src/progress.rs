//! How far the work is, on a terminal: files, bytes, rate, and how long it will take where that can be known.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget};
use ntbak::Progress;

use crate::interrupt;

/// Milliseconds between two lines.
const PAUSE: u64 = 100;

/// The line at the bottom of the terminal; nothing anywhere else.
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    begun: Instant,
    /// When the line was shown last, in milliseconds from the beginning.
    shown: AtomicU64,
    whole: OnceLock<Whole>,
}

/// What the work is measured by.
enum Whole {
    /// The archive that is read.
    Input(Arc<Meter>),
    /// All bytes of the sources, once they are counted.
    Sources(Arc<Count>),
}

/// How much of an input was read.
#[derive(Debug, Default)]
struct Meter {
    read: AtomicU64,
    total: AtomicU64,
}

/// Bytes of files that are being counted.
#[derive(Debug, Default)]
struct Count {
    bytes: AtomicU64,
    done: AtomicBool,
    /// Nobody wants to know any more.
    enough: AtomicBool,
}

impl ProgressLine {
    pub(crate) fn new(quiet: bool) -> Self {
        // It draws on a terminal only.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        Self { bar, begun: Instant::now(), shown: AtomicU64::new(0), whole: OnceLock::new() }
    }

    /// The work is done when this input of `total` bytes was read. With `alone`, nobody else tells how far it is.
    pub(crate) fn measure<R: Read>(
        self: &Arc<Self>,
        input: R,
        total: u64,
        alone: bool,
    ) -> impl Read + use<R> {
        let meter = Arc::new(Meter { read: AtomicU64::new(0), total: AtomicU64::new(total) });
        let _ = self.whole.set(Whole::Input(Arc::clone(&meter)));
        Metered { input, meter, line: alone.then(|| Arc::clone(self)) }
    }

    /// The work is done when all of these files were read. They are counted meanwhile.
    pub(crate) fn count(&self, sources: &[PathBuf]) {
        if self.bar.is_hidden() {
            return;
        }
        let count = Arc::new(Count::default());
        let (counting, waiting) = (Arc::clone(&count), sources.to_vec());
        // Where there is no thread for it, there is no estimate.
        if thread::Builder::new().name("count".into()).spawn(move || counting.run(waiting)).is_ok() {
            let _ = self.whole.set(Whole::Sources(count));
        }
    }

    /// Shows how far the work is, if that was not shown just now.
    pub(crate) fn show(&self, progress: Progress) {
        if self.bar.is_hidden() {
            return;
        }
        let elapsed = self.begun.elapsed();
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if now < self.shown.load(Relaxed) + PAUSE {
            return;
        }
        self.shown.store(now, Relaxed);
        let part = self.whole.get().and_then(|whole| whole.part(progress.bytes));
        self.bar.set_message(line(progress, elapsed, part));
        self.bar.tick();
    }

    /// Runs `write`, which writes to standard error, beside the line.
    pub(crate) fn beside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// The work is done.
    pub(crate) fn clear(&self) {
        if let Some(Whole::Sources(count)) = self.whole.get() {
            count.enough.store(true, Relaxed);
        }
        self.bar.finish_and_clear();
    }
}

/// The line: how long it will take is said when a hundredth is done, and not before a second.
fn line(progress: Progress, elapsed: Duration, part: Option<f64>) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let (bytes, rate) = (BinaryBytes(progress.bytes), BinaryBytes((progress.bytes as f64 / seconds) as u64));
    let mut line = match progress.files {
        0 => format!("{bytes}, {rate}/s"),
        files => format!("{files} files, {bytes}, {rate}/s"),
    };
    if let Some(part) = part.filter(|part| (0.01..=1.0).contains(part) && seconds >= 1.0) {
        let left = Duration::from_secs_f64(seconds * (1.0 - part) / part);
        line.push_str(&format!(", {:.0} %, {} left", part * 100.0, HumanDuration(left)));
    }
    line
}

impl Whole {
    /// Which part of the work is done, if that is known.
    fn part(&self, bytes: u64) -> Option<f64> {
        let (done, total) = match self {
            Self::Input(meter) => (meter.read.load(Relaxed), meter.total.load(Relaxed)),
            Self::Sources(count) if count.done.load(Relaxed) => (bytes, count.bytes.load(Relaxed)),
            Self::Sources(_) => return None,
        };
        (total > 0).then(|| done as f64 / total as f64)
    }
}

impl Count {
    fn run(&self, mut waiting: Vec<PathBuf>) {
        while let Some(path) = waiting.pop() {
            if self.enough.load(Relaxed) {
                return;
            }
            // What cannot be looked at here is told by who reads it.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_dir() {
                waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            } else {
                self.bytes.fetch_add(metadata.len(), Relaxed);
            }
        }
        self.done.store(true, Relaxed);
    }
}

/// An input with a meter.
struct Metered<R> {
    input: R,
    meter: Arc<Meter>,
    line: Option<Arc<ProgressLine>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        interrupt::check()?;
        let got = self.input.read(buf)?;
        let bytes = self.meter.read.fetch_add(got as u64, Relaxed) + got as u64;
        if let Some(line) = &self.line {
            line.show(Progress { files: 0, bytes });
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_estimate() {
        let progress = Progress { files: 12, bytes: 30 << 20 };
        let shown = |seconds, part| line(progress, Duration::from_secs(seconds), part);
        assert_eq!(shown(3, None), "12 files, 30.00 MiB, 10.00 MiB/s");
        assert_eq!(shown(3, Some(0.25)), "12 files, 30.00 MiB, 10.00 MiB/s, 25 %, 9 seconds left");
        // Too early to say, and files that grew.
        assert_eq!(shown(3, Some(0.001)), shown(3, None));
        assert_eq!(shown(3, Some(1.5)), shown(3, None));
        assert!(line(Progress::default(), Duration::ZERO, Some(0.0)).starts_with("0 B, 0 B/s"));
    }

    #[test]
    fn what_is_read_and_what_there_is_to_read() {
        let progress = Arc::new(ProgressLine::new(true));
        io::copy(&mut progress.measure(&[0; 600][..], 1000, true), &mut io::sink()).unwrap();
        assert_eq!(progress.whole.get().and_then(|whole| whole.part(7)), Some(0.6));
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/a"), [0; 300]).unwrap();
        fs::write(dir.path().join("b"), [0; 100]).unwrap();
        let count = Arc::new(Count::default());
        assert_eq!(Whole::Sources(Arc::clone(&count)).part(200), None);
        count.run(vec![dir.path().to_owned()]);
        assert_eq!(Whole::Sources(count).part(200), Some(0.5));
    }
}
