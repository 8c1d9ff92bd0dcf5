//! What the tests on real ntfs-3g volumes need: volumes, files made without ntbak, judges that are not ntbak.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, dead_code)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) mod judge;
pub(crate) mod make;
pub(crate) mod mount;
pub(crate) mod run;
pub(crate) mod zoo;

/// The directory of the independent judges.
pub(crate) fn judges() -> PathBuf {
    std::env::var_os("NTBAK_JUDGES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/judges"), PathBuf::from)
}

/// A file of the corpus, unpacked into `to`, with the place where its volume begins; `None`, after saying so, where it
/// cannot be had.
pub(crate) fn unpacked(name: &str, to: &Path) -> Option<PathBuf> {
    let corpus = std::env::var_os("NTBAK_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"), PathBuf::from);
    let (from, path) = (corpus.join(name), to.join(name.replace('/', "-")));
    let (packed, image) = (from.display(), path.display());
    let command = match name.rsplit('.').next().unwrap() {
        "gz" => format!("gzip -dc '{packed}' | cp --sparse=always /dev/stdin '{image}'"),
        "zst" => format!("zstd -qdc '{packed}' | cp --sparse=always /dev/stdin '{image}'"),
        "tgz" => format!(
            "cd '{}' && tar -xSzf '{packed}' && mv \"$(find . -name '*.raw')\" '{image}'",
            to.display()
        ),
        "zip" => {
            let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                n = max(z.infolist(), key=lambda i: i.file_size); open(sys.argv[2], 'wb').write(z.read(n))";
            format!("python3 -c \"{script}\" '{packed}' '{image}'")
        }
        _ => format!("cp '{packed}' '{image}'"),
    };
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    if from.is_file() && output.status.success() && path.is_file() {
        return Some(path);
    }
    let why = format!("{name} of the corpus cannot be had: {}", String::from_utf8_lossy(&output.stderr));
    nothing_is_missing(Some(why));
    None
}

/// Whether volumes can be made, mounted and judged here.
pub(crate) fn ready() -> bool {
    nothing_is_missing(missing())
}

/// Whether a test can run here; says why not, and is a failure where everything is required.
pub(crate) fn nothing_is_missing(missing: Option<String>) -> bool {
    let Some(why) = missing else { return true };
    assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "NTBAK_REQUIRE_ALL is set, but {why}");
    eprintln!("skipped: {why}");
    false
}

fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root, and only root mounts".to_owned());
    }
    if std::fs::File::options().read(true).write(true).open("/dev/fuse").is_err() {
        return Some("/dev/fuse cannot be opened".to_owned());
    }
    for (program, arguments) in [
        ("mkntfs", &["--version"][..]),
        ("ntfs-3g", &["--version"]),
        ("ntfsinfo", &["--version"]),
        ("ntfscat", &["--version"]),
        ("getfattr", &["--version"]),
        ("python3", &["--version"]),
        ("cmp", &["--version"]),
        ("umount", &["--version"]),
        ("strace", &["--version"]),
    ] {
        if Command::new(program).args(arguments).output().is_err() {
            return Some(format!("{program} is not installed"));
        }
    }
    let judge = judges().join("dump-ntfs.py");
    (!judge.is_file()).then(|| format!("there is no {}", judge.display()))
}

/// Ends a test early where it cannot run.
macro_rules! need_volumes {
    () => {
        if !crate::common::ready() {
            return;
        }
    };
}
pub(crate) use need_volumes;

/// The output of a program that has to succeed.
pub(crate) fn output<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C.UTF-8");
    let out = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {}: {stderr}", out.status);
    out.stdout
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

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}
