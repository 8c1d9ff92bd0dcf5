/*
 * Windows' names for libntbak. A backup program for Windows includes this instead of <windows.h>:
 *
 *     #ifdef _WIN32
 *     #include <windows.h>
 *     #else
 *     #include <ntbak/windows.h>
 *     #endif
 *
 * What a program needs is here, or does not compile: there are no stubs. The generic names (CreateFile) are those for UTF-16,
 * as with UNICODE. WCHAR has 16 bits, as on Windows, where wchar_t has 32: TEXT("...") is u"..." here, and L"..." an error.
 */
#ifndef NTBAK_WINDOWS_H
#define NTBAK_WINDOWS_H
#ifndef _WIN32

#include <ntbak/ntbak.h>

#ifndef __cplusplus
/* A wide string of C in the place of one of Windows is an error, as in C++, and not a warning. */
#pragma GCC diagnostic error "-Wincompatible-pointer-types"
#endif

/* --- Types --- */

typedef NtbakBool BOOL, *PBOOL, *LPBOOL;
typedef uint8_t BYTE, *PBYTE, *LPBYTE, UCHAR, *PUCHAR, BOOLEAN, *PBOOLEAN;
typedef uint16_t WORD, *PWORD, *LPWORD, USHORT, *PUSHORT;
typedef int16_t SHORT, *PSHORT;
typedef uint32_t DWORD, *PDWORD, *LPDWORD, ULONG, *PULONG, UINT, *PUINT, *LPUINT;
typedef int32_t LONG, *PLONG, *LPLONG, INT, *PINT, *LPINT;
typedef uint64_t ULONGLONG, *PULONGLONG, DWORDLONG, *PDWORDLONG, DWORD64, *PDWORD64, ULONG64;
typedef int64_t LONGLONG, *PLONGLONG, LONG64;
typedef uintptr_t ULONG_PTR, *PULONG_PTR, DWORD_PTR, *PDWORD_PTR, SIZE_T, *PSIZE_T;
typedef intptr_t LONG_PTR, *PLONG_PTR, SSIZE_T;
typedef char CHAR, *PCHAR, *LPSTR, *PSTR;
typedef const char *LPCSTR, *PCSTR;
typedef NtbakChar16 WCHAR, *PWCHAR, *LPWSTR, *PWSTR;
typedef const NtbakChar16 *LPCWSTR, *PCWSTR;
typedef WCHAR TCHAR, *PTCHAR, *LPTSTR, *PTSTR;
typedef LPCWSTR LPCTSTR, PCTSTR;
typedef void *PVOID, *LPVOID;
typedef const void *LPCVOID;
typedef NtbakHandle HANDLE, *PHANDLE, *LPHANDLE, HLOCAL;

typedef NtbakLargeInteger LARGE_INTEGER, *PLARGE_INTEGER;

typedef union _ULARGE_INTEGER {
  __extension__ struct {
    DWORD LowPart;
    DWORD HighPart;
  };
  struct {
    DWORD LowPart;
    DWORD HighPart;
  } u;
  ULONGLONG QuadPart;
} ULARGE_INTEGER, *PULARGE_INTEGER;

typedef NtbakFileTime FILETIME, *PFILETIME, *LPFILETIME;
typedef NtbakOverlapped OVERLAPPED, *LPOVERLAPPED;
typedef NtbakLuid LUID, *PLUID;
typedef NtbakLuidAndAttributes LUID_AND_ATTRIBUTES, *PLUID_AND_ATTRIBUTES;
typedef NtbakTokenPrivileges TOKEN_PRIVILEGES, *PTOKEN_PRIVILEGES;
typedef NtbakSidIdentifierAuthority SID_IDENTIFIER_AUTHORITY, *PSID_IDENTIFIER_AUTHORITY;
typedef NtbakSid SID, *PISID;
typedef void *PSID;

/* Taken, and not looked at. */
typedef struct _SECURITY_ATTRIBUTES {
  DWORD nLength;
  LPVOID lpSecurityDescriptor;
  BOOL bInheritHandle;
} SECURITY_ATTRIBUTES, *PSECURITY_ATTRIBUTES, *LPSECURITY_ATTRIBUTES;

