/*!
Where the bytes of a sparse file lie: the hole maps of GNU tar.

| form | the map | name and size |
| --- | --- | --- |
| 1.0 | before the data, in whole blocks: decimal numbers, each ended by a newline: how many ranges, then offset and length of each | `GNU.sparse.name`, `GNU.sparse.realsize` |
| 0.1 | `GNU.sparse.map`: offset and length of each range, with commas | `GNU.sparse.name`, `GNU.sparse.size` |
| 0.0 | `GNU.sparse.offset` and `GNU.sparse.numbytes`, again and again | the usual; `GNU.sparse.size` |
| old | in the header block at 386: 4 pairs of 12 bytes; then, while the byte at 482 (in further blocks: 504) is set, a block of 21 pairs | size at 483 |

The data are the ranges one behind the other. The last range may be empty and say where the file ends. We write 1.0,
always with that last range, because GNU tar makes the hole at the end of a file of it.

Source: GNU tar manual, "Storing Sparse Files"; the old form: "Basic Tar Format".
*/

use std::io::Read;

use ntbak_wire::record::Extent;

use super::header::{Block, field};
use super::input::Input;
use super::pax::Records;
use super::{BLOCK, number, padding};
use crate::error::{Error, Result};
use crate::keys;

/// A hole map: ranges that are ascending, disjoint, not empty, and within `size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) size: u64,
    pub(crate) extents: Vec<Extent>,
}

/// Gathers the ranges of a map and checks each.
struct Builder {
    map: Map,
    end: u64,
    limit: usize,
    offset: u64,
}

impl Builder {
    fn new(size: u64, limit: usize, offset: u64) -> Self {
        Self { map: Map { size, extents: Vec::new() }, end: 0, limit, offset }
    }

    fn push(&mut self, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|end| *end <= self.map.size);
        let (Some(end), true) = (end, offset >= self.end) else {
            let why = "its ranges overlap, descend, or lie behind the end of the file";
            return Err(Error::malformed(self.offset, "sparse map", why));
        };
        if len == 0 {
            return Ok(());
        }
        if self.map.extents.len() >= self.limit {
            let (found, limit) = (self.limit as u64 + 1, self.limit as u64);
            return Err(Error::too_large(self.offset, "ranges of a sparse map: a number", found, limit));
        }
        self.end = end;
        self.map.extents.push(Extent { offset, len });
        Ok(())
    }
}

/// Decimal digits, as many as 63 bits hold.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    i64::try_from(number).is_ok().then_some(number)
}

/// Reads the map of form 1.0 from the start of the data: the map, and how many bytes it took.
pub(crate) fn read_map<R: Read>(
    input: &mut Input<R>,
    size: u64,
    stored: u64,
    limit: usize,
) -> Result<(Map, u64)> {
    let start = input.offset();
    let mut builder = Builder::new(size, limit, start);
    let fault = |why: &'static str| Error::malformed(start, "sparse map", why);
    let (mut taken, mut left, mut offset) = (0, None, None);
    let mut text = Vec::with_capacity(20);
    while left != Some(0) {
        if taken + BLOCK as u64 > stored {
            return Err(fault("it is longer than the entry"));
        }
        let block = input.block()?.ok_or_else(|| Error::truncated(start, "a sparse map"))?;
        taken += BLOCK as u64;
        for byte in block {
            if left == Some(0) {
                break;
            }
            if byte != b'\n' {
                text.push(byte);
                if text.len() > 19 {
                    return Err(fault("it has something that is no number"));
                }
                continue;
            }
            let number = decimal(&text).ok_or_else(|| fault("it has something that is no number"))?;
            text.clear();
            match (left, offset) {
                (None, _) => left = Some(number),
                (_, None) => offset = Some(number),
                (Some(ranges), Some(at)) => {
                    builder.push(at, number)?;
                    (left, offset) = (Some(ranges - 1), None);
                }
            }
        }
    }
    Ok((builder.map, taken))
}

/// The map of form 1.0 as it stands before the data.
pub(crate) fn build_map(size: u64, extents: &[Extent]) -> Vec<u8> {
    let mut map = Vec::with_capacity(BLOCK + extents.len() * 16);
    map.extend_from_slice(format!("{}\n", extents.len() + 1).as_bytes());
    for extent in extents.iter().chain(&[Extent { offset: size, len: 0 }]) {
        map.extend_from_slice(format!("{}\n{}\n", extent.offset, extent.len).as_bytes());
    }
    map.resize(map.len() + usize::try_from(padding(map.len() as u64)).unwrap_or(0), 0);
    map
}

