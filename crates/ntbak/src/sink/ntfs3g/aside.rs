//! ntfs-3g takes no content for a reparse point, and a backup stream brings the content behind it: what is written in place is
//! written while the reparse point is away.

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::Spot;
use crate::host::ntfs3g;
use crate::sink::ntfs3g::look_twice;

/// A reparse point that was taken away. It is put back when this is dropped, at the latest.
#[derive(Debug)]
pub(super) struct Aside {
    spot: Spot,
    payload: Vec<u8>,
}

impl Aside {
    /// Takes the reparse point of the file away, if it has one.
    pub(super) fn of(spot: &Spot) -> Result<Option<Self>> {
        let node = spot.node()?;
        let payload =
            node.xattr(ntfs3g::REPARSE).map_err(|error| Error::io("reading the reparse point", error))?;
        let Some(payload) = payload.filter(|payload| !payload.is_empty()) else { return Ok(None) };
        match node.remove_xattr(ntfs3g::REPARSE) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(error) => return Err(Error::io("taking the reparse point away", error)),
        }
        drop(node);
        look_twice(&spot.dir, &spot.name);
        Ok(Some(Self { spot: spot.clone(), payload }))
    }

    pub(super) fn put_back(mut self) -> Result<()> {
        let payload = std::mem::take(&mut self.payload);
        let set = self.spot.node()?.set_xattr(ntfs3g::REPARSE, &payload);
        look_twice(&self.spot.dir, &self.spot.name);
        set.map_err(|error| Error::io("putting the reparse point back", error))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After a failure, which was told.
        if !self.payload.is_empty()
            && let Ok(node) = self.spot.node()
        {
            let _ = node.set_xattr(ntfs3g::REPARSE, &self.payload);
            look_twice(&self.spot.dir, &self.spot.name);
        }
    }
}
