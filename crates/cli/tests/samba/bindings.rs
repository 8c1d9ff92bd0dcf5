//! Values of attributes, one by one: Samba's Python bindings read what ntbak writes, and the reverse.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak::memory::MemoryFile;
use ntbak_wire::record::Times;
use ntbak_wire::security::sddl::parse_sddl;
use ntbak_wire::{FileAttributes, FileTime};
use serde_json::{Value, json};

use crate::common::make::set;
use crate::common::run::{args, ntbak};
use crate::server::{bindings, need_samba, to_sddl};
use crate::source::{attribute, info, store};

const DESCRIPTORS: [&str; 9] = [
    "O:BAG:SY",
    "O:BAG:SYD:",
    "D:(A;;0x1f01ff;;;WD)",
    "O:BAG:SYD:NO_ACCESS_CONTROL",
    "O:S-1-5-21-11-22-33-1001G:S-1-5-21-11-22-33-513D:PAI(D;OICI;0x1f01ff;;;WD)(A;ID;0x120089;;;SY)",
    "O:BAG:SYD:(A;;0x1f01ff;;;WD)S:(AU;SAFA;0x1f01ff;;;WD)",
    "O:BAG:SYS:PAI(AU;SAOICI;0x10000;;;BA)",
    "G:SYD:AR(A;CIIO;GA;;;CO)",
    "O:SYG:SYD:(OA;;0x10;ab721a53-1e2f-11d0-9819-00aa0040529b;bf967aba-0de6-11d0-a285-00aa003049e2;WD)",
];

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The descriptor that `ntbak` reads from an attribute with this value.
#[track_caller]
fn read_ntacl(dir: &Path, value: &[u8]) -> (String, Vec<String>) {
    let path = dir.join("ntacl");
    std::fs::write(&path, b"x").unwrap();
    set(&path, "security.NTACL", value);
    let ran = ntbak(args!["info", "--json", &path]).expect(0);
    let found: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let notes = ran.report.iter().filter(|line| line["type"] == "note");
    let notes = notes.map(|line| line["what"].as_str().unwrap().to_owned()).collect();
    (to_sddl(&decode(&found["sd"])), notes)
}

#[test]
fn bs_66_samba_unpacks_the_descriptor_that_ntbak_writes() {
    need_samba!();
    let dir = scratch();
    for text in DESCRIPTORS {
        let security = parse_sddl(text).unwrap();
        let path = dir.path().join("f");
        store(&MemoryFile { security: Some(security.clone()), ..MemoryFile::file() }, &path);
        let value = attribute(&path, "security.NTACL").unwrap();
        let read = bindings(&json!({ "do": "read_ntacl", "value": STANDARD.encode(&value) }));
        assert_eq!(read["version"], 1, "{text}");
        assert_eq!(to_sddl(&decode(&read["sd"])), to_sddl(&security), "{text}");
        // The bindings' own text, from their own text.
        if !text.contains("NO_ACCESS") {
            let packed = bindings(&json!({ "do": "pack_ntacl", "version": 1, "sddl": read["sddl"] }));
            assert_eq!(to_sddl(&decode(&packed["sd"])), to_sddl(&security), "{text}: {}", read["sddl"]);
        }
        assert_eq!(to_sddl(&decode(&info(&path)["sd"])), to_sddl(&security));
    }
}

#[test]
fn bs_66_ntbak_reads_every_version_that_samba_packs() {
    need_samba!();
    let dir = scratch();
    let versions = [
        (1, 0, ""),
        (2, 0, ""),
        (3, 0, ""),
        (3, 1, ""),
        (4, 0, "posix_acl"),
        (4, 1, "posix_acl"),
        (4, 1, ""),
        (4, 1, "abc"),
        (4, 1, "a longer description"),
        (4, 1, "K\u{e4}se"),
    ];
    for text in DESCRIPTORS.iter().filter(|text| !text.contains("NO_ACCESS")) {
        for (version, hash_type, description) in versions {
            let packed = bindings(&json!({
                "do": "pack_ntacl", "version": version, "sddl": text, "hash_type": hash_type,
                "description": description,
            }));
            let (found, notes) = read_ntacl(dir.path(), &decode(&packed["value"]));
            assert_eq!(found, to_sddl(&decode(&packed["sd"])), "version {version}, {description:?}: {text}");
            let flagged = notes.iter().any(|note| note.contains("POSIX ACL"));
            assert_eq!(flagged, hash_type == 1, "version {version}: {notes:?}");
        }
    }
}

