//! 3DES and DESX sectors.
//!
//! EFS's DESX is not the textbook's: its three keys come out of two MD5 sums of the 16-byte key, and DES runs backwards, so
//! that a file is decrypted by *encrypting* with DES. Source: what other programs were seen to do with files of
//! Windows 2000.

use des::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde3};
use md5::{Digest, Md5};
use zeroize::{Zeroize, Zeroizing};

use super::SECTOR;

const BLOCK: usize = 8;
const IV: u64 = 0x1691_1962_9891_AD13;

// It lies in a box, once for a file; the sizes do not matter.
#[allow(clippy::large_enum_variant)]
pub(super) enum DesSectors {
    TripleDes(TdesEde3),
    Desx { des: Des, whitening: Whitening },
}

/// What is mixed into each block of DESX, on the ciphertext's and on the plaintext's side.
pub(super) struct Whitening {
    cipher: u64,
    plain: u64,
}

impl DesSectors {
    pub(super) fn triple_des(key: &[u8]) -> Self {
        let mut sized = Zeroizing::new([0; 24]);
        for (to, from) in sized.iter_mut().zip(key) {
            *to = *from;
        }
        Self::TripleDes(TdesEde3::new((&*sized).into()))
    }

    pub(super) fn desx(key: &[u8]) -> Self {
        let (des, whitening) = expand(key);
        Self::Desx { des: Des::new((&*des).into()), whitening }
    }

    pub(super) fn encrypt(&self, offset: u64, sectors: &mut [[u8; SECTOR]]) {
        for (index, sector) in sectors.iter_mut().enumerate() {
            let mut chain = iv(offset, index);
            for block in sector.as_chunks_mut::<BLOCK>().0 {
                chain = self.encrypt_block(u64::from_le_bytes(*block) ^ chain);
                *block = chain.to_le_bytes();
            }
        }
    }

    pub(super) fn decrypt(&self, offset: u64, sectors: &mut [[u8; SECTOR]]) {
        for (index, sector) in sectors.iter_mut().enumerate() {
            let mut chain = iv(offset, index);
            for block in sector.as_chunks_mut::<BLOCK>().0 {
                let cipher = u64::from_le_bytes(*block);
                *block = (self.decrypt_block(cipher) ^ chain).to_le_bytes();
                chain = cipher;
            }
        }
    }

    fn encrypt_block(&self, block: u64) -> u64 {
        match self {
            Self::TripleDes(des) => forward(des, block),
            Self::Desx { des, whitening } => backward(des, block ^ whitening.plain) ^ whitening.cipher,
        }
    }

    fn decrypt_block(&self, block: u64) -> u64 {
        match self {
            Self::TripleDes(des) => backward(des, block),
            Self::Desx { des, whitening } => forward(des, block ^ whitening.cipher) ^ whitening.plain,
        }
    }
}

impl Drop for Whitening {
    fn drop(&mut self) {
        self.cipher.zeroize();
        self.plain.zeroize();
    }
}

fn forward<C: BlockCipherEncrypt<BlockSize = des::cipher::consts::U8>>(cipher: &C, block: u64) -> u64 {
    let mut bytes = block.to_le_bytes().into();
    cipher.encrypt_block(&mut bytes);
    u64::from_le_bytes(bytes.0)
}

fn backward<C: BlockCipherDecrypt<BlockSize = des::cipher::consts::U8>>(cipher: &C, block: u64) -> u64 {
    let mut bytes = block.to_le_bytes().into();
    cipher.decrypt_block(&mut bytes);
    u64::from_le_bytes(bytes.0)
}

fn iv(offset: u64, index: usize) -> u64 {
    IV.wrapping_add(offset).wrapping_add((index * SECTOR) as u64)
}

/// The DES key and the whitening of a DESX key.
fn expand(key: &[u8]) -> (Zeroizing<[u8; 8]>, Whitening) {
    let sum = |salt: &[u8; 12]| -> Zeroizing<[u8; 16]> {
        Zeroizing::new(Md5::new().chain_update(key).chain_update(salt).finalize().0)
    };
    let halves = |sum: &[u8; 16]| -> [u64; 2] {
        let number = u128::from_le_bytes(*sum);
        [number as u64, (number >> 64) as u64]
    };
    let fold = |half: u64| (half as u32) ^ (half >> 32) as u32;
    let [first, second] = halves(&sum(b"Dan Simon  \0"));
    let des = u64::from(fold(first)) | u64::from(fold(second)) << 32;
    let [cipher, plain] = halves(&sum(b"Scott Field\0"));
    (Zeroizing::new(des.to_le_bytes()), Whitening { cipher, plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values that ntfsdecrypt has for its own key expansion.
    #[test]
    fn desx_keys_are_expanded_as_others_do() {
        let key = 0xa1f9_e0b2_5323_9e8f_0f91_45d9_8e20_ec30_u128.to_be_bytes();
        let (des, whitening) = expand(&key);
        assert_eq!(*des, 0x27d1_9309_cb78_931f_u64.to_be_bytes());
        assert_eq!(whitening.cipher, u64::from_le_bytes(0xedda_4c47_6049_db8d_u64.to_be_bytes()));
        assert_eq!(whitening.plain, u64::from_le_bytes(0x75f6_a01a_c0ca_281e_u64.to_be_bytes()));
        let block =
            forward(&Des::new((&*des).into()), u64::from_le_bytes(0xdcf7_682a_af48_530f_u64.to_be_bytes()));
        assert_eq!(block, u64::from_le_bytes(0xd8d9_1523_5b88_0e09_u64.to_be_bytes()));
    }
}
