//! `ntbak stream list`: the headers of a backup stream, and what is behind them.

use std::fmt::Write as _;
use std::path::Path;

use ntbak_wire::record::SmallKind;
use ntbak_wire::stream::{Decoder, Event, Header, Position, StreamAttributes, StreamId, sparse};
use serde_json::{Value, json};

use crate::commands::{Done, count};
use crate::explain;
use crate::failure::Failure;
use crate::input::Input;
use crate::json as member;
use crate::output::Output;

/// How the list looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A line a stream.
    Plain,
    /// With its payload explained.
    Explained,
    /// A JSON object a stream.
    Json,
}

/// Bytes of content that are kept to be shown.
const PREVIEW: usize = 33;

pub(crate) fn run(file: Option<&Path>, form: Form, strict: bool) -> Done {
    let mut input = Input::open(file)?;
    let mut output = Output::open(None)?;
    let mut decoder = if strict { Decoder::strict() } else { Decoder::new() };
    let mut list = List { form, streams: 0, current: None };
    if form != Form::Json {
        output.write(b"    OFFSET  ID                         ATTR            SIZE  NAME\n")?;
    }
    let listed = read(&mut input, &mut decoder, &mut list, &mut output);
    // What was read before a fault is shown all the same.
    if let Some(entry) = list.current.take() {
        output.write(entry.print(form).as_bytes())?;
    }
    if form != Form::Json {
        let total = format!("{}, {}\n", count(list.streams, "stream"), count(decoder.offset(), "byte"));
        output.write(total.as_bytes())?;
    }
    output.finish()?;
    let place = |error: ntbak_wire::Error| Failure::from(ntbak::Error::from(error).at_path(input.name()));
    match listed {
        Ok(()) => decoder.finish().map_err(place)?,
        Err(Fault::Format(error)) => return Err(place(error)),
        Err(Fault::Other(failure)) => return Err(failure),
    }
    Ok(None)
}

enum Fault {
    Format(ntbak_wire::Error),
    Other(Failure),
}

struct List {
    form: Form,
    streams: u64,
    current: Option<Entry>,
}

/// A stream that is being listed.
struct Entry {
    offset: u64,
    header: Header,
    /// The payload as far as it is wanted.
    payload: Vec<u8>,
    wanted: usize,
}

fn read(input: &mut Input, decoder: &mut Decoder, list: &mut List, output: &mut Output) -> Result<(), Fault> {
    loop {
        let mut bytes = input.read().map_err(Fault::Other)?;
        if bytes.is_empty() {
            return Ok(());
        }
        while let Some(event) = decoder.next(&mut bytes).map_err(Fault::Format)? {
            match event {
                Event::Header(header) => {
                    let offset = decoder.offset() - header.encoded_len() as u64;
                    list.current = Some(Entry::new(offset, header, list.form));
                    list.streams += 1;
                }
                Event::Payload { data, .. } => {
                    if let Some(entry) = &mut list.current {
                        let room = entry.wanted - entry.payload.len();
                        entry.payload.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                    }
                }
                Event::End => {
                    if let Some(entry) = list.current.take() {
                        output.write(entry.print(list.form).as_bytes()).map_err(Fault::Other)?;
                    }
                }
            }
        }
        // A payload that nobody looks at need not be read.
        if let Position::Payload { left } = decoder.position()
            && list.current.as_ref().is_some_and(|entry| entry.payload.len() == entry.wanted)
        {
            decoder.skip(input.skip(left));
        }
    }
}

impl Entry {
    fn new(offset: u64, header: Header, form: Form) -> Self {
        let wanted = match SmallKind::from_stream_id(header.id) {
            _ if header.id == StreamId::SparseBlock => sparse::OFFSET_LEN as usize,
            _ if form == Form::Plain => 0,
            Some(kind) => usize::try_from(kind.max_len()).unwrap_or(0),
            None => PREVIEW,
        };
        let wanted = usize::try_from(header.size).map_or(wanted, |size| size.min(wanted));
        Self { offset, header, payload: Vec::new(), wanted }
    }

