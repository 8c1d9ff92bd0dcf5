//! PEM: base64 between two lines, with any text around it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// One block. Keys come this way, so the content is wiped.
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

impl Block {
    pub(crate) fn is_certificate(&self) -> bool {
        matches!(self.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
    }

    pub(crate) fn is_key(&self) -> bool {
        matches!(self.label.as_str(), "PRIVATE KEY" | "RSA PRIVATE KEY")
    }

    pub(crate) fn is_encrypted_key(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY"
    }
}

/// All blocks of a text; none when there is no BEGIN line.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<Block>> {
    let malformed = |why| Error::malformed("PEM", why);
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    // One for all blocks, which none outgrows: growing would leave copies behind.
    let mut base64 = Zeroizing::new(Vec::with_capacity(text.len()));
    for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        let marker = |front: &str| {
            let line = std::str::from_utf8(line).ok()?;
            line.strip_prefix(front)?.strip_suffix("-----")
        };
        if let Some(label) = marker("-----BEGIN ") {
            if open.is_some() {
                return Err(malformed("a block begins inside of another"));
            }
            base64.clear();
            open = Some(label.to_owned());
        } else if let Some(label) = marker("-----END ") {
            let Some(begun) = open.take().filter(|begun| begun == label) else {
                return Err(malformed("an END line without its BEGIN"));
            };
            let content = STANDARD.decode(&base64).map_err(|_| malformed("it is not base64"))?;
            blocks.push(Block { label: begun, content: Zeroizing::new(content) });
        } else if open.is_some() {
            if line.contains(&b':') {
                return Err(Error::Unsupported {
                    what: "the old encryption of PEM keys (Proc-Type)".into(),
                    hint: "; write the key anew with `openssl pkcs8 -topk8`",
                });
            }
            base64.extend_from_slice(line);
        }
    }
    match open {
        Some(_) => Err(malformed("the last block has no END line")),
        None => Ok(blocks),
    }
}
