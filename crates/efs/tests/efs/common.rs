//! The `openssl` command, identities made once, small helpers.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use ntbak_efs::{Bits, Identity, KeyRing, NewIdentity, Usage};
use sha2::{Digest, Sha256};

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says that a judge is missing; fails where nothing may be skipped.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "skipped: {why}");
    eprintln!("skipped: {why}");
}

/// Runs openssl in `dir`; `None` when there is no such program.
pub(crate) fn openssl(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("openssl").current_dir(dir).args(arguments).output();
    let Ok(output) = output else {
        skipped("no openssl");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {text} {complaint}");
    Some(text)
}

/// What openssl makes of these bytes; `None`, and told, when it is not there.
pub(crate) fn openssl_filter(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write;
    let mut child = match Command::new("openssl")
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(_) => {
            skipped("no openssl");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    Some(output.stdout)
}

/// A key and certificate by openssl, `name.key` and `name.pem` in `dir`.
pub(crate) fn openssl_identity(dir: &Path, name: &str, bits: u32) -> Option<()> {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
    let (size, subject) = (format!("rsa:{bits}"), format!("/O=ntbak/CN={name}"));
    let arguments = ["req", "-x509", "-newkey", &size, "-nodes", "-keyout", &key, "-out", &certificate];
    openssl(dir, &[&arguments[..], &["-days", "2", "-subj", &subject]].concat()).map(drop)
}

pub(crate) fn new_identity(name: &str, usage: Usage) -> Identity {
    let principal = format!("{name}@HOST");
    let new = NewIdentity {
        bits: Bits::B2048,
        common_name: name,
        principal_name: Some(&principal),
        usage,
        not_before: 1_700_000_000,
        not_after: 4_800_000_000,
    };
    new.generate().unwrap()
}

pub(crate) static ALICE: LazyLock<Identity> = LazyLock::new(|| new_identity("alice", Usage::Efs));
pub(crate) static BOB: LazyLock<Identity> = LazyLock::new(|| new_identity("bob", Usage::Efs));
pub(crate) static AGENT: LazyLock<Identity> = LazyLock::new(|| new_identity("agent", Usage::Recovery));

pub(crate) fn ring(identities: &[&Identity]) -> KeyRing {
    let mut ring = KeyRing::new();
    for identity in identities {
        ring.add((*identity).clone());
    }
    ring
}
