//! From a volume into a directory of Linux and out of it onto another volume: nothing may be missing there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::round_trip::{IN_COPY, compare, volumes};
use crate::common::mount::WINDOWS;
use crate::common::run::{Ran, args, command, ntbak};
use crate::common::{need_volumes, output};

/// A file system of Linux, mounted for one test.
struct Linux {
    dir: Option<TempDir>,
}

impl Linux {
    fn new(kind: &str) -> Self {
        let dir = TempDir::with_prefix("ntbak-linux-").unwrap();
        let root = dir.path().join("mnt");
        fs::create_dir(&root).unwrap();
        let root = root.into_os_string();
        match kind {
            "ext4" => {
                let image = dir.path().join("image");
                fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
                // Inodes of 256 bytes: about 100 bytes of attributes there, and one block of 4 KiB.
                output("mkfs.ext4", args!["-q", "-b", "4096", "-I", "256", &image]);
                output("mount", args!["-o", "loop", &image, &root]);
            }
            _ => drop(output("mount", args!["-t", kind, "none", &root])),
        }
        Self { dir: Some(dir) }
    }

    fn root(&self) -> PathBuf {
        self.dir.as_ref().unwrap().path().join("mnt")
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.root()).status().is_ok_and(|status| status.success());
        if !unmounted && let Some(dir) = self.dir.take() {
            eprintln!("{} could not be unmounted and stays", dir.keep().display());
        }
    }
}

/// Who runs `ntbak`.
struct User {
    uid: u32,
    binary: PathBuf,
}

impl User {
    fn copy(&self, from: &Path, to: &Path) -> Ran {
        if self.uid == 0 {
            return ntbak(args!["copy", from, to]);
        }
        let report = self.binary.with_file_name("report");
        let ids = [format!("--reuid={}", self.uid), format!("--regid={}", self.uid)];
        let out = Command::new("setpriv")
            .args(ids)
            .arg("--clear-groups")
            .args(args![&self.binary, "copy", from, to, "--report", &report])
            .output()
            .unwrap();
        let lines = fs::read_to_string(&report).unwrap_or_default();
        fs::remove_file(&report).unwrap();
        Ran {
            what: args!["copy", from, to].to_vec(),
            code: out.status.code().unwrap_or(-1),
            stdout: out.stdout,
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
            report: lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect(),
        }
    }
}

fn through(kind: &str, uid: u32) {
    let (mut a, mut b, items, before) = volumes();
    let linux = Linux::new(kind);
    // Where an ordinary user reaches everything, and the target directory of a build may be out of reach.
    let binary = TempDir::with_prefix("ntbak-user-").unwrap();
    let user = User { uid, binary: binary.path().join("ntbak") };
    // By another process: a file that one of this process' children has open for writing cannot be run.
    output("cp", [command().get_program(), user.binary.as_os_str()]);
    for open in [a.beside(""), b.beside(""), linux.root().join(".."), binary.path().to_owned()] {
        fs::set_permissions(open, Permissions::from_mode(0o755)).unwrap();
    }
    for own in [linux.root(), binary.path().to_owned()] {
        chown(own, Some(uid), Some(uid)).unwrap();
    }
    if uid != 0 {
        for volume in [&mut a, &mut b] {
            volume.remount("streams_interface=windows,efs_raw");
        }
    }
    let mut faults = Vec::new();
    for item in &items {
        let (from, between) = (item.at(&a.path("zoo")), item.at(&linux.root()));
        let there = user.copy(&from, &between);
        let said: Vec<_> = there.lost().into_iter().collect();
        if there.code != if item.lost.is_empty() { 0 } else { 3 } || said != item.lost {
            faults.push(format!("{}: {} {said:?} {}", between.display(), there.code, there.stderr));
        }
        // Into a directory: under the name that it had.
        let back = user.copy(&between, &b.path("zoo"));
        let said: Vec<_> = back.lost().into_iter().collect();
        if back.code != 3 || said != ["change-time"] {
            faults.push(format!("back: {}: {} {said:?} {}", between.display(), back.code, back.stderr));
        }
    }
    let left: Vec<_> = fs::read_dir(linux.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    if uid != 0 {
        for volume in [&mut a, &mut b] {
            volume.remount(WINDOWS);
        }
    }
    compare((a, b), &items, &before, &IN_COPY, faults);
}

#[test]
fn ext4_with_its_little_room_for_attributes() {
    need_volumes!();
    through("ext4", 0);
}

#[test]
fn tmpfs_with_much() {
    need_volumes!();
    through("tmpfs", 0);
}

#[test]
fn ramfs_without_any() {
    need_volumes!();
    through("ramfs", 0);
}

#[test]
fn ext4_as_an_ordinary_user() {
    need_volumes!();
    through("ext4", 65_534);
}

#[test]
fn ramfs_as_an_ordinary_user() {
    need_volumes!();
    through("ramfs", 65_534);
}
