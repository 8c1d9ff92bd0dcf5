//! What there is about a file, as JSON and as a line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ntbak::tree_sink::{Description, StreamDescription};
use ntbak_wire::record::{SmallKind, StreamFlags};
use serde_json::{Value, json};

use crate::{explain, json as member};

/// A path in a tree; the root is `.`.
pub(crate) fn shown(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(if path.is_empty() { b"." } else { path }))
}

/// What kind of thing a file is.
pub(crate) fn kind(file: &Description) -> &'static str {
    if file.small.contains_key(&SmallKind::Reparse) {
        "reparse"
    } else if file.info.attributes.is_directory() {
        "dir"
    } else {
        "file"
    }
}

/// One object in the shape that `list --json` has.
pub(crate) fn json(file: &Description) -> Value {
    let mut object = json!({});
    member::put_path(&mut object, "path", shown(&file.path));
    let mut put = |key: &str, value: Value| member::put(&mut object, key, value);
    put("type", kind(file).into());
    put("attributes", file.info.attributes.bits().into());
    let times = &file.info.times;
    for (key, time) in [
        ("created", times.created),
        ("written", times.written),
        ("accessed", times.accessed),
        ("changed", times.changed),
    ] {
        if let Some(time) = time {
            put(key, time.to_string().into());
        }
    }
    if let Some(short) = file.info.short_name().filter(|short| !short.is_empty()) {
        member::put_name(&mut object, "short_name", short);
    }
    if file.info.case_sensitive {
        member::put(&mut object, "case_sensitive", true.into());
    }
    for (kind, payload) in &file.small {
        explain::put_json(&mut object, *kind, payload);
    }
    if let Some(efs) = &file.efs {
        let mut raw = json!({ "raw_size": efs.size });
        put_hash(&mut raw, efs);
        member::put(&mut object, "efs", raw);
    }
    if !file.linux_attributes.is_empty() {
        let attributes = file.linux_attributes.iter().map(
            |(name, value)| json!({ "name": String::from_utf8_lossy(name), "value": member::base64(value) }),
        );
        member::put(&mut object, "linux_attributes", attributes.collect());
    }
    if let Some(mode) = file.info.unix_mode {
        member::put(&mut object, "mode", mode.into());
    }
    if let Some((user, group)) = file.info.unix_owner {
        member::put(&mut object, "uid", user.into());
        member::put(&mut object, "gid", group.into());
    }
    member::put(&mut object, "streams", file.streams.iter().map(stream).collect());
    object
}

fn put_hash(object: &mut Value, stream: &StreamDescription) {
    if let Some(hash) = &stream.blake3 {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        member::put(object, "blake3", hex.into());
    }
}

fn stream(stream: &StreamDescription) -> Value {
    let mut object = json!({});
    match &stream.head.name {
        Some(name) => member::put_name(&mut object, "name", name.name()),
        None => member::put(&mut object, "name", "".into()),
    }
    let flag = |flag| stream.head.flags.contains(flag);
    member::put(&mut object, "size", stream.size.into());
    if !stream.allocated.is_empty() {
        let ranges = stream.allocated.iter().map(|extent| json!([extent.offset, extent.len]));
        member::put(&mut object, "allocated", ranges.collect());
    }
    member::put(&mut object, "sparse", flag(StreamFlags::SPARSE).into());
    member::put(&mut object, "compressed", flag(StreamFlags::COMPRESSED).into());
    member::put(&mut object, "encrypted", flag(StreamFlags::ENCRYPTED).into());
    if stream.head.vdl < stream.size {
        member::put(&mut object, "vdl", stream.head.vdl.into());
    }
    put_hash(&mut object, stream);
    object
}
