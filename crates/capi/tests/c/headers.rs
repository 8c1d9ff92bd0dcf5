//! The headers beside those of others, and what must not compile.

use std::process::Command;

use crate::common::{CLANG, CLANG_CPP, Compiler, GCC, GCC_CPP, MINGW, MINGW_CPP, capi};

/// What a compiler says to a source; nothing when it takes it.
fn compiled(compiler: Compiler, flags: &[&str], source: &str) -> String {
    let there = tempfile::tempdir().unwrap();
    let from = there.path().join("source.c");
    std::fs::write(&from, source).unwrap();
    let mut command = Command::new(compiler.0[0]);
    command.args(&compiler.0[1..]).args(flags).arg("-c").arg("-I").arg(capi().join("include")).arg(&from);
    let output = command.arg("-o").arg(there.path().join("object")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), !said.contains("error"), "{said}");
    said
}

#[test]
fn ntbak_h_goes_together_with_windows_headers() {
    for compiler in [MINGW, MINGW_CPP] {
        if compiler.is_there() {
            for (first, second) in [("ntbak/ntbak.h", "windows.h"), ("windows.h", "ntbak/ntbak.h")] {
                let source =
                    format!("#include <{first}>\n#include <{second}>\nHANDLE handle;\nDWORD number;\n");
                assert_eq!(compiled(compiler, &["-Wall", "-Wextra"], &source), "");
            }
            // And windows.h of ntbak does nothing there.
            let source = "#include <windows.h>\n#include <ntbak/windows.h>\n#ifdef NTBAK_H\n#error it is there\n#endif\n";
            assert_eq!(compiled(compiler, &[], source), "");
        }
    }
}

#[test]
fn ntbak_h_leaves_the_names_of_others_alone() {
    // As FreeRDP and Wine define them, where `long` has 64 bits.
    let source = "typedef unsigned long DWORD; typedef struct FILETIME { int other; } FILETIME; enum { TRUE = 7, DELETE };\n\
                  #include <ntbak/ntbak.h>\n\
                  DWORD BackupRead(FILETIME time); DWORD BackupRead(FILETIME time) { return (DWORD)time.other; }\n";
    for compiler in [GCC, GCC_CPP, CLANG, CLANG_CPP] {
        if compiler.is_there() {
            assert_eq!(compiled(compiler, &["-Wall", "-Wextra"], source), "", "{compiler:?}");
        }
    }
}

#[test]
fn a_wide_string_of_c_does_not_compile() {
    for compiler in [GCC, GCC_CPP, CLANG, CLANG_CPP] {
        if !compiler.is_there() {
            continue;
        }
        let source = |string: &str| {
            format!(
                "#include <ntbak/windows.h>\nDWORD f(void);\nDWORD f(void) {{ return GetFileAttributes({string}); }}\n"
            )
        };
        // Without any warning asked for.
        assert_eq!(compiled(compiler, &[], &source("TEXT(\"C:\\\\x\")")), "");
        assert_ne!(compiled(compiler, &[], &source("L\"C:\\\\x\"")), "", "{compiler:?}");
        assert_ne!(compiled(compiler, &[], &source("\"C:\\\\x\"")), "", "{compiler:?}");
    }
}

#[test]
fn a_function_that_is_not_there_does_not_compile() {
    for compiler in [GCC, GCC_CPP, CLANG, CLANG_CPP] {
        if compiler.is_there() {
            let source =
                "#include <ntbak/windows.h>\nint f(void);\nint f(void) { return LockFile(0, 0, 0, 0, 0); }\n";
            let flags = ["-Werror=implicit-function-declaration"];
            let flags = if compiler == GCC || compiler == CLANG { &flags[..] } else { &[] };
            assert!(compiled(compiler, flags, source).contains("LockFile"), "{compiler:?}");
        }
    }
}
