//! `ntbak info`: what a file has, and what its place can hold.

use std::fmt::Write as _;
use std::path::Path;

use ntbak::location::Location;
use ntbak::place::Place;
use ntbak::source::Facet;
use ntbak::{Capabilities, Facts, FileSource, NtfsVolume, VolumeOptions};
use ntbak_wire::record::{FileInfo, SmallKind, StreamFlags, StreamHead};
use serde_json::{Value, json};

use crate::commands::{Done, info_image, open, report_on};
use crate::explain;
use crate::failure::{Failure, harmless};
use crate::json as member;
use crate::output::Output;
use crate::report::Reporter;

pub(crate) fn run(typed: &Path, as_json: bool, options: VolumeOptions, reporter: &Reporter) -> Done {
    if crate::many::is_archive(typed) {
        return crate::commands::verify::describe(typed, as_json, reporter);
    }
    let text = match Location::parse_tree(typed) {
        Location::Image { path, partition, inside } if inside.is_empty() => {
            info_image::describe(&path, partition, as_json, options, reporter)?
        }
        _ => describe_file(typed, as_json, options, reporter)?,
    };
    let mut output = Output::open(None)?;
    output.write(text.as_bytes())?;
    output.finish()?;
    Ok(None)
}

fn describe_file(
    typed: &Path,
    as_json: bool,
    options: VolumeOptions,
    reporter: &Reporter,
) -> Result<String, Failure> {
    let opened = open(typed, options, reporter)?;
    if let Some(stream) = opened.stream() {
        let why = format!("{}: `ntbak info` is about whole files: leave :{stream} out", typed.display());
        return Err(Failure::Usage(why));
    }
    let source = opened.source();
    source.remarks(Facet::BackupStream, &report_on(reporter, typed))?;
    let info = source.info()?;
    let home = match opened.on_volume() {
        Some((volume, _)) => Home::Volume(volume),
        None => {
            let place = Place::of(typed)?;
            let capabilities = place.capabilities(info.attributes.is_directory());
            Home::Host(place, capabilities)
        }
    };
    if as_json {
        return Ok(format!("{}\n", describe_json(typed, &home, source, &info)?));
    }
    describe(typed, &home, source, &info)
}

/// Where a file is.
enum Home<'v> {
    Host(Place, Capabilities),
    Volume(&'v NtfsVolume),
}

impl Home<'_> {
    fn name(&self) -> String {
        match self {
            Self::Host(place, _) => place_name(place),
            Self::Volume(volume) => format!("NTFS, in a {}, {}", volume.image(), volume.partition()),
        }
    }
}

fn place_name(place: &Place) -> String {
    match place {
        Place::Ntfs3g(mount) => {
            format!("NTFS, mounted by ntfs-3g (streams_interface={})", mount.streams.name())
        }
        Place::Directory(linux) => format!("Linux directory ({}), with side files", linux.kind.name()),
        _ => "a place that is not known".to_owned(),
    }
}

fn describe(
    location: &Path,
    home: &Home<'_>,
    source: &dyn FileSource,
    info: &FileInfo,
) -> Result<String, Failure> {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<14}{}", harmless(&value));
    };
    line("path", location.display().to_string());
    line("place", home.name());
    line("attributes", format!("{} ({:#x})", info.attributes.letters(), info.attributes.bits()));
    for (label, time) in [
        ("created", info.times.created),
        ("written", info.times.written),
        ("accessed", info.times.accessed),
        ("changed", info.times.changed),
    ] {
        if let Some(time) = time {
            line(label, time.to_string());
        }
    }
    if let Some(short) = info.short_name() {
        line("short name", short.to_string());
    }
    if info.link_count > 1 {
        line("names", info.link_count.to_string());
    }
    for (kind, label) in LABELS {
        if let Some(payload) = source.small(kind)? {
            for (index, text) in explain::lines(kind, &payload).into_iter().enumerate() {
                line(if index == 0 { label } else { "" }, text);
            }
        }
    }
    for (index, head) in streams(source)?.iter().enumerate() {
        line(if index == 0 { "streams" } else { "" }, stream_text(head));
    }
    // Nothing is kept in an image: it is only read.
    let Home::Host(place, capabilities) = home else { return Ok(text) };
    let (held, missing): (Vec<_>, Vec<_>) =
        Facts::NAMES.iter().partition(|(fact, _)| capabilities.holds(*fact));
    line("kept here", held.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "));
    for (index, (fact, name)) in missing.into_iter().enumerate() {
        let label = if index == 0 { "not kept here" } else { "" };
        line(label, format!("{name}: {}", capabilities.why_not(fact)));
    }
    if let Place::Directory(linux) = place {
        line("in attributes", linux.in_attributes());
        line("in side file", linux.in_side_file().to_owned());
    }
    if let Place::Ntfs3g(mount) = place {
        for advice in mount.advice() {
            line("mount option", advice.to_owned());
        }
    }
    Ok(text)
}

