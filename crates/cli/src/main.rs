//! The `ntbak` command: arguments in, library calls, reports and exit codes out.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | all kept |
//! | 1 | failed |
//! | 2 | usage |
//! | 3 | finished, but something was lost or could not be read |
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

mod archived;
mod args;
mod color;
mod commands;
mod compare;
mod describe;
mod explain;
mod failure;
mod input;
mod interrupt;
mod json;
mod keys;
mod many;
mod output;
mod progress;
mod report;
mod selection;

fn main() -> ExitCode {
    let args = args::Cli::parse();
    color::choose(args.common.color);
    interrupt::listen();
    match commands::run(args) {
        Ok(code) => code,
        // Who reads us has seen enough: no error of ours.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}
