//! Single facts of a file that is there, changed for Windows' own functions: nothing else about it changes.

use ntbak_wire::FileAttributes;
use ntbak_wire::record::{SmallKind, Times};
use ntbak_wire::stream::StreamName;
use rustix::io::Errno;

use super::{Ntfs3gSink, set};
use crate::error::{Error, Result};
use crate::host::node::Spot;
use crate::host::ntfs3g::{self, Ntfs3gMount};

impl Ntfs3gSink {
    /// Sets attributes, and the times that are there; ntfs-3g sets the change time by itself.
    pub(crate) fn set_basic(
        spot: Spot,
        mount: &Ntfs3gMount,
        attributes: Option<FileAttributes>,
        times: &Times,
    ) -> Result<()> {
        let sink = Self::in_place(spot, mount)?;
        if let Some(attributes) = attributes {
            let wanted = attributes & sink.capabilities.attributes;
            set(&sink.target.node()?, ntfs3g::ATTRIBUTES, &wanted.bits().to_ne_bytes())?;
            // SYSTEM changes the kind of a file.
            sink.look_twice()?;
        }
        if times.created.or(times.written).or(times.accessed).is_some() {
            let node = sink.target.node()?;
            let now = node.xattr(ntfs3g::TIMES).map_err(|error| Error::io("reading the times", error))?;
            let now = ntfs3g::times_from(&now.unwrap_or_default());
            set(&node, ntfs3g::TIMES, &ntfs3g::times_to(times, &now))?;
        }
        Ok(())
    }

    /// Takes the reparse point or the object id away.
    pub(crate) fn remove_small(spot: Spot, mount: &Ntfs3gMount, kind: SmallKind) -> Result<()> {
        let sink = Self::in_place(spot, mount)?;
        let attribute = if kind == SmallKind::Reparse { ntfs3g::REPARSE } else { ntfs3g::OBJECT_ID };
        match sink.target.node()?.remove_xattr(attribute) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(error) => return Err(Error::io(format!("removing {attribute}"), error)),
        }
        sink.look_twice().map(drop)
    }

    /// Removes a named stream.
    pub(crate) fn remove_named(spot: Spot, mount: &Ntfs3gMount, name: &StreamName) -> Result<()> {
        Self::in_place(spot, mount)?.remove_stream(name)
    }

    /// Makes an empty named stream, or opens the one that is there.
    pub(crate) fn open_named(
        spot: Spot,
        mount: &Ntfs3gMount,
        name: &StreamName,
    ) -> Result<std::os::fd::OwnedFd> {
        let sink = Self::in_place(spot, mount)?;
        sink.open_stream(name).map_err(|error| Error::io("opening the stream", error))
    }
}