#define VOID void
#define CONST const
#define TRUE 1
#define FALSE 0
#define WINAPI
#define APIENTRY
#define CALLBACK
#define MAX_PATH 260
#define ANYSIZE_ARRAY 1
#define INVALID_HANDLE_VALUE ((HANDLE)(LONG_PTR)-1)

#define TEXT(string) NTBAK_TEXT(string)
#define _T(string) NTBAK_TEXT(string)
#define _TEXT(string) NTBAK_TEXT(string)
#define NTBAK_TEXT(string) u##string

/* --- Errors --- */

#define GetLastError ntbak_get_last_error
#define SetLastError ntbak_set_last_error
#define FormatMessageA ntbak_format_message_a
#define FormatMessageW ntbak_format_message_w
#define FormatMessage FormatMessageW
#define LocalFree ntbak_local_free

#define FORMAT_MESSAGE_ALLOCATE_BUFFER 0x00000100
#define FORMAT_MESSAGE_IGNORE_INSERTS 0x00000200
#define FORMAT_MESSAGE_FROM_SYSTEM 0x00001000
#define FORMAT_MESSAGE_MAX_WIDTH_MASK 0x000000FF

#define NO_ERROR 0
#define ERROR_SUCCESS 0
#define ERROR_INVALID_FUNCTION 1
#define ERROR_FILE_NOT_FOUND 2
#define ERROR_PATH_NOT_FOUND 3
#define ERROR_TOO_MANY_OPEN_FILES 4
#define ERROR_ACCESS_DENIED 5
#define ERROR_INVALID_HANDLE 6
#define ERROR_NOT_ENOUGH_MEMORY 8
#define ERROR_INVALID_DATA 13
#define ERROR_OUTOFMEMORY 14
#define ERROR_INVALID_DRIVE 15
#define ERROR_NOT_SAME_DEVICE 17
#define ERROR_NO_MORE_FILES 18
#define ERROR_WRITE_PROTECT 19
#define ERROR_BAD_LENGTH 24
#define ERROR_SEEK 25
#define ERROR_GEN_FAILURE 31
#define ERROR_SHARING_VIOLATION 32
#define ERROR_LOCK_VIOLATION 33
#define ERROR_HANDLE_EOF 38
#define ERROR_NOT_SUPPORTED 50
#define ERROR_DUP_NAME 52
#define ERROR_BAD_NETPATH 53
#define ERROR_FILE_EXISTS 80
#define ERROR_INVALID_PASSWORD 86
#define ERROR_INVALID_PARAMETER 87
#define ERROR_DISK_FULL 112
#define ERROR_INSUFFICIENT_BUFFER 122
#define ERROR_INVALID_NAME 123
#define ERROR_NEGATIVE_SEEK 131
#define ERROR_DIR_NOT_ROOT 144
#define ERROR_DIR_NOT_EMPTY 145
#define ERROR_BUSY 170
#define ERROR_ALREADY_EXISTS 183
#define ERROR_FILENAME_EXCED_RANGE 206
#define ERROR_MORE_DATA 234
#define ERROR_INVALID_EA_NAME 254
#define ERROR_EA_LIST_INCONSISTENT 255
#define ERROR_DIRECTORY 267
#define ERROR_EAS_DIDNT_FIT 275
#define ERROR_EAS_NOT_SUPPORTED 282
#define ERROR_OPERATION_ABORTED 995
#define ERROR_IO_DEVICE 1117
#define ERROR_TOO_MANY_LINKS 1142
#define ERROR_NOT_ALL_ASSIGNED 1300
#define ERROR_NO_SUCH_PRIVILEGE 1313
#define ERROR_PRIVILEGE_NOT_HELD 1314
#define ERROR_INVALID_SECURITY_DESCR 1338
#define ERROR_INTERNAL_ERROR 1359
#define ERROR_FILE_CORRUPT 1392
#define ERROR_CANT_ACCESS_FILE 1920
#define ERROR_CANT_RESOLVE_FILENAME 1921
#define ERROR_NOT_A_REPARSE_POINT 4390
#define ERROR_REPARSE_ATTRIBUTE_CONFLICT 4391
#define ERROR_INVALID_REPARSE_DATA 4392
#define ERROR_REPARSE_TAG_INVALID 4393
#define ERROR_REPARSE_TAG_MISMATCH 4394
#define ERROR_ENCRYPTION_FAILED 6000
#define ERROR_DECRYPTION_FAILED 6001
#define ERROR_FILE_ENCRYPTED 6002
#define ERROR_NO_RECOVERY_POLICY 6003
#define ERROR_NO_EFS 6004
#define ERROR_WRONG_EFS 6005
#define ERROR_NO_USER_KEYS 6006
#define ERROR_FILE_NOT_ENCRYPTED 6007
#define ERROR_NOT_EXPORT_FORMAT 6008
#define ERROR_FILE_READ_ONLY 6009
#define ERROR_DIR_EFS_DISALLOWED 6010
#define ERROR_EFS_ALG_BLOB_TOO_BIG 6013
#define ERROR_VOLUME_NOT_SUPPORT_EFS 6014
#define ERROR_EFS_VERSION_NOT_SUPPORT 6016

