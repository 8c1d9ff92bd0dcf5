/*!
NTFS volumes, read natively: without a mount, without root, from many threads, and from images that lie.

```text
ReadAt ─► Device ─► Mft ─► Record ─► Attribute ─► Runs        bytes, and what they say
                     │                    │         │
                     │                    └► File ◄─┴─ Stream  one file, put together from its records
                     └► Catalogue                              all files, from one pass over $MFT
```

* [`Volume`]: opened over any [`ReadAt`] of `ntbak-image`: a disk image, a device, memory, a partition of these. A clone
  is another handle.
* [`File`]: one file by its [`FileReference`], by its record or by its path: attributes, times, names, security
  descriptor, EAs, reparse buffer, object id with its birth ids, `$EFS`, streams. What is wrong with it is in
  [`File::damage`], never left out in silence.
* [`Stream`]: size, valid data length, how it is stored, which ranges are allocated. [`File::read_at`] reads content by
  position, [`File::read_raw_at`] what the clusters hold (ciphertext).
* [`Catalogue`]: what files there are, their names and paths, without reading a directory.
* [`NearbyFiles`] opens many files in the order of their records, and [`Volume::read_ahead`] reads the content of many in
  that of their clusters.

Nothing is written, and nothing is replayed from the journal; [`Volume::state`] tells how the volume was left. Numbers in
an image are checked before they are believed; a hole takes no memory and no time; no loop runs longer than the bytes
that are there. **Raw bytes are the truth**: descriptors, EAs, reparse buffers and `$EFS` are given byte for byte.

Compressed streams (LZNT1) read as what was written. So does the unnamed stream of a file that Windows has compressed as a
whole (WOF, CompactOS): on the volume it is a hole, and its zeros are not the content.

# Example

```no_run
use ntbak_ntfs::catalogue::CatalogueOptions;
use ntbak_ntfs::{Options, Volume};

let volume = Volume::open(ntbak_image::RawFile::open("volume.img")?, Options::default())?;
let catalogue = volume.catalogue(CatalogueOptions::default())?;
for (_, entry) in catalogue.files() {
    let file = volume.file(entry.reference())?;
    for stream in file.streams() {
        let mut start = [0; 16];
        let got = file.read_at(stream, 0, &mut start)?;
        println!("{} {:?} {:?} {:x?}", entry.reference(), file.links(), stream.name(), &start[..got]);
    }
}
# Ok::<(), Box<dyn std::error::Error>>(())
```

The layouts stand at the head of each module. What is here is known from ntfs-3g, the Linux drivers, libfsntfs and
dissect (read for behaviour, never copied), from Microsoft's documents, and from Windows volumes.
*/
#![forbid(unsafe_code)]

mod ahead;
mod attribute;
mod attribute_list;
mod boot;
pub mod catalogue;
pub mod compress;
mod compressed;
mod device;
mod directory;
mod error;
mod file;
mod file_name;
mod fixup;
mod index;
mod mft;
mod nearby;
mod object_ids;
mod record;
mod runs;
mod secure;
mod standard_information;
mod state;
mod stream;
mod upcase;
mod volume;
mod wof;

pub use attribute::{AttributeFlags, AttributeType};
pub use boot::Geometry;
pub use catalogue::{Catalogue, CatalogueOptions};
pub use directory::DirectoryEntry;
pub use error::{Error, Place, Problem, Result};
pub use file::File;
pub use file_name::{FileName, Link, Namespace, pair};
pub use nearby::NearbyFiles;
pub use ntbak_image::ReadAt;
pub use record::FileReference;
pub use secure::Secure;
pub use standard_information::{ExtendedInformation, StandardInformation};
pub use state::{Journal, VolumeState};
pub use stream::Stream;
pub use upcase::UpCase;
pub use volume::{Options, Remark, Volume, VolumeInformation, system_file};
