//! Losses and notes: on standard error, in the report file, and in the exit code.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use ntbak::{Loss, LossKind, Note, Progress, Report};
use serde_json::Value;

use crate::args::Common;
use crate::color;
use crate::failure::{Failure, complain, complain_in};
use crate::interrupt;
use crate::json;
use crate::progress::ProgressLine;

/// Listens to the library while a command runs.
pub(crate) struct Reporter {
    verbose: bool,
    quiet: bool,
    allowed: Vec<LossKind>,
    state: Mutex<State>,
    progress: Arc<ProgressLine>,
}

struct State {
    file: Option<BufWriter<File>>,
    failed: Option<std::io::Error>,
    losses: usize,
    not_allowed: usize,
    notes: usize,
}

impl Reporter {
    /// A reporter as the arguments want it.
    pub(crate) fn new(common: &Common) -> Result<Self, Failure> {
        if common.report.as_deref() == Some(Path::new("-")) {
            return Err(Failure::Usage(
                "--report takes a file; losses are on standard error in any case".into(),
            ));
        }
        let create = |path: &Path| {
            File::create(path)
                .map_err(|error| Failure::io(format!("{}: making the report", path.display()), error))
        };
        let file = common.report.as_deref().map(create).transpose()?.map(BufWriter::new);
        let state = State { file, failed: None, losses: 0, not_allowed: 0, notes: 0 };
        Ok(Self {
            verbose: common.verbose,
            quiet: common.quiet,
            allowed: common.allow_loss.clone(),
            state: Mutex::new(state),
            progress: Arc::new(ProgressLine::new(common.quiet)),
        })
    }

    /// The end of a command that did `what`: completes the report, prints the summary line, answers the exit code.
    pub(crate) fn finish(self, what: Option<&str>) -> Result<ExitCode, Failure> {
        self.progress.clear();
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let written = match (state.failed, state.file) {
            (Some(error), _) => Err(error),
            (None, Some(mut file)) => file.flush(),
            (None, None) => Ok(()),
        };
        written.map_err(|error| Failure::io("writing the report", error))?;
        let lost = match state.losses {
            0 => "nothing lost".to_owned(),
            1 => "1 loss".to_owned(),
            losses => format!("{losses} losses"),
        };
        let notes = match state.notes {
            0 => String::new(),
            1 => ", 1 note".to_owned(),
            notes => format!(", {notes} notes"),
        };
        if let Some(what) = what
            && !self.quiet
        {
            complain(format_args!("{what}: {lost}{notes}"));
        }
        Ok(ExitCode::from(if state.not_allowed > 0 { 3 } else { 0 }))
    }

    /// The line that tells how far the work is.
    pub(crate) fn line(&self) -> &Arc<ProgressLine> {
        &self.progress
    }

    fn write(&self, state: &mut State, line: &Value) {
        if let Some(file) = &mut state.file
            && let Err(error) = writeln!(file, "{line}")
        {
            state.failed.get_or_insert(error);
        }
    }
}

impl Report for Reporter {
    fn loss(&self, loss: Loss) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.losses += 1;
        state.not_allowed += usize::from(!self.allowed.contains(&loss.kind));
        if !self.quiet {
            let place = place(&loss.path, loss.stream.as_ref());
            let told = format!("lost {} of {place}: {}", loss.kind, loss.why);
            self.progress.beside(|| complain_in(color::LOST, told));
        }
        let mut line = serde_json::json!({ "type": "loss", "kind": loss.kind.name() });
        describe(&mut line, &loss.path, loss.stream.as_ref());
        json::put(&mut line, "why", loss.why.into());
        self.write(&mut state, &line);
    }

    fn note(&self, note: Note) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.notes += 1;
        if self.verbose {
            let place = place(&note.path, note.stream.as_ref());
            self.progress.beside(|| complain(format_args!("note on {place}: {}", note.what)));
        }
        let mut line = serde_json::json!({ "type": "note" });
        describe(&mut line, &note.path, note.stream.as_ref());
        json::put(&mut line, "what", note.what.into());
        self.write(&mut state, &line);
    }

    fn cancelled(&self) -> bool {
        interrupt::is_ended()
    }

    fn progress(&self, progress: Progress) {
        self.progress.show(progress);
    }
}

fn place(path: &Path, stream: Option<&ntbak_wire::stream::StreamName>) -> String {
    match stream {
        Some(stream) => format!("{}:{stream}", path.display()),
        None => path.display().to_string(),
    }
}

fn describe(line: &mut Value, path: &Path, stream: Option<&ntbak_wire::stream::StreamName>) {
    json::put_path(line, "path", path);
    if let Some(stream) = stream {
        json::put_name(line, "stream", stream.name());
    }
}
