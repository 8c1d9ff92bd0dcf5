//! Colours, where a terminal shows them.
//!
//! `--color` decides; with `auto`, the default, a terminal that `NO_COLOR`, `CLICOLOR` and `TERM` do not speak against.

use std::fmt::Display;
use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What failed.
pub(crate) const FAILED: Style = AnsiColor::Red.on_default().bold();
/// What was lost.
pub(crate) const LOST: Style = AnsiColor::Yellow.on_default().bold();
/// What is only told.
pub(crate) const TOLD: Style = Style::new();
/// Sides of a comparison.
pub(crate) const A: Style = AnsiColor::Red.on_default();
pub(crate) const B: Style = AnsiColor::Green.on_default();

/// Takes the wish of the user, for the whole run.
pub(crate) fn choose(when: clap::ColorChoice) {
    let choice = match when {
        clap::ColorChoice::Auto => ColorChoice::Auto,
        clap::ColorChoice::Always => ColorChoice::Always,
        clap::ColorChoice::Never => ColorChoice::Never,
    };
    choice.write_global();
}

/// Whether standard output shows colours.
pub(crate) fn on_stdout() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// The text in a style, when there are to be colours.
pub(crate) fn paint(text: impl Display, style: Style, colors: bool) -> String {
    if colors { format!("{style}{text}{style:#}") } else { text.to_string() }
}
