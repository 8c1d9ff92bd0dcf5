//! Volumes of many shapes, filled through ntfs-3g, and real images: every fact is what an independent dumper says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use common::Image;
use common::compare::{Seen, judged, same_as_judged};
use ntbak_ntfs::{Options, Volume};

fn volume_of(mib: u64, size: &str, options: &[&str]) -> Option<Seen> {
    if let Some(why) = common::no_volumes() {
        common::skip(&why);
        return None;
    }
    let image = Image::formatted(mib, options);
    image.fill(size);
    let volume = Volume::open(image.open(), Options::default()).unwrap();
    assert!(volume.remarks().is_empty(), "{:?}", volume.remarks());
    let seen = same_as_judged(&volume, &judged(&image.path(), 0));
    println!("{options:?}: {seen:?}");
    assert!(
        seen.files > 800 && seen.streams > 840 && seen.short_names == 21 && seen.several_records >= 3,
        "{seen:?}"
    );
    Some(seen)
}

#[test]
fn ntfs_2_clusters_of_512_bytes() {
    volume_of(48, "small", &["-c", "512"]);
}

#[test]
fn ntfs_2_clusters_of_1024_bytes() {
    volume_of(48, "small", &["-c", "1024"]);
}

#[test]
fn ntfs_2_clusters_of_4096_bytes_and_everything() {
    volume_of(200, "large", &["-c", "4096"]);
}

#[test]
fn ntfs_2_clusters_of_8192_bytes() {
    volume_of(64, "small", &["-c", "8192"]);
}

#[test]
fn ntfs_2_clusters_of_65536_bytes() {
    volume_of(256, "small", &["-c", "65536"]);
}

#[test]
fn ntfs_2_clusters_of_2_mib() {
    volume_of(6000, "small", &["-c", "2097152"]);
}

#[test]
fn ntfs_3_sectors_of_4096_bytes() {
    volume_of(64, "small", &["-s", "4096", "-c", "4096"]);
}
