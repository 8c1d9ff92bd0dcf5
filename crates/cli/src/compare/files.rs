//! Files by their paths, in as little memory as it takes: 40 bytes for each, and its path.

use std::cmp::Ordering;

/// Where the description of a file waits, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) digest: [u8; 16],
}

/// Files, sorted by their paths once all are there.
#[derive(Default)]
pub(super) struct Files {
    /// One path behind the other.
    paths: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    from: u64,
    len: u32,
    place: Place,
}

impl Files {
    /// Puts a file in; [`Files::sort`] comes before it is looked for.
    pub(super) fn push(&mut self, path: &[u8], place: Place) {
        let from = self.paths.len() as u64;
        self.paths.extend_from_slice(path);
        // No path has 4 GiB.
        let len = u32::try_from(path.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { from, len, place });
    }

    /// Sorts them; of those with the same path the last one stays.
    pub(super) fn sort(&mut self) {
        let Self { paths, entries } = self;
        let order = |a: &Entry, b: &Entry| path_of(paths, a).cmp(path_of(paths, b));
        entries.sort_unstable_by(|a, b| order(a, b).then(b.from.cmp(&a.from)));
        entries.dedup_by(|b, a| order(a, b) == Ordering::Equal);
    }

    /// The file of this path.
    pub(super) fn get(&self, path: &[u8]) -> Option<Place> {
        let found = self.entries.binary_search_by(|entry| path_of(&self.paths, entry).cmp(path));
        found.ok().and_then(|at| self.entries.get(at)).map(|entry| entry.place)
    }

    /// All of them, by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Place)> {
        self.entries.iter().map(|entry| (path_of(&self.paths, entry), entry.place))
    }
}

fn path_of<'p>(paths: &'p [u8], entry: &Entry) -> &'p [u8] {
    let from = usize::try_from(entry.from).unwrap_or(usize::MAX);
    paths.get(from..from.saturating_add(entry.len as usize)).unwrap_or_default()
}

/// The files of two trees side by side, by path.
pub(super) fn beside<'f>(
    a: &'f Files,
    b: &'f Files,
) -> impl Iterator<Item = (&'f [u8], Option<Place>, Option<Place>)> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let one = if order == Ordering::Greater { None } else { a.next() };
        let other = if order == Ordering::Less { None } else { b.next() };
        let path = one.or(other).map(|(path, _)| path)?;
        Some((path, one.map(|(_, place)| place), other.map(|(_, place)| place)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Files {
        let mut files = Files::default();
        for (offset, path) in paths.iter().enumerate() {
            files.push(path.as_bytes(), Place { offset: offset as u64, len: 1, digest: [0; 16] });
        }
        files.sort();
        files
    }

    #[test]
    fn two_trees_go_side_by_side_and_a_later_file_counts() {
        let (a, b) = (files(&["b", "a", "", "b"]), files(&["c", "b", "a/x"]));
        let both: Vec<_> = beside(&a, &b)
            .map(|(path, a, b)| (path, a.map(|place| place.offset), b.map(|place| place.offset)))
            .collect();
        let expected: [(&[u8], _, _); 5] = [
            (b"", Some(2), None),
            (b"a", Some(1), None),
            (b"a/x", None, Some(2)),
            (b"b", Some(3), Some(1)),
            (b"c", None, Some(0)),
        ];
        assert_eq!(both, expected);
        assert_eq!(a.get(b"b").map(|place| place.offset), Some(3));
        assert_eq!(a.get(b"c"), None);
    }
}
