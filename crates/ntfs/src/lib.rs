/*!
NTFS volumes, read natively: without a mount, without root, from many threads, and from images that lie.

| module | what |
| --- | --- |
| [`read_at`] | where bytes come from: a file, memory, a part of either |

*/
#![forbid(unsafe_code)]

mod attribute;
mod attribute_list;
mod boot;
mod bytes;
pub mod compress;
pub mod catalogue;
mod compressed;
mod device;
mod directory;
mod error;
mod file;
mod file_name;
mod fixup;
mod index;
mod mft;
mod object_ids;
pub mod read_at;
mod record;
mod runs;
mod secure;
mod standard_information;
mod state;
mod stream;
mod upcase;
mod volume;

pub use attribute::{AttributeFlags, AttributeType};
pub use boot::Geometry;
pub use catalogue::{Catalogue, CatalogueOptions};
pub use directory::DirectoryEntry;
pub use error::{Error, Place, Problem, Result};
pub use file::File;
pub use file_name::{FileName, Link, Namespace, pair};
pub use read_at::ReadAt;
pub use record::FileReference;
pub use secure::Secure;
pub use standard_information::{ExtendedInformation, StandardInformation};
pub use state::{Journal, VolumeState};
pub use stream::Stream;
pub use upcase::UpCase;
pub use volume::{Options, Remark, Volume, VolumeInformation, system_file};
