//! `ntbak info` of a disk image: the container, its partitions, and the NTFS volume in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ntbak::{NtfsVolume, VolumeOptions};
use ntbak_image::{Image, OpenOptions, Partition, PartitionTable, ReadAt as _};
use ntbak_ntfs::catalogue::{EntryFlags, Place};
use ntbak_ntfs::{Journal, VolumeState};
use ntbak_wire::FileAttributes;
use ntbak_wire::reparse::ReparseTag;
use serde_json::{Value, json};

use crate::commands::report_on;
use crate::failure::{Failure, harmless};
use crate::json as member;
use crate::report::Reporter;

pub(crate) fn describe(
    path: &Path,
    number: Option<u32>,
    as_json: bool,
    options: VolumeOptions,
    reporter: &Reporter,
) -> Result<String, Failure> {
    let image = OpenOptions::new().backing_files(options.backing_files).open(path);
    let image = image.map_err(ntbak::Error::from)?;
    let table = image.partitions().map_err(|error| ntbak::Error::from(error).at_path(path))?;
    let volumes: Vec<&Partition> = match number {
        Some(_) => vec![table.choose(number).map_err(|error| ntbak::Error::from(error).at_path(path))?],
        None => table.partitions.iter().filter(|partition| partition.content.is_ntfs()).collect(),
    };
    let mut opened = Vec::new();
    for partition in volumes {
        let volume = NtfsVolume::open(path, Some(partition.number), options)?;
        volume.remarks(&report_on(reporter, path));
        let counts = Counts::of(&volume)?;
        opened.push((volume, counts));
    }
    Ok(if as_json {
        format!("{}\n", json_of(path, &image, &table, &opened))
    } else {
        text_of(path, &image, &table, &opened)
    })
}

/// What a volume has in its tree.
#[derive(Debug, Default)]
struct Counts {
    directories: u64,
    files: u64,
    names: u64,
    named_streams: u64,
    bytes: u64,
    encrypted: u64,
    compressed: u64,
    sparse: u64,
    with_eas: u64,
    object_ids: u64,
    case_sensitive: u64,
    reparse: BTreeMap<u32, u64>,
    orphans: u64,
    damaged: u64,
}

