//! Keys and passwords for encrypted files. A password is never on the command line, where others see it.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use ntbak_efs::{Certificate, Error, KeyRing, Recipient};
use ntbak_wire::Win32Error;
use zeroize::Zeroizing;

use crate::failure::{Failure, complain};

/// The most bytes of a key file, a certificate or a password file; those of people have a few thousand.
const MOST: u64 = 16 << 20;

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
            let given = password.as_ref().map(|password| password.as_str());
            let mut added = ring.add_file(&bytes, given);
            // No password and an empty one are not the same.
            for other in [None, Some("")] {
                if matches!(added, Err(Error::Password { .. })) {
                    added = ring.add_file(&bytes, other);
                }
            }
            let ask = given.is_none() && io::stdin().is_terminal();
            if ask && matches!(added, Err(Error::Password { .. })) {
                let asked = rpassword::prompt_password(format!("password of {}: ", path.display()));
                let asked = asked.map_err(|error| Failure::io("asking for the password", error))?;
                added = ring.add_file(&bytes, Some(&Zeroizing::new(asked)));
            }
            let unasked = !ask && given.is_none() && matches!(added, Err(Error::Password { .. }));
            let added = added.map_err(|error| {
                let error = ntbak::Error::from(error).at_path(path);
                let hint = "no password was given: use --password-file, --password-command or NTBAK_PASSWORD";
                Failure::from(if unasked { error.hint(hint) } else { error })
            })?;
            for skipped in added.skipped {
                complain(format_args!("{}: passed over: {skipped}", path.display()));
            }
        }
        Ok(ring)
    }

    fn password(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let first_line = |text: &str| {
            // Editors of Windows put a mark before it.
            let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
            Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
        };
        if let Some(path) = &self.password_file {
            let bytes = read(path)?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Failure::Usage(format!("{}: the password is not UTF-8", path.display())))?;
            return Ok(Some(first_line(text)));
        }
        if let Some(command) = &self.password_command {
            // What it has to say, it says to the user.
            let run = Command::new("sh").arg("-c").arg(command).stderr(Stdio::inherit()).output();
            let run = run.map_err(|error| Failure::io(format!("running `{command}`"), error))?;
            if !run.status.success() {
                return Err(Failure::Usage(format!("`{command}` failed: {}", run.status)));
            }
            let printed = Zeroizing::new(run.stdout);
            let text = Zeroizing::new(String::from_utf8_lossy(&printed).into_owned());
            return Ok(Some(first_line(&text)));
        }
        Ok(std::env::var("NTBAK_PASSWORD").ok().map(Zeroizing::new))
    }
}

/// The holder of a certificate: DER or PEM, or one in a PFX without a password.
pub(crate) fn recipient(path: &Path) -> Result<Recipient, Failure> {
    let certificate = certificate(path)?;
    if !certificate.is_for_efs() && !certificate.is_for_recovery() {
        complain(format_args!(
            "{}: the certificate is not meant for EFS; Windows will not use its key",
            path.display()
        ));
    }
    Ok(Recipient::new(certificate))
}

fn certificate(path: &Path) -> Result<Certificate, Failure> {
    let bytes = read(path)?;
    let error = match Certificate::read(&bytes) {
        Ok(certificate) => return Ok(certificate),
        Err(error) => error,
    };
    let mut ring = KeyRing::new();
    let has_key = match ring.add_file(&bytes, None) {
        Ok(_) | Err(Error::Password { .. }) => true,
        Err(_) => false,
    };
    if let Some(certificate) = ring.identities().iter().find_map(|identity| identity.certificate.clone()) {
        return Ok(certificate);
    }
    if has_key {
        let why = "it is a private key, and a certificate is wanted";
        let hint = "`openssl pkcs12 -in FILE -clcerts -nokeys` takes the certificate out of a PFX";
        return Err(ntbak::Error::new(Win32Error::INVALID_DATA, why).at_path(path).hint(hint).into());
    }
    Err(ntbak::Error::from(error).at_path(path).into())
}

/// The holders of several.
pub(crate) fn recipients(paths: &[PathBuf]) -> Result<Vec<Recipient>, Failure> {
    paths.iter().map(|path| recipient(path)).collect()
}

/// All of a small file, wiped when it is dropped.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let reading = |error| Failure::io(format!("{}: reading it", path.display()), error);
    let file = File::open(path).map_err(reading)?;
    // As large as it is from the start: what grows leaves copies behind.
    let size = file.metadata().map_or(0, |metadata| metadata.len()).min(MOST) as usize;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::Usage(format!("{}: with more than {MOST} bytes it is no key", path.display())));
    }
    Ok(bytes)
}
