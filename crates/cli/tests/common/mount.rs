//! NTFS volumes in image files, mounted by ntfs-3g.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use tempfile::TempDir;

use super::output;

/// The options under which ntbak sees everything.
pub(crate) const WINDOWS: &str = "streams_interface=windows,efs_raw,permissions";

/// A volume of its own. It is unmounted and its image removed when it is dropped, whatever happened.
pub(crate) struct Volume {
    /// Holds the image and the mount point; `None` only while it is dropped.
    dir: Option<TempDir>,
    daemon: Option<Child>,
}

impl Volume {
    /// A new volume of this size (the image is sparse), mounted with [`WINDOWS`].
    pub(crate) fn new(mib: u64) -> Self {
        let mut volume = Self::unmounted(mib);
        volume.mount(WINDOWS);
        volume
    }

    /// A new volume that is not mounted yet.
    pub(crate) fn unmounted(mib: u64) -> Self {
        Self::shaped(mib, &[])
    }

    /// The same, made by mkntfs with these options.
    pub(crate) fn shaped(mib: u64, options: &[&str]) -> Self {
        let dir = TempDir::with_prefix("ntbak-ntfs3g-").unwrap();
        let volume = Self { dir: Some(dir), daemon: None };
        fs::File::create(volume.image()).unwrap().set_len(mib << 20).unwrap();
        fs::create_dir(volume.root()).unwrap();
        let image = volume.image();
        let options = ["-F", "-Q", "-q"].iter().chain(options).map(OsStr::new);
        output("mkntfs", options.chain([image.as_os_str()]));
        volume
    }

    /// A volume that is there, unmounted: `fill` makes its image.
    pub(crate) fn of_image(fill: impl FnOnce(&Path)) -> Self {
        let volume = Self { dir: Some(TempDir::with_prefix("ntbak-ntfs3g-").unwrap()), daemon: None };
        fill(&volume.image());
        fs::create_dir(volume.root()).unwrap();
        volume
    }

    fn dir(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }

    /// The image of the volume; to be read only while it is not mounted.
    pub(crate) fn image(&self) -> PathBuf {
        self.dir().join("image")
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir().join("mnt")
    }

    /// A file of the volume.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// A place beside the image, on no NTFS volume.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn is_mounted(&self) -> bool {
        self.daemon.is_some()
    }

    /// Mounts it with these options.
    pub(crate) fn mount(&mut self, options: &str) {
        assert!(self.daemon.is_none(), "it is mounted already");
        let options = format!("no_detach,{options}");
        // When the test is killed, ntfs-3g unmounts and ends; without setpriv it stays.
        let killed_with_us = Command::new("setpriv").arg("--version").output().is_ok();
        let mut command = if killed_with_us {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "TERM", "ntfs-3g"]);
            command
        } else {
            Command::new("ntfs-3g")
        };
        command.arg("-o").arg(options).arg(self.image()).arg(self.root());
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while !self.shows() {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "ntfs-3g did not mount the volume: {ended:?}");
            assert!(begun.elapsed() < Duration::from_secs(60), "ntfs-3g does not mount the volume");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the mount point is another file system.
    fn shows(&self) -> bool {
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
        match (device(&self.root()), device(self.dir())) {
            (Ok(root), Ok(dir)) => root != dir,
            _ => false,
        }
    }

    /// Unmounts it; the image is complete when this returns.
    pub(crate) fn unmount(&mut self) {
        assert!(self.try_unmount(), "the volume is busy");
        let ended = wait(self.daemon.as_mut().unwrap());
        assert!(ended, "ntfs-3g does not end");
        self.daemon = None;
    }

    /// Unmounts it and mounts it again, so that nothing comes from a cache.
    pub(crate) fn remount(&mut self, options: &str) {
        self.unmount();
        self.mount(options);
    }

    fn try_unmount(&self) -> bool {
        for _ in 0..50 {
            let done = Command::new("umount").arg(self.root()).stderr(Stdio::null()).status();
            if done.is_ok_and(|status| status.success()) {
                return true;
            }
            // A process that is just starting may hold descriptors of another thread.
            thread::sleep(Duration::from_millis(100));
        }
        false
    }
}

/// Whether ntfs-3g came to its end in time.
fn wait(daemon: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if daemon.try_wait().is_ok_and(|status| status.is_some()) {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

impl Drop for Volume {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let unmounted = self.try_unmount()
            || Command::new("umount")
                .arg("-l")
                .arg(self.root())
                .status()
                .is_ok_and(|status| status.success());
        if !unmounted || !wait(&mut daemon) {
            let _ = daemon.kill();
            let _ = daemon.wait();
            let _ = Command::new("umount").arg("-l").arg(self.root()).stderr(Stdio::null()).status();
        }
        // Never clean up through a mount that is still there.
        if self.shows()
            && let Some(dir) = self.dir.take()
        {
            eprintln!("{} could not be unmounted and stays", dir.keep().display());
        }
    }
}
