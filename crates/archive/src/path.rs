//! Paths of entries: the bytes as they are, and what may be wrong with them.
//!
//! A reader decides nothing here. It delivers the bytes, the components, and every [flaw](PathFlaws) that it sees; what
//! a flaw means depends on where the file goes. [`EntryPath::plain`] is the safe choice for any target.

use bitflags::bitflags;
use ntbak_wire::Name;

use crate::manifest::FOLDER;

bitflags! {
    /// What may be wrong with the path of an entry.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct PathFlaws: u16 {
        /// It begins with `/`.
        const ABSOLUTE = 1 << 0;
        /// A component is `..`.
        const PARENT = 1 << 1;
        /// A component is empty (`a//b`), or the path itself.
        const EMPTY = 1 << 2;
        /// A component behind the first one is `.`.
        const CURRENT = 1 << 3;
        /// It has a NUL.
        const NUL = 1 << 4;
        /// A component has a `:`, which opens a stream on Windows and below ntfs-3g.
        const COLON = 1 << 5;
        /// A component has a `\`, which separates components on Windows.
        const BACKSLASH = 1 << 6;
        /// It is not WTF-8: a name that Windows cannot have.
        const NOT_WTF8 = 1 << 7;
    }
}

impl PathFlaws {
    /// Flaws with which no target should take a path: it could leave the target, or is no path at all.
    pub const DANGEROUS: Self =
        Self::ABSOLUTE.union(Self::PARENT).union(Self::EMPTY).union(Self::CURRENT).union(Self::NUL);

    /// What each flaw is, for people.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::ABSOLUTE, "it is absolute"),
        (Self::PARENT, "it has the component `..`"),
        (Self::EMPTY, "it has an empty component"),
        (Self::CURRENT, "it has the component `.`"),
        (Self::NUL, "it has a NUL"),
        (Self::COLON, "it has a `:`"),
        (Self::BACKSLASH, "it has a `\\`"),
        (Self::NOT_WTF8, "it is not UTF-8"),
    ];

    /// The first flaw in words.
    #[must_use]
    pub fn why(self) -> &'static str {
        Self::NAMES.iter().find(|(flaw, _)| self.intersects(*flaw)).map_or("nothing is wrong", |(_, why)| why)
    }
}

/// The path of an entry: relative to the root of the archive, `/`-separated, without a leading `./` or a trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EntryPath {
    bytes: Vec<u8>,
    flaws: PathFlaws,
}

impl EntryPath {
    /// Looks at a path as an archive has it. `./` and `.` are the root, whose path has no bytes.
    #[must_use]
    pub fn new(stored: &[u8]) -> Self {
        let (bytes, flaws) = look(stored);
        Self { bytes: bytes.to_owned(), flaws }
    }

    /// The bytes, whatever they are; none for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is the root directory itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.bytes.is_empty() && self.flaws.is_empty()
    }

    /// What may be wrong with it.
    #[must_use]
    pub fn flaws(&self) -> PathFlaws {
        self.flaws
    }

    /// The components as they are, `..` and empty ones included; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'/').filter(|_| !self.bytes.is_empty())
    }

    /// The components, when no flaw is [dangerous](PathFlaws::DANGEROUS).
    ///
    /// # Errors
    /// Those flaws that are.
    pub fn plain(&self) -> Result<impl DoubleEndedIterator<Item = &[u8]>, PathFlaws> {
        let dangerous = self.flaws & PathFlaws::DANGEROUS;
        if dangerous.is_empty() { Ok(self.components()) } else { Err(dangerous) }
    }

    /// The last component; none for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The start of the name of a stream entry of this file: `NAME:`.
    pub(crate) fn stream_prefix(&self) -> Vec<u8> {
        let name = if self.bytes.is_empty() { b"." } else { self.bytes.as_slice() };
        [name, b":"].concat()
    }
}

/// A path as an archive has it without what says nothing, and what may be wrong with it.
pub(crate) fn look(stored: &[u8]) -> (&[u8], PathFlaws) {
    let mut bytes = stored;
    while let Some(rest) = bytes.strip_prefix(b"./") {
        bytes = rest;
    }
    if !stored.is_empty() && bytes.is_empty() || bytes == b"." {
        return (b"", PathFlaws::empty());
    }
    let trimmed = match bytes.strip_suffix(b"/") {
        Some(rest) if !rest.is_empty() => rest,
        _ => bytes,
    };
    (trimmed, flaws(trimmed))
}

