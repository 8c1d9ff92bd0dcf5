//! Why a command ended early, as the user sees it.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anstyle::Style;

use crate::color;

/// A failure, with its exit code: 1, or 2 for wrong usage.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library failed.
    Library(ntbak::Error),
    /// Input or output of the command itself failed.
    Io { doing: String, error: io::Error },
    /// The arguments do not go together.
    Usage(String),
}

impl Failure {
    pub(crate) fn io(doing: impl Into<String>, error: io::Error) -> Self {
        Self::Io { doing: doing.into(), error }
    }

    /// Whether the reader of our output has gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Usage(_)) { 2 } else { 1 })
    }

    /// One or two lines on standard error: what failed, and what to do.
    pub(crate) fn print(&self) {
        match self {
            Self::Library(error) => {
                complain_in(color::FAILED, error);
                if let Some(advice) = error.advice() {
                    let _ = writeln!(io::stderr(), "  {advice}");
                }
            }
            Self::Io { doing, error } => complain_in(color::FAILED, format_args!("{doing}: {error}")),
            Self::Usage(why) => complain_in(color::FAILED, why),
        }
    }
}

/// A line on standard error with our name before it.
pub(crate) fn complain(what: impl Display) {
    complain_in(color::TOLD, what);
}

/// The same, with our name in a style.
pub(crate) fn complain_in(style: Style, what: impl Display) {
    let _ = writeln!(anstream::stderr(), "{style}ntbak:{style:#} {}", harmless(&what.to_string()));
}

/// Text for a terminal: names may have line breaks and escape sequences in them, and could forge lines or worse.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

impl From<ntbak::Error> for Failure {
    fn from(error: ntbak::Error) -> Self {
        Self::Library(error)
    }
}

impl From<ntbak_wire::Error> for Failure {
    fn from(error: ntbak_wire::Error) -> Self {
        Self::Library(error.into())
    }
}
