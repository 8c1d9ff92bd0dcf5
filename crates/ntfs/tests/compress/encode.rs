//! Small encoders of LZNT1, XPRESS and LZX, and the layout of WOF streams: right, and not good at compressing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

/// A byte, or a match of a distance and a length.
#[derive(Clone, Copy)]
enum Item {
    Byte(u8),
    Match(usize, usize),
}

/// Cuts `data` into bytes and matches, greedily; `limits` gives the longest distance and length at a place.
fn items(data: &[u8], limits: impl Fn(usize) -> (usize, usize)) -> Vec<Item> {
    let mut last = std::collections::HashMap::new();
    let (mut items, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let (far, long) = limits(at);
        let key = data.get(at..at + 3);
        let before = key.and_then(|key| last.insert(key, at)).filter(|before| at - before <= far);
        let len = before.map_or(0, |before| {
            let same = data[before..].iter().zip(&data[at..]).take_while(|(a, b)| a == b).count();
            same.min(long)
        });
        if len >= 3 {
            items.push(Item::Match(at - before.unwrap(), len));
            at += len;
        } else {
            items.push(Item::Byte(data[at]));
            at += 1;
        }
    }
    items
}

/// The data of a compression unit. Chunks that do not shrink are plain, and whole.
pub(crate) fn lznt1(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in data.chunks(4096) {
        let len_bits = |at: usize| 12 - (4..12).filter(|bits| at > 1 << bits).count();
        let mut packed = Vec::new();
        let mut at = 0;
        let items = items(chunk, |at| (1 << (16 - len_bits(at)), (1 << len_bits(at)) + 2));
        for eight in items.chunks(8) {
            let tags = packed.len();
            packed.push(0);
            for (bit, item) in eight.iter().enumerate() {
                match *item {
                    Item::Byte(byte) => {
                        packed.push(byte);
                        at += 1;
                    }
                    Item::Match(distance, len) => {
                        packed[tags] |= 1 << bit;
                        let token = (distance - 1) << len_bits(at) | (len - 3);
                        packed.extend((token as u16).to_le_bytes());
                        at += len;
                    }
                }
            }
        }
        if packed.len() >= 4096 {
            out.extend(0x3FFFu16.to_le_bytes());
            out.extend(chunk);
            out.extend(vec![0; 4096 - chunk.len()]);
        } else {
            out.extend((0xB000 | (packed.len() - 1) as u16).to_le_bytes());
            out.extend(packed);
        }
    }
    out
}

/// Bits in units of 16, and bytes behind the unit that is read ahead.
struct Bits {
    out: Vec<u8>,
    /// Where the next units go.
    places: Vec<usize>,
    unit: u32,
    count: u32,
}

impl Bits {
    fn new(ahead: usize) -> Self {
        Self { out: vec![0; 2 * ahead], places: (0..ahead).map(|n| 2 * n).collect(), unit: 0, count: 0 }
    }

    fn put(&mut self, value: usize, len: u32) {
        for bit in (0..len).rev() {
            // Not before the next bit comes: bytes in between stand before the place that this takes.
            if self.count == 16 {
                self.flush();
            }
            self.unit = self.unit << 1 | (value >> bit & 1) as u32;
            self.count += 1;
        }
    }

    fn flush(&mut self) {
        let at = self.places.remove(0);
        self.out[at..at + 2].copy_from_slice(&((self.unit << (16 - self.count)) as u16).to_le_bytes());
        self.places.push(self.out.len());
        self.out.extend([0; 2]);
        (self.unit, self.count) = (0, 0);
    }
}

/// One chunk, with a code of 9 bits for each symbol.
pub(crate) fn xpress(data: &[u8]) -> Vec<u8> {
    let mut bits = Bits::new(2);
    for item in items(data, |_| (65_535, 65_538)) {
        match item {
            Item::Byte(byte) => bits.put(usize::from(byte), 9),
            Item::Match(distance, len) => {
                let distance_bits = distance.ilog2();
                let len = len - 3;
                bits.put(256 | (distance_bits as usize) << 4 | len.min(15), 9);
                if len >= 15 {
                    bits.out.push((len - 15).min(255) as u8);
                }
                if len >= 15 + 255 {
                    bits.out.extend((len as u16).to_le_bytes());
                }
                bits.put(distance & ((1 << distance_bits) - 1), distance_bits);
            }
        }
    }
    if bits.count > 0 {
        bits.flush();
    }
    let mut out = vec![0x99; 256];
    out.extend(bits.out);
    out
}

