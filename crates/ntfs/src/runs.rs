/*!
Run lists: which clusters hold the value of a non-resident attribute.

A run begins with one byte: its low four bits are the number of bytes of the length that follows, its high four bits
that of the LCN behind the length, a signed difference to the LCN of the last run that had one. No bytes of LCN: a
hole. The byte 0 ends the list.

Sources: ntfs-3g and the Linux drivers, which differ in what they take: here lengths are unsigned, a missing end is
fine where the number of clusters is right, holes of no length are passed over.
*/

use crate::error::{Error, Problem, Result};

/// The most runs of one attribute: Windows stops at about 1.5 million, since an attribute list has 256 KiB.
const MAX_RUNS: usize = 4 << 20;

/// No cluster: a hole.
const HOLE: u64 = u64::MAX;

/// Where the clusters of an attribute are, in ascending VCNs. Runs that follow each other on the volume are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// First VCN and first LCN (or [`HOLE`]) of each.
    starts: Vec<(u64, u64)>,
    /// The first VCN behind all of them.
    end: u64,
}

/// One run of clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) vcn: u64,
    /// `None` in a hole.
    pub(crate) lcn: Option<u64>,
    /// In clusters.
    pub(crate) len: u64,
}

impl Run {
    pub(crate) fn end(self) -> u64 {
        self.vcn.saturating_add(self.len)
    }
}

/// What a volume says about its runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Clusters of the volume.
    pub(crate) clusters: u64,
    /// log2 of the size of a cluster.
    pub(crate) cluster_shift: u32,
    /// NTFS before 3.0 may write −1 for a hole.
    pub(crate) old_holes: bool,
}

impl Runs {
    /// The first VCN that no run covers.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// How many clusters there are, holes aside.
    pub(crate) fn allocated(&self) -> u64 {
        self.iter().filter(|run| run.lcn.is_some()).fold(0, |sum: u64, run| sum.saturating_add(run.len))
    }

    /// Reads a list of `clusters` clusters, which follow those that are there already.
    ///
    /// # Errors
    /// At the byte of the faulty run in the list. The runs before it have been taken.
    pub(crate) fn decode(&mut self, list: &[u8], clusters: u64, limits: &Limits) -> Result<()> {
        let begin = self.end;
        let mut rest = list;
        let mut lcn = 0_i64;
        while let Some((&head, tail)) = rest.split_first()
            && head != 0
        {
            let at = (list.len() - rest.len()) as u64;
            let fault = |what, found, expected| Error::value("run list", at, what, found, expected);
            let (length_bytes, lcn_bytes) = (usize::from(head & 0xF), usize::from(head >> 4));
            if length_bytes == 0 || length_bytes > 8 || lcn_bytes > 8 {
                return Err(fault("sizes of a run", head.into(), "1 to 8 bytes of length, 0 to 8 of LCN"));
            }
            let Some((length, after)) = tail.split_at_checked(length_bytes) else {
                return Err(Error::truncated("run list", at, "a run", head.into(), tail.len() as u64));
            };
            let Some((delta, after)) = after.split_at_checked(lcn_bytes) else {
                return Err(Error::truncated("run list", at, "a run", head.into(), tail.len() as u64));
            };
            rest = after;
            let length = unsigned(length);
            let delta_value = signed(delta);
            let hole = delta.is_empty() || limits.old_holes && delta_value == -1;
            if length == 0 && hole {
                continue;
            }
            let end = self
                .end
                .checked_add(length)
                .filter(|end| end.checked_sub(begin).is_some_and(|n| n <= clusters));
            let Some(end) = end.filter(|end| *end <= i64::MAX as u64 >> limits.cluster_shift) else {
                return Err(fault("length of a run", length, "the clusters that the attribute has left"));
            };
            if length == 0 {
                return Err(fault("length of a run", 0, "at least 1"));
            }
            let place = if hole {
                HOLE
            } else {
                lcn = lcn.wrapping_add(delta_value);
                let place = u64::try_from(lcn).ok();
                let within = |lcn: &u64| lcn.checked_add(length).is_some_and(|end| end <= limits.clusters);
                match place.filter(within) {
                    Some(place) => place,
                    None => return Err(fault("LCN of a run", lcn.cast_unsigned(), "clusters of the volume")),
                }
            };
            self.push(place, length)?;
            debug_assert_eq!(self.end, end);
        }
        let found = self.end - begin;
        if found < clusters {
            let at = (list.len() - rest.len()) as u64;
            let expected = "as many as the attribute says it has";
            return Err(Error::value("run list", at, "number of clusters", found, expected));
        }
        Ok(())
    }

    fn push(&mut self, lcn: u64, len: u64) -> Result<()> {
        let joins = self.starts.last().is_some_and(|(vcn, last)| match *last {
            HOLE => lcn == HOLE,
            last => lcn != HOLE && last + (self.end - vcn) == lcn,
        });
        if !joins {
            if self.starts.len() >= MAX_RUNS {
                let (what, limit) = ("a run list", MAX_RUNS as u64);
                return Err(Error::new("run list", 0, Problem::Limit { what, found: limit + 1, limit }));
            }
            self.starts.push((self.end, lcn));
        }
        self.end += len;
        Ok(())
    }

