//! Running the command, and backup streams to run it on.
#![allow(dead_code)]

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use ntbak_wire::ea::{self, Ea};
use ntbak_wire::reparse::{self, ReparseTag};
use ntbak_wire::security::sddl;
use ntbak_wire::side;
use tempfile::TempDir;

pub(crate) const DATA: u32 = 1;
pub(crate) const EA_DATA: u32 = 2;
pub(crate) const SECURITY: u32 = 3;
pub(crate) const ALTERNATE: u32 = 4;
pub(crate) const LINK: u32 = 5;
pub(crate) const PROPERTY: u32 = 6;
pub(crate) const OBJECT_ID: u32 = 7;
pub(crate) const REPARSE: u32 = 8;
pub(crate) const BLOCK: u32 = 9;
pub(crate) const TXFS: u32 = 10;
pub(crate) const GHOSTED: u32 = 11;
/// The attribute of a sparse stream.
pub(crate) const SPARSE: u32 = 8;

/// The command with its arguments, before it runs.
pub(crate) struct Run {
    command: Command,
    input: Vec<u8>,
    dribble: bool,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// `ntbak` with these arguments.
pub(crate) fn ntbak<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    Run::of(Command::new(env!("CARGO_BIN_EXE_ntbak")), args)
}

/// `ntbak` for a user who is nobody; `None`, with a word about it, where that cannot be.
pub(crate) fn ntbak_as_nobody<A: AsRef<OsStr>>(
    place: &Path,
    args: impl IntoIterator<Item = A>,
) -> Option<Run> {
    // The target directory may be out of reach for nobody.
    let binary = place.join("ntbak-binary");
    // Not by our own hands: a child of another thread would hold it open for writing, "text file busy".
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ntbak")).arg(&binary).status();
    assert!(copied.unwrap().success());
    if !is_root() {
        return Some(Run::of(Command::new(binary), args));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary);
    if Command::new("setpriv").arg("--version").output().is_err() {
        eprintln!("skipped: no setpriv to become an ordinary user with");
        return None;
    }
    Some(Run::of(command, args))
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

impl Run {
    fn of<A: AsRef<OsStr>>(mut command: Command, args: impl IntoIterator<Item = A>) -> Self {
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, input: Vec::new(), dribble: false }
    }

    /// With these bytes on standard input.
    pub(crate) fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self
    }

    /// Input comes a few bytes at a time.
    pub(crate) fn dribble(mut self) -> Self {
        self.dribble = true;
        self
    }

    /// With this variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// In this directory.
    pub(crate) fn cd(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub(crate) fn stdout_to(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    pub(crate) fn stderr_to(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stderr(to);
        self
    }

    /// Runs it to its end; a panic or a signal is a failed test.
    pub(crate) fn run(mut self) -> Ran {
        self.command.stdin(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let (input, dribble) = (self.input, self.dribble);
        let writer = thread::spawn(move || {
            let pieces: Vec<&[u8]> =
                if dribble { input.chunks(7).collect() } else { input.chunks(1 << 20).collect() };
            for piece in pieces {
                // The command may have seen enough.
                if stdin.write_all(piece).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
                if dribble {
                    thread::sleep(Duration::from_micros(300));
                }
            }
        });
        let mut stderr_pipe = child.stderr.take();
        let errors = thread::spawn(move || {
            let mut stderr = Vec::new();
            if let Some(pipe) = &mut stderr_pipe {
                pipe.read_to_end(&mut stderr).unwrap();
            }
            stderr
        });
        let mut stdout = Vec::new();
        if let Some(pipe) = &mut child.stdout.take() {
            pipe.read_to_end(&mut stdout).unwrap();
        }
        let status = child.wait().unwrap();
        writer.join().unwrap();
        let stderr = String::from_utf8_lossy(&errors.join().unwrap()).into_owned();
        assert!(!stderr.contains("panicked"), "{stderr}");
        let code = status.code().unwrap_or_else(|| panic!("ended by a signal: {status}\n{stderr}"));
        assert_ne!(code, 101, "a panic: {stderr}");
        Ran { code, stdout, stderr }
    }

    /// Runs it; any other exit code is a failed test.
    pub(crate) fn expect(self, code: i32) -> Ran {
        let ran = self.run();
        assert_eq!(ran.code, code, "{}\n{}", ran.stderr, ran.text());
        ran
    }
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as JSON, an object a line.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let text = std::str::from_utf8(&self.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Standard error holds this.
    pub(crate) fn says(&self, what: &str) -> &Self {
        assert!(self.stderr.contains(what), "{what:?} expected in: {}", self.stderr);
        self
    }
}

/// A directory of its own, that everybody can look into.
pub(crate) fn scratch() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// The names in a directory, hidden ones too, in order.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Where the side file of a name is.
pub(crate) fn side_file(directory: &Path, name: &str) -> PathBuf {
    let found = fs::read_dir(directory.join(side::DIRECTORY)).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let head = side::SideHead::decode(&fs::read(&path).unwrap()).ok()?.0;
        (head.owner == name.as_bytes()).then_some(path)
    });
    found.unwrap_or_else(|| panic!("no side file of {name}"))
}

/// Bytes that the file system has allocated for a file.
pub(crate) fn allocated(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().blocks() * 512
}

/// One stream: header, name and payload, by hand.
pub(crate) fn stream_of_size(id: u32, attributes: u32, size: u64, name: &str, payload: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let name_len = u32::try_from(name.len()).unwrap();
    [
        &id.to_le_bytes()[..],
        &attributes.to_le_bytes(),
        &size.to_le_bytes(),
        &name_len.to_le_bytes(),
        &name,
        payload,
    ]
    .concat()
}

pub(crate) fn stream(id: u32, attributes: u32, name: &str, payload: &[u8]) -> Vec<u8> {
    stream_of_size(id, attributes, payload.len() as u64, name, payload)
}

pub(crate) fn data(content: &[u8]) -> Vec<u8> {
    stream(DATA, 0, "", content)
}

pub(crate) fn alternate(name: &str, content: &[u8]) -> Vec<u8> {
    stream(ALTERNATE, 0, &format!(":{name}:$DATA"), content)
}

pub(crate) fn block(offset: u64, content: &[u8]) -> Vec<u8> {
    stream(BLOCK, SPARSE, "", &[&offset.to_le_bytes()[..], content].concat())
}

pub(crate) fn link(target: &str) -> Vec<u8> {
    stream(LINK, 0, "", &target.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
}

pub(crate) fn descriptor() -> Vec<u8> {
    sddl::parse_sddl("O:BAG:SYD:PAI(A;;FA;;;SY)(A;OICI;FR;;;WD)S:(AU;SAFA;FA;;;WD)").unwrap()
}

pub(crate) fn security() -> Vec<u8> {
    stream(SECURITY, 2, "", &descriptor())
}

pub(crate) fn eas() -> Vec<u8> {
    let list = [Ea::new(0, b"PLAIN", b"value"), Ea::new(ea::NEED_EA, b"NEEDED", vec![7; 300])];
    stream(EA_DATA, 0, "", &ea::build_full(&list).unwrap())
}

pub(crate) fn reparse_buffer() -> Vec<u8> {
    reparse::build(ReparseTag(0x8000_7777), None, b"whatever it means").unwrap()
}

pub(crate) fn object_id() -> Vec<u8> {
    stream(OBJECT_ID, 0, "", &(1..=64).collect::<Vec<u8>>())
}

/// A sparse DATA of 1 MiB: bytes at 4096 and at 655,360.
pub(crate) fn sparse_data() -> Vec<u8> {
    [
        stream(DATA, SPARSE, "", b""),
        block(4096, &[0x41; 4096]),
        block(655_360, &[0x42; 8192]),
        block(1 << 20, b""),
    ]
    .concat()
}

/// A file with everything that a backup stream can say about it, as `stream read` writes it.
pub(crate) fn rich() -> Vec<u8> {
    [
        security(),
        eas(),
        stream(REPARSE, 0, "", &reparse_buffer()),
        sparse_data(),
        alternate("Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n"),
        stream(ALTERNATE, SPARSE, ":holey:$DATA", b""),
        block(10, b"ten"),
        block(1 << 40, b"far"),
        block(1 << 41, b""),
        alternate("empty", b""),
        stream(ALTERNATE, SPARSE, ":sparse but whole:$DATA", b"whole"),
        stream(ALTERNATE, SPARSE, ":only a hole:$DATA", b""),
        block(1 << 20, b""),
        alternate("Käse \u{1F9C0}", &[9; 100_000]),
        object_id(),
    ]
    .concat()
}

/// A small stream with a bit of everything.
pub(crate) fn small() -> Vec<u8> {
    [
        stream(DATA, 0, "", b"hello"),
        stream(ALTERNATE, SPARSE, ":s:$DATA", b""),
        block(3, b"xy"),
        block(9, b""),
        alternate("a", b"b"),
        stream(OBJECT_ID, 0, "", &[5; 64]),
    ]
    .concat()
}

/// Arguments of different kinds.
pub(crate) fn args<const N: usize>(list: [&dyn AsRef<OsStr>; N]) -> Vec<OsString> {
    list.iter().map(|argument| argument.as_ref().to_owned()).collect()
}
