//! What can be typed.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ntbak::backup::Parts;
use ntbak::source::WofView;
use ntbak::tree_sink::Overwrite;
use ntbak::{LossKind, VolumeOptions};

use crate::commands::EfsCommand;
use crate::selection::Selection;

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
  ntbak copy /mnt/win/report.docx /srv/share/report.docx
  ntbak backup /mnt/win/Users -o users.tar.zst
  ntbak restore users.tar.zst /mnt/other/Users
  ntbak verify users.tar.zst --against /mnt/win/Users
  ntbak info disk.qcow2
  ntbak backup disk.qcow2 -o disk.tar.zst
  ntbak copy disk.qcow2::Users/bob/report.docx /srv/share/

LOCATION is PATH[#PARTITION][::INSIDE]: a file or directory, or one in an NTFS volume in a disk image (raw, qcow2, VHD,
VHDX) or on a device. A stream of it is FILE:STREAM.";

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Say more.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// When to use colours: `auto` is on a terminal, unless NO_COLOR is set.
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: ColorChoice,
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
    /// Back up files and directories, with everything about them, into an archive.
    Backup {
        /// Files and directories, also in disk images. What is in a single directory is at the root of the archive; of several, each is under
        /// its own name.
        #[arg(required = true)]
        sources: Vec<PathBuf>,
        /// The archive; it appears when it is complete. `-` is standard output.
        #[arg(short, long, value_name = "ARCHIVE")]
        output: PathBuf,
        /// Compress with zstd; as is done anyway when the name ends with .zst or .tzst.
        #[arg(long, value_name = "LEVEL", num_args = 0..=1, default_missing_value = "3", require_equals = true,
              value_parser = clap::value_parser!(i32).range(-7..=22))]
        zstd: Option<i32>,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        streams: Streams,
        #[command(flatten)]
        reading: Reading,
        /// Read and report, but write nothing.
        #[arg(short = 'n', long)]
        dry_run: bool,
        #[command(flatten)]
        jobs: Jobs,
    },
    /// Put the files of an archive back.
    Restore {
        /// An archive of ntbak, or any other tar, in zstd or not; `-` is standard input.
        archive: PathBuf,
        /// The directory that gets them; made when it is not there.
        target: PathBuf,
        /// Only these paths of the archive, each with all that is below it.
        paths: Vec<PathBuf>,
        /// What happens with files that are there already.
        #[arg(long, value_enum, default_value_t)]
        overwrite: OverwriteArg,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        streams: Streams,
        /// Read and report, but write nothing.
        #[arg(short = 'n', long)]
        dry_run: bool,
        #[command(flatten)]
        jobs: Jobs,
    },
    /// Copy a file or a directory with all that is in it, in one step.
    Copy {
        /// The file or directory, also in a disk image.
        source: PathBuf,
        /// Where it goes: a new name, or a directory that is there.
        target: PathBuf,
        /// What happens with files that are there already, in the copy of a directory.
        #[arg(long, value_enum, default_value_t)]
        overwrite: OverwriteArg,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        streams: Streams,
        #[command(flatten)]
        reading: Reading,
        /// Read and report, but write nothing.
        #[arg(short = 'n', long)]
        dry_run: bool,
        #[command(flatten)]
        jobs: Jobs,
    },
    /// List what is in a directory, a disk image or an archive.
    List {
        /// A file, a directory, a disk image, or an archive; `-` is an archive on standard input.
        location: PathBuf,
        /// Only these paths in it, each with all that is below it.
        paths: Vec<PathBuf>,
        /// A line for each stream, too.
        #[arg(long)]
        streams: bool,
        /// Read all content and give its BLAKE3; with --json.
        #[arg(long, requires = "json")]
        hash: bool,
        /// One JSON object a file on standard output.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        reading: Reading,
    },
    /// Prove that an archive is whole, and with --against that it is equal to its source.
    Verify {
        /// The archive; `-` is standard input.
        archive: PathBuf,
        /// The directory or disk image that it was made of.
        #[arg(long, value_name = "SOURCE")]
        against: Option<PathBuf>,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reading: Reading,
    },
    /// Compare two directories, disk images or archives: every stream, descriptor, time and attribute.
    ///
    /// Exit code 0 when they are equal, 1 when they differ. Access and change times are not compared.
    Diff {
        /// A file, a directory, a disk image, or an archive.
        a: PathBuf,
        /// Another one.
        b: PathBuf,
        /// One JSON object a difference on standard output.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        streams: Streams,
        #[command(flatten)]
        reading: Reading,
    },
    /// Write the bytes of one stream to standard output.
    Cat {
        /// FILE or FILE:STREAM, also in a disk image; or an archive or a disk image, with a path in it.
        location: PathBuf,
        /// FILE or FILE:STREAM in the archive or the disk image.
        path: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
    /// What a file has, what kind of place it is in, and what can be kept there; or what an archive is.
    Info {
        /// A file or directory, also in a disk image; or an archive or a disk image.
        location: PathBuf,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reading: Reading,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

/// Which parts of each file.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Streams {
    /// Only these parts of each file, beside its attributes and times; what is made has no others.
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    streams: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The content.
    Data,
    /// Alternate data streams.
    Ads,
    /// The security descriptor.
    Security,
    /// Extended attributes.
    Ea,
    /// The reparse point.
    Reparse,
    /// The object id.
    #[value(name = "objectid")]
    ObjectId,
}

impl Streams {
    /// What is left out.
    pub(crate) fn left_out(&self) -> Parts {
        let part = |part: &Part| match part {
            Part::Data => Parts::DATA,
            Part::Ads => Parts::ADS,
            Part::Security => Parts::SECURITY,
            Part::Ea => Parts::EA,
            Part::Reparse => Parts::REPARSE,
            Part::ObjectId => Parts::OBJECT_ID,
        };
        if self.streams.is_empty() {
            return Parts::empty();
        }
        Parts::all() - self.streams.iter().map(part).collect()
    }
}

/// How many threads work.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Jobs {
    /// Threads that work at the same time; as many as the machine has cores when it is missing.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl Jobs {
    /// Their number, at least 1.
    pub(crate) fn number(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.map_or_else(cores, usize::from)
    }
}

