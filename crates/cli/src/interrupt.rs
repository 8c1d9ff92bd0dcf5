//! Signals that end the run: what is half done is taken back first, so that nothing of it stays beside its place.
//!
//! SIGINT, SIGTERM and SIGHUP set a flag, which is looked at wherever bytes are read or written, and between files. A
//! second one ends the run at once. A signal that is ignored, as by `nohup`, stays so.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static ENDED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Listens from now on.
pub(crate) fn listen() {
    let ended = ENDED.get_or_init(Arc::default);
    let ignored = ignored();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if ignored >> (signal - 1) & 1 == 1 {
            continue;
        }
        // Without them, the system's way of ending stays. The order matters: the second signal finds the flag set.
        let second = flag::register_conditional_shutdown(signal, 1, Arc::clone(ended));
        let _ = second.and_then(|_| flag::register(signal, Arc::clone(ended)));
    }
}

/// The signals that are ignored, a bit each.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whether the run is to end.
pub(crate) fn is_ended() -> bool {
    ENDED.get().is_some_and(|ended| ended.load(Ordering::Relaxed))
}

/// Fails when the run is to end.
pub(crate) fn check() -> io::Result<()> {
    if is_ended() { Err(io::Error::other("ended by a signal")) } else { Ok(()) }
}
