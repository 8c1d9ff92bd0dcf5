use super::*;

pub fn make_spellings(system: &System) {
    system.create_directory(r"C:\dir").unwrap();
    put(system, r"C:\dir\file.txt", b"x");
    // What ends with a dot or a space has such a name only behind \\?\.
    put(system, r"\\?\C:\dir\dot.", b"dot");
    put(system, r"\\?\C:\dir\NUL", b"nul");
}

pub fn spellings(system: &System, _: Kind) {
    for path in [
        r"C:\dir\file.txt",
        r"c:\DIR\FILE.TXT",
        "C:/dir/file.txt",
        r"C:\dir\\file.txt",
        r"C:dir\file.txt",
        r"\\?\C:\dir\file.txt",
        r"\\?\c:\Dir\file.TXT",
        r"\??\C:\dir\file.txt",
        r"\\.\C:\dir\file.txt",
        r"C:\.\dir\.\file.txt",
        r"C:\x\..\dir\file.txt",
        r"C:\..\..\dir\file.txt",
        r"C:\dir\file.txt.",
        r"C:\dir.\file.txt . .",
        r"C:\dir\file.txt::$DATA",
        r"C:\dir\file.txt::$data",
    ] {
        assert_eq!(get(system, path), b"x", "{path}");
    }
    assert_eq!(get(system, r"\\?\C:\dir\dot."), b"dot");
    assert_eq!(names(system, r"C:\dir"), ["NUL", "dot.", "file.txt"]);
    fails(create(system, r"C:\dir\dot.", READ, EXISTING), 2, "without the dot it is another name");
}

pub fn make_errors(system: &System) {
    put(system, r"C:\f", b"x");
}

pub fn errors(system: &System, kind: Kind) {
    let long = format!(r"C:\{}", "x".repeat(256));
    let very_long = format!(r"\\?\C:\{}", r"d\".repeat(16_400));
    for (path, expected) in [
        (r"C:\gone", 2),
        (r"C:\gone\x", 3),
        (r"C:\f\x", 3),
        (r"C:\f\", 123),
        (r"D:\f", 3),
        (r"\\?\D:\f", 3),
        ("", 3),
        ("no drive", 3),
        ("/etc/passwd", 3),
        (r"\\server\share\f", 53),
        (r"\\?\UNC\server\share\f", 53),
        (r"\\.\PhysicalDrive0", 2),
        (r"C:\a?b", 123),
        (r"C:\a*b", 123),
        (r"C:\a<b", 123),
        (r"C:\a>b", 123),
        (r#"C:\a"b"#, 123),
        (r"C:\a|b", 123),
        ("C:\\a\tb", 123),
        ("C:\\a\0b", 123),
        (r"C:\f:", 123),
        (r"C:\f:s:$BITMAP", 123),
        (r"C:\f:a/b", 123),
        (r"C:\con", 123),
        // In the middle it is a name like others, and so are dots and spaces.
        (r"C:\con\f", 3),
        (r"C:\dir. \f", 3),
        (r"C:\.. \f", 3),
        (r"C:\...\f", 3),
        (r"C:\LPT9.txt", 123),
        (r"\\?\C:\a/b", 123),
        (r"\\?\C:\..\f", 123),
        (&long, 123),
        (&very_long, 206),
    ] {
        for disposition in [EXISTING, NEW] {
            let got = create(system, path, READ, disposition);
            // To make what is not there is no error, and cannot be where all is only read.
            if kind == Kind::Image && disposition == NEW {
                assert!([expected, 19].contains(&number(&got)), "{path}");
            } else if !(disposition == NEW && expected == 2 && !path.starts_with(r"\\")) {
                fails(got, expected, (path, disposition));
            }
        }
        let made = path == r"C:\gone" && kind != Kind::Image;
        fails(system.get_file_attributes(path), if made { 0 } else { expected }, path);
    }
}

const NAMES: [&str; 5] = ["Grüße", "ДИМА", "ſharp", "Ünïcode ÿ", "ı"];

/// Unpaired surrogates are names, too.
fn odd() -> Vec<u8> {
    [&b"C:\\"[..], &Name::from_units(vec![0xD800, u16::from(b'x')]).to_wtf8()].concat()
}

pub fn make_case(system: &System) {
    for name in NAMES {
        put(system, &format!(r"C:\{name}"), name.as_bytes());
    }
    put(system, "C:\\\u{10428}", b"low");
    let how = Create { access: WRITE, disposition: NEW, ..Create::default() };
    fails(system.create_file(odd(), how), 0, "an unpaired surrogate");
}

pub fn case(system: &System, kind: Kind) {
    for name in NAMES {
        let upper = ntbak::memory::StreamKey::upper(&Name::from(name)).to_utf8().unwrap();
        if name != "ſharp" && name != "ı" {
            assert_eq!(get(system, &format!(r"C:\{upper}")), name.as_bytes(), "{kind:?}");
            let there = if kind == Kind::Image { 19 } else { 80 };
            fails(create(system, &format!(r"C:\{upper}"), WRITE, NEW), there, &upper);
        }
    }
    // No letters of ASCII.
    fails(create(system, r"C:\Sharp", READ, EXISTING), 2, "long s");
    fails(create(system, r"C:\i", READ, EXISTING), 2, "dotless i");
    // Characters beyond the first plane have no case on NTFS.
    fails(create(system, "C:\\\u{10400}", READ, EXISTING), 2, "Deseret");
    // Names are what they were made with.
    assert!(names(system, r"C:\").contains(&"Grüße".to_owned()));
    fails(system.get_file_attributes(odd()), 0, "an unpaired surrogate");
}
