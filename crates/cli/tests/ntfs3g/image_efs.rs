//! Encrypted files out of an image: the raw export straight from the clusters.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ntbak::VolumeOptions;
use ntbak::location::{self, Location};
use ntbak::{NtfsVolume, place};
use ntbak_wire::efs::Content;
use ntbak_wire::record::StreamFlags;
use serde_json::Value;

use super::efs::{self, Key};
use super::image::inside;
use super::image_corpus::hash;
use super::win32_backup::tree::made;
use crate::common::mount::{Volume, WINDOWS};
use crate::common::need_volumes;
use crate::common::run::{args, ntbak};

const SIZES: [u64; 9] = [0, 1, 511, 512, 513, 4096, 70_000, 524_288, 1_048_577];

fn image(volume: &Volume, name: &str) -> location::Opened {
    let typed = format!("{}::{name}", volume.image().display());
    location::open(&Location::parse(typed.as_ref()), typed.as_ref(), VolumeOptions::default()).unwrap()
}

#[test]
fn ntfs_37_the_raw_export_is_that_of_the_mount() {
    need_volumes!();
    let mut a = Volume::new(64);
    let make = |name: String, streams: Vec<_>| {
        let raw = made::raw(made::metadata(7), streams);
        made::store(made::file(raw.clone()), &a.path(&name));
        (name, raw)
    };
    let mut files: Vec<(String, Vec<u8>)> = SIZES
        .iter()
        .map(|size| make(format!("size {size}"), vec![made::plan(None, Content::plain(*size))]))
        .collect();
    let named = |name, size| made::plan(Some(name), Content::plain(size));
    files.push(make(
        "streams".to_owned(),
        vec![made::plan(None, Content::plain(1000)), named("one", 70_001), named("two", 1)],
    ));
    // 37: metadata that is non-resident.
    let large = made::raw(made::metadata(9000), vec![made::plan(None, Content::plain(100))]);
    made::store(made::file(large.clone()), &a.path("large metadata"));
    files.push(("large metadata".to_owned(), large));
    a.remount(WINDOWS);
    // Some sizes ntfs-3g does not give.
    let mounted =
        |(name, _): &(String, Vec<u8>)| place::open(&a.path(name)).ok().map(|file| made::export(&*file));
    let mounted: Vec<Option<Vec<u8>>> = files.iter().map(mounted).collect();
    assert!(mounted.iter().flatten().count() >= 6);
    a.unmount();
    for ((name, raw), mounted) in files.iter().zip(&mounted) {
        let opened = image(&a, name);
        let export = made::export(opened.source());
        assert!(mounted.as_ref().is_none_or(|mounted| export == *mounted), "{name}: as on the mount");
        assert!(export == *raw, "{name}");
        let head = opened.source().stream(0).unwrap().unwrap();
        assert!(head.flags.contains(StreamFlags::ENCRYPTED), "{name}");
    }
    // Out of the image, into another volume, and out of that: the same export.
    let mut b = Volume::new(64);
    for (name, _) in &files {
        let told = made::copied(image(&a, name).source(), place::stage(&b.path(name), false).unwrap());
        let lost: Vec<_> = told.losses().iter().map(|loss| loss.kind.name()).collect();
        assert_eq!(lost, ["change-time"], "{name}");
    }
    b.unmount();
    for (name, raw) in &files {
        assert!(made::export(image(&b, name).source()) == *raw, "{name}");
    }
}

