//! The encrypted files of a tree, decrypted: what `efs decrypt --all` brings.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use ntbak_efs::KeyRing;
use ntbak_wire::{FileAttributes, efs};

use super::tee::Tee;
use super::{Content, FileVisit, Heard, LinkVisit, Tree, Visit, WalkOptions};
use crate::backup::FileRecords;
use crate::efs::{Decrypted, ReadRaw};
use crate::error::{Error, Result};
use crate::report::{FileReport, Loss, LossKind, Note, Report};
use crate::source::{FileSource, RawSource, Spool, SpooledSource};

/// Shows those files of a tree that are encrypted, as a key of the ring opens them, and raw exports among the others, where
/// the tree can be read by position; a file that no key opens is a loss `efs`, and everything else is passed over.
pub struct DecryptedTree<'t> {
    tree: &'t mut dyn Tree,
    opener: Opener<'t>,
}

struct Opener<'t> {
    keys: &'t KeyRing,
    spool: &'t dyn Fn() -> io::Result<File>,
}

impl<'t> DecryptedTree<'t> {
    /// What the keys open of `tree`. `spool` makes a temporary file, for trees that show a file only once.
    pub fn new(tree: &'t mut dyn Tree, keys: &'t KeyRing, spool: &'t dyn Fn() -> io::Result<File>) -> Self {
        Self { tree, opener: Opener { keys, spool } }
    }
}

impl Opener<'_> {
    /// One encrypted file, decrypted; ciphertext, while it waits.
    fn show(
        &self,
        file: FileVisit<'_>,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<bool> {
        let FileVisit { path, shown, info, content } = file;
        let file_is_directory = info.attributes.is_directory();
        let report = FileReport { to: options.report, path: shown };
        let spooled;
        let source: &dyn FileSource = match content.source() {
            Some(source) => source,
            None => match self.spooled(content) {
                Ok(source) => {
                    spooled = source;
                    &spooled
                }
                Err(error) => return lost(&error, &report),
            },
        };
        // A directory is made anyway where something in it is; what it has of its own may be in streams.
        if file_is_directory && !has_ciphertext(source) {
            return Ok(false);
        }
        let export;
        let source: &dyn FileSource = match source.info() {
            Ok(info) if info.attributes.contains(FileAttributes::ENCRYPTED) => source,
            _ => match RawSource::open(Unnamed(source)) {
                Ok(raw) => {
                    export = raw;
                    &export
                }
                Err(error) => return lost(&error, &report),
            },
        };
        let plain = match Decrypted::open(source, self.keys) {
            Ok(plain) => plain,
            Err(error) => return lost(&error, &report),
        };
        let mut records = match FileRecords::new(&plain, options.backup, report) {
            Ok(records) => records,
            Err(error) => return lost(&error, &FileReport { to: options.report, path: shown }),
        };
        let info = records.info().clone();
        visit(Visit::File(FileVisit { path, shown, info: &info, content: &mut records }))?;
        Ok(true)
    }

    fn spooled(&self, content: &mut dyn Content) -> Result<SpooledSource> {
        let file = (self.spool)().map_err(|error| Error::io("making a temporary file", error))?;
        Spool::new(file)?.fill(content)
    }
}

/// The bytes of a file that is a raw export itself.
struct Unnamed<'s>(&'s dyn FileSource);

impl ReadRaw for Unnamed<'_> {
    fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(0, offset + filled as u64, rest)? {
                0 => break,
                got => filled += got,
            }
        }
        Ok(filled)
    }
}

fn has_ciphertext(source: &dyn FileSource) -> bool {
    // Who cannot be asked is opened, which tells why.
    source
        .encrypted()
        .map_or(true, |file| file.is_some_and(|file| file.streams().iter().any(|plan| plan.head.encrypted)))
}

/// Whether the content of a file begins as every raw export does.
fn is_export(source: &dyn FileSource) -> bool {
    let mut head = [0; efs::SIGNATURE.len()];
    Unnamed(source).read_raw(0, &mut head).is_ok_and(|got| got == head.len()) && head == efs::SIGNATURE
}

/// Why this one could not be opened; the others go on.
fn lost(error: &Error, report: &FileReport<'_>) -> Result<bool> {
    report.loss(LossKind::Efs, error.reason());
    Ok(false)
}

impl Tree for DecryptedTree<'_> {
    fn walk(
        &mut self,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        // Of paths that later names may lead to, a hash each: memory for millions of them.
        let mut opened: HashSet<[u8; 16]> = HashSet::new();
        let Self { tree, opener } = self;
        let heard = Tee::new(options.report);
        heard.hold_back();
        // What is packed cannot be looked into.
        let quiet = WalkOptions { report: &heard, packing: None, ..options };
        let walked = tree.walk(quiet, &mut |thing| match thing {
            Visit::File(file) => {
                let attributes = file.info.attributes;
                let is_export = || !attributes.is_directory() && file.content.source().is_some_and(is_export);
                if !attributes.contains(FileAttributes::ENCRYPTED) && !is_export() {
                    tell(&heard, options.report, Some(file.shown));
                    return Ok(());
                }
                tell(&heard, options.report, None);
                let key = key(file.path);
                if opener.show(file, options, visit)? {
                    opened.insert(key);
                }
                Ok(())
            }
            Visit::Link(link) if opened.contains(&key(link.target)) => {
                let mut info = link.info.clone();
                info.attributes.remove(FileAttributes::ENCRYPTED);
                visit(Visit::Link(LinkVisit { info: &info, ..link }))
            }
            // What was told waits until it is known whether the next file matters.
            Visit::Link(_) | Visit::Told(_) | Visit::Packed(_) => Ok(()),
        });
        tell(&heard, options.report, None);
        walked
    }
}

/// Tells what was held back until it was known whether the file matters, but for what is about one that is not encrypted.
fn tell(heard: &Tee<'_>, to: &dyn Report, but_for: Option<&Path>) {
    let matters = |heard: &Heard| {
        let (Heard::Loss(Loss { path, .. }) | Heard::Note(Note { path, .. })) = heard;
        but_for.is_none_or(|but_for| path != but_for)
    };
    heard.take().into_iter().filter(matters).for_each(|heard| heard.tell(to));
}

fn key(path: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(path);
    let mut key = [0; 16];
    key.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    key
}
