//! Certificates, as far as EFS looks at them: the thumbprint, the public key, the names for people, the usages.

use std::fmt;

use der::asn1::ObjectIdentifier;
use ntbak_wire::Name;
use sha1::{Digest, Sha1};

use crate::asn1::{CONTEXT, Fields, OCTET_STRING};
use crate::error::{Error, Result};
use crate::pem;
use crate::rsa::PublicKey;

pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub(crate) const ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
pub(crate) const USER_PRINCIPAL_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
pub(crate) const USAGE_EFS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.4");
pub(crate) const USAGE_RECOVERY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.4.1");

/// A certificate in DER, and what EFS wants to know of it. Nothing is verified: EFS does not ask who signed it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    thumbprint: [u8; 20],
    key: Option<PublicKey>,
    common_name: Option<String>,
    principal_name: Option<String>,
    usages: Vec<ObjectIdentifier>,
}

impl Certificate {
    /// Reads one certificate, in DER or PEM.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        match pem::blocks(bytes)?.into_iter().find(|block| block.is_certificate()) {
            Some(block) => Self::from_der(&block.content),
            None => Self::from_der(bytes),
        }
    }

    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// It is none.
    pub fn from_der(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "certificate";
        let mut all = Fields::new(WHAT, bytes)?;
        let raw = all.raw()?;
        if !all.is_empty() {
            return Err(Error::malformed(WHAT, "something follows it"));
        }
        let mut signed = Fields::sequence(WHAT, raw)?.nested()?;
        signed.take_if(CONTEXT)?;
        // Serial number, algorithm, issuer, validity.
        for _ in 0..4 {
            signed.any()?;
        }
        let common_name = common_name(signed.nested()?)?;
        let key = PublicKey::from_spki(signed.raw()?)?;
        let mut certificate = Self {
            der: raw.to_vec(),
            thumbprint: Sha1::digest(raw).0,
            key,
            common_name,
            principal_name: None,
            usages: Vec::new(),
        };
        while !signed.is_empty() {
            let (tag, value) = signed.any()?;
            if tag == CONTEXT + 3 {
                certificate.extensions(Fields::sequence(WHAT, value)?)?;
            }
        }
        Ok(certificate)
    }

    fn extensions(&mut self, mut extensions: Fields<'_>) -> Result<()> {
        while !extensions.is_empty() {
            let mut extension = extensions.nested()?;
            let id = extension.oid()?;
            let mut value = extension.any()?;
            if value.0 != OCTET_STRING {
                value = extension.any()?;
            }
            if id == EXTENDED_KEY_USAGE {
                let mut usages = Fields::sequence("extended key usage", value.1)?;
                while !usages.is_empty() {
                    self.usages.push(usages.oid()?);
                }
            } else if id == ALTERNATIVE_NAME {
                let mut names = Fields::sequence("alternative name", value.1)?;
                while !names.is_empty() {
                    if let (CONTEXT, other) = names.any()?
                        && let Some(name) = principal_name(other)
                    {
                        self.principal_name = Some(name);
                    }
                }
            }
        }
        Ok(())
    }

    /// The certificate in DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-1 of the DER: what EFS finds keys by.
    #[must_use]
    pub fn thumbprint(&self) -> &[u8; 20] {
        &self.thumbprint
    }

    /// The public key, unless it is not RSA.
    #[must_use]
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// CN of the subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The user principal name among the alternative names, `user@HOST`.
    #[must_use]
    pub fn principal_name(&self) -> Option<&str> {
        self.principal_name.as_deref()
    }

    /// What Windows shows in a file's list of users: `CN(user@HOST)`, or as much of it as there is.
    #[must_use]
    pub fn display_name(&self) -> Option<Name> {
        let text = match (&self.common_name, &self.principal_name) {
            (Some(common), Some(principal)) => format!("{common}({principal})"),
            (Some(name), None) | (None, Some(name)) => name.clone(),
            (None, None) => return None,
        };
        Some(Name::from(text.as_str()))
    }

    /// The certificate is for encrypting files (1.3.6.1.4.1.311.10.3.4).
    #[must_use]
    pub fn is_for_efs(&self) -> bool {
        self.usages.contains(&USAGE_EFS)
    }

    /// The certificate is for recovering files (1.3.6.1.4.1.311.10.3.4.1).
    #[must_use]
    pub fn is_for_recovery(&self) -> bool {
        self.usages.contains(&USAGE_RECOVERY)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("name", &self.display_name())
            .field("thumbprint", &format_args!("{:02x?}", self.thumbprint))
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The last CN of a name: the most specific one.
fn common_name(mut name: Fields<'_>) -> Result<Option<String>> {
    let mut found = None;
    while !name.is_empty() {
        let mut set = Fields::new("name", name.any()?.1)?;
        while !set.is_empty() {
            let mut attribute = set.nested()?;
            if attribute.oid()? == COMMON_NAME {
                let (tag, value) = attribute.any()?;
                found = Some(text(tag, value));
            }
        }
    }
    Ok(found)
}

fn principal_name(other: &[u8]) -> Option<String> {
    let mut other = Fields::new("alternative name", other).ok()?;
    if other.oid().ok()? != USER_PRINCIPAL_NAME {
        return None;
    }
    let (tag, value) = Fields::new("alternative name", other.take(CONTEXT).ok()?).ok()?.any().ok()?;
    Some(text(tag, value))
}

/// A string of any of ASN.1's kinds; what is not legal in it is replaced.
fn text(tag: u8, value: &[u8]) -> String {
    const BMP_STRING: u8 = 0x1E;
    const TELETEX_STRING: u8 = 0x14;
    match tag {
        BMP_STRING => {
            let units: Vec<u16> =
                value.as_chunks::<2>().0.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16_lossy(&units)
        }
        TELETEX_STRING => value.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}
