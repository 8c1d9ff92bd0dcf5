//! Files out of an image: the commands, and every kind of file from the image of one volume to another.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::fs::{CWD, Mode};
use serde_json::Value;

use super::round_trip::{IN_COPY, compare, volumes};
use crate::common::judge;
use crate::common::make::{self, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, command, ntbak};
use crate::common::{Chance, need_volumes, output};

/// `IMAGE::INSIDE`.
pub(crate) fn inside(image: &Path, path: impl AsRef<[u8]>) -> OsString {
    OsStr::from_bytes(&[image.as_os_str().as_bytes(), b"::", path.as_ref()].concat()).to_owned()
}

/// A path with more behind it.
fn after(path: &Path, more: &str) -> OsString {
    [path.as_os_str(), OsStr::new(more)].into_iter().collect()
}

/// From the image every fact comes, also those that a mount does not show.
#[test]
fn every_kind_of_file_comes_out_of_an_image() {
    need_volumes!();
    let (mut a, b, mut items, before) = volumes();
    a.unmount();
    let mut faults = Vec::new();
    for item in &items {
        let to = item.at(&b.path("zoo"));
        let from = inside(&a.image(), [b"zoo/", &item.name[..]].concat());
        let copied = ntbak(args!["copy", &from, &to, "--allow-loss", "change-time,vdl"]);
        let said: Vec<_> = copied.lost().into_iter().collect();
        // What never was written past the valid data length becomes written zeros there.
        let short = ["sparse.img", "all-hole.img"].iter().any(|name| item.name == name.as_bytes());
        let expected = if short { &["change-time", "vdl"][..] } else { &["change-time"] };
        if copied.code != 0 || said != expected {
            faults.push(format!("{}: {} {said:?} {}", to.display(), copied.code, copied.stderr));
        }
    }
    a.mount(WINDOWS);
    // ntfs-3g shows some facts not; nothing is excused of an image.
    for item in &mut items {
        (item.lost, item.excused) = (&[], &[]);
    }
    compare((a, b), &items, &before, &IN_COPY, faults);
}

/// The backup stream of a file is the same from the image and from the mount, where the mount shows all of it.
#[test]
fn backup_streams_are_those_of_the_mount() {
    need_volumes!();
    let (mut a, _b, items, _) = volumes();
    let read = |from: &OsStr| ntbak(args!["stream", "read", from]);
    // The mount sees no holes but runs of zeros of 64 KiB; these are such.
    let shown: Vec<_> = items.iter().filter(|item| item.excused.is_empty()).collect();
    let mounted: Vec<_> =
        shown.iter().map(|item| read(item.at(&a.path("zoo")).as_os_str()).expect(0).stdout).collect();
    a.unmount();
    for (item, mounted) in shown.iter().zip(mounted) {
        let from = inside(&a.image(), [b"zoo\\", &item.name[..]].concat());
        assert!(read(&from).expect(0).stdout == mounted, "{}", item.shown());
    }
}

