//! The content of a stream, and of a raw export.

use std::io::Read;

use ntbak_wire::record::{Extent, Extents, StreamFlags, StreamHead};
use ntbak_wire::stream::StreamName;

use super::{ArchiveReader, Content, State, Step};
use crate::error::{Error, Result};
use crate::keys;
use crate::remark::Remark;
use crate::tar::read::RawEntry;

impl<R: Read> ArchiveReader<R> {
    pub(super) fn begin_efs(&mut self, entry: &RawEntry) -> Result<()> {
        if entry.get(keys::EFS) != Some(b"raw") || entry.sparse.is_some() {
            let why = "its encrypted content is stored in a way that this version does not know";
            self.remarks.push_back(Remark::loss("efs", self.entry.path.as_bytes(), why));
            self.state = State::Following;
            return Ok(());
        }
        self.content = Content { extents: vec![Extent { offset: 0, len: entry.size }], current: 0, done: 0 };
        self.steps.push_back(Step::EfsRaw { size: entry.size });
        self.state = State::Efs;
        Ok(())
    }

    pub(super) fn begin_stream(
        &mut self,
        name: Option<StreamName>,
        entry: RawEntry,
        flags: StreamFlags,
        vdl: Option<u64>,
    ) -> Result<()> {
        let size = entry.sparse.as_ref().map_or(entry.size, |map| map.size);
        let vdl = vdl.unwrap_or(size);
        if vdl > size {
            let why = "its valid data length is behind its end; the end counts";
            self.remarks
                .push_back(Remark::loss("vdl", self.entry.path.as_bytes(), why).in_stream(name.as_ref()));
        }
        let vdl = vdl.min(size);
        let whole = Extent { offset: 0, len: vdl };
        let (extents, stored) = match entry.sparse {
            // Only what is behind the valid data length was left out: the stream has no holes.
            Some(map)
                if self.ours && !flags.contains(StreamFlags::SPARSE) && is_only(&map.extents, whole) =>
            {
                (Extents::All, map.extents)
            }
            Some(map) => (Extents::Known(map.extents.clone()), map.extents),
            None => (Extents::All, vec![Extent { offset: 0, len: size }]),
        };
        self.content = Content { extents: stored, current: 0, done: 0 };
        self.head = StreamHead { name, size, vdl, flags, extents, amend: false };
        self.steps.push_back(Step::Stream);
        self.state = State::Content;
        if self.head.extents != Extents::All {
            self.tell_block();
        }
        Ok(())
    }

    pub(super) fn tell_block(&mut self) {
        if let Some(extent) = self.content.extents.get(self.content.current) {
            self.steps.push_back(Step::Block(*extent));
        }
    }

    pub(super) fn next_content(&mut self) -> Result<()> {
        if self.no_content {
            self.content = Content::default();
        }
        let Some(extent) = self.content.extents.get(self.content.current).copied() else {
            self.steps.push_back(Step::EndStream { size: self.head.size });
            self.state = State::Following;
            return Ok(());
        };
        let left = extent.len - self.content.done;
        if left == 0 {
            self.content.current += 1;
            self.content.done = 0;
            if self.head.extents != Extents::All {
                self.tell_block();
            }
            return Ok(());
        }
        let got = self.tar.take(left)? as u64;
        if got == 0 {
            return Err(Error::truncated(self.tar.input.offset(), "the data of an entry"));
        }
        self.steps.push_back(Step::Bytes { offset: extent.offset + self.content.done });
        self.content.done += got;
        Ok(())
    }

    pub(super) fn next_efs(&mut self) -> Result<()> {
        let offset = self.content.done;
        let got = if self.no_content { 0 } else { self.tar.take(u64::MAX)? as u64 };
        self.content.done += got;
        if got == 0 {
            self.steps.push_back(Step::EndEfs);
            self.state = State::Following;
        } else {
            self.steps.push_back(Step::EfsBytes { offset });
        }
        Ok(())
    }
}

fn is_only(extents: &[Extent], whole: Extent) -> bool {
    extents == [whole] || extents.is_empty() && whole.len == 0
}
