//! One file for everything that NTFS can keep.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};

use super::Chance;
use super::make::{self, ACL, DOS_NAME, EA, OBJECT_ID, REPARSE, set, stream};

/// A file or directory, and what ntbak has to say about it.
pub(crate) struct Item {
    pub(crate) name: Vec<u8>,
    pub(crate) directory: bool,
    /// Makes it: content first, reparse point last.
    make: Box<dyn Fn(&Path)>,
    short: &'static str,
    attributes: Option<u32>,
    /// What ntfs-3g does not give of it, so that reading has to report it.
    pub(crate) lost: &'static [&'static str],
    /// Members of a dump that may therefore differ.
    pub(crate) excused: &'static [&'static str],
}

impl Item {
    fn new(name: impl Into<Vec<u8>>, make: impl Fn(&Path) + 'static) -> Self {
        let make = Box::new(make);
        let (short, attributes, lost, excused) = ("", None, &[][..], &[][..]);
        Self { name: name.into(), directory: false, make, short, attributes, lost, excused }
    }

    fn dir(name: impl Into<Vec<u8>>, make: impl Fn(&Path) + 'static) -> Self {
        let make = move |path: &Path| {
            fs::create_dir(path).unwrap();
            make(path);
        };
        Self { directory: true, ..Self::new(name, make) }
    }

    fn short(self, short: &'static str) -> Self {
        Self { short, ..self }
    }

    fn attributes(self, attributes: u32) -> Self {
        Self { attributes: Some(attributes), ..self }
    }

    fn loses(self, lost: &'static [&'static str], excused: &'static [&'static str]) -> Self {
        Self { lost, excused, ..self }
    }

    /// Where it is in a directory.
    pub(crate) fn at(&self, directory: &Path) -> PathBuf {
        directory.join(OsStr::from_bytes(&self.name))
    }

    /// Its name as the dumper shows it.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8(self.name.clone()).unwrap_or_else(|_| "lone-&#55296;.txt".to_owned())
    }

    pub(crate) fn is_ascii(&self) -> bool {
        self.name.is_ascii() && self.name.len() < 100
    }
}

/// Makes all of them in a directory, each with times of its own.
pub(crate) fn fill(directory: &Path) -> Vec<Item> {
    let items = items();
    for (item, number) in items.iter().zip(1_u64..) {
        let path = item.at(directory);
        (item.make)(&path);
        make::look_twice(&path);
        if !item.short.is_empty() {
            set(&path, DOS_NAME, item.short.as_bytes());
        }
        if let Some(attributes) = item.attributes {
            make::attributes(&path, attributes);
            make::look_twice(&path);
        }
        let base = 130_000_000_000_000_000 + number * 987_654_321;
        make::times(&path, base, base + 10_000_001, base + 20_000_003);
    }
    items
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
}

/// An id for the file at `path`: no two of a volume may have the same, and there may be many directories.
fn object_id(number: u8, path: &Path) -> Vec<u8> {
    let directory = path.parent().and_then(Path::file_name).unwrap_or_default().as_bytes();
    let directory = directory.iter().fold(0, |sum: u64, byte| sum * 131 % 1_000_003 + u64::from(*byte));
    Chance::new(1000 * directory + u64::from(number)).bytes(64)
}

fn three_eas() -> Vec<u8> {
    make::ea_on_disk(&[("FIRST", b"one", 0), ("NEEDED", &[0x55; 301], 0x80), ("$LXUID", b"\xE8\x03\0\0", 0)])
}

fn strict_descriptor() -> Vec<u8> {
    let audit = make::ace(2, 0xC0, 0x000D_0116, &make::everyone());
    let label = make::ace(0x11, 0, 1, &[1, 1, 0, 0, 0, 0, 0, 16, 0, 0x30, 0, 0]);
    let dacl = make::acl(&[
        make::ace(1, 0, 0x1_0000, &make::sid(&[32, 546])),
        make::ace(0, 0, 0x1F_01FF, &make::administrators()),
    ]);
    // DACL and SACL present, both protected; the SACL auto-inherited.
    let control = 0x0004 | 0x0010 | 0x1000 | 0x2000 | 0x0800;
    let sacl = make::acl(&[audit, label]);
    make::descriptor(control, &make::administrators(), &make::sid(&[18]), Some(&sacl), Some(&dacl))
}

