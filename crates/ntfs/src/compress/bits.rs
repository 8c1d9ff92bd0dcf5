//! Bits of XPRESS and LZX: in units of 16 bits, little-endian, the highest bit first.

/// A reader of bits. Past the end of the input it gives zeros, and [`Bits::overran`] says so.
pub(super) struct Bits<'a> {
    input: &'a [u8],
    /// The next byte of the input that is not in `buffer`.
    at: usize,
    /// The next bits, from the highest one down. Below `count` bits there may be more of the right ones.
    buffer: u64,
    /// How many bits are in `buffer` for certain.
    count: u32,
    /// Units that were given past the end.
    missing: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, buffer: 0, count: 0, missing: 0 }
    }

    /// Makes sure that at least 32 bits are there to look at (48 mostly).
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        match self.input.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            Some(bytes) => {
                // Four units, the first one highest.
                let pairs = u64::from_le_bytes(*bytes).rotate_left(32);
                let units = (pairs >> 16 & 0x0000_FFFF_0000_FFFF) | (pairs & 0x0000_FFFF_0000_FFFF) << 16;
                self.buffer |= units >> self.count;
                let taken = (64 - self.count) / 16;
                self.at += 2 * taken as usize;
                self.count += 16 * taken;
            }
            None => self.refill_at_end(),
        }
    }

    #[cold]
    fn refill_at_end(&mut self) {
        // Bits below `count` may be from a fast refill: they are the right ones, and come again.
        while self.count <= 48 {
            let unit = match self.input.get(self.at..).and_then(<[u8]>::first_chunk::<2>) {
                Some(bytes) => {
                    self.at += 2;
                    u16::from_le_bytes(*bytes)
                }
                None => {
                    self.missing = self.missing.saturating_add(1);
                    0
                }
            };
            self.buffer |= u64::from(unit) << (48 - self.count);
            self.count += 16;
        }
    }

    /// The next 16 bits, which stay there. There must be so many (see [`Bits::refill`]).
    #[inline(always)]
    pub(super) fn peek16(&self) -> u32 {
        (self.buffer >> 48) as u32
    }

    /// Takes `len` bits away, at most as many as are there.
    #[inline(always)]
    pub(super) fn skip(&mut self, len: u32) {
        self.buffer <<= len;
        self.count = self.count.saturating_sub(len);
    }

    /// Takes `len` bits, 0 to 16, at most as many as are there.
    #[inline(always)]
    pub(super) fn take(&mut self, len: u32) -> u32 {
        // In two steps, since a shift by 64 is none.
        let value = (self.buffer >> 1 >> (63 - len)) as u32;
        self.skip(len);
        value
    }

    /// Takes `len` bits, 0 to 16.
    pub(super) fn read(&mut self, len: u32) -> u32 {
        self.refill();
        self.take(len)
    }

    /// Puts all units back but the one that is begun and `ahead` more: what follows is read as bytes.
    fn give_back(&mut self, ahead: u32) {
        let keep = self.count % 16 + ahead * 16;
        let mut units = self.count.saturating_sub(keep) / 16;
        let made_up = units.min(self.missing);
        self.missing -= made_up;
        units -= made_up;
        self.at = self.at.saturating_sub(2 * units as usize);
        self.count = self.count.min(keep);
        // What was looked at ahead is not what comes now.
        self.buffer &= !(u64::MAX.checked_shr(self.count).unwrap_or(0));
    }

    /// The next byte behind the bits, for XPRESS: there, one whole unit is always read ahead.
    pub(super) fn byte_after_unit(&mut self) -> Option<u8> {
        self.refill();
        self.give_back(1);
        let byte = *self.input.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// The next `N` bytes at the next unit, for LZX: the rest of the unit that is begun is passed over, or a whole one
    /// when none is.
    pub(super) fn align(&mut self) {
        self.refill();
        if self.count.is_multiple_of(16) {
            self.skip(16);
        }
        self.give_back(0);
        self.skip(self.count);
        self.buffer = 0;
    }

    /// The next `len` bytes, after [`Bits::align`].
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.input.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    /// About where it is in the input, in bytes.
    pub(super) fn position(&self) -> usize {
        self.at.saturating_sub(self.count as usize / 8)
    }

    /// Whether bits were taken that are not in the input.
    pub(super) fn overran(&self) -> bool {
        self.missing.saturating_mul(16) > self.count
    }
}
