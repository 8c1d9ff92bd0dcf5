//! The examples, built with all compilers and run.

use std::fs;
use std::path::Path;
use std::process::Command;

use ntbak::win32::{DirectoryVolume, Drives, EncryptionKeys, System, encrypt_file};
use ntbak_efs::{KeyRing, Recipient};

use crate::common::{
    CLANG, CLANG_CPP, Compiler, GCC, GCC_CPP, MINGW, MINGW_CPP, Under, capi, identity, program, run, under,
};

pub(crate) const EXAMPLES: [&str; 5] = ["backup", "restore", "efs", "streams", "links"];

fn builds(compiler: Compiler) {
    if !compiler.is_there() {
        return;
    }
    for example in EXAMPLES {
        program(&format!("examples/{example}.c"), compiler);
    }
}

#[test]
fn examples_build_with_gcc_as_c() {
    builds(GCC);
}

#[test]
fn examples_build_with_gcc_as_cpp() {
    builds(GCC_CPP);
}

#[test]
fn examples_build_with_clang_as_c() {
    builds(CLANG);
}

#[test]
fn examples_build_with_clang_as_cpp() {
    builds(CLANG_CPP);
}

#[test]
fn examples_build_for_windows_as_c() {
    builds(MINGW);
}

#[test]
fn examples_build_for_windows_as_cpp() {
    builds(MINGW_CPP);
}

/// An example with a directory as drive C.
fn example(name: &str, compiler: Compiler, how: Under, drive: &Path) -> Command {
    let mut command = under(how, &format!("examples/{name}.c"), compiler);
    let mut drives = std::ffi::OsString::from("C=");
    drives.push(drive);
    command.env("NTBAK_DRIVES", drives);
    command
}

/// All examples, one after the other.
pub(crate) fn work(compiler: Compiler, how: Under) {
    let there = tempfile::tempdir().unwrap();
    let drive = there.path().join("drive");
    fs::create_dir(&drive).unwrap();
    let file = |name: &str| there.path().join(name);
    let example = |name: &str| example(name, compiler, how, &drive);
    let sample = capi().join("../../testdata/sample.bkup");
    let whole = fs::read(&sample).unwrap();

    // Written in slices and read again: a file with streams, a descriptor and more.
    run(example("restore").arg(&sample).arg(r"C:\sample.txt"));
    run(example("backup").arg(r"C:\SAMPLE.TXT").arg(file("again.bkup")));
    assert_eq!(fs::read(file("again.bkup")).unwrap(), whole);

    // The headers alone: no content, and all streams.
    let listed = run(example("backup").args(["-l", r"C:\sample.txt"])).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let ids: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(ids.contains(&"1") && ids.contains(&"3") && ids.contains(&"4"), "{listed}");

    // Without security; and by a path of Linux.
    run(example("restore").arg("-n").arg(&sample).arg(drive.join("plain.txt")));
    let listed = String::from_utf8(run(example("backup").args(["-l", r"C:\plain.txt"])).stdout).unwrap();
    assert!(listed.lines().any(|line| line.starts_with("1 ")), "{listed}");

    // Aborted in the middle: no error. Cut: one that ntbak_finish tells.
    run(example("restore").args(["-a", "30"]).arg(&sample).arg(r"C:\aborted.txt"));
    fs::write(file("cut.bkup"), &whole[..whole.len() - 1]).unwrap();
    let cut = example("restore").arg(file("cut.bkup")).arg(r"C:\cut.txt").output().unwrap();
    assert_eq!(cut.status.code(), Some(1), "{}", String::from_utf8_lossy(&cut.stderr));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("error 13"));

    // A directory.
    fs::write(file("none.bkup"), []).unwrap();
    run(example("restore").arg("-d").arg(file("none.bkup")).arg(r"C:\dir"));
    assert!(drive.join("dir").is_dir());

    // Streams and names.
    let mut two = [1_u32, 0, 5, 0, 0].map(u32::to_le_bytes).concat();
    two.extend(b"hello");
    two.extend([4_u32, 0, 3, 0, 16].map(u32::to_le_bytes).concat());
    two.extend(":s:$DATA".encode_utf16().flat_map(u16::to_le_bytes));
    two.extend(b"two");
    fs::write(file("two.bkup"), &two).unwrap();
    run(example("restore").arg(file("two.bkup")).arg(r"C:\two"));
    let listed = String::from_utf8(run(example("streams").arg(r"C:\two")).stdout).unwrap();
    assert_eq!(listed, format!("{:12}  C:\\two::$DATA\n{:12}  C:\\two:s:$DATA\n", 5, 3));
    fs::write(drive.join("first"), "x").unwrap();
    fs::hard_link(drive.join("first"), drive.join("dir/Zweiter ä")).unwrap();
    let listed = String::from_utf8(run(example("links").arg(r"C:\first")).stdout).unwrap();
    assert_eq!(listed, "\\first\n\\dir\\Zweiter \\u00e4\n");
    let none = example("links").arg(r"C:\none").output().unwrap();
    assert!(String::from_utf8_lossy(&none.stderr).contains("error 2"));

    // A drive that cannot be opened says why when it is used; what is no drive is not there.
    for (drives, path, error) in [("C=/not there", r"C:\x", "error 2"), ("C=/;x;=y;1=z", r"D:\x", "error 3")]
    {
        let mut lost = example("streams");
        let output = lost.arg(path).env("NTBAK_DRIVES", drives).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains(error), "{drives}: {output:?}");
    }

    // An encrypted file, out and in without its key.
    fs::write(drive.join("secret"), "of no one's business").unwrap();
    encrypt(&drive, r"C:\secret");
    run(example("efs").args(["export", r"C:\secret"]).arg(file("secret.raw")));
    run(example("efs").arg("import").arg(file("secret.raw")).arg(r"C:\copy"));
    run(example("efs").args(["export", r"C:\copy"]).arg(file("copy.raw")));
    let raw = fs::read(file("secret.raw")).unwrap();
    assert!(raw.len() > 1000);
    assert_eq!(raw, fs::read(file("copy.raw")).unwrap());
    let plain = example("efs").args(["export", r"C:\first"]).arg(file("x")).output().unwrap();
    assert!(String::from_utf8_lossy(&plain.stderr).contains("error 6007"));
}

/// Encrypts a file of a drive for the key of the tests.
pub(crate) fn encrypt(drive: &Path, path: &str) {
    let mut ring = KeyRing::new();
    ring.add(identity().clone());
    let current = Some(Recipient::new(identity().certificate.clone().unwrap()));
    let keys = EncryptionKeys { ring, current, ..EncryptionKeys::default() };
    let drives = Drives::new().with('C', DirectoryVolume::open(drive).unwrap()).unwrap();
    encrypt_file(&System::new(drives).with_keys(keys), path).unwrap();
}

#[test]
fn examples_work_as_c_of_gcc() {
    if GCC.is_there() {
        work(GCC, &[]);
    }
}

#[test]
fn examples_work_as_cpp_of_clang() {
    if CLANG_CPP.is_there() {
        work(CLANG_CPP, &[]);
    }
}
