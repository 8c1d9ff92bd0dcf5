//! Keys and passwords for encrypted files. A password is never on the command line, where others see it.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use ntbak_efs::{Certificate, Error, KeyRing, Recipient};

use crate::failure::{Failure, complain};

/// Options of every command that opens encrypted files.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// A PFX or PEM file with a private key; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
    /// The first line of FILE is the password of the keys. Without it: NTBAK_PASSWORD, or the terminal is asked.
    #[arg(long, value_name = "FILE", conflicts_with = "password_command")]
    pub(crate) password_file: Option<PathBuf>,
    /// The first line that the shell command prints is the password of the keys.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) password_command: Option<String>,
}

impl KeyArgs {
    /// All the keys.
    pub(crate) fn ring(&self) -> Result<KeyRing, Failure> {
        let password = self.password()?;
        let mut ring = KeyRing::new();
        for path in &self.key {
            let bytes = read(path)?;
            let mut added = ring.add_file(&bytes, password.as_deref());
            // No password and an empty one are not the same.
            for other in [None, Some("")] {
                if matches!(added, Err(Error::Password { .. })) {
                    added = ring.add_file(&bytes, other);
                }
            }
            if matches!(added, Err(Error::Password { .. })) && password.is_none() && io::stdin().is_terminal()
            {
                let asked = rpassword::prompt_password(format!("password of {}: ", path.display()));
                let asked = asked.map_err(|error| Failure::io("asking for the password", error))?;
                added = ring.add_file(&bytes, Some(&asked));
            }
            let added = added.map_err(|error| Failure::from(ntbak::Error::from(error).at_path(path)))?;
            for skipped in added.skipped {
                complain(format_args!("{}: passed over: {skipped}", path.display()));
            }
        }
        Ok(ring)
    }

    fn password(&self) -> Result<Option<String>, Failure> {
        let first_line = |text: String| {
            // Editors of Windows put a mark before it.
            let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
            text.lines().next().unwrap_or_default().to_owned()
        };
        if let Some(path) = &self.password_file {
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| Failure::io(format!("{}: reading it", path.display()), error))?;
            return Ok(Some(first_line(text)));
        }
        if let Some(command) = &self.password_command {
            // What it has to say, it says to the user.
            let run = Command::new("sh").arg("-c").arg(command).stderr(Stdio::inherit()).output();
            let run = run.map_err(|error| Failure::io(format!("running `{command}`"), error))?;
            if !run.status.success() {
                return Err(Failure::Usage(format!("`{command}` failed: {}", run.status)));
            }
            return Ok(Some(first_line(String::from_utf8_lossy(&run.stdout).into_owned())));
        }
        Ok(std::env::var("NTBAK_PASSWORD").ok())
    }
}

/// The holder of a certificate: DER or PEM, or one in a PFX without a password.
pub(crate) fn recipient(path: &Path) -> Result<Recipient, Failure> {
    let certificate = Certificate::read(&read(path)?);
    let certificate = certificate.map_err(|error| Failure::from(ntbak::Error::from(error).at_path(path)))?;
    if !certificate.is_for_efs() && !certificate.is_for_recovery() {
        complain(format_args!(
            "{}: the certificate is not meant for EFS; Windows will not use its key",
            path.display()
        ));
    }
    Ok(Recipient::new(certificate))
}

/// The holders of several.
pub(crate) fn recipients(paths: &[PathBuf]) -> Result<Vec<Recipient>, Failure> {
    paths.iter().map(|path| recipient(path)).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::io(format!("{}: reading it", path.display()), error))
}
