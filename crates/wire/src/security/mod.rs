/*!
Security descriptors, their ACLs, ACEs and SIDs, and SDDL, their text form.

| type | what | source |
| --- | --- | --- |
| [`SecurityDescriptor`] | a self-relative descriptor | \[MS-DTYP\] 2.4.6 |
| [`Acl`], [`Ace`], [`AceBody`] | access control lists and their entries | \[MS-DTYP\] 2.4.5, 2.4.4 |
| [`Sid`], [`SidBuf`] | security identifiers | \[MS-DTYP\] 2.4.2 |
| [`AccessMask`] | rights | \[MS-DTYP\] 2.4.3 |
| [`SecurityDescriptorBuilder`], [`AclBuilder`], [`AceBody::build`] | the way back to bytes | |
| [`sddl`] | text, both ways | \[MS-DTYP\] 2.5.1 |

Views lie over the bytes, which are checked from end to end when a view is made and never changed by it: what a view
does not understand (reserved fields, unknown ACE types, bytes behind a list) is kept. Text is for people and for
formats that carry nothing else; what it does not carry is said in [`sddl`].

# Example

```
use ntbak_wire::security::{AclPart, SecurityDescriptor, sddl};

let bytes = sddl::parse_sddl("O:BAG:SYD:P(A;OICI;FA;;;BA)(A;;FR;;;WD)")?;
let descriptor = SecurityDescriptor::parse(&bytes)?;
assert_eq!(descriptor.owner().and_then(|sid| sid.well_known()), Some("BUILTIN\\Administrators"));
assert_eq!(descriptor.dacl().acl().map(|acl| acl.ace_count()), Some(2));
assert_eq!(descriptor.sacl(), AclPart::Absent);
assert_eq!(sddl::to_sddl(&descriptor), "O:BAG:SYD:P(A;OICI;FA;;;BA)(A;;FR;;;WD)");
# Ok::<(), ntbak_wire::Error>(())
```
*/

mod ace;
mod ace_type;
mod acl;
mod builder;
mod descriptor;
mod mask;
pub mod sddl;
mod sid;
mod well_known;

#[cfg(test)]
mod tests;

pub use ace::{Ace, AceBody, AceFlags, ObjectFlags, ObjectTypes};
pub use ace_type::{AceType, Layout};
pub use acl::{Aces, Acl, AclBuilder};
pub use builder::{SecurityDescriptorBuilder, SecurityInformation};
pub use descriptor::{AclPart, Control, SecurityDescriptor};
pub use mask::AccessMask;
pub use sid::{Sid, SidBuf};

use crate::error::{Error, Format, Problem};

/// The error for text that does not follow its grammar at this place.
fn syntax(offset: u64, expected: &'static str) -> Error {
    Error { format: Format::Sddl, offset, problem: Problem::Syntax { expected } }
}
