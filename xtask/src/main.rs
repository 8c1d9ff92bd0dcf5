//! Chores of the project: `cargo xtask try` shows the main job on a sample, `cargo xtask test` runs all tests.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: cargo xtask try     a sample backup stream to a file and back, a sample NTFS image to a directory; compare
       cargo xtask test    run every test that can run here, and say which could not";

fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some("try") => try_out(),
        Some("test") => test(env::args().skip(2).collect()),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    // Asked when it runs, not when it was built: a checkout may have been moved.
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    here.parent().unwrap_or(Path::new(".")).to_owned()
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The main job on the sample that the repository carries.
fn try_out() -> Result<()> {
    let sample = root().join("testdata/sample.bkup");
    let dir = root().join("target/try");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let file = dir.join("report.txt");
    succeed(cargo().args(["build", "--quiet", "--release", "--package", "ntbak-cli"]), "building ntbak")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let ntbak = || Command::new(target.join("release/ntbak"));

    println!("$ ntbak stream list -v testdata/sample.bkup");
    succeed(ntbak().args(["stream", "list", "-v"]).arg(&sample), "listing the sample")?;

    println!("\n$ ntbak stream write target/try/report.txt < testdata/sample.bkup");
    let input = fs::File::open(&sample)?;
    succeed(ntbak().args(["stream", "write"]).arg(&file).stdin(input), "writing the sample to a file")?;

    println!("\n$ ntbak info target/try/report.txt");
    succeed(ntbak().arg("info").arg(&file), "looking at the file")?;

    println!("\n$ ntbak stream read target/try/report.txt | cmp - testdata/sample.bkup");
    let read = ntbak().args(["stream", "read"]).arg(&file).stderr(Stdio::inherit()).output()?;
    if !read.status.success() || read.stdout != fs::read(&sample)? {
        return Err("what was read back differs from the sample".into());
    }
    println!("equal: {} bytes, nothing lost", read.stdout.len());

    let (image, archive) = (root().join("testdata/sample.qcow2"), dir.join("sample.tar.zst"));
    println!("\n$ ntbak backup testdata/sample.qcow2 -o target/try/sample.tar.zst");
    succeed(ntbak().arg("backup").arg(&image).arg("-o").arg(&archive), "backing the sample image up")?;

    println!("\n$ ntbak list --streams target/try/sample.tar.zst");
    succeed(ntbak().args(["list", "--streams"]).arg(&archive), "listing the archive")?;

    println!("\n$ ntbak restore target/try/sample.tar.zst target/try/sample");
    succeed(ntbak().arg("restore").arg(&archive).arg(dir.join("sample")), "restoring the archive")?;

    println!("\n$ ntbak diff testdata/sample.qcow2 target/try/sample");
    succeed(ntbak().arg("diff").arg(&image).arg(dir.join("sample")), "comparing image and directory")?;
    println!("no difference");
    Ok(())
}

/// All tests, then a list of those that could not run.
fn test(mut arguments: Vec<String>) -> Result<()> {
    arguments.extend(["--", "--show-output"].map(str::to_owned));
    let mut tests = cargo()
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut skipped = Vec::new();
    let output = tests.stdout.take().ok_or("no output of the tests")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.starts_with("skipped: ") {
            skipped.push(line.clone());
        }
        println!("{line}");
    }
    let status = tests.wait()?;
    skipped.sort();
    skipped.dedup();
    println!("\n{} tests or parts of tests were skipped.", skipped.len());
    for line in &skipped {
        println!("  {line}");
    }
    if status.success() { Ok(()) } else { Err("tests failed".into()) }
}

fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().map_err(|error| format!("{what}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}").into()) }
}
