//! `ntfsdecrypt` of ntfs-3g is the judge of all at once: PFX, metadata, wrapping, sectors, on a real volume.
//!
//! ntfsdecrypt cuts the last character off the usages of a certificate (seen with 2022.10.3 and GnuTLS 3.7), so that it
//! knows no genuine EFS certificate. The certificates here have the right usage, and a second one that is right once cut.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use ntbak_efs::{
    Algorithm, Fek, Identity, KeyRing, PfxProtection, Recipient, SectorCipher, protect, write_pfx,
};
use ntbak_wire::object_id::Guid;

use crate::common::*;

/// Runs a program; `None` when it is not there or fails, which is told.
fn run(program: &str, arguments: &[&str]) -> Option<()> {
    match Command::new(program).args(arguments).stdout(Stdio::null()).output() {
        Ok(output) if output.status.success() => Some(()),
        Ok(output) => {
            skipped(&format!("{program}: {}", String::from_utf8_lossy(&output.stderr)));
            None
        }
        Err(error) => {
            skipped(&format!("{program}: {error}"));
            None
        }
    }
}

/// Writes an encrypted file as ntfs-3g wants it: ciphertext and the length of its padding, then `$EFS`.
fn put(mount: &Path, name: &str, fek: &Fek, metadata: &[u8], plain: &[u8]) -> Option<()> {
    let mut data = plain.to_vec();
    data.resize(plain.len().next_multiple_of(512), 0);
    SectorCipher::new(fek).encrypt(0, &mut data).unwrap();
    let padding = (data.len() - plain.len()) as u16;
    data.extend(padding.to_le_bytes());
    let path = mount.join(name);
    fs::write(&path, data).unwrap();
    let value: String = metadata.iter().map(|byte| format!("{byte:02x}")).collect();
    run("setfattr", &["-n", "user.ntfs.efsinfo", "-v", &format!("0x{value}"), path.to_str().unwrap()])
}

fn ntfsdecrypt(image: &Path, pfx: &Path, password: &str, name: &str) -> Vec<u8> {
    let mut child = Command::new("ntfsdecrypt")
        .args(["-q", "-k", pfx.to_str().unwrap(), image.to_str().unwrap(), name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "ntfsdecrypt {name}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A key with a certificate whose usages are these.
fn judged(dir: &Path, name: &str, usages: &str) -> Option<Identity> {
    let usages = format!("extendedKeyUsage={usages}");
    let (key, pem, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
    let arguments =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &pem, "-days", "2"];
    openssl(dir, &[&arguments[..], &["-subj", &subject, "-addext", &usages]].concat())?;
    let mut ring = KeyRing::new();
    ring.add_file(&fs::read(dir.join(key)).unwrap(), None).unwrap();
    ring.add_file(&fs::read(dir.join(pem)).unwrap(), None).unwrap();
    Some(ring.identities()[0].clone())
}

#[test]
fn ntfsdecrypt_reads_what_is_encrypted_here() {
    let dir = tempfile::tempdir().unwrap();
    let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
    fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
    fs::create_dir(&mount).unwrap();
    let (image_name, mount_name) = (image.to_str().unwrap(), mount.to_str().unwrap());
    const EFS: &str = "1.3.6.1.4.1.311.10.3.4,1.3.6.1.4.1.311.10.3.40";
    const RECOVERY: &str = "1.3.6.1.4.1.311.10.3.4.1,1.3.6.1.4.1.311.10.3.4.10";
    let (Some(user), Some(agent)) = (judged(dir.path(), "user", EFS), judged(dir.path(), "agent", RECOVERY))
    else {
        return;
    };
    assert!(
        user.certificate.as_ref().unwrap().is_for_efs()
            && agent.certificate.as_ref().unwrap().is_for_recovery()
    );
    let ready = run("mkntfs", &["-F", "-q", image_name])
        .and_then(|()| run("ntfsdecrypt", &["-V"]))
        .and_then(|()| run("ntfs-3g", &["-o", "efs_raw", image_name, mount_name]));
    if ready.is_none() {
        return;
    }
    let mut files = Vec::new();
    let recipient = |identity: &Identity| Recipient::new(identity.certificate.clone().unwrap());
    let mut done = Some(());
    for algorithm in [Algorithm::Aes256, Algorithm::TripleDes, Algorithm::Desx] {
        for size in [1, 511, 512, 513, 70_000, 131_072] {
            let fek = Fek::generate(algorithm).unwrap();
            let metadata =
                protect(&fek, &[recipient(&BOB), recipient(&user)], &[recipient(&agent)], Guid([3; 16]));
            let plain: Vec<u8> = (0..size).map(|at| (at * 7 % 253) as u8).collect();
            let name = format!("{algorithm:?}-{size}");
            done = done.and_then(|()| put(&mount, &name, &fek, &metadata.unwrap(), &plain));
            files.push((name, plain));
        }
    }
    run("fusermount", &["-u", mount_name]);
    // The volume is written back when the file system's process has ended.
    for _ in 0..100 {
        if !fs::read_to_string("/proc/mounts").unwrap_or_default().contains(mount_name) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    if done.is_none() {
        return;
    }
    for (identity, who, protection) in
        [(&user, "user", PfxProtection::Aes256), (&agent, "agent", PfxProtection::TripleDes)]
    {
        let pfx = dir.path().join(format!("{who}.pfx"));
        fs::write(&pfx, write_pfx(std::slice::from_ref(identity), "secret", protection).unwrap()).unwrap();
        for (name, plain) in &files {
            let found = ntfsdecrypt(&image, &pfx, "secret", &format!("/{name}"));
            assert!(found == *plain, "{name} by the {who}, {} bytes", found.len());
        }
    }
}
