/*!
`security.NTACL`: a security descriptor, in versions 1 to 4.

| version | before the descriptor | descriptor at |
| --- | --- | --- |
| 1 | u16 version, u16 version, u32 referent | 8 |
| 2 | the same, u32 referent, 16 bytes of hash | 28 |
| 3 | the same as 1, u32 referent, u16 hash type, 64 bytes of hash, 2 bytes of padding | 80 |
| 4 | as 3 but without the padding; description, UTF-8 with NUL, padding to 4; NTTIME u64; 64 bytes of hash of the POSIX ACL | 152 and more |

**The offsets in the descriptor count from the start of the attribute**, not from that of the descriptor; an offset of 0
stays 0. **A list counts by its offset**: smbd keeps a SACL, and gives it to clients, without SACL_PRESENT (seen with 4.17
after a change of the DACL alone). Versions 1 and 2 are believed by smbd as they are; of 3 and 4 it compares the hashes first.
*/

use crate::bytes;
use crate::error::{Error, Format, Result};
use crate::security::Control;

/// The attribute, which only root may write.
pub const NAME: &str = "security.NTACL";
/// Another place for it, which Samba can be told to use: `acl_xattr:security_acl_name = user.NTACL`.
pub const USER_NAME: &str = "user.NTACL";

/// Hash type of SHA-256.
const SHA256: u16 = 1;
/// Where the four offsets are in a descriptor.
const OFFSETS: [usize; 4] = [4, 8, 12, 16];
/// Bytes before the descriptor in version 1.
const V1_HEAD: usize = 8;

/// A value of the attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NtAcl {
    /// 1 to 4.
    pub version: u16,
    /// The self-relative descriptor, its offsets counted from its own start, with the bits DACL_PRESENT and SACL_PRESENT
    /// for the lists that it has. It was not looked into otherwise.
    pub security: Vec<u8>,
    /// What smbd compares before it believes the descriptor.
    pub hash: Option<Hash>,
}

/// The hash of versions 3 and 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash {
    /// 0 none, 1 SHA-256.
    pub kind: u16,
    /// The hash of the descriptor that Samba maps from the file system; 32 of 64 bytes are used.
    pub security: [u8; 64],
    /// Version 4: what the hash is over (`posix_acl`).
    pub description: Vec<u8>,
    /// Version 4: the hash of the POSIX ACL.
    pub system: Option<[u8; 64]>,
}

impl NtAcl {
    /// Reads a value.
    ///
    /// # Errors
    /// A version that is not known, a value that is cut, or a descriptor whose offsets point before it.
    pub fn parse(value: &[u8]) -> Result<Self> {
        let cut =
            |what, needed: usize| Error::truncated(Format::NtAcl, 0, what, needed as u64, value.len() as u64);
        let head = || cut("head", V1_HEAD);
        let version = bytes::u16_at(value, 0).ok_or_else(head)?;
        if bytes::u16_at(value, 2).ok_or_else(head)? != version || !(1..=4).contains(&version) {
            return Err(Error::value(Format::NtAcl, 0, "version", version.into(), "1 to 4, twice"));
        }
        let (begin, hash) = match version {
            1 => (V1_HEAD, None),
            2 => (28, None),
            _ => {
                let hash = || cut("hash", 80);
                let kind = bytes::u16_at(value, 12).ok_or_else(hash)?;
                let security = bytes::array_at(value, 14).ok_or_else(hash)?;
                let (begin, description, system) =
                    if version == 3 { (80, vec![], None) } else { version_4(value)? };
                (begin, Some(Hash { kind, security, description, system }))
            }
        };
        let security = value
            .get(begin..)
            .filter(|rest| rest.len() >= 20)
            .ok_or_else(|| cut("descriptor", begin + 20))?;
        let mut security = rebase(security, begin, u32::checked_sub).ok_or_else(|| {
            Error::value(Format::NtAcl, begin as u64, "offset in the descriptor", 0, "one behind its start")
        })?;
        mark_lists(&mut security);
        Ok(Self { version, security, hash })
    }

