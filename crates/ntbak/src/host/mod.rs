//! What the back ends on Linux file systems have in common: nodes, extended attributes, content, staging.

pub(crate) mod beside;
pub(crate) mod content;
pub(crate) mod descent;
pub(crate) mod escape;
pub(crate) mod holes;
pub(crate) mod linux;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod ntfs3g;
pub(crate) mod samba;
pub(crate) mod samba_writer;
pub(crate) mod side;
pub(crate) mod side_writer;
pub(crate) mod stage;
pub(crate) mod stream_spool;
pub(crate) mod streams_depot;
pub(crate) mod target;
