/*!
The ciphers of the content: each 512 bytes of a stream are a CBC run of their own.

| cipher | block | IV of the sector at byte `offset` of its stream |
| --- | --- | --- |
| AES | 16 | two u64: 0x5816657BE9161312 + offset, 0x1989ADBE44918961 + offset |
| 3DES, DESX | 8 | one u64: 0x169119629891AD13 + offset |

Additions wrap, numbers are little-endian, offsets begin at 0 in every stream. Known from other programs and from files of
Windows 10; \[MS-EFSR\] says no more than "CBC".

A sector depends on no other, so many are done at once: AES interleaves 64 of them (CBC cannot encrypt one sector
faster than block after block), and [`SectorCipher::encrypt_parallel`] spreads them over the cores.
*/

mod aes;
mod des;

use rayon::prelude::*;

use self::aes::AesSectors;
use self::des::DesSectors;
use crate::error::{Error, Result};
use crate::fek::{Algorithm, Fek};

/// The unit of encryption in bytes.
pub const SECTOR: usize = 512;

/// Bytes that one core takes at a time: enough that the handing out does not count.
const AES_PIECE: usize = 128 << 10;
/// The same for the DES family, which is a hundred times slower.
const DES_PIECE: usize = 8 << 10;

/// Encrypts and decrypts the sectors of a file. Made once for a file; any thread may use it.
///
/// Nothing is allocated. The key schedule is wiped when it is dropped.
pub struct SectorCipher(Cipher);

enum Cipher {
    Aes128(Box<AesSectors<::aes::Aes128>>),
    Aes192(Box<AesSectors<::aes::Aes192>>),
    Aes256(Box<AesSectors<::aes::Aes256>>),
    Des(Box<DesSectors>),
}

impl SectorCipher {
    /// The cipher for content under this key.
    #[must_use]
    pub fn new(fek: &Fek) -> Self {
        let key = fek.key();
        Self(match fek.algorithm() {
            Algorithm::Aes128 => Cipher::Aes128(Box::new(AesSectors::new(key))),
            Algorithm::Aes192 => Cipher::Aes192(Box::new(AesSectors::new(key))),
            Algorithm::Aes256 => Cipher::Aes256(Box::new(AesSectors::new(key))),
            Algorithm::TripleDes => Cipher::Des(Box::new(DesSectors::triple_des(key))),
            Algorithm::Desx => Cipher::Des(Box::new(DesSectors::desx(key))),
        })
    }

    /// Encrypts sectors in place. `offset` is that of the first one in its stream, in bytes.
    ///
    /// # Errors
    /// The offset or the length is not a multiple of 512; nothing is changed then.
    pub fn encrypt(&self, offset: u64, sectors: &mut [u8]) -> Result<()> {
        check(offset, sectors)?;
        self.encrypt_piece(offset, sectors);
        Ok(())
    }

    /// Decrypts sectors in place. Give it ciphertext only: holes and what lies past the valid data length are zeros
    /// already.
    ///
    /// # Errors
    /// The offset or the length is not a multiple of 512; nothing is changed then.
    pub fn decrypt(&self, offset: u64, sectors: &mut [u8]) -> Result<()> {
        check(offset, sectors)?;
        self.decrypt_piece(offset, sectors);
        Ok(())
    }

    /// [`encrypt`](Self::encrypt) on all cores of rayon's current pool.
    ///
    /// # Errors
    /// The same.
    pub fn encrypt_parallel(&self, offset: u64, sectors: &mut [u8]) -> Result<()> {
        check(offset, sectors)?;
        self.spread(offset, sectors, |offset, piece| self.encrypt_piece(offset, piece));
        Ok(())
    }

    /// [`decrypt`](Self::decrypt) on all cores of rayon's current pool.
    ///
    /// # Errors
    /// The same.
    pub fn decrypt_parallel(&self, offset: u64, sectors: &mut [u8]) -> Result<()> {
        check(offset, sectors)?;
        self.spread(offset, sectors, |offset, piece| self.decrypt_piece(offset, piece));
        Ok(())
    }

    fn spread(&self, offset: u64, sectors: &mut [u8], work: impl Fn(u64, &mut [u8]) + Sync) {
        let piece = if matches!(self.0, Cipher::Des(_)) { DES_PIECE } else { AES_PIECE };
        if sectors.len() <= piece {
            return work(offset, sectors);
        }
        sectors
            .par_chunks_mut(piece)
            .enumerate()
            .for_each(|(index, part)| work(offset.wrapping_add((index * piece) as u64), part));
    }

    fn encrypt_piece(&self, offset: u64, sectors: &mut [u8]) {
        let (sectors, _) = sectors.as_chunks_mut::<SECTOR>();
        match &self.0 {
            Cipher::Aes128(cipher) => cipher.encrypt(offset, sectors),
            Cipher::Aes192(cipher) => cipher.encrypt(offset, sectors),
            Cipher::Aes256(cipher) => cipher.encrypt(offset, sectors),
            Cipher::Des(cipher) => cipher.encrypt(offset, sectors),
        }
    }

    fn decrypt_piece(&self, offset: u64, sectors: &mut [u8]) {
        let (sectors, _) = sectors.as_chunks_mut::<SECTOR>();
        match &self.0 {
            Cipher::Aes128(cipher) => cipher.decrypt(offset, sectors),
            Cipher::Aes192(cipher) => cipher.decrypt(offset, sectors),
            Cipher::Aes256(cipher) => cipher.decrypt(offset, sectors),
            Cipher::Des(cipher) => cipher.decrypt(offset, sectors),
        }
    }
}

impl std::fmt::Debug for SectorCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SectorCipher(..)")
    }
}

fn check(offset: u64, sectors: &[u8]) -> Result<()> {
    for (what, found) in [("offset", offset), ("length", sectors.len() as u64)] {
        if !found.is_multiple_of(SECTOR as u64) {
            return Err(Error::Unaligned { what, found });
        }
    }
    Ok(())
}
