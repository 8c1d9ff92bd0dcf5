//! Running the `ntbak` command.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::NamedTempFile;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) what: Vec<OsString>,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// The lines of the report.
    pub(crate) report: Vec<Value>,
}

/// Arguments of any kinds.
macro_rules! args {
    ($($argument:expr),* $(,)?) => { [$(std::ffi::OsString::from($argument)),*] };
}
pub(crate) use args;

/// Runs `ntbak` with a report.
pub(crate) fn ntbak<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    run(arguments, Stdio::null())
}

/// Runs `ntbak` with a report, with this file on standard input.
pub(crate) fn ntbak_from<A: AsRef<OsStr>>(input: &Path, arguments: impl IntoIterator<Item = A>) -> Ran {
    run(arguments, File::open(input).unwrap().into())
}

/// Runs `ntbak` with a report, with these bytes on standard input.
pub(crate) fn ntbak_with<A: AsRef<OsStr>>(input: &[u8], arguments: impl IntoIterator<Item = A>) -> Ran {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    ntbak_from(file.path(), arguments)
}

/// The command itself, for those who want to do something to it.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ntbak"))
}

fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, input: Stdio) -> Ran {
    let report = NamedTempFile::new().unwrap();
    let what: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
    let mut command = command();
    command.args(&what).arg("--report").arg(report.path()).stdin(input);
    let out = command.output().unwrap();
    let lines = std::fs::read_to_string(report.path()).unwrap();
    let report = lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    let code = out.status.code().unwrap_or(-1);
    assert!(!stderr.contains("panicked"), "{what:?}: {stderr}");
    Ran { what, code, stdout: out.stdout, stderr, report }
}

impl Ran {
    /// The same run, which must have ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{:?}: {}", self.what, self.stderr);
        self
    }

    /// The kinds of the losses in the report.
    pub(crate) fn lost(&self) -> BTreeSet<String> {
        let losses = self.report.iter().filter(|line| line["type"] == "loss");
        losses.map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// The same run, which must have lost exactly these kinds.
    #[track_caller]
    pub(crate) fn lost_only(self, kinds: &[&str]) -> Self {
        let kinds: BTreeSet<_> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        assert_eq!(self.lost(), kinds, "{:?}: {}", self.what, self.stderr);
        self
    }
}
