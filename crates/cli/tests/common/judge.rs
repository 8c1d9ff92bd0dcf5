//! Judges of what is on a volume, none of them ntbak: the dumper of images, ntfs-3g's own tools, coreutils.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::make::{self, ACL, EA, OBJECT_ID, REPARSE};
use super::mount::Volume;
use super::run::args;
use super::{judges, output};

/// Every file of a volume by its path in it.
pub(crate) type Dump = BTreeMap<String, Value>;

/// What the independent dumper finds in the image of a volume that is not mounted.
pub(crate) fn dump(volume: &Volume) -> Dump {
    assert!(!volume.is_mounted());
    let dumper = judges().join("dump-ntfs.py");
    let out = Command::new("python3")
        .arg(dumper)
        .arg(volume.image())
        // Names with unpaired surrogates are shown as `&#NNNNN;`.
        .env("PYTHONIOENCODING", "utf-8:xmlcharrefreplace")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut dump = Dump::new();
    for line in String::from_utf8(out.stdout).unwrap().lines() {
        let file: Value = serde_json::from_str(line).expect(line);
        for path in file["paths"].as_array().unwrap() {
            dump.insert(path.as_str().unwrap().to_owned(), file.clone());
        }
    }
    dump
}

/// Unmounts a volume, dumps it, and mounts it again if it was mounted.
pub(crate) fn dump_of(volume: &mut Volume, options: &str) -> Dump {
    volume.unmount();
    let dump = dump(volume);
    volume.mount(options);
    dump
}

/// Nothing of ntbak's own is left on the volume.
#[track_caller]
pub(crate) fn no_leftovers(dump: &Dump) {
    let left: Vec<_> = dump.keys().filter(|path| path.contains("ntbak")).collect();
    assert!(left.is_empty(), "left over: {left:?}");
}

/// How two files differ in these members of their dumps.
pub(crate) fn differences(a: &Value, b: &Value, members: &[&str]) -> Vec<String> {
    let member = |file: &Value, name: &str| {
        let mut value = file.get(name).cloned().unwrap_or(Value::Null);
        if name == "times"
            && let Some(times) = value.as_object_mut()
        {
            // The change time: nobody can set it.
            times.remove("x");
        }
        if name == "streams" {
            // Whether a small stream has clusters of its own is chance.
            for stream in value.as_object_mut().into_iter().flat_map(|streams| streams.values_mut()) {
                if stream[2] == "res" {
                    stream[2] = "n".into();
                }
            }
        }
        value
    };
    let different = members.iter().filter(|name| member(a, name) != member(b, name));
    different.map(|name| format!("{name}: {} became {}", member(a, name), member(b, name))).collect()
}

/// Size of a file of the root of an unmounted volume, and where it is no hole: offset, length, hash.
pub(crate) fn ranges(volume: &Volume, name: &str) -> Value {
    assert!(!volume.is_mounted());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/ranges.py");
    let dumper = judges().join("dump-ntfs.py");
    let arguments = args![&script, &dumper, &volume.image(), name];
    serde_json::from_slice(&output("python3", arguments)).unwrap()
}

/// What ntfsinfo says about a file of an unmounted volume: the kinds and sizes of its attributes.
pub(crate) fn ntfsinfo(volume: &Volume, path: &str) -> Vec<String> {
    assert!(!volume.is_mounted());
    let image = volume.image();
    let out = output("ntfsinfo", ["-F".as_ref(), path.as_ref(), image.as_os_str()]);
    let text = String::from_utf8_lossy(&out).into_owned();
    let kept = ["Attribute name:", "Data size:", "File attributes:"];
    let (mut lines, mut passing) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if line.contains("Dumping attribute") {
            // The names come in any order, with attributes of some time before; a list is a matter of layout.
            passing = ["$FILE_NAME", "$ATTRIBUTE_LIST"].iter().any(|kind| line.contains(kind));
            let heading = line.split(" from mft record").next().unwrap_or_default();
            lines.extend((!line.contains("$ATTRIBUTE_LIST")).then(|| heading.to_owned()));
        } else if !passing && kept.iter().any(|kept| line.contains(kept)) {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The content of a stream of an unmounted volume by ntfscat.
pub(crate) fn ntfscat(volume: &Volume, path: &str, stream: &str) -> Vec<u8> {
    assert!(!volume.is_mounted());
    let image = volume.image();
    let mut arguments: Vec<OsString> = vec![image.into(), path.into()];
    if !stream.is_empty() {
        arguments.splice(0..0, ["-n".into(), stream.into()]);
    }
    output("ntfscat", arguments)
}

/// How two mounted files differ in security descriptor, EAs, reparse point and object id, asked by the system call and
/// by getfattr.
pub(crate) fn payload_differences(a: &Path, b: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in [ACL, EA, REPARSE, OBJECT_ID] {
        let (one, other) = (make::get(a, name), make::get(b, name));
        if one != other {
            found.push(format!("{name}: {one:?} became {other:?}"));
        }
        let (one, other) = (getfattr(a, name), getfattr(b, name));
        if one != other {
            found.push(format!("getfattr {name}: {one:?} became {other:?}"));
        }
    }
    found
}

fn getfattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut command = Command::new("getfattr");
    command.args(["-h", "-e", "hex", "--only-values", "--absolute-names", "-n", name]).arg(path);
    let out = command.output().unwrap();
    out.status.success().then_some(out.stdout)
}

/// What stat says: kind and permissions, size, owner, group, and where these do not change, blocks.
pub(crate) fn stat(path: &Path) -> String {
    let out = output("stat", ["-c".as_ref(), "%F %a %s %u %g %t,%T".as_ref(), path.as_os_str()]);
    String::from_utf8_lossy(&out).trim().to_owned()
}

/// Whether cmp finds no difference.
pub(crate) fn cmp(a: &Path, b: &Path) -> bool {
    Command::new("cmp").arg("-s").arg(a).arg(b).status().unwrap().success()
}
