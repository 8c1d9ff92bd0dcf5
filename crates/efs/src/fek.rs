//! The file encryption key (FEK): the one key that the content of a file is encrypted with.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | Key Length in bytes |
//! | 4 | 4 | Entropy; bits in the specification, bytes in what Windows 10 writes, checked by nobody |
//! | 8 | 4 | Algorithm, an ALG_ID |
//! | 12 | 4 | 0 |
//! | 16 | n | Key |
//!
//! Source: \[MS-EFSR\] 2.2.2.1.5, all of it before it is wrapped with RSA.

use std::fmt;

use ntbak_wire::bytes::u32_at;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::random;

/// Bytes before the key.
const HEADER: usize = 16;
/// The most bytes of the structure (\[MS-EFSR\] note <11>).
const MAX_LEN: usize = 1086;

/// What the content of a file is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// DESX with Microsoft's own key expansion (0x6604): Windows 2000.
    Desx,
    /// 3DES with three keys (0x6603): Windows XP.
    TripleDes,
    /// AES-128 (0x660E). Windows writes none; it is read as its name says.
    Aes128,
    /// AES-192 (0x660F). Windows writes none; it is read as its name says.
    Aes192,
    /// AES-256 (0x6610): Windows XP SP1 and everything since.
    Aes256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Desx, Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256];

    /// The ALG_ID of wincrypt.h.
    #[must_use]
    pub fn alg_id(self) -> u32 {
        match self {
            Self::Desx => 0x6604,
            Self::TripleDes => 0x6603,
            Self::Aes128 => 0x660E,
            Self::Aes192 => 0x660F,
            Self::Aes256 => 0x6610,
        }
    }

    /// The algorithm with this ALG_ID.
    #[must_use]
    pub fn from_alg_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.alg_id() == id)
    }

    /// Size of the key in bytes.
    #[must_use]
    pub fn key_len(self) -> usize {
        match self {
            Self::Desx | Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// What new keys have in their Entropy field: as Windows 10 for AES, as the specification for the others.
    fn entropy(self) -> u32 {
        match self {
            Self::Desx => 128,
            Self::TripleDes => 168,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => self.key_len() as u32,
        }
    }
}

/// A file encryption key. Wiped when it is dropped; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Fek {
    algorithm: Algorithm,
    entropy: u32,
    key: [u8; 32],
}

impl Fek {
    /// A new random key.
    ///
    /// # Errors
    /// The random source of the system failed.
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        random(key.get_mut(..algorithm.key_len()).unwrap_or_default())?;
        Ok(Self { algorithm, entropy: algorithm.entropy(), key: *key })
    }

    /// A key that is known already.
    ///
    /// # Errors
    /// The key is not as long as the algorithm wants.
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self> {
        let mut fek = Self { algorithm, entropy: algorithm.entropy(), key: [0; 32] };
        match fek.key.get_mut(..key.len()) {
            Some(room) if key.len() == algorithm.key_len() => room.copy_from_slice(key),
            _ => {
                return Err(Error::malformed("file encryption key", "its length does not fit its algorithm"));
            }
        }
        Ok(fek)
    }

    /// Reads the structure as it is once unwrapped.
    ///
    /// # Errors
    /// It is cut, its algorithm is unknown, or the key is not as long as the algorithm wants: what a wrong RSA key
    /// gives.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (Some(len), Some(entropy), Some(id)) = (u32_at(bytes, 0), u32_at(bytes, 4), u32_at(bytes, 8))
        else {
            return Err(Error::malformed("file encryption key", "it is cut"));
        };
        let Some(algorithm) = Algorithm::from_alg_id(id) else {
            return Err(Error::unsupported(format!("a file encryption key with the algorithm {id:#x}")));
        };
        let key = bytes.get(HEADER..HEADER + algorithm.key_len());
        match key {
            Some(key) if len as usize == key.len() && bytes.len() <= MAX_LEN => {
                Ok(Self { entropy, ..Self::new(algorithm, key)? })
            }
            _ => Err(Error::malformed("file encryption key", "its length does not fit its algorithm")),
        }
    }

    /// The structure, to be wrapped.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + self.key().len()));
        for word in [self.key().len() as u32, self.entropy, self.algorithm.alg_id(), 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(self.key());
        bytes
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The Entropy field, as it was stored.
    #[must_use]
    pub fn entropy(&self) -> u32 {
        self.entropy
    }

    /// The key itself. Secret.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.get(..self.algorithm.key_len()).unwrap_or_default()
    }
}

impl Drop for Fek {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for Fek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fek").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
