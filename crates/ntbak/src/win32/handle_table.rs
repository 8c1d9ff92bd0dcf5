//! Numbers for handles: what a C program holds.

use std::sync::{Mutex, PoisonError};

use ntbak_wire::Win32Error;

use crate::error::{Error, Result};

/// A number that stands for something open. It is never 0, and never that of something that was closed before, until
/// a slot has been used 2³¹ times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandleId(pub u64);

/// Things that are open, by numbers that any thread may use.
#[derive(Debug)]
pub struct HandleTable<T>(Mutex<Slots<T>>);

#[derive(Debug)]
struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// As on Windows, a handle is a multiple of 4, and the lowest is not 0.
const SHIFT: u32 = 2;
/// The lower bits have the slot, those above them its generation: 2²⁸ things may be open at a time.
const SLOT_BITS: u32 = 28;

impl<T> Default for HandleTable<T> {
    fn default() -> Self {
        Self(Mutex::new(Slots { slots: Vec::new(), free: Vec::new() }))
    }
}

impl<T: Clone> HandleTable<T> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives something a number.
    ///
    /// # Errors
    /// 4 when 2²⁸ things are open.
    pub fn insert(&self, value: T) -> Result<HandleId> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match slots.free.pop() {
            Some(at) => at,
            None if slots.slots.len() >= 1 << SLOT_BITS => {
                return Err(Error::new(Win32Error::TOO_MANY_OPEN_FILES, "there are too many handles"));
            }
            None => {
                slots.slots.push(Slot { generation: 0, value: None });
                slots.slots.len() - 1
            }
        };
        let Some(slot) = slots.slots.get_mut(at) else { return Err(no_handle()) };
        slot.generation = (slot.generation + 1) & 0x7FFF_FFFF;
        slot.generation = slot.generation.max(1);
        slot.value = Some(value);
        Ok(HandleId((u64::from(slot.generation) << SLOT_BITS | at as u64) << SHIFT))
    }

    /// What a number stands for.
    ///
    /// # Errors
    /// 6 for a number that stands for nothing, or for nothing any more.
    pub fn get(&self, id: HandleId) -> Result<T> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, generation) = split(id).ok_or_else(no_handle)?;
        let slot = slots.slots.get(at).filter(|slot| slot.generation == generation);
        slot.and_then(|slot| slot.value.clone()).ok_or_else(no_handle)
    }

    /// `CloseHandle`, `FindClose`: the number stands for nothing from now on. What others hold of it stays open until
    /// they are done.
    ///
    /// # Errors
    /// 6 for a number that stands for nothing, or for nothing any more.
    pub fn remove(&self, id: HandleId) -> Result<T> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, generation) = split(id).ok_or_else(no_handle)?;
        let slot = slots.slots.get_mut(at).filter(|slot| slot.generation == generation);
        let value = slot.and_then(|slot| slot.value.take()).ok_or_else(no_handle)?;
        slots.free.push(at);
        Ok(value)
    }

    /// How many things are open.
    #[must_use]
    pub fn len(&self) -> usize {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.slots.len() - slots.free.len()
    }

    /// Whether nothing is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn split(id: HandleId) -> Option<(usize, u32)> {
    let HandleId(id) = id;
    if !id.is_multiple_of(1 << SHIFT) {
        return None;
    }
    let id = id >> SHIFT;
    let at = usize::try_from(id & ((1 << SLOT_BITS) - 1)).ok()?;
    Some((at, u32::try_from(id >> SLOT_BITS).ok().filter(|generation| *generation > 0)?))
}

fn no_handle() -> Error {
    Error::new(Win32Error::INVALID_HANDLE, "no handle has this number")
}
