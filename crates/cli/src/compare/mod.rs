//! Comparing two trees in every fact. Of each tree the descriptions wait in a temporary file; in memory is one line for
//! each file, with the hash of its description.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;

use ntbak::tree::{Select, transfer};
use ntbak::tree_sink::{DescribeSink, Described, Description};
use serde_json::{Value, json};

use crate::color::{self, paint};
use crate::describe;
use crate::failure::{Failure, harmless};
use crate::json as member;
use crate::many::Many;
use crate::output::Output;
use crate::report::Reporter;

mod files;

use files::{Files, Place, beside};

/// Facts that change by being read, or that nobody can set, or that hang on the place.
const PASSED: [&str; 3] = ["path", "accessed", "changed"];
/// Compared only where both have them: no Windows file has any.
const OF_LINUX: [&str; 3] = ["mode", "uid", "gid"];

/// One tree, described.
pub(crate) struct Pictured {
    spool: File,
    files: Files,
    /// Files with several names: under each name, all of them.
    groups: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

/// One difference.
pub(crate) struct Difference {
    pub(crate) path: Vec<u8>,
    /// The stream in which it is.
    pub(crate) stream: Option<String>,
    pub(crate) what: String,
    pub(crate) a: Value,
    pub(crate) b: Value,
}

impl Difference {
    pub(crate) fn json(&self) -> Value {
        let mut object = json!({});
        member::put_path(&mut object, "path", describe::shown(&self.path));
        if let Some(stream) = &self.stream {
            member::put(&mut object, "stream", stream.as_str().into());
        }
        member::put(&mut object, "what", self.what.as_str().into());
        member::put(&mut object, "a", self.a.clone());
        member::put(&mut object, "b", self.b.clone());
        object
    }

    /// A line, or one for each side where they are long; in colours where a terminal shows them.
    pub(crate) fn text(&self, colors: bool) -> String {
        let path = describe::shown(&self.path).display();
        let place = match &self.stream {
            Some(stream) => format!("{path}:{stream}"),
            None => path.to_string(),
        };
        let place = harmless(&place);
        if self.what == "only" {
            let (side, style) = if self.a.is_null() { ("B", color::B) } else { ("A", color::A) };
            return format!("{place}: {}\n", paint(format_args!("only in {side}"), style, colors));
        }
        let side = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => harmless(text),
            value => value.to_string(),
        };
        let (a, b) = (side(&self.a), side(&self.b));
        let is_short = a.len() + b.len() < 72;
        let (a, b) = (paint(a, color::A, colors), paint(b, color::B, colors));
        if is_short {
            format!("{place}: {}: {a} | {b}\n", self.what)
        } else {
            format!("{place}: {}:\n    A  {a}\n    B  {b}\n", self.what)
        }
    }
}

/// Writes what is different to standard output: how much there is.
pub(crate) fn print(one: &Pictured, other: &Pictured, as_json: bool) -> Result<u64, Failure> {
    let mut output = Output::open(None)?;
    let colors = color::on_stdout();
    let count = compare(one, other, &mut |difference| {
        let line = if as_json { format!("{}\n", difference.json()) } else { difference.text(colors) };
        output.write(line.as_bytes())
    })?;
    output.finish()?;
    Ok(count)
}

fn is_wanted(select: &Select, file: &Description) -> bool {
    select.is_all() || select.wants(select.verdict_on(&file.path, file.info.attributes.is_directory()))
}

/// Describes a tree with the hashes of all its content.
pub(crate) fn describe(many: &mut Many, select: &Select, reporter: &Reporter) -> Result<Pictured, Failure> {
    let fault = |error| Failure::io("the temporary file of the comparison", error);
    let spool = tempfile::tempfile().map_err(fault)?;
    let mut writer = BufWriter::new(spool.try_clone().map_err(fault)?);
    let (mut files, mut links, mut offset) = (Files::default(), Vec::new(), 0);
    let mut failed = None;
    let listener = Box::new(|described: Described<'_>| {
        match described {
            Described::Link { path, target } => links.push((path.to_vec(), target.to_vec())),
            // An archive shows what is wanted, other trees also the directories on the way to it.
            Described::File(file) if !is_wanted(select, file) => {}
            Described::File(file) => {
                let text = describe::json(file);
                let line = text.to_string();
                if let Err(error) = writer.write_all(line.as_bytes()) {
                    let kind = error.kind();
                    failed = Some(error);
                    return Err(ntbak::Error::io("writing", std::io::Error::from(kind)));
                }
                let digest = digest(&text);
                let len = u32::try_from(line.len()).map_err(|_| too_long(&file.path))?;
                files.push(&file.path, Place { offset, len, digest });
                offset += line.len() as u64;
            }
        }
        Ok(())
    });
    let walked = transfer(many.tree(), &mut DescribeSink::new(true, listener), select, reporter);
    if let Some(error) = failed {
        return Err(fault(error));
    }
    walked?;
    writer.flush().map_err(fault)?;
    drop(writer);
    files.sort();
    let mut groups: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let placed: Vec<_> = links.iter().map(|(_, target)| files.get(target)).collect();
    for ((path, target), place) in links.into_iter().zip(placed) {
        if let Some(place) = place {
            files.push(&path, place);
        }
        groups.entry(target.clone()).or_insert_with(|| BTreeSet::from([target])).insert(path);
    }
    let all: Vec<_> = groups.values().cloned().collect();
    for group in all {
        for path in &group {
            groups.insert(path.clone(), group.clone());
        }
    }
    files.sort();
    Ok(Pictured { spool, files, groups })
}

