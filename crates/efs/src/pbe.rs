//! Encryption under a password: the old schemes of PKCS#12 (RC2, 3DES) and PBES2 (AES).

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use cipher_inner::InnerIvInit;
use der::Decode;
use der::asn1::ObjectIdentifier;
use des::cipher as cipher_inner;
use des::{TdesEde2, TdesEde3};
use hmac::digest::block_api::BlockSizeUser;
use hmac::{Hmac, Mac};
use pkcs5::pbes2;
use rc2::Rc2;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::asn1::{Fields, OCTET_STRING};
use crate::error::{Error, Result};

const PBES2: ObjectIdentifier = pbes2::PBES2_OID;
const SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_2DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.4");
const SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

/// The most rounds that one key file may ask for, all its parts together: some seconds of work.
pub(crate) const MAX_ROUNDS: u32 = 20_000_000;

/// A password. For PKCS#12 an empty one and none at all are different, and files of both kinds exist.
#[derive(Clone)]
pub(crate) struct Password {
    /// UTF-8, for PBES2.
    utf8: Zeroizing<Vec<u8>>,
    /// UTF-16, big-endian, with a NUL, for PKCS#12; no bytes at all when there is no password.
    wide: Zeroizing<Vec<u8>>,
}

impl Password {
    pub(crate) fn new(text: Option<&str>) -> Self {
        let mut wide = Zeroizing::new(Vec::with_capacity(text.map_or(0, |text| text.len() * 2 + 2)));
        if let Some(text) = text {
            text.encode_utf16().chain([0]).for_each(|unit| wide.extend_from_slice(&unit.to_be_bytes()));
        }
        Self { utf8: Zeroizing::new(text.unwrap_or_default().as_bytes().to_vec()), wide }
    }

    pub(crate) fn utf8(&self) -> &[u8] {
        &self.utf8
    }
}

/// How many rounds are left for a key file.
pub(crate) struct Budget(u32);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(MAX_ROUNDS)
    }

    pub(crate) fn spend(&mut self, rounds: u32) -> Result<()> {
        match self.0.checked_sub(rounds) {
            Some(left) if rounds > 0 => {
                self.0 = left;
                Ok(())
            }
            _ => Err(Error::malformed(
                "key file",
                "it asks for no rounds, or for more than 20,000,000, to check a password",
            )),
        }
    }
}

/// What a derived key is for (RFC 7292, appendix B.3).
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// The key derivation of PKCS#12 (RFC 7292, appendix B.2).
fn derive<D: Digest + BlockSizeUser>(
    password: &Password,
    salt: &[u8],
    purpose: Purpose,
    rounds: u32,
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let block = D::block_size();
    let repeat =
        |bytes: &[u8]| bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(block)).collect();
    let mut input: Zeroizing<Vec<u8>> = Zeroizing::new(repeat(salt));
    let wide: Zeroizing<Vec<u8>> = Zeroizing::new(repeat(&password.wide));
    input.extend_from_slice(&wide);
    let mut out = Zeroizing::new(Vec::with_capacity(len + 64));
    while out.len() < len {
        let mut sum = D::new().chain_update(vec![purpose as u8; block]).chain_update(&input).finalize();
        for _ in 1..rounds {
            sum = D::digest(&sum);
        }
        out.extend_from_slice(&sum);
        // Each block of the input grows by the sum, repeated, plus one.
        for part in input.chunks_mut(block) {
            let mut carry = 1_u16;
            for (at, byte) in part.iter_mut().enumerate().rev() {
                let add = sum.get(at % sum.len()).copied().unwrap_or_default();
                carry += u16::from(*byte) + u16::from(add);
                *byte = carry as u8;
                carry >>= 8;
            }
        }
    }
    out.truncate(len);
    out
}

