//! Which files of a tree are wanted.
//!
//! Rules are globs, compared without regard to case as NTFS compares names. A rule without `/` is about a name anywhere,
//! one with it about a path from the root on; what it says of a directory it says of all that is below. Of the rules
//! that say something about a file the last one counts. Where none does, the file is wanted, unless the first rule is an
//! include.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use ntbak_wire::{Name, Win32Error};

use crate::backup::Parts;
use crate::error::{Error, Result};
use crate::memory::StreamKey;

/// Rules, and a list of paths.
#[derive(Debug, Clone, Default)]
pub struct Select {
    globs: GlobSet,
    rules: Vec<Rule>,
    /// Each with all that is below it; sorted. `None`: everything.
    only: Option<Vec<Vec<u8>>>,
    /// Which of them were met.
    met: Arc<[AtomicBool]>,
    /// What of each file is left out.
    without: Parts,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    include: bool,
    directory: bool,
}

/// What was found about a directory, for what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The number of the last rule that says something, counted from 1.
    rule: usize,
    listed: bool,
}

/// One rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// What matches is wanted.
    Include(String),
    /// What matches is not.
    Exclude(String),
}

impl Select {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// What these rules say, the last one that matches.
    ///
    /// # Errors
    /// A pattern is no glob (87).
    pub fn new(patterns: &[Pattern]) -> Result<Self> {
        let (mut globs, mut rules) = (GlobSetBuilder::new(), Vec::new());
        for pattern in patterns {
            let (include, text) = match pattern {
                Pattern::Include(text) => (true, text),
                Pattern::Exclude(text) => (false, text),
            };
            let (path, directory) = match text.strip_suffix('/') {
                Some(path) => (path, true),
                None => (text.as_str(), false),
            };
            let anywhere = !path.contains('/');
            let path = path.strip_prefix("./").or_else(|| path.strip_prefix('/')).unwrap_or(path);
            let glob = if anywhere { format!("**/{path}") } else { path.to_owned() };
            let glob = String::from_utf8_lossy(&folded(glob.as_bytes())).into_owned();
            let built = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
            let built = built.map_err(|error| {
                Error::new(Win32Error::INVALID_PARAMETER, format!("{text:?} is no pattern: {}", error.kind()))
            })?;
            globs.add(built);
            rules.push(Rule { include, directory });
        }
        let globs = globs
            .build()
            .map_err(|error| Error::new(Win32Error::INVALID_PARAMETER, format!("the patterns: {error}")))?;
        Ok(Self { globs, rules, ..Self::default() })
    }

    /// Only these paths of what the rules leave, each with all that is below it. Separators at either end, and `./`
    /// before it, mean nothing.
    #[must_use]
    pub fn only(mut self, paths: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut paths: Vec<_> = paths.into_iter().map(|path| trimmed(&path).to_vec()).collect();
        paths.sort_unstable();
        paths.dedup();
        self.met = paths.iter().map(|_| AtomicBool::new(false)).collect();
        self.only = Some(paths);
        self
    }

    /// Of each file, all but these parts.
    #[must_use]
    pub fn without(mut self, parts: Parts) -> Self {
        self.without = parts;
        self
    }

    /// The parts of each file that are left out.
    #[must_use]
    pub fn left_out(&self) -> Parts {
        self.without
    }

    /// The paths that are listed.
    #[must_use]
    pub fn listed(&self) -> &[Vec<u8>] {
        self.only.as_deref().unwrap_or_default()
    }

    /// The paths that are listed, wanted by the rules, and that nobody has asked about: behind a walk, those that are not
    /// there. Clones of a selection know of each other.
    pub fn missing(&self) -> impl Iterator<Item = &[u8]> {
        let met = |at: usize| self.met.get(at).is_some_and(|met| met.load(Ordering::Relaxed));
        let rules = Self { only: None, ..self.clone() };
        let listed = self.listed().iter().enumerate().filter(move |(at, _)| !met(*at));
        listed.map(|(_, path)| path.as_slice()).filter(move |path| rules.wants(rules.verdict_on(path, false)))
    }

