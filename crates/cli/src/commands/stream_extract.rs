//! `ntbak stream extract`: the content of one stream out of a backup stream.

use std::path::Path;

use ntbak_wire::record::Record;
use ntbak_wire::stream::{Decoded, Decoder, Event, RecordDecoder, StreamId, StreamName};
use ntbak_wire::{Name, Win32Error};

use crate::args::Extract;
use crate::commands::Done;
use crate::failure::Failure;
use crate::input::Input;
use crate::output::Output;

pub(crate) fn run(file: Option<&Path>, what: &Extract, output: Option<&Path>) -> Done {
    let mut input = Input::open(file)?;
    let output = Output::open(output)?;
    let extracted = match (&what.name, what.id) {
        (_, Some(id)) => payload(&mut input, id, output),
        (Some(name), None) => {
            let wire = Name::from(format!(":{}", name.strip_prefix(':').unwrap_or(name)).as_str());
            let name =
                StreamName::from_wire(&wire).map_err(|error| Failure::Usage(format!("--name: {error}")))?;
            content(&mut input, Some(&name), output)
        }
        (None, None) => content(&mut input, None, output),
    };
    extracted.map_err(|failure| match failure {
        Failure::Library(error) => Failure::Library(error.at_path(input.name())),
        other => other,
    })?;
    Ok(None)
}

/// The raw payload of the first stream with this id.
fn payload(input: &mut Input, id: u32, mut output: Output) -> Result<(), Failure> {
    let wanted = StreamId::from(id);
    let mut decoder = Decoder::new();
    let mut inside = false;
    loop {
        let mut bytes = input.read()?;
        if bytes.is_empty() {
            decoder.finish()?;
            return Err(missing(format!("there is no stream with the id {id}")));
        }
        while let Some(event) = decoder.next(&mut bytes)? {
            match event {
                Event::Header(header) => inside = header.id == wanted,
                Event::Payload { data, .. } if inside => output.write(data)?,
                Event::Payload { .. } => {}
                Event::End if inside => return output.finish(),
                Event::End => {}
            }
        }
    }
}

/// The content of a data stream, its holes as holes in a file and as zeros elsewhere.
fn content(input: &mut Input, name: Option<&StreamName>, output: Output) -> Result<(), Failure> {
    let wanted = ntbak::memory::StreamKey::of(name);
    let mut decoder = RecordDecoder::new();
    let mut content = Content { output, at: 0, len: 0, found: false, inside: false };
    let mut forgiven = None;
    loop {
        let mut bytes = input.read()?;
        let ended = bytes.is_empty();
        loop {
            let error = match decoder.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Decoded::Ignored(_))) => continue,
                Ok(Some(Decoded::Record(record))) => {
                    content.put(&record, |name| ntbak::memory::StreamKey::of(name) == wanted)?;
                    continue;
                }
                Err(error) => error,
            };
            // A stream of a kind that nobody knows is not the one that is wanted; it is refused once, with its header.
            let (header, offset) = decoder.current();
            if !matches!(header.id, StreamId::Unknown(_)) || forgiven == Some(offset) {
                return Err(error.into());
            }
            forgiven = Some(offset);
        }
        if ended {
            break;
        }
    }
    if let Some(record) = decoder.finish()? {
        content.put(&record, |_| false)?;
    }
    match (content.found, name) {
        // An empty file has no DATA stream.
        (true, _) | (false, None) => content.output.finish(),
        (false, Some(name)) => Err(missing(format!("there is no stream called {name}"))),
    }
}

struct Content {
    output: Output,
    /// Where in the content the output stands.
    at: u64,
    /// Size so far.
    len: u64,
    found: bool,
    inside: bool,
}

impl Content {
    fn put(
        &mut self,
        record: &Record<'_>,
        is_wanted: impl Fn(Option<&StreamName>) -> bool,
    ) -> Result<(), Failure> {
        match record {
            Record::Stream(head) => {
                self.inside = is_wanted(head.name.as_ref());
                if self.inside && !head.amend {
                    self.restart()?;
                }
            }
            Record::Bytes { offset, data } if self.inside => {
                self.go_to(*offset)?;
                self.output.write(data)?;
                self.at += data.len() as u64;
                self.len = self.len.max(self.at);
            }
            Record::EndStream { size } if self.inside => {
                self.inside = false;
                self.len = self.len.max(*size);
                if !self.output.set_len(self.len)? {
                    self.go_to(self.len)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A second stream of the same name takes the place of the first.
    fn restart(&mut self) -> Result<(), Failure> {
        if self.found && self.len > 0 {
            if !self.output.set_len(0)? {
                return Err(unordered("the stream comes a second time"));
            }
            self.output.seek(0)?;
        }
        (self.found, self.at, self.len) = (true, 0, 0);
        Ok(())
    }

    fn go_to(&mut self, offset: u64) -> Result<(), Failure> {
        const ZEROS: &[u8] = &[0; 65_536];
        if offset == self.at || self.output.seek(offset)? {
            self.at = offset;
            return Ok(());
        }
        if offset < self.at {
            return Err(unordered("the blocks of the stream are not in order"));
        }
        while self.at < offset {
            let len = usize::try_from(offset - self.at).map_or(ZEROS.len(), |gap| gap.min(ZEROS.len()));
            self.output.write(ZEROS.get(..len).unwrap_or_default())?;
            self.at += len as u64;
        }
        Ok(())
    }
}

fn unordered(why: &'static str) -> Failure {
    ntbak::Error::new(Win32Error::INVALID_DATA, why).hint("write it to a file: -o FILE").into()
}

fn missing(why: String) -> Failure {
    ntbak::Error::new(Win32Error::FILE_NOT_FOUND, why).hint("`ntbak stream list` shows what is there").into()
}
