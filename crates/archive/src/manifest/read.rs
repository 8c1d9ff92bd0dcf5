//! Lines of the manifest, read again: the mirror of [`write`](super::write).

use ntbak_wire::Name;
use ntbak_wire::stream::StreamName;
use serde_json::Value;

use super::write::{Closing, closing_line};
use crate::remark::Remark;
use crate::tar::Span;
use crate::volume::get_bytes;

/// One entry, as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The file, as the archive has it.
    pub path: Vec<u8>,
    /// The stream in WTF-8; empty for an entry that belongs to the file and is no stream; `None` for the file itself.
    pub stream: Option<Vec<u8>>,
    /// Where the entry begins: bytes of the uncompressed archive.
    pub offset: u64,
    /// Its bytes, headers and padding included.
    pub size: u64,
    /// The BLAKE3 of these bytes.
    pub blake3: [u8; 32],
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Entry(ManifestEntry),
    Remark(Remark),
    Closing(Closing, [u8; 32]),
}

impl ManifestEntry {
    pub(crate) fn span(&self) -> Span {
        Span { offset: self.offset, size: self.size, hash: self.blake3 }
    }
}

/// Cuts bytes that come in pieces into lines.
#[derive(Default)]
pub(crate) struct Cutter {
    rest: Vec<u8>,
}

impl Cutter {
    /// The next line with its newline, out of the rest of the last piece and this one, which loses what was taken.
    ///
    /// # Errors
    /// A line of more than `limit` bytes.
    pub(crate) fn next(
        &mut self,
        piece: &mut &[u8],
        limit: usize,
        line: &mut Vec<u8>,
    ) -> Result<bool, String> {
        let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (head, tail) = piece.split_at_checked(end.unwrap_or(piece.len())).unwrap_or_default();
        *piece = tail;
        if self.rest.len() + head.len() > limit {
            return Err(format!("a line has more than {limit} bytes"));
        }
        self.rest.extend_from_slice(head);
        if end.is_none() {
            return Ok(false);
        }
        line.clear();
        std::mem::swap(line, &mut self.rest);
        Ok(true)
    }

    /// Whether all lines were whole.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

fn hash(value: &Value) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(value.get("blake3")?.as_str()?).ok().map(|hash| *hash.as_bytes())
}

/// Reads one line.
pub(crate) fn parse(line: &[u8]) -> Result<Line, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let number =
        |key: &str| value.get(key).and_then(Value::as_u64).ok_or(format!("there is no number {key:?}"));
    let bytes = |key: &str| get_bytes(&value, key).ok_or(format!("there is no {key:?}"));
    let kind = match value.get("type") {
        None => {
            let raw = |key: &str| value.get(key).is_some();
            let stream = if raw("stream") || raw("stream_raw") { Some(bytes("stream")?) } else { None };
            return Ok(Line::Entry(ManifestEntry {
                path: bytes("path")?,
                stream,
                offset: number("offset")?,
                size: number("size")?,
                blake3: hash(&value).ok_or("there is no hash")?,
            }));
        }
        Some(kind) => kind.as_str().unwrap_or_default(),
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let remark = |loss: Option<String>, why: &str| -> Result<Line, String> {
        let stream = get_bytes(&value, "stream").and_then(|bytes| Name::from_wtf8(&bytes));
        Ok(Line::Remark(Remark {
            loss: loss.map(Into::into),
            path: bytes("path")?,
            stream: stream.and_then(|name| StreamName::new(name).ok()),
            why: text(why).unwrap_or_default(),
        }))
    };
    match kind {
        "loss" => remark(Some(text("kind").ok_or("a loss has no kind")?), "why"),
        "note" => remark(None, "what"),
        "end" => {
            let closing = Closing {
                entries: number("entries")?,
                size: number("size")?,
                losses: number("losses")?,
                notes: number("notes")?,
            };
            Ok(Line::Closing(closing, hash(&value).ok_or("there is no hash")?))
        }
        other => Err(format!("a line has the unknown type {other:?}")),
    }
}

/// Whether a closing line is exactly the one that a writer makes.
pub(crate) fn is_exact(line: &[u8], closing: &Closing, hash: &[u8; 32]) -> bool {
    closing_line(closing, hash) == line
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::write::Lines;
    use super::*;

    fn manifest(lines: Lines) -> Vec<u8> {
        let closed = lines.close(4608).unwrap();
        let (len, mut out) = (closed.len(), Vec::new());
        let copied = closed.copy::<std::io::Error>(|line| {
            out.extend_from_slice(line);
            Ok(())
        });
        copied.unwrap();
        assert_eq!(out.len() as u64, len);
        out
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let span = Span { offset: 512, size: 1024, hash: [7; 32] };
        let stream = StreamName::new(Name::from_units(vec![0xD800, 1])).unwrap();
        let loss = Remark::loss("ea", b"a\xFF", "why \"not\"\n").in_stream(Some(&stream));
        let note = Remark::note(b"b", "what");
        let mut lines = Lines::new(Box::new(Cursor::new(Vec::new())));
        lines.remark(&loss).unwrap();
        lines.entry(b"a\xFF\n", None, &span).unwrap();
        lines.remark(&note).unwrap();
        lines.entry(b"a", Some(b""), &span).unwrap();
        let text = manifest(lines);
        let mut read = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            read.push(parse(line).unwrap());
        }
        let entry = |path: &[u8], stream: Option<&[u8]>| {
            let (path, stream) = (path.to_owned(), stream.map(<[u8]>::to_owned));
            Line::Entry(ManifestEntry { path, stream, offset: 512, size: 1024, blake3: [7; 32] })
        };
        let end = text.len() - text.rsplit(|byte| *byte == b'\n').nth(1).unwrap().len() - 1;
        let hash = *blake3::hash(&text[..end]).as_bytes();
        let closing = Closing { entries: 2, size: 4608, losses: 1, notes: 1 };
        let expected = [
            entry(b"a\xFF\n", None),
            entry(b"a", Some(b"")),
            Line::Remark(loss),
            Line::Remark(note),
            Line::Closing(closing, hash),
        ];
        assert_eq!(read, expected);
        assert!(is_exact(&text[end..], &closing, &hash));
        assert!(String::from_utf8_lossy(&text).contains(r#""path_raw":"Yf8K""#));
    }

    #[test]
    fn lines_come_out_of_any_pieces() {
        let text = b"one\ntwo\n\nthree";
        for size in 1..text.len() {
            let (mut lines, mut cutter) = (Vec::new(), Cutter::default());
            for mut piece in text.chunks(size) {
                let mut line = Vec::new();
                while !piece.is_empty() {
                    if cutter.next(&mut piece, 100, &mut line).unwrap() {
                        lines.push(line.clone());
                    }
                }
            }
            assert_eq!(lines, [b"one\n".to_vec(), b"two\n".to_vec(), b"\n".to_vec()]);
            assert!(!cutter.is_empty());
        }
        let mut cutter = Cutter::default();
        assert!(cutter.next(&mut &text[..], 3, &mut Vec::new()).is_err());
    }
}
