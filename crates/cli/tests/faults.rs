//! System calls that fail, and a command that is killed at any of them: by strace, without root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

mod harness;
use harness::*;

/// Whether strace can do this here; says so where it cannot.
fn has_strace() -> bool {
    let works =
        Command::new("strace").args(["-f", "-o", "/dev/null", "-e", "trace=renameat2", "true"]).output();
    let works = works.is_ok_and(|output| output.status.success());
    if !works {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no strace");
        eprintln!("skipped: no strace, or it may not trace");
    }
    works
}

/// `ntbak copy` under strace with this injection; what strace wrote comes with it.
fn copy_with(inject: &str, from: &Path, to: &Path) -> (Output, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", inject, "-o"]).arg(log.path());
    command.arg(env!("CARGO_BIN_EXE_ntbak")).arg("copy").args([from, to]).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output, fs::read_to_string(log.path()).unwrap())
}

/// What a side file alone holds, and what attributes do.
fn file(content: &[u8]) -> Vec<u8> {
    let id: Vec<u8> = content.iter().copied().cycle().take(64).collect();
    let large = content.repeat(100_000 / content.len());
    [data(content), alternate("large", &large), alternate("small", content), stream(OBJECT_ID, 0, "", &id)]
        .concat()
}

/// Killed at any call that gives or takes a name: the old file has all that it had, or the new one has all of its own.
#[test]
fn a_copy_that_is_killed_leaves_the_old_file_or_the_new_one_whole() {
    if !has_strace() {
        return;
    }
    let dir = scratch();
    let (rich, other, plain) = (dir.path().join("rich"), dir.path().join("other"), dir.path().join("plain"));
    ntbak(args([&"stream", &"write", &rich])).input(&file(b"rich")).expect(0);
    ntbak(args([&"stream", &"write", &other])).input(&file(b"other")).expect(0);
    // A file whose copy has nothing beside it but attributes and times.
    fs::write(&plain, b"plain").unwrap();
    let read = |path: &Path| ntbak(args([&"stream", &"read", &path])).run();
    for (old, new) in [(&rich, &other), (&rich, &plain), (&plain, &rich)] {
        let (before, after) = (read(old).stdout, read(new).stdout);
        let home = dir.path().join("home");
        let mut seen = Vec::new();
        for call in 1.. {
            fs::create_dir(&home).unwrap();
            let target = home.join("f");
            ntbak(args([&"copy", &old, &target])).expect(0);
            let calls = "?renameat,renameat2,?rename,unlinkat,?unlink,linkat,mkdirat,?rmdir";
            let inject = format!("inject={calls}:signal=KILL:when={call}");
            let (ran, log) = copy_with(&inject, new, &target);
            let found = read(&target);
            assert_eq!(found.code, 0, "killed at {call}: {}\n{log}", found.stderr);
            assert!(found.stdout == before || found.stdout == after, "killed at {call}: neither\n{log}");
            seen.push(found.stdout == after);
            fs::remove_dir_all(&home).unwrap();
            if ran.status.success() {
                break;
            }
            assert!(call < 100, "it never comes to its end\n{log}");
        }
        assert!(seen.is_sorted() && seen.last() == Some(&true), "{seen:?}");
        // Before the new file has its name, and between that and the name of its side file.
        assert!(seen.len() >= 3 && !seen[0] && seen[seen.len() - 2], "{seen:?}");
    }
}

/// Another writer takes the empty directory of side files away just when it was made, or just when it was opened.
#[test]
fn a_side_directory_that_is_taken_away_is_made_again() {
    if !has_strace() {
        return;
    }
    let dir = scratch();
    let from = dir.path().join("from");
    ntbak(args([&"stream", &"write", &from])).input(&file(b"rich")).expect(0);
    for call in ["mkdirat", "openat"] {
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let (side, target) = (home.join(".ntbak-side"), home.join("f"));
        let done = AtomicBool::new(false);
        let (ran, taken) = thread::scope(|scope| {
            let taker = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if fs::remove_dir(&side).is_ok() {
                        return true;
                    }
                    thread::sleep(Duration::from_micros(500));
                }
                false
            });
            let ran = copy_with(&format!("inject={call}:delay_exit=50000"), &from, &target).0;
            done.store(true, Ordering::Relaxed);
            (ran, taker.join().unwrap())
        });
        assert!(taken, "{call}: it was never empty");
        assert!(ran.status.success(), "{call}: {}", String::from_utf8_lossy(&ran.stderr));
        let read = |path: &Path| ntbak(args([&"stream", &"read", &path])).expect(0).stdout;
        assert!(read(&target) == read(&from), "{call}");
        fs::remove_dir_all(&home).unwrap();
    }
}

/// A file system that has no modes refuses to change them: the side file keeps what the file was to have.
#[test]
fn a_mode_that_cannot_be_set_is_no_failure() {
    if !has_strace() {
        return;
    }
    let dir = scratch();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(&from, b"content").unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o640)).unwrap();
    let (ran, log) = copy_with("inject=fchmodat,?fchmodat2,?chmod,fchmod:error=EPERM", &from, &to);
    assert!(log.contains("INJECTED"), "nothing was refused: {log}");
    let text = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{text}");
    assert_eq!(fs::read(&to).unwrap(), b"content");
    // Closed rather than open.
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&to), 0o600);
    // From there it goes on with the mode that it was to have.
    let next = dir.path().join("next");
    ntbak(args([&"copy", &to, &next])).expect(0);
    assert_eq!(mode(&next), 0o640);
}