/* --- Files --- */

#define CreateFileA ntbak_create_file_a
#define CreateFileW ntbak_create_file_w
#define CreateFile CreateFileW
#define CloseHandle ntbak_close_handle
#define ReadFile ntbak_read_file
#define WriteFile ntbak_write_file
#define SetFilePointerEx ntbak_set_file_pointer_ex
#define GetFileSizeEx ntbak_get_file_size_ex
#define SetEndOfFile ntbak_set_end_of_file

#define CREATE_NEW 1
#define CREATE_ALWAYS 2
#define OPEN_EXISTING 3
#define OPEN_ALWAYS 4
#define TRUNCATE_EXISTING 5

#define FILE_SHARE_READ 0x00000001
#define FILE_SHARE_WRITE 0x00000002
#define FILE_SHARE_DELETE 0x00000004

#define FILE_BEGIN 0
#define FILE_CURRENT 1
#define FILE_END 2

#define FILE_READ_DATA 0x0001
#define FILE_LIST_DIRECTORY 0x0001
#define FILE_WRITE_DATA 0x0002
#define FILE_ADD_FILE 0x0002
#define FILE_APPEND_DATA 0x0004
#define FILE_ADD_SUBDIRECTORY 0x0004
#define FILE_READ_EA 0x0008
#define FILE_WRITE_EA 0x0010
#define FILE_EXECUTE 0x0020
#define FILE_TRAVERSE 0x0020
#define FILE_DELETE_CHILD 0x0040
#define FILE_READ_ATTRIBUTES 0x0080
#define FILE_WRITE_ATTRIBUTES 0x0100
#define FILE_ALL_ACCESS 0x001F01FF
#define FILE_GENERIC_READ 0x00120089
#define FILE_GENERIC_WRITE 0x00120116
#define FILE_GENERIC_EXECUTE 0x001200A0
#define DELETE 0x00010000L
#define READ_CONTROL 0x00020000L
#define WRITE_DAC 0x00040000L
#define WRITE_OWNER 0x00080000L
#define SYNCHRONIZE 0x00100000L
#define STANDARD_RIGHTS_REQUIRED 0x000F0000L
#define ACCESS_SYSTEM_SECURITY 0x01000000L
#define MAXIMUM_ALLOWED 0x02000000L
#define GENERIC_READ 0x80000000U
#define GENERIC_WRITE 0x40000000U
#define GENERIC_EXECUTE 0x20000000U
#define GENERIC_ALL 0x10000000U

#define FILE_ATTRIBUTE_READONLY 0x00000001
#define FILE_ATTRIBUTE_HIDDEN 0x00000002
#define FILE_ATTRIBUTE_SYSTEM 0x00000004
#define FILE_ATTRIBUTE_DIRECTORY 0x00000010
#define FILE_ATTRIBUTE_ARCHIVE 0x00000020
#define FILE_ATTRIBUTE_DEVICE 0x00000040
#define FILE_ATTRIBUTE_NORMAL 0x00000080
#define FILE_ATTRIBUTE_TEMPORARY 0x00000100
#define FILE_ATTRIBUTE_SPARSE_FILE 0x00000200
#define FILE_ATTRIBUTE_REPARSE_POINT 0x00000400
#define FILE_ATTRIBUTE_COMPRESSED 0x00000800
#define FILE_ATTRIBUTE_OFFLINE 0x00001000
#define FILE_ATTRIBUTE_NOT_CONTENT_INDEXED 0x00002000
#define FILE_ATTRIBUTE_ENCRYPTED 0x00004000
#define FILE_ATTRIBUTE_INTEGRITY_STREAM 0x00008000
#define FILE_ATTRIBUTE_NO_SCRUB_DATA 0x00020000
#define FILE_ATTRIBUTE_PINNED 0x00080000
#define FILE_ATTRIBUTE_UNPINNED 0x00100000
#define FILE_ATTRIBUTE_RECALL_ON_OPEN 0x00040000
#define FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS 0x00400000
#define INVALID_FILE_ATTRIBUTES ((DWORD)-1)

