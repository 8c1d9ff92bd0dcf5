//! What a hostile review of directories found in extended attributes: whatever is in them, all of it goes on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::MemorySink;
use ntbak::{Collected, LossKind, copy, place};
use ntbak_wire::FileAttributes;
use ntbak_wire::ea::{self, Ea};
use ntbak_wire::samba::dosattrib::DosAttrib;
use ntbak_wire::samba::ntacl;
use tempfile::{TempDir, tempdir};

use crate::helpers::*;
use crate::linux::{linux, set};

/// A directory that takes attributes as large as the kernel passes on: ext4 does not, tmpfs does.
fn roomy() -> Option<TempDir> {
    let found = tempfile::tempdir_in("/dev/shm").ok();
    let takes = |dir: &TempDir| {
        rustix::fs::setxattr(dir.path(), "user.probe", &[0; 65_536], rustix::fs::XattrFlags::empty()).is_ok()
    };
    let found = found.filter(takes);
    if found.is_none() {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no room for attributes in /dev/shm");
        eprintln!("skipped: /dev/shm does not take large extended attributes");
    }
    found
}

/// The name of an attribute without `user.`, and its value.
type Attribute<'a> = (&'a str, Cow<'a, [u8]>);

/// Names without `user.`, and values.
type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a copy carries of the `user` attributes at `path`, as EAs and as attributes of Linux; each once.
fn carried(path: &Path) -> Attributes {
    let (file, told) = try_load(path).unwrap();
    assert_eq!(told.losses(), []);
    let list = file.ea.unwrap_or_default();
    assert!(list.len() <= 131_072, "no backup stream has so many EAs");
    let list = ea::parse_full(&list).unwrap().to_vec();
    let mut carried = Attributes::new();
    for (number, one) in list.iter().enumerate() {
        let twin = list.iter().take(number).any(|other| other.name.eq_ignore_ascii_case(&one.name));
        assert!(!twin && !one.value.is_empty(), "Windows has no such EA");
        carried.insert(one.name.to_vec(), one.value.to_vec());
    }
    for (name, value) in linux(path).2 {
        let name = name.strip_prefix(b"user.").unwrap().to_vec();
        assert!(carried.insert(name.clone(), value).is_none(), "{} goes twice", name.escape_ascii());
    }
    carried
}

/// From a place to the next; nothing may be lost on the way.
fn hand_on(from: &Path, to: &Path) {
    let told = Collected::new();
    copy(&*place::open(from).unwrap(), place::stage(to, false).unwrap(), &report(&told, from)).unwrap();
    assert_eq!(told.losses(), []);
}

