//! EFS_DROP_ALTERNATE_STREAMS: only the unnamed stream of an encrypted file, both ways.

use ntbak_wire::efs::{Decoder, Encoder, Event, StreamPlan};

use super::Encrypted;
use crate::error::Result;

/// An encrypted file without its named streams.
pub(crate) struct Unnamed<'s> {
    file: Box<dyn Encrypted + 's>,
    /// The unnamed stream, and its number among all.
    streams: Vec<StreamPlan>,
    number: usize,
}

impl<'s> Unnamed<'s> {
    pub(crate) fn new(file: Box<dyn Encrypted + 's>) -> Self {
        let number = file.streams().iter().position(|plan| plan.head.name.is_none());
        let streams = number.and_then(|number| file.streams().get(number)).cloned().into_iter().collect();
        Self { file, streams, number: number.unwrap_or(0) }
    }
}

impl Encrypted for Unnamed<'_> {
    fn metadata(&self) -> &[u8] {
        self.file.metadata()
    }

    fn streams(&self) -> &[StreamPlan] {
        &self.streams
    }

    fn read_stored(&self, _stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.file.read_stored(self.number, offset, buf)
    }
}

/// Takes the named streams out of raw data that pass through.
#[derive(Debug, Default)]
pub(crate) struct DropNamed {
    decoder: Decoder,
    encoder: Encoder,
    passing: bool,
    encrypted: bool,
}

impl DropNamed {
    /// What of these bytes goes on.
    pub(crate) fn pass(&mut self, mut input: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(input.len());
        while let Some(event) = self.decoder.next(&mut input)? {
            self.enter(event, &mut out)?;
        }
        Ok(out)
    }

    /// What goes on at the end.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(event) = self.decoder.finish()? {
            self.enter(event, &mut out)?;
        }
        Ok(out)
    }

    fn enter(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<()> {
        match event {
            Event::Metadata(metadata) => self.encoder.metadata(&metadata, out)?,
            Event::Stream(head) => {
                (self.passing, self.encrypted) = (head.name.is_some(), head.encrypted);
                if !self.passing {
                    self.encoder.stream(&head, out)?;
                }
            }
            _ if self.passing => {}
            Event::Segment(segment) => self.encoder.segment(&segment, out)?,
            Event::Data { data, .. } => {
                if !self.encrypted {
                    self.encoder.plain_segment(data.len() as u32, out)?;
                }
                self.encoder.data(data, out)?;
            }
            Event::EndStream(_) => {}
        }
        Ok(())
    }
}