#[test]
fn places_in_an_image() {
    need_volumes!();
    let mut a = Volume::new(64);
    let dir = a.path("Ordner mit Ü");
    fs::create_dir(&dir).unwrap();
    let file = dir.join("Datei.txt");
    fs::write(&file, "content").unwrap();
    fs::write(stream(&file, "Strom"), "of the stream").unwrap();
    fs::write(stream(&dir, "on directory"), "of the directory").unwrap();
    fs::write(a.path("back\\slash"), "with a backslash").unwrap();
    fs::create_dir(a.path("back")).unwrap();
    fs::write(a.path("back/slash"), "with a slash").unwrap();
    fs::write(a.path("back/other"), "other").unwrap();
    fs::create_dir(a.path("junction")).unwrap();
    make::set(&a.path("junction"), make::REPARSE, &make::junction("C:\\back"));
    a.unmount();
    let image = a.image();
    for (path, content) in [
        ("Ordner mit Ü/Datei.txt", "content"),
        ("/Ordner mit Ü/Datei.txt", "content"),
        ("\\Ordner mit Ü\\Datei.txt", "content"),
        // As the volume compares: case does not matter.
        ("//ORDNER MIT ü//datei.TXT", "content"),
        ("Ordner mit Ü/Datei.txt:Strom", "of the stream"),
        ("ordner mit ü\\DATEI.TXT:STROM:$DATA", "of the stream"),
        ("Ordner mit Ü:on directory", "of the directory"),
        // What is there as it is typed wins.
        ("back\\slash", "with a backslash"),
        ("back/slash", "with a slash"),
        ("back\\other", "other"),
    ] {
        let ran = ntbak(args!["cat", inside(&image, path)]).expect(0);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), content, "{path}");
    }
    for (path, why) in [
        ("no such", "there is no \"no such\""),
        ("no such/file", "there is no \"no such\""),
        ("Ordner mit Ü/Datei.txt/x", "is to be in is no directory"),
        ("Ordner mit Ü/Datei.txt:none", "it has no stream none"),
        ("Ordner mit Ü", "no unnamed data stream"),
        ("C:\\back", "leave the drive letter out"),
        ("junction/slash", "they are not followed"),
    ] {
        let ran = ntbak(args!["cat", inside(&image, path)]).expect(1);
        assert!(ran.stderr.contains(why) && ran.stdout.is_empty(), "{path}: {}", ran.stderr);
    }
    // An image whose name has everything in it, and a path on this machine that looks like one in it.
    let odd = image.with_file_name("odd#1::name:x");
    fs::rename(&image, &odd).unwrap();
    let path = inside(&odd, "back/other");
    assert_eq!(ntbak(args!["cat", &path]).expect(0).stdout, b"other");
    assert_eq!(ntbak(args!["cat", &odd]).expect(0).stdout.len(), 64 << 20);
    let numbered = after(&odd, "#1::back/other");
    assert_eq!(ntbak(args!["cat", &numbered]).expect(0).stdout, b"other");
    fs::rename(&odd, &image).unwrap();
    // A whole file is copied and shown, not one of its streams.
    for command in ["copy", "info"] {
        let mut arguments = args![command, inside(&image, "Ordner mit Ü/Datei.txt:Strom")].to_vec();
        arguments.extend((command == "copy").then(|| a.beside("copy").into()));
        ntbak(arguments).expect(2);
    }
    // Without a name of its own the copy gets that of the file, as it is on the volume.
    let target = a.beside("target");
    fs::create_dir(&target).unwrap();
    let from = inside(&image, "ORDNER MIT Ü/DATEI.TXT");
    ntbak(args!["copy", &from, &target]).expect(0);
    assert_eq!(fs::read(target.join("Datei.txt")).unwrap(), b"content");
    ntbak(args!["copy", inside(&image, "/"), &target]).expect(2);
    ntbak(args!["copy", inside(&image, "Ordner mit Ü"), &target]).expect(0).lost_only(&[]);
    assert_eq!(fs::read(target.join("Ordner mit Ü/Datei.txt")).unwrap(), b"content");
}

fn json(arguments: &[OsString]) -> Value {
    serde_json::from_slice(&ntbak(arguments).expect(0).stdout).unwrap()
}