#[test]
fn bs_67_samba_unpacks_the_attributes_that_ntbak_writes() {
    need_samba!();
    let dir = scratch();
    for (number, attributes) in [0x20, 0x2027, 0x1, 0x80, 0x0012_1022].into_iter().enumerate() {
        for created in [Some(FileTime(1)), Some(FileTime(126_256_467_062_345_678)), None] {
            let path = dir.path().join(format!("f{number}"));
            let mut file = MemoryFile::file();
            file.info.attributes = FileAttributes::from_bits_retain(attributes);
            file.info.times = Times { created, ..Times::default() };
            store(&file, &path);
            let value = attribute(&path, "user.DOSATTRIB").unwrap();
            let read = bindings(&json!({ "do": "read_dosattrib", "value": STANDARD.encode(&value) }));
            assert_eq!((&read["version"], &read["text"]), (&json!(5), &json!("")));
            assert_eq!(read["attributes"], attributes);
            assert_eq!(read["valid"], if created.is_some() { 0x11 } else { 0x1 });
            if let Some(created) = created {
                assert_eq!(read["created"], created.0);
            }
        }
    }
}

#[test]
fn bs_67_ntbak_reads_every_version_that_samba_packs() {
    need_samba!();
    let dir = scratch();
    let created = 126_256_467_062_345_678_i64;
    let full = json!({
        "attrib": 0x23, "ea_size": 5, "size": 1_u64 << 33, "alloc_size": 1_u64 << 34, "create_time": created,
        "change_time": 133_000_000_000_000_000_i64,
    });
    let with = |fields: &Value, more: Value| {
        let mut fields = fields.as_object().unwrap().clone();
        fields.extend(more.as_object().unwrap().clone());
        Value::Object(fields)
    };
    let short = json!({ "attrib": 0x23, "create_time": created });
    let cases = [
        (1, "", full.clone(), Some(0x23), true),
        (3, "", with(&full, json!({ "valid_flags": 0x3F })), Some(0x23), true),
        (3, "0x22", with(&full, json!({ "valid_flags": 0x11 })), Some(0x23), true),
        (3, "0x22", with(&full, json!({ "valid_flags": 0x1 })), Some(0x23), false),
        (4, "", with(&short, json!({ "valid_flags": 0x51, "itime": 7 })), Some(0x23), true),
        (5, "", with(&short, json!({ "valid_flags": 0x11 })), Some(0x23), true),
        (5, "0x23", with(&short, json!({ "valid_flags": 0x1 })), Some(0x23), false),
        (5, "", with(&short, json!({ "valid_flags": 0x10 })), None, true),
        // The bindings pack this one without its text.
        (0xFFFF, "", Value::Null, Some(0), false),
    ];
    for (version, text, fields, attributes, has_created) in cases {
        let packed =
            bindings(&json!({ "do": "pack_dosattrib", "version": version, "text": text, "fields": fields }));
        let path = dir.path().join("f");
        std::fs::write(&path, b"x").unwrap();
        set(&path, "user.DOSATTRIB", &decode(&packed["value"]));
        let found = info(&path);
        let what = format!("version {version}, {text:?}, {fields}: {found}");
        assert_eq!(found["attributes"], attributes.unwrap_or(0x20), "{what}");
        let shown = found["created"] == "2001-02-03T04:05:06.2345678Z";
        assert_eq!(shown, has_created, "{what}");
    }
    // Text alone, as Samba 3.0 has written it.
    for (text, attributes) in [("0x22", 0x22), ("0x1", 0x1), ("0x13", 0x13)] {
        let value = format!("{text}\0").into_bytes();
        let read = bindings(&json!({ "do": "read_dosattrib", "value": STANDARD.encode(&value) }));
        assert_eq!((&read["version"], &read["text"]), (&json!(0xFFFF), &json!(text)));
        let path = dir.path().join("f");
        set(&path, "user.DOSATTRIB", &value);
        // Of a file, Linux knows better that it is no directory.
        assert_eq!(info(&path)["attributes"], attributes & !0x10, "{text}");
    }
}