fn flaws(path: &[u8]) -> PathFlaws {
    let mut flaws = PathFlaws::empty();
    flaws.set(PathFlaws::ABSOLUTE, path.starts_with(b"/"));
    for component in path.split(|byte| *byte == b'/') {
        flaws.set(PathFlaws::EMPTY, flaws.contains(PathFlaws::EMPTY) || component.is_empty());
        flaws.set(PathFlaws::PARENT, flaws.contains(PathFlaws::PARENT) || component == b"..");
        flaws.set(PathFlaws::CURRENT, flaws.contains(PathFlaws::CURRENT) || component == b".");
    }
    flaws.set(PathFlaws::NUL, path.contains(&0));
    flaws.set(PathFlaws::COLON, path.contains(&b':'));
    flaws.set(PathFlaws::BACKSLASH, path.contains(&b'\\'));
    flaws.set(PathFlaws::NOT_WTF8, std::str::from_utf8(path).is_err() && Name::from_wtf8(path).is_none());
    flaws
}

/// A source's own `.ntbak` gets a `~`, and so does what has some already.
pub(crate) fn escape(path: &[u8]) -> Vec<u8> {
    match path.strip_prefix(FOLDER) {
        Some(rest) if is_escapable(rest) => [FOLDER, b"~", rest].concat(),
        _ => path.to_owned(),
    }
}

/// The way back of [`escape`].
pub(crate) fn unescape(path: &[u8]) -> Vec<u8> {
    let escaped = [FOLDER, b"~"].concat();
    match path.strip_prefix(escaped.as_slice()) {
        Some(rest) if is_escapable(rest) => [FOLDER, rest].concat(),
        _ => path.to_owned(),
    }
}

/// Whether only `~` stand between the name and the end of its component.
fn is_escapable(rest: &[u8]) -> bool {
    matches!(rest.iter().find(|byte| **byte != b'~'), None | Some(b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws_are_told_and_never_hidden() {
        for (stored, bytes, flaws) in [
            (&b"a/b"[..], &b"a/b"[..], PathFlaws::empty()),
            (b"./a/b/", b"a/b", PathFlaws::empty()),
            (b"./", b"", PathFlaws::empty()),
            (b".", b"", PathFlaws::empty()),
            (b"", b"", PathFlaws::EMPTY),
            (b"/", b"/", PathFlaws::ABSOLUTE | PathFlaws::EMPTY),
            (b"/etc", b"/etc", PathFlaws::ABSOLUTE | PathFlaws::EMPTY),
            (b".//etc", b"/etc", PathFlaws::ABSOLUTE | PathFlaws::EMPTY),
            (b"a//b", b"a//b", PathFlaws::EMPTY),
            (b"a/../b", b"a/../b", PathFlaws::PARENT),
            (b"..", b"..", PathFlaws::PARENT),
            (b"a/./b", b"a/./b", PathFlaws::CURRENT),
            (b"a\0b", b"a\0b", PathFlaws::NUL),
            (b"a:b", b"a:b", PathFlaws::COLON),
            (b"a\\b", b"a\\b", PathFlaws::BACKSLASH),
            (b"a\xFF", b"a\xFF", PathFlaws::NOT_WTF8),
            (b"a\xED\xA0\xBD", b"a\xED\xA0\xBD", PathFlaws::empty()),
        ] {
            let path = EntryPath::new(stored);
            assert_eq!((path.as_bytes(), path.flaws()), (bytes, flaws), "{}", stored.escape_ascii());
            assert_eq!(path.plain().is_ok(), !flaws.intersects(PathFlaws::DANGEROUS));
        }
        assert!(EntryPath::new(b"./").is_root() && !EntryPath::new(b"").is_root());
        assert_eq!(EntryPath::new(b"a/b").components().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(EntryPath::new(b"./").components().count(), 0);
    }

    #[test]
    fn the_folder_of_the_archive_is_escaped_and_back() {
        for (path, stored) in [
            (&b".ntbak"[..], &b".ntbak~"[..]),
            (b".ntbak/x", b".ntbak~/x"),
            (b".ntbak~/x", b".ntbak~~/x"),
            (b".ntbak~", b".ntbak~~"),
            (b".ntbakx", b".ntbakx"),
            (b".ntbak~x", b".ntbak~x"),
            (b"a/.ntbak", b"a/.ntbak"),
        ] {
            assert_eq!(escape(path), stored);
            assert_eq!(unescape(stored), path);
        }
    }
}