/// What happens with files that are there.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum OverwriteArg {
    /// They are replaced.
    #[default]
    Always,
    /// They are replaced by what was written later.
    IfNewer,
    /// They stay.
    Never,
}

impl From<OverwriteArg> for Overwrite {
    fn from(argument: OverwriteArg) -> Self {
        match argument {
            OverwriteArg::Always => Self::Always,
            OverwriteArg::IfNewer => Self::IfNewer,
            OverwriteArg::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum StreamCommand {
    /// Write the backup stream of one file to standard output (BackupRead).
    Read {
        /// A file or directory, also in a disk image.
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
        #[command(flatten)]
        reading: Reading,
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

/// How volumes in disk images are read.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// Files that Windows has compressed as a whole (WOF, CompactOS): their content, or what is stored.
    #[arg(long, value_name = "VIEW", default_value = "data")]
    wof: Wof,
    /// In disk images, read also records that were written only in part.
    #[arg(long)]
    salvage: bool,
    /// Let a disk image open the files that lie below it (backing files of qcow2).
    #[arg(long)]
    backing_files: bool,
    /// In the tree of a volume, also NTFS' own files ($MFT and its kin).
    #[arg(long)]
    system: bool,
    /// In the tree of a volume, also files that no directory leads to, below `$OrphanFiles`.
    #[arg(long)]
    orphans: bool,
    /// Refuse volumes that were not dismounted, or that Windows sleeps on.
    #[arg(long)]
    require_clean: bool,
}

impl Reading {
    /// The same for the library.
    pub(crate) fn options(&self) -> VolumeOptions {
        let wof = match self.wof {
            Wof::Data => WofView::Data,
            Wof::Raw => WofView::Raw,
        };
        VolumeOptions::default()
            .wof(wof)
            .salvage(self.salvage)
            .backing_files(self.backing_files)
            .system(self.system)
            .orphans(self.orphans)
            .require_clean(self.require_clean)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wof {
    Data,
    Raw,
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