/// One chunk, in blocks of `block` bytes that are verbatim, with aligned offsets and uncompressed in turn.
pub(crate) fn lzx(data: &[u8], block: usize) -> Vec<u8> {
    let mut data = data.to_vec();
    do_e8(&mut data);
    let mut bits = Bits::new(1);
    let mut fresh = true;
    let mut start = 0;
    for (kind, piece) in (0..).zip(data.chunks(block)) {
        let kind = kind % 3 + 1;
        bits.put(kind, 3);
        if piece.len() == 32_768 {
            bits.put(1, 1);
        } else {
            bits.put(0, 1);
            bits.put(piece.len(), 16);
        }
        if kind == 3 {
            // The rest of the unit, or a whole one.
            if bits.count == 16 {
                bits.flush();
            }
            bits.put(0, 16 - bits.count);
            bits.flush();
            bits.out.truncate(bits.places[0]);
            for recent in [1u32, 2, 3] {
                bits.out.extend(recent.to_le_bytes());
            }
            bits.out.extend(piece);
            if piece.len() % 2 == 1 {
                bits.out.push(0);
            }
            bits.places = vec![bits.out.len()];
            bits.out.extend([0; 2]);
        } else {
            let aligned = kind == 2;
            if aligned {
                (0..8).for_each(|_| bits.put(3, 3));
            }
            codes(&mut bits, &mut fresh);
            write_block(&mut bits, &data[..start + piece.len()], start, aligned);
        }
        start += piece.len();
    }
    if bits.count > 0 {
        bits.flush();
    }
    bits.out.truncate(bits.places[0]);
    bits.out
}

/// Lengths of the main code: 9 bits, 8 for the last 16 symbols; of the length code: 8 bits, 7 for the last 7.
fn codes(bits: &mut Bits, fresh: &mut bool) {
    for (count, long, shorter) in [(256, 9, 0), (240, 9, 16), (249, 8, 7)] {
        // Sixteen of the twenty symbols have 4 bits.
        (0..20).for_each(|n| bits.put(if n < 16 { 4 } else { 0 }, 4));
        for n in 0..count {
            let len = if n >= count - shorter { long - 1 } else { long };
            bits.put(if *fresh { 17 - len } else { 0 }, 4);
        }
    }
    *fresh = false;
}

/// A code that is `long` bits for all but the last `shorter` symbols of `count`, which have one bit less.
fn symbol(bits: &mut Bits, symbol: usize, count: usize, long: u32, shorter: usize) {
    if symbol >= count - shorter {
        bits.put(symbol - (count - shorter), long - 1);
    } else {
        bits.put(2 * shorter + symbol, long);
    }
}

fn write_block(bits: &mut Bits, data: &[u8], start: usize, aligned: bool) {
    // Matches into what is before the block are looked for with the whole of it.
    let mut at = 0;
    for item in items(data, |at| (32_000, if at < start { (start - at).min(257) } else { 257 })) {
        let len = match item {
            Item::Byte(_) => 1,
            Item::Match(_, len) => len,
        };
        at += len;
        if at <= start {
            continue;
        }
        let (distance, len) = match item {
            Item::Byte(byte) => {
                symbol(bits, usize::from(byte), 496, 9, 16);
                continue;
            }
            Item::Match(distance, len) => (distance, len),
        };
        let shifted = distance + 2;
        let slot = (3..30).rev().find(|slot| base(*slot) <= shifted).unwrap();
        let (len_head, len_tail) = ((len - 2).min(7), (len - 2).checked_sub(7));
        symbol(bits, 256 + slot * 8 + len_head, 496, 9, 16);
        if let Some(tail) = len_tail {
            symbol(bits, tail, 249, 8, 7);
        }
        let (low, extra) = (shifted - base(slot), (slot / 2).saturating_sub(1) as u32);
        if aligned && extra >= 3 {
            bits.put(low >> 3, extra - 3);
            bits.put(low & 7, 3);
        } else {
            bits.put(low, extra);
        }
    }
}

fn base(slot: usize) -> usize {
    if slot < 4 { slot } else { (2 + slot % 2) << (slot / 2 - 1) }
}

fn do_e8(data: &mut [u8]) {
    let Some(end) = data.len().checked_sub(10) else { return };
    let mut at = 0;
    while at < end {
        if data[at] != 0xE8 {
            at += 1;
            continue;
        }
        let relative = i32::from_le_bytes(data[at + 1..at + 5].try_into().unwrap());
        let position = at as i32;
        if (-position..12_000_000).contains(&relative) {
            let absolute =
                if relative < 12_000_000 - position { relative + position } else { relative - 12_000_000 };
            data[at + 1..at + 5].copy_from_slice(&absolute.to_le_bytes());
        }
        at += 5;
    }
}

/// A stream `WofCompressedData`: chunks that do not shrink are plain.
pub(crate) fn wof(
    data: &[u8],
    chunk_size: usize,
    entry_size: usize,
    encode: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let (mut table, mut chunks) = (Vec::new(), Vec::new());
    for (n, chunk) in data.chunks(chunk_size).enumerate() {
        if n > 0 {
            table.extend(&(chunks.len() as u64).to_le_bytes()[..entry_size]);
        }
        let packed = encode(chunk);
        chunks.extend(if packed.len() < chunk.len() { packed } else { chunk.to_vec() });
    }
    table.extend(chunks);
    table
}
