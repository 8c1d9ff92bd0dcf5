/*!
SDDL, the text form of security descriptors.

```text
O:owner G:group D:flags(ace)(ace)… S:flags(ace)(ace)…          flags: P, AR, AI, NO_ACCESS_CONTROL (NULL ACL)
(type;flags;rights;object guid;inherited object guid;sid)      A D AU AL ML SP TL, OA OD OU OL
(type;flags;rights;object guid;inherited object guid;sid;(…))  XA XD XU ZA FL: a condition; RA: an attribute
```

Source: \[MS-DTYP\] 2.5.1, and the Win32 pages "Security Descriptor String Format", "ACE Strings" and "Security
Descriptor Definition Language for Conditional ACEs"; `TL`, `FL`, `CR` and `TP` from `sddl.h`.

# What the text carries

[`parse_sddl`] of [`to_sddl`] gives the same owner, group and ACLs **byte for byte** but for AclRevision, and the same
control bits of those ACLs that are present: `P`, `AR`, `AI`. As on Windows, it loses the defaulted, trusted, server security and resource
manager bits, the byte behind Revision, the flags of an absent ACL, and how the parts are arranged.

To keep that promise, each ACE is written, read again and compared; where the text of Windows would not give the same
bytes, one of three **escapes of our own** takes its place, which Windows does not read:

| escape | where | what it stands for |
| --- | --- | --- |
| `(#…)` | an ACE | all its bytes in hexadecimal: types without a name in SDDL, odd flags |
| `;#…` | the last field of an ACE | the bytes behind its SID: a condition or attribute that is not in its usual form |
| `#…` | behind the flags of an ACL | AclRevision, Sbz1, Sbz2 (4 bytes), then the bytes behind the last ACE; not for the revision alone |

# What is read

Keywords in upper or lower case, white space between fields, sections in any order. As Windows documents it, an `OA`
without GUIDs is read as `A`. Aliases of SIDs in a domain need [`parse_sddl_in_domain`].
*/

mod ace_text;
mod claim;
mod condition;
mod condition_text;
mod parse;
mod print;
mod rights;
mod scanner;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use parse::{parse_sddl, parse_sddl_in_domain};
pub use print::to_sddl;

/// The longest text in bytes that is read: 1 MiB. The text of the largest descriptor is well below that.
pub const MAX_TEXT_LEN: usize = 1 << 20;

/// How deep parentheses and negations of a condition may be nested. Windows documents no limit.
const MAX_DEPTH: u32 = 100;
