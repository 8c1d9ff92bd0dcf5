//! The drive map: which volume a path begins on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use ntbak_wire::Win32Error;

use crate::error::{Error, Result};
use crate::ntfs_volume::VolumeOptions;
use crate::win32::{DirectoryVolume, HostVolume, ImageVolume, MemoryVolume, Volume};

/// Drive letters and their volumes, and what a path without a letter means.
#[derive(Default)]
pub struct Drives {
    pub(super) base: Base,
    letters: RwLock<BTreeMap<u8, Arc<dyn Volume>>>,
}

/// Where a path without a drive letter leads.
#[derive(Clone, Default)]
pub(super) enum Base {
    /// Nowhere.
    #[default]
    None,
    /// To the files of this machine, as Linux writes paths.
    Posix,
    /// Below the root of a volume, by the rules of a drive.
    Volume(Arc<dyn Volume>),
}

impl Drives {
    /// No drives, and no base.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with the files of this machine, by their POSIX paths.
    #[must_use]
    pub fn with_posix(mut self) -> Self {
        self.base = Base::Posix;
        self
    }

    /// The same with a volume to which paths without a drive letter belong.
    #[must_use]
    pub fn with_base(mut self, volume: impl Volume + 'static) -> Self {
        self.base = Base::Volume(Arc::new(volume));
        self
    }

    /// Gives a volume a letter, in place of one that has it (`ntbak_map_drive`). Handles that are open stay what they are.
    ///
    /// # Errors
    /// 15 for what is no letter.
    pub fn map(&self, letter: char, volume: impl Volume + 'static) -> Result<()> {
        let letter = u8::try_from(letter).ok().filter(u8::is_ascii_alphabetic);
        let Some(letter) = letter else {
            return Err(Error::new(Win32Error::INVALID_DRIVE, "a drive has a letter from A to Z"));
        };
        let mut letters = self.letters.write().unwrap_or_else(PoisonError::into_inner);
        letters.insert(letter.to_ascii_uppercase(), Arc::new(volume));
        Ok(())
    }

    /// Gives what is at `location` a letter: a directory, or the NTFS volume of a disk image or device (`disk.img`,
    /// `disk.img#2`).
    ///
    /// # Errors
    /// 15 for what is no letter; as [`DirectoryVolume::open`] and [`ImageVolume::open`].
    pub fn map_location(
        &self,
        letter: char,
        location: impl AsRef<Path>,
        options: VolumeOptions,
    ) -> Result<()> {
        let location = location.as_ref();
        match location.is_dir() {
            true => self.map(letter, DirectoryVolume::open(location)?),
            false => self.map(letter, ImageVolume::open(location, options)?),
        }
    }

    /// The same with a drive.
    ///
    /// # Errors
    /// 15 for what is no letter.
    pub fn with(self, letter: char, volume: impl Volume + 'static) -> Result<Self> {
        self.map(letter, volume)?;
        Ok(self)
    }

    /// Whether a letter is mapped.
    pub(super) fn has(&self, letter: u8) -> bool {
        self.letters.read().unwrap_or_else(PoisonError::into_inner).contains_key(&letter)
    }

    /// The volume with this letter.
    pub(super) fn get(&self, letter: u8) -> Result<Arc<dyn Volume>> {
        let letters = self.letters.read().unwrap_or_else(PoisonError::into_inner);
        letters.get(&letter.to_ascii_uppercase()).cloned().ok_or_else(|| {
            let why = format!("there is no drive {}:", char::from(letter));
            Error::new(Win32Error::PATH_NOT_FOUND, why)
        })
    }
}

impl Clone for Drives {
    fn clone(&self) -> Self {
        let letters = self.letters.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self { base: self.base.clone(), letters: RwLock::new(letters) }
    }
}

impl From<MemoryVolume> for Drives {
    fn from(volume: MemoryVolume) -> Self {
        Self::new().with_base(volume)
    }
}

impl From<HostVolume> for Drives {
    fn from(_: HostVolume) -> Self {
        Self::new().with_posix()
    }
}

impl std::fmt::Debug for Drives {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters = self.letters.read().unwrap_or_else(PoisonError::into_inner);
        let letters: String = letters.keys().map(|letter| char::from(*letter)).collect();
        f.debug_struct("Drives").field("letters", &letters).finish_non_exhaustive()
    }
}
