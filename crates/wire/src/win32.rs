//! Win32 error numbers, those that the functions of ntbak give.

use std::fmt;

/// A Win32 error number, as `GetLastError` gives it. Any number is kept; those that ntbak itself gives have names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Win32Error(pub u32);

macro_rules! win32_errors {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Win32Error {
            $(#[doc = concat!("`ERROR_", stringify!($name), "` (", stringify!($number), "): ", $text, ".")]
            pub const $name: Self = Self($number);)*

            /// The name in the Windows headers without its `ERROR_`, when ntbak knows the number.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($number => Some(stringify!($name)),)* _ => None }
            }

            /// What the number says, in our words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self.0 { $($number => $text,)* _ => "unknown error" }
            }
        }
    };
}

win32_errors! {
    SUCCESS = 0, "no error";
    INVALID_FUNCTION = 1, "it went wrong";
    FILE_NOT_FOUND = 2, "the file is not there";
    PATH_NOT_FOUND = 3, "a directory of the path is not there";
    TOO_MANY_OPEN_FILES = 4, "too many files are open";
    ACCESS_DENIED = 5, "access denied";
    INVALID_HANDLE = 6, "the handle is not valid";
    NOT_ENOUGH_MEMORY = 8, "not enough memory";
    INVALID_DATA = 13, "the data are not valid";
    OUTOFMEMORY = 14, "out of memory";
    INVALID_DRIVE = 15, "there is no such drive";
    NOT_SAME_DEVICE = 17, "the files are on different volumes";
    NO_MORE_FILES = 18, "there are no more files";
    WRITE_PROTECT = 19, "the volume cannot be written";
    BAD_LENGTH = 24, "the length of the buffer is not that of the structure";
    SEEK = 25, "the position asked for cannot be reached";
    GEN_FAILURE = 31, "a device did not work";
    SHARING_VIOLATION = 32, "the file is open elsewhere";
    LOCK_VIOLATION = 33, "a part of the file is locked elsewhere";
    HANDLE_EOF = 38, "the end of the file was reached";
    NOT_SUPPORTED = 50, "not supported here";
    DUP_NAME = 52, "the object id is in use on the volume";
    BAD_NETPATH = 53, "there is no network here";
    FILE_EXISTS = 80, "the file exists";
    INVALID_PASSWORD = 86, "the password is not right";
    INVALID_PARAMETER = 87, "a parameter is not valid";
    DISK_FULL = 112, "the disk is full";
    INSUFFICIENT_BUFFER = 122, "the buffer is too small";
    INVALID_NAME = 123, "the name is not valid";
    NEGATIVE_SEEK = 131, "the position is before the beginning of the file";
    DIR_NOT_ROOT = 144, "the directory is not the root of a volume";
    DIR_NOT_EMPTY = 145, "the directory is not empty";
    BUSY = 170, "it is in use";
    ALREADY_EXISTS = 183, "it exists already";
    FILENAME_EXCED_RANGE = 206, "the name is too long";
    MORE_DATA = 234, "there is more than the buffer holds";
    INVALID_EA_NAME = 254, "the name of an extended attribute is not valid";
    EA_LIST_INCONSISTENT = 255, "the list of extended attributes is not consistent";
    DIRECTORY = 267, "the name is not that of a directory";
    EAS_DIDNT_FIT = 275, "the extended attributes are too large";
    EAS_NOT_SUPPORTED = 282, "extended attributes are not supported here";
    OPERATION_ABORTED = 995, "the operation was cancelled";
    IO_DEVICE = 1117, "an input/output error";
    TOO_MANY_LINKS = 1142, "the file has as many names as it can have";
    NOT_ALL_ASSIGNED = 1300, "the caller does not hold all of the privileges";
    NO_SUCH_PRIVILEGE = 1313, "there is no such privilege";
    PRIVILEGE_NOT_HELD = 1314, "a privilege is missing";
    INVALID_SECURITY_DESCR = 1338, "the security descriptor is not valid";
    INTERNAL_ERROR = 1359, "an internal error";
    FILE_CORRUPT = 1392, "the file is damaged on its volume";
    CANT_ACCESS_FILE = 1920, "what the reparse point means is not known here";
    CANT_RESOLVE_FILENAME = 1921, "the path leads nowhere: through too many links, or out of the drives";
    NOT_A_REPARSE_POINT = 4390, "not a reparse point";
    REPARSE_ATTRIBUTE_CONFLICT = 4391, "the reparse point conflicts with another attribute";
    INVALID_REPARSE_DATA = 4392, "the reparse buffer is not valid";
    REPARSE_TAG_INVALID = 4393, "the reparse tag is not valid";
    REPARSE_TAG_MISMATCH = 4394, "there is a reparse point with another tag";
    ENCRYPTION_FAILED = 6000, "the file could not be encrypted";
    DECRYPTION_FAILED = 6001, "the file could not be decrypted";
    FILE_ENCRYPTED = 6002, "the file is encrypted, and no key at hand opens it";
    NO_RECOVERY_POLICY = 6003, "there is no recovery policy";
    NO_EFS = 6004, "there is no encrypting file system";
    WRONG_EFS = 6005, "the file is encrypted for another encrypting file system";
    NO_USER_KEYS = 6006, "there is no key for the encrypting file system";
    FILE_NOT_ENCRYPTED = 6007, "the file is not encrypted";
    NOT_EXPORT_FORMAT = 6008, "the data are not in the EFS export format";
    FILE_READ_ONLY = 6009, "the file is read-only";
    DIR_EFS_DISALLOWED = 6010, "encryption is disabled in the directory";
    EFS_ALG_BLOB_TOO_BIG = 6013, "the EFS metadata are too large";
    VOLUME_NOT_SUPPORT_EFS = 6014, "the volume does not support EFS";
    EFS_VERSION_NOT_SUPPORT = 6016, "this version of EFS is not supported";
}

impl fmt::Display for Win32Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (Win32 error {})", self.text(), self.0)
    }
}

impl fmt::Debug for Win32Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "ERROR_{name}({})", self.0),
            None => write!(f, "Win32Error({})", self.0),
        }
    }
}

impl std::error::Error for Win32Error {}