/// What a mount cannot show: a valid data length below the size, and a plain stream beside an encrypted one.
#[test]
fn ntfs_37_valid_data_length_and_plain_streams() {
    need_volumes!();
    let mut a = Volume::new(64);
    let streams =
        vec![made::plan(None, Content::plain(70_000)), made::plan(Some("plain"), Content::plain(5000))];
    made::store(made::file(made::raw(made::metadata(0), streams)), &a.path("f"));
    a.unmount();
    let volume = NtfsVolume::open(&a.image(), None, VolumeOptions::default()).unwrap();
    let (reference, geometry) = (volume.find(b"f").unwrap().file.reference(), *volume.volume().geometry());
    drop(volume);
    // Over the record: the words of its fixups are elsewhere.
    let at = geometry.mft_lcn * u64::from(geometry.cluster_size)
        + reference.record() * u64::from(geometry.record_size);
    let file = fs::File::options().read(true).write(true).open(a.image()).unwrap();
    let mut record = vec![0; geometry.record_size as usize];
    file.read_exact_at(&mut record, at).unwrap();
    let mut offset = usize::from(u16::from_le_bytes([record[20], record[21]]));
    loop {
        let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
        let (kind, len) = (word(offset), word(offset + 4) as usize);
        if kind == u32::MAX {
            break;
        }
        if kind == 0x80 && record[offset + 9] == 0 {
            file.write_all_at(&1000_u64.to_le_bytes(), at + offset as u64 + 56).unwrap();
        } else if kind == 0x80 {
            file.write_all_at(&[0], at + offset as u64 + 13).unwrap();
        }
        offset += len;
    }
    let opened = image(&a, "f");
    let encrypted = opened.source().encrypted().unwrap().unwrap();
    let plans = encrypted.streams();
    assert_eq!((plans[0].content.size, plans[0].content.vdl, plans[0].head.encrypted), (70_000, 1000, true));
    assert_eq!((plans[1].content.size, plans[1].head.encrypted), (5000, false));
    let mut stored = vec![0; 80_000];
    let mut got = 0;
    while got < stored.len() {
        match encrypted.read_stored(0, got as u64, &mut stored[got..]).unwrap() {
            0 => break,
            more => got += more,
        }
    }
    assert_eq!(got as u64, 70_000_u64.next_multiple_of(512));
    assert!((0..1000).all(|at| stored[at] == made::byte(0, at as u64)));
    assert!(!made::export(opened.source()).is_empty());
}

/// The commands on encrypted files of an image, with the key and without.
#[test]
fn encrypted_files_of_an_image() {
    need_volumes!();
    let key = Key::new("alice");
    let mut a = Volume::new(128);
    fs::create_dir(a.path("dir")).unwrap();
    for size in [0, 1, 513, 70_000, 1 << 20] {
        efs::encrypt(&a, &key, &format!("dir/f{size}"), &efs::content(size));
    }
    fs::hard_link(a.path("dir/f513"), a.path("second name")).unwrap();
    fs::write(a.path("dir/plain"), "plain").unwrap();
    a.remount(WINDOWS);
    let export = |location: OsString| ntbak(args!["efs", "export", location]).expect(0).stdout;
    let mounted = export(a.path("dir/f70000").into());
    a.unmount();
    let image = a.image();
    let secret = inside(&image, "dir/f70000");
    assert!(export(secret.clone()) == mounted);
    assert!(efs::decrypt(&key, Path::new(&secret), None) == efs::content(70_000));
    let info = ntbak(args!["efs", "info", "--json", &secret]).expect(0);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!((&info["streams"][0]["size"], info["users"].as_array().unwrap().len()), (&70_000.into(), 1));
    let users = ntbak(args!["efs", "users", "list", &secret]).expect(0);
    assert!(String::from_utf8_lossy(&users.stdout).contains("alice"));
    ntbak(args!["efs", "export", inside(&image, "dir/plain")]).expect(2);
    ntbak(args!["efs", "info", inside(&image, "dir/f513:s")]).expect(2);
    ntbak(args!["efs", "info", inside(&image, "dir/none")]).expect(1);
    // All that is encrypted, by each of its names.
    let all = a.beside("all");
    let keys = args!["--key", &key.path("pfx"), "--password-file", &key.path("password")];
    let arguments = args!["efs", "decrypt", "--all", &image, "-o", &all];
    ntbak([&arguments[..], &keys[..]].concat()).expect(0).lost_only(&[]);
    for (name, size) in [("dir/f0", 0), ("dir/f513", 513), ("second name", 513), ("dir/f1048576", 1 << 20)] {
        assert!(fs::read(all.join(name)).unwrap() == efs::content(size), "{name}");
    }
    assert!(!all.join("dir/plain").exists());
    // Without a key they go as they are: into an archive, to another volume, and out of that image.
    let (archive, mut b) = (a.beside("a.tar"), Volume::new(128));
    ntbak(args!["backup", &image, "-o", &archive]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &archive, "--against", &image]).expect(0);
    ntbak(args!["restore", &archive, b.root(), "--allow-loss", "change-time"]).expect(0);
    b.unmount();
    assert!(export(inside(&b.image(), "dir/f70000")) == mounted);
    ntbak(args!["diff", &image, b.image(), "--exclude", "$RECYCLE.BIN"]).expect(0);
    let decrypted = efs::decrypt(&key, Path::new(&inside(&b.image(), "dir/f1048576")), None);
    assert_eq!(hash(&decrypted), hash(&efs::content(1 << 20)));
}
