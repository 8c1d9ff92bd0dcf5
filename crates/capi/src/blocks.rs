//! Memory that a caller gets, and gives back: lists of certificates, messages. What is given back twice is not
//! there any more.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use ntbak::{Error, Result};
use ntbak_wire::Win32Error;

static BLOCKS: Mutex<BTreeMap<usize, Layout>> = Mutex::new(BTreeMap::new());

/// Zeros for pointers and numbers of up to 8 bytes.
///
/// # Errors
/// 8 when there is no memory.
pub(crate) fn allocate(len: usize) -> Result<*mut u8> {
    let no_memory = || Error::new(Win32Error::NOT_ENOUGH_MEMORY, "no memory for what is given to the caller");
    let layout = Layout::from_size_align(len.max(1), 8).map_err(|_| no_memory())?;
    // SAFETY: its size is not 0.
    let block = unsafe { alloc_zeroed(layout) };
    if block.is_null() {
        return Err(no_memory());
    }
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner).insert(block.addr(), layout);
    Ok(block)
}

/// Takes a block back; whether it was one.
pub(crate) fn release(block: *mut c_void) -> bool {
    let layout = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner).remove(&block.addr());
    if let Some(layout) = layout {
        // SAFETY: it was allocated with this layout, and taken out of the list, so that nobody else frees it.
        unsafe { dealloc(block.cast(), layout) };
    }
    layout.is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_given_back_once() {
        let block = allocate(0).unwrap().cast();
        assert!(release(block));
        assert!(!release(block));
        assert!(!release(std::ptr::null_mut()));
    }
}
