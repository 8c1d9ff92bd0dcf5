//! Volumes that Windows made: every file of them as the independent dumper says, and as a read-only mount of ntfs-3g shows
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ntbak::source::{NtfsSource, WofView};
use ntbak::{Collected, FileReport, FileSource, NtfsVolume, VolumeOptions, place};
use ntbak_image::ReadAt;
use ntbak_wire::Name;
use ntbak_wire::record::{Extent, Extents, SmallKind, StreamFlags};
use rustix::fs::SeekFrom;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::common::judge;
use crate::common::mount::Volume;
use crate::common::{need_volumes, unpacked};

pub(crate) const IMAGES: [&str; 11] = [
    "ntfs-samples/ntfs-2m.raw.gz",
    "ntfs-samples/ntfs-lastaccess.raw.gz",
    "ntfs-samples/ntfs-ptrn.raw.gz",
    "ntfs-samples/ntfs-ramslack.raw.gz",
    "ntfs-samples/ntfs-si-vs-fn.raw.gz",
    "ntfs-samples/ntfs.tgz",
    "plaso/vsstest.qcow2",
    "dfvfs/windows_volume.qcow2",
    "colinfinck-ntfs/testfs1.zst",
    "securityronin/SampleTinyNtfsVolume.zip",
    "grr/ntfs_img.dd.zst",
];

/// A volume of the corpus, and the same as an image of its own, so that ntfs-3g can mount it.
pub(crate) fn volumes(name: &str) -> Option<(NtfsVolume, Volume)> {
    let mut opened = None;
    let alone = Volume::of_image(|alone| {
        let dir = alone.parent().unwrap();
        let Some(path) = unpacked(name, dir) else { return };
        let volume = NtfsVolume::open(&path, None, VolumeOptions::default().wof(WofView::Raw)).unwrap();
        cut_out(&volume, &path, alone);
        opened = Some(volume);
    });
    Some((opened?, alone))
}

