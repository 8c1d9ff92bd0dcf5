//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use ntbak::LossKind;

use crate::commands::EfsCommand;

/// Every Windows file, whole, anywhere: back up and restore files with everything Windows keeps about them.
#[derive(Debug, Parser)]
#[command(name = "ntbak", version, about, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

const AFTER_HELP: &str = "\
Exit codes: 0 all kept, 1 failed, 2 usage, 3 finished but something was lost or could not be read.

Examples:
  ntbak stream read /mnt/win/report.docx > report.bkup
  ntbak stream list -v report.bkup
  ntbak stream write /mnt/other/report.docx < report.bkup
  ntbak copy /mnt/win/report.docx /srv/share/report.docx";

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Say more.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Write losses and notes to FILE, one JSON object a line.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) report: Option<PathBuf>,
    /// Kinds of loss that do not set exit code 3; they are still reported.
    #[arg(long, value_name = "KIND", value_delimiter = ',', global = true)]
    pub(crate) allow_loss: Vec<LossKind>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Backup streams, as BackupRead and BackupWrite have them.
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Encrypted files (EFS): as they are, or with a key.
    #[command(subcommand)]
    Efs(EfsCommand),
    /// Copy one file or directory with everything about it, in one step.
    Copy {
        /// The file or directory.
        source: PathBuf,
        /// Where it goes: a new name, or a directory that is there.
        target: PathBuf,
    },
    /// Write the bytes of one stream to standard output.
    Cat {
        /// FILE or FILE:STREAM.
        location: PathBuf,
    },
    /// What a file has, what kind of place it is in, and what can be kept there.
    Info {
        /// A file or directory.
        location: PathBuf,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StreamCommand {
    /// Write the backup stream of one file to standard output (BackupRead).
    Read {
        /// A file or directory.
        location: PathBuf,
        /// Write to FILE instead; it appears when it is whole.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Leave the security descriptor out.
        #[arg(long)]
        no_security: bool,
        /// Write only what [MS-BKUP] allows: no extended attributes.
        #[arg(long)]
        strict: bool,
    },
    /// Restore a file from a backup stream on standard input (BackupWrite).
    ///
    /// A file that is not there is made beside its place and renamed when the input was whole. One that is there is
    /// written in place: streams that the input does not name stay.
    Write {
        /// The file or directory to write.
        path: PathBuf,
        /// Make a directory.
        #[arg(long)]
        directory: bool,
        /// Where the paths of LINK streams begin.
        #[arg(long, value_name = "DIR")]
        link_root: Option<PathBuf>,
        /// Pass the security descriptor over.
        #[arg(long)]
        no_security: bool,
        /// Refuse what [MS-BKUP] forbids.
        #[arg(long)]
        strict: bool,
    },
    /// List the streams in a backup stream; with -v, explain what is in them.
    List {
        /// A backup stream; standard input when it is missing or `-`.
        file: Option<PathBuf>,
        /// One JSON object a stream on standard output.
        #[arg(long)]
        json: bool,
        /// Refuse what [MS-BKUP] forbids.
        #[arg(long)]
        strict: bool,
    },
    /// Write the content of one stream to standard output.
    Extract {
        /// A backup stream; standard input when it is missing or `-`.
        file: Option<PathBuf>,
        #[command(flatten)]
        what: Extract,
        /// Write to FILE instead, with its holes; it appears when it is whole.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Which stream is extracted.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false)]
pub(crate) struct Extract {
    /// The unnamed data stream, with its holes.
    #[arg(long)]
    pub(crate) data: bool,
    /// The alternate data stream of this name, with its holes.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The raw payload of the first stream with this id (3 is SECURITY_DATA).
    #[arg(long, value_name = "N")]
    pub(crate) id: Option<u32>,
}