    /// Whether smbd compares hashes, which only it can do, before it believes this descriptor.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        self.hash.as_ref().is_some_and(|hash| hash.kind == SHA256)
    }

    /// A value of version 1, which smbd believes unconditionally.
    ///
    /// # Errors
    /// A descriptor that is too short, or whose offsets cannot be moved.
    pub fn build(security: &[u8]) -> Result<Vec<u8>> {
        let moved = rebase(security, V1_HEAD, u32::checked_add)
            .ok_or_else(|| Error::truncated(Format::NtAcl, 0, "descriptor", 20, security.len() as u64))?;
        let mut value = vec![1, 0, 1, 0, 0, 0, 2, 0];
        value.extend_from_slice(&moved);
        Ok(value)
    }
}

/// Where the descriptor of a version 4 begins, the description, and the second hash.
fn version_4(value: &[u8]) -> Result<(usize, Vec<u8>, Option<[u8; 64]>)> {
    let begin = 78;
    let rest = value.get(begin..).unwrap_or_default();
    let cut = || Error::truncated(Format::NtAcl, begin as u64, "description", 152, value.len() as u64);
    let len = rest.iter().position(|byte| *byte == 0).ok_or_else(cut)?;
    let time = (begin + len + 1).next_multiple_of(4);
    let system = bytes::array_at(value, time + 8).ok_or_else(cut)?;
    Ok((time + 72, rest.get(..len).unwrap_or_default().to_vec(), Some(system)))
}

/// Says of lists that they are there: Windows goes by that bit.
fn mark_lists(security: &mut [u8]) {
    for (at, present) in [(12, Control::SACL_PRESENT), (16, Control::DACL_PRESENT)] {
        let there = bytes::u32_at(security, at).is_some_and(|offset| offset != 0);
        if let Some(control) = security.get_mut(2..).and_then(|rest| rest.first_chunk_mut::<2>())
            && there
        {
            *control = (u16::from_le_bytes(*control) | present.bits()).to_le_bytes();
        }
    }
}

