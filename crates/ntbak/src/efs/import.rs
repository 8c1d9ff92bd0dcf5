//! Taking a raw export apart: the mirror of [`ExportReader`](super::ExportReader).

use ntbak_wire::FileAttributes;
use ntbak_wire::efs::{Decoder, Event, Segment, StreamEnd, StreamHead};
use ntbak_wire::record::{Record, SmallKind};

use crate::error::Result;
use crate::report::FileReport;
use crate::restore::{Restore, Unheld};
use crate::sink::FileSink;
use crate::source::FileSource;

/// Makes an encrypted file of raw data that `read` gives, block by block; no bytes are the end. What `there`, the file that
/// is replaced, has beside its streams stays: descriptor, attributes, creation time, EAs, object id, and what Linux keeps.
///
/// # Errors
/// The data are not in the export format or are cut (6008), the sink cannot hold or write them, `read` fails. A staged
/// sink leaves nothing behind then.
pub fn import_raw(
    sink: Box<dyn FileSink>,
    there: Option<&dyn FileSource>,
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
    report: &FileReport<'_>,
) -> Result<()> {
    let mut restore = Restore::new(sink, Unheld::Report);
    if let Some(there) = there {
        let mut info = there.info()?;
        let streams =
            FileAttributes::COMPRESSED | FileAttributes::SPARSE_FILE | FileAttributes::REPARSE_POINT;
        info.attributes.remove(streams);
        info.attributes.insert(FileAttributes::ENCRYPTED);
        // The content is new, and so are its times.
        (info.times.written, info.times.accessed, info.times.changed) = (None, None, None);
        restore.put(&Record::File(&info), report)?;
        // An ACL among them: without it, the mode would give its mask to the group.
        let mut index = 0;
        while let Some((name, value)) = there.linux_attribute(index)? {
            restore.put(&Record::LinuxAttribute { name, value }, report)?;
            index += 1;
        }
        for kind in [SmallKind::Security, SmallKind::Ea, SmallKind::ObjectId] {
            if let Some(payload) = there.small(kind)? {
                restore.put(&Record::Small(kind, payload), report)?;
            }
        }
    }
    restore.put(&Record::EfsRaw { size: None }, report)?;
    let (mut block, mut size) = (vec![0; BLOCK], 0);
    loop {
        let got = read(&mut block)?;
        let data = block.get(..got).unwrap_or_default();
        if data.is_empty() {
            break;
        }
        restore.put(&Record::Bytes { offset: size, data }, report)?;
        size += data.len() as u64;
    }
    restore.put(&Record::EndStream { size }, report)?;
    restore.put(&Record::EndFile, report)?;
    restore.commit(report)
}

/// Bytes that are asked for at a time.
pub(crate) const BLOCK: usize = 64 << 10;

/// Where an encrypted file is written.
pub(crate) trait ImportTarget {
    /// What EFS keeps of the file. Comes once, first.
    fn efs_metadata(&mut self, metadata: Vec<u8>) -> Result<()>;
    /// A stream begins.
    fn efs_stream(&mut self, head: StreamHead) -> Result<()>;
    /// A segment of an encrypted stream begins.
    fn efs_segment(&mut self, segment: &Segment) -> Result<()>;
    /// Content as it is stored, in ascending order; what none covers is a hole.
    fn efs_data(&mut self, offset: u64, data: &[u8]) -> Result<()>;
    /// The stream is complete.
    fn efs_end_stream(&mut self, end: StreamEnd) -> Result<()>;
}

/// A raw export that comes in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Import {
    decoder: Decoder,
}

impl Import {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut input: &[u8], target: &mut dyn ImportTarget) -> Result<()> {
        while let Some(event) = self.decoder.next(&mut input)? {
            deliver(event, target)?;
        }
        Ok(())
    }

    /// Says that these were all.
    pub(crate) fn finish(&mut self, target: &mut dyn ImportTarget) -> Result<()> {
        while let Some(event) = self.decoder.finish()? {
            deliver(event, target)?;
        }
        Ok(())
    }
}

fn deliver(event: Event<'_>, target: &mut dyn ImportTarget) -> Result<()> {
    match event {
        Event::Metadata(metadata) => target.efs_metadata(metadata),
        Event::Stream(head) => target.efs_stream(head),
        Event::Segment(segment) => target.efs_segment(&segment),
        Event::Data { offset, data } => target.efs_data(offset, data),
        Event::EndStream(end) => target.efs_end_stream(end),
    }
}
