//! `OpenEncryptedFileRaw`, `ReadEncryptedFileRaw`, `WriteEncryptedFileRaw`, `CloseEncryptedFileRaw`: an encrypted file as
//! it is stored, out of its place and into another, without a key.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bitflags::bitflags;
use ntbak_wire::{FileAttributes, Win32Error};

use crate::efs::{BLOCK, DropNamed, ExportReader, Unnamed, import_raw};
use crate::error::{Error, Result};
use crate::report::{Collected, FileReport, LossKind, Report};
use crate::source::FileSource;
use crate::win32::open_files::Shared;
use crate::win32::{Access, Share, System};

bitflags! {
    /// The flags of `OpenEncryptedFileRaw`. Others are ignored, as \[MS-EFSR\] 3.1.4.2.1 has it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct RawFlags: u32 {
        /// Open for [`write_encrypted_file_raw`]; otherwise for [`read_encrypted_file_raw`].
        const CREATE_FOR_IMPORT = 0x1;
        /// Import a directory.
        const CREATE_FOR_DIR = 0x2;
        /// Overwrite a hidden file.
        const OVERWRITE_HIDDEN = 0x4;
        /// EFS_DROP_ALTERNATE_STREAMS: metadata and the unnamed stream only.
        const DROP_ALTERNATE_STREAMS = 0x10;

        const _ = !0;
    }
}

/// The context of an encrypted file; closed when it is dropped.
pub struct EncryptedFileRaw<'v> {
    system: &'v System,
    path: String,
    flags: RawFlags,
    direction: Direction,
    _shared: Option<Shared>,
}

enum Direction {
    Export(Box<dyn FileSource>),
    /// `done` after the one `WriteEncryptedFileRaw`.
    Import {
        directory: bool,
        done: bool,
    },
}

/// `OpenEncryptedFileRaw`: an encrypted file for [`read_encrypted_file_raw`], or, with CREATE_FOR_IMPORT, a place for
/// [`write_encrypted_file_raw`]. Nothing is made before that has all of the data.
///
/// # Errors
/// | number | when |
/// | --- | --- |
/// | 2, 3 | the file to export, or a directory of the path, is not there |
/// | 5 | the target is hidden and OVERWRITE_HIDDEN is not set; it is read-only; it is a directory and CREATE_FOR_DIR is not set |
/// | 19 | an import, and the volume is only read |
/// | 32 | another handle does not share the file |
/// | 267 | CREATE_FOR_DIR, and it is a file |
/// | 6007 | the file to export is not encrypted |
pub fn open_encrypted_file_raw<'v>(
    system: &'v System,
    path: &str,
    flags: RawFlags,
) -> Result<EncryptedFileRaw<'v>> {
    let at_path = |error: Error| error.at_path(path);
    let import = flags.contains(RawFlags::CREATE_FOR_IMPORT);
    let directory = flags.contains(RawFlags::CREATE_FOR_DIR);
    if import {
        system.refuse_read_only(path).map_err(at_path)?;
    }
    let opened = match system.open_itself(path) {
        Err(error) if import && error.win32() == Win32Error::FILE_NOT_FOUND => {
            let direction = Direction::Import { directory, done: false };
            return Ok(EncryptedFileRaw { system, path: path.to_owned(), flags, direction, _shared: None });
        }
        opened => opened.map_err(at_path)?,
    };
    let access = if import { Access::FILE_WRITE_DATA } else { Access::FILE_READ_DATA };
    let shared = system.shares().enter(opened.identity(), access, Share::READ).map_err(at_path)?;
    if !import {
        opened.check().map_err(at_path)?;
    }
    let source = match opened.source() {
        // What is damaged is what an import is for.
        Err(error) if import && !directory && error.win32() == Win32Error::INVALID_DATA => {
            let direction = Direction::Import { directory, done: false };
            let shared = Some(shared);
            return Ok(EncryptedFileRaw { system, path: path.to_owned(), flags, direction, _shared: shared });
        }
        source => source.map_err(at_path)?,
    };
    let info = source.info().map_err(at_path)?;
    let refuse = |code, why: &'static str| Err(at_path(Error::new(code, why)));
    if directory && !info.attributes.is_directory() {
        return refuse(Win32Error::DIRECTORY, "it is a file, and CREATE_FOR_DIR is set");
    }
    let direction = if import {
        if info.attributes.is_directory() && !directory {
            return refuse(Win32Error::ACCESS_DENIED, "it is a directory, and CREATE_FOR_DIR is not set");
        }
        let hidden = info.attributes.contains(FileAttributes::HIDDEN);
        if hidden && !directory && !flags.contains(RawFlags::OVERWRITE_HIDDEN) {
            return refuse(
                Win32Error::ACCESS_DENIED,
                "a hidden file is there, and OVERWRITE_HIDDEN is not set",
            );
        }
        if info.attributes.contains(FileAttributes::READONLY) && !directory {
            return refuse(Win32Error::ACCESS_DENIED, "a read-only file is there");
        }
        Direction::Import { directory, done: false }
    } else {
        if source.encrypted().map_err(at_path)?.is_none() {
            return refuse(Win32Error::FILE_NOT_ENCRYPTED, "the file is not encrypted");
        }
        Direction::Export(source)
    };
    Ok(EncryptedFileRaw { system, path: path.to_owned(), flags, direction, _shared: Some(shared) })
}