/// Writes the partition of a volume to a file, without reading holes of a raw image.
fn cut_out(volume: &NtfsVolume, path: &Path, to: &Path) {
    let (disk, partition) = (volume.image(), volume.partition());
    let (begin, end) = (partition.offset, partition.offset + partition.available);
    let (from, to) = (File::open(path).unwrap(), File::create(to).unwrap());
    to.set_len(partition.size).unwrap();
    let is_raw = volume.image().kind() == ntbak_image::Kind::Raw;
    let (mut at, mut buffer) = (begin, vec![0; 1 << 20]);
    while at < end {
        if is_raw {
            match rustix::fs::seek(&from, SeekFrom::Data(at)) {
                Ok(data) => at = at.max(data),
                Err(_) => break,
            }
        }
        let len = buffer.len().min(usize::try_from(end.saturating_sub(at)).unwrap());
        disk.read_exact_at(at, &mut buffer[..len]).unwrap();
        for (piece, offset) in buffer[..len].chunks(65_536).zip((at..).step_by(65_536)) {
            if piece.iter().any(|byte| *byte != 0) {
                to.write_all_at(piece, offset - begin).unwrap();
            }
        }
        at += len as u64;
    }
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn content(source: &dyn FileSource, index: usize) -> Vec<u8> {
    let (mut content, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        match source.read_at(index, content.len() as u64, &mut buffer).unwrap() {
            0 => return content,
            got => content.extend_from_slice(&buffer[..got]),
        }
    }
}

fn heads(source: &dyn FileSource) -> Vec<ntbak_wire::record::StreamHead> {
    (0..).map_while(|index| source.stream(index).unwrap()).collect()
}

fn told(source: &dyn FileSource, path: &Path) -> Collected {
    let told = Collected::new();
    source.remarks(ntbak::source::Facet::All, &FileReport { to: &told, path }).unwrap();
    told
}

/// The facts of a source in the words of the dumper.
fn facts(source: &NtfsSource) -> Value {
    let info = source.info().unwrap();
    let time = |time: Option<ntbak_wire::FileTime>| time.unwrap().0.cast_unsigned();
    let times = info.times;
    let mut short: Vec<String> = info
        .links
        .iter()
        .filter_map(|link| Some((&link.name, link.short.as_ref()?.to_string())))
        // The dumper tells those that are names of their own.
        .filter(|(name, short)| !String::from_utf8_lossy(name).eq_ignore_ascii_case(short))
        .map(|(_, short)| short)
        .collect();
    short.sort();
    let mut facts = json!({
        "dir": info.attributes.is_directory(), "dos": short, "names": info.link_count,
        "times": {"c": time(times.created), "m": time(times.written), "x": time(times.changed), "a": time(times.accessed)},
        "attr": info.attributes.bits() & !0x10, "streams": {},
    });
    let small = |kind| source.small(kind).unwrap();
    if let Some(descriptor) = small(SmallKind::Security) {
        facts["sd"] = json!(hash(&descriptor));
    }
    if let Some(id) = small(SmallKind::ObjectId) {
        assert_eq!(id.len(), 64);
        facts["objid"] = json!(id[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    if let Some(reparse) = small(SmallKind::Reparse) {
        let tag: String = reparse[..4].iter().rev().map(|byte| format!("{byte:02x}")).collect();
        facts["reparse"] = json!([tag, reparse.len(), hash(&reparse)]);
    }
    if let Some(list) = small(SmallKind::Ea) {
        let list = ntbak_wire::ea::full_to_on_disk(&list).unwrap();
        facts["ea"] = json!([list.len(), hash(&list)]);
    }
    for (index, head) in heads(source).iter().enumerate() {
        let bytes = content(source, index);
        assert_eq!(bytes.len() as u64, head.size);
        let name = head.name.as_ref().map(|name| name.name().to_string()).unwrap_or_default();
        if head.vdl < head.size {
            facts["vdl"][&name] = json!(head.vdl);
        }
        facts["streams"][&name] = json!([head.size, hash(&bytes)]);
        blocks(source, index, head, &bytes);
    }
    facts
}

/// All but zeros is in the ranges that a source gives.
fn blocks(source: &dyn FileSource, index: usize, head: &ntbak_wire::record::StreamHead, bytes: &[u8]) {
    let mut from = 0;
    while let Some(Extent { offset, len }) = source.next_extent(index, from).unwrap() {
        assert!(offset >= from && len > 0 && offset + len <= head.size);
        assert!(bytes[from as usize..offset as usize].iter().all(|byte| *byte == 0));
        from = offset + len;
    }
    assert!(bytes[from as usize..].iter().all(|byte| *byte == 0));
    assert!(head.extents != Extents::All || from == head.size);
}

/// What the dumper says, without what it alone knows: how it is stored.
fn expected(file: &Value) -> Value {
    let mut facts = json!({
        "dir": file["dir"], "dos": file["dos"], "times": file["times"],
        "names": file["ns"].as_array().unwrap().iter().filter(|space| **space != 2).count(),
        "attr": file["attr"].as_u64().unwrap() & 0xCFFF_FFEF, "streams": {},
    });
    for key in ["sd", "reparse", "ea", "vdl"] {
        if !file[key].is_null() {
            facts[key] = file[key].clone();
        }
    }
    if let Some(id) = file["objid"].as_str() {
        facts["objid"] = json!(id[..32]);
    }
    for (name, stream) in file["streams"].as_object().unwrap() {
        facts["streams"][name] = json!([stream[0], stream[1]]);
    }
    facts
}

#[test]
fn every_file_of_the_corpus_is_as_judged() {
    need_volumes!();
    for name in IMAGES {
        let Some((volume, alone)) = volumes(name) else { continue };
        let judged: BTreeMap<u64, Value> =
            judge::dump(&alone).into_values().map(|file| (file["rec"].as_u64().unwrap(), file)).collect();
        let catalogue = volume.catalogue().unwrap();
        let in_tree: BTreeSet<u64> = catalogue.files().map(|(_, entry)| entry.reference().record()).collect();
        let (mut files, mut bytes) = (0, 0);
        for (record, file) in &judged {
            let Some(entry) = catalogue.find_record(*record).and_then(|id| catalogue.entry(id)) else {
                panic!("{name}: record {record} is not in the catalogue");
            };
            let source = volume.source(entry.reference(), Path::new("f")).unwrap();
            assert_eq!(facts(&source), expected(file), "{name}: {}", file["paths"]);
            let told = told(&source, Path::new("f"));
            assert_eq!(told.losses(), [], "{name}: {}", file["paths"]);
            files += 1;
            bytes += heads(&source).iter().map(|head| head.size).sum::<u64>();
        }
        assert!(in_tree.iter().all(|record| judged.contains_key(record)), "{name}");
        println!("{name}: {files} files, {bytes} bytes as judged");
    }
}

/// The path of each name of the tree on a mount.
fn paths(volume: &NtfsVolume, root: &Path) -> Vec<(ntbak_ntfs::FileReference, PathBuf)> {
    let catalogue = volume.catalogue().unwrap();
    let mut paths = Vec::new();
    for (_, name) in catalogue.walk() {
        let mut path = root.to_owned();
        for name in catalogue.path(name).unwrap() {
            let name = Name::from_units(catalogue.name(name).to_vec()).to_wtf8();
            path.push(OsStr::from_bytes(&name));
        }
        let file = catalogue.entry(catalogue.file_of(name).unwrap()).unwrap();
        paths.push((file.reference(), path));
    }
    paths
}

#[test]
fn every_file_of_the_corpus_is_as_ntfs_3g_shows_it() {
    need_volumes!();
    for name in IMAGES {
        let Some((volume, mut alone)) = volumes(name) else { continue };
        alone.mount("ro,streams_interface=windows,efs_raw,permissions");
        let mut differences = Vec::new();
        let paths = paths(&volume, &alone.root());
        // It takes what is behind a colon for a stream.
        let shown = |path: &Path| !path.as_os_str().as_bytes().contains(&b':');
        for (reference, path) in paths.iter().filter(|(_, path)| shown(path)) {
            let own = volume.source(*reference, path).unwrap();
            let theirs = match place::open(path) {
                Ok(theirs) => theirs,
                Err(error) => {
                    differences.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            for difference in compare(&own, &*theirs, path) {
                differences.push(format!("{}: {difference}", path.display()));
            }
        }
        alone.unmount();
        println!("{name}: {} names compared", paths.len());
        assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
    }
}

/// How a file differs from what ntfs-3g shows of it, but for what that cannot show.
fn compare(own: &NtfsSource, theirs: &dyn FileSource, path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |what: &str, own: String, theirs: String| {
        if own != theirs {
            found.push(format!("{what}: {own:.200} is {theirs:.200} for ntfs-3g"));
        }
    };
    let (one, other) = (own.info().unwrap(), theirs.info().unwrap());
    let lost: BTreeSet<&str> = told(theirs, path).losses().iter().map(|loss| loss.kind.name()).collect();
    same("attributes", format!("{:?}", one.attributes), format!("{:?}", other.attributes));
    same("times", format!("{:?}", one.times), format!("{:?}", other.times));
    same("case", one.case_sensitive.to_string(), "false".to_owned());
    if !one.attributes.is_directory() {
        same("names", one.link_count.to_string(), other.link_count.to_string());
    }
    if !lost.contains("short-name") {
        let short = |info: &ntbak_wire::record::FileInfo| info.short_name().map(ToString::to_string);
        same("short name", format!("{:?}", short(&one)), format!("{:?}", short(&other)));
    }
    for kind in [SmallKind::Security, SmallKind::Ea, SmallKind::Reparse, SmallKind::ObjectId] {
        let (one, other) = (own.small(kind).unwrap(), theirs.small(kind).unwrap());
        same(&format!("{kind:?}"), format!("{one:x?}"), format!("{other:x?}"));
    }
    let names = |source: &dyn FileSource| {
        let mut names: Vec<_> = heads(source).iter().map(|head| format!("{:?}", head.name)).collect();
        names.sort();
        names
    };
    if lost.contains("stream") || lost.contains("content") {
        return found;
    }
    same("streams", format!("{:?}", names(own)), format!("{:?}", names(theirs)));
    let other_heads = heads(theirs);
    for (index, head) in heads(own).iter().enumerate() {
        let Some(at) = other_heads.iter().position(|other| other.name == head.name) else { continue };
        let other = &other_heads[at];
        let stream = format!("stream {:?}", head.name);
        same(&stream, head.size.to_string(), other.size.to_string());
        // Of a named stream ntfs-3g tells no flags, and the valid data length of none.
        if head.name.is_none() {
            let flags = StreamFlags::SPARSE | StreamFlags::ENCRYPTED;
            same(&stream, format!("{:?}", head.flags & flags), format!("{:?}", other.flags & flags));
        }
        same(&stream, hash(&content(own, index)), hash(&content(theirs, at)));
    }
    found
}

/// There is `notes.txt` with a stream `ads`, and a file `notes.txt:ads` beside it.
#[test]
fn ntfs_22_a_name_with_a_colon_wins_over_a_stream() {
    need_volumes!();
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = unpacked("grr/ntfs_img.dd.zst", dir.path()) else { return };
    let volume = NtfsVolume::open(&path, None, VolumeOptions::default()).unwrap();
    let find = |path: &str| volume.find(path.as_bytes()).unwrap();
    let file = find("test directory\\notes.txt:ads");
    assert!(file.stream.is_none() && file.name.unwrap().1 == Name::from("notes.txt:ads"));
    let stream = find("Test Directory/notes.txt:ADS:$DATA");
    assert!(stream.stream.is_some() && stream.name.unwrap().1 == Name::from("notes.txt"));
    assert_ne!(file.file.reference(), stream.file.reference());
}

#[test]
fn an_image_is_never_written() {
    need_volumes!();
    let name = "dfvfs/windows_volume.qcow2";
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = unpacked(name, dir.path()) else { return };
    let before = hash(&fs::read(&path).unwrap());
    let volume = NtfsVolume::open(&path, None, VolumeOptions::default()).unwrap();
    for (_, entry) in volume.catalogue().unwrap().files() {
        facts(&volume.source(entry.reference(), &path).unwrap());
    }
    assert_eq!(hash(&fs::read(&path).unwrap()), before);
}
