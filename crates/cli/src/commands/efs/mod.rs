//! `ntbak efs`: encrypted files, with and without a key.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use ntbak::location::{Location, is_disk_image};
use ntbak::source::RawSource;
use ntbak::{FileSink, FileSource, VolumeOptions, place};
use ntbak_wire::efs;

use crate::archived;
use crate::args::Reading;
use crate::commands::Done;
use crate::failure::Failure;
use crate::keys::KeyArgs;
use crate::many;
use crate::report::Reporter;

mod decrypt;
mod encrypt;
mod export;
mod import;
mod info;
mod users;

#[derive(Debug, Subcommand)]
pub(crate) enum EfsCommand {
    /// Write the raw export of an encrypted file to standard output (ReadEncryptedFileRaw). No key is needed.
    Export {
        /// An encrypted file or directory, also in a disk image or an archive (`IMAGE::PATH`).
        location: PathBuf,
        /// Write to FILE instead; it appears when it is whole.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
    /// Make an encrypted file of a raw export on standard input (WriteEncryptedFileRaw). No key is needed.
    Import {
        /// The file to make, or to replace.
        path: PathBuf,
        /// The export is a directory's.
        #[arg(long)]
        directory: bool,
    },
    /// Who can open an encrypted file, its version and sizes. No key is needed.
    Info {
        /// An encrypted file or directory, also in a disk image or an archive (`IMAGE::PATH`), or a raw export.
        location: PathBuf,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reading: Reading,
    },
    /// Write the plaintext of an encrypted file.
    Decrypt {
        /// An encrypted file, also in a disk image or an archive (`IMAGE::PATH`), a raw export, or with --all a directory, a
        /// disk image or an archive.
        location: PathBuf,
        #[command(flatten)]
        keys: KeyArgs,
        /// The alternate data stream of this name.
        #[arg(long, value_name = "NAME", conflicts_with = "all")]
        stream: Option<String>,
        /// Write to OUT: the file with everything about it, or with --all the directory of them.
        #[arg(short, long, value_name = "OUT")]
        output: Option<PathBuf>,
        /// Every encrypted file of a directory, a disk image or an archive; those that no key opens are reported.
        #[arg(long, requires = "output")]
        all: bool,
        #[command(flatten)]
        reading: Reading,
    },
    /// Encrypt a file for the holders of certificates.
    Encrypt {
        /// A file that is not encrypted.
        file: PathBuf,
        /// A certificate (DER, PEM) of a user; may be given more than once.
        #[arg(long = "for", value_name = "CERT", required = true)]
        recipients: Vec<PathBuf>,
        /// A certificate of a recovery agent.
        #[arg(long, value_name = "CERT")]
        agent: Vec<PathBuf>,
        /// The encrypted file to make.
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
        /// Make a raw export instead of an encrypted file.
        #[arg(long)]
        raw: bool,
    },
    /// Who can open an encrypted file: show and change them.
    #[command(subcommand)]
    Users(UsersCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Show them.
    List {
        /// An encrypted file or directory, also in a disk image or an archive (`IMAGE::PATH`), or a raw export.
        location: PathBuf,
        #[command(flatten)]
        reading: Reading,
    },
    /// Let the holders of certificates open the file, too.
    Add {
        /// An encrypted file.
        path: PathBuf,
        /// A certificate (DER, PEM); may be given more than once.
        #[arg(long = "for", value_name = "CERT", required = true)]
        recipients: Vec<PathBuf>,
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// Take users away.
    Remove {
        /// An encrypted file.
        path: PathBuf,
        /// The SHA-1 of a certificate, in hex; may be given more than once.
        #[arg(long, value_name = "HEX", required = true)]
        thumbprint: Vec<String>,
        #[command(flatten)]
        keys: KeyArgs,
    },
}

pub(crate) fn run(command: EfsCommand, reporter: &Reporter) -> Done {
    match command {
        EfsCommand::Export { location, output, reading } => {
            let source = open(&location, reading.options(), reporter)?;
            export::run(&location, &*source, output.as_deref())
        }
        EfsCommand::Import { path, directory } => import::run(&path, directory, reporter),
        EfsCommand::Info { location, json, reading } => {
            let source = open(&location, reading.options(), reporter)?;
            info::run(&location, &*source, json)
        }
        EfsCommand::Decrypt { location, keys, stream, output, all, reading } => {
            let (ring, options) = (keys.ring()?, reading.options());
            if let Some(output) = output.as_deref().filter(|_| all) {
                return decrypt::all(&location, output, &ring, options, reporter);
            }
            let source = open(&location, options, reporter)?;
            decrypt::one(&location, source, stream.as_deref(), output.as_deref(), &ring, reporter)
        }
        EfsCommand::Encrypt { file, recipients, agent, output, raw } => {
            encrypt::run(&file, &recipients, &agent, &output, raw, reporter)
        }
        EfsCommand::Users(command) => users::run(command, reporter),
    }
}

/// A file in its place, or in a raw export.
fn open(
    location: &Path,
    options: VolumeOptions,
    reporter: &Reporter,
) -> Result<Box<dyn FileSource>, Failure> {
    if let Some(file) = open_export(location) {
        let raw = RawSource::open(file).map_err(|error| error.at_path(location))?;
        return Ok(Box::new(raw));
    }
    if let Location::Image { path, inside, .. } = Location::parse(location)
        && many::is_archive(&path)
    {
        return archived::open(&path, &inside, location, reporter);
    }
    let opened = crate::commands::open(location, options, reporter)?;
    if let Some(stream) = opened.stream() {
        let why =
            format!("{}: it is whole files that are encrypted: leave :{stream} out", location.display());
        return Err(Failure::Usage(why));
    }
    Ok(opened.into_source())
}

/// Why there is nothing to do, and what would do.
fn not_encrypted(location: &Path) -> Failure {
    let why = if open_export(location).is_some() {
        "it is a raw export: import it first, and export it again"
    } else if many::is_archive(location) {
        "it is an archive; ARCHIVE::PATH is a file in it"
    } else if is_disk_image(location) {
        "it is a disk image: name a file in it, IMAGE::PATH"
    } else {
        "it is not encrypted; `ntbak stream read` backs it up"
    };
    Failure::Usage(format!("{}: {why}", location.display()))
}

/// A file that begins as every export does.
fn open_export(location: &Path) -> Option<File> {
    use std::os::unix::fs::FileExt;
    // A pipe, which would wait for a writer, is not even opened.
    let file = location.metadata().is_ok_and(|metadata| metadata.is_file()).then(|| File::open(location));
    let mut head = [0; efs::SIGNATURE.len()];
    let file = file?.ok()?;
    (file.read_exact_at(&mut head, 0).is_ok() && head == efs::SIGNATURE).then_some(file)
}

/// A sink for a file in place of what `output` is; what is in a directory that is there stays.
fn over(output: &Path, directory: bool) -> ntbak::Result<Box<dyn FileSink>> {
    if directory && output.is_dir() { place::in_place(output) } else { place::stage(output, directory) }
}