/// The descriptor with its offsets moved; `None` when one cannot be.
fn rebase(security: &[u8], by: usize, moved: impl Fn(u32, u32) -> Option<u32>) -> Option<Vec<u8>> {
    let by = u32::try_from(by).ok()?;
    let mut out = security.to_vec();
    for at in OFFSETS {
        let field = out.get_mut(at..)?.first_chunk_mut::<4>()?;
        match u32::from_le_bytes(*field) {
            0 => {}
            offset => *field = moved(offset, by).filter(|offset| *offset != 0)?.to_le_bytes(),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::sddl::parse_sddl;

    fn descriptor() -> Vec<u8> {
        parse_sddl("O:BAG:SYD:P(A;;FA;;;WD)").unwrap()
    }

    /// A value of any version, put together by hand.
    fn value(version: u16, head: &[u8]) -> Vec<u8> {
        let mut value = [version.to_le_bytes(), version.to_le_bytes()].concat();
        value.extend_from_slice(head);
        let begin = value.len() as u32;
        let mut security = descriptor();
        for at in OFFSETS {
            let field: &mut [u8; 4] = (&mut security[at..at + 4]).try_into().unwrap();
            let offset = u32::from_le_bytes(*field);
            *field = if offset == 0 { 0 } else { offset + begin }.to_le_bytes();
        }
        value.extend(security);
        value
    }

    #[test]
    fn bs_66_every_version_gives_the_descriptor_with_its_own_offsets() {
        let referent = 0x0002_0000u32.to_le_bytes();
        let hash = [&referent[..], &[0, 0, 2, 0], &[1, 0], &[7; 64]].concat();
        let v2 = [&referent[..], &[4, 0, 2, 0], &[9; 16]].concat();
        let v3 = [&hash[..], &[0, 0]].concat();
        let v4 = |description: &str| {
            let mut head = [&hash[..], description.as_bytes(), &[0]].concat();
            head.resize((head.len() + 4).next_multiple_of(4) - 4, 0);
            [&head[..], &[0; 8], &[5; 64]].concat()
        };
        for (version, head, at) in [
            (1, referent.to_vec(), 8),
            (2, v2, 28),
            (3, v3, 80),
            (4, v4("posix_acl"), 160),
            (4, v4(""), 152),
            (4, v4("abc"), 156),
        ] {
            let value = value(version, &head);
            assert_eq!(value.len() - descriptor().len(), at, "version {version}");
            let parsed = NtAcl::parse(&value).unwrap();
            assert_eq!((parsed.version, &parsed.security), (version, &descriptor()));
            assert_eq!(parsed.is_conditional(), version >= 3);
        }
    }

    #[test]
    fn bs_66_version_1_is_written() {
        let built = NtAcl::build(&descriptor()).unwrap();
        assert_eq!(built, value(1, &0x0002_0000u32.to_le_bytes()));
        assert_eq!(NtAcl::parse(&built).unwrap().security, descriptor());
        assert!(NtAcl::build(&[1; 19]).is_err());
    }

    /// What smbd has left of O:BAG:SYD:P(A;;FA;;;WD)S:(AU;SA;FA;;;WD) after a change of its DACL.
    #[test]
    fn bs_66_lists_count_without_their_bits() {
        let whole = parse_sddl("O:BAG:SYD:P(A;;FA;;;WD)S:(AU;SA;FA;;;WD)").unwrap();
        for missing in [0x10, 0x4, 0x14] {
            let mut value = NtAcl::build(&whole).unwrap();
            value[10] &= !missing;
            assert_eq!(NtAcl::parse(&value).unwrap().security, whole, "{missing:#x}");
        }
        // A list that is not there stays so, whether it is null or absent.
        for text in ["O:BAG:SY", "O:BAG:SYD:NO_ACCESS_CONTROL"] {
            let security = parse_sddl(text).unwrap();
            assert_eq!(NtAcl::parse(&NtAcl::build(&security).unwrap()).unwrap().security, security);
        }
    }

    /// Made by `ndr_pack` of Samba 4.17's Python bindings for `O:BAG:SYD:P(A;;FA;;;WD)`.
    const BY_SAMBA: &str = "0100010000000200010004901c0000002c0000000000000038000000\
        0102000000000005200000002002000001010000000000051200000004001c000100000000001400ff010000\
        010100000000000100000000";

    #[test]
    fn bs_66_what_samba_packs_is_read() {
        let digits: Vec<u8> = BY_SAMBA.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let value: Vec<u8> = digits.chunks(2).map(pair).collect();
        let parsed = NtAcl::parse(&value).unwrap();
        let descriptor = crate::security::SecurityDescriptor::parse(&parsed.security).unwrap();
        // What this Samba calls FA is 0x1ff; Windows' FA has the standard rights, too.
        let text = crate::security::sddl::to_sddl(&descriptor);
        assert_eq!(text, "O:BAG:SYD:P(A;;CCDCLCSWRPWPDTLOCR;;;WD)");
        assert_eq!(NtAcl::build(&parsed.security).unwrap(), value);
    }

    #[test]
    fn a_value_that_is_cut_or_of_another_version_is_an_error() {
        let built = NtAcl::build(&descriptor()).unwrap();
        for len in 0..28 {
            assert!(NtAcl::parse(&built[..len]).is_err(), "{len}");
        }
        for version in [0, 5, 0xFFFF] {
            assert!(NtAcl::parse(&value(version, &[0; 100])).is_err());
        }
        // An owner before the descriptor.
        let mut bad = built;
        bad[12..16].copy_from_slice(&3u32.to_le_bytes());
        assert!(NtAcl::parse(&bad).is_err());
    }
}
