//! Runs that end early, disks that are full, archives that are damaged.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::common::run::{args, command, ntbak};
use crate::common::{Chance, output};

/// Files that [`many`] makes.
const MANY: usize = 8 * 40;

fn many(root: &Path) {
    let mut chance = Chance::new(7);
    for directory in 0..8 {
        let path = root.join(format!("d{directory}/sub"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..MANY / 8 {
            let size = chance.below(30_000);
            fs::write(path.join(format!("f{file}")), chance.bytes(size)).unwrap();
        }
    }
}

fn temporaries(root: &Path) -> String {
    let found = output("find", [root.to_str().unwrap(), "-name", ".ntbak-*.part"]);
    String::from_utf8(found).unwrap()
}

/// With 10,000 files: `NTBAK_KILLED=10000 cargo test --release --package ntbak-cli --test trees killed`.
#[test]
fn a_restore_that_is_killed_leaves_no_half_file_and_can_be_run_again() {
    let dir = TempDir::new().unwrap();
    let (from, to, archive) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("a.tar"));
    let asked = std::env::var("NTBAK_KILLED").ok().and_then(|files| files.parse::<usize>().ok());
    for copy in 0..asked.unwrap_or(1).div_ceil(MANY) {
        many(&from.join(format!("{copy}")));
    }
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    let begun = Instant::now();
    ntbak(args!["restore", &archive, dir.path().join("whole")]).expect(0);
    let whole = u64::try_from(begun.elapsed().as_millis()).unwrap() + 2;
    let mut chance = Chance::new(11);
    let mut killed = 0;
    for _ in 0..50 {
        let mut child =
            command().args(args!["restore", &archive, &to, "-q"]).stdin(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(chance.number() % whole));
        killed += u32::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        // What has its name is whole.
        let found = output(
            "find",
            [dir.path().to_str().unwrap(), "-path", "*/to/*/f*", "-type", "f", "-not", "-path", "*.ntbak*"],
        );
        for path in String::from_utf8(found).unwrap().lines() {
            let original = path.replacen("/to/", "/from/", 1);
            assert!(fs::read(path).unwrap() == fs::read(original).unwrap(), "{path}");
        }
    }
    assert!(killed > 0, "every run came to its end before it was killed");
    ntbak(args!["restore", &archive, &to]).expect(0).lost_only(&[]);
    ntbak(args!["diff", &from, &to]).expect(0);
    assert_eq!(temporaries(&to), "");
}

/// Between the list of a directory and its files, somebody takes one away, cuts one short and lets one grow.
#[test]
fn a_file_that_vanishes_or_changes_is_told_and_the_others_go_on() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let (from, archive) = (dir.path().join("from"), dir.path().join("a.tar"));
    fs::create_dir(&from).unwrap();
    for name in ["a", "gone", "short", "long", "z"] {
        fs::write(from.join(name), vec![7; 3 << 20]).unwrap();
    }
    // Slow enough for that: the list stands when the first file is read, a piece at a time.
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=pread64:delay_exit=300000"]);
    command.arg(env!("CARGO_BIN_EXE_ntbak")).args(["backup"]).arg(&from).arg("-o").arg(&archive);
    let child = command.args(["-j", "1"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let is_reading = || {
        let entries = fs::read_dir(dir.path()).unwrap().flatten();
        let mut sizes = entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
        sizes.any(|file| file.len() >= 1 << 20)
    };
    let begun = Instant::now();
    while !is_reading() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was read");
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::remove_file(from.join("gone")).unwrap();
    let cut = fs::File::options().write(true).open(from.join("short")).unwrap();
    cut.set_len(1 << 20).unwrap();
    fs::File::options().append(true).open(from.join("long")).unwrap().write_all(&vec![8; 1 << 20]).unwrap();
    let ran = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("gone"), "{stderr}");
    ntbak(args!["verify", &archive]).expect(0);
    let to = dir.path().join("to");
    let restored = ntbak(args!["restore", &archive, &to]);
    assert!([0, 3].contains(&restored.code), "{}", restored.stderr);
    for name in ["a", "z"] {
        assert!(fs::read(to.join(name)).unwrap() == vec![7; 3 << 20], "{name}");
    }
    assert!(!to.join("gone").exists());
    // What was read of the others is whole in itself: as it was, as it became, or told.
    let sizes = ["short", "long"].map(|name| fs::metadata(to.join(name)).map_or(0, |file| file.len() >> 20));
    assert!([1, 3].contains(&sizes[0]) || stderr.contains("short"), "{sizes:?} {stderr}");
    assert!([3, 4].contains(&sizes[1]) || stderr.contains("long"), "{sizes:?} {stderr}");
}

/// Ctrl-C and its kind: what is half done is taken back.
#[test]
fn a_signal_leaves_nothing_half_done() {
    let dir = TempDir::new().unwrap();
    let (from, place) = (dir.path().join("from"), dir.path().join("place"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&place).unwrap();
    fs::write(from.join("large"), Chance::new(3).bytes(64 << 20)).unwrap();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        // It takes many seconds.
        let arguments = args!["backup", &from, "-o", &place.join("a.tar.zst"), "--zstd=19", "-j", "1"];
        // Jobs in the background of a shell ignore SIGINT, and so would it.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_ntbak")]).args(arguments);
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while fs::read_dir(&place).unwrap().next().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was begun");
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ran = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{stderr}");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "{stderr}");
    }
    // An archive is not made of itself.
    let file = from.join("large");
    let refused = ntbak(args!["backup", &file, "-o", &file]).expect(2);
    assert!(refused.stderr.contains("it is read"), "{}", refused.stderr);
    assert_eq!(fs::metadata(&file).unwrap().len(), 64 << 20);
}

/// Whether system calls can be made to fail or to wait; tells when they cannot.
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if traced.is_ok_and(|ran| ran.status.success()) {
        return true;
    }
    assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no strace, or it may not trace");
    eprintln!("skipped: no strace, or it may not trace");
    false
}

