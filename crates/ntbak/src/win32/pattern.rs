/*!
Patterns of `FindFirstFile`.

| in a pattern | Win32 makes of it | matches |
| --- | --- | --- |
| `*` | | any characters, none too |
| `*` before a dot | `<` | any characters up to the last dot |
| `?` | `>` | one character, or none at the end of a name and before a dot |
| `.` before `?` or `*` | `"` | a dot, or the end of the name |
| `*.*` | `*` | every name |
| `*.` | `<` | names without a dot |

A pattern is compared with the long name and with the 8.3 name, without regard to case. Sources: \[MS-FSA\] 2.1.4.4 for the
meaning of the signs; .NET's `FileSystemName.TranslateWin32Expression` documents what Win32 makes of `?`, `.` and `*`; not
tried on Windows.
*/

use ntbak_wire::Name;

/// A pattern, ready to be compared with names in upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<u16>);

const STAR: u16 = b'*' as u16;
const QUESTION: u16 = b'?' as u16;
const DOT: u16 = b'.' as u16;
const DOS_STAR: u16 = b'<' as u16;
const DOS_QUESTION: u16 = b'>' as u16;
const DOS_DOT: u16 = b'"' as u16;

impl Pattern {
    /// The pattern that a program wrote, in upper case.
    pub(super) fn new(written: &Name) -> Self {
        let written = written.units();
        if written == [STAR, DOT, STAR] {
            return Self(vec![STAR]);
        }
        let mut units = Vec::with_capacity(written.len());
        for (at, unit) in written.iter().enumerate() {
            let next = written.get(at + 1).copied();
            units.push(match *unit {
                QUESTION => DOS_QUESTION,
                DOT if matches!(next, Some(QUESTION | STAR)) => DOS_DOT,
                STAR if next == Some(DOT) => DOS_STAR,
                other => other,
            });
        }
        // Win32 takes the dot at the end away, but not its meaning.
        if units.len() >= 2 && units.ends_with(&[DOS_STAR, DOT]) {
            units.pop();
        }
        Self(units)
    }

    /// Whether there is any sign in it.
    pub(super) fn is_wild(&self) -> bool {
        self.0.iter().any(|unit| [STAR, QUESTION, DOS_STAR, DOS_QUESTION, DOS_DOT].contains(unit))
    }

    /// Whether `.` or `..` is found: they are names without an extension.
    pub(super) fn matches_dots(&self, dots: &str) -> bool {
        self.0 == [DOS_STAR] || self.matches(&Name::from(dots))
    }

    /// Whether a name in upper case matches.
    pub(super) fn matches(&self, name: &Name) -> bool {
        let name = name.units();
        let last_dot = name.iter().rposition(|unit| *unit == DOT);
        // The places in the pattern where a match may stand, as the name goes by: work is bounded by the product.
        let mut places = vec![false; self.0.len() + 1];
        if let Some(first) = places.first_mut() {
            *first = true;
        }
        let first = name.first().copied();
        self.pass(&mut places, first, first.is_none());
        for (at, unit) in name.iter().enumerate() {
            let mut next = vec![false; places.len()];
            for (place, _) in places.iter().enumerate().filter(|(_, there)| **there) {
                let Some(sign) = self.0.get(place) else { continue };
                let (stays, goes) = match *sign {
                    STAR => (true, true),
                    DOS_STAR => {
                        let taken = *unit != DOT || last_dot != Some(at);
                        (taken, taken)
                    }
                    DOS_QUESTION => (false, *unit != DOT),
                    DOS_DOT => (false, *unit == DOT),
                    sign => (false, sign == *unit),
                };
                set(&mut next, place, stays);
                set(&mut next, place + 1, goes);
            }
            places = next;
            let following = name.get(at + 1).copied();
            self.pass(&mut places, following, following.is_none());
        }
        places.last().copied().unwrap_or(false)
    }

    /// Passes over signs that need no character here.
    fn pass(&self, places: &mut [bool], next: Option<u16>, at_end: bool) {
        for (place, sign) in self.0.iter().enumerate() {
            if !places.get(place).copied().unwrap_or(false) {
                continue;
            }
            let nothing = match *sign {
                STAR | DOS_STAR => true,
                DOS_QUESTION => at_end || next == Some(DOT),
                DOS_DOT => at_end,
                _ => false,
            };
            set(places, place + 1, nothing);
        }
    }
}

fn set(places: &mut [bool], place: usize, there: bool) {
    if let Some(at) = places.get_mut(place) {
        *at |= there;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_on_windows() {
        for (pattern, name, expected) in [
            ("*", "A.B", true),
            ("*.*", "A", true),
            ("*.*", "A.B.C", true),
            ("*.", "A", true),
            ("*.", "A.B", false),
            ("*.TXT", "A.TXT", true),
            ("*.TXT", "A.B.TXT", true),
            ("*.TXT", "A.TXT.B", false),
            ("*.TXT", "TXT", false),
            ("A?", "A", true),
            ("A?", "AB", true),
            ("A?", "ABC", false),
            ("A??.TXT", "A.TXT", true),
            ("A??.TXT", "AB.TXT", true),
            ("A??.TXT", "ABC.TXT", true),
            ("A??.TXT", "ABCD.TXT", false),
            ("?A", "A", false),
            ("?A", "BA", true),
            ("A.*", "A", true),
            ("A.*", "A.", true),
            ("A.*", "A.B.C", true),
            ("A.*", "AB", false),
            ("A.?", "A", true),
            ("A.?", "A.B", true),
            ("A.?", "A.BC", false),
            ("????????.???", "A", true),
            ("????????.???", "A.B", true),
            ("????????.???", "ABCDEFGHI", false),
            ("ABC", "ABC", true),
            ("ABC", "ABCD", false),
            ("ABC", "AB", false),
            ("*A*B*", "XXAYYBZZ", true),
            ("*A*B*", "XXBYYAZZ", false),
            ("**", "A", true),
            ("<", "A.B", false),
            ("<.B", "A.B", true),
            (">", "A", true),
            (">", "", true),
            ("\"", "", true),
            ("\"", ".", true),
            ("", "", true),
            ("", "A", false),
        ] {
            assert_eq!(
                Pattern::new(&Name::from(pattern)).matches(&Name::from(name)),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let pattern = Pattern::new(&Name::from("*a".repeat(120).as_str()));
        assert!(!pattern.matches(&Name::from("ab".repeat(110).as_str())));
    }
}
