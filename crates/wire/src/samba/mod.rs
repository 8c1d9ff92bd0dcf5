/*!
How Samba keeps Windows' facts in extended attributes of Linux files.

| attribute | module | holds |
| --- | --- | --- |
| `security.NTACL` (or `user.NTACL`, by `acl_xattr:security_acl_name`) | [`ntacl`] | security descriptor |
| `user.DOSATTRIB` | [`dosattrib`] | attributes and creation time |
| `user.DosStream.NAME:$DATA` | [`stream`] | an alternate data stream |
| `user.SmbReparse` | | a reparse buffer as it is |
| `user.NAME` | | the extended attribute NAME |

Source: Samba's interface definitions (`librpc/idl/xattr.idl`), and bytes made with Samba 4.17's own Python bindings.
*/

pub mod dosattrib;
pub mod ntacl;
pub mod stream;

/// The attribute with a reparse buffer (Samba 4.22 and later).
pub const REPARSE: &str = "user.SmbReparse";

/// What stands before the name of every attribute that users may have.
pub const USER: &str = "user.";

/// Whether `user.NAME` is an attribute that Samba keeps for itself, so that no EA may have that name. Compared without
/// regard to case, as Samba does.
#[must_use]
pub fn is_private(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"DOSATTRIB",
        b"DosAttrib",
        b"SAMBA_PAI",
        b"SAMBA_STREAMS",
        b"SmbReparse",
        b"NTACL",
        b"ntfs.efsinfo",
        b"ntbak.side",
    ];
    const PREFIXES: [&[u8]; 2] = [b"DosStream.", b"DosStreamExt."];
    let has_prefix =
        |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    NAMES.iter().any(|private| name.eq_ignore_ascii_case(private)) || PREFIXES.into_iter().any(has_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_names_are_known_in_any_case() {
        for name in ["dosattrib", "DOSATTRIB", "SmbReparse", "DosStream.x:$DATA", "dosstreamext.1.x", "NTACL"]
        {
            assert!(is_private(name.as_bytes()), "{name}");
        }
        for name in ["DOSATTRIBS", "comment", "DosStrea", "$LXUID"] {
            assert!(!is_private(name.as_bytes()), "{name}");
        }
    }
}
