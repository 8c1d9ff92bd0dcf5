/*!
Disk images, read by position: raw files and devices, qcow2, VHD, VHDX, and the partitions in them.

| module or type | what it is |
| --- | --- |
| [`ReadAt`] | bytes by position, from any thread: what images, partitions and memory have in common |
| [`Image`], [`OpenOptions`] | a container, recognised by its content, as the disk that is in it |
| [`partition`] | GPT, MBR, or a volume without a table; which partitions have NTFS |
| [`Note`] | what is odd and did no harm |
| [`Error`] | what is damaged and where; for formats that are not read, the command that converts or unlocks them |

Nothing is ever written, no other file is opened unless [`OpenOptions::backing_files`] allows it, and the crate has no
`unsafe`. What a container does not hold reads as zeros without I/O; what it should hold and does not is an error, never
zeros.

# Example

```no_run
use ntbak_image::{Image, ReadAt as _};

let image = Image::open("disk.vhdx")?;
println!("{image}: {} bytes", image.len());
for partition in &image.partitions()?.partitions {
    println!("{partition}");
}
let volume = image.ntfs(None)?;
let mut boot_sector = [0; 512];
volume.read_exact_at(0, &mut boot_sector)?;
assert_eq!(&boot_sector[3..7], b"NTFS");
# Ok::<(), Box<dyn std::error::Error>>(())
```
*/
#![forbid(unsafe_code)]

pub mod partition;

mod container;
mod error;
mod image;
mod kind;
mod note;
mod pages;
mod qcow2;
mod raw;
mod read_at;
mod vhd;
mod vhdx;

pub use error::{Error, Format, Problem, Result};
pub use image::{Image, OpenOptions, is_disk_image};
pub use kind::Kind;
pub use note::Note;
pub use partition::{Partition, PartitionTable};
pub use raw::RawFile;
pub use read_at::{ReadAt, Slice};