fn items() -> Vec<Item> {
    let mut items = plain();
    items.extend(directories());
    items.extend(reparse_points());
    items.extend(special());
    items
}

fn plain() -> Vec<Item> {
    vec![
        Item::new("empty", |path| write(path, "")),
        Item::new("small.txt", |path| write(path, "resident")),
        Item::new("streams.bin", |path| {
            write(path, Chance::new(1).bytes(5000));
            write(&stream(path, "empty"), "");
            write(&stream(path, "large"), Chance::new(2).bytes(200_001));
        }),
        Item::new("only-streams", |path| {
            write(path, "");
            write(&stream(path, "Zone.Identifier"), "[ZoneTransfer]\r\nZoneId=3\r\n");
            write(&stream(path, "a"), "1");
            write(&stream(path, "two words and a dot."), "2");
            write(&stream(path, "\u{1}\u{1f}*?<>|\""), "3");
        }),
        Item::new("null-dacl", |path| {
            write(path, "x");
            let owner = make::administrators();
            set(path, ACL, &make::descriptor(0x0004, &owner, &make::sid(&[18]), None, None));
        }),
        Item::new("no-dacl", |path| {
            write(path, "x");
            let owner = make::administrators();
            set(path, ACL, &make::descriptor(0, &owner, &make::sid(&[18]), None, None));
        }),
        Item::new("empty-dacl", |path| {
            write(path, "x");
            let (owner, dacl) = (make::administrators(), make::acl(&[]));
            set(path, ACL, &make::descriptor(0x0004, &owner, &owner, None, Some(&dacl)));
        }),
        Item::new("sacl-protected", |path| {
            write(path, "x");
            set(path, ACL, &strict_descriptor());
        }),
        Item::new("eas", |path| {
            write(path, "x");
            set(path, EA, &three_eas());
        }),
        Item::new("object-id", |path| {
            write(path, "x");
            set(path, OBJECT_ID, &object_id(1, path));
        }),
        Item::new("hidden-system", |path| write(path, [7; 100])).attributes(0x6),
        Item::new("read-only", |path| write(path, [8; 100])).attributes(0x1),
        Item::new("no-attributes", |path| write(path, [9; 100])).attributes(0),
        Item::new("many-attributes", |path| write(path, [9; 5000])).attributes(0x3127),
        Item::new("everything", |path| {
            write(path, Chance::new(3).bytes(70_000));
            write(&stream(path, "one"), "1");
            write(&stream(path, "two"), Chance::new(4).bytes(9000));
            set(path, ACL, &strict_descriptor());
            set(path, EA, &three_eas());
            set(path, OBJECT_ID, &object_id(2, path));
        })
        .short("EVERYT~1")
        .attributes(0x23),
        Item::new("a long name with a short one.text", |path| write(path, "x")).short("ALONGN~1.TEX"),
        Item::new("SAME.TXT", |path| write(path, "x")).short("SAME.TXT"),
        Item::new("Grüße, мир – 漢字 𝄞.txt", |path| {
            write(path, "x");
            write(&stream(path, "Ströme-漢-𝄞"), "y");
        })
        .short("GRE~1.TXT"),
        Item::new(&b"lone-\xED\xA0\x80.txt"[..], |path| {
            write(path, "x");
            write(&stream(path, b"stream-\xED\xBF\xBF"), "y");
        }),
        Item::new("n".repeat(255), |path| {
            write(path, "x");
            write(&stream(path, "s".repeat(255)), "y");
        }),
        Item::new("漢".repeat(255), |path| write(path, "x")),
        Item::new(".hidden file", |path| write(path, "x")),
        Item::new("sparse.img", |path| {
            let pieces = [(0, vec![1; 65_536]), (1 << 20, vec![2; 131_072]), (3 << 20, vec![3; 65_536])];
            make::sparse(path, 5 << 20, &pieces);
        }),
        Item::new("all-hole.img", |path| make::sparse(path, 64 << 20, &[])),
        Item::new("hole-then-odd-end.img", |path| {
            make::sparse(path, (1 << 20) + 12_345, &[(1 << 20, vec![7; 12_345])])
        }),
    ]
}

