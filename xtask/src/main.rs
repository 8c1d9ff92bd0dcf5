//! Chores of the project: `cargo xtask try` shows the main job on a sample, `cargo xtask test` runs all tests.
#![forbid(unsafe_code)]

mod headers;
mod install_c;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: cargo xtask try     back a sample tree and a sample NTFS image up, restore them, and compare
       cargo xtask test    run every test that can run here, and say which could not
       cargo xtask headers [--check]
                           make the header of the C library, or see whether it is as it must be
       cargo xtask install-c PREFIX [--profile PROFILE]
                           build the C library and install it, its headers and its pkg-config file";

fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some("try") => try_out(),
        Some("test") => test(env::args().skip(2).collect()),
        Some("headers") => headers(&env::args().skip(2).collect::<Vec<_>>()),
        Some("install-c") => install(&env::args().skip(2).collect::<Vec<_>>()),
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

/// The main job on a small tree, with a file of Windows that the repository carries as a backup stream, and on a small
/// volume.
fn try_out() -> Result<()> {
    let dir = root().join("target/try");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    succeed(cargo().args(["build", "--quiet", "--release", "--package", "ntbak-cli"]), "building ntbak")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let ntbak = || {
        let mut ntbak = Command::new(target.join("release/ntbak"));
        ntbak.current_dir(root());
        ntbak
    };
    let run = |arguments: &str| {
        println!("\n$ ntbak {arguments}");
        succeed(ntbak().args(arguments.split(' ')), arguments)
    };

    println!("A tree: a file of Windows with streams and a descriptor, some of Linux, links and a hole.");
    make_sample(&dir.join("sample"))?;
    println!("\n$ ntbak stream write target/try/sample/report.txt < testdata/sample.bkup");
    let input = fs::File::open(root().join("testdata/sample.bkup"))?;
    succeed(ntbak().args(["stream", "write", "target/try/sample/report.txt"]).stdin(input), "stream write")?;

    run("backup target/try/sample -o target/try/sample.tar.zst")?;
    run("list --streams target/try/sample.tar.zst")?;
    run("verify target/try/sample.tar.zst")?;
    run("restore target/try/sample.tar.zst target/try/restored")?;
    run("diff target/try/sample target/try/restored")?;
    println!("no difference");
    println!("\n$ ntbak stream read target/try/restored/report.txt | cmp - testdata/sample.bkup");
    let mut read = ntbak();
    read.args(["stream", "read", "target/try/restored/report.txt"]).stderr(Stdio::inherit());
    let read = read.output()?;
    if !read.status.success() || read.stdout != fs::read(root().join("testdata/sample.bkup"))? {
        return Err("what was restored differs from the sample".into());
    }
    println!("equal: {} bytes, nothing lost", read.stdout.len());

    println!("\nAn NTFS volume in a disk image, without a mount and without root.");
    run("backup testdata/sample.qcow2 -o target/try/volume.tar.zst")?;
    run("list --streams target/try/volume.tar.zst")?;
    run("restore target/try/volume.tar.zst target/try/volume")?;
    run("diff testdata/sample.qcow2 target/try/volume")?;
    println!("no difference");
    Ok(())
}

/// Files as any user can make them.
fn make_sample(sample: &Path) -> Result<()> {
    fs::create_dir_all(sample.join("Documents/Drafts"))?;
    fs::write(sample.join("Documents/letter.txt"), "Dear reader,\n".repeat(100))?;
    fs::write(sample.join("Documents/Drafts/Grüße.txt"), "Viele Grüße\n")?;
    fs::hard_link(sample.join("Documents/letter.txt"), sample.join("the same letter.txt"))?;
    std::os::unix::fs::symlink("letter.txt", sample.join("Documents/link to the letter.txt"))?;
    fs::File::create(sample.join("8 MiB of nothing"))?.set_len(8 << 20)?;
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

/// The header of the C library.
fn headers(arguments: &[String]) -> Result<()> {
    let header = root().join("crates/capi/include/ntbak/ntbak.h");
    let made = headers::make(&root().join("crates/capi"))?;
    match arguments {
        [] => Ok(fs::write(header, made)?),
        [check] if check == "--check" => match fs::read_to_string(header)? == made {
            true => Ok(()),
            false => {
                Err("include/ntbak/ntbak.h is not that of the sources: run `cargo xtask headers`".into())
            }
        },
        _ => Err(USAGE.into()),
    }
}

/// The C library, built for release and laid out as programs look for it.
fn install(arguments: &[String]) -> Result<()> {
    let (prefix, profile) = match arguments {
        [prefix] => (prefix, "release"),
        [prefix, option, profile] if option == "--profile" => (prefix, profile.as_str()),
        _ => return Err(USAGE.into()),
    };
    // One kind at a time: beside a Rust library, none of them is optimised as a whole.
    let rustc = ["rustc", "--package", "ntbak-capi", "--lib", "--profile", profile];
    succeed(cargo().args(rustc).args(["--crate-type", "cdylib,staticlib"]), "building the C library")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let built = target.join(if profile == "dev" { "debug" } else { profile });
    install_c::install(&built, &root().join("crates/capi"), Path::new(prefix))
}

fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().map_err(|error| format!("{what}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}").into()) }
}
