//! `--include`, `--exclude` and their kin: in the order in which they are typed, the last one that matches wins.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use ntbak::tree::{Pattern, Select};
use ntbak::{Loss, LossKind, Report};

use crate::failure::Failure;
use crate::report::Reporter;

/// Which files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    rules: Vec<Rule>,
    list: Option<(PathBuf, bool)>,
}

#[derive(Debug, Clone)]
enum Rule {
    Include(String),
    Exclude(String),
    ExcludeFrom(PathBuf),
}

impl Selection {
    /// What was typed, files of patterns and of paths read; `paths` are wanted besides.
    pub(crate) fn select(&self, paths: &[PathBuf]) -> Result<Select, Failure> {
        let mut patterns = Vec::new();
        for rule in &self.rules {
            match rule {
                Rule::Include(glob) => patterns.push(Pattern::Include(glob.clone())),
                Rule::Exclude(glob) => patterns.push(Pattern::Exclude(glob.clone())),
                Rule::ExcludeFrom(file) => {
                    let text = String::from_utf8(read(file)?)
                        .map_err(|_| Failure::Usage(format!("{}: patterns are UTF-8", file.display())))?;
                    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
                    patterns.extend(lines.map(|line| Pattern::Exclude(line.to_owned())));
                }
            }
        }
        let select = Select::new(&patterns).map_err(|error| Failure::Usage(error.to_string()))?;
        let mut wanted: Vec<Vec<u8>> =
            paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect();
        if let Some((file, zero)) = &self.list {
            let bytes = read(file)?;
            let separator = if *zero { 0 } else { b'\n' };
            let listed = bytes.split(|byte| *byte == separator).filter(|path| !path.is_empty());
            wanted.extend(listed.map(<[u8]>::to_vec));
        }
        Ok(if wanted.is_empty() && self.list.is_none() { select } else { select.only(wanted) })
    }
}

/// Tells of paths that were asked for and are not there, behind the walk through `place`.
pub(crate) fn tell_missing(select: &Select, place: &Path, reporter: &Reporter) {
    for path in select.missing() {
        let path = Path::new(OsStr::from_bytes(path)).to_owned();
        let why = format!("it was asked for, and there is nothing of this name in {}", place.display());
        reporter.loss(Loss { path, stream: None, kind: LossKind::Content, why });
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| Failure::io(format!("{}: reading", path.display()), error))
}

impl Args for Selection {
    fn augment_args(command: Command) -> Command {
        let many = |id: &'static str| Arg::new(id).long(id).action(ArgAction::Append);
        command
            .arg(many("include").value_name("GLOB").help(
                "Files to take, whatever was said before; when it comes first, what matches nothing is left out",
            ))
            .arg(many("exclude").value_name("GLOB").help(
                "Files to leave out, with all below; GLOB without a slash is a name anywhere, case-blind",
            ))
            .arg(
                many("exclude-from")
                    .value_name("FILE")
                    .value_parser(value_parser!(PathBuf))
                    .help("Leave out what the globs in FILE match, one a line"),
            )
            .arg(
                Arg::new("files-from")
                    .long("files-from")
                    .value_name("FILE")
                    .value_parser(value_parser!(OsString))
                    .help("Take only the paths in FILE, one a line, each with all below; `-` is standard input"),
            )
            .arg(
                Arg::new("from0")
                    .long("from0")
                    .action(ArgAction::SetTrue)
                    .requires("files-from")
                    .help("Paths in --files-from end with a NUL"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Selection {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut rules: Vec<(usize, Rule)> = Vec::new();
        for (id, make) in [("include", Rule::Include as fn(String) -> Rule), ("exclude", Rule::Exclude)] {
            let (places, values) = (matches.indices_of(id), matches.get_many::<String>(id));
            let both = places.into_iter().flatten().zip(values.into_iter().flatten());
            rules.extend(both.map(|(at, glob)| (at, make(glob.clone()))));
        }
        let (places, values) =
            (matches.indices_of("exclude-from"), matches.get_many::<PathBuf>("exclude-from"));
        let both = places.into_iter().flatten().zip(values.into_iter().flatten());
        rules.extend(both.map(|(at, file)| (at, Rule::ExcludeFrom(file.clone()))));
        rules.sort_by_key(|(at, _)| *at);
        let list =
            matches.get_one::<OsString>("files-from").map(|file| (file.into(), matches.get_flag("from0")));
        Ok(Self { rules: rules.into_iter().map(|(_, rule)| rule).collect(), list })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