#define FILE_FLAG_WRITE_THROUGH 0x80000000U
#define FILE_FLAG_OVERLAPPED 0x40000000U
#define FILE_FLAG_NO_BUFFERING 0x20000000U
#define FILE_FLAG_RANDOM_ACCESS 0x10000000U
#define FILE_FLAG_SEQUENTIAL_SCAN 0x08000000U
#define FILE_FLAG_DELETE_ON_CLOSE 0x04000000U
#define FILE_FLAG_BACKUP_SEMANTICS 0x02000000U
#define FILE_FLAG_POSIX_SEMANTICS 0x01000000U
#define FILE_FLAG_OPEN_REPARSE_POINT 0x00200000U
#define FILE_FLAG_OPEN_NO_RECALL 0x00100000U

/* --- What a file is --- */

#define GetFileAttributesA ntbak_get_file_attributes_a
#define GetFileAttributesW ntbak_get_file_attributes_w
#define GetFileAttributes GetFileAttributesW
#define SetFileAttributesA ntbak_set_file_attributes_a
#define SetFileAttributesW ntbak_set_file_attributes_w
#define SetFileAttributes SetFileAttributesW
#define GetFileInformationByHandle ntbak_get_file_information_by_handle
#define GetFileInformationByHandleEx ntbak_get_file_information_by_handle_ex
#define SetFileInformationByHandle ntbak_set_file_information_by_handle
#define GetFileTime ntbak_get_file_time
#define SetFileTime ntbak_set_file_time

typedef NtbakByHandleFileInformation BY_HANDLE_FILE_INFORMATION, *PBY_HANDLE_FILE_INFORMATION,
    *LPBY_HANDLE_FILE_INFORMATION;
typedef NtbakFileBasicInfo FILE_BASIC_INFO, *PFILE_BASIC_INFO;
typedef NtbakFileStandardInfo FILE_STANDARD_INFO, *PFILE_STANDARD_INFO;
typedef NtbakFileAttributeTagInfo FILE_ATTRIBUTE_TAG_INFO, *PFILE_ATTRIBUTE_TAG_INFO;
typedef NtbakFileId128 FILE_ID_128, *PFILE_ID_128;
typedef NtbakFileIdInfo FILE_ID_INFO, *PFILE_ID_INFO;

typedef struct _FILE_END_OF_FILE_INFO {
  LARGE_INTEGER EndOfFile;
} FILE_END_OF_FILE_INFO, *PFILE_END_OF_FILE_INFO;

/* The classes that are known here. */
typedef enum _FILE_INFO_BY_HANDLE_CLASS {
  FileBasicInfo = 0,
  FileStandardInfo = 1,
  FileDispositionInfo = 4,
  FileEndOfFileInfo = 6,
  FileAttributeTagInfo = 9,
  FileIdInfo = 18
} FILE_INFO_BY_HANDLE_CLASS, *PFILE_INFO_BY_HANDLE_CLASS;

/* --- Finding --- */

#define FindFirstFileA ntbak_find_first_file_a
#define FindFirstFileW ntbak_find_first_file_w
#define FindFirstFile FindFirstFileW
#define FindNextFileA ntbak_find_next_file_a
#define FindNextFileW ntbak_find_next_file_w
#define FindNextFile FindNextFileW
#define FindClose ntbak_find_close
#define FindFirstStreamW ntbak_find_first_stream_w
#define FindNextStreamW ntbak_find_next_stream_w
#define FindFirstFileNameW ntbak_find_first_file_name_w
#define FindNextFileNameW ntbak_find_next_file_name_w

