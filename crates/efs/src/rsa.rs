//! RSA with PKCS#1 v1.5 padding, as EFS wraps the file encryption key: the ciphertext is stored in reverse.
//!
//! AWS-LC does it from 2048 to 8192 bits. Keys of Windows XP have 1024 bits, and some people have more than 8192: those go
//! through plain big numbers, in constant time where the secret is.

use std::fmt;

use aws_lc_rs::rsa::{
    Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul, Odd, Resize};
use der::asn1::ObjectIdentifier;
use zeroize::{Zeroize, Zeroizing};

use crate::asn1::{self, BIT_STRING, Fields, INTEGER, NULL, OCTET_STRING, SEQUENCE, tlv};
use crate::error::{Error, Result};
use crate::random;

/// rsaEncryption.
pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Key sizes in bits.
const BITS: std::ops::RangeInclusive<u32> = 1024..=16384;
/// The largest public exponent in bytes: what Windows has room for.
const MAX_EXPONENT: usize = 8;
/// What PKCS#1 v1.5 adds at least: 00 02, eight random bytes, 00.
const PADDING: usize = 11;

/// An RSA public key of 1024 to 16,384 bits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl PublicKey {
    fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let (modulus, exponent) = (asn1::trim(modulus).to_vec(), asn1::trim(exponent).to_vec());
        let key = Self { modulus, exponent };
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !BITS.contains(&key.bits()) {
            return Err(Error::unsupported(format!("an RSA key of {} bits", key.bits())));
        }
        if !is_odd(&key.modulus)
            || !is_odd(&key.exponent)
            || key.exponent.len() > MAX_EXPONENT
            || key.exponent == [1]
        {
            return Err(Error::malformed("RSA key", "modulus or exponent cannot be"));
        }
        Ok(key)
    }

    /// Reads SubjectPublicKeyInfo; `None` when it is not an RSA key.
    pub(crate) fn from_spki(bytes: &[u8]) -> Result<Option<Self>> {
        let mut info = Fields::sequence("public key", bytes)?;
        if info.nested()?.oid()? != RSA {
            return Ok(None);
        }
        let Some((0, bits)) = info.take(BIT_STRING)?.split_first() else {
            return Err(Error::malformed("public key", "it is not a whole number of bytes"));
        };
        let mut key = Fields::sequence("public key", bits)?;
        let modulus = key.unsigned()?;
        Self::new(modulus, key.unsigned()?).map(Some)
    }

    fn to_pkcs1(&self) -> Vec<u8> {
        tlv(SEQUENCE, &[&asn1::unsigned(&self.modulus), &asn1::unsigned(&self.exponent)])
    }

    pub(crate) fn to_spki(&self) -> Vec<u8> {
        tlv(SEQUENCE, &[&algorithm(), &tlv(BIT_STRING, &[&[0], &self.to_pkcs1()])])
    }

    /// Size of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        let unused = self.modulus.first().map_or(0, |first| first.leading_zeros());
        (self.modulus.len() as u32) * 8 - unused
    }

    /// Bytes of everything that is encrypted with the key.
    #[must_use]
    pub fn len(&self) -> usize {
        self.modulus.len()
    }

    /// Never: a key has 1024 bits or more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Encrypts, with the bytes in the order of PKCS#1.
    pub(crate) fn encrypt(&self, message: &[u8]) -> Result<Vec<u8>> {
        if message.len() + PADDING > self.len() {
            return Err(Error::unsupported(format!(
                "{} bytes under an RSA key of {} bits",
                message.len(),
                self.bits()
            )));
        }
        let failed = |_| Error::Crypto("RSA encryption");
        if let Ok(key) = PublicEncryptingKey::from_der(&self.to_spki()) {
            let key = Pkcs1PublicEncryptingKey::new(key).map_err(failed)?;
            let mut out = vec![0; self.len()];
            key.encrypt(message, &mut out).map_err(failed)?;
            return Ok(out);
        }
        let mut block = Zeroizing::new(vec![0; self.len()]);
        let (head, tail) = block.split_at_mut(self.len() - message.len());
        tail.copy_from_slice(message);
        if let [0, kind, padding @ .., 0] = head {
            *kind = 2;
            random(padding)?;
            for byte in padding {
                while *byte == 0 {
                    random(std::slice::from_mut(byte))?;
                }
            }
        }
        self.raw(&block)
    }

    /// `message ^ e mod n`.
    fn raw(&self, message: &[u8]) -> Result<Vec<u8>> {
        let modulus = odd(&self.modulus)?;
        let exponent = BoxedUint::from_be_slice_vartime(&self.exponent);
        let message = BoxedUint::from_be_slice_vartime(message);
        Ok(to_bytes(&power(&message, &exponent, &modulus), self.len()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(RSA, {} bits)", self.bits())
    }
}

/// An RSA private key of 1024 to 16,384 bits. Wiped when it is dropped; `Debug` does not show it.
pub struct PrivateKey {
    public: PublicKey,
    /// PKCS#1, for PFX files.
    pkcs1: Zeroizing<Vec<u8>>,
    engine: Engine,
}

enum Engine {
    AwsLc(Pkcs1PrivateDecryptingKey),
    Big(Box<Primes>),
}

/// The numbers of the Chinese remainder theorem.
struct Primes {
    p: BoxedUint,
    q: BoxedUint,
    dp: BoxedUint,
    dq: BoxedUint,
    inverse: BoxedUint,
}

impl PrivateKey {
    /// Reads a key in DER: PKCS#8 without a password, or PKCS#1.
    ///
    /// # Errors
    /// Neither of them, another algorithm than RSA, or a size beyond 1024 to 16,384 bits.
    pub fn from_der(bytes: &[u8]) -> Result<Self> {
        let mut key = Fields::sequence("private key", bytes)?;
        key.take(INTEGER)?;
        let Some(algorithm) = key.take_if(SEQUENCE)? else { return Self::from_pkcs1(bytes) };
        if Fields::new("private key", algorithm)?.oid()? != RSA {
            return Err(Error::unsupported("a private key that is not RSA"));
        }
        Self::from_pkcs1(key.take(OCTET_STRING)?)
    }

    fn from_pkcs1(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::sequence("private key", bytes)?;
        if fields.small()? != 0 {
            return Err(Error::unsupported("an RSA key of more than two primes"));
        }
        let public = PublicKey::new(fields.unsigned()?, fields.unsigned()?)?;
        fields.unsigned()?;
        let mut number = || fields.unsigned().map(BoxedUint::from_be_slice_vartime);
        let primes = Primes { p: number()?, q: number()?, dp: number()?, dq: number()?, inverse: number()? };
        // An exponent of any length would make each use of the key as long.
        let most = public.bits();
        if [&primes.dp, &primes.dq, &primes.inverse].iter().any(|number| number.bits_vartime() > most) {
            return Err(Error::malformed("private key", "its numbers are longer than its modulus"));
        }
        let product = primes.p.concatenating_mul(&primes.q);
        if product.cmp_vartime(BoxedUint::from_be_slice_vartime(&public.modulus)).is_ne() {
            return Err(Error::malformed("private key", "its modulus is not the product of its primes"));
        }
        let pkcs1 = Zeroizing::new(bytes.to_vec());
        let pkcs8 = to_pkcs8(&pkcs1);
        let engine = match PrivateDecryptingKey::from_pkcs8(&pkcs8).map(Pkcs1PrivateDecryptingKey::new) {
            Ok(Ok(key)) => Engine::AwsLc(key),
            _ => Engine::Big(Box::new(primes)),
        };
        Ok(Self { public, pkcs1, engine })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// PKCS#8 in DER. Secret.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        to_pkcs8(&self.pkcs1)
    }

    /// Decrypts, with the bytes in the order of PKCS#1; `None` when the padding is not right.
    pub(crate) fn decrypt(&self, message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(vec![0; self.public.len()]);
        match &self.engine {
            Engine::AwsLc(key) => {
                let len = key.decrypt(message, &mut out).ok()?.len();
                out.truncate(len);
                Some(out)
            }
            Engine::Big(primes) => {
                let block = Zeroizing::new(primes.power(message, &self.public)?);
                let [0, 2, rest @ ..] = &block[..] else { return None };
                let end = rest.iter().position(|byte| *byte == 0).filter(|end| *end >= PADDING - 3)?;
                Some(Zeroizing::new(rest.get(end + 1..)?.to_vec()))
            }
        }
    }
}

impl Primes {
    /// `message ^ d mod n`, by way of the primes; `None` when the key contradicts itself.
    fn power(&self, message: &[u8], public: &PublicKey) -> Option<Vec<u8>> {
        let number = BoxedUint::from_be_slice_vartime(message);
        let (p, q) = (self.p.to_odd().into_option()?, self.q.to_odd().into_option()?);
        let mut first = power(&number, &self.dp, &p);
        let mut second = power(&number, &self.dq, &q);
        // first + second are the results in each prime; the whole is second + q * ((first - second) / q mod p).
        let params = BoxedMontyParams::new(p.clone());
        let form = |number: &BoxedUint| BoxedMontyForm::new(reduce(number, &p), &params);
        let mut difference = &(&form(&first) - &form(&second)) * &form(&self.inverse);
        let mut factor = difference.retrieve();
        let result = factor.concatenating_mul(&self.q).concatenating_add(&second);
        let bytes = to_bytes(&result, public.len());
        difference.zeroize();
        factor.zeroize();
        first.zeroize();
        second.zeroize();
        // A wrong key or a fault in the arithmetic shows here.
        let again = public.raw(&bytes).ok()?;
        (asn1::trim(&again) == asn1::trim(message)).then_some(bytes)
    }
}

impl Drop for Primes {
    fn drop(&mut self) {
        for number in [&mut self.p, &mut self.q, &mut self.dp, &mut self.dq, &mut self.inverse] {
            number.zeroize();
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(RSA, {} bits)", self.public.bits())
    }
}

fn odd(bytes: &[u8]) -> Result<Odd<BoxedUint>> {
    let number = BoxedUint::from_be_slice_vartime(bytes).to_odd();
    number.into_option().ok_or_else(|| Error::malformed("RSA key", "a number that must be odd is even"))
}

fn reduce(number: &BoxedUint, modulus: &Odd<BoxedUint>) -> BoxedUint {
    number.rem(modulus.as_nz_ref()).resize(modulus.bits_precision())
}

/// `base ^ exponent mod modulus`, in constant time but for the sizes.
fn power(base: &BoxedUint, exponent: &BoxedUint, modulus: &Odd<BoxedUint>) -> BoxedUint {
    let params = BoxedMontyParams::new(modulus.clone());
    BoxedMontyForm::new(reduce(base, modulus), &params).pow(exponent).retrieve()
}

/// The number in exactly `len` bytes, which it fits into.
fn to_bytes(number: &BoxedUint, len: usize) -> Vec<u8> {
    let all = number.to_be_bytes();
    let number = asn1::trim(&all);
    let mut out = vec![0; len.saturating_sub(number.len())];
    out.extend_from_slice(number);
    out
}

pub(crate) fn algorithm() -> Vec<u8> {
    tlv(SEQUENCE, &[&asn1::oid(&RSA), &[NULL, 0]])
}

fn to_pkcs8(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = Zeroizing::new(tlv(OCTET_STRING, &[pkcs1]));
    Zeroizing::new(tlv(SEQUENCE, &[&[INTEGER, 1, 0], &algorithm(), &key]))
}
