//! What `ntbak.h` defines: numbers, handles and structures with Windows' layout. The fields have Windows'
//! names, so that `windows.h` need not define the structures again.

use std::ffi::c_void;

/// TRUE or FALSE: 1 or 0. Every number but 0 is taken for TRUE.
pub type NtbakBool = i32;
/// A file, a search or a token that is open. It is a number, and points to nothing.
pub type NtbakHandle = *mut c_void;
/// A unit of UTF-16.
pub type NtbakChar16 = u16;

/// The bytes of a WIN32_STREAM_ID that a backup stream has: the structure is larger, since it is aligned.
pub const NTBAK_STREAM_HEADER_SIZE: u32 = 20;

/// LARGE_INTEGER, in `ntbak.h` a union with its two halves.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtbakLargeInteger {
    /// All 64 bits.
    pub QuadPart: i64,
}

/// OVERLAPPED, in `ntbak.h` with a union of the offset and a pointer. Only the offset is used.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakOverlapped {
    /// Set to 0.
    pub Internal: usize,
    /// How many bytes were moved.
    pub InternalHigh: usize,
    /// Where in the file: the lower half.
    pub Offset: u32,
    /// The upper half.
    pub OffsetHigh: u32,
    /// Not used.
    pub hEvent: NtbakHandle,
}

/// FILETIME: 100 nanoseconds since 1601.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtbakFileTime {
    /// The lower half.
    pub dwLowDateTime: u32,
    /// The upper half.
    pub dwHighDateTime: u32,
}

/// WIN32_FIND_DATAW.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFindDataW {
    /// FILE_ATTRIBUTE_ flags.
    pub dwFileAttributes: u32,
    /// When it was made.
    pub ftCreationTime: NtbakFileTime,
    /// When its content was last read.
    pub ftLastAccessTime: NtbakFileTime,
    /// When its content was last written.
    pub ftLastWriteTime: NtbakFileTime,
    /// Bytes of the unnamed stream: the upper half.
    pub nFileSizeHigh: u32,
    /// The lower half.
    pub nFileSizeLow: u32,
    /// The reparse tag of a reparse point.
    pub dwReserved0: u32,
    /// 0.
    pub dwReserved1: u32,
    /// The name.
    pub cFileName: [NtbakChar16; 260],
    /// The 8.3 name, or nothing.
    pub cAlternateFileName: [NtbakChar16; 14],
}

/// WIN32_FIND_DATAA: names in UTF-8.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFindDataA {
    /// FILE_ATTRIBUTE_ flags.
    pub dwFileAttributes: u32,
    /// When it was made.
    pub ftCreationTime: NtbakFileTime,
    /// When its content was last read.
    pub ftLastAccessTime: NtbakFileTime,
    /// When its content was last written.
    pub ftLastWriteTime: NtbakFileTime,
    /// Bytes of the unnamed stream: the upper half.
    pub nFileSizeHigh: u32,
    /// The lower half.
    pub nFileSizeLow: u32,
    /// The reparse tag of a reparse point.
    pub dwReserved0: u32,
    /// 0.
    pub dwReserved1: u32,
    /// The name.
    pub cFileName: [std::ffi::c_char; 260],
    /// The 8.3 name, or nothing.
    pub cAlternateFileName: [std::ffi::c_char; 14],
}

/// WIN32_FIND_STREAM_DATA.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFindStreamData {
    /// Bytes of the stream.
    pub StreamSize: NtbakLargeInteger,
    /// `:name:$DATA`.
    pub cStreamName: [NtbakChar16; 296],
}

/// BY_HANDLE_FILE_INFORMATION.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakByHandleFileInformation {
    /// FILE_ATTRIBUTE_ flags.
    pub dwFileAttributes: u32,
    /// When it was made.
    pub ftCreationTime: NtbakFileTime,
    /// When its content was last read.
    pub ftLastAccessTime: NtbakFileTime,
    /// When its content was last written.
    pub ftLastWriteTime: NtbakFileTime,
    /// The serial number of the volume.
    pub dwVolumeSerialNumber: u32,
    /// Bytes of the unnamed stream: the upper half.
    pub nFileSizeHigh: u32,
    /// The lower half.
    pub nFileSizeLow: u32,
    /// How many names the file has.
    pub nNumberOfLinks: u32,
    /// What tells the file from others of its volume: the upper half.
    pub nFileIndexHigh: u32,
    /// The lower half.
    pub nFileIndexLow: u32,
}

/// FILE_BASIC_INFO.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFileBasicInfo {
    /// When it was made.
    pub CreationTime: NtbakLargeInteger,
    /// When its content was last read.
    pub LastAccessTime: NtbakLargeInteger,
    /// When its content was last written.
    pub LastWriteTime: NtbakLargeInteger,
    /// When anything about it last changed.
    pub ChangeTime: NtbakLargeInteger,
    /// FILE_ATTRIBUTE_ flags.
    pub FileAttributes: u32,
}

/// FILE_STANDARD_INFO.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFileStandardInfo {
    /// Bytes that the stream takes on the volume.
    pub AllocationSize: NtbakLargeInteger,
    /// Bytes of the stream.
    pub EndOfFile: NtbakLargeInteger,
    /// How many names the file has.
    pub NumberOfLinks: u32,
    /// It goes when its last handle closes.
    pub DeletePending: u8,
    /// It is a directory.
    pub Directory: u8,
}

