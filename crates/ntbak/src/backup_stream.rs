//! From a source to the bytes of a backup stream: a cursor that any buffer size moves along.

use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extent, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::security::SecurityDescriptor;
use ntbak_wire::stream::{Header, StreamAttributes, StreamName, sparse};

use crate::backup::{Step, Walk, refuse_encrypted};
use crate::error::{Error, Result};
use crate::source::FileSource;

/// Reads of less than this many bytes go through a buffer, so that a caller who takes a header and a name at a time
/// does not cost a system call for every few bytes.
const SMALL_READ: usize = 4096;
/// Bytes of that buffer.
const READ_AHEAD: usize = 65_536;

/// What a reader may see. The cursor asks at the moment when a stream is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRights {
    /// The security descriptor.
    pub security: SecurityAccess,
    /// Extended attributes.
    pub ea: bool,
    /// Content.
    pub data: bool,
}

/// How much of a security descriptor a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityAccess {
    /// No SECURITY_DATA stream is wanted.
    Unwanted,
    /// One is wanted, but there is no right to read it: an error, because silence would lose it.
    Denied,
    /// Owner, group and discretionary access control list.
    WithoutSacl,
    /// All of it.
    Full,
}

impl ReadRights {
    /// Everything.
    pub const ALL: Self = Self { security: SecurityAccess::Full, ea: true, data: true };
}

/// A position in the backup stream of one file. The source is not part of it: every call gets it anew.
#[derive(Debug, Default)]
pub struct BackupReader {
    walk: Walk,
    state: State,
    /// The header of the current stream with its name, then a small payload or the offset of a SPARSE_BLOCK.
    head: Vec<u8>,
    /// How much of `head` was given.
    given: usize,
    /// Where in `head` the payload begins.
    payload: usize,
    /// Content behind `head`.
    content: Content,
    name: Option<StreamName>,
    in_blocks: bool,
    without_eas: bool,
    ahead: Vec<u8>,
    ahead_from: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Begin,
    /// In a stream, or at its end.
    Stream,
    End,
}

#[derive(Debug, Default, Clone, Copy)]
struct Content {
    stream: usize,
    offset: u64,
    left: u64,
}

/// How far a seek went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seek {
    /// Bytes of payload that were passed over.
    pub moved: u64,
    /// Whether that is what was asked for.
    pub complete: bool,
}

impl BackupReader {
    /// A cursor at the beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves extended attributes out: what \[MS-BKUP\] 2.5 demands of a writer. Before the first read.
    pub fn leave_out_eas(&mut self) {
        self.without_eas = true;
    }