#[test]
fn what_info_says_of_an_image() {
    need_volumes!();
    let mut a = Volume::new(64);
    fs::write(a.path("f"), "x").unwrap();
    fs::write(stream(&a.path("f"), "s"), "x").unwrap();
    fs::hard_link(a.path("f"), a.path("g")).unwrap();
    fs::create_dir(a.path("junction")).unwrap();
    make::set(&a.path("junction"), make::REPARSE, &make::junction("C:\\x"));
    make::sparse(&a.path("sparse"), 1 << 20, &[]);
    fs::write(a.path("secret"), [&Chance::new(8).bytes(1024)[..], &[16, 0]].concat()).unwrap();
    make::set(&a.path("secret"), make::EFS, &make::efs());
    make::set(&a.path("f"), make::EA, &make::ea_on_disk(&[("A", b"x", 0)]));
    a.unmount();
    let image = a.image();
    for location in [image.as_os_str().to_owned(), inside(&image, "")] {
        let info = json(&args!["info", "--json", &location]);
        assert_eq!(info["type"], "image");
        assert_eq!(
            (&info["container"]["kind"], &info["container"]["size"]),
            (&"raw image".into(), &(64 << 20).into())
        );
        let volume = &info["volumes"][0];
        for (key, value) in [
            ("files", 3),
            ("directories", 2),
            ("names", 6),
            ("named_streams", 1),
            ("encrypted", 1),
            ("sparse", 1),
            ("with_eas", 1),
            ("orphans", 0),
            ("damaged", 0),
            ("cluster_size", 4096),
        ] {
            assert_eq!(volume[key], value, "{key}: {volume}");
        }
        assert_eq!(volume["reparse"], serde_json::json!({ "0xa0000003": 1 }));
        assert_eq!((&volume["version"], &volume["state"]["clean"]), (&"3.1".into(), &true.into()));
        let text = ntbak(args!["info", &location]).expect(0);
        let text = String::from_utf8(text.stdout).unwrap();
        for line in ["raw image", "1 encrypted", "1 with IO_REPARSE_TAG_MOUNT_POINT", "state         clean"] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
    let file = json(&args!["info", "--json", inside(&image, "F")]);
    assert_eq!((&file["type"], &file["link_count"]), (&"file".into(), &2.into()));
    assert_eq!(
        file["streams"][1],
        serde_json::json!({
            "name": "s", "size": 1, "sparse": false, "compressed": false, "encrypted": false,
        })
    );
    // Not every file is an image.
    fs::write(a.beside("plain"), vec![7; 100_000]).unwrap();
    assert_eq!(json(&args!["info", "--json", a.beside("plain")])["type"], "file");
}

/// Two volumes on one disk, containers of every kind, and what is refused.
#[test]
fn partitions_and_containers() {
    need_volumes!();
    let mut a = Volume::new(16);
    fs::write(a.path("f"), "content").unwrap();
    a.unmount();
    if std::process::Command::new("qemu-img").arg("--version").output().is_err()
        || std::process::Command::new("sfdisk").arg("--version").output().is_err()
    {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "NTBAK_REQUIRE_ALL is set");
        eprintln!("skipped: qemu-img or sfdisk is not installed");
        return;
    }
    for kind in ["qcow2", "vpc", "vhdx"] {
        let image = a.beside(&format!("disk.{kind}"));
        output("qemu-img", args!["convert", "-O", kind, a.image(), &image]);
        assert_eq!(ntbak(args!["cat", inside(&image, "F")]).expect(0).stdout, b"content", "{kind}");
        assert_eq!(json(&args!["info", "--json", &image])["volumes"].as_array().unwrap().len(), 1);
    }
    let vmdk = a.beside("disk.vmdk");
    output("qemu-img", args!["convert", "-O", "vmdk", a.image(), &vmdk]);
    let ran = ntbak(args!["cat", inside(&vmdk, "F")]).expect(1);
    assert!(ran.stderr.contains("qemu-img convert"), "{}", ran.stderr);
    for command in ["info", "list"] {
        let ran = ntbak(args![command, &vmdk]).expect(1);
        assert!(ran.stderr.contains("qemu-img convert"), "{command}: {}", ran.stderr);
    }

    let disk = a.beside("disk");
    let volume = fs::read(a.image()).unwrap();
    let mut bytes = vec![0; 40 << 20];
    for at in [1 << 20, 20 << 20] {
        bytes[at..at + volume.len()].copy_from_slice(&volume);
    }
    fs::write(&disk, bytes).unwrap();
    let table = "label: dos\nstart=2048, size=32768, type=7\nstart=40960, size=32768, type=7\n";
    let script = format!("printf '{}' | sfdisk -q '{}'", table.replace('\n', "\\n"), disk.display());
    output("sh", ["-c", &script]);
    let ran = ntbak(args!["cat", inside(&disk, "f")]).expect(1);
    assert!(ran.stderr.contains("several") && ran.stderr.contains("partition 2"), "{}", ran.stderr);
    for number in ["#1", "#2"] {
        let location = after(&disk, &format!("{number}::f"));
        assert_eq!(ntbak(args!["cat", location]).expect(0).stdout, b"content");
        let info = json(&args!["info", "--json", after(&disk, number)]);
        assert_eq!(info["volumes"].as_array().unwrap().len(), 1);
    }
    assert_eq!(json(&args!["info", "--json", &disk])["volumes"].as_array().unwrap().len(), 2);
    let location = after(&disk, "#3::f");
    assert!(ntbak(args!["cat", location]).expect(1).stderr.contains("there is no partition 3"));
    let ran = ntbak(args!["cat", inside(&a.beside("plain"), "x")]).expect(1);
    assert!(ran.stderr.contains("plain"), "{}", ran.stderr);
    fs::write(a.beside("plain"), vec![7; 100_000]).unwrap();
    let ran = ntbak(args!["cat", inside(&a.beside("plain"), "x")]).expect(1);
    assert!(ran.stderr.contains("no NTFS volume"), "{}", ran.stderr);
}

