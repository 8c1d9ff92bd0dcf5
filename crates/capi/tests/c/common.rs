//! Compilers, the library, and programs that are run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

use base64::Engine as _;
use ntbak_efs::{Bits, Identity, NewIdentity, PfxProtection, Usage, write_pfx};

/// A language as a compiler takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Compiler(pub(crate) &'static [&'static str]);

pub(crate) const GCC: Compiler = Compiler(&["gcc", "-std=c11"]);
pub(crate) const GCC_CPP: Compiler = Compiler(&["g++", "-x", "c++", "-std=c++17"]);
pub(crate) const CLANG: Compiler = Compiler(&["clang", "-std=c11"]);
pub(crate) const CLANG_CPP: Compiler = Compiler(&["clang++", "-x", "c++", "-std=c++17"]);
pub(crate) const MINGW: Compiler = Compiler(&["x86_64-w64-mingw32-gcc", "-std=c11"]);
pub(crate) const MINGW_CPP: Compiler = Compiler(&["x86_64-w64-mingw32-g++", "-x", "c++", "-std=c++17"]);
/// With the address sanitizer.
pub(crate) const ASAN: Compiler = Compiler(&["gcc", "-std=c11", "-g", "-fsanitize=address,undefined"]);

impl Compiler {
    pub(crate) fn is_for_windows(self) -> bool {
        self.0[0].contains("mingw")
    }

    /// Whether it is there; says so when it is not.
    pub(crate) fn is_there(self) -> bool {
        has(self.0[0])
    }
}

/// Whether a program is there; says so when it is not.
pub(crate) fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no {program}");
        println!("skipped: there is no {program}");
    }
    there
}

pub(crate) fn capi() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where what was built of the library lies: beside the tests.
pub(crate) fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// A directory with the library under the names that programs look for.
pub(crate) fn library() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lib");
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["libntbak.so", "libntbak.so.0"] {
        // Another process may have made it.
        let _ = std::os::unix::fs::symlink(built().join("libntbak_capi.so"), dir.join(name));
        assert!(dir.join(name).exists());
    }
    dir
}

/// The library without what debuggers want: valgrind reads it in half the time.
pub(crate) fn stripped() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stripped");
        std::fs::create_dir_all(&dir).unwrap();
        let (new, to) = (dir.join(format!("{}.new", std::process::id())), dir.join("libntbak.so.0"));
        run(Command::new("objcopy").arg("--strip-debug").arg(built().join("libntbak_capi.so")).arg(&new));
        std::fs::rename(new, to).unwrap();
        dir
    };
    MADE.get_or_init(make).clone()
}

/// What comes before a program when it is run: valgrind, or nothing.
pub(crate) type Under = &'static [&'static str];

/// An error ends it, and so does memory that is lost.
pub(crate) const VALGRIND: Under = &[
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
];

/// A program, alone or under another.
pub(crate) fn under(under: Under, source: &str, compiler: Compiler) -> Command {
    let program = program(source, compiler);
    let Some((first, rest)) = under.split_first() else { return Command::new(program) };
    let mut command = Command::new(first);
    command.args(rest).arg(program).env("LD_LIBRARY_PATH", stripped());
    command
}

/// A program of this source, compiled without a warning and linked; once in a process.
pub(crate) fn program(source: &str, compiler: Compiler) -> PathBuf {
    static MADE: OnceLock<Mutex<HashMap<(String, Compiler), PathBuf>>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    made.entry((source.to_owned(), compiler)).or_insert_with(|| compile(source, compiler)).clone()
}

fn compile(source: &str, compiler: Compiler) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    std::fs::create_dir_all(&dir).unwrap();
    let stem = Path::new(source).file_stem().unwrap().to_str().unwrap();
    let name: String = compiler.0.concat().chars().filter(|char| char.is_ascii_alphanumeric()).collect();
    let to = dir.join(format!("{stem}-{name}"));
    let new = dir.join(format!("{stem}-{name}-{}.new", std::process::id()));
    let mut command = Command::new(compiler.0[0]);
    command.args(&compiler.0[1..]).args(["-Wall", "-Wextra", "-Werror", "-g", "-O1"]);
    command.arg(capi().join(source)).arg("-o").arg(&new);
    if compiler.is_for_windows() {
        command.arg("-ladvapi32");
    } else {
        let lib = library();
        command.arg("-I").arg(capi().join("include")).args(["-x", "none", "-L"]).arg(&lib);
        command.arg(format!("-Wl,-rpath,{}", lib.display())).args(["-lntbak", "-lpthread"]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{compiler:?} {source}:\n{}", String::from_utf8_lossy(&output.stderr));
    // mingw adds an extension.
    let written = if new.exists() { new } else { new.with_extension("new.exe") };
    std::fs::rename(written, &to).unwrap();
    to
}

/// Runs a program to its end, and expects success.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{error}", output.status);
    output
}

/// A key for EFS, the same for all tests of a process.
pub(crate) fn identity() -> &'static Identity {
    static MADE: OnceLock<Identity> = OnceLock::new();
    MADE.get_or_init(|| new_identity("alice"))
}

pub(crate) fn new_identity(name: &str) -> Identity {
    let new = NewIdentity {
        bits: Bits::B2048,
        common_name: name,
        principal_name: None,
        usage: Usage::Efs,
        not_before: 1_700_000_000,
        not_after: 4_800_000_000,
    };
    new.generate().unwrap()
}

/// The key as a PFX file with the password `secret`.
pub(crate) fn pfx(identity: &Identity) -> Vec<u8> {
    write_pfx(std::slice::from_ref(identity), "secret", PfxProtection::Aes256).unwrap()
}

/// The key and its certificate as PEM, without a password.
pub(crate) fn pem(identity: &Identity) -> String {
    let block = |what: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
    };
    let certificate = identity.certificate.as_ref().unwrap();
    block("PRIVATE KEY", &identity.key.to_pkcs8()) + &block("CERTIFICATE", certificate.as_der())
}
