//! The fence: what a function of C answers. Nothing unwinds out of it.
//!
//! A panic here is a mistake of ntbak's, and answered with 1359. What it met half done is locked, so its lock
//! is poisoned, and answers with 1359 from then on.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, TryLockError};

use ntbak::win32::HandleId;
use ntbak::{Error, Result};
use ntbak_wire::Win32Error;

use crate::process::INVALID_HANDLE_VALUE;
use crate::{NtbakBool, NtbakHandle};

/// TRUE.
pub(crate) const TRUE: NtbakBool = 1;
/// FALSE.
pub(crate) const FALSE: NtbakBool = 0;

thread_local! {
    // It needs no destructor: it is there as long as the thread is.
    static LAST: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn last_error() -> u32 {
    LAST.get()
}

pub(crate) fn set_last_error(code: u32) {
    LAST.set(code);
}

/// TRUE, or FALSE and the last error.
pub(crate) fn boolean(call: impl FnOnce() -> Result<()>) -> NtbakBool {
    value(FALSE, || call().map(|()| TRUE))
}

/// A handle, or INVALID_HANDLE_VALUE and the last error.
pub(crate) fn handle(call: impl FnOnce() -> Result<HandleId>) -> NtbakHandle {
    value(INVALID_HANDLE_VALUE, || call().map(pointer))
}

/// An answer, or `failed` and the last error.
pub(crate) fn value<T>(failed: T, call: impl FnOnce() -> Result<T>) -> T {
    caught(call).unwrap_or_else(|code| {
        set_last_error(code);
        failed
    })
}

/// 0 or the number: the raw functions and those of EFS keys leave the last error as it is.
pub(crate) fn code(call: impl FnOnce() -> Result<()>) -> u32 {
    caught(call).err().unwrap_or(0)
}

fn caught<T>(call: impl FnOnce() -> Result<T>) -> Result<T, u32> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        // A failure is never 0: a callback cannot make one of its own.
        Ok(Err(error)) => Err(error.win32().0),
        Err(payload) => {
            // Dropped, it could panic once more.
            std::mem::forget(payload);
            Err(Win32Error::INTERNAL_ERROR.0)
        }
    }
}

/// What a mutex holds: the other thread is waited for.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| poisoned())
}

/// The same for what a callback may come back to: it would wait for itself.
pub(crate) fn unused<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    mutex.try_lock().map_err(|error| match error {
        TryLockError::Poisoned(_) => poisoned(),
        TryLockError::WouldBlock => Error::new(Win32Error::BUSY, "another call uses the context"),
    })
}

/// A parameter that cannot be.
pub(crate) fn invalid(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_PARAMETER, why)
}

/// A number as C has it.
pub(crate) fn pointer(id: HandleId) -> NtbakHandle {
    std::ptr::without_provenance_mut(id.0 as usize)
}

/// What C has as a number.
pub(crate) fn id(handle: NtbakHandle) -> HandleId {
    HandleId(handle.addr() as u64)
}

fn poisoned() -> Error {
    Error::new(Win32Error::INTERNAL_ERROR, "an earlier call on it failed inside of ntbak")
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_1359_and_what_it_had_locked_stays_so() {
        let context = Mutex::new(0);
        let half_done = || {
            let _guard = locked(&context)?;
            panic!("a mistake in ntbak (this is a test)");
        };
        assert_eq!(boolean(half_done), FALSE);
        assert_eq!(last_error(), 1359);
        set_last_error(0);
        assert_eq!(boolean(|| locked(&context).map(drop)), FALSE);
        assert_eq!(last_error(), 1359);
        assert_eq!(code(|| unused(&context).map(drop)), 1359);
        assert_eq!(handle(|| panic!("once more")), INVALID_HANDLE_VALUE);
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_does_no_harm() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(code(|| std::panic::panic_any(Bomb)), 1359);
    }

    #[test]
    fn what_is_in_use_is_170() {
        let context = Mutex::new(0);
        let _guard = context.lock().unwrap();
        assert_eq!(code(|| unused(&context).map(drop)), 170);
    }

    #[test]
    fn each_thread_has_a_last_error_of_its_own() {
        set_last_error(5);
        std::thread::spawn(|| assert_eq!(last_error(), 0)).join().unwrap();
        assert_eq!(last_error(), 5);
    }
}
