//! The little of ASN.1 that keys, certificates and PFX need: values one after the other, read with `der`.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader};

use crate::error::{Error, Result};

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
/// `[0]`, constructed, and the others by adding their number.
pub(crate) const CONTEXT: u8 = 0xA0;

/// The fields of one structure, taken from the front.
pub(crate) struct Fields<'a> {
    what: &'static str,
    reader: SliceReader<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Result<Self> {
        let reader = SliceReader::new(bytes).map_err(|error| Error::malformed(what, error.to_string()))?;
        Ok(Self { what, reader })
    }

    /// The fields of the one SEQUENCE that `bytes` begins with.
    pub(crate) fn sequence(what: &'static str, bytes: &'a [u8]) -> Result<Self> {
        Self::new(what, Self::new(what, bytes)?.take(SEQUENCE)?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_finished()
    }

    /// The next value with its tag.
    pub(crate) fn any(&mut self) -> Result<(u8, &'a [u8])> {
        let raw = self.raw()?;
        let value = AnyRef::from_der(raw).map_err(|error| self.fault(&error))?.value();
        Ok((raw.first().copied().unwrap_or_default(), value))
    }

    /// The next value, with its tag and length, as it is stored.
    pub(crate) fn raw(&mut self) -> Result<&'a [u8]> {
        self.reader.tlv_bytes().map_err(|error| self.fault(&error))
    }

    /// The next value, which must have this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'a [u8]> {
        match self.any()? {
            (found, value) if found == tag => Ok(value),
            (found, _) => {
                Err(Error::malformed(self.what, format!("tag {found:#04x} where {tag:#04x} is expected")))
            }
        }
    }

    /// The next value if it has this tag.
    pub(crate) fn take_if(&mut self, tag: u8) -> Result<Option<&'a [u8]>> {
        let is_next = self.reader.clone().tlv_bytes().is_ok_and(|raw| raw.first() == Some(&tag));
        if is_next { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// The fields of the next SEQUENCE.
    pub(crate) fn nested(&mut self) -> Result<Self> {
        Self::new(self.what, self.take(SEQUENCE)?)
    }

    pub(crate) fn oid(&mut self) -> Result<ObjectIdentifier> {
        let value = self.take(OID)?;
        ObjectIdentifier::from_bytes(value)
            .map_err(|_| Error::malformed(self.what, "an object identifier is not one"))
    }

    /// A number that is not negative, big-endian without leading zeros.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8]> {
        let value = self.take(INTEGER)?;
        match value.first() {
            Some(first) if first & 0x80 == 0 => Ok(trim(value)),
            _ => Err(Error::malformed(self.what, "a number is negative")),
        }
    }

    pub(crate) fn small(&mut self) -> Result<u32> {
        let value = self.unsigned()?;
        if value.len() > 4 {
            return Err(Error::malformed(self.what, "a number is too large"));
        }
        Ok(value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn fault(&self, error: &der::Error) -> Error {
        Error::malformed(self.what, error.to_string())
    }
}

/// A big-endian number without leading zeros.
pub(crate) fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A value with its tag and length.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if len < 0x80 {
        out.push(len as u8);
    } else {
        let bytes = len.to_be_bytes();
        let bytes = trim(&bytes);
        out.push(0x80 | bytes.len() as u8);
        out.extend_from_slice(bytes);
    }
    out.reserve_exact(len);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

pub(crate) fn oid(id: &ObjectIdentifier) -> Vec<u8> {
    tlv(OID, &[id.as_bytes()])
}

/// A number that is not negative.
pub(crate) fn unsigned(number: &[u8]) -> Vec<u8> {
    let number = trim(number);
    match number.first() {
        Some(first) if first & 0x80 == 0 => tlv(INTEGER, &[number]),
        _ => tlv(INTEGER, &[&[0], number]),
    }
}