/// The map of forms 0.0 and 0.1, if the records have one.
pub(crate) fn from_records(records: &Records, limit: usize, offset: u64) -> Result<Option<Map>> {
    let fault = |why: &'static str| Error::malformed(offset, "sparse map", why);
    let number = |text: &[u8]| decimal(text).ok_or_else(|| fault("it has something that is no number"));
    let old = records.get(keys::SPARSE_MAP).is_some() || records.get(keys::SPARSE_OFFSET).is_some();
    let blocks = records.get(keys::SPARSE_BLOCKS).is_some();
    let Some(size) = records.get(keys::SPARSE_SIZE).filter(|_| old || blocks) else {
        return if old { Err(fault("there is no GNU.sparse.size")) } else { Ok(None) };
    };
    let mut builder = Builder::new(number(size)?, limit, offset);
    if let Some(map) = records.get(keys::SPARSE_MAP) {
        let mut numbers = map.split(|byte| *byte == b',').filter(|_| !map.is_empty());
        while let Some(at) = numbers.next() {
            let len = numbers.next().ok_or_else(|| fault("its last range has no length"))?;
            builder.push(number(at)?, number(len)?)?;
        }
        return Ok(Some(builder.map));
    }
    let mut at = None;
    for (key, value) in records.iter() {
        if key == keys::SPARSE_OFFSET.as_bytes() {
            at = Some(number(value)?);
        } else if key == keys::SPARSE_BYTES.as_bytes() {
            let at = at.take().ok_or_else(|| fault("a length has no offset before it"))?;
            builder.push(at, number(value)?)?;
        }
    }
    Ok(Some(builder.map))
}

/// The map of the old form: from the header block, and the blocks behind it.
pub(crate) fn read_old<R: Read>(input: &mut Input<R>, header: &Block, limit: usize) -> Result<Map> {
    let start = input.offset();
    let number = |block: &Block, at: usize| {
        let number = number::parse(field(block, (at, 12))).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| Error::malformed(start, "sparse map", "it has something that is no number"))
    };
    let mut builder = Builder::new(number(header, 483)?, limit, start);
    let (mut block, mut first, mut pairs, mut more) = (*header, 386, 4, 482);
    // Empty ranges do not count in the map, so they need a budget of their own.
    let mut budget = limit / 21 + 2;
    loop {
        for pair in 0..pairs {
            let at = first + pair * 24;
            let used = field(&block, (at, 24)).iter().any(|byte| *byte != 0);
            if used {
                builder.push(number(&block, at)?, number(&block, at + 12)?)?;
            }
        }
        if field(&block, (more, 1)) == [0] {
            return Ok(builder.map);
        }
        budget -= 1;
        if budget == 0 {
            return Err(Error::too_large(
                start,
                "ranges of a sparse map: a number",
                limit as u64 + 1,
                limit as u64,
            ));
        }
        block = input.block()?.ok_or_else(|| Error::truncated(start, "a sparse map"))?;
        (first, pairs, more) = (0, 21, 504);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(map: &[u8], size: u64) -> Result<(Map, u64)> {
        read_map(&mut Input::new(map, 0, false), size, map.len() as u64, 1000)
    }

    fn padded(text: &str) -> Vec<u8> {
        let mut map = text.as_bytes().to_vec();
        map.resize(map.len().next_multiple_of(BLOCK), 0);
        map
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        for bad in [
            "1\n5\n6\n",       // Behind the end.
            "2\n5\n2\n6\n1\n", // Overlapping.
            "2\n5\n1\n0\n1\n", // Descending.
            "1\n-1\n1\n",      // No number.
            "x\n",
            "\n",
            "99999999999999999999\n",
            "9223372036854775808\n",
            "1\n9223372036854775807\n1\n",
            "9000000000000000000\n", // More ranges than there are bytes.
        ] {
            assert!(read(&padded(bad), 10).is_err(), "{bad:?}");
        }
        let (map, taken) = read(&padded("3\n0\n0\n2\n3\n10\n0\n"), 10).unwrap();
        assert_eq!((map.extents, taken), (vec![Extent { offset: 2, len: 3 }], 512));
        let many = (0..1001).map(|at| format!("{}\n1\n", at * 2)).collect::<String>();
        assert!(read(&padded(&format!("1001\n{many}")), 5000).is_err());
    }

    proptest! {
        #[test]
        fn maps_round_trip(ranges in prop::collection::vec((0..1u64 << 40, 1..1u64 << 40), 0..100), tail: u32) {
            let mut at = 0;
            let mut extents = Vec::new();
            for (gap, len) in ranges {
                extents.push(Extent { offset: at + gap, len });
                at += gap + len;
            }
            let size = at + u64::from(tail);
            let built = build_map(size, &extents);
            let (map, taken) = read(&built, size).unwrap();
            prop_assert_eq!((map, taken), (Map { size, extents }, built.len() as u64));
        }
    }
}