/// Attributes that are no EAs of Windows: too many for a list, too large, empty, another spelling, Samba's own in another
/// spelling, a part of no stream. The file cannot be refused for them, nor can they be left behind.
#[test]
fn what_no_list_of_eas_holds_goes_as_attributes_of_linux() {
    let Some(dir) = roomy() else { return };
    let plain = tempdir().unwrap();
    let large = vec![b'x'; 30_000];
    let cases: [&[Attribute<'_>]; 7] = [
        &["a", "b", "c", "d", "e"].map(|name| (name, large.clone().into())),
        &[("large", vec![b'x'; 65_536].into()), ("small", b"s"[..].into())],
        &[("empty", b""[..].into()), ("full", b"f"[..].into())],
        &[("foo", b"lower"[..].into()), ("FOO", b"upper"[..].into()), ("Foo", vec![b'x'; 5000].into())],
        // The large one finds room in no attribute of ext4, the small one does.
        &[("FOO", vec![b'x'; 20_000].into()), ("foo", b"small"[..].into())],
        &[
            ("dosattrib", b"a"[..].into()),
            ("ntacl", b"b"[..].into()),
            ("dosstream.x:$DATA", b"c\0"[..].into()),
        ],
        &[("DosStreamExt.1.gone:$DATA", b"orphan"[..].into())],
    ];
    for (number, case) in cases.iter().enumerate() {
        let source = dir.path().join(format!("source {number}"));
        fs::write(&source, b"content").unwrap();
        let mut expected = Attributes::new();
        for (name, value) in *case {
            set(&source, &format!("user.{name}"), value);
            expected.insert(name.as_bytes().to_vec(), value.to_vec());
        }
        assert!(carried(&source) == expected, "{number}: {:?}", carried(&source).keys());
        let mut from = source;
        for to in [dir.path().join("second"), plain.path().join("third"), dir.path().join("fourth")] {
            hand_on(&from, &to);
            assert!(carried(&to) == expected, "{number}, {}: {:?}", to.display(), carried(&to).keys());
            assert_eq!(fs::read(&to).unwrap(), b"content");
            assert_eq!(decodes(&read_stream(&*place::open(&to).unwrap()).unwrap()), Ok(()));
            from = to;
        }
    }
}

/// EAs that are in the side file, and as many in attributes, are more than a list holds; each place alone is not.
#[test]
fn eas_of_two_places_that_fit_into_no_list_are_still_read() {
    let Some(dir) = roomy() else { return };
    let path = dir.path().join("f");
    let mut file = MemoryFile::file();
    // Names that are Samba's own never become attributes.
    let told =
        ["NTACL", "SAMBA_PAI", "DOSATTRIB"].map(|name| Ea::new(0, name.as_bytes(), vec![b't'; 30_000]));
    file.ea = Some(ea::build_full(&told).unwrap());
    store(&file, &path);
    for name in ["user.a", "user.b", "user.c", "user.d"] {
        set(&path, name, &[b'h'; 30_000]);
    }
    let found = carried(&path);
    assert_eq!(found.len(), 7, "{:?}", found.keys());
    assert_eq!(decodes(&read_stream(&*place::open(&path).unwrap()).unwrap()), Ok(()));
    hand_on(&path, &dir.path().join("second"));
    assert!(carried(&dir.path().join("second")) == found);
}

/// Spellings of a stream's name in attributes: Windows has one stream of the name, and the others are not lost with it.
#[test]
fn streams_of_one_name_are_one_stream_and_attributes_of_linux() {
    let Some(dir) = roomy() else { return };
    let plain = tempdir().unwrap();
    let spellings = ["a:$DATA", "A:$DATA", "a", "A", "a:$data"];
    // Each two of them, and all.
    let mut cases: Vec<Vec<&str>> = vec![spellings.to_vec()];
    for (number, first) in spellings.iter().enumerate() {
        cases.extend(spellings.iter().skip(number + 1).map(|second| vec![*first, *second]));
    }
    for (number, case) in cases.iter().enumerate() {
        let source = dir.path().join(format!("source {number}"));
        fs::write(&source, b"content").unwrap();
        for spelling in case {
            // The byte behind a stream in an attribute.
            set(
                &source,
                &format!("user.DosStream.{spelling}"),
                format!("content of {spelling}\0").as_bytes(),
            );
        }
        let streams = |path: &Path| {
            let (file, told) = try_load(path).unwrap();
            assert_eq!(told.losses(), []);
            let mut contents: Vec<_> =
                file.streams.values().filter(|stream| stream.name.is_some()).map(content).collect();
            assert_eq!(contents.len(), 1, "{case:?} in {}", path.display());
            let attributes = linux(path).2.into_iter();
            contents.extend(attributes.map(|(_, value)| value.strip_suffix(b"\0").unwrap().to_vec()));
            contents
        };
        let expected = streams(&source);
        assert_eq!(expected.len(), case.len(), "{case:?}");
        let mut from = source;
        for to in [dir.path().join("second"), plain.path().join("third"), dir.path().join("fourth")] {
            hand_on(&from, &to);
            let (mut found, mut expected) = (streams(&to), expected.clone());
            assert_eq!(found.first(), expected.first(), "{case:?}: another stream");
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{case:?} in {}", to.display());
            from = to;
        }
        let bytes = read_stream(&*place::open(&from).unwrap()).unwrap();
        assert_eq!(decodes(&bytes), Ok(()));
    }
}

/// A file system may take more attributes than the kernel can list (64 KiB of names): such a file could not be read.
#[test]
fn no_more_attributes_are_written_than_can_be_listed() {
    let Some(dir) = roomy() else { return };
    let path = dir.path().join("f");
    let name = |number: u32| format!("{number:0>200}");
    let bytes: Vec<u8> = (0..600).flat_map(|number| alternate(&name(number), b"x")).collect();
    write_stream(place::stage(&path, false).unwrap(), &bytes, 1 << 20).unwrap();
    assert_eq!(load(&path).streams.len(), 601);
    let more: Vec<u8> = (600..1200).flat_map(|number| alternate(&name(number), b"x")).collect();
    write_stream(place::in_place(&path).unwrap(), &more, 1 << 20).unwrap();
    assert_eq!(load(&path).streams.len(), 1201);
    // Attributes of Linux take their names, too.
    let mut file = MemoryFile::file();
    for number in 0..600 {
        file.linux_attributes.insert(format!("user.{}", name(number)).into_bytes(), Vec::new());
    }
    assert_eq!(store(&file, &path).losses(), []);
    assert_eq!(linux(&path).2.len(), 600);
    // Where somebody else has made too many, that is told, and what can be asked for by name is there.
    let many = dir.path().join("many");
    fs::write(&many, b"content").unwrap();
    for number in 0..400 {
        set(&many, &format!("user.{}", name(number)), b"x");
    }
    set(&many, "user.DOSATTRIB", b"0x2\0");
    let (file, told) = try_load(&many).unwrap();
    let kinds: Vec<_> = told.losses().iter().map(|loss| loss.kind).collect();
    assert_eq!(
        (kinds, content(file.stream(None).unwrap())),
        (vec![LossKind::Attribute], b"content".to_vec())
    );
    assert!(file.info.attributes.contains(FileAttributes::HIDDEN));
}

/// What cannot be read of the attributes is told; it does not keep the rest from being backed up.
#[test]
fn garbage_in_sambas_attributes_is_told_and_the_rest_goes_on() {
    let dir = tempdir().unwrap();
    if rustix::fs::setxattr(dir.path(), "user.probe", b"x", rustix::fs::XattrFlags::empty()).is_err() {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no extended attributes");
        eprintln!("skipped: the temporary directory has no extended attributes");
        return;
    }
    // A head that is right, and no descriptor behind it.
    let mut no_descriptor = vec![1, 0, 1, 0, 0, 0, 2, 0];
    no_descriptor.extend([0xAA; 4].into_iter().chain([0; 16]));
    let encrypted = DosAttrib {
        attributes: Some(
            FileAttributes::ENCRYPTED | FileAttributes::NOT_CONTENT_INDEXED | FileAttributes::HIDDEN,
        ),
        created: None,
    };
    for (name, value, told) in [
        (ntacl::USER_NAME, b"garbage".to_vec(), true),
        (ntacl::USER_NAME, no_descriptor, true),
        ("user.SmbReparse", b"garbage".to_vec(), true),
        ("user.SmbReparse", Vec::new(), true),
        ("user.DOSATTRIB", b"garbage".to_vec(), true),
        ("user.DOSATTRIB", b"0x4022\0".to_vec(), false),
        ("user.DOSATTRIB", encrypted.build(), false),
        ("user.DOSATTRIB", b"0x12\0".to_vec(), false),
    ] {
        let path = dir.path().join("f");
        let bytes = [data(b"content"), alternate("a", b"stream")].concat();
        write_stream(place::stage(&path, false).unwrap(), &bytes, 100).unwrap();
        set(&path, name, &value);
        let case = format!("{name} {}", value.escape_ascii());
        let memory = SharedFile::new(MemoryFile::file());
        let losses = Collected::new();
        let sink = Box::new(MemorySink::staged(memory.clone(), false));
        copy(&*place::open(&path).unwrap(), sink, &report(&losses, &path)).expect(&case);
        let kinds: Vec<_> = losses.losses().iter().map(|loss| loss.kind).collect();
        assert_eq!(kinds, vec![LossKind::Attribute; usize::from(told)], "{case}: {:?}", losses.losses());
        let file = memory.read();
        assert_eq!(content(file.stream(None).unwrap()), b"content", "{case}");
        assert_eq!(content(file.stream(Some(&stream_name("a"))).unwrap()), b"stream", "{case}");
        assert_eq!((&file.security, &file.reparse), (&None, &None), "{case}");
        let attributes = place::open(&path).unwrap().info().unwrap().attributes;
        assert!(!attributes.intersects(FileAttributes::ENCRYPTED | FileAttributes::DIRECTORY), "{case}");
        assert_eq!(attributes.contains(FileAttributes::HIDDEN), !told, "{case}");
        assert_eq!(decodes(&read_stream(&*place::open(&path).unwrap()).unwrap()), Ok(()), "{case}");
    }
}
