//! AES sectors, many at a time.

use aes::Block;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, consts::U16};

use super::SECTOR;

/// Sectors that are encrypted side by side: what the widest backend of `aes` (VAES on 512 bits) takes at once. 32 KiB of
/// data, which stay in the nearest cache.
const LANES: usize = 64;
/// Sectors that are decrypted side by side.
const BATCH: usize = 8;
const BLOCK: usize = 16;
const BLOCKS: usize = SECTOR / BLOCK;
const IV: [u64; 2] = [0x5816_657B_E916_1312, 0x1989_ADBE_4491_8961];

/// One key schedule; the `aes` crate wipes it.
pub(super) struct AesSectors<C>(C);

impl<C> AesSectors<C>
where
    C: KeyInit + BlockCipherEncrypt<BlockSize = U16> + BlockCipherDecrypt<BlockSize = U16>,
{
    pub(super) fn new(key: &[u8]) -> Self {
        let mut sized = Array::default();
        for (to, from) in sized.iter_mut().zip(key) {
            *to = *from;
        }
        let cipher = Self(C::new(&sized));
        zeroize::Zeroize::zeroize(sized.as_mut_slice());
        cipher
    }

    /// Block after block of up to 64 sectors at once: within a sector, each needs the one before it.
    pub(super) fn encrypt(&self, offset: u64, sectors: &mut [[u8; SECTOR]]) {
        for (index, batch) in sectors.chunks_mut(LANES).enumerate() {
            let first = offset.wrapping_add((index * LANES * SECTOR) as u64);
            let mut chain = [Block::default(); LANES];
            let chain = chain.get_mut(..batch.len()).unwrap_or_default();
            for (lane, block) in chain.iter_mut().enumerate() {
                *block = iv(first.wrapping_add((lane * SECTOR) as u64)).into();
            }
            for at in 0..BLOCKS {
                for (block, sector) in chain.iter_mut().zip(batch.iter()) {
                    if let Some(plain) = sector.as_chunks::<BLOCK>().0.get(at) {
                        let mixed = u128::from_ne_bytes(block.0) ^ u128::from_ne_bytes(*plain);
                        block.0 = mixed.to_ne_bytes();
                    }
                }
                self.0.encrypt_blocks(chain);
                for (block, sector) in chain.iter().zip(batch.iter_mut()) {
                    if let Some(place) = sector.as_chunks_mut::<BLOCK>().0.get_mut(at) {
                        *place = block.0;
                    }
                }
            }
        }
    }

    pub(super) fn decrypt(&self, offset: u64, sectors: &mut [[u8; SECTOR]]) {
        let mut blocks = [Block::default(); BATCH * BLOCKS];
        for (index, batch) in sectors.chunks_mut(BATCH).enumerate() {
            let first = offset.wrapping_add((index * BATCH * SECTOR) as u64);
            let (cipher, _) = Block::slice_as_chunks(batch.as_flattened());
            let plain = blocks.get_mut(..cipher.len()).unwrap_or_default();
            // The slices are of one length, so this cannot fail.
            let _ = self.0.decrypt_blocks_b2b(cipher, plain);
            let (plain, _) = Block::slice_as_flattened(plain).as_chunks::<SECTOR>();
            for (lane, (sector, plain)) in batch.iter_mut().zip(plain).enumerate() {
                // Every block is mixed with the ciphertext before it, the first one with the IV.
                let mut before = iv(first.wrapping_add((lane * SECTOR) as u64));
                let (blocks, plain) = (sector.as_chunks_mut::<BLOCK>().0, plain.as_chunks::<BLOCK>().0);
                for (block, plain) in blocks.iter_mut().zip(plain) {
                    let mixed = u128::from_ne_bytes(*plain) ^ u128::from_ne_bytes(before);
                    before = *block;
                    *block = mixed.to_ne_bytes();
                }
            }
        }
        zeroize::Zeroize::zeroize(Block::slice_as_flattened_mut(&mut blocks));
    }
}

fn iv(offset: u64) -> [u8; BLOCK] {
    let [low, high] = IV.map(|word| u128::from(word.wrapping_add(offset)));
    (low | high << 64).to_le_bytes()
}