/// A file that Windows has compressed as a whole: as Windows shows it, and as it is stored.
#[test]
fn ntfs_36_files_of_wof_come_out_as_content_or_as_stored() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(64), Volume::new(64));
    // One chunk that does not shrink is stored plain, without a table.
    let content = Chance::new(3).bytes(4000);
    let make_wof = |name: &str, provider: &[u32]| {
        let path = a.path(name);
        make::sparse(&path, content.len() as u64, &[]);
        fs::write(stream(&path, "WofCompressedData"), &content).unwrap();
        fs::write(stream(&path, "other"), "kept").unwrap();
        let data: Vec<u8> = provider.iter().flat_map(|word| word.to_le_bytes()).collect();
        make::set(&path, make::REPARSE, &make::reparse(0x8000_0017, &data));
    };
    make_wof("compact", &[1, 2, 1, 1]);
    let mut wim = vec![1, 1, 2];
    wim.resize(22, 0);
    make_wof("wimboot", &wim);
    a.unmount();
    let compact = inside(&a.image(), "compact");
    assert!(ntbak(args!["cat", &compact]).expect(0).stdout == content);
    let shown = json(&args!["info", "--json", &compact]);
    let streams: Vec<_> = shown["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| (&stream["name"], &stream["sparse"]))
        .collect();
    assert_eq!(streams, [(&"".into(), &false.into()), (&"other".into(), &false.into())]);
    assert_eq!((&shown["type"], shown["attributes"].as_u64().unwrap() & 0x600), (&"file".into(), 0));
    let raw = json(&args!["info", "--json", "--wof", "raw", &compact]);
    assert_eq!((&raw["type"], raw["streams"].as_array().unwrap().len()), (&"reparse".into(), 3));
    assert!(ntbak(args!["cat", "--wof", "raw", &compact]).expect(0).stdout.iter().all(|byte| *byte == 0));

    let ran = ntbak(args!["copy", &compact, b.path("data"), "--allow-loss", "change-time"]).expect(0);
    assert!(ran.report.iter().any(|line| line["what"].as_str().is_some_and(|what| what.contains("(LZX)"))));
    ntbak(args!["copy", "--wof", "raw", &compact, b.path("raw"), "--allow-loss", "change-time,vdl"])
        .expect(0);
    // Where the content is not on the volume, that is a loss, and the rest is kept as it is stored.
    let wimboot = inside(&a.image(), "wimboot");
    let ran = ntbak(args!["copy", &wimboot, b.path("wimboot"), "--allow-loss", "vdl"]).expect(3);
    assert!(ran.lost().contains("content") && ran.stderr.contains("WIM"), "{}", ran.stderr);
    b.unmount();
    let (before, after) = (judge::dump(&a), judge::dump(&b));
    assert_eq!(after["/data"]["streams"][""][0], content.len());
    assert!(after["/data"]["reparse"].is_null() && after["/data"]["streams"]["WofCompressedData"].is_null());
    assert!(ntbak(args!["cat", inside(&b.image(), "data")]).expect(0).stdout == content);
    for (from, to) in [("/compact", "/raw"), ("/wimboot", "/wimboot")] {
        let differences =
            judge::differences(&before[from], &after[to], &["streams", "reparse", "attr", "sd"]);
        assert_eq!(differences, [""; 0]);
    }
}

/// What is not on the volume, and what is stored in ways that only Windows reads, is noted.
#[test]
fn ntfs_40_placeholders_and_deduplicated_files_are_noted() {
    need_volumes!();
    let mut a = Volume::new(64);
    for (name, tag, attributes) in
        [("cloud", 0x9000_601A, 0x1020), ("local", 0x9000_601A, 0x20), ("deduplicated", 0x8000_0013, 0x20)]
    {
        fs::write(a.path(name), "").unwrap();
        make::set(&a.path(name), make::REPARSE, &make::reparse(tag, &[0; 24]));
        make::attributes(&a.path(name), attributes);
    }
    a.unmount();
    for (name, note) in [("cloud", "placeholder"), ("local", ""), ("deduplicated", "Data Deduplication")] {
        let ran = ntbak(args!["stream", "read", inside(&a.image(), name)]).expect(0);
        let notes: Vec<_> = ran.report.iter().map(|line| line["what"].as_str().unwrap()).collect();
        assert_eq!(notes.len(), usize::from(!note.is_empty()), "{name}: {notes:?}");
        assert!(notes.iter().all(|what| what.contains(note)), "{notes:?}");
    }
}

