//! Volumes of every shape, as trees: clusters and sectors of all sizes, much of everything.

use std::fs;
use std::os::unix::fs::FileExt;

use super::image_tree::{NOT_ON_A_MOUNT, assert_listed, assert_same, on_a_mount};
use super::round_trip::IN_COPY;
use crate::common::judge::{self, Dump};
use crate::common::make;
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, ntbak};
use crate::common::{Chance, need_volumes, zoo};

/// Backs an unmounted volume up, puts it on another volume and into a directory, and compares all of them.
fn there_and_elsewhere(a: &Volume) {
    let (image, before) = (a.image(), judge::dump(a));
    assert_listed(&image, &before);
    let (archive, dir) = (a.beside("a.tar.zst"), a.beside("dir"));
    ntbak(args!["backup", &image, "-o", &archive]).expect(0).lost_only(&[]);
    threads_make_no_difference(a);
    ntbak(args!["verify", &archive, "--against", &image]).expect(0).lost_only(&[]);
    ntbak(args!["restore", &archive, &dir]).expect(0).lost_only(&[]);
    ntbak(args!["diff", &image, &dir]).expect(0).lost_only(&[]);
    let mut b = Volume::new(512);
    let allowed = [&NOT_ON_A_MOUNT[..], &["compression", "holes"]].concat().join(",");
    ntbak(args!["restore", &archive, b.root(), "--allow-loss", allowed]).expect(0);
    b.unmount();
    let after = judge::dump(&b);
    judge::no_leftovers(&after);
    let members: Vec<_> = IN_COPY.into_iter().filter(|member| *member != "vdl").collect();
    assert_same(&without_clusters(&before), &without_clusters(&after), &members);
}

/// What threads pack is what one thread writes, byte for byte.
fn threads_make_no_difference(a: &Volume) {
    let [one, several] = ["1", "4"].map(|jobs| {
        let archive = a.beside("jobs.tar");
        ntbak(args!["backup", "-j", jobs, a.image(), "-o", &archive]).expect(0).lost_only(&[]);
        let bytes = fs::read(&archive).unwrap();
        fs::remove_file(&archive).unwrap();
        bytes
    });
    assert!(one == several);
}

/// A dump without what hangs on the size of clusters: how much a sparse stream takes.
fn without_clusters(dump: &Dump) -> Dump {
    let mut dump = on_a_mount(dump);
    let streams = dump.values_mut().filter_map(|file| file["streams"].as_object_mut());
    for stream in streams.flat_map(|streams| streams.values_mut()).filter_map(|stream| stream.as_array_mut())
    {
        stream.truncate(3);
    }
    dump
}

/// So many: the first number with `NTBAK_FULL` set, which takes minutes.
fn number(full: usize, usual: usize) -> usize {
    if std::env::var_os("NTBAK_FULL").is_some() { full } else { usual }
}

/// 2, 3: clusters of 512 bytes to 2 MiB, sectors of 512 and 4096.
#[test]
fn ntfs_02_03_clusters_and_sectors_of_all_sizes() {
    need_volumes!();
    for (cluster, sector, mib) in [
        ("512", "512", 256),
        ("1024", "512", 256),
        ("4096", "4096", 256),
        ("65536", "512", 1024),
        ("65536", "4096", 1024),
        ("2097152", "512", 8192),
    ] {
        let mut a = Volume::shaped(mib, &["-c", cluster, "-s", sector]);
        a.mount(WINDOWS);
        fs::create_dir(a.path("zoo")).unwrap();
        zoo::fill(&a.path("zoo"));
        let mut chance = Chance::new(mib);
        // Much in one of them.
        let files = if (cluster, sector) == ("4096", "4096") { number(10_000, 300) } else { 300 };
        for number in 0..files {
            let dir = a.path(format!("dir {}/deeper", number % 7));
            fs::create_dir_all(&dir).unwrap();
            let content = chance.bytes(1 << (number % 16));
            fs::write(dir.join(format!("file {number}")), content).unwrap();
        }
        a.unmount();
        println!("clusters of {cluster}, sectors of {sector}");
        there_and_elsewhere(&a);
    }
}

/// 14, 33, 58, 65: a large directory, a file of many names, one of many pieces, and compressed ones.
#[test]
fn ntfs_14_33_58_65_much_of_everything() {
    need_volumes!();
    let mut a = Volume::unmounted(512);
    a.mount(&format!("{WINDOWS},compression"));
    let mut chance = Chance::new(65);
    fs::create_dir(a.path("large")).unwrap();
    for number in 0..number(20_000, 5000) {
        let content = chance.bytes(number % 40 * 25);
        fs::write(a.path(format!("large/a file with a number {number:05}")), content).unwrap();
    }
    fs::write(a.path("names"), "of many names").unwrap();
    for number in 0..500 {
        let to = if number % 2 == 0 { format!("name {number}") } else { format!("large/name {number}") };
        fs::hard_link(a.path("names"), a.path(to)).unwrap();
    }
    // Two files that grow in turns lie in each other's way.
    let pieces = ["pieces one", "pieces two"].map(|name| fs::File::create(a.path(name)).unwrap());
    for number in 0..number(20_000, 2000) as u64 {
        for file in &pieces {
            file.write_all_at(&chance.bytes(4096), number * 4096).unwrap();
            file.sync_all().unwrap();
        }
    }
    drop(pieces);
    fs::create_dir(a.path("compressed")).unwrap();
    make::attributes(&a.path("compressed"), 0x810);
    for number in 0..40 {
        let content = chance.bytes(50).repeat(number * 97);
        fs::write(a.path(format!("compressed/{number}")), content).unwrap();
    }
    a.unmount();
    let dump = judge::dump(&a);
    let compressed = dump["/compressed/39"]["attr"].as_u64().unwrap();
    assert_eq!(compressed & 0x800, 0x800, "nothing is compressed");
    there_and_elsewhere(&a);
}
