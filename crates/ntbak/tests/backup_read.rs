//! `BackupRead` over files in memory: the numbered edge cases 28 to 46 of facts/backup-streams.md §7.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::*;
use ntbak::ReadRights;
use ntbak::memory::MemoryFile;
use ntbak::win32::{
    Access, Context, Create, FileFlags, MemoryVolume, System, backup_read, backup_seek, backup_write,
};
use ntbak_wire::object_id::{Guid, ObjectId};
use ntbak_wire::record::{Extent, StreamFlags};
use ntbak_wire::reparse::{self, ReparseTag};
use ntbak_wire::security::{Control, SecurityDescriptor};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, ea};

/// What `BackupRead` gives of a file, with all rights.
fn backup(file: MemoryFile) -> Vec<u8> {
    let (system, _) = bench(file);
    read_all(&open(&system, "f", READ), true, 1 << 20).unwrap()
}

fn lone(stream: SyntheticStream) -> System {
    let source = Synthetic { streams: vec![stream], ..Synthetic::default() };
    OneFile::reading(move || Box::new(source.clone()))
}

#[test]
fn bs_28_any_buffer_size_gives_the_same_bytes() {
    let (file, expected) = rich();
    let (system, _) = bench(file);
    let file = open(&system, "f", READ);
    for chunk in [1, 7, 19, 20, 21, 4095, 4096, 4097, 65_536, 1 << 20] {
        assert!(read_all(&file, true, chunk).unwrap() == expected, "buffers of {chunk}");
    }
    // Every size in turn, and buffers of no bytes between them: those change nothing.
    let (mut context, mut out) = (Context::default(), Vec::new());
    for chunk in [1, 20, 4096, 7, 5000, 19, 1].into_iter().cycle() {
        assert_eq!(read(&file, 0, true, &mut context).unwrap(), b"");
        assert!(!context.is_null(), "a read of no bytes makes the context");
        let got = read(&file, chunk, true, &mut context).unwrap();
        out.extend_from_slice(&got);
        if got.len() < chunk {
            break;
        }
    }
    assert!(out == expected);
    for _ in 0..3 {
        assert_eq!(read(&file, 100, true, &mut context).unwrap(), b"", "the end comes again and again");
    }
}

#[test]
fn bs_28_the_buffer_is_filled_across_streams() {
    let (file, expected) = rich();
    let (system, _) = bench(file);
    let file = open(&system, "f", READ);
    let mut context = Context::default();
    assert!(read(&file, expected.len(), true, &mut context).unwrap() == expected);
    assert_eq!(read(&file, 1, true, &mut context).unwrap(), b"");
}

#[test]
fn bs_29_header_then_name_then_seek_sees_every_header() {
    let (file, expected) = rich();
    let (system, _) = bench(file);
    let file = open(&system, "f", READ);
    let (mut context, mut seen) = (Context::default(), Vec::new());
    loop {
        let head = read(&file, 20, true, &mut context).unwrap();
        if head.is_empty() {
            break;
        }
        let size = u64::from_le_bytes(head[8..16].try_into().unwrap());
        let name_size = u32::from_le_bytes(head[16..20].try_into().unwrap());
        let name = read(&file, name_size as usize, true, &mut context).unwrap();
        assert_eq!(name.len(), name_size as usize);
        let mut moved = 0;
        backup_seek(Some(&file), size, &mut moved, &mut context).unwrap();
        assert_eq!(moved, size);
        seen.push((u32::from_le_bytes(head[..4].try_into().unwrap()), size as usize, name.len() / 2));
    }
    let pieces = split(&expected);
    let all: Vec<_> =
        pieces.iter().map(|piece| (piece.id, piece.payload.len(), piece.name.chars().count())).collect();
    assert_eq!(seen, all);
    assert_eq!(code(backup_seek(Some(&file), 1, &mut 0, &mut context)), 25, "after the last stream");
}

#[test]
fn bs_30_an_empty_file_has_no_streams() {
    let (system, _) = bench(MemoryFile::file());
    let file = open(&system, "f", READ);
    let mut context = Context::default();
    for _ in 0..3 {
        assert_eq!(read(&file, 4096, false, &mut context).unwrap(), b"");
    }
    assert!(!context.is_null(), "the context lives until it is freed");
}

