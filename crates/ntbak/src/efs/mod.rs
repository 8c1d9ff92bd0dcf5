/*!
Encrypted files as they are stored: ciphertext that travels without any key.

```text
Encrypted ─► Export ─► raw bytes ─► Record::EfsRaw, Bytes… ─► Import ─► ImportTarget
(a source)                                                              (a sink)
```

With a key: [`Decrypted`] is the plaintext of a source, [`Protected`] its ciphertext, [`Rekeyed`] the same content for other
people; each is a source itself.

The raw bytes are those of `ReadEncryptedFileRaw`; their format is [`ntbak_wire::efs`].
*/

mod decrypted;
mod export;
mod import;
mod protected;
mod raw;
mod rekeyed;
mod trailer;
mod unnamed;

use ntbak_wire::efs::StreamPlan;

use crate::error::Result;

pub use decrypted::Decrypted;
pub use export::ExportReader;
pub use import::import_raw;
pub(crate) use import::{BLOCK, Import, ImportTarget};
pub use protected::{Protected, Protection};
pub use raw::{RawFile, ReadRaw};
pub use rekeyed::Rekeyed;
pub(crate) use trailer::{TRAILER, stored_size, trailer_of, true_size};
pub(crate) use unnamed::{DropNamed, Unnamed};

/// One encrypted file, by position: what EFS keeps of it, and its streams as they are stored.
pub trait Encrypted: Send + Sync {
    /// The metadata, `$EFS` of NTFS.
    fn metadata(&self) -> &[u8];

    /// The data streams: names, sizes, holes.
    fn streams(&self) -> &[StreamPlan];

    /// Reads a stream as it is stored: ciphertext, whole sectors of it, or plain bytes where the stream is not encrypted.
    /// Answers how many bytes; 0 only at the end.
    ///
    /// # Errors
    /// The place cannot be read at `offset`.
    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize>;
}

impl<E: Encrypted + ?Sized> Encrypted for &E {
    fn metadata(&self) -> &[u8] {
        (**self).metadata()
    }

    fn streams(&self) -> &[StreamPlan] {
        (**self).streams()
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        (**self).read_stored(stream, offset, buf)
    }
}