    /// Whether everything is wanted.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.rules.is_empty() && self.only.is_none()
    }

    /// What there is to say about a file, after the verdict on its directory.
    #[must_use]
    pub fn verdict(&self, above: Verdict, path: &[u8], is_directory: bool) -> Verdict {
        let mut verdict = above;
        if !self.rules.is_empty() && !path.is_empty() {
            let folded = folded(path);
            let matches = self.globs.matches(std::path::Path::new(as_os(&folded)));
            let counts = |at: &usize| self.rules.get(*at).is_some_and(|rule| is_directory || !rule.directory);
            let last = matches.into_iter().filter(counts).max();
            verdict.rule = verdict.rule.max(last.map_or(0, |at| at + 1));
        }
        if let Some(only) = &self.only
            && let Ok(at) = only.binary_search_by(|listed| listed.as_slice().cmp(path))
        {
            verdict.listed = true;
            if let Some(met) = self.met.get(at) {
                met.store(true, Ordering::Relaxed);
            }
        }
        verdict
    }

    /// What there is to say about a file of which only the path is known.
    #[must_use]
    pub fn verdict_on(&self, path: &[u8], is_directory: bool) -> Verdict {
        let mut verdict = self.verdict(Verdict::default(), b"", true);
        if self.is_all() {
            return verdict;
        }
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            verdict = self.verdict(verdict, path.get(..at).unwrap_or_default(), true);
        }
        if path.is_empty() { verdict } else { self.verdict(verdict, path, is_directory) }
    }

    /// Whether the file itself is wanted.
    #[must_use]
    pub fn wants(&self, verdict: Verdict) -> bool {
        let by_rule = match verdict.rule.checked_sub(1).and_then(|at| self.rules.get(at)) {
            Some(rule) => rule.include,
            None => !self.rules.first().is_some_and(|first| first.include),
        };
        by_rule && (self.only.is_none() || verdict.listed)
    }

    /// Whether something below a directory may be wanted.
    #[must_use]
    pub fn wants_below(&self, verdict: Verdict, path: &[u8]) -> bool {
        let by_list = match &self.only {
            Some(only) if !verdict.listed => {
                let below = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
                let at = only.partition_point(|listed| listed.as_slice() < below.as_slice());
                only.get(at).is_some_and(|listed| listed.starts_with(&below))
            }
            _ => true,
        };
        let later = || self.rules.iter().skip(verdict.rule).any(|rule| rule.include);
        let by_rule = Select { only: None, ..self.bare() }.wants(verdict) || later();
        by_list && by_rule
    }

    /// The rules alone.
    fn bare(&self) -> Self {
        Self { globs: GlobSet::empty(), rules: self.rules.clone(), ..Self::default() }
    }
}

fn as_os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

fn trimmed(mut path: &[u8]) -> &[u8] {
    loop {
        path = match path {
            [b'.', b'/', rest @ ..] | [b'/', rest @ ..] | [rest @ .., b'/'] => rest,
            b"." => b"",
            path => return path,
        };
    }
}

/// A path as NTFS compares it; one that NTFS cannot have, by its ASCII letters.
fn folded(path: &[u8]) -> Vec<u8> {
    match Name::from_wtf8(path) {
        Some(name) => StreamKey::upper(&name).to_wtf8(),
        None => path.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(rules: &[&str]) -> Select {
        let pattern = |rule: &&str| match rule.split_at(1) {
            ("+", glob) => Pattern::Include(glob.to_owned()),
            (_, glob) => Pattern::Exclude(glob.to_owned()),
        };
        Select::new(&rules.iter().map(pattern).collect::<Vec<_>>()).unwrap()
    }

    fn wanted(select: &Select, path: &str) -> bool {
        select.wants(select.verdict_on(path.as_bytes(), false))
    }

    #[test]
    fn the_last_rule_that_matches_counts_and_case_does_not() {
        let all = Select::all();
        assert!(wanted(&all, "a/b") && all.wants_below(Verdict::default(), b"a"));
        let some = select(&["-*.tmp", "-/Windows", "+Windows/System32/config", "-Größe.txt"]);
        for (path, expected) in [
            ("a.txt", true),
            ("x/y/A.TMP", false),
            ("windows", false),
            ("WINDOWS/x", false),
            ("Windows/System32/CONFIG/SAM", true),
            ("x/Windows/y", true),
            ("d/GRÖSSE.TXT", true),
            ("d/GRÖßE.TXT", false),
        ] {
            assert_eq!(wanted(&some, path), expected, "{path}");
        }
        assert!(some.wants_below(some.verdict_on(b"Windows", true), b"Windows"));
        let none = select(&["-/Windows"]);
        assert!(!none.wants_below(none.verdict_on(b"Windows", true), b"Windows"));
    }

    #[test]
    fn includes_alone_leave_the_rest_out() {
        let docs = select(&["+*.docx", "-secret*"]);
        assert!(wanted(&docs, "a/B.DOCX") && !wanted(&docs, "a/b.txt") && !wanted(&docs, "a/secret.docx"));
        assert!(
            !docs.wants(docs.verdict_on(b"a", true)) && docs.wants_below(docs.verdict_on(b"a", true), b"a")
        );
        let dirs = select(&["-cache/"]);
        assert!(wanted(&dirs, "a/cache") && !wanted(&dirs, "a/cache/b"));
        assert!(Select::new(&[Pattern::Include("[".into())]).is_err());
    }

    #[test]
    fn what_is_listed_and_not_met_is_missing() {
        let list = select(&["-c"]).only(["a/b", "a/B", "c/d", "e"].map(|path| path.as_bytes().to_vec()));
        assert!(wanted(&list.clone(), "a/b/x") && !wanted(&list, "a/x"));
        assert_eq!(list.missing().collect::<Vec<_>>(), [&b"a/B"[..], b"e"]);
        assert_eq!(Select::all().missing().count(), 0);
    }

    #[test]
    fn a_list_names_files_and_directories() {
        let list = Select::all().only([b"a/b".to_vec(), b"./c/".to_vec()]);
        assert!(wanted(&list, "a/b") && wanted(&list, "a/b/x") && wanted(&list, "c/x/y"));
        assert!(!wanted(&list, "a/bb") && !wanted(&list, "a") && !wanted(&list, "d"));
        assert!(list.wants_below(list.verdict_on(b"a", true), b"a"));
        assert!(!list.wants_below(list.verdict_on(b"d", true), b"d"));
        assert!(list.wants_below(Verdict::default(), b""));
        assert!(wanted(&Select::all().only([b".".to_vec()]), "x"));
    }
}
