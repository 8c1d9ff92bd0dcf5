//! Memory is the reference: what went anywhere and came back is what it was.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use ntbak::Collected;
use ntbak::memory::{MemoryFile, MemoryStream};
use ntbak::tree::{ArchiveTree, Counts, HostTree, MemoryTree, Pattern, Select, Tree, transfer};
use ntbak::tree_sink::{ArchiveSink, HostSink, HostSinkOptions, TreeSink};
use ntbak_archive::{ArchiveWriter, Volume};
use ntbak_wire::FileAttributes;
use ntbak_wire::record::{FileInfo, StreamFlags};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::helpers::{BLOCK, any_file, any_file_name, bare, blocks, content};

fn bring(tree: &mut dyn Tree, sink: &mut dyn TreeSink) -> Counts {
    let report = Collected::new();
    let counts = transfer(tree, sink, &Select::all(), &report).unwrap();
    assert_eq!(report.losses(), vec![]);
    counts
}

pub(crate) fn archive(tree: &mut dyn Tree) -> Vec<u8> {
    let writer = ArchiveWriter::new(Vec::new(), Box::new(Cursor::new(Vec::new())), &Volume::default());
    let mut sink = ArchiveSink::new(writer.unwrap());
    bring(tree, &mut sink);
    sink.complete().unwrap()
}

pub(crate) fn restore(archive: &[u8], target: &Path) -> Counts {
    // Files are completed here, or on other threads: that makes no difference.
    let threads = archive.len() / 512 % 4;
    let mut sink = HostSink::open(target, HostSinkOptions { threads, ..HostSinkOptions::default() }).unwrap();
    bring(&mut ArchiveTree::from(archive.to_vec()), &mut sink)
}

pub(crate) fn host(path: &Path) -> HostTree {
    let mut tree = HostTree::new();
    tree.add(path, b"").unwrap();
    tree
}

fn in_memory(tree: &mut dyn Tree) -> MemoryTree {
    let mut memory = MemoryTree::new();
    bring(tree, &mut memory);
    memory
}

fn assert_same_tree(found: &MemoryTree, expected: &MemoryTree) {
    let shown = |tree: &MemoryTree| -> Vec<String> {
        tree.paths().map(|path| path.escape_ascii().to_string()).collect()
    };
    assert_eq!(shown(found), shown(expected));
    let paths: Vec<_> = expected.paths().collect();
    for path in &paths {
        let (mut one, mut other) =
            (found.file(path).unwrap().read().clone(), expected.file(path).unwrap().read().clone());
        (one.info, other.info) = (bare(one.info), bare(other.info));
        assert_same_file(&one, &other);
    }
    for path in &paths {
        let twins = |tree: &MemoryTree| -> BTreeSet<Vec<u8>> {
            let file = tree.file(path).unwrap();
            let same = paths.iter().filter(|other| tree.file(other).unwrap().is(file));
            same.map(|path| path.to_vec()).collect()
        };
        assert_eq!(twins(found), twins(expected), "names of {}", path.escape_ascii());
    }
}

/// Every fact; where holes are in whole blocks: an archive has them so.
fn assert_same_file(found: &MemoryFile, expected: &MemoryFile) {
    let mut facts = [found.clone(), expected.clone()];
    facts.iter_mut().for_each(|file| file.streams.clear());
    assert_eq!(facts[0], facts[1]);
    assert_eq!(found.streams.keys().collect::<Vec<_>>(), expected.streams.keys().collect::<Vec<_>>());
    for (found, expected) in found.streams.values().zip(expected.streams.values()) {
        let facts = |stream: &MemoryStream| (stream.name.clone(), stream.size, stream.vdl, stream.flags);
        assert_eq!(facts(found), facts(expected));
        if expected.size < 1 << 24 {
            assert!(content(found) == content(expected), "content of {:?}", found.name);
            // An archive has ranges of whole sectors, which may reach into one more block.
            let (found, ranges) = (blocks(found), blocks(expected));
            let held = |range: &(u64, u64)| found.iter().any(|(from, to)| *from <= range.0 && range.1 <= *to);
            let bytes = |ranges: &[(u64, u64)]| ranges.iter().map(|(from, to)| to - from).sum::<u64>();
            let limit = bytes(&ranges) + BLOCK * 2 * ranges.len() as u64;
            if expected.flags.contains(StreamFlags::SPARSE) {
                assert!(ranges.iter().all(held) && bytes(&found) <= limit, "holes: {found:?} of {ranges:?}");
            }
        }
    }
}

/// A tree from files with the place of each among the directories before it; and links.
fn plant(
    root: MemoryFile,
    files: Vec<(Vec<u8>, usize, MemoryFile)>,
    links: &[(Vec<u8>, usize)],
) -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.insert(b"", root);
    let (mut directories, mut plain) = (vec![Vec::new()], Vec::new());
    let place = |directories: &[Vec<u8>], at: usize, name: &[u8]| {
        let above = &directories[at % directories.len()];
        if above.is_empty() { name.to_vec() } else { [above, &b"/"[..], name].concat() }
    };
    for (name, at, file) in files {
        let path = place(&directories, at, &name);
        if tree.file(&path).is_some() {
            continue;
        }
        if file.info.attributes.is_directory() { &mut directories } else { &mut plain }.push(path.clone());
        tree.insert(path, file);
    }
    for (name, at) in links {
        let path = place(&directories, *at, name);
        if !plain.is_empty() && tree.file(&path).is_none() {
            tree.link(path, &plain[at % plain.len()]);
        }
    }
    tree
}