fn too_long(path: &[u8]) -> ntbak::Error {
    let why = "there is more to say about it than 4 GiB";
    ntbak::Error::new(ntbak_wire::Win32Error::NOT_SUPPORTED, why).at_path(describe::shown(path))
}

fn digest(file: &Value) -> [u8; 16] {
    let mut text = file.clone();
    if let Some(members) = text.as_object_mut() {
        PASSED.iter().chain(&OF_LINUX).for_each(|key| drop(members.remove(*key)));
        forget_ranges(members);
    }
    let mut digest = [0; 16];
    let hash = blake3::hash(text.to_string().as_bytes());
    digest.copy_from_slice(hash.as_bytes().get(..16).unwrap_or(&[0; 16]));
    digest
}

/// Where holes are exactly is the place's own.
fn forget_ranges(members: &mut serde_json::Map<String, Value>) {
    let streams = members.get_mut("streams").and_then(Value::as_array_mut);
    for stream in streams.into_iter().flatten() {
        if let Some(stream) = stream.as_object_mut() {
            stream.remove("allocated");
        }
    }
}

impl Pictured {
    fn read(&self, place: Place) -> Result<Value, Failure> {
        let fault = |error| Failure::io("the temporary file of the comparison", error);
        let mut bytes = vec![0; place.len as usize];
        self.spool.read_exact_at(&mut bytes, place.offset).map_err(fault)?;
        serde_json::from_slice(&bytes).map_err(|error| fault(error.into()))
    }
}

/// Tells each difference, by path.
fn compare(
    a: &Pictured,
    b: &Pictured,
    each: &mut dyn FnMut(Difference) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut count = 0;
    let mut tell = |difference| {
        count += 1;
        each(difference)
    };
    for (path, one, other) in beside(&a.files, &b.files) {
        let difference = |what: &str, a: Value, b: Value| Difference {
            path: path.to_vec(),
            stream: None,
            what: what.to_owned(),
            a,
            b,
        };
        let (one, other) = match (one, other) {
            (Some(one), Some(other)) => (one, other),
            (one, other) => {
                let side = |there: bool| if there { Value::Bool(true) } else { Value::Null };
                tell(difference("only", side(one.is_some()), side(other.is_some())))?;
                continue;
            }
        };
        if a.groups.get(path) != b.groups.get(path) {
            let names = |tree: &Pictured| -> Value {
                let group = tree.groups.get(path).into_iter().flatten();
                group.map(|path| describe::shown(path).display().to_string()).collect()
            };
            tell(difference("names", names(a), names(b)))?;
        }
        let (one_json, other_json) = match one.digest == other.digest {
            // Only what is compared with care is left, and most files have none of it.
            true => {
                let (one, other) = (a.read(one)?, b.read(other)?);
                if OF_LINUX.iter().all(|key| one.get(*key) == other.get(*key)) {
                    continue;
                }
                (one, other)
            }
            false => (a.read(one)?, b.read(other)?),
        };
        for found in differences(path, &one_json, &other_json) {
            tell(found)?;
        }
    }
    Ok(count)
}

/// How two descriptions differ.
fn differences(path: &[u8], a: &Value, b: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    let empty = serde_json::Map::new();
    let (one, other) = (a.as_object().unwrap_or(&empty), b.as_object().unwrap_or(&empty));
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for key in keys {
        let (a, b) = (one.get(key).cloned().unwrap_or_default(), other.get(key).cloned().unwrap_or_default());
        let passed = PASSED.contains(&key.as_str())
            || OF_LINUX.contains(&key.as_str()) && (a.is_null() || b.is_null())
            // Told as text, unless the text is the same.
            || key == "sd" && one.get("sddl") != other.get("sddl");
        if passed || a == b {
            continue;
        }
        if key == "streams" {
            found.extend(stream_differences(path, &a, &b));
            continue;
        }
        found.push(Difference { path: path.to_vec(), stream: None, what: key.clone(), a, b });
    }
    found
}

fn stream_differences(path: &[u8], a: &Value, b: &Value) -> Vec<Difference> {
    let by_name = |streams: &Value| -> BTreeMap<String, Value> {
        let streams = streams.as_array().into_iter().flatten();
        let key = |stream: &Value| {
            stream.get("name_raw").or(stream.get("name")).and_then(Value::as_str).map(str::to_owned)
        };
        streams.map(|stream| (key(stream).unwrap_or_default(), stream.clone())).collect()
    };
    let (a, b) = (by_name(a), by_name(b));
    let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let stream = (!name.is_empty()).then(|| name.clone());
        let mut tell = |what: &str, a: Value, b: Value| {
            found.push(Difference {
                path: path.to_vec(),
                stream: stream.clone(),
                what: what.to_owned(),
                a,
                b,
            });
        };
        let (Some(one), Some(other)) = (a.get(name), b.get(name)) else {
            let side = |there: bool| if there { Value::Bool(true) } else { Value::Null };
            tell("only", side(a.contains_key(name)), side(b.contains_key(name)));
            continue;
        };
        for key in ["size", "blake3", "sparse", "compressed", "encrypted", "vdl"] {
            let (one, other) =
                (one.get(key).cloned().unwrap_or_default(), other.get(key).cloned().unwrap_or_default());
            if one != other {
                tell(if key == "blake3" { "content (BLAKE3)" } else { key }, one, other);
            }
        }
    }
    found
}
