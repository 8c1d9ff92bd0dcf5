//! Extended headers: records `LENGTH KEY=VALUE\n`. The length rules, never the newline.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};

/// The records of one extended header, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    data: Vec<u8>,
    places: Vec<(Range<u32>, Range<u32>)>,
}

impl Records {
    /// Appends the records of `data`, which lie at `offset` of the archive.
    ///
    /// # Errors
    /// A record that is no record. Nothing is guessed: where one begins wrongly, so may all that follow.
    pub(crate) fn append(&mut self, data: &[u8], offset: u64) -> Result<()> {
        let base = self.data.len();
        self.data.extend_from_slice(data);
        let mut at = 0;
        // Zeros behind the last record are no record; some programs round up.
        while data.get(at..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)) {
            let rest = data.get(at..).unwrap_or_default();
            let place = offset + at as u64;
            let (len, key, value) = split(rest).map_err(|why| Error::malformed(place, "PAX record", why))?;
            let range = |range: Range<usize>| -> Option<Range<u32>> {
                let start = u32::try_from(base + at + range.start).ok()?;
                Some(start..u32::try_from(base + at + range.end).ok()?)
            };
            let (Some(key), Some(value)) = (range(key), range(value)) else {
                return Err(Error::malformed(place, "PAX header", "it is larger than 4 GiB"));
            };
            self.places.push((key, value));
            at += len;
        }
        Ok(())
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        self.data.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// All records, duplicates too.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|(key, value)| (self.slice(key), self.slice(value)))
    }

    /// The last record of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.iter().rev().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| value)
    }
}

/// One record at the start of `rest`: its length, and where its key and value are.
fn split(rest: &[u8]) -> Result<(usize, Range<usize>, Range<usize>), &'static str> {
    let space = rest.iter().take(21).position(|byte| *byte == b' ').ok_or("its length is no number")?;
    let digits = rest.get(..space).unwrap_or_default();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("its length is no number");
    }
    let len = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
    let record = len.and_then(|len| rest.get(..len)).ok_or("it is longer than its header")?;
    let body = record.get(space + 1..).ok_or("its length does not even cover itself")?;
    let Some((b'\n', body)) = body.split_last() else {
        return Err("there is no newline where its length ends");
    };
    let equals = body.iter().position(|byte| *byte == b'=').ok_or("it has no `=`")?;
    if equals == 0 {
        return Err("its key is empty");
    }
    let key = space + 1..space + 1 + equals;
    Ok((record.len(), key.clone(), key.end + 1..record.len() - 1))
}

/// Appends one record.
pub(crate) fn push(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    push_as(out, key, value.len(), |to| to.copy_from_slice(value));
}

/// The same with a value in base64.
pub(crate) fn push_base64(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    push_as(out, key, value.len().div_ceil(3) * 4, |to| {
        let done = STANDARD.encode_slice(value, to);
        debug_assert!(done.is_ok(), "there is just the room that it needs");
    });
}

/// Appends a record whose value has `len` bytes, and is written by `write`.
fn push_as(out: &mut Vec<u8>, key: &[u8], len: usize, write: impl FnOnce(&mut [u8])) {
    // Space, `=` and newline; then the digits of the length, which count themselves.
    let (value, body) = (len, key.len() + len + 3);
    let digits = |len: usize| len.ilog10() as usize + 1;
    let mut len = body + 1;
    while len != body + digits(len) {
        len = body + digits(len);
    }
    out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    let start = out.len();
    out.resize(start + value, 0);
    write(out.get_mut(start..).unwrap_or_default());
    out.push(b'\n');
}

/// Records of global headers that are in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct Globals {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: u64,
}

/// What a record costs beyond its bytes.
const RECORD: u64 = 64;