/// Decrypts what `algorithm`, an AlgorithmIdentifier in DER, says it was encrypted with. A wrong password is
/// [`Error::Password`].
pub(crate) fn decrypt(
    algorithm: &[u8],
    data: &[u8],
    password: &Password,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>> {
    const WRONG: Error = Error::Password { what: "key file" };
    let mut fields = Fields::sequence("encryption of a key file", algorithm)?;
    let id = fields.oid()?;
    if id == PBES2 {
        let malformed = |error: der::Error| Error::malformed("PBES2", error.to_string());
        let parameters = pbes2::Parameters::from_der(fields.raw()?).map_err(malformed)?;
        match &parameters.kdf {
            pbes2::Kdf::Pbkdf2(kdf) => budget.spend(kdf.iteration_count)?,
            _ => return Err(Error::unsupported("a key file whose password is not stretched with PBKDF2")),
        }
        return parameters.decrypt(&password.utf8, data).map(Zeroizing::new).map_err(|_| WRONG);
    }
    let mut parameters = fields.nested()?;
    let (salt, rounds) = (parameters.take(OCTET_STRING)?, parameters.small()?);
    budget.spend(rounds)?;
    let key = |len| derive::<Sha1>(password, salt, Purpose::Key, rounds, len);
    let iv = derive::<Sha1>(password, salt, Purpose::Iv, rounds, 8);
    let iv = iv.first_chunk().copied().unwrap_or_default().into();
    let plain = match id {
        SHA1_3DES => {
            let cipher = TdesEde3::new_from_slice(&key(24)).map_err(|_| WRONG)?;
            Decryptor::inner_iv_init(cipher, &iv).decrypt_padded_vec::<Pkcs7>(data)
        }
        SHA1_2DES => {
            let cipher = TdesEde2::new_from_slice(&key(16)).map_err(|_| WRONG)?;
            Decryptor::inner_iv_init(cipher, &iv).decrypt_padded_vec::<Pkcs7>(data)
        }
        SHA1_RC2_128 => Decryptor::inner_iv_init(Rc2::new_with_eff_key_len(&key(16), 128), &iv)
            .decrypt_padded_vec::<Pkcs7>(data),
        SHA1_RC2_40 => Decryptor::inner_iv_init(Rc2::new_with_eff_key_len(&key(5), 40), &iv)
            .decrypt_padded_vec::<Pkcs7>(data),
        other => return Err(Error::unsupported(format!("a key file encrypted with {other}"))),
    };
    plain.map(Zeroizing::new).map_err(|_| WRONG)
}

/// Encrypts with SHA-1 and 3DES, the scheme of Windows before 10, under this salt.
pub(crate) fn encrypt_3des(plain: &[u8], password: &Password, salt: &[u8], rounds: u32) -> Result<Vec<u8>> {
    let key = derive::<Sha1>(password, salt, Purpose::Key, rounds, 24);
    let iv = derive::<Sha1>(password, salt, Purpose::Iv, rounds, 8);
    let cipher =
        Encryptor::<TdesEde3>::new_from_slices(&key, &iv).map_err(|_| Error::Crypto("encryption"))?;
    Ok(cipher.encrypt_padded_vec::<Pkcs7>(plain))
}

/// The identifier of [`encrypt_3des`].
pub(crate) fn id_3des() -> ObjectIdentifier {
    SHA1_3DES
}

/// The MAC of a PFX: HMAC under a derived key, `None` for a digest that is not known.
pub(crate) fn mac(
    digest: &ObjectIdentifier,
    password: &Password,
    salt: &[u8],
    rounds: u32,
    data: &[u8],
) -> Option<Vec<u8>> {
    macro_rules! with {
        ($digest:ty) => {{
            let key = derive::<$digest>(password, salt, Purpose::Mac, rounds, <$digest>::output_size());
            let mac = <Hmac<$digest> as hmac::KeyInit>::new_from_slice(&key).ok()?;
            Some(mac.chain_update(data).finalize().into_bytes().to_vec())
        }};
    }
    match digest.to_string().as_str() {
        "1.3.14.3.2.26" => with!(Sha1),
        "2.16.840.1.101.3.4.2.1" => with!(sha2::Sha256),
        "2.16.840.1.101.3.4.2.2" => with!(sha2::Sha384),
        "2.16.840.1.101.3.4.2.3" => with!(sha2::Sha512),
        "2.16.840.1.101.3.4.2.4" => with!(sha2::Sha224),
        _ => None,
    }
}
