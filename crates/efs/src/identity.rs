//! A private key with its certificate, read from a key file or made anew.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use der::asn1::ObjectIdentifier;

use crate::asn1::{BIT_STRING, CONTEXT, INTEGER, NULL, OCTET_STRING, SEQUENCE, SET, oid, tlv};
use crate::certificate::{
    ALTERNATIVE_NAME, COMMON_NAME, Certificate, EXTENDED_KEY_USAGE, USAGE_EFS, USAGE_RECOVERY,
    USER_PRINCIPAL_NAME,
};
use crate::error::{Error, Result};
use crate::random;
use crate::rsa::PrivateKey;

const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const UTF8_STRING: u8 = 0x0C;
const GENERALIZED_TIME: u8 = 0x18;
const UTC_TIME: u8 = 0x17;
/// The years that a certificate may speak of, as seconds from 1970: 1950 to 9999.
const TIMES: std::ops::Range<i64> = -631_152_000..253_402_300_800;

/// A private key, and the certificate that it belongs to.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The key.
    pub key: Arc<PrivateKey>,
    /// Its certificate; a bare key has none, and is tried on every entry.
    pub certificate: Option<Certificate>,
}

/// What a new certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Encrypting files.
    Efs,
    /// Recovering the files of others.
    Recovery,
}

/// Sizes that new keys may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bits {
    /// 2048 bits: what Windows makes.
    B2048,
    /// 3072 bits.
    B3072,
    /// 4096 bits.
    B4096,
}

/// A key pair with a self-signed certificate, to be made.
#[derive(Debug, Clone)]
pub struct NewIdentity<'a> {
    /// Size of the key.
    pub bits: Bits,
    /// CN of subject and issuer: the user's name.
    pub common_name: &'a str,
    /// `user@HOST`, shown in the list of a file's users.
    pub principal_name: Option<&'a str>,
    /// What it is for.
    pub usage: Usage,
    /// When it begins to be valid: seconds from 1970.
    pub not_before: i64,
    /// When it ends. Windows gives EFS certificates a hundred years.
    pub not_after: i64,
}

impl NewIdentity<'_> {
    /// Makes the key and signs the certificate, as Windows does for a user who has none: usage, principal name, basic
    /// constraints.
    ///
    /// # Errors
    /// The random source failed, or a time is not between 1950 and 9999.
    pub fn generate(&self) -> Result<Identity> {
        let failed = |_| Error::Crypto("making an RSA key");
        let size = match self.bits {
            Bits::B2048 => KeySize::Rsa2048,
            Bits::B3072 => KeySize::Rsa3072,
            Bits::B4096 => KeySize::Rsa4096,
        };
        let key = PrivateDecryptingKey::generate(size).map_err(failed)?;
        let der: Pkcs8V1Der<'static> = key.as_der().map_err(failed)?;
        let signer = KeyPair::from_pkcs8(der.as_ref()).map_err(|_| Error::Crypto("making an RSA key"))?;
        let key = PrivateKey::from_der(der.as_ref())?;
        let signed = self.to_be_signed(&key)?;
        let mut signature = vec![0; signer.public_modulus_len()];
        let source = aws_lc_rs::rand::SystemRandom::new();
        signer.sign(&RSA_PKCS1_SHA256, &source, &signed, &mut signature).map_err(failed)?;
        let certificate = tlv(SEQUENCE, &[&signed, &algorithm(), &tlv(BIT_STRING, &[&[0], &signature])]);
        Ok(Identity { key: Arc::new(key), certificate: Some(Certificate::from_der(&certificate)?) })
    }

    fn to_be_signed(&self, key: &PrivateKey) -> Result<Vec<u8>> {
        let mut serial = [0; 16];
        random(&mut serial)?;
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x3F | 0x40;
        }
        let name = tlv(SEQUENCE, &[&oid(&COMMON_NAME), &tlv(UTF8_STRING, &[self.common_name.as_bytes()])]);
        let name = tlv(SEQUENCE, &[&tlv(SET, &[&name])]);
        let validity = tlv(SEQUENCE, &[&time(self.not_before)?, &time(self.not_after)?]);
        let usage = match self.usage {
            Usage::Efs => USAGE_EFS,
            Usage::Recovery => USAGE_RECOVERY,
        };
        let mut extensions = extension(&EXTENDED_KEY_USAGE, &tlv(SEQUENCE, &[&oid(&usage)]));
        if let Some(principal) = self.principal_name {
            let text = tlv(CONTEXT, &[&tlv(UTF8_STRING, &[principal.as_bytes()])]);
            let other = tlv(CONTEXT, &[&oid(&USER_PRINCIPAL_NAME), &text]);
            extensions.extend(extension(&ALTERNATIVE_NAME, &tlv(SEQUENCE, &[&other])));
        }
        extensions.extend(extension(&BASIC_CONSTRAINTS, &tlv(SEQUENCE, &[])));
        Ok(tlv(
            SEQUENCE,
            &[
                &tlv(CONTEXT, &[&[INTEGER, 1, 2]]),
                &tlv(INTEGER, &[&serial]),
                &algorithm(),
                &name,
                &validity,
                &name,
                &key.public().to_spki(),
                &tlv(CONTEXT + 3, &[&tlv(SEQUENCE, &[&extensions])]),
            ],
        ))
    }
}

fn algorithm() -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(&SHA256_WITH_RSA), &[NULL, 0]])
}

fn extension(id: &ObjectIdentifier, value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(id), &tlv(OCTET_STRING, &[value])])
}

/// UTCTime before 2050, GeneralizedTime from then on (RFC 5280, 4.1.2.5).
fn time(seconds: i64) -> Result<Vec<u8>> {
    if !TIMES.contains(&seconds) {
        return Err(Error::malformed("certificate", "its validity must lie between 1950 and 9999"));
    }
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let clock = format!("{month:02}{day:02}{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60);
    Ok(if year < 2050 {
        tlv(UTC_TIME, &[format!("{:02}{clock}", year % 100).as_bytes()])
    } else {
        tlv(GENERALIZED_TIME, &[format!("{year:04}{clock}").as_bytes()])
    })
}

/// Year, month and day of the day `days` after 1970-01-01, in the Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let month_day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, month_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (-1, (1969, 12, 31)),
            (-7305, (1950, 1, 1)),
            (2_932_896, (9999, 12, 31)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
        assert_eq!(time(0).unwrap(), b"\x17\x0d700101000000Z");
        assert_eq!(time(253_402_300_799).unwrap(), b"\x18\x0f99991231235959Z");
        assert_eq!(time(2_524_607_999).unwrap(), b"\x17\x0d491231235959Z");
        assert!(time(253_402_300_800).is_err());
    }
}