/// A directory whose index is damaged, a descriptor that is nowhere, a record that is gone: each is told, and the rest is
/// read.
#[test]
fn damage_on_a_volume_is_told() {
    need_volumes!();
    let mut a = Volume::new(64);
    let file = a.path("many");
    fs::write(&file, "content").unwrap();
    // More than one record holds.
    for number in 0..40 {
        fs::write(stream(&file, format!("stream {number:03}")), Chance::new(number).bytes(20)).unwrap();
    }
    a.unmount();
    let volume = ntbak::NtfsVolume::open(&a.image(), None, ntbak::VolumeOptions::default()).unwrap();
    let file = volume.find(b"many").unwrap().file;
    let geometry = *volume.volume().geometry();
    let mft = geometry.mft_lcn * u64::from(geometry.cluster_size);
    let at = |record: u64| mft + record * u64::from(geometry.record_size);
    let (record, records) = (file.reference().record(), volume.volume().records());
    drop((file, volume));
    let disk = fs::File::options().read(true).write(true).open(a.image()).unwrap();
    let whole = ntbak(args!["stream", "read", inside(&a.image(), "many")]).expect(0);
    assert_eq!(whole.report, [Value::Null; 0]);
    // Its last extension record.
    let mut bytes = vec![0; geometry.record_size as usize];
    let extension = (0..records).rev().find(|other| {
        disk.read_exact_at(&mut bytes, at(*other)).unwrap();
        bytes.starts_with(b"FILE") && bytes[22] & 1 == 1 && bytes[32..38] == record.to_le_bytes()[..6]
    });
    disk.write_all_at(b"BAAD", at(extension.unwrap())).unwrap();
    let ran = ntbak(args!["stream", "read", inside(&a.image(), "many")]).expect(3);
    assert!(ran.lost().contains("content") && ran.stderr.contains("damaged"), "{}", ran.stderr);
    assert!(ran.stdout.len() > 500 && ran.stdout.len() < whole.stdout.len());
    // The security id, in the 72-byte $STANDARD_INFORMATION at the start of the record.
    disk.read_exact_at(&mut bytes, at(record)).unwrap();
    let first = usize::from(u16::from_le_bytes([bytes[20], bytes[21]]));
    assert_eq!(bytes[first], 0x10);
    disk.write_all_at(&0x7777_u32.to_le_bytes(), at(record) + first as u64 + 24 + 52).unwrap();
    let ran = ntbak(args!["copy", inside(&a.image(), "many"), a.beside("copy")]).expect(3);
    assert!(ran.lost().contains("security") && ran.stderr.contains("0x7777"), "{}", ran.stderr);
    // The index of the root: the files themselves know where they are.
    let ran = ntbak(args!["cat", inside(&a.image(), "many")]).expect(0);
    assert_eq!(ran.stdout, b"content");
    let root = at(5);
    disk.read_exact_at(&mut bytes, root).unwrap();
    let kind = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut attribute = usize::from(u16::from_le_bytes([bytes[20], bytes[21]]));
    while kind(attribute) != 0x90 {
        attribute += kind(attribute + 4) as usize;
    }
    // The type of what is indexed.
    let value = attribute + usize::from(u16::from_le_bytes([bytes[attribute + 20], bytes[attribute + 21]]));
    disk.write_all_at(&[0xFF; 12], root + value as u64 + 16).unwrap();
    let volume = ntbak::NtfsVolume::open(&a.image(), None, ntbak::VolumeOptions::default()).unwrap();
    let directory = volume.volume().root().unwrap();
    assert!(volume.volume().lookup_in(&directory, &"many".encode_utf16().collect::<Vec<_>>()).is_err());
    assert_eq!(ntbak(args!["cat", inside(&a.image(), "MANY")]).expect(0).stdout, b"content");
    ntbak(args!["cat", inside(&a.image(), "no such file")]).expect(1);
}

/// Everything comes out of an image for a user who may do nothing but read it.
#[test]
fn an_image_needs_no_root() {
    need_volumes!();
    let mut a = Volume::new(64);
    let file = a.path("f");
    fs::write(&file, Chance::new(7).bytes(100_000)).unwrap();
    fs::write(stream(&file, "s"), "stream").unwrap();
    make::set(&file, make::ACL, &make::plain_descriptor(1));
    make::set(&file, make::OBJECT_ID, &Chance::new(9).bytes(64));
    let backup = ntbak(args!["stream", "read", &file]).expect(0).stdout;
    a.unmount();
    let open = |path: &Path| {
        rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(0o777), rustix::fs::AtFlags::empty())
    };
    let dir = a.image().parent().unwrap().to_owned();
    for path in [&dir, &a.image()] {
        open(path).unwrap();
    }
    let as_user = |arguments: &[OsString]| {
        let ran = command().args(arguments).uid(65_534).gid(65_534).output().unwrap();
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout
    };
    assert!(as_user(&args!["stream", "read", inside(&a.image(), "f")]) == backup);
    as_user(&args!["info", a.image()]);
    // To a directory and back from there: nothing is lost on the way.
    as_user(&args!["copy", inside(&a.image(), "f"), dir.join("copy")]);
    assert!(as_user(&args!["stream", "read", dir.join("copy")]) == backup);
    a.mount(WINDOWS);
}
