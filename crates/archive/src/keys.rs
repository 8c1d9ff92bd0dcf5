//! The keys of extended headers, each in one place.

// PAX, POSIX.1-2017 "pax Extended Header".
pub(crate) const PATH: &str = "path";
pub(crate) const LINKPATH: &str = "linkpath";
pub(crate) const SIZE: &str = "size";
pub(crate) const MTIME: &str = "mtime";
pub(crate) const ATIME: &str = "atime";
pub(crate) const CTIME: &str = "ctime";
pub(crate) const UID: &str = "uid";
pub(crate) const GID: &str = "gid";
pub(crate) const CHARSET: &str = "hdrcharset";

// libarchive and go-winio.
pub(crate) const CREATED: &str = "LIBARCHIVE.creationtime";

// go-winio, `backuptar`.
pub(crate) const ATTRIBUTES: &str = "MSWINDOWS.fileattr";
pub(crate) const RAW_SECURITY: &str = "MSWINDOWS.rawsd";
pub(crate) const SDDL: &str = "MSWINDOWS.sd";
pub(crate) const EA_PREFIX: &str = "MSWINDOWS.xattr.";
pub(crate) const MOUNT_POINT: &str = "MSWINDOWS.mountpoint";

// GNU tar, "Storing Sparse Files".
pub(crate) const SPARSE_MAJOR: &str = "GNU.sparse.major";
pub(crate) const SPARSE_MINOR: &str = "GNU.sparse.minor";
pub(crate) const SPARSE_NAME: &str = "GNU.sparse.name";
pub(crate) const SPARSE_REAL_SIZE: &str = "GNU.sparse.realsize";
pub(crate) const SPARSE_SIZE: &str = "GNU.sparse.size";
pub(crate) const SPARSE_MAP: &str = "GNU.sparse.map";
pub(crate) const SPARSE_BLOCKS: &str = "GNU.sparse.numblocks";
pub(crate) const SPARSE_OFFSET: &str = "GNU.sparse.offset";
pub(crate) const SPARSE_BYTES: &str = "GNU.sparse.numbytes";

// star, GNU tar, libarchive: an extended attribute of Linux, its value in binary.
pub(crate) const LINUX_PREFIX: &str = "SCHILY.xattr.";

// Our own.
pub(crate) const STREAM: &str = "NTBAK.stream";
pub(crate) const REPARSE: &str = "NTBAK.reparse";
pub(crate) const OBJECT_ID: &str = "NTBAK.objectid";
pub(crate) const EA: &str = "NTBAK.ea";
pub(crate) const SHORT_NAME: &str = "NTBAK.shortname";
pub(crate) const SPARSE: &str = "NTBAK.sparse";
pub(crate) const COMPRESSED: &str = "NTBAK.compressed";
pub(crate) const VDL: &str = "NTBAK.vdl";
pub(crate) const CASE_SENSITIVE: &str = "NTBAK.casesensitive";
pub(crate) const EFS: &str = "NTBAK.efs";
pub(crate) const WOF: &str = "NTBAK.wof";
pub(crate) const FILE_ID: &str = "NTBAK.fileid";
pub(crate) const SI: &str = "NTBAK.si";

/// Whether a reader of this crate knows what a key means, or that it means nothing for it.
pub(crate) fn is_known(key: &[u8]) -> bool {
    const KNOWN: [&str; 38] = [
        PATH,
        LINKPATH,
        SIZE,
        MTIME,
        ATIME,
        CTIME,
        UID,
        GID,
        CHARSET,
        CREATED,
        ATTRIBUTES,
        RAW_SECURITY,
        SDDL,
        MOUNT_POINT,
        SPARSE_MAJOR,
        SPARSE_MINOR,
        SPARSE_NAME,
        SPARSE_REAL_SIZE,
        SPARSE_SIZE,
        SPARSE_MAP,
        SPARSE_BLOCKS,
        SPARSE_OFFSET,
        SPARSE_BYTES,
        STREAM,
        REPARSE,
        OBJECT_ID,
        EA,
        SHORT_NAME,
        SPARSE,
        COMPRESSED,
        VDL,
        CASE_SENSITIVE,
        EFS,
        WOF,
        FILE_ID,
        SI,
        "uname",
        "gname",
    ];
    key.starts_with(EA_PREFIX.as_bytes())
        || key.starts_with(LINUX_PREFIX.as_bytes())
        || KNOWN.iter().any(|known| known.as_bytes() == key)
}
