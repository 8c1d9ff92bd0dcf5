//! `ntbak cat`: the bytes of one stream.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ntbak::location::Location;
use ntbak::memory::StreamKey;
use ntbak::{LossKind, VolumeOptions};
use ntbak_archive::{ArchiveReader, Item, Limits};
use ntbak_wire::record::Record;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, Win32Error};

use crate::commands::{Done, open, report_on};
use crate::failure::Failure;
use crate::many;
use crate::output::Output;
use crate::report::Reporter;

pub(crate) fn run(typed: &Path, options: VolumeOptions, reporter: &Reporter) -> Done {
    let opened = open(typed, options, reporter)?;
    let source = opened.source();
    let stream = match opened.find_stream() {
        Ok(stream) => stream,
        // Why it is not there, if it is known.
        Err(error) => {
            source.remarks(ntbak::source::Facet::BackupStream, &report_on(reporter, opened.path()))?;
            return Err(error.into());
        }
    };
    let mut output = Output::open(None)?;
    output.pour(|offset, buffer| source.read_at(stream, offset, buffer))?;
    output.finish()?;
    Ok(None)
}

/// The bytes of one stream of a file in an archive, or in a disk image.
pub(crate) fn inside(location: &Path, path: &Path, options: VolumeOptions, reporter: &Reporter) -> Done {
    match Location::parse_tree(location) {
        Location::Image { inside, .. } if !many::is_archive(location) && inside.is_empty() => {
            let mut typed = location.as_os_str().to_owned();
            if !typed.as_bytes().ends_with(b"::") {
                typed.push("::");
            }
            typed.push(path);
            run(Path::new(&typed), options, reporter)
        }
        _ => from_archive(location, path, reporter),
    }
}

fn from_archive(archive: &Path, typed: &Path, reporter: &Reporter) -> Done {
    let bytes = typed.as_os_str().as_bytes();
    let bytes = bytes.strip_prefix(b"./").unwrap_or(bytes);
    // A file may itself be called `a:b`, so both readings are looked for.
    let colon = bytes
        .iter()
        .rposition(|byte| *byte == b':')
        .filter(|at| !bytes.get(*at..).unwrap_or_default().contains(&b'/'));
    let stream = colon.and_then(|colon| {
        let (file, stream) = bytes.split_at(colon);
        Some((file, StreamName::from_wire(&Name::from_wtf8(stream)?).ok()?))
    });
    let wanted = Wanted { typed, bytes, stream };
    // Through the list of the archive, where it has one: then nothing else is read.
    if let Some(mut index) = many::indexed(archive)? {
        let fault = |error: ntbak_archive::Error| ntbak::Error::from(error).at_path(archive);
        for path in [Some(bytes), wanted.stream.as_ref().map(|(file, _)| *file)].into_iter().flatten() {
            let Some(offset) = index.find(path).map_err(fault)? else { continue };
            if write(&mut index.read_at(offset).map_err(fault)?, archive, &wanted, reporter)? {
                return Ok(None);
            }
        }
        return Err(missing(typed));
    }
    let source = ntbak_archive::open(many::bytes(archive)?).map_err(ntbak::Error::from)?;
    let mut reader = ArchiveReader::new(source, Limits::default());
    if write(&mut reader, archive, &wanted, reporter)? { Ok(None) } else { Err(missing(typed)) }
}

/// What was asked for, in both readings.
struct Wanted<'a> {
    typed: &'a Path,
    bytes: &'a [u8],
    stream: Option<(&'a [u8], StreamName)>,
}

fn missing(typed: &Path) -> Failure {
    let why = "there is no such file or stream in the archive; `ntbak list --streams` shows what there is";
    ntbak::Error::new(Win32Error::FILE_NOT_FOUND, why).at_path(typed).into()
}

/// Writes what is wanted to standard output; whether it is there.
fn write<R: Read>(
    reader: &mut ArchiveReader<R>,
    archive: &Path,
    Wanted { typed, bytes, stream }: &Wanted<'_>,
    reporter: &Reporter,
) -> Result<bool, Failure> {
    let mut output = Output::open(None)?;
    let (mut wanted, mut writing, mut at, mut found) = (None, false, 0, false);
    let zeros = vec![0; 1 << 16];
    while let Some(item) = reader.next().map_err(|error| ntbak::Error::from(error).at_path(archive))? {
        match item {
            Item::File(_) | Item::Link(_) if found => break,
            Item::File(entry) => {
                let path = entry.path.as_bytes();
                wanted = match stream {
                    _ if path == *bytes => Some(StreamKey::default()),
                    Some((file, stream)) if path == *file => Some(StreamKey::of(Some(stream))),
                    _ => None,
                };
            }
            Item::Link(link) if link.path.as_bytes() == *bytes => {
                let target = String::from_utf8_lossy(link.target.as_bytes()).into_owned();
                return Err(Failure::Usage(format!(
                    "{} is another name of {target}: ask for that",
                    typed.display()
                )));
            }
            Item::Record(Record::Stream(head)) => {
                writing = wanted.as_ref().is_some_and(|wanted| *wanted == StreamKey::of(head.name.as_ref()));
                found |= writing;
                at = 0;
            }
            Item::EfsRaw { .. } if wanted == Some(StreamKey::default()) => {
                let why = "the file is encrypted: its raw export is in the archive, and not its content";
                return Err(ntbak::Error::new(Win32Error::ACCESS_DENIED, why).at_path(typed).into());
            }
            Item::Record(Record::Bytes { offset, data }) if writing => {
                fill(&mut output, &zeros, &mut at, offset)?;
                output.write(data)?;
                at += data.len() as u64;
            }
            Item::Record(Record::EndStream { size }) if writing => {
                fill(&mut output, &zeros, &mut at, size)?;
                writing = false;
            }
            Item::Remark(remark) if remark.is_loss() => {
                report_on(reporter, archive).loss(LossKind::Archive, remark.why.clone());
            }
            _ => {}
        }
    }
    if found {
        output.finish()?;
    }
    Ok(found)
}

/// Writes what a hole reads as.
fn fill(output: &mut Output, zeros: &[u8], at: &mut u64, to: u64) -> Result<(), Failure> {
    while *at < to {
        let len = usize::try_from(to - *at).map_or(zeros.len(), |left| left.min(zeros.len()));
        output.write(zeros.get(..len).unwrap_or_default())?;
        *at += len as u64;
    }
    Ok(())
}
