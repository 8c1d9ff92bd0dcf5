//! One file for each command.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use ntbak::location::{self, Location, Opened};
use ntbak::{FileReport, VolumeOptions};

use crate::args::{Cli, Command, StreamCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::report::Reporter;

mod backup;
mod cat;
mod copy;
mod diff;
mod efs;
mod info;
mod info_image;
mod list;
mod restore;
mod stream_extract;
mod stream_list;
mod stream_read;
mod stream_write;
mod verify;

pub(crate) use efs::EfsCommand;

/// What a command did, for the summary line; `None` for those that only show.
pub(crate) type Done = Result<Option<String>, Failure>;

/// Runs what was typed.
pub(crate) fn run(args: Cli) -> Result<ExitCode, Failure> {
    let reporter = Reporter::new(&args.common)?;
    let report = &reporter;
    let done = match args.command {
        Command::Stream(StreamCommand::Read { location, output, no_security, strict, reading }) => {
            let options = stream_read::Options { no_security, strict, volume: reading.options() };
            stream_read::run(&location, output.as_deref(), options, report)
        }
        Command::Stream(StreamCommand::Write { path, directory, link_root, no_security, strict }) => {
            let options = stream_write::Options { directory, link_root, no_security, strict };
            stream_write::run(&path, options, report)
        }
        Command::Stream(StreamCommand::List { file, json, strict }) => {
            let form = match (json, args.common.verbose) {
                (true, _) => stream_list::Form::Json,
                (false, true) => stream_list::Form::Explained,
                (false, false) => stream_list::Form::Plain,
            };
            stream_list::run(file.as_deref(), form, strict)
        }
        Command::Stream(StreamCommand::Extract { file, what, output }) => {
            stream_extract::run(file.as_deref(), &what, output.as_deref())
        }
        Command::Backup { sources, output, zstd, selection, streams, reading, dry_run, jobs } => {
            let (without, jobs) = (streams.left_out(), jobs.number());
            let options = reading.options().threads(jobs);
            let what = backup::What { selection, without, options, zstd, jobs, dry_run };
            backup::run(&sources, &output, &what, report)
        }
        Command::Restore { archive, target, paths, overwrite, selection, streams, dry_run, jobs } => {
            let (overwrite, jobs, without) = (overwrite.into(), jobs.number(), streams.left_out());
            let what = restore::What { paths, selection, without, overwrite, dry_run, jobs };
            restore::run(&archive, &target, &what, report)
        }
        Command::Copy { source, target, overwrite, selection, streams, reading, dry_run, jobs } => {
            let (overwrite, jobs, without) = (overwrite.into(), jobs.number(), streams.left_out());
            let what = restore::What { paths: vec![], selection, without, overwrite, dry_run, jobs };
            copy::run(&source, &target, &what, reading.options().threads(jobs), report)
        }
        Command::List { location, paths, streams, hash, json, selection, reading } => {
            let form = list::Form { streams: streams || args.common.verbose, hash, json };
            list::run(&location, &paths, &form, reading.options(), &selection, report)
        }
        Command::Verify { archive, against, json, reading } => {
            return verify::run(&archive, against.as_deref(), json, reading.options(), reporter);
        }
        Command::Diff { a, b, json, selection, streams, reading } => {
            let (without, options) = (streams.left_out(), reading.options());
            return diff::run(&a, &b, json, &selection, without, options, reporter);
        }
        Command::Cat { location, path: None, reading } => cat::run(&location, reading.options(), report),
        Command::Cat { location, path: Some(path), reading } => {
            cat::inside(&location, &path, reading.options(), report)
        }
        Command::Efs(command) => efs::run(command, report),
        Command::Info { location, json, reading } => info::run(&location, json, reading.options(), report),
        Command::Completions { shell } => completions(shell),
        Command::Man => man(),
    };
    // What was lost before a failure is in the report all the same.
    let done = match done {
        Ok(done) => done,
        Err(failure) => {
            // What went wrong is more than that it could not be written down.
            let _ = reporter.finish(None);
            return Err(failure);
        }
    };
    reporter.finish(done.as_deref())
}

/// Opens what was typed; what is worth knowing about its volume goes to the report.
fn open(typed: &Path, options: VolumeOptions, reporter: &Reporter) -> Result<Opened, Failure> {
    let opened = location::open(&Location::parse(typed), typed, options)?;
    if let Some((volume, _)) = opened.on_volume() {
        volume.remarks(&report_on(reporter, volume.path()));
    }
    Ok(opened)
}

/// The report on one file.
pub(crate) fn report_on<'a>(reporter: &'a Reporter, path: &'a Path) -> FileReport<'a> {
    FileReport { to: reporter, path }
}

/// "1 stream", "2 streams".
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ntbak", &mut text);
    show(&text)
}

/// One page: the command, and each of its subcommands with its help.
fn man() -> Done {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let main = clap_mangen::Man::new(command.clone());
    let rendered = main
        .render_title(&mut page)
        .and_then(|()| main.render_name_section(&mut page))
        .and_then(|()| main.render_description_section(&mut page));
    rendered.map_err(|error| Failure::io("rendering the manual page", error))?;
    let mut pages = vec![command];
    while let Some(mut command) = pages.pop() {
        let mut below: Vec<_> =
            command.get_subcommands().filter(|sub| sub.get_name() != "help").cloned().collect();
        below.reverse();
        pages.extend(below);
        let name = command.get_bin_name().unwrap_or_default().to_uppercase();
        let help = command.render_long_help().to_string();
        let help: String = help
            .lines()
            .map(|line| format!("\\&{}\n", line.replace('\\', "\\e").replace('-', "\\-")))
            .collect();
        page.extend_from_slice(format!(".SH {name}\n.nf\n{help}.fi\n").as_bytes());
    }
    show(&page)
}

fn show(text: &[u8]) -> Done {
    let mut output = Output::open(None)?;
    output.write(text)?;
    output.finish()?;
    Ok(None)
}
