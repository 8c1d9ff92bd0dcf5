//! What the tests need: known content, other programs, and files that other people made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, dead_code)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A test cannot run here: says why, and is a failure where everything is required.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "NTBAK_REQUIRE_ALL is set, but {why}");
    eprintln!("skipped: {why}");
}

/// Whether these programs are here.
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(program) = missing {
        skip(&format!("{program} is not installed"));
    }
    missing.is_none()
}

/// A file of the corpus, if it is here.
pub(crate) fn corpus(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NTBAK_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"), PathBuf::from);
    let path = root.join(name);
    if path.is_file() {
        return Some(path);
    }
    skip(&format!("there is no {} in the corpus (NTBAK_CORPUS)", name));
    None
}

/// Runs a program that has to succeed.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C.UTF-8");
    let out = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {}: {stderr}", out.status);
    out.stdout
}

/// Runs a program with its arguments in one string, paths with spaces are not expected.
pub(crate) fn shell(line: &str) -> Vec<u8> {
    let mut words = line.split_whitespace();
    run(words.next().unwrap(), words)
}

/// Numbers that look like chance and are the same every time.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).unwrap()
    }
}

/// A disk with pieces of chance, text and nothing, of sizes that fit no cluster.
pub(crate) fn disk(seed: u64, len: usize) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    let mut disk = Vec::with_capacity(len + 300_000);
    while disk.len() < len {
        let most = if chance.below(4) == 0 { 300_000 } else { 20_000 };
        let piece = 1 + chance.below(most);
        match chance.below(3) {
            0 => disk.resize(disk.len() + piece, 0),
            1 => disk.extend((0..piece).map(|_| chance.number() as u8)),
            _ => disk.extend((0..piece).map(|at| b"Windows NT file "[at % 16] ^ (at / 999) as u8)),
        }
    }
    disk.truncate(len);
    disk
}
