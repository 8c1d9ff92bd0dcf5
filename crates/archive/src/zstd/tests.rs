use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use proptest::prelude::*;

use super::*;
use crate::limits::Limits;

fn data(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|at| if at % 3 == 0 { random() } else { (at / 100) as u8 }).collect()
}

fn compress(data: &[u8], threads: usize) -> Vec<u8> {
    let mut compressor = Compressor::new(Vec::new(), 1, threads).unwrap();
    for piece in data.chunks(100_000) {
        compressor.write_all(piece).unwrap();
    }
    compressor.finish().unwrap()
}

fn decompress(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut decompressor = Decompressor::new(packed)?;
    decompressor.read_to_end(&mut out)?;
    decompressor.check().map_err(std::io::Error::other)?;
    Ok(out)
}

#[test]
fn frames_are_the_same_on_any_number_of_threads() {
    for len in [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME + 17] {
        let data = data(len);
        let packed = compress(&data, 1);
        assert_eq!(decompress(&packed).unwrap(), data);
        for threads in [2, 5] {
            assert!(compress(&data, threads) == packed, "{len} bytes on {threads} threads");
        }
    }
}

#[test]
fn any_place_is_reached() {
    let data = data(3 * FRAME + 17);
    let packed = compress(&data, 2);
    let mut file = Seekable::open(Cursor::new(&packed), &Limits::default()).unwrap().ok().unwrap();
    assert_eq!(file.len(), data.len() as u64);
    for at in [0, 5, FRAME - 3, 2 * FRAME, FRAME, FRAME + 70_000, 3 * FRAME + 10, 3 * FRAME + 17, 99 << 20] {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut piece = Vec::new();
        (&mut file).take(100).read_to_end(&mut piece).unwrap();
        let end = (at + 100).min(data.len());
        assert!(piece == data[at.min(end)..end], "at {at}");
    }
    file.seek(SeekFrom::End(-1)).unwrap();
    let mut last = Vec::new();
    file.read_to_end(&mut last).unwrap();
    assert_eq!(last, data[data.len() - 1..]);
}

#[test]
fn a_table_that_lies_is_refused() {
    let packed = compress(&data(1000), 1);
    let table = packed.len() - TABLE_FOOTER;
    let open = |packed: &[u8]| Seekable::open(Cursor::new(packed.to_owned()), &Limits::default());
    for (at, byte) in [(table, 2), (table + 3, 0x7F), (table + 4, 0x80), (table - 4, 0xFF), (table - 5, 0xFF)]
    {
        let mut lying = packed.clone();
        lying[at] = byte;
        let found = open(&lying).map(|file| file.ok().map(|mut file| file.read_to_end(&mut Vec::new())));
        assert!(!matches!(found, Ok(Some(Ok(len))) if len == 1000) || at == table - 4, "byte {at}");
        assert!(decompress(&lying).is_err());
    }
    assert!(open(b"short").unwrap().is_err());
    assert!(open(&[0; 100]).unwrap().is_err());
}

#[test]
fn every_cut_is_found_and_no_flipped_bit_changes_what_comes_out() {
    let data = b"hello hello hello hello hello hello".repeat(3);
    let packed = compress(&data, 1);
    for len in 0..packed.len() {
        assert!(decompress(&packed[..len]).is_err(), "cut at {len}");
    }
    for bit in 0..packed.len() * 8 {
        let mut flipped = packed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // A few bits say the same in another way, such as how the window is given.
        if let Ok(out) = decompress(&flipped) {
            assert_eq!(out, data, "bit {bit} changes the content and is not found");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_read_or_refused(mut data: Vec<u8>, magic: bool) {
        if magic {
            data.splice(0..0, FRAME_MAGIC.to_le_bytes());
        }
        let _ = decompress(&data);
        let _ = Seekable::open(Cursor::new(data), &Limits::default());
    }
}