fn directories() -> Vec<Item> {
    vec![
        Item::dir("directory", |_| {}),
        Item::dir("directory with a stream", |path| {
            write(&stream(path, "dirstream"), Chance::new(5).bytes(70_000));
            write(&stream(path, "empty"), "");
        }),
        Item::dir("directory with everything", |path| {
            write(&stream(path, "s"), "1");
            set(path, ACL, &strict_descriptor());
            set(path, EA, &three_eas());
            set(path, OBJECT_ID, &object_id(3, path));
        })
        .short("DIRECT~1")
        .attributes(0x2007),
        Item::dir("directory compressed", |_| {}).attributes(0x800),
    ]
}

fn reparse_points() -> Vec<Item> {
    let file = |name: &'static str, buffer: Vec<u8>| {
        Item::new(name, move |path| {
            write(path, "");
            set(path, REPARSE, &buffer);
        })
    };
    let directory =
        |name: &'static str, buffer: Vec<u8>| Item::dir(name, move |path| set(path, REPARSE, &buffer));
    vec![
        file("symlink", make::symlink("..\\elsewhere\\file.txt", true)),
        file("symlink-absolute", make::symlink("\\??\\C:\\Windows\\x", false)).short("SYMLI~1"),
        directory("symlink-directory", make::symlink("small.txt", true)).attributes(0x2),
        directory("junction", make::junction("C:\\target\\dir")).short("JUNCT~1").attributes(0x2004),
        file("lx-symlink", make::lx_symlink("../über/all")),
        file("third-party", make::third_party(&[0x11; 300])),
        directory("third-party-directory", make::third_party(b"")),
        file("cloud", make::reparse(0x9000_001A, &[0; 24])),
        directory("cloud-directory", make::reparse(0x9000_101A, &[0; 24])),
        file(
            "app-exec-link",
            make::reparse(0x8000_001B, &[&[3, 0, 0, 0][..], &make::utf16("a\0b\0c\x000\0")].concat()),
        ),
        file("deduplicated", make::reparse(0x8000_0013, &[9; 100])),
        file(
            "compressed-by-wof",
            make::reparse(0x8000_0017, &[1_u32, 2, 1, 0].map(u32::to_le_bytes).concat()),
        ),
        file("nfs-link", make::reparse(0x8000_0014, &[&b"LNK\0\0\0\0\0"[..], &make::utf16("x")].concat())),
        file("of-no-use", make::reparse(0x8000_7777, b"")),
        Item::new("reparse-with-all", |path| {
            write(path, "");
            set(path, ACL, &strict_descriptor());
            set(path, EA, &three_eas());
            set(path, OBJECT_ID, &object_id(4, path));
            set(path, REPARSE, &make::third_party(&[0x22; 5000]));
        })
        .short("REPAR~1")
        .attributes(0x3),
        Item::new("reparse-with-data", |path| {
            write(path, Chance::new(6).bytes(10_000));
            set(path, REPARSE, &make::third_party(b"x"));
        })
        .loses(&["content"], &["streams"]),
        Item::new("reparse-with-stream", |path| {
            write(path, "");
            write(&stream(path, "lost"), "y");
            set(path, REPARSE, &make::third_party(b"x"));
        })
        .loses(&["stream"], &["streams"]),
    ]
}

fn special() -> Vec<Item> {
    let node = |name: &'static str, kind: FileType, device: u64| {
        Item::new(name, move |path| {
            rustix::fs::mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, device).unwrap();
        })
    };
    vec![
        Item::new("interix-link", |path| symlink("../somewhere/über", path).unwrap()),
        Item::new("interix-absolute-link", |path| symlink("/somewhere/else", path).unwrap()).short("INTER~1"),
        node("fifo", FileType::Fifo, 0),
        node("char-device", FileType::CharacterDevice, rustix::fs::makedev(5, 1)),
        node("block-device", FileType::BlockDevice, rustix::fs::makedev(259, 70_000)),
        Item::new("one-byte-system", |path| write(path, "z"))
            .attributes(0x4)
            .loses(&["content"], &["streams"]),
        Item::new("one-byte-hidden-system", |path| write(path, "z")).attributes(0x6),
        Item::new("system-with-stream", |path| {
            write(path, "");
            write(&stream(path, "kept"), "y");
        })
        .attributes(0x4),
    ]
}