impl Globals {
    /// Puts the records of a global header in force.
    ///
    /// # Errors
    /// More than `limit` bytes in all.
    pub(crate) fn merge(&mut self, records: &Records, offset: u64, limit: u64) -> Result<()> {
        for (key, value) in records.iter() {
            if let Some(old) = self.records.remove(key) {
                self.bytes -= (key.len() + old.len()) as u64 + RECORD;
            }
            if !value.is_empty() {
                self.bytes += (key.len() + value.len()) as u64 + RECORD;
                self.records.insert(key.to_owned(), value.to_owned());
            }
        }
        if self.bytes > limit {
            return Err(Error::too_large(offset, "bytes of global PAX headers", self.bytes, limit));
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.records.get(key.as_bytes()).map(Vec::as_slice)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(data: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut records = Records::default();
        records.append(data, 0)?;
        Ok(records.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }

    #[test]
    fn the_length_rules_and_not_the_newline() {
        let mut data = Vec::new();
        push(&mut data, b"SCHILY.xattr.security.NTACL", b"a\n18 path=/etc/passwd\n\0=");
        push(&mut data, b"path", b"x");
        let records = records(&data).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].1, b"a\n18 path=/etc/passwd\n\0=");
        assert_eq!(records[1], (b"path".to_vec(), b"x".to_vec()));
    }

    #[test]
    fn lengths_count_themselves() {
        for len in [0, 1, 90, 91, 92, 93, 94, 95, 985, 986, 987, 988, 989, 990, 9985, 9986, 9987] {
            let mut data = Vec::new();
            push(&mut data, b"k", &vec![b'v'; len]);
            let text = data.split(|byte| *byte == b' ').next().unwrap();
            assert_eq!(std::str::from_utf8(text).unwrap(), data.len().to_string());
            assert_eq!(records(&data).unwrap()[0].1.len(), len);
        }
    }

    #[test]
    fn the_last_of_a_key_wins() {
        let mut all = Records::default();
        all.append(b"7 a=12\n6 a=3\n", 0).unwrap();
        all.append(b"7 b=45\n", 99).unwrap();
        assert_eq!((all.get("a"), all.get("b"), all.get("c")), (Some(&b"3"[..]), Some(&b"45"[..]), None));
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        for bad in [
            &b"x"[..],
            b"5 a=1\n",
            b"7 a=1\n",
            b"6 a=1",
            b"6 a=1 ",
            b"6 =12\n",
            b"6 a12\n",
            b" 6 a=1\n",
            b"-6 a=1\n",
            b"+6 a=1\n",
            b"2 ",
            b"1 a=1\n",
            b"0 a=1\n",
            b"99999999999999999999 a=1\n",
            b"99999999999999999999999999 a=1\n",
            b"6 a=1\nx",
        ] {
            assert!(records(bad).is_err(), "{}", bad.escape_ascii());
        }
        assert_eq!(records(b"6 a=1\n\0\0\0").unwrap().len(), 1);
        assert_eq!(records(b"").unwrap().len(), 0);
    }

    #[test]
    fn an_empty_value_takes_a_global_record_back() {
        let mut globals = Globals::default();
        let mut records = Records::default();
        records.append(b"6 a=1\n6 b=2\n", 0).unwrap();
        globals.merge(&records, 0, 1000).unwrap();
        assert_eq!(globals.get("a"), Some(&b"1"[..]));
        let mut records = Records::default();
        records.append(b"5 a=\n", 0).unwrap();
        globals.merge(&records, 0, 1000).unwrap();
        assert_eq!((globals.get("a"), globals.get("b")), (None, Some(&b"2"[..])));
        assert!(globals.merge(&records, 0, 10).is_err());
    }

    proptest! {
        #[test]
        fn any_records_round_trip(list in prop::collection::vec(("[^=]{1,20}", any::<Vec<u8>>()), 0..10)) {
            let mut data = Vec::new();
            for (key, value) in &list {
                push(&mut data, key.as_bytes(), value);
            }
            let expected: Vec<_> = list.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
            prop_assert_eq!(records(&data).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_read_or_refused(data: Vec<u8>) {
            let _ = records(&data);
        }
    }
}