/// FILE_ATTRIBUTE_TAG_INFO.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFileAttributeTagInfo {
    /// FILE_ATTRIBUTE_ flags.
    pub FileAttributes: u32,
    /// The reparse tag, or 0.
    pub ReparseTag: u32,
}

/// FILE_ID_128.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFileId128 {
    /// What tells the file from others of its volume.
    pub Identifier: [u8; 16],
}

/// FILE_ID_INFO.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakFileIdInfo {
    /// The serial number of the volume.
    pub VolumeSerialNumber: u64,
    /// What tells the file from others of its volume.
    pub FileId: NtbakFileId128,
}

/// LUID: the number of a privilege.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtbakLuid {
    /// The lower half.
    pub LowPart: u32,
    /// The upper half.
    pub HighPart: i32,
}

/// LUID_AND_ATTRIBUTES.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakLuidAndAttributes {
    /// Which privilege.
    pub Luid: NtbakLuid,
    /// SE_PRIVILEGE_ flags.
    pub Attributes: u32,
}

/// TOKEN_PRIVILEGES.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakTokenPrivileges {
    /// How many follow.
    pub PrivilegeCount: u32,
    /// The first of them.
    pub Privileges: [NtbakLuidAndAttributes; 1],
}

/// SID, with its first sub-authority.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakSid {
    /// 1.
    pub Revision: u8,
    /// How many sub-authorities there are.
    pub SubAuthorityCount: u8,
    /// Big-endian.
    pub IdentifierAuthority: NtbakSidIdentifierAuthority,
    /// The first of them.
    pub SubAuthority: [u32; 1],
}

/// SID_IDENTIFIER_AUTHORITY.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakSidIdentifierAuthority {
    /// Big-endian.
    pub Value: [u8; 6],
}

/// EFS_CERTIFICATE_BLOB.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakCertificateBlob {
    /// Not looked at.
    pub dwCertEncodingType: u32,
    /// Bytes of the certificate.
    pub cbData: u32,
    /// The certificate in DER.
    pub pbData: *mut u8,
}

/// EFS_HASH_BLOB.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakHashBlob {
    /// Bytes of the hash: 20.
    pub cbData: u32,
    /// SHA-1 of the certificate.
    pub pbData: *mut u8,
}

/// ENCRYPTION_CERTIFICATE.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakEncryptionCertificate {
    /// Not looked at.
    pub cbTotalLength: u32,
    /// The account, or NULL.
    pub pUserSid: *mut NtbakSid,
    /// The certificate.
    pub pCertBlob: *mut NtbakCertificateBlob,
}

/// ENCRYPTION_CERTIFICATE_LIST.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakEncryptionCertificateList {
    /// How many there are.
    pub nUsers: u32,
    /// Pointers to them.
    pub pUsers: *mut *mut NtbakEncryptionCertificate,
}

/// ENCRYPTION_CERTIFICATE_HASH.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakEncryptionCertificateHash {
    /// Bytes of this structure.
    pub cbTotalLength: u32,
    /// The account, or NULL.
    pub pUserSid: *mut NtbakSid,
    /// The hash of the certificate.
    pub pHash: *mut NtbakHashBlob,
    /// A name for people, or NULL.
    pub lpDisplayInformation: *mut NtbakChar16,
}

/// ENCRYPTION_CERTIFICATE_HASH_LIST.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NtbakEncryptionCertificateHashList {
    /// How many there are.
    pub nCert_Hash: u32,
    /// Pointers to them.
    pub pUsers: *mut *mut NtbakEncryptionCertificateHash,
}

/// PFE_EXPORT_FUNC: takes `len` bytes of an encrypted file; another number than 0 ends the export. It may
/// throw, and the process ends then.
pub type NtbakExportFunc =
    Option<unsafe extern "C-unwind" fn(data: *mut u8, context: *mut c_void, len: u32) -> u32>;

/// PFE_IMPORT_FUNC: fills `data`, of which there are `*len` bytes, and sets `*len` to how many it gave, 0 at
/// the end; another number than 0 ends the import. It may throw, and the process ends then.
pub type NtbakImportFunc =
    Option<unsafe extern "C-unwind" fn(data: *mut u8, context: *mut c_void, len: *mut u32) -> u32>;

impl From<u64> for NtbakLargeInteger {
    fn from(value: u64) -> Self {
        Self { QuadPart: value.cast_signed() }
    }
}

impl From<ntbak_wire::FileTime> for NtbakLargeInteger {
    fn from(time: ntbak_wire::FileTime) -> Self {
        Self { QuadPart: time.0 }
    }
}

impl From<ntbak_wire::FileTime> for NtbakFileTime {
    fn from(time: ntbak_wire::FileTime) -> Self {
        let (dwHighDateTime, dwLowDateTime) = halves(time.0.cast_unsigned());
        Self { dwLowDateTime, dwHighDateTime }
    }
}

impl From<NtbakFileTime> for ntbak_wire::FileTime {
    fn from(time: NtbakFileTime) -> Self {
        Self(whole(time.dwHighDateTime, time.dwLowDateTime).cast_signed())
    }
}

/// The upper and the lower half.
pub(crate) fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

/// Of two halves.
pub(crate) fn whole(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
