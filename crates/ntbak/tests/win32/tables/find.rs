use super::*;
use ntbak::win32::{
    FindData, find_first_file, find_first_file_name, find_first_stream, find_next_file, find_next_file_name,
    find_next_stream, find_streams,
};

/// What a search finds, sorted.
fn search(system: &System, path: &str) -> Result<Vec<String>, u32> {
    let (mut search, first) = find_first_file(system, path).map_err(|error| error.win32().0)?;
    let mut found = vec![first];
    loop {
        match find_next_file(&mut search) {
            Ok(data) => found.push(data),
            Err(error) => {
                assert_eq!(error.win32().0, 18);
                break;
            }
        }
    }
    assert_eq!(number(&find_next_file(&mut search)), 18, "again and again");
    let mut names: Vec<_> = found.iter().map(|data: &FindData| data.name.to_utf8().unwrap()).collect();
    names.sort();
    Ok(names)
}

pub fn make_files(system: &System) {
    system.create_directory(r"C:\d").unwrap();
    for name in ["a.txt", "B.TXT", "c.text", "none", "x.tar.gz", "Große Datei.txt"] {
        put(system, &format!(r"C:\d\{name}"), name.as_bytes());
    }
    system.create_directory(r"C:\d\sub").unwrap();
    system.create_directory(r"C:\links").unwrap();
    symlink(system, r"C:\links\link", r"..\d\a.txt");
}

pub fn files(system: &System, _: Kind) {
    for (pattern, expected) in [
        ("*", ". .. B.TXT Große Datei.txt a.txt c.text none sub x.tar.gz"),
        ("*.*", ". .. B.TXT Große Datei.txt a.txt c.text none sub x.tar.gz"),
        ("*.txt", "B.TXT Große Datei.txt a.txt"),
        ("*.TE?T", "c.text"),
        ("?.txt", "B.TXT a.txt"),
        ("none", "none"),
        ("NONE", "none"),
        ("none*", "none"),
        ("*.", ". .. none sub"),
        ("*.gz", "x.tar.gz"),
        ("GROSSE*", ""),
        ("GROßE*", "Große Datei.txt"),
        ("?????????", "none sub"),
    ] {
        let got = search(system, &format!(r"C:\d\{pattern}"));
        if expected.is_empty() {
            assert_eq!(got, Err(2), "{pattern}");
        } else if pattern.starts_with("????") {
            let got = got.unwrap();
            assert!(
                got.contains(&"none".to_owned()) && !got.contains(&"Große Datei.txt".to_owned()),
                "{got:?}"
            );
        } else {
            assert_eq!(got.unwrap().join(" "), expected, "{pattern}");
        }
    }
    // A root has no `.` and `..`.
    assert_eq!(search(system, r"C:\*").unwrap(), ["d", "links"]);
    assert_eq!(search(system, "C:/d/../D/s*").unwrap(), ["sub"]);
    let (_, data) = find_first_file(system, r"C:\D\A.TXT").unwrap();
    assert_eq!((data.name, data.size, data.reparse_tag), (Name::from("a.txt"), 5, 0));
    assert!(data.attributes.contains(FileAttributes::ARCHIVE) && !data.attributes.is_directory());
    let (_, data) = find_first_file(system, r"C:\D\SUB").unwrap();
    assert_eq!((data.attributes.is_directory(), data.size), (true, 0));
    let (_, data) = find_first_file(system, r"C:\links\link").unwrap();
    assert_eq!((data.reparse_tag, data.size), (0xA000_000C, 0), "a link itself");
}

pub fn gone(system: &System, _: Kind) {
    make_files(system);
    // What is gone by its turn is passed over.
    let (mut going, first) = find_first_file(system, r"C:\d\*.t*").unwrap();
    for name in ["a.txt", "B.TXT", "c.text", "x.tar.gz", "Große Datei.txt"] {
        system.delete_file(format!(r"C:\d\{name}")).unwrap();
    }
    assert!(!first.name.is_empty());
    fails(find_next_file(&mut going), 18, "all are gone");
}