typedef NtbakFindDataA WIN32_FIND_DATAA, *PWIN32_FIND_DATAA, *LPWIN32_FIND_DATAA;
typedef NtbakFindDataW WIN32_FIND_DATAW, *PWIN32_FIND_DATAW, *LPWIN32_FIND_DATAW;
typedef WIN32_FIND_DATAW WIN32_FIND_DATA, *PWIN32_FIND_DATA, *LPWIN32_FIND_DATA;
typedef NtbakFindStreamData WIN32_FIND_STREAM_DATA, *PWIN32_FIND_STREAM_DATA;

typedef enum _STREAM_INFO_LEVELS { FindStreamInfoStandard = 0 } STREAM_INFO_LEVELS;

/* --- Changing --- */

#define CreateDirectoryA ntbak_create_directory_a
#define CreateDirectoryW ntbak_create_directory_w
#define CreateDirectory CreateDirectoryW
#define CreateHardLinkA ntbak_create_hard_link_a
#define CreateHardLinkW ntbak_create_hard_link_w
#define CreateHardLink CreateHardLinkW
#define DeleteFileA ntbak_delete_file_a
#define DeleteFileW ntbak_delete_file_w
#define DeleteFile DeleteFileW
#define RemoveDirectoryA ntbak_remove_directory_a
#define RemoveDirectoryW ntbak_remove_directory_w
#define RemoveDirectory RemoveDirectoryW
#define MoveFileExA ntbak_move_file_ex_a
#define MoveFileExW ntbak_move_file_ex_w
#define MoveFileEx MoveFileExW

#define MOVEFILE_REPLACE_EXISTING 0x00000001
#define MOVEFILE_COPY_ALLOWED 0x00000002
#define MOVEFILE_DELAY_UNTIL_REBOOT 0x00000004
#define MOVEFILE_WRITE_THROUGH 0x00000008

/* Behind the macro of the same name, as on Windows: the member is renamed with it. */
typedef struct _FILE_DISPOSITION_INFO {
  BOOLEAN DeleteFile;
} FILE_DISPOSITION_INFO, *PFILE_DISPOSITION_INFO;

/* --- Volumes --- */

#define GetVolumeInformationA ntbak_get_volume_information_a
#define GetVolumeInformationW ntbak_get_volume_information_w
#define GetVolumeInformation GetVolumeInformationW
#define GetVolumeInformationByHandleW ntbak_get_volume_information_by_handle_w

#define FILE_CASE_SENSITIVE_SEARCH 0x00000001
#define FILE_CASE_PRESERVED_NAMES 0x00000002
#define FILE_UNICODE_ON_DISK 0x00000004
#define FILE_PERSISTENT_ACLS 0x00000008
#define FILE_FILE_COMPRESSION 0x00000010
#define FILE_VOLUME_QUOTAS 0x00000020
#define FILE_SUPPORTS_SPARSE_FILES 0x00000040
#define FILE_SUPPORTS_REPARSE_POINTS 0x00000080
#define FILE_SUPPORTS_OBJECT_IDS 0x00010000
#define FILE_SUPPORTS_ENCRYPTION 0x00020000
#define FILE_NAMED_STREAMS 0x00040000
#define FILE_READ_ONLY_VOLUME 0x00080000
#define FILE_SUPPORTS_HARD_LINKS 0x00400000
#define FILE_SUPPORTS_EXTENDED_ATTRIBUTES 0x00800000

/* --- Backup streams --- */

#define BackupRead ntbak_backup_read
#define BackupWrite ntbak_backup_write
#define BackupSeek ntbak_backup_seek

/* The header of each stream in a backup. In a backup it has NTBAK_STREAM_HEADER_SIZE bytes, and the name follows. */
typedef struct _WIN32_STREAM_ID {
  DWORD dwStreamId;
  DWORD dwStreamAttributes;
  LARGE_INTEGER Size;
  DWORD dwStreamNameSize;
  WCHAR cStreamName[ANYSIZE_ARRAY];
} WIN32_STREAM_ID, *LPWIN32_STREAM_ID;

#define BACKUP_INVALID 0x00000000
#define BACKUP_DATA 0x00000001
#define BACKUP_EA_DATA 0x00000002
#define BACKUP_SECURITY_DATA 0x00000003
#define BACKUP_ALTERNATE_DATA 0x00000004
#define BACKUP_LINK 0x00000005
#define BACKUP_PROPERTY_DATA 0x00000006
#define BACKUP_OBJECT_ID 0x00000007
#define BACKUP_REPARSE_DATA 0x00000008
#define BACKUP_SPARSE_BLOCK 0x00000009
#define BACKUP_TXFS_DATA 0x0000000A