/// `ReadEncryptedFileRaw`: gives the raw data to `export` in blocks of 1 byte to 64 KiB, one after the other, until that
/// answers another number than 0. Each call begins at the beginning.
///
/// # Errors
/// What `export` answered; 87 for a context that was opened for import; 1 when `export` panicked; whatever reading meets.
pub fn read_encrypted_file_raw(
    mut export: impl FnMut(&[u8]) -> u32,
    context: &mut EncryptedFileRaw<'_>,
) -> Result<()> {
    let at_path = |error: Error| error.at_path(&context.path);
    let Direction::Export(source) = &context.direction else {
        return Err(at_path(wrong("the context was opened for import")));
    };
    let mut file = source.encrypted().map_err(at_path)?.ok_or_else(|| at_path(not_encrypted()))?;
    if context.flags.contains(RawFlags::DROP_ALTERNATE_STREAMS) {
        file = Box::new(Unnamed::new(file));
    }
    let mut reader = ExportReader::new(file).map_err(at_path)?;
    let mut block = vec![0; BLOCK];
    loop {
        let got = reader.read(&mut block).map_err(at_path)?;
        if got == 0 {
            return Ok(());
        }
        let data = block.get(..got).unwrap_or_default();
        match fenced(|| export(data)).map_err(at_path)? {
            0 => {}
            code => return Err(at_path(Error::new(Win32Error(code), "the export callback ended it"))),
        }
    }
}

/// `WriteEncryptedFileRaw`: takes raw data from `import`, block by block, and makes the encrypted file of them.
///
/// `import` gets a buffer of 64 KiB and its length; it fills as much of it as it likes and says how much. 0 bytes are the
/// end. The file appears whole, in place of one that is there, whose descriptor, attributes, times, EAs and object id stay;
/// on any failure, what was there is untouched. What Windows leaves behind then is not documented; this is our choice.
///
/// # Errors
/// What `import` answered; 6008 when the data are not in the export format or are cut; 87 for a context that was opened
/// for export or was written already, or when `import` says more than the buffer holds; 1 when `import` panicked; 112 for
/// want of room; 6014 where the place cannot hold encrypted files.
pub fn write_encrypted_file_raw(
    mut import: impl FnMut(&mut [u8], &mut u32) -> u32,
    context: &mut EncryptedFileRaw<'_>,
) -> Result<()> {
    let path = context.path.clone();
    let at_path = |error: Error| error.at_path(&path);
    let Direction::Import { directory, done } = &mut context.direction else {
        return Err(at_path(wrong("the context was opened for export")));
    };
    if std::mem::replace(done, true) {
        return Err(at_path(wrong("the context was written already")));
    }
    let silent = Collected::new();
    let to: &dyn Report = match context.system.report() {
        Some(report) => report,
        None => &silent,
    };
    let report = FileReport { to, path: path.as_ref() };
    let sink = context.system.stage(&path, *directory).map_err(at_path)?;
    let there = match context.system.open_itself(&path) {
        Ok(opened) => match opened.source() {
            Err(error) if error.win32() == Win32Error::INVALID_DATA => {
                let why = format!("what is replaced is damaged, and nothing of it stays: {}", error.reason());
                report.loss(LossKind::Security, why);
                None
            }
            source => Some(source.map_err(at_path)?),
        },
        Err(error) if error.win32() == Win32Error::FILE_NOT_FOUND => None,
        Err(error) => return Err(at_path(error)),
    };
    let mut filter = context.flags.contains(RawFlags::DROP_ALTERNATE_STREAMS).then(DropNamed::default);
    let (mut passed, mut ended) = (Vec::new(), false);
    let read = |block: &mut [u8]| {
        // Of what the filter passes on, a block may take several turns, or none.
        while passed.is_empty() && !ended {
            let mut len = block.len() as u32;
            match fenced(|| import(block, &mut len))? {
                0 => {}
                code => return Err(Error::new(Win32Error(code), "the import callback ended it")),
            }
            let Some(data) = block.get(..len as usize) else {
                return Err(wrong("the import callback says more bytes than the buffer has"));
            };
            ended = data.is_empty();
            let Some(filter) = &mut filter else { return Ok(data.len()) };
            passed = if ended { filter.finish()? } else { filter.pass(data)? };
        }
        let len = passed.len().min(block.len());
        let rest = passed.split_off(len);
        if let Some(to) = block.get_mut(..len) {
            to.copy_from_slice(&passed);
        }
        passed = rest;
        Ok(len)
    };
    import_raw(sink, there.as_deref(), read, &report).map_err(at_path)
}

/// `CloseEncryptedFileRaw`; dropping the context does the same.
pub fn close_encrypted_file_raw(context: EncryptedFileRaw<'_>) {
    drop(context);
}

/// Calls back; a panic stays here.
fn fenced<T>(call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|_| Error::new(Win32Error::INVALID_FUNCTION, "the callback panicked"))
}

fn wrong(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_PARAMETER, why)
}

fn not_encrypted() -> Error {
    Error::new(Win32Error::FILE_NOT_ENCRYPTED, "the file is not encrypted any more")
}
