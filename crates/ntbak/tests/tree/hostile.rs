//! Whatever an archive holds, nothing outside of the target is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ntbak::tree::{ArchiveTree, Select, transfer};
use ntbak::tree_sink::{HostSink, HostSinkOptions};
use ntbak::{Collected, LossKind};
use tempfile::TempDir;

/// A tar entry, as anybody can make one.
fn entry(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn threads(threads: usize) -> HostSinkOptions {
    HostSinkOptions { threads, ..HostSinkOptions::default() }
}

/// A target with what lies beside it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        Self { dir }
    }

    fn target(&self) -> std::path::PathBuf {
        self.dir.path().join("target")
    }

    fn restore(&self, entries: &[Vec<u8>]) -> Collected {
        let report = Collected::new();
        let mut sink = HostSink::open(&self.target(), threads(2)).unwrap();
        transfer(&mut ArchiveTree::from(tar(entries)), &mut sink, &Select::all(), &report).unwrap();
        self.is_untouched();
        report
    }

    fn is_untouched(&self) {
        let names = |path: &Path| -> Vec<_> {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.dir.path()), ["outside", "target"]);
        assert_eq!(names(&self.dir.path().join("outside")), ["secret"]);
        assert_eq!(fs::read(self.dir.path().join("outside/secret")).unwrap(), b"secret");
    }
}

fn kinds(report: &Collected) -> Vec<LossKind> {
    report.losses().iter().map(|loss| loss.kind).collect()
}

#[test]
fn paths_that_lead_out_are_refused() {
    let place = Place::new();
    for name in ["../evil", "a/../../evil", "/evil", "..", "a//b", "a/./b", "a/.."] {
        let report = place.restore(&[entry(name, b'0', "", b"x")]);
        assert_eq!(kinds(&report), [LossKind::Name], "{name}");
    }
    let absolute = place.dir.path().join("outside/secret");
    place.restore(&[entry(absolute.to_str().unwrap(), b'0', "", b"x")]);
    assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0);
}

#[test]
fn nothing_goes_through_links_that_the_archive_makes() {
    let place = Place::new();
    let report = place.restore(&[
        entry("up", b'2', "../outside", b""),
        entry("up/evil", b'0', "", b"x"),
        entry("up/secret", b'0', "", b"x"),
        entry("stolen", b'1', "up/secret", b""),
        entry("up", b'0', "", b"replaced"),
    ]);
    assert_eq!(kinds(&report), [LossKind::Content, LossKind::Content, LossKind::Link]);
    assert_eq!(fs::read(place.target().join("up")).unwrap(), b"replaced");
    assert!(!place.target().join("stolen").exists());
}

#[test]
fn nothing_goes_through_links_that_are_there() {
    let place = Place::new();
    symlink("../outside", place.target().join("dir")).unwrap();
    symlink("../outside/secret", place.target().join("file")).unwrap();
    let report = place.restore(&[
        entry("dir/evil", b'0', "", b"x"),
        entry("file", b'0', "", b"mine"),
        entry("hard", b'1', "dir/secret", b""),
        entry("dir/", b'5', "", b""),
        entry("dir/good", b'0', "", b"good"),
    ]);
    assert_eq!(kinds(&report), [LossKind::Content, LossKind::Link]);
    assert_eq!(fs::read(place.target().join("file")).unwrap(), b"mine");
    assert!(fs::symlink_metadata(place.target().join("dir")).unwrap().is_dir());
    assert_eq!(fs::read(place.target().join("dir/good")).unwrap(), b"good");
}

#[test]
fn names_that_mean_something_elsewhere_are_names() {
    let place = Place::new();
    let names =
        ["CON", "nul.txt", "a:b", "a::$DATA", "C:\\evil", "..\\evil", "dot.", "...", ".ntbak-side/self"];
    let entries: Vec<_> = names.iter().map(|name| entry(name, b'0', "", b"x")).collect();
    let report = place.restore(&entries);
    assert_eq!(kinds(&report), []);
    assert_eq!(fs::read(place.target().join("..\\evil")).unwrap(), b"x");
    // It is a directory of a user, so it has another name here.
    assert!(!place.target().join(".ntbak-side/self").exists());
}

