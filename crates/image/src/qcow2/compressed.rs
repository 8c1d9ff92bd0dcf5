//! Compressed clusters: decompressed whole, and some of them kept, since they are asked for in small pieces.

use std::io;
use std::sync::{Mutex, PoisonError};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

use super::FORMAT;
use crate::error::Error;
use crate::read_at::{ReadAt, clamp};

/// Where the data of a compressed cluster lie in the file. What is behind them up to `len` does not belong to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packed {
    pub(super) at: u64,
    pub(super) len: u64,
}

/// Memory for decompressed clusters.
const BUDGET: usize = 4 << 20;

/// The largest window of zstd that is accepted, as log2: more than any cluster has.
const MAX_WINDOW_LOG: u32 = 22;

/// Decompressed clusters: each can be in one place only. Two threads wait for each other only in the same place.
pub(super) struct Clusters {
    slots: Box<[Mutex<Slot>]>,
    cluster_size: usize,
    zstd: bool,
}

#[derive(Default)]
struct Slot {
    /// Which cluster `plain` is.
    holds: Option<Packed>,
    plain: Vec<u8>,
    packed: Vec<u8>,
    codec: Option<Codec>,
}

enum Codec {
    Deflate(Box<DecompressorOxide>),
    Zstd(Decoder<'static>),
}

impl Clusters {
    pub(super) fn new(cluster_size: usize, zstd: bool) -> Self {
        let slots = (BUDGET / cluster_size).clamp(4, 64);
        Self { slots: (0..slots).map(|_| Mutex::default()).collect(), cluster_size, zstd }
    }

    /// Copies the bytes of a cluster from `within` on.
    pub(super) fn read(
        &self,
        source: &dyn ReadAt,
        packed: Packed,
        within: usize,
        to: &mut [u8],
    ) -> io::Result<()> {
        // Compressed clusters lie close together: a multiplication spreads their offsets.
        let spread = (packed.at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
        let Some(slot) = self.slots.get(spread % self.slots.len().max(1)) else {
            return Err(io::Error::other("a cache without slots"));
        };
        // A slot says what it holds only when it is whole.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.holds != Some(packed) {
            slot.holds = None;
            slot.fill(source, packed, self.cluster_size, self.zstd)?;
            slot.holds = Some(packed);
        }
        match slot.plain.get(within..).and_then(|rest| rest.get(..to.len())) {
            Some(from) => to.copy_from_slice(from),
            None => return Err(damaged(packed)),
        }
        Ok(())
    }
}

impl Slot {
    fn fill(
        &mut self,
        source: &dyn ReadAt,
        packed: Packed,
        cluster_size: usize,
        zstd: bool,
    ) -> io::Result<()> {
        self.plain.resize(cluster_size, 0);
        // The last sector of a file may be cut; the data end before it does.
        self.packed.resize(clamp(packed.at, packed.len as usize, source.len()), 0);
        source
            .read_exact_at(packed.at, &mut self.packed)
            .map_err(|error| Error::io(FORMAT, packed.at, error))?;
        let codec = match &mut self.codec {
            Some(codec) => codec,
            None => self.codec.insert(Codec::new(zstd)?),
        };
        match codec.decompress(&self.packed, &mut self.plain)? {
            true => Ok(()),
            false => Err(damaged(packed)),
        }
    }
}

impl Codec {
    fn new(zstd: bool) -> io::Result<Self> {
        if !zstd {
            return Ok(Self::Deflate(Box::default()));
        }
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(MAX_WINDOW_LOG))?;
        Ok(Self::Zstd(decoder))
    }

    /// Whether the data filled all of `plain`.
    fn decompress(&mut self, packed: &[u8], plain: &mut [u8]) -> io::Result<bool> {
        match self {
            Self::Deflate(inflate) => {
                inflate.init();
                let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
                let (status, _, written) = decompress(inflate, packed, plain, 0, flags);
                let ended = matches!(status, TINFLStatus::Done | TINFLStatus::HasMoreOutput);
                Ok(ended && written == plain.len())
            }
            Self::Zstd(decoder) => {
                decoder.reinit()?;
                let (mut input, mut output) = (InBuffer::around(packed), OutBuffer::around(plain));
                // Each turn takes input or gives output, or is the last one.
                loop {
                    let before = (input.pos(), output.pos());
                    let Ok(hint) = decoder.run(&mut input, &mut output) else { return Ok(false) };
                    if hint == 0 || (input.pos(), output.pos()) == before {
                        return Ok(output.pos() == output.capacity());
                    }
                }
            }
        }
    }
}

fn damaged(packed: Packed) -> io::Error {
    let expected = "data that fill a cluster";
    Error::value(FORMAT, packed.at, "size of a compressed cluster", packed.len, expected).into()
}
