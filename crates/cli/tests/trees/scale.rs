//! Very many files: the memory that each command takes.
//!
//! 10,000 files; 100,000 where everything is required to run; and with a million:
//! `NTBAK_SCALE=1000000 cargo test --release --package ntbak-cli --test trees scale -- --nocapture`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::common::run::args;

/// What every command may take, and for each file.
const BASE: u64 = 34 << 20;
const FOR_EACH: u64 = 270;

/// Runs a command and says how much memory it took at most, in bytes.
const MEASURE: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(code)";

fn peak(arguments: &[OsString]) -> u64 {
    let mut python = Command::new("python3");
    let out =
        python.args(["-c", MEASURE, env!("CARGO_BIN_EXE_ntbak"), "-q"]).args(arguments).output().unwrap();
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().parse().unwrap()
}

fn make(root: &Path, files: u64) {
    for number in 0..files {
        let dir = root.join(format!("directory {}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir_all(&dir).unwrap();
        }
        File::create(dir.join(format!("a file of an ordinary length, {number}.txt"))).unwrap();
    }
}

#[test]
fn scale_of_files_takes_little_memory() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success()) {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "python3 is missing");
        println!("skipped: python3 is not installed");
        return;
    }
    let all = std::env::var_os("NTBAK_REQUIRE_ALL").is_some();
    let asked = std::env::var("NTBAK_SCALE").ok().and_then(|files| files.parse().ok());
    let files = asked.unwrap_or(if all { 100_000 } else { 10_000 });
    let dir = TempDir::new().unwrap();
    let (tree, archive, to) =
        (dir.path().join("tree"), dir.path().join("a.tar.zst"), dir.path().join("restored"));
    make(&tree, files);
    let most = BASE + files * FOR_EACH;
    for (what, arguments) in [
        ("backup", args!["backup", &tree, "-o", &archive].to_vec()),
        ("list", args!["list", &archive].to_vec()),
        ("verify", args!["verify", &archive].to_vec()),
        ("restore", args!["restore", &archive, &to].to_vec()),
        ("diff", args!["diff", &tree, &to].to_vec()),
        ("verify --against", args!["verify", &archive, "--against", &tree].to_vec()),
    ] {
        let taken = peak(&arguments);
        println!("{what}: {} KiB", taken >> 10);
        assert!(taken <= most, "{what} took {taken} bytes for {files} files, and may take {most}");
    }
}