pub fn make_errors(system: &System) {
    put(system, r"C:\f", b"x");
}

pub fn errors(system: &System, _: Kind) {
    for (path, expected) in [
        (r"C:\", 2),
        (r"C:\f\", 267),
        (r"C:\gone\", 3),
        (r"C:\nul*", 2),
        (r"C:\nul\*", 3),
        (r"C:\gone\nul\x", 3),
        (r"C:\gone*", 2),
        (r"C:\gone", 2),
        (r"C:\gone\*", 3),
        (r"C:\f\*", 267),
        (r"C:\*\f", 123),
        (r"D:\*", 3),
        (r"C:\f:s*", 2),
        (r"\\server\share\*", 53),
    ] {
        assert_eq!(search(system, path).unwrap_err(), expected, "{path}");
    }
}

pub fn make_streams(system: &System) {
    put(system, r"C:\f", b"main");
    put(system, r"C:\f:b", b"12");
    put(system, r"C:\f:A", b"");
    system.create_directory(r"C:\d").unwrap();
    system.create_directory(r"C:\e").unwrap();
    put(system, r"C:\e:s", b"1");
}

pub fn streams(system: &System, kind: Kind) {
    let (mut search, first) = find_first_stream(system, r"C:\F").unwrap();
    assert_eq!((first.name.clone(), first.size), (Name::from("::$DATA"), 4));
    let mut rest = [find_next_stream(&mut search).unwrap(), find_next_stream(&mut search).unwrap()];
    rest.sort_by_key(|data| data.size);
    let seen: Vec<_> = rest.iter().map(|data| (data.name.to_string(), data.size)).collect();
    assert_eq!(seen, [(":A:$DATA".to_owned(), 0), (":b:$DATA".to_owned(), 2)], "{kind:?}");
    fails(find_next_stream(&mut search), 38, "no more");
    fails(find_first_stream(system, r"C:\d"), 38, "a directory without");
    fails(find_first_stream(system, r"C:\gone"), 2, "not there");
    fails(find_first_stream(system, r"C:\gone\f"), 3, "no directory");
    assert_eq!(find_first_stream(system, r"C:\e").unwrap().1.name, Name::from(":s:$DATA"));
    let file = with(system, r"C:\f", Access::empty(), ITSELF).unwrap();
    let all = find_streams(&file).unwrap();
    assert_eq!((all.len(), all[0].clone()), (3, first));
}

pub fn make_names(system: &System) {
    for directory in [r"C:\a", r"C:\a\b", r"C:\c"] {
        system.create_directory(directory).unwrap();
    }
    put(system, r"C:\a\b\f", b"x");
    put(system, r"C:\c\other", b"x");
    system.create_hard_link(r"C:\c\g", r"C:\a\b\f").unwrap();
    system.create_hard_link(r"C:\h", r"C:\c\g").unwrap();
}

pub fn names(system: &System, kind: Kind) {
    let all = |path: &str| {
        let (mut search, first) = find_first_file_name(system, path).unwrap();
        let mut names = vec![first.to_string()];
        loop {
            match find_next_file_name(&mut search) {
                Ok(name) => names.push(name.to_string()),
                Err(error) => {
                    assert_eq!(error.win32().0, 38);
                    return names;
                }
            }
        }
    };
    assert_eq!(all(r"C:\C\OTHER"), [r"\c\other"]);
    assert_eq!(all(r"C:\C"), [r"\c"], "a directory");
    let mut found = all(r"C:\c\g");
    assert_eq!(found[0], r"\c\g", "the one that was asked for is the first");
    found.sort();
    assert_eq!(found, [r"\a\b\f", r"\c\g", r"\h"], "{kind:?}");
    fails(find_first_file_name(system, r"C:\gone"), 2, "not there");
    fails(find_first_file_name(system, r"C:\gone\f"), 3, "no directory");
}
