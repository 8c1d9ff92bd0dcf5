/*!
The byte formats of Windows backup, and nothing else: bytes in, values out, and back.

| module | format | source |
| --- | --- | --- |
| [`stream`] | the backup stream of `BackupRead`/`BackupWrite`: `WIN32_STREAM_ID` headers, sparse blocks, stream names | \[MS-BKUP\] |
| [`security`] | security descriptors, ACLs, ACEs, SIDs, SDDL | \[MS-DTYP\] 2.4, 2.5.1 |
| [`ea`] | extended attributes, as `FILE_FULL_EA_INFORMATION` and as on disk | \[MS-FSCC\] 2.4.16 |
| [`reparse`] | reparse buffers, their tags, targets and names | \[MS-FSCC\] 2.1.2 |
| [`efs`] | the EFS raw export format, and EFS metadata (`$EFS`) | \[MS-EFSR\] 2.2 |
| [`object_id`], [`link`] | the payloads of `OBJECT_ID` and `LINK` streams | \[MS-FSCC\] 2.1.3 |
| [`samba`] | how Samba keeps Windows' facts in extended attributes | Samba's IDL |
| [`side`] | the side file, for what a Linux file system has no place for | this crate |
| [`record`] | what travels between a source and a sink: the vocabulary of the engine | |
| [`name`], [`filetime`], [`attributes`], [`win32`] | UTF-16 names, times, attributes, error numbers | |

The crate does no I/O, keeps no state outside its values, has no `unsafe`, and never panics on input.
**Raw bytes are the truth**: a parsed view lies over them, and values that the view does not know survive a
round trip.

# Example

```
use ntbak_wire::stream::{Decoder, Event, Header};

let mut input: &[u8] = &[1, 0, 0, 0,  0, 0, 0, 0,  2, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0,  b'h', b'i'];
let mut decoder = Decoder::new();
while let Some(event) = decoder.next(&mut input)? {
    match event {
        Event::Header(header) => assert_eq!(header.size, 2),
        Event::Payload { data, .. } => assert_eq!(data, b"hi"),
        Event::End => {}
    }
}
decoder.finish()?;
# Ok::<(), ntbak_wire::Error>(())
```
*/
#![forbid(unsafe_code)]

pub mod attributes;
pub mod bytes;
pub mod ea;
pub mod efs;
pub mod error;
pub mod filetime;
pub mod link;
pub mod name;
pub mod object_id;
pub mod record;
pub mod reparse;
pub mod samba;
pub mod security;
pub mod side;
pub mod stream;
pub mod win32;

pub use attributes::FileAttributes;
pub use error::{Error, Format, Problem, Result};
pub use filetime::FileTime;
pub use name::Name;
pub use win32::Win32Error;
