//! `ntbak stream write`: a file from a backup stream.

use std::fs;
use std::path::{Path, PathBuf};

use ntbak::{
    BackupWriter, Error, LinkResolver, Result, SetSecurity, Unheld, WritePolicy, WriteRights, place,
};
use ntbak_wire::{Name, Win32Error};

use crate::commands::{Done, count, report_on};
use crate::failure::{Failure, complain};
use crate::input::Input;
use crate::report::Reporter;

pub(crate) struct Options {
    pub(crate) directory: bool,
    pub(crate) link_root: Option<PathBuf>,
    pub(crate) no_security: bool,
    pub(crate) strict: bool,
}

pub(crate) fn run(path: &Path, options: Options, reporter: &Reporter) -> Done {
    let exists = fs::symlink_metadata(path).is_ok();
    let mut begun = false;
    let written = write(path, &options, exists, reporter, &mut begun);
    if exists && begun && written.is_err() {
        complain(format_args!("{}: it was there before and is partly written now", path.display()));
    }
    written
}

fn write(path: &Path, options: &Options, exists: bool, reporter: &Reporter, begun: &mut bool) -> Done {
    let sink = if exists { place::in_place(path)? } else { place::stage(path, options.directory)? };
    if options.directory && !sink.is_directory() {
        return Err(Failure::Usage(format!("{}: it is there and not a directory", path.display())));
    }
    let policy = WritePolicy { strict: options.strict, ..WritePolicy::default() };
    let links = options.link_root.clone().map(|root| Box::new(LinkRoot(root)) as Box<dyn LinkResolver>);
    let mut writer = BackupWriter::new(sink, Unheld::Report, policy).with_links(links);
    let security = if options.no_security { SetSecurity::Unwanted } else { SetSecurity::Full };
    let rights = WriteRights { security, ..WriteRights::ALL };
    let report = report_on(reporter, path);
    let mut input = Input::open(None)?;
    let mut total = 0;
    loop {
        let bytes = input.read()?;
        if bytes.is_empty() {
            break;
        }
        *begun = true;
        let len = bytes.len() as u64;
        writer.write(bytes, rights, &report).map_err(|(_, error)| error.at_path(path))?;
        total += len;
    }
    writer.finish(&report).map_err(|error| error.at_path(path))?;
    Ok(Some(format!("{}: written from {}", path.display(), count(total, "byte"))))
}

/// Finds the targets of LINK streams below a directory, and never outside of it.
struct LinkRoot(PathBuf);

impl LinkResolver for LinkRoot {
    fn resolve(&mut self, target: &Name) -> Result<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let refuse =
            |why: &str| Err(Error::new(Win32Error::PATH_NOT_FOUND, format!("hard link to {target}: {why}")));
        let bytes = target.to_wtf8();
        let mut path = self.0.clone();
        let mut parts =
            bytes.split(|byte| matches!(byte, b'/' | b'\\')).filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            if matches!(part, b"." | b"..") {
                return refuse("the path leads out of the link root");
            }
            path.push(std::ffi::OsStr::from_bytes(part));
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                let code = if parts.peek().is_some() {
                    Win32Error::PATH_NOT_FOUND
                } else {
                    Win32Error::FILE_NOT_FOUND
                };
                return Err(Error::new(
                    code,
                    format!("hard link to {target}: {} is not there", path.display()),
                ));
            };
            if parts.peek().is_some() && !metadata.is_dir() {
                return refuse("a part of the path is not a directory, or a link");
            }
        }
        Ok(path)
    }
}
