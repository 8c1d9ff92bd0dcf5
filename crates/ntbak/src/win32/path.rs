/*!
Paths of Windows: what a program writes, taken apart.

| path | means |
| --- | --- |
| `C:\dir\file`, `C:/dir/file` | on a drive; `.` and `..` are worked out by the text alone; dots and spaces at the end go, and one dot at the end of a directory's name |
| `C:`, `C:file` | the same from the root: no drive has a current directory |
| `\\?\C:\dir\file`, `\??\C:\dir\file` | on a drive, as it stands: no `/`, no `.` and `..`, every dot and space counts |
| `\\.\C:\dir\file` | as `C:\dir\file` |
| `\\server\share`, `\\?\UNC\…` | 53: there is no network |
| `file:stream`, `file:stream:$DATA` | an alternate data stream |
| `file::$DATA` | the unnamed stream |
| `dir:$I30:$INDEX_ALLOCATION`, `dir::$INDEX_ALLOCATION` | the directory itself |
| `C:\dir\NUL`, `C:\COM1.txt` | 123: there are no devices |
| anything else | a path of the [`Base`](super::Drives), that of Linux in most cases |

Sources: Microsoft's "Naming Files, Paths, and Namespaces", \[MS-FSCC\] 2.1.5, \[MS-FSA\] 2.1.5.1, what Wine's tests of
RtlGetFullPathName and RtlIsDosDeviceName observe on Windows. Unlike in Windows,
a path has no limit of 260 units without `\\?\`, as if long paths were enabled.
*/

use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, Win32Error};

use crate::error::{Error, Result};
use crate::win32::fold;

/// The most UTF-16 units of a path.
const LONGEST_PATH: usize = 32_767;
/// The most UTF-16 units of a name.
pub(super) const LONGEST_NAME: usize = 255;

const BACKSLASH: u16 = b'\\' as u16;
const SLASH: u16 = b'/' as u16;
const COLON: u16 = b':' as u16;
const DOT: u16 = b'.' as u16;
const SPACE: u16 = b' ' as u16;

/// A path that begins at the root of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct VolumePath {
    pub(super) names: Vec<Name>,
    /// The stream that the end names.
    pub(super) stream: Option<StreamName>,
    /// It ends with a separator, or with a type that only directories have.
    pub(super) directory: bool,
}

/// Where a path begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// At the root of the drive with this letter, upper case.
    Drive(u8, VolumePath),
    /// In the base: not a path of Windows.
    Base(&'a [u8]),
}

/// Whether patterns may stand in the last name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Name,
    Pattern,
}