    fn print(&self, form: Form) -> String {
        match form {
            Form::Json => format!("{}\n", self.json()),
            Form::Plain => self.line(),
            Form::Explained => self.line() + &self.explanation(),
        }
    }

    fn line(&self) -> String {
        let Header { id, attributes, size, name } = &self.header;
        let mut line = format!(
            "{:>10}  {:>2} {:<22}  {:>4}  {size:>14}  {name}",
            self.offset,
            u32::from(*id),
            id.name(),
            attribute_letters(*attributes),
        );
        if let Some(offset) = self.block_offset() {
            let content = size - sparse::OFFSET_LEN;
            let what = if content == 0 { "end at".to_owned() } else { format!("{content} bytes at") };
            let _ = write!(line, "{what} {offset}");
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }

    fn explanation(&self) -> String {
        let mut text = String::new();
        let lines = match SmallKind::from_stream_id(self.header.id) {
            Some(kind) if self.payload.len() as u64 == self.header.size => {
                explain::lines(kind, &self.payload)
            }
            _ if self.header.id == StreamId::SparseBlock => vec![],
            _ if self.payload.is_empty() => vec![],
            _ => preview(&self.payload),
        };
        for line in lines {
            let _ = writeln!(text, "{:14}{line}", "");
        }
        if self.header.id == StreamId::AlternateData
            && let Err(error) = self.header.stream_name()
        {
            let _ = writeln!(text, "{:14}not a name that can be restored: {error}", "");
        }
        text
    }

    fn json(&self) -> Value {
        let Header { id, attributes, size, name } = &self.header;
        let mut entry = json!({
            "offset": self.offset,
            "id": u32::from(*id),
            "type": id.name(),
            "attributes": attributes.bits(),
            "size": size,
        });
        if !name.is_empty() {
            member::put_name(&mut entry, "name", name);
        }
        if let Some(offset) = self.block_offset() {
            member::put(&mut entry, "block_offset", offset.into());
        }
        if let Some(kind) = SmallKind::from_stream_id(*id)
            && self.payload.len() as u64 == *size
        {
            explain::put_json(&mut entry, kind, &self.payload);
        }
        entry
    }

    /// The offset of a SPARSE_BLOCK.
    fn block_offset(&self) -> Option<u64> {
        let offset = self.payload.first_chunk().copied().map(u64::from_le_bytes);
        offset.filter(|_| self.header.id == StreamId::SparseBlock)
    }
}

fn attribute_letters(attributes: StreamAttributes) -> String {
    let letters = [
        (StreamAttributes::MODIFIED_WHEN_READ, 'M'),
        (StreamAttributes::CONTAINS_SECURITY, 'S'),
        (StreamAttributes::CONTAINS_PROPERTIES, 'P'),
        (StreamAttributes::SPARSE, 'H'),
        (StreamAttributes::CONTAINS_GHOSTED_FILE_EXTENTS, 'G'),
    ];
    let mut text: String =
        letters.iter().filter(|(flag, _)| attributes.contains(*flag)).map(|(_, c)| c).collect();
    if attributes.bits() & !0x1F != 0 {
        text.push('+');
    }
    if text.is_empty() { "-".into() } else { text }
}

/// The first bytes of content: as text when they are text.
fn preview(payload: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(payload).or_else(|error| {
        // The preview may have cut a character.
        std::str::from_utf8(payload.get(..error.valid_up_to()).unwrap_or_default())
    });
    let cut = payload.len() == PREVIEW;
    match text {
        Ok(text)
            if text.len() + 3 >= payload.len()
                && !text.chars().any(|c| c.is_control() && !c.is_whitespace()) =>
        {
            vec![format!("{:?}{}", text, if cut { " …" } else { "" })]
        }
        _ => vec![explain::hex(payload)],
    }
}
