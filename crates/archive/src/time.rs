//! Times in PAX records: decimal seconds since 1970-01-01 UTC, up to seven digits of fraction (100 ns), with a sign.
//!
//! `-1.5` is one and a half seconds before 1970, as Go's `archive/tar` has it, and GNU tar.

use ntbak_wire::FileTime;

/// Units of 100 ns from 1601 to 1970.
const EPOCH: i128 = 116_444_736_000_000_000;
const UNITS: i128 = 10_000_000;

/// The text of a time: a sign, 12 digits, a point and 7 digits at the most.
#[derive(Default)]
pub(crate) struct Text {
    bytes: [u8; 32],
    len: usize,
}

impl Text {
    fn push(&mut self, text: &str) {
        let end = self.len + text.len();
        if let Some(to) = self.bytes.get_mut(self.len..end) {
            to.copy_from_slice(text.as_bytes());
            self.len = end;
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The shortest text of a time: no trailing zeros, no point without digits behind it.
pub(crate) fn format(time: FileTime) -> Text {
    let units = i128::from(time.0) - EPOCH;
    let sign = if units < 0 { "-" } else { "" };
    // Less than 2^64, which is much faster to divide and to write.
    let units = u64::try_from(units.unsigned_abs()).unwrap_or(u64::MAX);
    let (seconds, fraction) = (units / UNITS as u64, units % UNITS as u64);
    // Four times a file: neither formatting nor memory for a string, which show in a profile.
    let mut text = Text::default();
    text.push(sign);
    text.push(itoa::Buffer::new().format(seconds));
    if fraction != 0 {
        // The digit before the fraction keeps its leading zeros.
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(UNITS as u64 + fraction);
        text.push(".");
        text.push(digits.strip_prefix('1').unwrap_or(digits).trim_end_matches('0'));
    }
    text
}

/// Reads a time; digits beyond 100 ns are cut. `None` for text that is no number, or a time that no `FILETIME` holds.
pub(crate) fn parse(text: &[u8]) -> Option<FileTime> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() || whole.len() > 20 {
        return None;
    }
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i128::from(byte - b'0'));
    let mut units = 0;
    for byte in whole {
        units = units * 10 + digit(byte)?;
    }
    units *= UNITS;
    let mut place = UNITS / 10;
    for byte in fraction {
        units += digit(byte)? * place;
        place /= 10;
    }
    let units = if negative { -units } else { units };
    i64::try_from(units + EPOCH).ok().map(FileTime)
}

/// The whole seconds for a ustar field, which has neither a fraction nor a sign.
pub(crate) fn seconds(time: FileTime) -> u64 {
    let seconds = (i128::from(time.0) - EPOCH).div_euclid(UNITS);
    u64::try_from(seconds.max(0)).unwrap_or(0)
}

/// The time of a ustar field.
pub(crate) fn from_seconds(seconds: i64) -> FileTime {
    FileTime::from_unix(seconds, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bs_73_negative_creation_times_as_go_writes_them() {
        let units = |units: i64| FileTime(i64::try_from(EPOCH).unwrap() + units);
        for (time, text) in [
            (units(0), "0"),
            (units(1_234_567_890), "123.456789"),
            (units(-5_000_000), "-0.5"),
            (units(-15_000_000), "-1.5"),
            (units(-1), "-0.0000001"),
            (FileTime(0), "-11644473600"),
        ] {
            assert_eq!(format(time).as_bytes(), text.as_bytes(), "{text}");
            assert_eq!(parse(text.as_bytes()), Some(time));
        }
        assert_eq!(parse(b"1.123456789"), parse(b"1.1234567"));
        assert_eq!(parse(b"1."), Some(units(10_000_000)));
        for bad in ["", "-", ".", "1.2.3", "a", "1e5", "99999999999999999999999", "9223372036854775807"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_time_round_trips(time: i64) {
            prop_assert_eq!(parse(format(FileTime(time)).as_bytes()), Some(FileTime(time)));
        }
    }
}