const LABELS: [(SmallKind, &str); 4] = [
    (SmallKind::Security, "security"),
    (SmallKind::Ea, "EAs"),
    (SmallKind::Reparse, "reparse point"),
    (SmallKind::ObjectId, "object id"),
];

fn streams(source: &dyn FileSource) -> Result<Vec<StreamHead>, Failure> {
    let mut streams = Vec::new();
    while let Some(head) = source.stream(streams.len())? {
        streams.push(head);
    }
    Ok(streams)
}

fn stream_text(head: &StreamHead) -> String {
    let name = match &head.name {
        Some(name) => format!(":{name}"),
        None => "(unnamed)".to_owned(),
    };
    let mut text = format!("{name}  {} bytes", head.size);
    let flags = [
        (StreamFlags::SPARSE, "sparse"),
        (StreamFlags::COMPRESSED, "compressed"),
        (StreamFlags::ENCRYPTED, "encrypted"),
    ];
    for (_, flag) in flags.iter().filter(|(flag, _)| head.flags.contains(*flag)) {
        let _ = write!(text, ", {flag}");
    }
    if head.vdl < head.size {
        let _ = write!(text, ", valid to {}", head.vdl);
    }
    text
}

fn describe_json(
    location: &Path,
    home: &Home<'_>,
    source: &dyn FileSource,
    info: &FileInfo,
) -> Result<Value, Failure> {
    let kind = match source.small(SmallKind::Reparse)? {
        Some(_) => "reparse",
        None if info.attributes.is_directory() => "dir",
        None => "file",
    };
    let mut object = json!({});
    member::put_path(&mut object, "path", location);
    let mut put = |key: &str, value: Value| member::put(&mut object, key, value);
    put("type", kind.into());
    put("attributes", info.attributes.bits().into());
    for (key, time) in [
        ("created", info.times.created),
        ("written", info.times.written),
        ("accessed", info.times.accessed),
        ("changed", info.times.changed),
    ] {
        if let Some(time) = time {
            put(key, time.to_string().into());
        }
    }
    put("link_count", info.link_count.into());
    if let Some(short) = info.short_name() {
        member::put_name(&mut object, "short_name", short);
    }
    for (kind, _) in LABELS {
        if let Some(payload) = source.small(kind)? {
            explain::put_json(&mut object, kind, &payload);
        }
    }
    let streams: Vec<_> = streams(source)?.iter().map(stream_json).collect();
    member::put(&mut object, "streams", streams.into());
    let mut where_ = json!({ "kind": home.name() });
    if let Home::Host(place, capabilities) = home {
        let held: Vec<_> = Facts::NAMES
            .iter()
            .filter(|(fact, _)| capabilities.holds(*fact))
            .map(|(_, name)| *name)
            .collect();
        member::put(&mut where_, "keeps", held.into());
        if let Place::Ntfs3g(mount) = place {
            member::put(&mut where_, "streams_interface", mount.streams.name().into());
        }
        if let Place::Directory(linux) = place {
            member::put(&mut where_, "file_system", linux.kind.name().into());
            member::put(&mut where_, "in_attributes", linux.in_attributes().into());
            member::put(&mut where_, "in_side_file", linux.in_side_file().into());
        }
    }
    member::put(&mut object, "place", where_);
    Ok(object)
}

fn stream_json(head: &StreamHead) -> Value {
    let mut object = json!({});
    match &head.name {
        Some(name) => member::put_name(&mut object, "name", name.name()),
        None => member::put(&mut object, "name", "".into()),
    }
    let flag = |flag| head.flags.contains(flag);
    member::put(&mut object, "size", head.size.into());
    member::put(&mut object, "sparse", flag(StreamFlags::SPARSE).into());
    member::put(&mut object, "compressed", flag(StreamFlags::COMPRESSED).into());
    member::put(&mut object, "encrypted", flag(StreamFlags::ENCRYPTED).into());
    if head.vdl < head.size {
        member::put(&mut object, "vdl", head.vdl.into());
    }
    object
}