/// Takes a path apart; `is_drive` says which letters are drives.
///
/// # Errors
/// 53 for a share, 123 for a name that cannot be, 206 for more than 32,767 units, 2 for a device.
pub(super) fn parse<'a>(path: &'a [u8], last: Last, is_drive: impl Fn(u8) -> bool) -> Result<Parsed<'a>> {
    if path.is_empty() {
        return Err(Error::new(Win32Error::PATH_NOT_FOUND, "the path is empty"));
    }
    let prefixes: [(&[u8], bool); 6] = [
        (br"\\?\", true),
        (br"\??\", true),
        (b"//?/", false),
        (br"\\.\", false),
        (b"//./", false),
        (br"\\", false),
    ];
    for (prefix, verbatim) in prefixes {
        let Some(rest) = path.strip_prefix(prefix) else { continue };
        let is_unc = prefix.len() == 2 || rest.get(..4).is_some_and(|unc| unc.eq_ignore_ascii_case(br"UNC\"));
        if is_unc {
            return Err(Error::new(Win32Error::BAD_NETPATH, "there is no network here, and no share"));
        }
        return match drive(rest) {
            Some((letter, rest)) if rest.first().is_some_and(|unit| is_separator(*unit, verbatim)) => {
                Ok(Parsed::Drive(letter, volume_path(rest, verbatim, last)?))
            }
            _ => Err(Error::new(Win32Error::FILE_NOT_FOUND, "there are no devices here")),
        };
    }
    match drive(path) {
        Some((letter, rest))
            if rest.first().is_none_or(|unit| is_separator(*unit, false)) || is_drive(letter) =>
        {
            Ok(Parsed::Drive(letter, volume_path(rest, false, last)?))
        }
        _ => Ok(Parsed::Base(path)),
    }
}

fn is_separator(byte: u8, verbatim: bool) -> bool {
    byte == b'\\' || byte == b'/' && !verbatim
}

/// The drive letter at the beginning, and what follows its colon.
fn drive(path: &[u8]) -> Option<(u8, &[u8])> {
    match path {
        [letter, b':', rest @ ..] if letter.is_ascii_alphabetic() => {
            Some((letter.to_ascii_uppercase(), rest))
        }
        _ => None,
    }
}

/// The path below the root of a volume.
pub(super) fn volume_path(path: &[u8], verbatim: bool, last: Last) -> Result<VolumePath> {
    let name = Name::from_wtf8(path).ok_or_else(|| invalid("it is no text"))?;
    let mut out = VolumePath::default();
    out.append(name.units(), verbatim, last)?;
    Ok(out)
}

impl VolumePath {
    /// Goes on with more of a path.
    pub(super) fn append(&mut self, units: &[u16], verbatim: bool, last: Last) -> Result<()> {
        if units.len() > LONGEST_PATH {
            let why = format!("a path has {LONGEST_PATH} units at most, and this one has {}", units.len());
            return Err(Error::new(Win32Error::FILENAME_EXCED_RANGE, why));
        }
        let separates = |unit: &u16| *unit == BACKSLASH || *unit == SLASH && !verbatim;
        let parts: Vec<&[u16]> = units.split(separates).collect();
        let end = parts.len() - 1;
        for (at, part) in parts.into_iter().enumerate() {
            self.step(part, at == end, verbatim, last)?;
        }
        Ok(())
    }

    fn step(&mut self, part: &[u16], is_last: bool, verbatim: bool, last: Last) -> Result<()> {
        if part.is_empty() {
            // The beginning, the end, or separators in a row.
            self.directory = is_last;
            return Ok(());
        }
        if part == [DOT] || part == [DOT, DOT] {
            if verbatim {
                return Err(invalid(r"`.` and `..` mean nothing behind \\?\"));
            }
            if part.len() == 2 {
                self.names.pop();
            }
            self.directory = is_last;
            return Ok(());
        }
        let (mut name, stream) = match part.iter().position(|unit| *unit == COLON) {
            None => (part, None),
            Some(_) if !is_last => return Err(invalid("a stream has nothing in it")),
            Some(at) => {
                let (name, stream) = part.split_at(at);
                (name, Some(stream))
            }
        };
        // `*.` means names without a dot, and keeps its own.
        let meant = last == Last::Pattern && is_last && name.ends_with(&[u16::from(b'*'), DOT]);
        if !verbatim && stream.is_none() && !meant {
            name = if is_last { trimmed(name) } else { without_dot(name) };
            if name.is_empty() {
                // `dir\...`: nothing is left of it but the directory.
                self.directory = true;
                return Ok(());
            }
        }
        self.directory = false;
        if let Some(stream) = stream {
            self.set_stream(stream)?;
        }
        if name.is_empty() && stream.is_some() && self.names.is_empty() {
            // `C:\:stream`: the root itself.
            return Ok(());
        }
        check_name(name, last == Last::Pattern && is_last && stream.is_none())?;
        if !verbatim && is_last && is_device(name) {
            return Err(invalid(r"it is the name of a device; as that of a file it needs \\?\"));
        }
        self.names.push(Name::from_units(name.to_vec()));
        Ok(())
    }

    /// `:name`, `:name:type`, with the first colon.
    fn set_stream(&mut self, spec: &[u16]) -> Result<()> {
        let spec = Name::from_units(spec.to_vec());
        let upper = fold::upper(&spec);
        if upper == Name::from("::$DATA") {
            return Ok(());
        }
        if [Name::from("::$INDEX_ALLOCATION"), Name::from(":$I30:$INDEX_ALLOCATION")].contains(&upper) {
            self.directory = true;
            return Ok(());
        }
        self.stream = Some(StreamName::from_wire(&spec)?);
        Ok(())
    }
}

/// Without the dot at its end, which Win32 takes away from the name of a directory: a single one, and no spaces.
fn without_dot(name: &[u16]) -> &[u16] {
    match name {
        [rest @ .., DOT] if rest.last() != Some(&DOT) => rest,
        name => name,
    }
}

/// Without the dots and spaces at its end, which Win32 takes away from the last name.
fn trimmed(name: &[u16]) -> &[u16] {
    let end = name.iter().rposition(|unit| ![DOT, SPACE].contains(unit)).map_or(0, |last| last + 1);
    name.get(..end).unwrap_or_default()
}

fn check_name(name: &[u16], pattern: bool) -> Result<()> {
    if name.is_empty() {
        return Err(invalid("a name in it is empty"));
    }
    if name == [DOT] || name == [DOT, DOT] {
        return Err(invalid("`.` and `..` have no streams"));
    }
    if name.len() > LONGEST_NAME {
        return Err(invalid("a name in it has more than 255 units"));
    }
    let wild = |unit: u16| u8::try_from(unit).is_ok_and(|byte| br#"*?<>""#.contains(&byte));
    if name.iter().any(|unit| fold::is_reserved(*unit) && !(pattern && wild(*unit))) {
        return Err(invalid("a name in it has a character that no name has"));
    }
    Ok(())
}

/// Whether Win32 takes a name for a device, whatever its extension.
fn is_device(name: &[u16]) -> bool {
    let base = name.split(|unit| *unit == DOT).next().unwrap_or_default();
    let Ok(base) = String::from_utf16(trimmed(base)) else { return false };
    let base = base.to_ascii_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&base.as_str()) {
        return true;
    }
    let number = base.strip_prefix("COM").or_else(|| base.strip_prefix("LPT"));
    let mut number = number.map(str::chars).into_iter().flatten();
    matches!((number.next(), number.next()), (Some('1'..='9' | '¹' | '²' | '³'), None))
}

fn invalid(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_NAME, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Result<Parsed<'_>, u32> {
        parse(path.as_bytes(), Last::Name, |letter| letter == b'Z').map_err(|error| error.win32().0)
    }

    /// Letter, names and what stands at the end.
    fn text(path: &str) -> String {
        match parsed(path) {
            Err(number) => number.to_string(),
            Ok(Parsed::Base(path)) => format!("base {}", fold::display(path)),
            Ok(Parsed::Drive(letter, path)) => {
                let names: Vec<_> = path.names.iter().map(Name::to_string).collect();
                let stream = path.stream.map_or(String::new(), |stream| format!(":{stream}"));
                let slash = if path.directory { "/" } else { "" };
                format!("{} {}{stream}{slash}", char::from(letter), names.join("|"))
            }
        }
    }

    #[test]
    fn paths_are_taken_apart() {
        for (path, expected) in [
            (r"C:\a\b", "C a|b"),
            ("c:/a/b", "C a|b"),
            (r"C:\a\\b\", "C a|b/"),
            (r"C:\", "C /"),
            ("C:", "C /"),
            ("Z:a", "Z a"),
            // Not a drive: a file with a stream, or whatever Linux has.
            ("a:b", "base a:b"),
            ("/tmp/a", "base /tmp/a"),
            (r"dir\a", r"base dir\a"),
            (r"C:\a\.\..\b", "C b"),
            (r"C:\..\..\b", "C b"),
            (r"C:\a\..", "C /"),
            (r"C:\a.\b. . ", "C a|b"),
            // Only the last name loses more than one dot, or a space.
            (r"C:\a..\b", "C a..|b"),
            (r"C:\a \b", "C a |b"),
            (r"C:\a.. \b", "C a.. |b"),
            (r"C:\a\... .", "C a/"),
            (r"C:\a\.. ", "C a/"),
            (r"C:\.. \b", "C .. |b"),
            (r"C:\...\b", "C ...|b"),
            (r"\\?\C:\a.\b. . ", "C a.|b. . "),
            (r"\??\C:\a", "C a"),
            (r"\\.\C:\a", "C a"),
            ("//?/C:/a", "C a"),
            (r"\\?\C:\a\..\b", "123"),
            (r"\\?\C:\a/b", "123"),
            (r"\\?\C:", "2"),
            (r"\\?\x", "2"),
            (r"\\.\PhysicalDrive0", "2"),
            (r"\\server\share", "53"),
            (r"\\?\UNC\server\share", "53"),
            ("", "3"),
            ("C:\\a\0b", "123"),
            (r"C:\a?", "123"),
            (r"C:\a*\b", "123"),
            (r"C:\a|", "123"),
            ("C:\\a\x01", "123"),
            (r"C:\...", "C /"),
            (r"C:\a:s", "C a:s"),
            (r"C:\a:s:$DATA", "C a:s"),
            (r"C:\a:s:$data", "C a:s"),
            (r"C:\a::$DATA", "C a"),
            (r"C:\a::$INDEX_ALLOCATION", "C a/"),
            (r"C:\a:$I30:$INDEX_ALLOCATION", "C a/"),
            (r"C:\:s", "C :s"),
            (r"C:\a\:s", "123"),
            (r"C:\a\.:s", "123"),
            (r"C:\a\..:s", "123"),
            (r"C:\a\..::$DATA", "123"),
            (r"C:\a\..::$INDEX_ALLOCATION", "123"),
            (r"C:\a\.. :s", "C a|.. :s"),
            (r"\\?\C:\..:s", "123"),
            (r"C:\a:", "123"),
            (r"C:\a:s:$EA", "123"),
            (r"C:\a:s\b", "123"),
            (r"C:\a:s:$DATA:x", "123"),
            (r"C:\NUL", "123"),
            (r"C:\com1.txt", "123"),
            (r"C:\aux", "123"),
            (r"C:\aux . .", "123"),
            (r"C:\nul:s", "123"),
            // Only the last name is one.
            (r"C:\aux \x", "C aux |x"),
            (r"C:\nul\x", "C nul|x"),
            (r"C:\nul\", "C nul/"),
            (r"\\?\C:\NUL", "C NUL"),
            (r"C:\com", "C com"),
            (r"C:\com10", "C com10"),
        ] {
            assert_eq!(text(path), expected, "{path:?}");
        }
    }

    #[test]
    fn long_names_and_paths_are_refused() {
        let name = |len| format!(r"C:\{}", "x".repeat(len));
        assert!(parsed(&name(255)).is_ok());
        assert_eq!(parsed(&name(256)).unwrap_err(), 123);
        let path = |len: usize| format!("C:{}", r"\x".repeat(len / 2));
        assert!(parsed(&path(32_766)).is_ok());
        assert_eq!(parsed(&path(32_768)).unwrap_err(), 206);
    }
}
