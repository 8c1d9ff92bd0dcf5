//! Windows file times.

use std::fmt;

/// Seconds from 1601-01-01 to 1970-01-01.
const UNIX_EPOCH_SECONDS: i64 = 11_644_473_600;
/// Units of 100 ns in a second.
const UNITS_PER_SECOND: i64 = 10_000_000;

/// A `FILETIME`: units of 100 ns since 1601-01-01 00:00 UTC (\[MS-DTYP\] 2.3.3).
///
/// NTFS stores it as a signed 64-bit number; any value survives a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime(pub i64);

impl FileTime {
    /// The time `seconds` and `nanoseconds` (0..1,000,000,000) after 1970-01-01 UTC; nanoseconds are cut to 100 ns.
    ///
    /// Times outside of what a `FILETIME` holds become the nearest one that it does.
    #[must_use]
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        let units = seconds.saturating_add(UNIX_EPOCH_SECONDS).saturating_mul(UNITS_PER_SECOND);
        Self(units.saturating_add(i64::from(nanoseconds / 100)))
    }

    /// Seconds since 1970-01-01 UTC, rounded down, and the nanoseconds (0..1,000,000,000) after them.
    #[must_use]
    pub fn to_unix(self) -> (i64, u32) {
        let seconds = self.0.div_euclid(UNITS_PER_SECOND) - UNIX_EPOCH_SECONDS;
        let units = self.0.rem_euclid(UNITS_PER_SECOND);
        (seconds, u32::try_from(units * 100).unwrap_or(0))
    }
}

/// Days since 1970-01-01 as year, month and day of the proleptic Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // The year is counted from 1 March 0000, so that the leap day is its last.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// ISO 8601 in UTC with all seven digits: `2019-03-03T12:35:17.1234567Z`.
impl fmt::Display for FileTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = self.to_unix();
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let second_of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let units = nanoseconds / 100;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{units:07}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_known_times() {
        assert_eq!(FileTime(0).to_string(), "1601-01-01T00:00:00.0000000Z");
        assert_eq!(FileTime::from_unix(0, 0).to_string(), "1970-01-01T00:00:00.0000000Z");
        assert_eq!(
            FileTime::from_unix(1_551_616_517, 123_456_789).to_string(),
            "2019-03-03T12:35:17.1234567Z"
        );
        assert_eq!(FileTime::from_unix(951_782_400, 0).to_string(), "2000-02-29T00:00:00.0000000Z");
        assert_eq!(FileTime(-1).to_string(), "1600-12-31T23:59:59.9999999Z");
    }

    #[test]
    fn unix_times_round_trip_to_100_ns() {
        for time in [0, 1, 116_444_736_000_000_000, 132_000_000_012_345_678, -5, i64::MAX, i64::MIN] {
            let (seconds, nanoseconds) = FileTime(time).to_unix();
            assert!(nanoseconds < 1_000_000_000);
            if time != i64::MIN {
                assert_eq!(FileTime::from_unix(seconds, nanoseconds), FileTime(time), "{time}");
            }
        }
        assert_eq!(FileTime::from_unix(i64::MAX, 0), FileTime(i64::MAX));
        FileTime(i64::MIN).to_string();
        FileTime(i64::MAX).to_string();
    }
}