#[test]
fn bs_31_an_empty_alternate_stream_is_there() {
    let file = MemoryFile::file().with_stream(Some(name("zone")), b"");
    assert_eq!(backup(file), named(":zone:$DATA", 0, b""));
}

#[test]
fn bs_16_odd_names_come_as_they_are() {
    let units = [vec![1, 0x1F, 0xD800, 0x7A, 0xDFFF, 0xD83D, 0xDE00], vec![0x100; 255]];
    for units in units {
        let stream = StreamName::new(Name::from_units(units.clone())).unwrap();
        let wire = [&[u16::from(b':')][..], &units, &":$DATA".encode_utf16().collect::<Vec<_>>()].concat();
        let expected = [header(ALTERNATE, 0, 1, &wire), b"x".to_vec()].concat();
        assert_eq!(backup(MemoryFile::file().with_stream(Some(stream), b"x")), expected);
    }
}

#[test]
fn bs_32_a_directory_has_no_data_stream() {
    let mut file = MemoryFile::directory().with_stream(Some(name("a")), b"alternate");
    file.security = Some(full_sd());
    file.object_id = Some(object_id(1));
    let expected =
        [stream(SECURITY, 2, &full_sd()), named(":a:$DATA", 0, b"alternate"), stream(OBJECT_ID, 0, &[1; 64])];
    assert_eq!(backup(file), expected.concat());
}

#[test]
fn bs_33_a_link_is_read_or_followed() {
    let buffer = reparse::symlink_from_print_name(&Name::from("target.txt")).unwrap();
    let volume = MemoryVolume::new();
    let mut link = MemoryFile::file();
    link.reparse = Some(buffer.clone());
    volume.insert("dir/link", link);
    volume.insert("dir/target.txt", MemoryFile::file().with_stream(None, b"the target"));
    let system = System::new(volume);
    for (flags, expected) in [
        (FileFlags::OPEN_REPARSE_POINT, stream(REPARSE, 0, &buffer)),
        (FileFlags::empty(), stream(DATA, 0, b"the target")),
    ] {
        let how = Create { access: READ, flags, ..Create::default() };
        let file = system.create_file("dir/link", how).unwrap();
        assert_eq!(read_all(&file, true, 64).unwrap(), expected, "{flags:?}");
    }
}