impl Counts {
    fn of(volume: &NtfsVolume) -> Result<Self, Failure> {
        let catalogue = volume.catalogue()?;
        let mut counts = Self { damaged: catalogue.counts().damaged, ..Self::default() };
        for (id, entry) in catalogue.all() {
            match catalogue.place(id) {
                Place::Tree => {}
                Place::Orphan => {
                    counts.orphans += 1;
                    continue;
                }
                _ => continue,
            }
            let (flags, attributes) = (entry.flags(), entry.attributes());
            let add = |count: &mut u64, there: bool| *count += u64::from(there);
            add(&mut counts.directories, entry.is_directory());
            add(&mut counts.files, !entry.is_directory());
            counts.names += catalogue.links(id).len() as u64;
            counts.named_streams += u64::from(entry.named_streams());
            counts.bytes = counts.bytes.saturating_add(entry.size());
            add(&mut counts.encrypted, flags.contains(EntryFlags::EFS));
            add(&mut counts.compressed, attributes.contains(FileAttributes::COMPRESSED));
            add(&mut counts.sparse, attributes.contains(FileAttributes::SPARSE_FILE));
            add(&mut counts.with_eas, flags.contains(EntryFlags::EA));
            add(&mut counts.object_ids, flags.contains(EntryFlags::OBJECT_ID));
            add(&mut counts.case_sensitive, flags.contains(EntryFlags::CASE_SENSITIVE));
            add(&mut counts.damaged, flags.contains(EntryFlags::DAMAGED));
            if flags.contains(EntryFlags::REPARSE) {
                // The tag is in the file only.
                let file = volume.volume().file(entry.reference());
                let tag = file.ok().and_then(|file| {
                    let buffer = file.reparse().ok()??;
                    buffer.first_chunk().map(|tag| u32::from_le_bytes(*tag))
                });
                *counts.reparse.entry(tag.unwrap_or(0)).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// What is counted, by name.
    fn all(&self) -> [(&'static str, u64); 13] {
        [
            ("directories", self.directories),
            ("files", self.files),
            ("names", self.names),
            ("named_streams", self.named_streams),
            ("bytes", self.bytes),
            ("encrypted", self.encrypted),
            ("compressed", self.compressed),
            ("sparse", self.sparse),
            ("with_eas", self.with_eas),
            ("object_ids", self.object_ids),
            ("case_sensitive", self.case_sensitive),
            ("orphans", self.orphans),
            ("damaged", self.damaged),
        ]
    }
}

/// The number of a volume as Windows shows it.
fn serial(volume: &NtfsVolume) -> (String, String) {
    let serial = volume.volume().geometry().serial;
    let short = serial as u32;
    (format!("{:04X}-{:04X}", short >> 16, short & 0xFFFF), format!("{serial:#018x}"))
}

fn text_of(path: &Path, image: &Image, table: &PartitionTable, volumes: &[(NtfsVolume, Counts)]) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<14}{}", harmless(&value));
    };
    line("path", path.display().to_string());
    line("container", image.to_string());
    line("disk", format!("{} bytes, in a file of {}", image.len(), image.file_size()));
    line("table", table.scheme.to_string());
    for partition in &table.partitions {
        let mut value = format!("{partition}, type {}", partition.kind);
        if !partition.name.is_empty() {
            let _ = write!(value, ", {:?}", partition.name.to_string());
        }
        line("", value);
    }
    for note in image.notes().iter().chain(&table.notes) {
        line("note", note.to_string());
    }
    for (volume, counts) in volumes {
        let (information, geometry) = (volume.volume().information(), volume.volume().geometry());
        line(
            "volume",
            format!("partition {}, {:?}", volume.partition().number, information.label.to_string()),
        );
        let (short, long) = serial(volume);
        line("serial", format!("{short} ({long})"));
        line("NTFS", format!("{}.{}", information.version.0, information.version.1));
        line("size", format!("{} bytes in clusters of {}", geometry.size(), geometry.cluster_size));
        let state = volume.state();
        line("state", if state.is_empty() { "clean".to_owned() } else { state.join("; ") });
        for remark in volume.volume().remarks() {
            line("note", remark.to_string());
        }
        line(
            "in the tree",
            format!(
                "{} directories, {} files with {} bytes, {} names, {} named streams",
                counts.directories, counts.files, counts.bytes, counts.names, counts.named_streams
            ),
        );
        for (name, count) in counts.all().into_iter().skip(5).filter(|(_, count)| *count > 0) {
            line("", format!("{count} {}", name.replace('_', " ")));
        }
        for (tag, count) in &counts.reparse {
            line("", format!("{count} with {}", ReparseTag(*tag)));
        }
    }
    text
}

fn json_of(path: &Path, image: &Image, table: &PartitionTable, volumes: &[(NtfsVolume, Counts)]) -> Value {
    let mut object = json!({});
    member::put_path(&mut object, "path", path);
    member::put(&mut object, "type", "image".into());
    let notes: Vec<String> = image.notes().iter().chain(&table.notes).map(ToString::to_string).collect();
    let container = json!({
        "kind": image.kind().to_string(), "variant": image.variant(), "file_size": image.file_size(), "size": image.len(),
        "table": table.scheme.to_string(), "notes": notes,
    });
    member::put(&mut object, "container", container);
    let partition = |partition: &Partition| {
        let mut object = json!({
            "number": partition.number, "offset": partition.offset, "size": partition.size,
            "available": partition.available, "type": partition.kind.to_string(),
            "content": partition.content.to_string(),
        });
        if !partition.name.is_empty() {
            member::put_name(&mut object, "name", &partition.name);
        }
        object
    };
    let partitions: Vec<Value> = table.partitions.iter().map(partition).collect();
    member::put(&mut object, "partitions", partitions.into());
    let volumes: Vec<Value> = volumes.iter().map(|(volume, counts)| volume_json(volume, counts)).collect();
    member::put(&mut object, "volumes", volumes.into());
    object
}

fn volume_json(volume: &NtfsVolume, counts: &Counts) -> Value {
    let (information, geometry) = (volume.volume().information(), volume.volume().geometry());
    let (short, long) = serial(volume);
    let mut object = json!({ "partition": volume.partition().number });
    member::put_name(&mut object, "label", &information.label);
    let mut put = |key: &str, value: Value| member::put(&mut object, key, value);
    put("serial", short.into());
    put("serial64", long.into());
    put("version", format!("{}.{}", information.version.0, information.version.1).into());
    put("size", geometry.size().into());
    put("cluster_size", geometry.cluster_size.into());
    put("sector_size", geometry.bytes_per_sector.into());
    put("record_size", geometry.record_size.into());
    put("records", volume.volume().records().into());
    let state = volume.volume().state();
    put(
        "state",
        json!({
            "clean": state.is_clean(), "dirty": state.dirty, "hibernated": state.hibernated, "journal": journal(&state),
        }),
    );
    let remarks: Vec<String> = volume.volume().remarks().iter().map(ToString::to_string).collect();
    put("notes", remarks.into());
    for (name, count) in counts.all() {
        put(name, count.into());
    }
    let tags = counts.reparse.iter().map(|(tag, count)| (format!("{tag:#010x}"), Value::from(*count)));
    put("reparse", Value::Object(tags.collect()));
    object
}

fn journal(state: &VolumeState) -> &'static str {
    match state.journal {
        Journal::Empty => "empty",
        Journal::Clean { .. } => "clean",
        Journal::NotClean { .. } => "not clean",
        Journal::Unknown(_) => "unknown",
    }
}