fn any_tree() -> impl Strategy<Value = MemoryTree> {
    let root = any_file().prop_map(|file| MemoryFile {
        reparse: None,
        streams: Default::default(),
        info: FileInfo { attributes: FileAttributes::DIRECTORY, ..file.info.clone() },
        ..file
    });
    let files = vec((any_file_name(), any::<usize>(), any_file()), 0..12);
    let links = vec((any_file_name(), any::<usize>()), 0..4);
    (root, files, links).prop_map(|(root, files, links)| plant(root, files, &links))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_fact_goes_through_archives_and_directories_in_any_order(tree in any_tree(), seed in any::<u64>()) {
        let mut shuffled = tree.clone();
        shuffled.sort_by_key(|path| {
            let mut key = seed.to_le_bytes().to_vec();
            key.extend_from_slice(path);
            *blake3::hash(&key).as_bytes()
        });
        let first = archive(&mut shuffled);
        assert_same_tree(&in_memory(&mut ArchiveTree::from(first.clone())), &tree);
        let target = TempDir::new().unwrap();
        restore(&first, target.path());
        assert_same_tree(&in_memory(&mut host(target.path())), &tree);
        // Once more over what is there, as after an interruption.
        restore(&first, target.path());
        let second = archive(&mut host(target.path()));
        assert_same_tree(&in_memory(&mut ArchiveTree::from(second)), &tree);
    }
}

#[test]
fn equal_trees_give_equal_archives() {
    let target = TempDir::new().unwrap();
    for name in ["b", "a", "B", "dir/x", "dir/sub/y"] {
        let path = target.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    fs::hard_link(target.path().join("a"), target.path().join("dir/another")).unwrap();
    // Reading changes access times, once.
    archive(&mut host(target.path()));
    assert!(archive(&mut host(target.path())) == archive(&mut host(target.path())));
}

#[test]
fn four_thousand_levels_go_there_and_back() {
    let mut tree = MemoryTree::new();
    let mut path = Vec::new();
    tree.insert(b"", MemoryFile::directory());
    for level in 0..4000 {
        if level > 0 {
            path.push(b'/');
        }
        path.push(b'd');
        tree.insert(path.clone(), MemoryFile::directory());
    }
    path.extend_from_slice(b"/deep");
    tree.insert(path.clone(), MemoryFile::file().with_stream(None, b"at the bottom"));
    let bytes = archive(&mut tree);
    let target = TempDir::new().unwrap();
    assert_eq!(restore(&bytes, target.path()).files, 4002);
    let back = in_memory(&mut host(target.path()));
    assert_eq!(back.paths().count(), 4002);
    assert_eq!(back.file(&path).unwrap().read().stream(None).unwrap().size, 13);
    // Only what is wanted, with the directories on the way.
    let only = Select::new(&[Pattern::Include("deep".into())]).unwrap();
    let (mut some, report) = (MemoryTree::new(), Collected::new());
    transfer(&mut host(target.path()), &mut some, &only, &report).unwrap();
    assert_eq!((some.paths().count(), report.losses()), (4002, vec![]));
    take_apart(target.path());
}

/// Removes a chain of directories called `d` level by level: as one it is too deep for most programs.
fn take_apart(root: &Path) {
    let (first, second, aside) = (root.join("d"), root.join("d/d"), root.join("aside"));
    while second.exists() {
        fs::rename(&second, &aside).unwrap();
        fs::remove_dir_all(&first).unwrap();
        fs::rename(&aside, &first).unwrap();
    }
}

#[test]
fn a_selection_takes_what_it_names_and_its_directories() {
    let from = TempDir::new().unwrap();
    for name in ["keep/a.docx", "keep/b.txt", "other/c.txt", "cache/d.docx"] {
        let path = from.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let rules = [Pattern::Include("*.DOCX".into()), Pattern::Exclude("cache/".into())];
    let (mut some, report) = (MemoryTree::new(), Collected::new());
    transfer(&mut host(from.path()), &mut some, &Select::new(&rules).unwrap(), &report).unwrap();
    assert_eq!(some.paths().collect::<Vec<_>>(), [&b""[..], b"keep", b"keep/a.docx"]);
}

#[test]
fn side_files_are_passed_over_and_a_users_own_directory_is_not() {
    let from = TempDir::new().unwrap();
    fs::create_dir(from.path().join(".ntbak-side")).unwrap();
    fs::write(from.path().join(".ntbak-side/mine"), "x").unwrap();
    let bytes = archive(&mut host(from.path()));
    let target = TempDir::new().unwrap();
    restore(&bytes, target.path());
    let tree = in_memory(&mut host(target.path()));
    assert_eq!(tree.paths().collect::<Vec<_>>(), [&b""[..], b".ntbak-side", b".ntbak-side/mine"]);
}