#[test]
fn bs_34_reparse_buffers_come_byte_for_byte() {
    let guid = Guid(*b"sixteen bytes id");
    let wof = [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    let mut odd_reserved = opaque_reparse();
    odd_reserved[6] = 0x5A;
    for buffer in [
        reparse::mount_point_from_print_name(&Name::from(r"C:\there")).unwrap(),
        reparse::build(ReparseTag::WOF, None, &wof).unwrap(),
        reparse::build_lx_symlink(b"/etc/\xFFpasswd").unwrap(),
        reparse::build(ReparseTag(0x123), Some(guid), b"third party").unwrap(),
        reparse::build(ReparseTag::DEDUP, None, &[9; reparse::MAX_SIZE - 8]).unwrap(),
        odd_reserved,
    ] {
        let mut file = MemoryFile::file().with_stream(None, b"kept");
        file.reparse = Some(buffer.clone());
        assert_eq!(backup(file), [stream(REPARSE, 0, &buffer), stream(DATA, 0, b"kept")].concat());
    }
}

#[test]
fn bs_35_an_unbuffered_handle_is_refused() {
    let (system, _) = bench(MemoryFile::file().with_stream(None, b"data"));
    let flags = FileFlags::NO_BUFFERING | FileFlags::BACKUP_SEMANTICS;
    let file = system.create_file("f", Create { access: READ | WRITE, flags, ..Create::default() }).unwrap();
    let mut context = Context::default();
    assert_eq!(code(read(&file, 100, false, &mut context)), 87);
    assert_eq!(write(&file, b"", false, &mut context), (0, 87));
    assert!(context.is_null());
    assert!(
        backup_read(Some(&file), &mut [], &mut 0, true, false, &mut context).is_ok(),
        "abort looks at nothing"
    );
}

#[test]
fn bs_36_without_the_right_the_sacl_is_left_out() {
    let (system, _) = bench(rich().0);
    let all = read_all(&open(&system, "f", READ), true, 4096).unwrap();
    let some = read_all(&open(&system, "f", Access::GENERIC_READ), true, 4096).unwrap();
    assert_eq!(split(&all)[0].payload, full_sd());
    let (all, some) = (split(&all), split(&some));
    assert_eq!(all[1..], some[1..], "nothing else changes");

    let (whole, cut) = (SecurityDescriptor::parse(&all[0].payload).unwrap(), &some[0]);
    assert_eq!((cut.id, cut.attributes), (SECURITY, 2));
    let cut = SecurityDescriptor::parse(&cut.payload).unwrap();
    assert_eq!((cut.owner(), cut.group(), cut.dacl()), (whole.owner(), whole.group(), whole.dacl()));
    assert!(!cut.control().contains(Control::SACL_PRESENT) && cut.sacl().acl().is_none());
    assert!(cut.control().contains(Control::DACL_PROTECTED));
    // No byte of the SACL is left behind in it: the label's SID, S-1-16-12288, is in no other part.
    let label = 12288_u32.to_le_bytes();
    assert!(whole.bytes().windows(4).any(|window| window == label));
    assert!(!cut.bytes().windows(4).any(|window| window == label));
}

#[test]
fn bs_37_missing_rights_are_5_and_not_silence() {
    let (file, expected) = rich();
    let (system, _) = bench(file);
    let pieces = split(&expected);
    let first_data = expected.len() - pieces[3..].iter().map(wire_len).sum::<usize>();
    let without_security = &expected[wire_len(&pieces[0])..];
    // (rights, security wanted, good bytes before the failure or all of them)
    let all =
        Access::READ_CONTROL | Access::FILE_READ_DATA | Access::FILE_READ_EA | Access::ACCESS_SYSTEM_SECURITY;
    let ea_end = wire_len(&pieces[0]);
    for (access, security, good, number) in [
        (all, true, &expected[..], 0),
        (all - Access::READ_CONTROL, true, &expected[..0], 5),
        (all - Access::READ_CONTROL, false, without_security, 0),
        (all - Access::FILE_READ_EA, true, &expected[..ea_end], 5),
        (all - Access::FILE_READ_DATA, true, &expected[..first_data], 5),
    ] {
        let file = open(&system, "f", access);
        let mut context = Context::default();
        let got = match read(&file, expected.len(), security, &mut context) {
            Ok(got) => got,
            Err(error) => {
                assert_eq!(error.win32().0, number);
                Vec::new()
            }
        };
        assert!(got == good, "{access:?}, security {security}: {} bytes", got.len());
        for _ in 0..2 {
            let again = read(&file, 100, security, &mut context);
            assert_eq!(again.map_or_else(|error| error.win32().0, |more| more.len() as u32), number);
        }
    }
    // The flag counts at the moment when the stream would begin.
    let file = open(&system, "f", all - Access::READ_CONTROL);
    let mut context = Context::default();
    assert_eq!(code(read(&file, 10, true, &mut context)), 5);
    assert!(read(&file, expected.len(), false, &mut context).unwrap() == without_security);
}

fn wire_len(piece: &Piece) -> usize {
    20 + piece.name.encode_utf16().count() * 2 + piece.payload.len()
}

#[test]
fn bs_38_a_locked_range_is_33_after_the_bytes_before_it() {
    let (size, locked) = (300_000, 100_001..150_000);
    let system = lone(SyntheticStream { size, locked: locked.clone(), ..SyntheticStream::default() });
    let file = open(&system, "f", READ);
    let expected: Vec<u8> = (0..size).map(byte_at).collect();
    for chunk in [1, 7, 4095, 4096, 65_536, 1 << 20] {
        let (mut context, mut got) = (Context::default(), Vec::new());
        let number = loop {
            match read(&file, chunk, false, &mut context) {
                Ok(more) => got.extend(more),
                Err(error) => break error.win32().0,
            }
        };
        assert_eq!((number, got.len()), (33, 20 + locked.start as usize), "buffers of {chunk}");
        assert_eq!(code(read(&file, chunk, false, &mut context)), 33, "the position stays");
        backup_seek(Some(&file), locked.end - locked.start, &mut 0, &mut context).unwrap();
        let rest = read(&file, 1 << 20, false, &mut context).unwrap();
        assert!(got[20..] == expected[..locked.start as usize]);
        assert!(rest == expected[locked.end as usize..], "buffers of {chunk}");
    }
}

#[test]
fn bs_39_a_file_that_grows_is_read_to_the_size_that_was_told() {
    let (system, shared) =
        bench(MemoryFile::file().with_stream(None, &bytes(10_000)).with_stream(Some(name("a")), b"x"));
    let file = open(&system, "f", READ);
    for first in [20, 30, 5000] {
        let mut context = Context::default();
        let mut got = read(&file, first, false, &mut context).unwrap();
        shared.write().streams.values_mut().next().unwrap().write(10_000, b"more");
        got.extend(read(&file, 1 << 20, false, &mut context).unwrap());
        assert_eq!(got, [stream(DATA, 0, &bytes(10_000)), named(":a:$DATA", 0, b"x")].concat());
        shared.write().streams.values_mut().next().unwrap().set_size(10_000);
    }
}

#[test]
fn bs_39_a_file_that_shrinks_is_38() {
    let (system, shared) =
        bench(MemoryFile::file().with_stream(None, &bytes(200_000)).with_stream(Some(name("a")), b"x"));
    let file = open(&system, "f", READ);
    let mut context = Context::default();
    assert_eq!(read(&file, 20 + 4096, false, &mut context).unwrap().len(), 4116);
    shared.write().streams.values_mut().next().unwrap().set_size(150_000);
    let good = read(&file, 1 << 20, false, &mut context).unwrap();
    assert!(good == bytes(200_000)[4096..150_000]);
    assert_eq!(code(read(&file, 1 << 20, false, &mut context)), 38);
    backup_seek(Some(&file), 50_000, &mut 0, &mut context).unwrap();
    assert_eq!(read(&file, 100, false, &mut context).unwrap(), named(":a:$DATA", 0, b"x"));
}

#[test]
fn bs_39_a_sparse_file_that_grows_is_cut_at_the_size_that_was_told() {
    let mut file = MemoryFile::file();
    put_stream(&mut file, sparse(None, 500_000, &[(65_536, 1000), (400_000, 100_000)]));
    let (system, shared) = bench(file);
    let file = open(&system, "f", READ);
    let mut context = Context::default();
    let mut got = read(&file, 20, false, &mut context).unwrap();
    shared.write().streams.values_mut().next().unwrap().write(500_000, &bytes(70_000));
    shared.write().streams.values_mut().next().unwrap().write(900_000, &bytes(70_000));
    got.extend(read(&file, 1 << 20, false, &mut context).unwrap());
    assert_eq!(shape(&got), [(DATA, 8, 0), (BLOCK, 8, 1008), (BLOCK, 8, 100_008), (BLOCK, 8, 8)]);
    assert_eq!(split(&got)[3].payload, 500_000_u64.to_le_bytes());
}

#[test]
fn bs_40_one_lxattrb_has_72_bytes_with_next_0() {
    let on_disk = [b"\x48\0\0\0\0\x07\x38\0LXATTRB\0", &[7; 56][..]].concat();
    let mut file = MemoryFile::file();
    file.ea = Some(ea::on_disk_to_full(&on_disk).unwrap());
    let expected = [b"\0\0\0\0", &on_disk[4..]].concat();
    assert_eq!(expected.len(), 72);
    assert_eq!(backup(file), stream(EA, 0, &expected));
}

#[test]
fn bs_41_a_short_object_id_is_filled_with_zeros() {
    let mut file = MemoryFile::file();
    file.object_id = Some(ObjectId::parse(&[9; 16]).unwrap());
    assert_eq!(backup(file), stream(OBJECT_ID, 0, &[[9; 16], [0; 16], [0; 16], [0; 16]].concat()));
}

#[test]
fn bs_42_an_encrypted_file_is_5_before_any_byte() {
    let mut file = rich().0;
    file.info.attributes |= FileAttributes::ENCRYPTED;
    let (system, shared) = bench(file);
    let file = open(&system, "f", READ);
    let mut context = Context::default();
    for security in [true, false, true] {
        assert_eq!(code(read(&file, 4096, security, &mut context)), 5);
    }
    shared.write().info.attributes -= FileAttributes::ENCRYPTED;
    assert!(read(&file, 1 << 20, true, &mut context).unwrap() == rich().1, "the position is the beginning");
}

#[test]
fn bs_42_an_encrypted_stream_is_never_given_as_it_is_stored() {
    for attributes in [FileAttributes::DIRECTORY | FileAttributes::ENCRYPTED, FileAttributes::DIRECTORY] {
        let mut file = MemoryFile::directory().with_stream(Some(name("secret")), b"ciphertext");
        file.info.attributes = attributes;
        file.streams.values_mut().next().unwrap().flags = StreamFlags::ENCRYPTED;
        let (system, _) = bench(file);
        let got = read_all(&open(&system, "f", READ), false, 4096);
        assert_eq!(got.map_err(|error| error.win32().0), Err(5), "{attributes:?}");
    }
}

#[test]
fn bs_43_abort_takes_any_context_and_nothing_else() {
    let (system, _) = bench(rich().0);
    let file = open(&system, "f", READ | WRITE);
    let mut count = 7;
    for by_write in [false, true] {
        for in_write in [false, true] {
            let mut context = Context::default();
            if in_write {
                assert_eq!(write(&file, b"\x01\0\0", true, &mut context), (3, 0));
            } else {
                assert_eq!(read(&file, 10, true, &mut context).unwrap().len(), 10);
            }
            // Twice with a context, the second time with NULL.
            for _ in 0..2 {
                let aborted = if by_write {
                    backup_write(None, &[], &mut count, true, false, &mut context)
                } else {
                    backup_read(None, &mut [], &mut count, true, false, &mut context)
                };
                assert!(aborted.is_ok() && context.is_null() && count == 7);
            }
            // The next call begins anew.
            assert_eq!(read(&file, 4, true, &mut context).unwrap(), 3_u32.to_le_bytes());
        }
    }
    assert_eq!(code(backup_read(None, &mut [0; 9], &mut count, false, false, &mut Context::default())), 6);
    assert_eq!(code(backup_write(None, &[0; 9], &mut count, false, false, &mut Context::default())), 6);
}

#[test]
fn bs_44_a_context_belongs_to_its_handle_and_direction() {
    let (system, _) = bench(MemoryFile::file().with_stream(None, b"data"));
    let (file, other) = (open(&system, "f", READ | WRITE), open(&system, "f", READ | WRITE));
    let mut context = Context::default();
    assert_eq!(read(&file, 10, true, &mut context).unwrap().len(), 10);
    assert_eq!(code(read(&other, 10, true, &mut context)), 87);
    assert_eq!(code(backup_seek(Some(&other), 1, &mut 0, &mut context)), 87);
    assert_eq!(write(&file, b"1234", true, &mut context), (0, 87));
    assert_eq!(read(&file.clone(), 10, true, &mut context).unwrap().len(), 10, "nothing was lost");

    let mut context = Context::default();
    assert_eq!(write(&file, b"\x01\0", true, &mut context), (2, 0));
    assert_eq!(code(read(&file, 10, true, &mut context)), 87);
    assert_eq!(write(&other, b"1234", true, &mut context), (0, 87));
}

#[test]
fn bs_45_a_hundred_thousand_streams_take_linear_time() {
    let streams = 100_000;
    let source = Synthetic {
        streams: (0..streams)
            .map(|n| SyntheticStream {
                name: Some(name(&format!("s{n:06}"))),
                size: 1,
                ..SyntheticStream::default()
            })
            .collect(),
        ..Synthetic::default()
    };
    let out = read_stream(&source, ReadRights::ALL, 1 << 20).unwrap();
    assert_eq!(out.len(), streams * (20 + 14 * 2 + 1));
    let heads = source.seen.heads.load(Ordering::Relaxed);
    assert!(heads <= 2 * streams + 10, "{heads} heads were asked for");

    // The same through memory, there and back; quadratic, it would be ten billion steps.
    let began = Instant::now();
    let file = write_stream(&out, false, |_| 1 << 20).unwrap();
    assert_eq!(file.streams.len(), streams + 1);
    assert!(read_stream(&source_of(&file), ReadRights::ALL, 1 << 20).unwrap() == out);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn bs_45_a_stream_above_4_gib_keeps_its_offsets() {
    let size = (4 << 30) + 12_345;
    let system = lone(SyntheticStream { name: Some(name("big")), size, ..SyntheticStream::default() });
    let file = open(&system, "f", READ);
    let mut context = Context::default();
    let head = read(&file, 20 + 20, false, &mut context).unwrap();
    assert_eq!(head[8..16], size.to_le_bytes());
    let last = 100_000;
    backup_seek(Some(&file), size - last, &mut 0, &mut context).unwrap();
    let tail = read(&file, 1 << 20, false, &mut context).unwrap();
    assert!(tail == (size - last..size).map(byte_at).collect::<Vec<_>>());
}

#[test]
fn bs_46_ten_thousand_ranges_come_in_order_with_one_terminator() {
    let count = 10_000_u64;
    let ranges: Vec<_> = (0..count).map(|n| Extent { offset: n * 131_072, len: 65_536 }).collect();
    // The last range is cut at the end of the file.
    let size = (count - 1) * 131_072 + 777;
    let source = Synthetic {
        streams: vec![SyntheticStream { size, ranges: Some(ranges), ..SyntheticStream::default() }],
        ..Synthetic::default()
    };
    let mut reader = ntbak::BackupReader::new();
    let mut head = [0; 28];
    assert_eq!(reader.read(&source, ReadRights::ALL, &mut head[..20]).unwrap(), 20);
    assert_eq!(head[..20], header(DATA, SPARSE, 0, &[]));
    for n in 0..=count {
        assert_eq!(reader.read(&source, ReadRights::ALL, &mut head).unwrap(), 28);
        let (offset, len) = match n {
            n if n == count => (size, 0),
            n if n == count - 1 => (n * 131_072, 777),
            n => (n * 131_072, 65_536),
        };
        let expected = [header(BLOCK, SPARSE, 8 + len, &[]), offset.to_le_bytes().to_vec()].concat();
        assert_eq!(head[..], expected, "block {n}");
        assert!(reader.seek(len).complete);
    }
    assert_eq!(reader.read(&source, ReadRights::ALL, &mut head).unwrap(), 0);
}

#[test]
fn bs_46_the_shapes_of_sparse_streams() {
    let named = |text| Some(name(text));
    for (stream_name, id) in [(None, DATA), (named("a"), ALTERNATE)] {
        for (size, ranges, expected) in [
            (0, &[][..], &[(id, 8, 0)][..]),
            (777, &[], &[(id, 8, 0), (BLOCK, 8, 8)]),
            (777, &[(0, 777)], &[(id, 8, 777)]),
            (778, &[(0, 777)], &[(id, 8, 0), (BLOCK, 8, 785), (BLOCK, 8, 8)]),
            (778, &[(1, 777)], &[(id, 8, 0), (BLOCK, 8, 785), (BLOCK, 8, 8)]),
            (100, &[(0, 1), (99, 1)], &[(id, 8, 0), (BLOCK, 8, 9), (BLOCK, 8, 9), (BLOCK, 8, 8)]),
        ] {
            let mut file = MemoryFile::file();
            put_stream(&mut file, sparse(stream_name.clone(), size, ranges));
            let got = backup(file);
            assert_eq!(shape(&got), expected, "{size} {ranges:?}");
            if expected.len() > 1 {
                assert_eq!(split(&got).last().unwrap().payload, size.to_le_bytes(), "the end of the file");
            }
        }
    }
}