#define STREAM_NORMAL_ATTRIBUTE 0x00000000
#define STREAM_MODIFIED_WHEN_READ 0x00000001
#define STREAM_CONTAINS_SECURITY 0x00000002
#define STREAM_CONTAINS_PROPERTIES 0x00000004
#define STREAM_SPARSE_ATTRIBUTE 0x00000008

/* --- Encrypted files --- */

#define OpenEncryptedFileRawA ntbak_open_encrypted_file_raw_a
#define OpenEncryptedFileRawW ntbak_open_encrypted_file_raw_w
#define OpenEncryptedFileRaw OpenEncryptedFileRawW
#define CloseEncryptedFileRaw ntbak_close_encrypted_file_raw
#define EncryptFileA ntbak_encrypt_file_a
#define EncryptFileW ntbak_encrypt_file_w
#define EncryptFile EncryptFileW
#define DecryptFileA ntbak_decrypt_file_a
#define DecryptFileW ntbak_decrypt_file_w
#define DecryptFile DecryptFileW
#define FileEncryptionStatusA ntbak_file_encryption_status_a
#define FileEncryptionStatusW ntbak_file_encryption_status_w
#define FileEncryptionStatus FileEncryptionStatusW
#define EncryptionDisable ntbak_encryption_disable
#define QueryUsersOnEncryptedFile ntbak_query_users_on_encrypted_file
#define QueryRecoveryAgentsOnEncryptedFile ntbak_query_recovery_agents_on_encrypted_file
#define AddUsersToEncryptedFile ntbak_add_users_to_encrypted_file
#define RemoveUsersFromEncryptedFile ntbak_remove_users_from_encrypted_file
#define FreeEncryptionCertificateHashList ntbak_free_encryption_certificate_hash_list
#define DuplicateEncryptionInfoFile ntbak_duplicate_encryption_info_file
#define SetUserFileEncryptionKey ntbak_set_user_file_encryption_key

#define CREATE_FOR_IMPORT 1
#define CREATE_FOR_DIR 2
#define OVERWRITE_HIDDEN 4
#define EFSRPC_SECURE_ONLY 8
#define EFS_DROP_ALTERNATE_STREAMS 0x10

#define FILE_ENCRYPTABLE 0
#define FILE_IS_ENCRYPTED 1
#define FILE_SYSTEM_ATTR 2
#define FILE_ROOT_DIR 3
#define FILE_SYSTEM_DIR 4
#define FILE_UNKNOWN 5
#define FILE_SYSTEM_NOT_SUPPORT 6
#define FILE_USER_DISALLOWED 7
#define FILE_READ_ONLY 8
#define FILE_DIR_DISALLOWED 9

typedef NtbakExportFunc PFE_EXPORT_FUNC;
typedef NtbakImportFunc PFE_IMPORT_FUNC;
typedef NtbakCertificateBlob EFS_CERTIFICATE_BLOB, *PEFS_CERTIFICATE_BLOB;
typedef NtbakHashBlob EFS_HASH_BLOB, *PEFS_HASH_BLOB;
typedef NtbakEncryptionCertificate ENCRYPTION_CERTIFICATE, *PENCRYPTION_CERTIFICATE;
typedef NtbakEncryptionCertificateList ENCRYPTION_CERTIFICATE_LIST, *PENCRYPTION_CERTIFICATE_LIST;
typedef NtbakEncryptionCertificateHash ENCRYPTION_CERTIFICATE_HASH, *PENCRYPTION_CERTIFICATE_HASH;
typedef NtbakEncryptionCertificateHashList ENCRYPTION_CERTIFICATE_HASH_LIST, *PENCRYPTION_CERTIFICATE_HASH_LIST;

