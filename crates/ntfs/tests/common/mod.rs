//! What the tests on whole volumes need: volumes made by mkntfs and ntfs-3g, real images, and the independent dumper.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code
)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use ntbak_image::RawFile;
use tempfile::TempDir;

pub(crate) mod compare;
pub(crate) mod patch;

fn beside_the_workspace(variable: &str, name: &str) -> PathBuf {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    env::var_os(variable).map_or_else(ours, PathBuf::from)
}

/// The real images.
pub(crate) fn corpus() -> PathBuf {
    beside_the_workspace("NTBAK_CORPUS", "corpus")
}

/// The independent judges.
pub(crate) fn judges() -> PathBuf {
    beside_the_workspace("NTBAK_JUDGES", "judges")
}

/// Says that a test does not run, which is a failure where everything is required.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("NTBAK_REQUIRE_ALL").is_none(), "NTBAK_REQUIRE_ALL is set, but {why}");
    println!("skipped: {why}");
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Why no volume can be made here.
pub(crate) fn no_mkntfs() -> Option<String> {
    (!runs("mkntfs")).then(|| "mkntfs is not installed".to_owned())
}

/// Why no volume can be made, filled and judged here.
pub(crate) fn no_volumes() -> Option<String> {
    if let Some(why) = no_mkntfs().or_else(no_judge) {
        return Some(why);
    }
    if fs::File::options().read(true).write(true).open("/dev/fuse").is_err() {
        return Some("/dev/fuse cannot be opened".to_owned());
    }
    (!runs("ntfs-3g") || !runs("umount")).then(|| "ntfs-3g is not installed".to_owned())
}

/// Why no image can be judged here.
pub(crate) fn no_judge() -> Option<String> {
    if !runs("python3") {
        return Some("python3 is not installed".to_owned());
    }
    let dumper = judges().join("dump-ntfs.py");
    (!dumper.is_file()).then(|| format!("there is no {}", dumper.display()))
}

/// Runs a program, which must succeed; its output.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C.UTF-8").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {} {error}", String::from_utf8_lossy(&output.stdout));
    output.stdout
}

/// An image of its own, removed when it is dropped.
pub(crate) struct Image {
    dir: TempDir,
}

impl Image {
    /// An empty image of this size, sparse.
    pub(crate) fn empty(bytes: u64) -> Self {
        let dir = TempDir::with_prefix("ntbak-ntfs-").unwrap();
        let image = Self { dir };
        fs::File::create(image.path()).unwrap().set_len(bytes).unwrap();
        image
    }

    /// A new volume of this many MiB.
    pub(crate) fn formatted(mib: u64, options: &[&str]) -> Self {
        let image = Self::empty(mib << 20);
        let path = image.path();
        let fixed = ["-F", "-Q", "-q", "-p", "0", "-H", "255", "-S", "63"];
        let arguments = fixed.iter().chain(options).map(OsStr::new).chain([path.as_os_str()]);
        run("mkntfs", arguments);
        image
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub(crate) fn open(&self) -> RawFile {
        RawFile::open(self.path()).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Mounts the volume, does this at its root, and unmounts it.
    pub(crate) fn mounted(&self, work: impl FnOnce(&Path)) {
        let root = self.dir.path().join("mnt");
        fs::create_dir_all(&root).unwrap();
        let options = "no_detach,streams_interface=windows,efs_raw,permissions,compression";
        let mut mount = Command::new("ntfs-3g");
        mount.arg("-o").arg(options).arg(self.path()).arg(&root).env("LC_ALL", "C.UTF-8");
        let mut daemon = mount.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let device = |path: &Path| std::os::unix::fs::MetadataExt::dev(&fs::metadata(path).unwrap());
        let begun = Instant::now();
        while device(&root) == device(self.dir.path()) {
            assert!(daemon.try_wait().unwrap().is_none(), "ntfs-3g did not mount the volume");
            assert!(begun.elapsed() < Duration::from_secs(60), "ntfs-3g does not mount the volume");
            thread::sleep(Duration::from_millis(10));
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&root)));
        run("umount", [&root]);
        daemon.wait().unwrap();
        done.unwrap();
    }

    /// Fills the volume with files of every kind: `tiny`, `small` or `large`.
    pub(crate) fn fill(&self, size: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/zoo.py");
        self.mounted(|root| {
            let said = run("python3", [script.as_os_str(), root.as_os_str(), OsStr::new(size)]);
            print!("{}", String::from_utf8_lossy(&said));
        });
    }
}