#[test]
fn a_directory_and_a_file_do_not_take_each_others_place() {
    let place = Place::new();
    fs::create_dir(place.target().join("d")).unwrap();
    fs::write(place.target().join("f"), "kept").unwrap();
    let report = place.restore(&[
        entry("d", b'0', "", b"x"),
        entry("f/", b'5', "", b""),
        entry("f/x", b'0', "", b"x"),
    ]);
    assert_eq!(kinds(&report), [LossKind::Content; 3]);
    assert_eq!(fs::read(place.target().join("f")).unwrap(), b"kept");
}

#[test]
fn an_archive_that_is_cut_off_is_a_loss_and_what_came_before_is_there() {
    let place = Place::new();
    let mut bytes = tar(&[entry("a", b'0', "", b"whole"), entry("b", b'0', "", &[7; 5000])]);
    bytes.truncate(512 + 512 + 512 + 700);
    let report = Collected::new();
    let mut sink = HostSink::open(&place.target(), threads(2)).unwrap();
    transfer(&mut ArchiveTree::from(bytes), &mut sink, &Select::all(), &report).unwrap();
    assert_eq!(kinds(&report), [LossKind::Content, LossKind::Archive]);
    assert_eq!(fs::read(place.target().join("a")).unwrap(), b"whole");
    assert!(!place.target().join("b").exists());
    let names = fs::read_dir(place.target()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".part")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// However many threads complete files, losses come in the order of the archive, and a later file of a name wins.
#[test]
fn losses_come_in_the_order_of_the_files_whoever_completes_them() {
    let name = |number: usize| format!("d{}/f{number}", number % 7);
    let mut entries: Vec<_> = (0..300)
        .map(|number| match number % 50 {
            3 => entry(&name(number), b'6', "", b""),
            _ => entry(&name(number), b'0', "", number.to_string().as_bytes()),
        })
        .collect();
    entries.push(entry("d0/F7", b'0', "", b"another case"));
    entries.extend((0..20).map(|round| entry("d0/f7", b'0', "", format!("round {round}").as_bytes())));
    let mut told: Option<Vec<_>> = None;
    for threads_now in [0, 1, 4] {
        let place = Place::new();
        // Files do not take the place of directories.
        for number in [8, 100, 222] {
            fs::create_dir_all(place.target().join(name(number))).unwrap();
        }
        let report = Collected::new();
        let mut sink = HostSink::open(&place.target(), threads(threads_now)).unwrap();
        let counts =
            transfer(&mut ArchiveTree::from(tar(&entries)), &mut sink, &Select::all(), &report).unwrap();
        assert_eq!(counts.files, 300 - 6 - 3 + 21);
        let losses: Vec<_> = report.losses().into_iter().map(|loss| (loss.path, loss.kind)).collect();
        assert_eq!(losses.len(), 9, "{losses:?}");
        assert_eq!(told.get_or_insert_with(|| losses.clone()), &losses, "{threads_now} threads");
        assert_eq!(fs::read(place.target().join("d0/f7")).unwrap(), b"round 19");
        assert_eq!(fs::read(place.target().join(name(299))).unwrap(), b"299");
    }
}

/// Directories have the times of the archive, also when files in them were completed after they were left.
#[test]
fn directories_keep_their_times_whoever_completes_their_files() {
    use std::os::unix::fs::MetadataExt;
    let mut entries = Vec::new();
    for number in 0..40 {
        entries.push(entry(&format!("d{number}"), b'5', "", b""));
        entries.extend((0..9).map(|file| entry(&format!("d{number}/{file}"), b'0', "", &[7; 2000])));
    }
    let place = Place::new();
    let mut sink = HostSink::open(&place.target(), threads(3)).unwrap();
    transfer(&mut ArchiveTree::from(tar(&entries)), &mut sink, &Select::all(), &Collected::new()).unwrap();
    for number in 0..40 {
        let found = fs::metadata(place.target().join(format!("d{number}"))).unwrap();
        assert_eq!(found.mtime(), 0, "d{number}");
        assert!(!place.target().join(format!("d{number}/.ntbak-side")).exists());
    }
}
