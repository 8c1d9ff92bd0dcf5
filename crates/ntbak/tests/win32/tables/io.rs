use super::*;
use ntbak::win32::{
    MoveMethod, get_file_size_ex, read_file, read_file_at, set_end_of_file, set_file_pointer_ex, write_file,
    write_file_at,
};

pub fn read_and_write(system: &System, _: Kind) {
    let file = create(system, r"C:\f", BOTH, NEW).unwrap();
    assert_eq!(write_file(&file, b"hello world").unwrap(), 11);
    assert_eq!(read_file(&file, &mut [0; 5]).unwrap(), 0, "the position is at the end");
    set_file_pointer_ex(&file, 6, MoveMethod::Begin).unwrap();
    let mut buffer = [0; 3];
    assert_eq!((read_file(&file, &mut buffer).unwrap(), &buffer), (3, b"wor"));
    let mut buffer = [9; 5];
    assert_eq!((read_file(&file, &mut buffer).unwrap(), &buffer), (2, &[b'l', b'd', 9, 9, 9]));
    assert_eq!(read_file(&file, &mut []).unwrap(), 0);
    write_file_at(&file, 0, b"J").unwrap();
    assert_eq!(read_file_at(&file, 0, &mut buffer).unwrap(), 5);
    assert_eq!(&buffer, b"Jello");
    assert_eq!(set_file_pointer_ex(&file, 0, MoveMethod::Current).unwrap(), 5, "behind what was read");
    write_file_at(&file, u64::MAX, b"!").unwrap();
    assert_eq!(set_file_pointer_ex(&file, 0, MoveMethod::Current).unwrap(), 12, "behind what was written");
    let how = Create { access: READ, flags: FileFlags::OVERLAPPED, ..Create::default() };
    let overlapped = system.create_file(r"C:\f", how).unwrap();
    assert_eq!(read_file_at(&overlapped, 3, &mut buffer).unwrap(), 5);
    assert_eq!(set_file_pointer_ex(&overlapped, 0, MoveMethod::Current).unwrap(), 0, "it has none");
    assert_eq!(get(system, r"C:\f"), b"Jello world!");
    // Behind the end: zeros between.
    set_file_pointer_ex(&file, 15, MoveMethod::Begin).unwrap();
    write_file(&file, b"x").unwrap();
    assert_eq!(get(system, r"C:\f"), b"Jello world!\0\0\0x");
    assert_eq!(write_file(&file, b"").unwrap(), 0);
    fails(write_file_at(&file, i64::MAX as u64, b"x"), 87, "behind the end of all files");
    system.create_directory(r"C:\d").unwrap();
    let directory = with(system, r"C:\d", BOTH, ITSELF).unwrap();
    fails(read_file(&directory, &mut [0; 4]), 1, "reading a directory");
    fails(write_file(&directory, b"x"), 1, "writing a directory");
    assert_eq!(get_file_size_ex(&directory).unwrap(), 0, "the size of a directory");
}

pub fn make_positions(system: &System) {
    put(system, r"C:\f", b"0123456789");
}

pub fn positions(system: &System, _: Kind) {
    let file = create(system, r"C:\f", READ, EXISTING).unwrap();
    let (begin, current, end) = (MoveMethod::Begin, MoveMethod::Current, MoveMethod::End);
    for (distance, method, expected) in [
        (3, begin, Ok(3)),
        (2, current, Ok(5)),
        (-4, current, Ok(1)),
        (-2, current, Err(131)),
        (0, current, Ok(1)),
        (-10, end, Ok(0)),
        (-11, end, Err(131)),
        (5, end, Ok(15)),
        (i64::MAX, begin, Ok(i64::MAX as u64)),
        (1, current, Err(87)),
        (i64::MIN, current, Err(131)),
        (-1, begin, Err(131)),
    ] {
        let got = set_file_pointer_ex(&file, distance, method).map_err(|error| error.win32().0);
        assert_eq!(got, expected, "{distance} {method:?}");
    }
    assert_eq!(read_file(&file, &mut [0; 4]).unwrap(), 0);
    for (value, expected) in
        [(0, Some(begin)), (1, Some(current)), (2, Some(end)), (3, None), (u32::MAX, None)]
    {
        assert_eq!(MoveMethod::try_from(value).ok(), expected);
    }
    let clone = file.clone();
    set_file_pointer_ex(&file, 7, begin).unwrap();
    assert_eq!(set_file_pointer_ex(&clone, 0, current).unwrap(), 7, "one handle, one position");
    let other = create(system, r"C:\f", READ, EXISTING).unwrap();
    assert_eq!(set_file_pointer_ex(&other, 0, current).unwrap(), 0);
}

pub fn ends(system: &System, _: Kind) {
    put(system, r"C:\f", b"0123456789");
    let file = create(system, r"C:\f", BOTH, EXISTING).unwrap();
    for (size, content) in [(4, &b"0123"[..]), (6, b"0123\0\0"), (0, b""), (2, b"\0\0")] {
        set_file_pointer_ex(&file, size, MoveMethod::Begin).unwrap();
        set_end_of_file(&file).unwrap();
        assert_eq!(get_file_size_ex(&file).unwrap(), size as u64);
        assert_eq!(get(system, r"C:\f"), content);
    }
    fails(ntbak::win32::set_end_of_file_info(&file, 1 << 63), 87, "longer than any file");
    ntbak::win32::set_end_of_file_info(&file, 5).unwrap();
    assert_eq!(get_file_size_ex(&file).unwrap(), 5);
}

