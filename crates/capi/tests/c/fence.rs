//! What a program may not do, and does; and the same programs under valgrind and with the address sanitizer.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::cases::{self, all_prepared, prepared};
use crate::common::{
    ASAN, CLANG_CPP, Compiler, GCC, GCC_CPP, Under, VALGRIND, capi, has, program, run, under,
};
use crate::examples::work;

const FENCE: &str = "tests/c/programs/fence.c";
const ABORTS: &str = "tests/c/programs/aborts.c";
const THREADS: &str = "tests/c/programs/threads.c";
const IMAGE: &str = "tests/c/programs/image.c";
const THROW: &str = "tests/c/programs/throw.cpp";

fn fence(how: Under, compiler: Compiler) {
    let there = tempfile::tempdir().unwrap();
    run(under(how, FENCE, compiler).arg(there.path()));
}

fn aborts(how: Under, compiler: Compiler) {
    let there = tempfile::tempdir().unwrap();
    run(under(how, ABORTS, compiler).arg(there.path()));
}

fn threads(how: Under, compiler: Compiler, rounds: &str) {
    let there = tempfile::tempdir().unwrap();
    run(under(how, THREADS, compiler).arg(there.path()).arg(rounds));
}

fn throws(how: Under, compiler: Compiler) {
    let there = prepared(&["throw"]);
    run(under(how, THROW, compiler).arg(there.path().join("throw")));
}

#[test]
fn bad_handles_and_null_pointers_are_answered() {
    if GCC.is_there() {
        fence(&[], GCC);
    }
}

#[test]
fn a_context_is_aborted_at_each_call() {
    if GCC.is_there() {
        aborts(&[], GCC);
    }
}

#[test]
fn eight_threads_share_two_drives() {
    if GCC.is_there() {
        threads(&[], GCC, "10");
    }
}

#[test]
fn a_volume_in_an_image_is_a_drive() {
    if !GCC.is_there() {
        return;
    }
    let image = capi().join("../../testdata/sample.qcow2");
    let read = |how: Under| String::from_utf8(run(under(how, IMAGE, GCC).arg(&image)).stdout).unwrap();
    let text = read(&[]);
    let files: u32 = text.split(' ').next().unwrap().parse().unwrap();
    assert!(files > 5, "{text}");
    if has("valgrind") && has("objcopy") {
        assert_eq!(read(VALGRIND), text);
    }
}

#[test]
fn callbacks_that_throw_end_the_call() {
    for compiler in [GCC_CPP, CLANG_CPP] {
        if compiler.is_there() {
            throws(&[], compiler);
        }
    }
}

#[test]
fn callbacks_that_throw_through_the_library_end_the_process() {
    if GCC_CPP.is_there() {
        let there = prepared(&["throw"]);
        let mut command = Command::new(program(THROW, GCC_CPP));
        let output = command.arg(there.path().join("throw")).arg("direct").output().unwrap();
        assert_eq!(output.status.signal(), Some(6), "{output:?}");
    }
}

#[test]
fn the_address_sanitizer_finds_nothing() {
    if !ASAN.is_there() {
        return;
    }
    fence(&[], ASAN);
    aborts(&[], ASAN);
    threads(&[], ASAN, "2");
    run(Command::new(program(cases::SOURCE, ASAN)).arg(all_prepared().path()).arg("all"));
    work(ASAN, &[]);
}

#[test]
fn valgrind_finds_nothing_in_the_cases() {
    if has("valgrind") && has("objcopy") && GCC.is_there() {
        run(under(VALGRIND, cases::SOURCE, GCC).arg(all_prepared().path()).arg("all"));
    }
}

#[test]
fn valgrind_finds_nothing_in_the_fence() {
    if has("valgrind") && has("objcopy") && GCC.is_there() {
        fence(VALGRIND, GCC);
        aborts(VALGRIND, GCC);
    }
}

#[test]
fn valgrind_finds_nothing_in_threads_and_exceptions() {
    if has("valgrind") && has("objcopy") && GCC_CPP.is_there() {
        threads(VALGRIND, GCC, "1");
        throws(VALGRIND, GCC_CPP);
    }
}

#[test]
fn valgrind_finds_nothing_in_the_examples() {
    if has("valgrind") && has("objcopy") && GCC.is_there() {
        work(GCC, VALGRIND);
    }
}