/// A disk that gives an error in the middle of one file costs that file; one that cannot be written to, the archive.
#[test]
fn an_io_error_costs_one_file_or_the_archive() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let (from, archive) = (dir.path().join("from"), dir.path().join("a.tar"));
    fs::create_dir(&from).unwrap();
    for name in ["a", "bad", "z"] {
        fs::write(from.join(name), vec![7; 3 << 20]).unwrap();
    }
    let backup = |on: &Path, calls: &str, archive: &Path| {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(on).arg("-e").arg(format!("trace={calls}"));
        command.arg("-e").arg(format!("inject={calls}:error=EIO:when=2+"));
        command.arg(env!("CARGO_BIN_EXE_ntbak")).arg("backup").arg(&from).arg("-o").arg(archive);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let ran = backup(&from.join("bad"), "read,pread64,copy_file_range", &archive);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(3), "{stderr}");
    let is_told = |line: &str| line.contains("lost content of") && line.contains("bad");
    assert!(stderr.lines().any(is_told) && stderr.contains("os error 5"), "{stderr}");
    ntbak(args!["verify", &archive]).expect(0);
    let to = dir.path().join("to");
    ntbak(args!["restore", &archive, &to]);
    for name in ["a", "z"] {
        assert!(fs::read(to.join(name)).unwrap() == vec![7; 3 << 20], "{name}");
    }
    // Its temporary name is not known before: any file below.
    let place = dir.path().join("place");
    fs::create_dir(&place).unwrap();
    let out = place.join("b.tar");
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=write",
        "-e",
        "inject=write:error=EIO:when=3+",
    ]);
    command.arg(env!("CARGO_BIN_EXE_ntbak")).arg("backup").arg(&from).arg("-o").arg(&out);
    let ran = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}

#[test]
fn a_full_disk_ends_the_restore_and_leaves_no_half_file() {
    if !rustix::process::geteuid().is_root() {
        assert!(
            std::env::var_os("NTBAK_REQUIRE_ALL").is_none(),
            "NTBAK_REQUIRE_ALL is set, but only root mounts"
        );
        eprintln!("skipped: only root mounts a small file system");
        return;
    }
    let dir = TempDir::new().unwrap();
    let (from, small, archive) =
        (dir.path().join("from"), dir.path().join("small"), dir.path().join("a.tar"));
    many(&from);
    fs::create_dir(&small).unwrap();
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&small).status().unwrap();
    assert!(mount.success());
    let ran = ntbak(args!["restore", &archive, small.join("to")]);
    let left = temporaries(&small);
    let partial = ntbak(args!["backup", &from, "-o", small.join("b.tar")]);
    let archives = small.join("b.tar").exists();
    output("umount", [&small]);
    assert_eq!((ran.code, left.as_str()), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("No space left"), "{}", ran.stderr);
    assert_eq!((partial.code, archives), (1, false), "{}", partial.stderr);
}