#if defined(__cplusplus) && (defined(__cpp_exceptions) || defined(__EXCEPTIONS))
/* What a callback throws ends the call with ERROR_INTERNAL_ERROR: it cannot pass through the library. */
struct NtbakExport {
  PFE_EXPORT_FUNC callback;
  PVOID context;
  static DWORD call(PBYTE data, PVOID self, ULONG length) {
    const NtbakExport *to = static_cast<const NtbakExport *>(self);
    try {
      return to->callback(data, to->context, length);
    } catch (...) {
      return ERROR_INTERNAL_ERROR;
    }
  }
};
struct NtbakImport {
  PFE_IMPORT_FUNC callback;
  PVOID context;
  static DWORD call(PBYTE data, PVOID self, PULONG length) {
    const NtbakImport *to = static_cast<const NtbakImport *>(self);
    try {
      return to->callback(data, to->context, length);
    } catch (...) {
      return ERROR_INTERNAL_ERROR;
    }
  }
};
static inline DWORD ReadEncryptedFileRaw(PFE_EXPORT_FUNC callback, PVOID callback_context, PVOID context) {
  NtbakExport to = {callback, callback_context};
  return ntbak_read_encrypted_file_raw(callback ? NtbakExport::call : nullptr, &to, context);
}
static inline DWORD WriteEncryptedFileRaw(PFE_IMPORT_FUNC callback, PVOID callback_context, PVOID context) {
  NtbakImport to = {callback, callback_context};
  return ntbak_write_encrypted_file_raw(callback ? NtbakImport::call : nullptr, &to, context);
}
#else
#define ReadEncryptedFileRaw ntbak_read_encrypted_file_raw
#define WriteEncryptedFileRaw ntbak_write_encrypted_file_raw
#endif

/* --- Privileges --- */

#define GetCurrentProcess ntbak_get_current_process
#define OpenProcessToken ntbak_open_process_token
#define LookupPrivilegeValueA ntbak_lookup_privilege_value_a
#define LookupPrivilegeValueW ntbak_lookup_privilege_value_w
#define LookupPrivilegeValue LookupPrivilegeValueW
#define AdjustTokenPrivileges ntbak_adjust_token_privileges

#define TOKEN_QUERY 0x0008
#define TOKEN_ADJUST_PRIVILEGES 0x0020
#define SE_PRIVILEGE_ENABLED_BY_DEFAULT 0x00000001
#define SE_PRIVILEGE_ENABLED 0x00000002
#define SE_PRIVILEGE_REMOVED 0x00000004
#define SE_SECURITY_NAME TEXT("SeSecurityPrivilege")
#define SE_BACKUP_NAME TEXT("SeBackupPrivilege")
#define SE_RESTORE_NAME TEXT("SeRestorePrivilege")

/* --- Control codes --- */

#define DeviceIoControl ntbak_device_io_control

#define FSCTL_SET_OBJECT_ID 0x00090098
#define FSCTL_GET_OBJECT_ID 0x0009009C
#define FSCTL_DELETE_OBJECT_ID 0x000900A0
#define FSCTL_SET_REPARSE_POINT 0x000900A4
#define FSCTL_GET_REPARSE_POINT 0x000900A8
#define FSCTL_DELETE_REPARSE_POINT 0x000900AC
#define FSCTL_SET_SPARSE 0x000900C4
#define FSCTL_SET_ZERO_DATA 0x000980C8
#define FSCTL_QUERY_ALLOCATED_RANGES 0x000940CF

#define MAXIMUM_REPARSE_DATA_BUFFER_SIZE (16 * 1024)
#define IO_REPARSE_TAG_MOUNT_POINT 0xA0000003U
#define IO_REPARSE_TAG_SYMLINK 0xA000000CU
#define IO_REPARSE_TAG_DEDUP 0x80000013U
#define IO_REPARSE_TAG_WOF 0x80000017U
#define IO_REPARSE_TAG_WIM 0x80000008U
#define IO_REPARSE_TAG_NFS 0x80000014U
#define IO_REPARSE_TAG_HSM 0xC0000004U
#define IO_REPARSE_TAG_SIS 0x80000007U

typedef struct _GUID {
  uint32_t Data1;
  uint16_t Data2;
  uint16_t Data3;
  uint8_t Data4[8];
} GUID;

typedef struct _REPARSE_GUID_DATA_BUFFER {
  DWORD ReparseTag;
  WORD ReparseDataLength;
  WORD Reserved;
  GUID ReparseGuid;
  struct {
    BYTE DataBuffer[1];
  } GenericReparseBuffer;
} REPARSE_GUID_DATA_BUFFER, *PREPARSE_GUID_DATA_BUFFER;

