//! `.ntbak/volume.json`, the first entry: what was backed up, and by what.
//!
//! ```json
//! {"format":1,"tool":"ntbak 0.1.0","sources":[{"path":"disk.qcow2","container":"qcow2","label":"Windows",
//!  "serial":1234,"cluster_size":4096,"state":"clean"}]}
//! ```
//!
//! What is not known is left out. A path or label that is not UTF-8 has `path_raw` or `label_raw` (base64 of its bytes)
//! beside its display text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The version of the format that this crate writes, and the latest that it reads.
pub const FORMAT: u64 = 1;

/// What an archive says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// The program that wrote it, with its version.
    pub tool: String,
    /// What was backed up.
    pub sources: Vec<Source>,
}

/// One thing that was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Its path, as the user named it.
    pub path: Vec<u8>,
    /// What it was in: `directory`, `ntfs-3g`, `raw`, `qcow2`, `vhdx`.
    pub container: Option<String>,
    /// The label of the volume in WTF-8.
    pub label: Option<Vec<u8>>,
    /// Its serial number.
    pub serial: Option<u64>,
    /// Bytes of a cluster.
    pub cluster_size: Option<u64>,
    /// Whether it was clean: `clean`, `dirty`, and what else there is to say.
    pub state: Option<String>,
}

/// Puts bytes under `key` as display text, and under `key_raw` when that loses something.
pub(crate) fn put_bytes(object: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if std::str::from_utf8(bytes).is_err() {
        object.insert(format!("{key}_raw"), STANDARD.encode(bytes).into());
    }
    object.insert(key.into(), text.into());
}

/// Takes bytes from `key_raw`, or from `key`.
pub(crate) fn get_bytes(object: &Value, key: &str) -> Option<Vec<u8>> {
    match object.get(format!("{key}_raw")) {
        Some(raw) => STANDARD.decode(raw.as_str()?).ok(),
        None => Some(object.get(key)?.as_str()?.as_bytes().to_owned()),
    }
}

impl Volume {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let source = |source: &Source| {
            let mut object = Map::new();
            put_bytes(&mut object, "path", &source.path);
            if let Some(label) = &source.label {
                put_bytes(&mut object, "label", label);
            }
            for (key, value) in [
                ("container", source.container.clone().map(Value::from)),
                ("serial", source.serial.map(Value::from)),
                ("cluster_size", source.cluster_size.map(Value::from)),
                ("state", source.state.clone().map(Value::from)),
            ] {
                if let Some(value) = value {
                    object.insert(key.into(), value);
                }
            }
            Value::Object(object)
        };
        let sources: Vec<_> = self.sources.iter().map(source).collect();
        let mut json = json!({"format": FORMAT, "tool": self.tool, "sources": sources}).to_string();
        json.push('\n');
        json.into_bytes()
    }

    /// Reads it; `Err` says why not, with the version if that is why.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let format = value.get("format").and_then(Value::as_u64).ok_or("there is no format version")?;
        if format == 0 || format > FORMAT {
            return Err(format!(
                "the archive has format {format}, this program reads {FORMAT}; a newer ntbak reads it"
            ));
        }
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let source = |value: &Value| Source {
            path: get_bytes(value, "path").unwrap_or_default(),
            container: text(value, "container"),
            label: get_bytes(value, "label"),
            serial: value.get("serial").and_then(Value::as_u64),
            cluster_size: value.get("cluster_size").and_then(Value::as_u64),
            state: text(value, "state"),
        };
        let sources = value.get("sources").and_then(Value::as_array);
        Ok(Self {
            tool: text(&value, "tool").unwrap_or_default(),
            sources: sources.into_iter().flatten().map(source).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let source = Source {
            path: b"a\xFF".into(),
            container: Some("qcow2".into()),
            label: Some(b"L\xED\xA0\xBD".into()),
            serial: Some(u64::MAX),
            cluster_size: Some(4096),
            state: Some("dirty".into()),
        };
        let volume = Volume { tool: "ntbak 0.1.0".into(), sources: vec![source, Source::default()] };
        assert_eq!(Volume::from_json(&volume.to_json()), Ok(volume));
        assert!(Volume::from_json(br#"{"format":2}"#).unwrap_err().contains("newer"));
        for bad in [&b"{}"[..], b"", b"[1]", br#"{"format":"1"}"#, br#"{"format":0}"#] {
            assert!(Volume::from_json(bad).is_err());
        }
    }
}
