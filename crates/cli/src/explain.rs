//! Small payloads in words: what `-v` and `info` say about them.

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::SmallKind;
use ntbak_wire::reparse::ReparseBuffer;
use ntbak_wire::security::{AclPart, SecurityDescriptor, Sid, sddl};
use ntbak_wire::{ea, link};
use serde_json::{Value, json};

use crate::json;

/// Bytes of a value that are shown.
const SHOWN: usize = 32;

/// A payload as lines of text.
pub(crate) fn lines(kind: SmallKind, payload: &[u8]) -> Vec<String> {
    match explain(kind, payload) {
        Ok(lines) => lines,
        Err(error) => vec![format!("not valid: {error}"), hex(payload)],
    }
}

fn explain(kind: SmallKind, payload: &[u8]) -> ntbak_wire::Result<Vec<String>> {
    Ok(match kind {
        SmallKind::Security => security(&SecurityDescriptor::parse(payload)?),
        SmallKind::Ea => {
            let list = ea::parse_full(payload)?;
            list.iter()
                .map(|ea| {
                    let name = ntbak_wire::Name::from(&*String::from_utf8_lossy(&ea.name));
                    let need = if ea.is_needed() { ", NEED_EA" } else { "" };
                    let meaning = match ea.value.is_empty() {
                        true => "deletes the attribute".to_owned(),
                        false => ea::describe(&ea).unwrap_or_else(|| value(&ea.value)),
                    };
                    format!("{name} ({} bytes{need}): {meaning}", ea.value.len())
                })
                .collect()
        }
        SmallKind::Reparse => {
            let buffer = ReparseBuffer::parse(payload)?;
            vec![
                format!("tag {:#010x} {}", buffer.tag().0, buffer.tag().name().unwrap_or("(unknown)")),
                buffer.describe(),
            ]
        }
        SmallKind::ObjectId => {
            let [id, volume, birth, domain] = ObjectId::parse(payload)?.guids();
            vec![
                format!("object {id}"),
                format!("birth volume {volume}, birth object {birth}, domain {domain}"),
            ]
        }
        SmallKind::Link => vec![format!("hard link to {}", link::parse(payload)?)],
    })
}

fn security(descriptor: &SecurityDescriptor<'_>) -> Vec<String> {
    let holder = |sid: Option<Sid<'_>>| match sid {
        None => "none".to_owned(),
        Some(sid) => match sid.well_known() {
            Some(name) => format!("{sid} ({name})"),
            None => sid.to_string(),
        },
    };
    let list = |part: AclPart<'_>| match part {
        AclPart::Absent => "none".to_owned(),
        AclPart::Null => "NULL".to_owned(),
        AclPart::Acl(acl) => format!("{} entries", acl.ace_count()),
    };
    vec![
        format!("owner {}, group {}", holder(descriptor.owner()), holder(descriptor.group())),
        format!("DACL {}, SACL {}", list(descriptor.dacl()), list(descriptor.sacl())),
        sddl::to_sddl(descriptor),
    ]
}

/// Adds a payload to a JSON object, as text and as bytes.
pub(crate) fn put_json(object: &mut Value, kind: SmallKind, payload: &[u8]) {
    let mut put = |key: &str, value: Value| json::put(object, key, value);
    match kind {
        SmallKind::Security => {
            put("sd", json::base64(payload));
            if let Ok(descriptor) = SecurityDescriptor::parse(payload) {
                put("sddl", sddl::to_sddl(&descriptor).into());
            }
        }
        SmallKind::Ea => match ea::parse_full(payload) {
            Err(_) => put("ea_raw", json::base64(payload)),
            Ok(list) => {
                let entries = list.iter().map(|ea| {
                    let name = String::from_utf8_lossy(&ea.name);
                    json!({ "name": name, "flags": ea.flags, "value": json::base64(&ea.value) })
                });
                put("ea", entries.collect());
            }
        },
        SmallKind::Reparse => {
            if let Ok(buffer) = ReparseBuffer::parse(payload) {
                put("reparse_tag", format!("{:#010x}", buffer.tag().0).into());
            }
            put("reparse", json::base64(payload));
        }
        SmallKind::ObjectId => put("object_id", json::base64(payload)),
        SmallKind::Link => match link::parse(payload) {
            Ok(path) => json::put_name(object, "link", &path),
            Err(_) => put("link_raw", json::base64(payload)),
        },
    }
}

/// A value as text when it is printable, in hexadecimal otherwise.
fn value(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => hex(bytes),
    }
}

/// The first bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > SHOWN { " …" } else { "" };
    format!("{}{more}", digits.join(" "))
}