typedef struct _FILE_OBJECTID_BUFFER {
  BYTE ObjectId[16];
  __extension__ union {
    __extension__ struct {
      BYTE BirthVolumeId[16];
      BYTE BirthObjectId[16];
      BYTE DomainId[16];
    };
    BYTE ExtendedInfo[48];
  };
} FILE_OBJECTID_BUFFER, *PFILE_OBJECTID_BUFFER;

typedef struct _FILE_ZERO_DATA_INFORMATION {
  LARGE_INTEGER FileOffset;
  LARGE_INTEGER BeyondFinalZero;
} FILE_ZERO_DATA_INFORMATION, *PFILE_ZERO_DATA_INFORMATION;

typedef struct _FILE_ALLOCATED_RANGE_BUFFER {
  LARGE_INTEGER FileOffset;
  LARGE_INTEGER Length;
} FILE_ALLOCATED_RANGE_BUFFER, *PFILE_ALLOCATED_RANGE_BUFFER;

/* --- Windows' layout --- */

#ifdef __cplusplus
#define NTBAK_ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#else
#define NTBAK_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif
NTBAK_ASSERT_SIZE(BOOL, 4);
NTBAK_ASSERT_SIZE(BOOLEAN, 1);
NTBAK_ASSERT_SIZE(DWORD, 4);
NTBAK_ASSERT_SIZE(WCHAR, 2);
NTBAK_ASSERT_SIZE(HANDLE, 8);
NTBAK_ASSERT_SIZE(LARGE_INTEGER, 8);
NTBAK_ASSERT_SIZE(ULARGE_INTEGER, 8);
NTBAK_ASSERT_SIZE(FILETIME, 8);
NTBAK_ASSERT_SIZE(OVERLAPPED, 32);
NTBAK_ASSERT_SIZE(LUID, 8);
NTBAK_ASSERT_SIZE(LUID_AND_ATTRIBUTES, 12);
NTBAK_ASSERT_SIZE(TOKEN_PRIVILEGES, 16);
NTBAK_ASSERT_SIZE(SID_IDENTIFIER_AUTHORITY, 6);
NTBAK_ASSERT_SIZE(SID, 12);
NTBAK_ASSERT_SIZE(SECURITY_ATTRIBUTES, 24);
NTBAK_ASSERT_SIZE(BY_HANDLE_FILE_INFORMATION, 52);
NTBAK_ASSERT_SIZE(FILE_BASIC_INFO, 40);
NTBAK_ASSERT_SIZE(FILE_STANDARD_INFO, 24);
NTBAK_ASSERT_SIZE(FILE_ATTRIBUTE_TAG_INFO, 8);
NTBAK_ASSERT_SIZE(FILE_ID_128, 16);
NTBAK_ASSERT_SIZE(FILE_ID_INFO, 24);
NTBAK_ASSERT_SIZE(FILE_END_OF_FILE_INFO, 8);
NTBAK_ASSERT_SIZE(FILE_DISPOSITION_INFO, 1);
NTBAK_ASSERT_SIZE(WIN32_FIND_DATAA, 320);
NTBAK_ASSERT_SIZE(WIN32_FIND_DATAW, 592);
NTBAK_ASSERT_SIZE(WIN32_FIND_STREAM_DATA, 600);
NTBAK_ASSERT_SIZE(WIN32_STREAM_ID, 24);
NTBAK_ASSERT_SIZE(EFS_CERTIFICATE_BLOB, 16);
NTBAK_ASSERT_SIZE(EFS_HASH_BLOB, 16);
NTBAK_ASSERT_SIZE(ENCRYPTION_CERTIFICATE, 24);
NTBAK_ASSERT_SIZE(ENCRYPTION_CERTIFICATE_LIST, 16);
NTBAK_ASSERT_SIZE(ENCRYPTION_CERTIFICATE_HASH, 32);
NTBAK_ASSERT_SIZE(ENCRYPTION_CERTIFICATE_HASH_LIST, 16);
NTBAK_ASSERT_SIZE(GUID, 16);
NTBAK_ASSERT_SIZE(REPARSE_GUID_DATA_BUFFER, 28);
NTBAK_ASSERT_SIZE(FILE_OBJECTID_BUFFER, 64);
NTBAK_ASSERT_SIZE(FILE_ZERO_DATA_INFORMATION, 16);
NTBAK_ASSERT_SIZE(FILE_ALLOCATED_RANGE_BUFFER, 16);

#endif
#endif
