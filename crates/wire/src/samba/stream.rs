/*!
`user.DosStream.NAME:$DATA`: an alternate data stream as an extended attribute.

The value is the stream and **one byte more**: 0, or in newer versions the number of parts when the stream goes on in
`user.DosStreamExt.1.NAME:$DATA`, `…Ext.2.…` and so on, which have no such byte. With `store_stream_type = no` the name
lacks `:$DATA`.
*/

use crate::name::Name;
use crate::stream::StreamName;

/// What stands before the name of a stream.
pub const PREFIX: &str = "user.DosStream.";
/// What stands before the number and the name of a further part.
pub const PART_PREFIX: &str = "user.DosStreamExt.";
/// What stands behind the name.
pub const SUFFIX: &str = ":$DATA";
/// The most parts that a stream has.
pub const MAX_PARTS: u8 = 15;

/// The stream that an attribute of this name holds; `None` when it is another attribute, or a name that no stream has.
#[must_use]
pub fn stream_of(attribute: &[u8]) -> Option<StreamName> {
    let name = attribute.strip_prefix(PREFIX.as_bytes())?;
    let bare = match name.len().checked_sub(SUFFIX.len()).and_then(|at| name.split_at_checked(at)) {
        Some((bare, kind)) if kind.eq_ignore_ascii_case(SUFFIX.as_bytes()) => bare,
        _ => name,
    };
    StreamName::new(Name::from_wtf8(bare)?).ok()
}

/// The attribute of a stream.
#[must_use]
pub fn attribute_of(stream: &StreamName) -> Vec<u8> {
    [PREFIX.as_bytes(), &stream.name().to_wtf8(), SUFFIX.as_bytes()].concat()
}

/// The attribute of a further part, counted from 1, of the stream in `attribute`.
#[must_use]
pub fn part_of(attribute: &[u8], number: u8) -> Option<Vec<u8>> {
    let name = attribute.strip_prefix(PREFIX.as_bytes())?;
    Some([PART_PREFIX.as_bytes(), format!("{number}.").as_bytes(), name].concat())
}

/// The bytes of a stream (of its first part) in a value, and how many parts there are: 0 and 1 mean this one.
#[must_use]
pub fn parse(value: &[u8]) -> Option<(&[u8], u8)> {
    let (parts, content) = value.split_last()?;
    Some((content, *parts))
}

/// The value for a stream.
#[must_use]
pub fn build(content: &[u8]) -> Vec<u8> {
    [content, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bs_68_the_trailing_byte_is_not_content() {
        assert_eq!(parse(b"abc\0"), Some((&b"abc"[..], 0)));
        assert_eq!(parse(b"\0"), Some((&b""[..], 0)));
        assert_eq!(parse(b"abc\x02"), Some((&b"abc"[..], 2)));
        assert_eq!(parse(b""), None);
        assert_eq!(build(b"abc"), b"abc\0");
    }

    #[test]
    fn names_go_both_ways() {
        let stream = StreamName::new(Name::from("Zone.Identifier")).unwrap();
        let attribute = attribute_of(&stream);
        assert_eq!(attribute, b"user.DosStream.Zone.Identifier:$DATA");
        assert_eq!(stream_of(&attribute), Some(stream.clone()));
        assert_eq!(stream_of(b"user.DosStream.Zone.Identifier"), Some(stream));
        assert_eq!(part_of(&attribute, 2).unwrap(), b"user.DosStreamExt.2.Zone.Identifier:$DATA");
        for other in
            [&b"user.DosStream."[..], b"user.DosStream.:$DATA", b"user.DosStream.a/b:$DATA", b"user.x"]
        {
            assert_eq!(stream_of(other), None, "{other:?}");
        }
    }
}
