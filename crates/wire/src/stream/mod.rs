/*!
The backup stream of `BackupRead` and `BackupWrite` (\[MS-BKUP\] 2).

A backup file is zero or more streams back to back, all of one file or directory. There is no magic, no count, no
terminator, no checksum, no padding and no alignment; the end is the end of the input.

| offset | size | field | |
| --- | --- | --- | --- |
| 0 | 4 | dwStreamId | [`StreamId`] |
| 4 | 4 | dwStreamAttributes | [`StreamAttributes`] |
| 8 | 8 | Size | bytes of payload, below 2^63 |
| 16 | 4 | dwStreamNameSize | bytes, even, at most 65,536; 0 but for ALTERNATE_DATA |
| 20 | n | cStreamName | UTF-16LE, not terminated |
| 20 + n | Size | payload | |

Two levels, each with a reader and a writer that mirror each other:

* **bytes and headers**: [`Decoder`] takes input in slices of any size and gives [`Event`]s without holding a
  payload; [`Encoder`] writes headers and payloads and checks what it is told;
* **records**: [`RecordDecoder`] turns the bytes into the [`Record`](crate::record::Record)s of the engine (small
  payloads whole, sparse blocks at their offsets); [`RecordEncoder`] is the way back.

[`sparse`] says how a stream with holes is written.
*/

mod decode;
mod encode;
mod header;
mod name;
mod record_decode;
mod record_encode;
pub mod sparse;

pub use decode::{Decoder, Event, Position};
pub use encode::Encoder;
pub use header::{Header, MAX_NAME_SIZE, MAX_SIZE, StreamAttributes, StreamId, StreamSet};
pub use name::StreamName;
pub use record_decode::{Decoded, RecordDecoder};
pub use record_encode::RecordEncoder;
