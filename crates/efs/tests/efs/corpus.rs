//! A real file of Windows 10, made by `cipher /e`.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak_efs::{Algorithm, Fek, SectorCipher};
use ntbak_wire::efs::{HolderKind, Metadata};

use crate::common::*;

#[test]
fn a_file_of_windows_is_decrypted_and_its_metadata_are_built_again() {
    let root = std::env::var_os("NTBAK_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(root.join("opbs/vector1.json")) else {
        return skipped("no corpus (NTBAK_CORPUS)");
    };
    let vector: serde_json::Value = serde_json::from_str(&text).unwrap();
    let field = |name: &str| STANDARD.decode(vector[name].as_str().unwrap()).unwrap();
    let (plain, cipher, metadata) = (field("plain"), field("cipher"), field("efsAttr"));

    let fek = Fek::parse(&field("fek")).unwrap();
    assert_eq!((fek.algorithm(), fek.entropy()), (Algorithm::Aes256, 32));
    assert_eq!(fek.to_bytes()[..], field("fek")[..]);
    let sectors = SectorCipher::new(&fek);
    let mut data = cipher.clone();
    sectors.decrypt(0, &mut data).unwrap();
    assert_eq!(data[..plain.len()], plain);
    assert!(data[plain.len()..].iter().all(|byte| *byte == 0), "Windows pads with zeros");
    sectors.encrypt(0, &mut data).unwrap();
    assert_eq!(data, cipher);

    let view = Metadata::parse(&metadata).unwrap();
    let holders = view.holders();
    assert_eq!((view.version(), holders.len(), holders[0].kind), (2, 1, HolderKind::User));
    let thumbprint = hex(vector["thumbprint"].as_str().unwrap());
    assert_eq!(holders[0].thumbprint.as_deref(), Some(&thumbprint[..]));
    assert!(holders[0].sid.is_some() && holders[0].container.is_some() && holders[0].display.is_some());
    let Metadata::V1(view) = view else { panic!() };
    assert_eq!(view.to_builder().build().unwrap(), metadata, "byte for byte");

    // The same from its parts alone: our layout is that of Windows.
    let entry = &view.users[0];
    let mut builder = ntbak_wire::efs::v1::Builder::new(2, view.id).with_tail(4);
    let holder = &holders[0];
    builder.add(
        HolderKind::User,
        &ntbak_wire::efs::v1::NewEntry {
            thumbprint: &thumbprint,
            encrypted_fek: entry.encrypted_fek,
            display: holder.display.as_ref(),
            container: holder.container.as_ref().zip(holder.provider.as_ref()),
            sid: entry.sid,
        },
    );
    assert_eq!(builder.build().unwrap(), metadata);
}