#[test]
fn damage_anywhere_is_found() {
    let dir = TempDir::new().unwrap();
    let (from, archive, broken) =
        (dir.path().join("from"), dir.path().join("a.tar"), dir.path().join("b.tar"));
    fs::create_dir_all(from.join("d")).unwrap();
    for (name, size) in [("a", 1000), ("d/b", 70_000), ("d/c", 0)] {
        fs::write(from.join(name), Chance::new(3).bytes(size)).unwrap();
    }
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    let whole = fs::read(&archive).unwrap();
    let mut chance = Chance::new(5);
    for _ in 0..60 {
        let mut bytes = whole.clone();
        let at = chance.below(bytes.len());
        bytes[at] ^= 1 << chance.below(8);
        fs::write(&broken, bytes).unwrap();
        ntbak(args!["verify", &broken]).expect(1);
    }
    for cut in [0, 1, 600, whole.len() / 2, whole.len() - 600] {
        fs::write(&broken, &whole[..cut]).unwrap();
        ntbak(args!["verify", &broken]).expect(1);
    }
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    let restored = ntbak(args!["restore", &broken, dir.path().join("to")]).expect(3);
    assert!(restored.lost().contains("archive"), "{:?}", restored.lost());
}

#[test]
fn a_file_that_cannot_be_read_is_a_loss_and_the_others_go_on() {
    let dir = TempDir::new().unwrap();
    let (from, archive) = (dir.path().join("from"), dir.path().join("a.tar"));
    fs::create_dir(&from).unwrap();
    fs::write(from.join("good"), "good").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        from.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    ntbak(args!["backup", &from, "-o", &archive]).expect(3).lost_only(&["content"]);
    ntbak(args!["backup", &from, "-o", &archive, "--allow-loss", "content"]).expect(0);
    assert_eq!(ntbak(args!["cat", &archive, "good"]).expect(0).stdout, b"good");
    let info = ntbak(args!["info", &archive, "--json"]).expect(0).stdout;
    let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
    assert_eq!((&info["losses"], &info["complete"]), (&1.into(), &true.into()));
    // The manifest has the loss under the name of the file that it is about, not under that of the next one.
    let manifest = output("tar", args!["-xOf", &archive, ".ntbak/manifest.jsonl"]);
    let lines = String::from_utf8(manifest).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let losses: Vec<_> = lines.filter(|line| line["type"] == "loss").collect();
    assert_eq!((losses.len(), &losses[0]["path"]), (1, &"fifo".into()));
}

#[test]
fn directories_that_may_not_be_written_are_filled_and_closed_again() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let dir = TempDir::new().unwrap();
    let (from, to, archive) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("a.tar"));
    fs::create_dir_all(from.join("closed/below")).unwrap();
    fs::write(from.join("closed/below/f"), "x").unwrap();
    let closed = fs::Permissions::from_mode(0o555);
    fs::set_permissions(from.join("closed/below"), closed.clone()).unwrap();
    fs::set_permissions(from.join("closed"), closed).unwrap();
    let user = 65_534;
    let as_user = |arguments: &[std::ffi::OsString]| {
        if !rustix::process::geteuid().is_root() {
            return ntbak(arguments).code;
        }
        let mut command = Command::new("setpriv");
        let user = user.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        // Where the program itself lies may be closed to others. Copied by another process: a file that one of this
        // process' children has open for writing cannot be run.
        let program = dir.path().join("ntbak");
        if !program.exists() {
            output("cp", [Path::new(env!("CARGO_BIN_EXE_ntbak")), &program]);
        }
        command.arg(program).args(arguments).status().unwrap().code().unwrap()
    };
    if rustix::process::geteuid().is_root() {
        for path in ["", "from", "from/closed", "from/closed/below", "from/closed/below/f"] {
            chown(dir.path().join(path), Some(user), Some(user)).unwrap();
        }
    }
    assert_eq!(as_user(&args!["backup", &from, "-o", &archive]), 0);
    for _ in 0..2 {
        assert_eq!(as_user(&args!["restore", &archive, &to]), 0);
        assert_eq!(as_user(&args!["diff", &from, &to]), 0);
        assert_eq!(fs::metadata(to.join("closed")).unwrap().permissions().mode() & 0o777, 0o555);
    }
    for path in ["from/closed", "from/closed/below", "to/closed", "to/closed/below"] {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}
