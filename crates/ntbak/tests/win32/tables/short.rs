//! 8.3 names: no function here makes one, so the files come from memory.

use super::*;
use ntbak::memory::MemoryFile;
use ntbak::win32::{MemoryVolume, MoveFlags, find_first_file, find_next_file};
use ntbak_wire::record::{Link, NodeId};
use ntbak_wire::stream::StreamName;

const LONG: &str = "Long name of a file.txt";
const OTHER: &str = "Long name of another.txt";

/// What is to be `E:`.
pub fn source() -> MemoryVolume {
    let volume = MemoryVolume::new();
    for (name, short) in [(LONG, "LONGNA~1.TXT"), (OTHER, "LONGNA~2.TXT")] {
        let stream = StreamName::new(Name::from("s")).unwrap();
        let mut file =
            MemoryFile::file().with_stream(None, name.as_bytes()).with_stream(Some(stream), b"stream");
        let short = Some(Name::from(short));
        file.info.links = vec![Link { parent: NodeId(5), name: name.as_bytes().to_vec(), short }];
        volume.insert(name, file);
    }
    volume
}

pub fn make(system: &System) {
    system.create_directory(r"C:\dir").unwrap();
    for name in [LONG, OTHER] {
        let (from, to) = (format!(r"E:\{name}"), format!(r"C:\dir\{name}"));
        system.move_file_ex(from, to, MoveFlags::COPY_ALLOWED).unwrap();
    }
    put(system, r"C:\dir\plain.txt", b"plain");
}

pub fn look(system: &System, kind: Kind) {
    for (path, expected) in [
        (r"C:\dir\LONGNA~1.TXT", Ok(LONG)),
        (r"C:\dir\longna~1.txt", Ok(LONG)),
        (r"C:\DIR\LongNa~2.Txt", Ok(OTHER)),
        (r"\\?\C:\dir\LONGNA~2.TXT", Ok(OTHER)),
        (r"C:\dir\longna~2.txt::$DATA", Ok(OTHER)),
        (r"C:\dir\longna~1.txt:s", Ok("stream")),
        (r"C:\dir\longna~3.txt", Err(2)),
        (r"C:\dir\longna~1.txt:none", Err(2)),
        (r"C:\dir\longna~1.txt\x", Err(3)),
        (r"C:\longna~1.txt", Err(2)),
    ] {
        let got = create(system, path, READ, EXISTING).map_err(|error| error.win32().0);
        assert_eq!(got.as_ref().err().copied(), expected.err(), "{path} {kind:?}");
        if let Ok(content) = expected {
            assert_eq!(get(system, path), content.as_bytes(), "{path} {kind:?}");
        }
    }
    fails(system.get_file_attributes(r"C:\dir\longna~1.txt"), 0, kind);
    let there = if kind == Kind::Image { 19 } else { 80 };
    fails(create(system, r"C:\dir\LONGNA~1.TXT", WRITE, NEW), there, "the name is taken");
    for (pattern, expected) in [
        ("LONGNA~1.TXT", &[LONG][..]),
        ("longna~1.*", &[LONG]),
        ("longna~?.txt", &[LONG, OTHER]),
        ("*~2*", &[OTHER]),
        ("Long*", &[LONG, OTHER]),
        ("????????.TXT", &[LONG, OTHER, "plain.txt"]),
        ("*~3*", &[]),
    ] {
        let mut found = Vec::new();
        if let Ok((mut search, first)) = find_first_file(system, format!(r"C:\dir\{pattern}")) {
            found.push(first);
            found.extend(std::iter::from_fn(|| find_next_file(&mut search).ok()));
        }
        let mut names: Vec<_> = found.iter().map(|data| data.name.to_string()).collect();
        names.sort();
        assert_eq!(names, expected, "{pattern} {kind:?}");
        for data in found {
            let short = match data.name.to_string().as_str() {
                LONG => Some(Name::from("LONGNA~1.TXT")),
                OTHER => Some(Name::from("LONGNA~2.TXT")),
                _ => None,
            };
            assert_eq!(data.short_name, short, "{pattern} {kind:?}");
        }
    }
}

/// By its 8.3 name it is deleted and moved, too.
pub fn change(system: &System, kind: Kind) {
    system.move_file_ex(r"C:\dir\longna~2.txt", r"C:\dir\moved", MoveFlags::empty()).unwrap();
    fails(system.delete_file(r"C:\dir\LONGNA~1.TXT"), 0, kind);
    assert_eq!(names(system, r"C:\dir"), ["moved", "plain.txt"], "{kind:?}");
}
