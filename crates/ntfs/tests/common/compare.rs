//! Compares every fact of a volume with what the independent dumper says.

use std::collections::BTreeMap;
use std::path::Path;

use ntbak_ntfs::catalogue::{CatalogueOptions, EntryFlags, Place};
use ntbak_ntfs::{AttributeType, Catalogue, File, FileReference, Namespace, Stream, Volume};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::{judges, run};

/// What the comparison met.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) files: usize,
    pub(crate) streams: usize,
    pub(crate) bytes: u64,
    /// Streams that are stored compressed.
    pub(crate) compressed: usize,
    /// Files whose content WOF has elsewhere.
    pub(crate) elsewhere: usize,
    pub(crate) several_records: usize,
    pub(crate) short_names: usize,
}

/// What the dumper says of a volume, by record.
pub(crate) fn judged(image: &Path, offset: u64) -> BTreeMap<u64, Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/judge.py");
    let dumper = judges().join("dump-ntfs.py");
    let offset = offset.to_string();
    let output = run("python3", [script.as_os_str(), dumper.as_os_str(), image.as_os_str(), offset.as_ref()]);
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
    values.map(|value| (value["rec"].as_u64().unwrap(), value)).collect()
}

/// Every file of the volume is as the dumper says, and there are no others.
pub(crate) fn same_as_judged(volume: &Volume, judged: &BTreeMap<u64, Value>) -> Seen {
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    assert!(catalogue.damage().is_empty(), "{:?}", catalogue.damage());
    let mut seen = Seen::default();
    for (record, expected) in judged {
        let file = volume.file_in_record(*record).unwrap_or_else(|error| panic!("{expected}: {error}"));
        assert!(file.damage().is_empty(), "{expected}: {:?}", file.damage());
        let mut found = facts(&file, &mut seen);
        found["paths"] = paths(&catalogue, file.reference());
        differ(expected, &found);
        seen.several_records += usize::from(in_catalogue(&catalogue, &file));
        seen.files += 1;
    }
    let in_tree = |value: &&Value| !value["paths"][0].as_str().unwrap().starts_with('<');
    let expected: Vec<u64> =
        judged.values().filter(in_tree).map(|value| value["rec"].as_u64().unwrap()).collect();
    let found: Vec<u64> = catalogue.files().map(|(_, entry)| entry.reference().record()).collect();
    assert_eq!(found, expected, "the files of the tree");
    walk_agrees(&catalogue);
    by_index(volume, &catalogue);
    seen
}

fn differ(expected: &Value, found: &Value) {
    let (expected, found) = (expected.as_object().unwrap(), found.as_object().unwrap());
    for (key, value) in expected {
        // Orphans have no path of ours.
        let orphan = || value[0].as_str().is_some_and(|path| path.starts_with('<'));
        if key == "paths" && orphan() {
            continue;
        }
        assert_eq!(found.get(key).unwrap_or(&Value::Null), value, "{key} of {}", expected["paths"]);
    }
    let more: Vec<_> = found.iter().filter(|(key, _)| !expected.contains_key(*key)).collect();
    assert!(more.is_empty(), "{}: {more:?}", expected["paths"]);
}

