//! `ntbak efs info`: what `cipher /c` shows, without Windows and without a key.

use std::fmt::Write as _;
use std::path::Path;

use ntbak::FileSource;
use ntbak::efs::Encrypted;
use ntbak_efs::Algorithm;
use ntbak_wire::Name;
use ntbak_wire::efs::{Holder, HolderKind, Metadata, Wrapping};
use serde_json::{Value, json};

use crate::commands::Done;
use crate::failure::harmless;
use crate::json as member;
use crate::output::Output;

pub(crate) fn run(location: &Path, source: &dyn FileSource, as_json: bool) -> Done {
    let at_path = |error: ntbak::Error| error.at_path(location);
    let Some(file) = source.encrypted().map_err(at_path)? else {
        return Err(super::not_encrypted(location));
    };
    let metadata = Metadata::parse(file.metadata()).map_err(|error| at_path(error.into()))?;
    let text = if as_json {
        format!("{}\n", describe_json(location, &*file, &metadata))
    } else {
        describe(location, &*file, &metadata)
    };
    let mut output = Output::open(None)?;
    output.write(text.as_bytes())?;
    output.finish()?;
    Ok(None)
}

fn layout(metadata: &Metadata<'_>) -> &'static str {
    match metadata {
        Metadata::V1(_) => "keys wrapped by RSA",
        Metadata::V2(_) => "protectors (elliptic curves); nobody outside of Windows decrypts it",
        Metadata::V3(_) => "rights management; nobody without its server decrypts it",
        _ => "unknown",
    }
}

fn describe(location: &Path, file: &dyn Encrypted, metadata: &Metadata<'_>) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<14}{}", harmless(&value));
    };
    line("path", location.display().to_string());
    line("EFS version", format!("{}: {}", metadata.version(), layout(metadata)));
    line("metadata", format!("{} bytes", file.metadata().len()));
    let holders = metadata.holders();
    for (kind, label) in [(HolderKind::User, "users"), (HolderKind::RecoveryAgent, "recovery")] {
        let mut label = label;
        for holder in holders.iter().filter(|holder| holder.kind == kind) {
            line(label, one_line(holder));
            label = "";
        }
    }
    if !holders.iter().any(|holder| holder.kind == HolderKind::RecoveryAgent) {
        line("recovery", "no agents".to_owned());
    }
    for (index, plan) in file.streams().iter().enumerate() {
        let name = plan.head.name.as_ref().map_or("(unnamed)".to_owned(), |name| format!(":{name}"));
        let content = &plan.content;
        let mut value = format!("{name}  {} bytes", content.size);
        if !plan.head.encrypted {
            value.push_str(", not encrypted");
        }
        if content.extents.is_some() {
            value.push_str(", sparse");
        }
        if content.vdl < content.size {
            let _ = write!(value, ", valid to {}", content.vdl);
        }
        line(if index == 0 { "streams" } else { "" }, value);
    }
    let unknown = match metadata {
        Metadata::V1(_) => "in the encrypted key: `ntbak efs decrypt` with one of the keys tells",
        _ => "not known",
    };
    line("algorithm", algorithm(metadata).unwrap_or_else(|| unknown.to_owned()));
    text
}

/// What the content is encrypted with, where that can be read without a key.
fn algorithm(metadata: &Metadata<'_>) -> Option<String> {
    let Metadata::V2(metadata) = metadata else { return None };
    let known = Algorithm::from_alg_id(metadata.algorithm);
    Some(known.map_or_else(|| format!("{:#x}", metadata.algorithm), |algorithm| format!("{algorithm:?}")))
}

/// A holder as text: name, thumbprint, and what else is stored.
pub(crate) fn one_line(holder: &Holder) -> String {
    let display = holder.display.as_ref().map_or("(no name)".to_owned(), Name::to_string);
    let mut text = match &holder.thumbprint {
        Some(thumbprint) => format!("{display}  {}", hex(thumbprint)),
        None => format!("{display}  (no thumbprint)"),
    };
    if let Some(sid) = &holder.sid {
        let _ = write!(text, "  {}", sid.as_sid());
    }
    if let Some(container) = &holder.container {
        let _ = write!(text, "  container {container}");
    }
    if let Some(provider) = &holder.provider {
        let _ = write!(text, " ({provider})");
    }
    if holder.wrapping != Wrapping::Rsa {
        let _ = write!(text, "  wrapped by {}", wrapping(&holder.wrapping));
    }
    text
}

fn wrapping(wrapping: &Wrapping) -> String {
    format!("{wrapping:?}").to_lowercase()
}

/// Bytes as Windows writes thumbprints.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn describe_json(location: &Path, file: &dyn Encrypted, metadata: &Metadata<'_>) -> Value {
    let mut object = json!({});
    member::put_path(&mut object, "path", location);
    member::put(&mut object, "efs_version", metadata.version().into());
    if let Some(algorithm) = algorithm(metadata) {
        member::put(&mut object, "algorithm", algorithm.into());
    }
    member::put(&mut object, "metadata_size", file.metadata().len().into());
    for (kind, key) in [(HolderKind::User, "users"), (HolderKind::RecoveryAgent, "recovery_agents")] {
        let holders = metadata.holders();
        let list: Vec<_> = holders.iter().filter(|holder| holder.kind == kind).map(holder_json).collect();
        member::put(&mut object, key, list.into());
    }
    let streams: Vec<_> = file
        .streams()
        .iter()
        .map(|plan| {
            let mut stream = json!({});
            match &plan.head.name {
                Some(name) => member::put_name(&mut stream, "name", name.name()),
                None => member::put(&mut stream, "name", "".into()),
            }
            member::put(&mut stream, "size", plan.content.size.into());
            member::put(&mut stream, "vdl", plan.content.vdl.into());
            member::put(&mut stream, "encrypted", plan.head.encrypted.into());
            member::put(&mut stream, "sparse", plan.content.extents.is_some().into());
            stream
        })
        .collect();
    member::put(&mut object, "streams", streams.into());
    object
}

fn holder_json(holder: &Holder) -> Value {
    let mut object = json!({});
    if let Some(display) = &holder.display {
        member::put_name(&mut object, "name", display);
    }
    if let Some(thumbprint) = &holder.thumbprint {
        member::put(&mut object, "thumbprint", hex(thumbprint).into());
    }
    if let Some(sid) = &holder.sid {
        member::put(&mut object, "sid", sid.as_sid().to_string().into());
    }
    if let Some(container) = &holder.container {
        member::put_name(&mut object, "container", container);
    }
    if let Some(provider) = &holder.provider {
        member::put_name(&mut object, "provider", provider);
    }
    member::put(&mut object, "wrapping", wrapping(&holder.wrapping).into());
    object
}