    /// Fills `buf` with the next bytes; fewer only at the end of the backup stream or before an error, 0 at the end.
    ///
    /// # Errors
    /// The source cannot be read, or the right for the next stream is missing. Bytes that can be had come first, the
    /// error with the next call. The position stays, so that content can be [passed over](Self::seek).
    pub fn read(&mut self, source: &dyn FileSource, rights: ReadRights, buf: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_some(source, rights, rest) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Passes over `bytes` of the current payload, and never over its end.
    pub fn seek(&mut self, bytes: u64) -> Seek {
        if self.state != State::Stream || self.given < self.payload {
            return Seek { moved: 0, complete: false };
        }
        let of_head = ((self.head.len() - self.given) as u64).min(bytes);
        let of_content = self.content.left.min(bytes - of_head);
        // At most the length of `head`.
        self.given += of_head as usize;
        self.content.offset += of_content;
        self.content.left -= of_content;
        let moved = of_head + of_content;
        Seek { moved, complete: moved == bytes }
    }

    fn read_some(&mut self, source: &dyn FileSource, rights: ReadRights, buf: &mut [u8]) -> Result<usize> {
        loop {
            let head = self.head.get(self.given..).unwrap_or_default();
            if !head.is_empty() {
                let len = head.len().min(buf.len());
                let (to, from) =
                    (buf.get_mut(..len).unwrap_or_default(), head.get(..len).unwrap_or_default());
                to.copy_from_slice(from);
                self.given += len;
                return Ok(len);
            }
            if self.content.left > 0 {
                return self
                    .read_content(source, buf)
                    .map_err(|error| error.in_stream(self.name.as_ref()).at_offset(self.content.offset));
            }
            if self.state == State::End {
                return Ok(0);
            }
            self.advance(source, rights)?;
        }
    }

    fn read_content(&mut self, source: &dyn FileSource, buf: &mut [u8]) -> Result<usize> {
        let Content { stream, offset, left } = self.content;
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let got = if want < SMALL_READ && left > want as u64 {
            self.read_ahead(source, want, buf)?
        } else {
            source.read_at(stream, offset, buf.get_mut(..want).unwrap_or_default())?
        };
        if got == 0 {
            return Err(Error::new(
                Win32Error::HANDLE_EOF,
                "the stream has become shorter while it was read",
            ));
        }
        self.content.offset += got as u64;
        self.content.left -= got as u64;
        Ok(got)
    }

    /// Reads through the buffer, which holds the bytes of the current stream from `ahead_from` on.
    fn read_ahead(&mut self, source: &dyn FileSource, want: usize, buf: &mut [u8]) -> Result<usize> {
        let Content { stream, offset, left } = self.content;
        let held = offset.checked_sub(self.ahead_from).and_then(|skip| usize::try_from(skip).ok());
        let mut ready = held.and_then(|skip| self.ahead.get(skip..)).unwrap_or_default();
        if ready.is_empty() {
            let len = usize::try_from(left).map_or(READ_AHEAD, |left| left.min(READ_AHEAD));
            self.ahead.resize(len, 0);
            self.ahead_from = offset;
            let got = source.read_at(stream, offset, &mut self.ahead);
            self.ahead.truncate(*got.as_ref().unwrap_or(&0));
            got?;
            ready = &self.ahead;
        }
        let len = want.min(ready.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), ready.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    /// Goes on to the next header; on an error everything stays as it is.
    fn advance(&mut self, source: &dyn FileSource, rights: ReadRights) -> Result<()> {
        if self.state == State::Begin {
            refuse_encrypted(&source.info()?)?;
        }
        loop {
            let mut walk = self.walk;
            let Some(step) = walk.next(source)? else {
                self.walk = walk;
                self.state = State::End;
                return Ok(());
            };
            let begun = self.begin(source, rights, step)?;
            self.walk = walk;
            if begun {
                self.state = State::Stream;
                self.given = 0;
                return Ok(());
            }
        }
    }

    /// Prepares what a step is in the stream; `false` when it is nothing there.
    fn begin(&mut self, source: &dyn FileSource, rights: ReadRights, step: Step) -> Result<bool> {
        match step {
            Step::Small(kind) => self.begin_small(source, rights, kind),
            Step::Stream { index, head } => self.begin_stream(rights, index, &head),
            Step::Block(extent) => self.begin_block(extent).map(|()| true),
            Step::EndStream { size } if self.in_blocks && size > 0 => {
                self.in_blocks = false;
                self.begin_block(Extent { offset: size, len: 0 }).map(|()| true)
            }
            Step::EndStream { .. } => Ok(false),
        }
    }

    fn begin_small(&mut self, source: &dyn FileSource, rights: ReadRights, kind: SmallKind) -> Result<bool> {
        let denied = |what: &'static str| Err(Error::new(Win32Error::ACCESS_DENIED, what));
        if kind == SmallKind::Security && rights.security == SecurityAccess::Unwanted {
            return Ok(false);
        }
        if kind == SmallKind::Ea && self.without_eas {
            return Ok(false);
        }
        let Some(mut payload) = source.small(kind)? else { return Ok(false) };
        let mut header = Header::new(kind.stream_id(), 0);
        match kind {
            SmallKind::Security => {
                match rights.security {
                    SecurityAccess::Denied => {
                        return denied(
                            "the handle has no right to read the security descriptor (READ_CONTROL)",
                        );
                    }
                    SecurityAccess::WithoutSacl => {
                        payload = SecurityDescriptor::parse(&payload)?.without_sacl().into();
                    }
                    SecurityAccess::Full | SecurityAccess::Unwanted => {}
                }
                header.attributes = StreamAttributes::CONTAINS_SECURITY;
            }
            SmallKind::Ea if !rights.ea => {
                return denied("the handle has no right to read extended attributes (FILE_READ_EA)");
            }
            _ => {}
        }
        header.size = payload.len() as u64;
        self.begin_head(&header)?;
        self.head.extend_from_slice(&payload);
        self.name = None;
        Ok(true)
    }

    fn begin_stream(&mut self, rights: ReadRights, index: usize, head: &StreamHead) -> Result<bool> {
        let Some(header) = sparse::announce(head) else { return Ok(false) };
        if !rights.data {
            return Err(Error::new(
                Win32Error::ACCESS_DENIED,
                "the handle has no right to read content (FILE_READ_DATA)",
            )
            .in_stream(head.name.as_ref()));
        }
        if head.flags.contains(StreamFlags::ENCRYPTED) {
            return Err(Error::new(
                Win32Error::ACCESS_DENIED,
                "the stream is encrypted (EFS), and there is no key to open it",
            )
            .in_stream(head.name.as_ref()));
        }
        self.begin_head(&header)?;
        self.in_blocks = sparse::is_in_blocks(head);
        self.content = Content { stream: index, offset: 0, left: header.size };
        self.ahead.clear();
        self.name.clone_from(&head.name);
        Ok(true)
    }

    fn begin_block(&mut self, extent: Extent) -> Result<()> {
        self.begin_head(&sparse::block_header(extent.len))?;
        self.head.extend_from_slice(&extent.offset.to_le_bytes());
        self.content.offset = extent.offset;
        self.content.left = extent.len;
        Ok(())
    }

    fn begin_head(&mut self, header: &Header) -> Result<()> {
        self.head.clear();
        self.given = 0;
        header.encode(&mut self.head)?;
        self.payload = self.head.len();
        Ok(())
    }
}