    /// All runs from the one that holds `vcn` on, that one whole.
    pub(crate) fn from(&self, vcn: u64) -> impl Iterator<Item = Run> + Clone + '_ {
        let first = self.starts.partition_point(|(start, _)| *start <= vcn).saturating_sub(1);
        let first = if vcn < self.end { first } else { self.starts.len() };
        let starts = self.starts.get(first..).unwrap_or_default();
        let ends = starts.iter().skip(1).map(|(vcn, _)| *vcn).chain([self.end]);
        starts.iter().zip(ends).map(|(&(vcn, lcn), end)| Run {
            vcn,
            lcn: (lcn != HOLE).then_some(lcn),
            len: end - vcn,
        })
    }

    /// All runs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Run> + Clone + '_ {
        self.from(0)
    }
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i64 {
    let Some(unused) = 64_u32.checked_sub(8 * bytes.len() as u32).filter(|unused| *unused < 64) else {
        return 0;
    };
    (unsigned(bytes) << unused).cast_signed() >> unused
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { clusters: 1 << 32, cluster_shift: 12, old_holes: false };

    /// VCN, LCN and length of each run.
    type Decoded = Vec<(u64, Option<u64>, u64)>;

    fn decode(list: &[u8], clusters: u64) -> (Decoded, Result<()>) {
        let mut runs = Runs::default();
        let result = runs.decode(list, clusters, &LIMITS);
        (runs.iter().map(|run| (run.vcn, run.lcn, run.len)).collect(), result)
    }

    #[test]
    fn ntfs_59_runs_go_forwards_and_backwards() {
        // 0x30 clusters at 0x20, a hole of 8, 0x10 at 0x20 - 0x10, 2 at 0x10 + 0x5634.
        let list = [0x11, 0x30, 0x20, 0x01, 8, 0x11, 0x10, 0xF0, 0x21, 2, 0x34, 0x56, 0];
        let (runs, result) = decode(&list, 0x4A);
        result.unwrap();
        let expected =
            [(0, Some(0x20), 0x30), (0x30, None, 8), (0x38, Some(0x10), 0x10), (0x48, Some(0x5644), 2)];
        assert_eq!(runs, expected);
        // The end may be missing where the number of clusters is right.
        assert!(decode(&list[..12], 0x4A).1.is_ok());
        assert!(decode(&list[..12], 0x4B).1.is_err());
    }

    #[test]
    fn runs_that_follow_each_other_are_one() {
        let (runs, result) = decode(&[0x11, 4, 10, 0x11, 4, 4, 0x01, 1, 0x01, 2, 0x11, 1, 4, 0], 12);
        result.unwrap();
        assert_eq!(runs, [(0, Some(10), 8), (8, None, 3), (11, Some(18), 1)]);
    }

    #[test]
    fn lengths_are_unsigned() {
        assert_eq!(decode(&[0x11, 0xFF, 1, 0], 255).0, [(0, Some(1), 255)]);
    }

    #[test]
    fn holes_of_no_length_are_passed_over_and_data_is_not() {
        assert_eq!(decode(&[0x01, 0, 0x11, 1, 1, 0], 1).0, [(0, Some(1), 1)]);
        assert_eq!(decode(&[0x11, 0, 1, 0], 0).1.unwrap_err().place.offset, 0);
    }

    #[test]
    fn ntfs_44_minus_one_is_a_hole_before_3_0() {
        let mut runs = Runs::default();
        let limits = Limits { old_holes: true, ..LIMITS };
        runs.decode(&[0x11, 2, 5, 0x11, 3, 0xFF, 0x11, 1, 4, 0], 6, &limits).unwrap();
        let found: Vec<_> = runs.iter().map(|run| run.lcn).collect();
        assert_eq!(found, [Some(5), None, Some(9)]);
        assert!(decode(&[0x11, 2, 5, 0x11, 3, 0xFF, 0], 5).1.is_ok());
    }

    #[test]
    fn hostile_3_sums_and_places_that_leave_the_volume() {
        // Lengths past 2^64, an LCN below 0, one past the end, one that overflows.
        let huge = [&[0x08][..], &[0xFF; 8], &[0x08], &[0xFF; 8], &[0]].concat();
        assert!(decode(&huge, u64::MAX).1.is_err());
        assert!(decode(&[0x11, 1, 0xFF, 0], 1).1.is_err());
        assert!(decode(&[0x51, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0], 1).1.is_err());
        let wraps =
            [&[0x81, 1][..], &i64::MAX.to_le_bytes(), &[0x81, 1], &i64::MAX.to_le_bytes(), &[0]].concat();
        assert!(decode(&wraps, 2).1.is_err());
        // The good ones before the fault stay.
        let (runs, result) = decode(&[0x11, 4, 10, 0x91, 1], 9);
        assert_eq!((runs.len(), result.unwrap_err().place.offset), (1, 3));
        for list in [&[0x10, 1][..], &[0x19], &[0x11], &[0x11, 1], &[0x44, 1, 2, 3]] {
            assert!(decode(list, 1).1.is_err(), "{list:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_list_is_read_or_refused(list: Vec<u8>, clusters: u32, from: u64) {
            let mut runs = Runs::default();
            let result = runs.decode(&list, clusters.into(), &LIMITS);
            prop_assert!(runs.end() <= u64::from(clusters));
            prop_assert_eq!(result.is_ok(), runs.end() == u64::from(clusters) && result.is_ok());
            let mut at = 0;
            for run in runs.iter() {
                prop_assert_eq!(run.vcn, at);
                prop_assert!(run.len > 0 && run.lcn.is_none_or(|lcn| lcn + run.len <= LIMITS.clusters));
                at = run.end();
            }
            prop_assert_eq!(at, runs.end());
            for vcn in [0, from, runs.end() / 2, runs.end().saturating_sub(1)] {
                match runs.from(vcn).next() {
                    Some(run) => prop_assert!(run.vcn <= vcn && vcn < run.end()),
                    None => prop_assert!(vcn >= runs.end()),
                }
            }
        }
    }
}
