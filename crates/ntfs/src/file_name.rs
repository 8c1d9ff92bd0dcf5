/*!
`$FILE_NAME`: one name of a file, and the directory it is in. Little-endian.

| offset | size | field |
| --- | --- | --- |
| 0 | 8 | reference to the directory |
| 8 | 48 | times and sizes, stale in a record |
| 56 | 4 | attributes, stale too |
| 60 | 4 | size of the EAs, or reparse tag |
| 64 | 1 | length of the name in UTF-16 units |
| 65 | 1 | namespace: 0 POSIX, 1 Win32, 2 DOS (an 8.3 name), 3 Win32 and DOS |
| 66 | | the name |

Namespace 0 is the ordinary one where Windows makes no 8.3 names; it does not mean that case matters.
*/

use ntbak_wire::Name;

use crate::error::{Error, Result};
use crate::record::FileReference;
use ntbak_wire::bytes::{slice_at, u64_at, utf16_units};

/// The namespace of a name. Any number is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Namespace(pub u8);

impl Namespace {
    /// 0: a long name without an 8.3 name.
    pub const POSIX: Self = Self(0);
    /// 1: a long name that has an 8.3 name beside it.
    pub const WIN32: Self = Self(1);
    /// 2: an 8.3 name.
    pub const DOS: Self = Self(2);
    /// 3: a name that is its own 8.3 name.
    pub const WIN32_AND_DOS: Self = Self(3);
}

/// One `$FILE_NAME` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// The directory.
    pub parent: FileReference,
    /// Which kind of name it is.
    pub namespace: Namespace,
    /// The name, of 1 to 255 UTF-16 units, which may be any.
    pub name: Name,
}

/// One name of a file with the 8.3 name that belongs to it: a hard link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The directory.
    pub parent: FileReference,
    /// The name.
    pub name: Name,
    /// Its 8.3 name, when that is another one.
    pub short: Option<Name>,
}

/// A `$FILE_NAME` over the bytes of its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawName<'r> {
    pub(crate) parent: FileReference,
    pub(crate) namespace: Namespace,
    /// UTF-16LE, at least one unit.
    pub(crate) name: &'r [u8],
}

impl<'r> RawName<'r> {
    pub(crate) fn parse(value: &'r [u8]) -> Result<Self> {
        let cut = || Error::truncated("$FILE_NAME", 0, "it", 68, value.len() as u64);
        let parent = FileReference(u64_at(value, 0).ok_or_else(cut)?);
        let &[length, namespace] =
            slice_at(value, 64, 2).and_then(|bytes| bytes.first_chunk()).ok_or_else(cut)?;
        let name = slice_at(value, 66, 2 * usize::from(length)).filter(|name| !name.is_empty()).ok_or_else(
            || {
                let expected = "1 to 255 units within the attribute";
                Error::value("$FILE_NAME", 64, "length of the name", length.into(), expected)
            },
        )?;
        Ok(Self { parent, namespace: Namespace(namespace), name })
    }

    pub(crate) fn to_owned(self) -> FileName {
        let name = Name::from_units(utf16_units(self.name).collect());
        FileName { parent: self.parent, namespace: self.namespace, name }
    }
}

/// Puts 8.3 names to the names they belong to: that of the Win32 namespace in the same directory. Those that belong to
/// none are links of their own and come second.
#[must_use]
pub fn pair(names: &[FileName]) -> (Vec<Link>, Vec<Link>) {
    let link = |name: &FileName| Link { parent: name.parent, name: name.name.clone(), short: None };
    let long = |name: &&FileName| name.namespace != Namespace::DOS;
    let mut links: Vec<Link> = names.iter().filter(long).map(link).collect();
    // The long names that still wait for their 8.3 name, by directory, so that many names do not take long.
    let waiting =
        names.iter().filter(long).enumerate().filter(|(_, name)| name.namespace == Namespace::WIN32);
    let mut waiting: Vec<(FileReference, usize)> =
        waiting.map(|(index, name)| (name.parent, index)).collect();
    waiting.sort_unstable();
    let mut taken = vec![false; waiting.len()];
    let mut alone = Vec::new();
    for short in names.iter().filter(|name| name.namespace == Namespace::DOS) {
        let first = waiting.partition_point(|(parent, _)| *parent < short.parent);
        let found = waiting.iter().zip(&mut taken).skip(first);
        let found = found.take_while(|((parent, _), _)| *parent == short.parent).find(|(_, taken)| !**taken);
        match found.and_then(|(&(_, index), taken)| Some((links.get_mut(index)?, taken))) {
            Some((link, taken)) => {
                *taken = true;
                link.short = Some(short.name.clone());
            }
            None => alone.push(link(short)),
        }
    }
    (links, alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parent: u64, namespace: u8, name: &str) -> FileName {
        FileName { parent: FileReference(parent), namespace: Namespace(namespace), name: Name::from(name) }
    }

    fn texts(links: &[Link]) -> Vec<String> {
        links.iter().map(|link| format!("{}/{}/{:?}", link.parent.0, link.name, link.short)).collect()
    }

    #[test]
    fn ntfs_16_an_8_3_name_belongs_to_the_win32_name_of_its_directory() {
        let names =
            [name(5, 2, "LONGNA~1"), name(7, 0, "other"), name(5, 1, "long name"), name(5, 0, "link")];
        let (links, alone) = pair(&names);
        assert_eq!(texts(&links), ["7/other/None", "5/long name/Some(\"LONGNA~1\")", "5/link/None"]);
        assert!(alone.is_empty());
    }

    #[test]
    fn ntfs_17_two_links_in_one_directory_and_one_8_3_name() {
        let (links, alone) = pair(&[name(5, 1, "a long one"), name(5, 1, "another"), name(5, 2, "ALONG~1")]);
        assert_eq!(texts(&links), ["5/a long one/Some(\"ALONG~1\")", "5/another/None"]);
        assert!(alone.is_empty());
        // One that belongs to no name shows as a name.
        let (links, alone) = pair(&[name(5, 3, "A"), name(5, 2, "B~1"), name(6, 2, "C~1")]);
        assert_eq!((texts(&links).len(), texts(&alone)), (1, vec!["5/B~1/None".into(), "6/C~1/None".into()]));
    }

    #[test]
    fn ntfs_19_unpaired_surrogates_stay() {
        let mut value = vec![0; 66];
        value[64] = 2;
        value.extend([0x3D, 0xD8, b'a', 0]);
        let name = RawName::parse(&value).unwrap().to_owned().name;
        assert_eq!(name.units(), [0xD83D, 0x61]);
    }

    #[test]
    fn hostile_20_a_name_that_leaves_its_attribute() {
        let mut value = vec![0; 76];
        for (length, good) in [(5, true), (6, false), (255, false), (0, false)] {
            value[64] = length;
            assert_eq!(RawName::parse(&value).is_ok(), good, "{length}");
        }
        assert!(RawName::parse(&value[..65]).is_err());
    }
}