pub fn appended_by_many(system: &System, kind: Kind) {
    const TIMES: usize = 200;
    put(system, r"C:\f", b"");
    let all = std::sync::Barrier::new(3);
    let writer = |by: u8| {
        let file = create(system, r"C:\f", Access::FILE_APPEND_DATA, EXISTING).unwrap();
        all.wait();
        for n in 0..TIMES {
            let end = n % 2 == 0;
            let wrote =
                if end { write_file(&file, &[by; 3]) } else { write_file_at(&file, u64::MAX, &[by; 3]) };
            assert_eq!(wrote.unwrap(), 3);
        }
    };
    std::thread::scope(|scope| {
        for by in *b"abc" {
            let writer = &writer;
            scope.spawn(move || writer(by));
        }
    });
    let got = get(system, r"C:\f");
    assert_eq!(got.len(), 9 * TIMES, "{kind:?}: none wrote over another");
    assert!(got.chunks(3).all(|three| three == [three[0]; 3]), "{kind:?}");
}

pub fn rights(system: &System, _: Kind) {
    put(system, r"C:\f", b"0123");
    for (access, reads, writes, ends) in [
        (READ, 0, 5, 5),
        (WRITE, 5, 0, 0),
        (BOTH, 0, 0, 0),
        (Access::empty(), 5, 5, 5),
        (Access::FILE_APPEND_DATA, 5, 0, 5),
        (Access::FILE_EXECUTE, 5, 5, 5),
        (Access::DELETE | Access::READ_CONTROL, 5, 5, 5),
    ] {
        let file = create(system, r"C:\f", access, EXISTING).unwrap();
        fails(read_file(&file, &mut [0; 4]), reads, (access, "read"));
        fails(write_file(&file, b"4"), writes, (access, "write"));
        fails(set_end_of_file(&file), ends, (access, "end"));
    }
    // With FILE_APPEND_DATA alone, writing is appending, wherever the position is.
    put(system, r"C:\g", b"0123");
    let file = create(system, r"C:\g", Access::FILE_APPEND_DATA, EXISTING).unwrap();
    write_file(&file, b"4").unwrap();
    write_file_at(&file, 0, b"5").unwrap();
    assert_eq!(get(system, r"C:\g"), b"012345");
}

pub fn named_streams(system: &System, _: Kind) {
    put(system, r"C:\f", b"main");
    let file = create(system, r"C:\f:s", BOTH, NEW).unwrap();
    write_file(&file, b"0123456789").unwrap();
    write_file_at(&file, 3, b"abc").unwrap();
    write_file_at(&file, 12, b"end").unwrap();
    assert_eq!(get(system, r"C:\f:s"), b"012abc6789\0\0end");
    assert_eq!(get_file_size_ex(&file).unwrap(), 15);
    set_file_pointer_ex(&file, 4, MoveMethod::Begin).unwrap();
    set_end_of_file(&file).unwrap();
    assert_eq!(get(system, r"C:\f:s"), b"012a");
    // Larger than what fits into an attribute.
    let large: Vec<u8> = (0..200_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    write_file_at(&file, 4, &large).unwrap();
    write_file_at(&file, 100_000, b"HERE").unwrap();
    let mut expected = [b"012a".to_vec(), large].concat();
    expected[100_000..100_004].copy_from_slice(b"HERE");
    let mut back = vec![0; 300_000];
    assert_eq!(read_file_at(&file, 0, &mut back).unwrap(), 200_004);
    assert!(back[..200_004] == expected);
    assert_eq!(get(system, r"C:\f"), b"main");
    drop(file);
    fails(system.delete_file(r"C:\f:s"), 0, "nobody has it open");
    fails(create(system, r"C:\f:s", READ, EXISTING), 2, "deleted");
    fails(system.delete_file(r"C:\f:s"), 2, "deleted");
    assert_eq!(get(system, r"C:\f"), b"main");
}

pub fn unbuffered(system: &System, _: Kind) {
    put(system, r"C:\f", &[7; 2048]);
    let how = Create { access: BOTH, flags: FileFlags::NO_BUFFERING, ..Create::default() };
    let file = system.create_file(r"C:\f", how).unwrap();
    for (offset, len, expected) in [(0, 512, 0), (512, 1024, 0), (1, 512, 87), (0, 511, 87), (0, 0, 0)] {
        fails(read_file_at(&file, offset, &mut vec![0; len]), expected, (offset, len));
        fails(write_file_at(&file, offset, &vec![1; len]), expected, (offset, len));
    }
    fails(set_file_pointer_ex(&file, 3, MoveMethod::Begin), 87, "within a sector");
    fails(set_file_pointer_ex(&file, 1024, MoveMethod::Begin), 0, "a sector");
}