fn hash(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The facts of a file in the words of the dumper.
fn facts(file: &File, seen: &mut Seen) -> Value {
    let information = file.standard_information().unwrap();
    let times = information.times;
    let time = |time: Option<ntbak_wire::FileTime>| time.unwrap().0.cast_unsigned();
    let names = file.names();
    let mut spaces: Vec<u8> = names.iter().map(|name| name.namespace.0).collect();
    spaces.sort_unstable();
    let mut short: Vec<String> =
        file.links().iter().filter_map(|link| Some(link.short.as_ref()?.to_string())).collect();
    short.sort();
    seen.short_names += short.len();
    let mut facts = json!({
        "rec": file.reference().record(), "dir": file.is_directory(), "links": names.len(), "ns": spaces, "dos": short,
        "times": {"c": time(times.created), "m": time(times.written), "x": time(times.changed), "a": time(times.accessed)},
        "attr": information.attributes.bits(), "si": if information.extended.is_some() { 72 } else { 48 },
        "streams": {},
    });
    if let Some(descriptor) = file.security().unwrap() {
        facts["sd"] = json!(hash(&descriptor));
    }
    if file.stream(AttributeType::SECURITY_DESCRIPTOR, &[]).is_some() {
        facts["sd_inline"] = json!(1);
    }
    if let Some(id) = file.stream(AttributeType::OBJECT_ID, &[]) {
        let raw: String = read(file, id).iter().map(|byte| format!("{byte:02x}")).collect();
        facts["objid"] = json!(raw);
        assert_eq!(file.object_id().unwrap().unwrap().as_bytes()[..16], read(file, id)[..16]);
    }
    if let Some(reparse) = file.reparse().unwrap() {
        let tag: String = reparse[..4].iter().rev().map(|byte| format!("{byte:02x}")).collect();
        facts["reparse"] = json!([tag, reparse.len(), hash(&reparse)]);
    }
    if let Some(list) = file.eas_on_disk().unwrap() {
        facts["ea"] = json!([list.len(), hash(&list)]);
        assert_eq!(ntbak_wire::ea::full_to_on_disk(&file.eas().unwrap().unwrap()).unwrap(), *list);
    }
    if let Some(sizes) = file.stream(AttributeType::EA_INFORMATION, &[]) {
        let raw: String = read(file, sizes).iter().map(|byte| format!("{byte:02x}")).collect();
        facts["eainfo"] = json!(raw);
    }
    for stream in file.all_streams() {
        match stream.kind() {
            AttributeType::DATA => content(file, stream, &mut facts, seen),
            AttributeType::LOGGED_UTILITY_STREAM => {
                facts["lus"][stream.name().to_string()] = json!([stream.size(), hash(&read(file, stream))]);
            }
            _ => {}
        }
    }
    facts
}

fn content(file: &File, stream: &Stream, facts: &mut Value, seen: &mut Seen) {
    let name = stream.name().to_string();
    let kind = match stream {
        _ if stream.is_resident() => "res",
        _ if stream.flags().bits() & 1 != 0 => "c",
        _ if stream.flags().bits() & 0x8000 != 0 => "s",
        _ => "n",
    };
    let holes: u64 = stream.clusters().filter(|(at, _)| at.is_none()).map(|(_, len)| len).sum();
    let stored: u64 = stream.clusters().map(|(_, len)| len).sum();
    assert_eq!(stored - holes, stream.allocated());
    if stream.vdl() < stream.size() {
        facts["vdl"][&name] = json!(stream.vdl());
    }
    seen.streams += 1;
    seen.bytes += stream.size();
    seen.compressed += usize::from(stream.is_compressed());
    let content = read(file, stream);
    // The dumper shows the hole that WOF leaves.
    let elsewhere = file.is_wof() && name.is_empty();
    seen.elsewhere += usize::from(elsewhere);
    let digest = if elsewhere { hash(&vec![0; content.len()]) } else { hash(&content) };
    facts["streams"][&name] = json!([stream.size(), digest, kind, holes]);
    if !elsewhere {
        extents_hold_all(stream, &content);
    }
}

/// A whole stream, read in pieces of odd sizes.
pub(crate) fn read(file: &File, stream: &Stream) -> Vec<u8> {
    let (mut content, mut buffer) = (Vec::new(), vec![0xAA; 77_777]);
    loop {
        let len = [77_777, 4096, 513, 65_536][content.len() % 4];
        match file.read_at(stream, content.len() as u64, &mut buffer[..len]).unwrap() {
            0 => break,
            got => content.extend_from_slice(&buffer[..got]),
        }
    }
    assert_eq!(content.len() as u64, stream.size());
    content
}

/// Extents ascend, do not touch, end with the stream, and all but zeros is in them.
fn extents_hold_all(stream: &Stream, content: &[u8]) {
    let mut last = None;
    for extent in stream.extents() {
        assert!(extent.len > 0 && extent.end() <= stream.size());
        assert!(last.is_none_or(|last| last < extent.offset), "extents touch");
        let hole = last.unwrap_or(0) as usize..extent.offset as usize;
        assert!(content[hole].iter().all(|byte| *byte == 0));
        last = Some(extent.end());
    }
    assert!(content[last.unwrap_or(0) as usize..].iter().all(|byte| *byte == 0));
}

fn paths(catalogue: &Catalogue, file: FileReference) -> Value {
    let id = catalogue.find(file).unwrap();
    if catalogue.root() == Some(id) {
        return json!([""]);
    }
    let long = catalogue.names(id).filter(|name| catalogue.namespace(*name) != Namespace::DOS);
    let mut paths: Vec<String> = long.filter_map(|name| path(catalogue, name)).collect();
    paths.sort();
    json!(paths)
}

pub(crate) fn path(catalogue: &Catalogue, name: ntbak_ntfs::catalogue::NameId) -> Option<String> {
    let names = catalogue.path(name)?;
    let text = |name| ntbak_wire::Name::from_units(catalogue.name(name).to_vec()).to_string();
    Some(names.into_iter().map(|name| format!("/{}", text(name))).collect())
}

/// The catalogue says of a file what the file says of itself; answers whether that has several records.
fn in_catalogue(catalogue: &Catalogue, file: &File) -> bool {
    let id = catalogue.find(file.reference()).unwrap();
    let entry = catalogue.entry(id).unwrap();
    assert_eq!(entry.attributes(), file.attributes());
    assert_eq!(entry.times(), file.times());
    assert_eq!(entry.is_directory(), file.is_directory());
    let size = file.stream(AttributeType::DATA, &[]).map_or(0, Stream::size);
    assert_eq!(entry.size(), size);
    let named = file.streams().filter(|stream| !stream.name().is_empty()).count();
    assert_eq!(usize::from(entry.named_streams()), named);
    assert_eq!(catalogue.links(id), file.links());
    entry.flags().contains(EntryFlags::SEVERAL_RECORDS)
}

/// Walking shows each long name of the tree once.
fn walk_agrees(catalogue: &Catalogue) {
    let mut walked: Vec<_> = catalogue.walk().map(|(_, name)| name).collect();
    let count = walked.len();
    walked.sort();
    walked.dedup();
    assert_eq!(walked.len(), count);
    let names = catalogue.files().flat_map(|(id, _)| catalogue.names(id));
    let is_long =
        |name: &_| catalogue.namespace(*name) != Namespace::DOS && catalogue.parent(*name).is_some();
    let mut long: Vec<_> = names.filter(is_long).collect();
    long.sort();
    assert_eq!(walked, long);
}

/// The indexes of all directories have just the names that the records have, and looking a name up finds its file.
fn by_index(volume: &Volume, catalogue: &Catalogue) {
    for (id, entry) in catalogue.files().filter(|(_, entry)| entry.is_directory()) {
        let directory = volume.file(entry.reference()).unwrap();
        let mut found = Vec::new();
        let mut damage = Vec::new();
        volume
            .read_directory(&directory, &mut |error| damage.push(error), &mut |entry| {
                found.push((entry.file, entry.name.namespace.0, entry.name.name.units().to_vec()));
            })
            .unwrap();
        assert!(damage.is_empty(), "{damage:?}");
        // The root has the system files and itself.
        found.retain(|(file, ..)| file.record() >= 16);
        let name = |name| {
            let file = catalogue.file_of(name).and_then(|id| catalogue.entry(id)).unwrap().reference();
            (file, catalogue.namespace(name).0, catalogue.name(name).to_vec())
        };
        let mut expected: Vec<_> = catalogue.children(id).map(name).collect();
        expected.retain(|(file, ..)| file.record() >= 16);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "names in {}", entry.reference());
        for (file, _, name) in expected.iter().step_by(1 + expected.len() / 50) {
            assert_eq!(volume.lookup_in(&directory, name).unwrap(), Some(*file));
        }
    }
    assert!(catalogue.all().all(|(id, _)| catalogue.place(id) != Place::Deleted));
}
