/*
 * libntbak: BackupRead, BackupWrite, BackupSeek and the functions around them, on Linux.
 *
 * <ntbak/windows.h> has the same under Windows' names. The comment of each function begins with the name that it has
 * there; Microsoft's page on that says what it does, and docs/c-api.md what is otherwise here.
 *
 * For a failure, a function answers 0, NULL or NTBAK_INVALID_HANDLE, and ntbak_get_last_error() says why; those that
 * say so answer the number itself.
 */

#ifndef NTBAK_H
#define NTBAK_H

/* Made by `cargo xtask headers` of crates/capi/src: do not edit. */

#include <stddef.h>
#include <stdint.h>

/* A unit of UTF-16: that of u"..." in C11 and C++11. */
#ifdef __cplusplus
typedef char16_t NtbakChar16;
#else
typedef uint_least16_t NtbakChar16;
#endif

/* What CreateFile and the first calls of searches answer for a failure. */
#define NTBAK_INVALID_HANDLE ((void *)(intptr_t)-1)

/* LARGE_INTEGER. */
typedef union NtbakLargeInteger {
  __extension__ struct {
    uint32_t LowPart;
    int32_t HighPart;
  };
  struct {
    uint32_t LowPart;
    int32_t HighPart;
  } u;
  int64_t QuadPart;
} NtbakLargeInteger;

/* OVERLAPPED: only the offset is used. */
typedef struct NtbakOverlapped {
  uintptr_t Internal;
  uintptr_t InternalHigh;
  __extension__ union {
    __extension__ struct {
      uint32_t Offset;
      uint32_t OffsetHigh;
    };
    void *Pointer;
  };
  void *hEvent;
} NtbakOverlapped;


/*
 For ntbak_set_policy: what MS-BKUP demands of a reader, instead of what is seen in the wild.
 */
#define NTBAK_POLICY_STRICT 1

/*
 For ntbak_set_policy: all streams.
 */
#define NTBAK_ALL_STREAMS 4294967295

/*
 The bytes of a WIN32_STREAM_ID that a backup stream has: the structure is larger, since it is aligned.
 */
#define NTBAK_STREAM_HEADER_SIZE 20

/*
 TRUE or FALSE: 1 or 0. Every number but 0 is taken for TRUE.
 */
typedef int32_t NtbakBool;

/*
 A file, a search or a token that is open. It is a number, and points to nothing.
 */
typedef void *NtbakHandle;

/*
 SID_IDENTIFIER_AUTHORITY.
 */
typedef struct NtbakSidIdentifierAuthority {
  /*
   Big-endian.
   */
  uint8_t Value[6];
} NtbakSidIdentifierAuthority;

/*
 SID, with its first sub-authority.
 */
typedef struct NtbakSid {
  /*
   1.
   */
  uint8_t Revision;
  /*
   How many sub-authorities there are.
   */
  uint8_t SubAuthorityCount;
  /*
   Big-endian.
   */
  struct NtbakSidIdentifierAuthority IdentifierAuthority;
  /*
   The first of them.
   */
  uint32_t SubAuthority[1];
} NtbakSid;

/*
 EFS_HASH_BLOB.
 */
typedef struct NtbakHashBlob {
  /*
   Bytes of the hash: 20.
   */
  uint32_t cbData;
  /*
   SHA-1 of the certificate.
   */
  uint8_t *pbData;
} NtbakHashBlob;

/*
 ENCRYPTION_CERTIFICATE_HASH.
 */
typedef struct NtbakEncryptionCertificateHash {
  /*
   Bytes of this structure.
   */
  uint32_t cbTotalLength;
  /*
   The account, or NULL.
   */
  struct NtbakSid *pUserSid;
  /*
   The hash of the certificate.
   */
  struct NtbakHashBlob *pHash;
  /*
   A name for people, or NULL.
   */
  NtbakChar16 *lpDisplayInformation;
} NtbakEncryptionCertificateHash;

/*
 ENCRYPTION_CERTIFICATE_HASH_LIST.
 */
typedef struct NtbakEncryptionCertificateHashList {
  /*
   How many there are.
   */
  uint32_t nCert_Hash;
  /*
   Pointers to them.
   */
  struct NtbakEncryptionCertificateHash **pUsers;
} NtbakEncryptionCertificateHashList;

/*
 EFS_CERTIFICATE_BLOB.
 */
typedef struct NtbakCertificateBlob {
  /*
   Not looked at.
   */
  uint32_t dwCertEncodingType;
  /*
   Bytes of the certificate.
   */
  uint32_t cbData;
  /*
   The certificate in DER.
   */
  uint8_t *pbData;
} NtbakCertificateBlob;

/*
 ENCRYPTION_CERTIFICATE.
 */
typedef struct NtbakEncryptionCertificate {
  /*
   Not looked at.
   */
  uint32_t cbTotalLength;
  /*
   The account, or NULL.
   */
  struct NtbakSid *pUserSid;
  /*
   The certificate.
   */
  struct NtbakCertificateBlob *pCertBlob;
} NtbakEncryptionCertificate;

/*
 ENCRYPTION_CERTIFICATE_LIST.
 */
typedef struct NtbakEncryptionCertificateList {
  /*
   How many there are.
   */
  uint32_t nUsers;
  /*
   Pointers to them.
   */
  struct NtbakEncryptionCertificate **pUsers;
} NtbakEncryptionCertificateList;

/*
 FILETIME: 100 nanoseconds since 1601.
 */
typedef struct NtbakFileTime {
  /*
   The lower half.
   */
  uint32_t dwLowDateTime;
  /*
   The upper half.
   */
  uint32_t dwHighDateTime;
} NtbakFileTime;

/*
 WIN32_FIND_DATAW.
 */
typedef struct NtbakFindDataW {
  /*
   FILE_ATTRIBUTE_ flags.
   */
  uint32_t dwFileAttributes;
  /*
   When it was made.
   */
  struct NtbakFileTime ftCreationTime;
  /*
   When its content was last read.
   */
  struct NtbakFileTime ftLastAccessTime;
  /*
   When its content was last written.
   */
  struct NtbakFileTime ftLastWriteTime;
  /*
   Bytes of the unnamed stream: the upper half.
   */
  uint32_t nFileSizeHigh;
  /*
   The lower half.
   */
  uint32_t nFileSizeLow;
  /*
   The reparse tag of a reparse point.
   */
  uint32_t dwReserved0;
  /*
   0.
   */
  uint32_t dwReserved1;
  /*
   The name.
   */
  NtbakChar16 cFileName[260];
  /*
   The 8.3 name, or nothing.
   */
  NtbakChar16 cAlternateFileName[14];
} NtbakFindDataW;

/*
 WIN32_FIND_DATAA: names in UTF-8.
 */
typedef struct NtbakFindDataA {
  /*
   FILE_ATTRIBUTE_ flags.
   */
  uint32_t dwFileAttributes;
  /*
   When it was made.
   */
  struct NtbakFileTime ftCreationTime;
  /*
   When its content was last read.
   */
  struct NtbakFileTime ftLastAccessTime;
  /*
   When its content was last written.
   */
  struct NtbakFileTime ftLastWriteTime;
  /*
   Bytes of the unnamed stream: the upper half.
   */
  uint32_t nFileSizeHigh;
  /*
   The lower half.
   */
  uint32_t nFileSizeLow;
  /*
   The reparse tag of a reparse point.
   */
  uint32_t dwReserved0;
  /*
   0.
   */
  uint32_t dwReserved1;
  /*
   The name.
   */
  char cFileName[260];
  /*
   The 8.3 name, or nothing.
   */
  char cAlternateFileName[14];
} NtbakFindDataA;

/*
 BY_HANDLE_FILE_INFORMATION.
 */
typedef struct NtbakByHandleFileInformation {
  /*
   FILE_ATTRIBUTE_ flags.
   */
  uint32_t dwFileAttributes;
  /*
   When it was made.
   */
  struct NtbakFileTime ftCreationTime;
  /*
   When its content was last read.
   */
  struct NtbakFileTime ftLastAccessTime;
  /*
   When its content was last written.
   */
  struct NtbakFileTime ftLastWriteTime;
  /*
   The serial number of the volume.
   */
  uint32_t dwVolumeSerialNumber;
  /*
   Bytes of the unnamed stream: the upper half.
   */
  uint32_t nFileSizeHigh;
  /*
   The lower half.
   */
  uint32_t nFileSizeLow;
  /*
   How many names the file has.
   */
  uint32_t nNumberOfLinks;
  /*
   What tells the file from others of its volume: the upper half.
   */
  uint32_t nFileIndexHigh;
  /*
   The lower half.
   */
  uint32_t nFileIndexLow;
} NtbakByHandleFileInformation;

/*
 PFE_EXPORT_FUNC: takes `len` bytes of an encrypted file; another number than 0 ends the export. It may
 throw, and the process ends then.
 */
typedef uint32_t (*NtbakExportFunc)(uint8_t *data, void *context, uint32_t len);

/*
 PFE_IMPORT_FUNC: fills `data`, of which there are `*len` bytes, and sets `*len` to how many it gave, 0 at
 the end; another number than 0 ends the import. It may throw, and the process ends then.
 */
typedef uint32_t (*NtbakImportFunc)(uint8_t *data, void *context, uint32_t *len);

/*
 LUID: the number of a privilege.
 */
typedef struct NtbakLuid {
  /*
   The lower half.
   */
  uint32_t LowPart;
  /*
   The upper half.
   */
  int32_t HighPart;
} NtbakLuid;

/*
 LUID_AND_ATTRIBUTES.
 */
typedef struct NtbakLuidAndAttributes {
  /*
   Which privilege.
   */
  struct NtbakLuid Luid;
  /*
   SE_PRIVILEGE_ flags.
   */
  uint32_t Attributes;
} NtbakLuidAndAttributes;

/*
 TOKEN_PRIVILEGES.
 */
typedef struct NtbakTokenPrivileges {
  /*
   How many follow.
   */
  uint32_t PrivilegeCount;
  /*
   The first of them.
   */
  struct NtbakLuidAndAttributes Privileges[1];
} NtbakTokenPrivileges;

/*
 FILE_BASIC_INFO.
 */
typedef struct NtbakFileBasicInfo {
  /*
   When it was made.
   */
  NtbakLargeInteger CreationTime;
  /*
   When its content was last read.
   */
  NtbakLargeInteger LastAccessTime;
  /*
   When its content was last written.
   */
  NtbakLargeInteger LastWriteTime;
  /*
   When anything about it last changed.
   */
  NtbakLargeInteger ChangeTime;
  /*
   FILE_ATTRIBUTE_ flags.
   */
  uint32_t FileAttributes;
} NtbakFileBasicInfo;

/*
 FILE_STANDARD_INFO.
 */
typedef struct NtbakFileStandardInfo {
  /*
   Bytes that the stream takes on the volume.
   */
  NtbakLargeInteger AllocationSize;
  /*
   Bytes of the stream.
   */
  NtbakLargeInteger EndOfFile;
  /*
   How many names the file has.
   */
  uint32_t NumberOfLinks;
  /*
   It goes when its last handle closes.
   */
  uint8_t DeletePending;
  /*
   It is a directory.
   */
  uint8_t Directory;
} NtbakFileStandardInfo;

/*
 FILE_ATTRIBUTE_TAG_INFO.
 */
typedef struct NtbakFileAttributeTagInfo {
  /*
   FILE_ATTRIBUTE_ flags.
   */
  uint32_t FileAttributes;
  /*
   The reparse tag, or 0.
   */
  uint32_t ReparseTag;
} NtbakFileAttributeTagInfo;

/*
 FILE_ID_128.
 */
typedef struct NtbakFileId128 {
  /*
   What tells the file from others of its volume.
   */
  uint8_t Identifier[16];
} NtbakFileId128;

/*
 FILE_ID_INFO.
 */
typedef struct NtbakFileIdInfo {
  /*
   The serial number of the volume.
   */
  uint64_t VolumeSerialNumber;
  /*
   What tells the file from others of its volume.
   */
  struct NtbakFileId128 FileId;
} NtbakFileIdInfo;

/*
 WIN32_FIND_STREAM_DATA.
 */
typedef struct NtbakFindStreamData {
  /*
   Bytes of the stream.
   */
  NtbakLargeInteger StreamSize;
  /*
   `:name:$DATA`.
   */
  NtbakChar16 cStreamName[296];
} NtbakFindStreamData;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 BackupRead: the next bytes of the backup stream of a file.

 The buffer is filled; less comes only before the end or an error, and 0 bytes at the end, again and again. A
 buffer may be smaller than a header. What can be read before an error comes first, with success. The
 position of the handle is not used and not moved.

 With `abort`, `*context` is freed and set to NULL, and everything else ignored; NULL is fine, and a context of
 ntbak_backup_write, too.

 Errors: 5 a right is missing, or no key opens the encrypted file; 6 no file; 38 it has become shorter; 87 a
 pointer is NULL, the handle is unbuffered or that of a stream, the context is that of another handle or of a
 write, or none.
 */
NtbakBool ntbak_backup_read(NtbakHandle file,
                            uint8_t *buffer,
                            uint32_t bytes_to_read,
                            uint32_t *bytes_read,
                            NtbakBool abort,
                            NtbakBool process_security,
                            void **context);

/*
 BackupWrite: the next bytes of a backup stream for a file. They may be cut anywhere; with success all of
 them were taken.

 Content is written as it comes; security descriptor, extended attributes, reparse point and object id with
 their last byte. What was applied before an error stays. Without `process_security`, security descriptors
 are passed over.

 With `abort`, `*context` is freed and set to NULL, and everything else ignored; NULL is fine, and a context of
 ntbak_backup_read, too. ntbak_finish instead of that says whether the backup stream was whole.

 Errors: 2, 3, 17 the target of a hard link; 5 a right is missing; 6 no file; 13 no backup stream; 50, 282
 the place cannot hold it; 52, 183 object ids; 87 as ntbak_backup_read, and content for a directory; 112 no
 room; 123 a stream name; 254, 255 extended attributes; 1338 a security descriptor; 4391 to 4394 a reparse
 point.
 */
NtbakBool ntbak_backup_write(NtbakHandle file,
                             const uint8_t *buffer,
                             uint32_t bytes_to_write,
                             uint32_t *bytes_written,
                             NtbakBool abort,
                             NtbakBool process_security,
                             void **context);

/*
 BackupSeek: passes over bytes of the payload that the context is in, of a read or a write, and says how
 many. Never over a header: where less is left, it goes to the end of the payload and fails with 25. In a
 write, what is passed over reads as zeros.

 Errors: 6 no file; 25 less was left, or the context is in a header, in a name or at the end; 87 a pointer is
 NULL, the context is NULL, none, or that of another handle.
 */
NtbakBool ntbak_backup_seek(NtbakHandle file,
                            uint32_t low_to_seek,
                            uint32_t high_to_seek,
                            uint32_t *low_seeked,
                            uint32_t *high_seeked,
                            void **context);

/*
 CreateDirectoryW. `security` is not looked at.

 Errors: 3 its directory is not there; 19; 123 the name; 183 the name is there.
 */
NtbakBool ntbak_create_directory_w(const NtbakChar16 *name, const void *security);

/*
 CreateDirectoryA: with a name in UTF-8.
 */
NtbakBool ntbak_create_directory_a(const char *name, const void *security);

/*
 CreateHardLinkW: `name` becomes one more name of the file `existing`. `security` is not looked at.

 Errors: 2, 3 not there; 5 a directory; 17 another volume; 19; 183 the name is there; 1142 too many names.
 */
NtbakBool ntbak_create_hard_link_w(const NtbakChar16 *name, const NtbakChar16 *existing, const void *security);

/*
 CreateHardLinkA: with names in UTF-8.
 */
NtbakBool ntbak_create_hard_link_a(const char *name, const char *existing, const void *security);

/*
 DeleteFileW: a file, a link itself, or one stream (`file:stream`).

 Errors: 2, 3 not there; 5 a directory, a read-only file; 19; 32 another handle does not share deleting.
 */
NtbakBool ntbak_delete_file_w(const NtbakChar16 *name);

/*
 DeleteFileA: with a name in UTF-8.
 */
NtbakBool ntbak_delete_file_a(const char *name);

/*
 RemoveDirectoryW: an empty one, or a junction or link itself.

 Errors: 2, 3 not there; 5 a read-only one, a root; 19; 32; 145 something is in it; 267 a file.
 */
NtbakBool ntbak_remove_directory_w(const NtbakChar16 *name);

/*
 RemoveDirectoryA: with a name in UTF-8.
 */
NtbakBool ntbak_remove_directory_a(const char *name);

/*
 MoveFileExW: gives a file or directory another name.

 Errors: 2, 3 not there; 5 what has the name cannot be replaced; 17 another volume, without
 MOVEFILE_COPY_ALLOWED; 19; 32; 50 MOVEFILE_DELAY_UNTIL_REBOOT; 183 the name is there.
 */
NtbakBool ntbak_move_file_ex_w(const NtbakChar16 *existing, const NtbakChar16 *new_, uint32_t flags);

/*
 MoveFileExA: with names in UTF-8.
 */
NtbakBool ntbak_move_file_ex_a(const char *existing, const char *new_, uint32_t flags);

/*
 DeviceIoControl, with FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT, FSCTL_DELETE_REPARSE_POINT,
 FSCTL_GET_OBJECT_ID, FSCTL_SET_OBJECT_ID, FSCTL_DELETE_OBJECT_ID, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA and
 FSCTL_QUERY_ALLOCATED_RANGES. The call is over when it returns; `overlapped` may be NULL.

 Errors: 1 another code; 2, 4390 there is no object id, no reparse point; 5 no right; 6; 19; 52, 183 object
 ids; 87 a pointer is NULL, the input is too short or cannot be; 122 the output holds nothing; 234 the output
 holds the beginning only; 145, 267, 4391 to 4394 a reparse point that does not go with the file.
 */
NtbakBool ntbak_device_io_control(NtbakHandle file,
                                  uint32_t code,
                                  const void *input,
                                  uint32_t input_size,
                                  void *output,
                                  uint32_t output_size,
                                  uint32_t *returned,
                                  NtbakOverlapped *overlapped);

/*
 EncryptFileW: for the current user (ntbak_set_user_file_encryption_key, or the first key of
 ntbak_efs_add_key) and the recovery agents. The file is replaced when its encrypted form is whole.

 Errors: 2, 3 not there; 5 a system file; 19; 32 it is open; 50 it has several names; 6006 nobody to encrypt
 for; 6009 read-only; 6010 disabled for its directory; 6014 the place holds no encrypted files.
 */
NtbakBool ntbak_encrypt_file_w(const NtbakChar16 *name);

/*
 EncryptFileA: with a name in UTF-8.
 */
NtbakBool ntbak_encrypt_file_a(const char *name);

/*
 DecryptFileW: puts the plaintext in the place of an encrypted file. `reserved` is 0.

 Errors: 2, 3 not there; 19; 32 it is open; 50 it has several names; 87 `reserved`; 6002, 6006 no key; 6009
 read-only.
 */
NtbakBool ntbak_decrypt_file_w(const NtbakChar16 *name, uint32_t reserved);

/*
 DecryptFileA: with a name in UTF-8.
 */
NtbakBool ntbak_decrypt_file_a(const char *name, uint32_t reserved);

/*
 FileEncryptionStatusW: 0 encryptable, 1 encrypted, 2 a system file, 3 a root, 6 the place holds none, 8
 read-only, 9 disabled for its directory.

 Errors: 2, 3 not there; 87 a pointer is NULL.
 */
NtbakBool ntbak_file_encryption_status_w(const NtbakChar16 *name, uint32_t *status);

/*
 FileEncryptionStatusA: with a name in UTF-8.
 */
NtbakBool ntbak_file_encryption_status_a(const char *name, uint32_t *status);

/*
 EncryptionDisable: whether ntbak_encrypt_file_w works for the files of a directory, by its Desktop.ini.

 Errors: 2, 3 not there; 5 its Desktop.ini is encrypted; 19; 267 no directory.
 */
NtbakBool ntbak_encryption_disable(const NtbakChar16 *directory, NtbakBool disable);

/*
 QueryUsersOnEncryptedFile: who can open the file, without the recovery agents. No key is needed.
 ntbak_free_encryption_certificate_hash_list frees the list.

 Answers 0 or the error: 2, 3 not there; 87 a pointer is NULL; 6007 not encrypted; 6008 its metadata are damaged.
 */
uint32_t ntbak_query_users_on_encrypted_file(const NtbakChar16 *name, struct NtbakEncryptionCertificateHashList **users);

/*
 QueryRecoveryAgentsOnEncryptedFile: the same for recovery agents; an empty list is one, too.
 */
uint32_t ntbak_query_recovery_agents_on_encrypted_file(const NtbakChar16 *name,
                                                       struct NtbakEncryptionCertificateHashList **agents);

/*
 FreeEncryptionCertificateHashList: NULL, and what is no list, is passed over.
 */
void ntbak_free_encryption_certificate_hash_list(struct NtbakEncryptionCertificateHashList *users);

/*
 AddUsersToEncryptedFile: who holds these certificates can open the file from now on.

 Answers 0 or the error: 2, 3 not there; 13 no certificate; 19; 32 it is open; 50 its key is not RSA; 87 a
 pointer is NULL; 6002, 6006 no key opens the file; 6007 it is not encrypted; 6013 too many.
 */
uint32_t ntbak_add_users_to_encrypted_file(const NtbakChar16 *name, const struct NtbakEncryptionCertificateList *users);

/*
 RemoveUsersFromEncryptedFile: by the hashes of their certificates; others are passed over. The caller needs
 a key of the file.

 Answers 0 or the error: 2, 3 not there; 19; 32 it is open; 87 a pointer is NULL, no user would be left;
 6002, 6006 no key opens the file; 6007 it is not encrypted.
 */
uint32_t ntbak_remove_users_from_encrypted_file(const NtbakChar16 *name, const struct NtbakEncryptionCertificateHashList *hashes);

/*
 DuplicateEncryptionInfoFile: gives `to` the users and recovery agents of `from`. `disposition` CREATE_NEW
 (1) fails when it is there; otherwise it is emptied. `security` is not looked at.

 Answers 0 or the error: 2, 3 not there; 19; 32 one of them is open; 80 it is there; 87 a file and a
 directory; 6002 no key opens `from`; 6007 it is not encrypted.
 */
uint32_t ntbak_duplicate_encryption_info_file(const NtbakChar16 *from,
                                              const NtbakChar16 *to,
                                              uint32_t disposition,
                                              uint32_t attributes,
                                              const void *security);

/*
 SetUserFileEncryptionKey: new files are encrypted for the holder of this certificate, by this process.

 Answers 0 or the error: 13 no certificate; 50 its key is not RSA; 87 a pointer is NULL.
 */
uint32_t ntbak_set_user_file_encryption_key(const struct NtbakEncryptionCertificate *certificate);

/*
 GetLastError: of this thread. Functions that succeed leave it as it is, but ntbak_create_file_w and
 ntbak_adjust_token_privileges.
 */
uint32_t ntbak_get_last_error(void);

/*
 SetLastError.
 */
void ntbak_set_last_error(uint32_t code);

/*
 What a number says, in English: never NULL, and never freed.
 */
const char *ntbak_strerror(uint32_t code);

/*
 FormatMessageW: the text of ntbak_strerror for a number, with FORMAT_MESSAGE_FROM_SYSTEM, and with
 FORMAT_MESSAGE_ALLOCATE_BUFFER in memory that ntbak_local_free frees. It ends with CR and LF, or with a
 space with FORMAT_MESSAGE_MAX_WIDTH_MASK. Answers how many units, without the 0, or 0 for a failure.

 Errors: 87 other flags, `buffer` is NULL; 122 the buffer is too small; 317 a number without a text.
 */
uint32_t ntbak_format_message_w(uint32_t flags,
                                const void *source,
                                uint32_t code,
                                uint32_t language,
                                NtbakChar16 *buffer,
                                uint32_t size,
                                void *arguments);

/*
 FormatMessageA: in UTF-8.
 */
uint32_t ntbak_format_message_a(uint32_t flags,
                                const void *source,
                                uint32_t code,
                                uint32_t language,
                                char *buffer,
                                uint32_t size,
                                void *arguments);

/*
 LocalFree: of a message of ntbak_format_message_w; NULL is passed over. Answers NULL, or what it was given
 when that is none.

 Errors: 6 it is none, or none any more.
 */
NtbakHandle ntbak_local_free(NtbakHandle memory);

/*
 CreateFileW: opens or makes a file or, with FILE_FLAG_BACKUP_SEMANTICS, opens a directory. `security` and
 `template_file` are not looked at: a new file gets the security that its place gives it.

 With CREATE_ALWAYS and OPEN_ALWAYS the last error is 183 when the file was there, and 0 when it was not.

 Errors: 2, 3 not there; 5 access denied; 19 the volume is only read; 32 another handle does not share; 80 it
 exists; 87 parameters; 123, 206, 1920, 1921 the path; 1314 ACCESS_SYSTEM_SECURITY, and the caller is not
 root.
 */
NtbakHandle ntbak_create_file_w(const NtbakChar16 *name,
                                uint32_t access,
                                uint32_t share,
                                const void *security,
                                uint32_t disposition,
                                uint32_t flags_and_attributes,
                                NtbakHandle template_file);

/*
 CreateFileA: as ntbak_create_file_w, with a name in UTF-8. On Linux, it may be any bytes.
 */
NtbakHandle ntbak_create_file_a(const char *name,
                                uint32_t access,
                                uint32_t share,
                                const void *security,
                                uint32_t disposition,
                                uint32_t flags_and_attributes,
                                NtbakHandle template_file);

/*
 CloseHandle: of a file or a token. A call that another thread is in goes on to its end. The handle that
 GetCurrentProcess gives needs not be closed, and is not.

 Errors: 6 it is none, or none any more, or that of a search.
 */
NtbakBool ntbak_close_handle(NtbakHandle object);

/*
 ReadFile: the next bytes of the content, 0 at the end. With `overlapped`, those at its offset, when they are read, and
 the end is 38; the position is behind them then, unless the file was opened with FILE_FLAG_OVERLAPPED, which has
 none.

 Errors: 1 a directory; 5 no right, or no key for an encrypted file; 6; 38; 87 a pointer is NULL, no whole
 sectors of an unbuffered handle.
 */
NtbakBool ntbak_read_file(NtbakHandle file,
                          void *buffer,
                          uint32_t bytes_to_read,
                          uint32_t *bytes_read,
                          NtbakOverlapped *overlapped);

/*
 WriteFile: all of the bytes, at the position; with `overlapped`, at its offset, where 2^64 - 1 is the end of the file;
 the position is behind them then, as with ntbak_read_file.

 Errors: 1 a directory; 5 no right, or an encrypted file; 6; 19 the volume is only read; 87 a pointer is
 NULL, no whole sectors of an unbuffered handle, behind 2^63 - 1 bytes; 112 no room.
 */
NtbakBool ntbak_write_file(NtbakHandle file,
                           const void *buffer,
                           uint32_t bytes_to_write,
                           uint32_t *bytes_written,
                           NtbakOverlapped *overlapped);

/*
 SetFilePointerEx: moves the position, also behind the end. `new_position` may be NULL.

 Errors: 6; 87 no such method, too far, no whole sectors of an unbuffered handle; 131 before the beginning.
 */
NtbakBool ntbak_set_file_pointer_ex(NtbakHandle file,
                                    NtbakLargeInteger distance,
                                    NtbakLargeInteger *new_position,
                                    uint32_t method);

/*
 GetFileSizeEx: bytes of the stream that the handle is about.

 Errors: 1 a directory; 6; 87 `size` is NULL.
 */
NtbakBool ntbak_get_file_size_ex(NtbakHandle file, NtbakLargeInteger *size);

/*
 SetEndOfFile: the stream ends at the position.

 Errors: as ntbak_write_file.
 */
NtbakBool ntbak_set_end_of_file(NtbakHandle file);

/*
 FindFirstFileW: a search for a name or a pattern in a directory, and the first file of it. `.` and `..` come
 first, in all directories but a root.

 Errors: 2 nothing matches; 3 the directory is not there; 87 a pointer is NULL; 123 the path; 267 it is no
 directory.
 */
NtbakHandle ntbak_find_first_file_w(const NtbakChar16 *name, struct NtbakFindDataW *data);

/*
 FindFirstFileA: with names in UTF-8. Errors: also 234, a name has more than 259 bytes.
 */
NtbakHandle ntbak_find_first_file_a(const char *name, struct NtbakFindDataA *data);

/*
 FindNextFileW. Errors: 6; 18 there are no more; 87 `data` is NULL.
 */
NtbakBool ntbak_find_next_file_w(NtbakHandle search, struct NtbakFindDataW *data);

/*
 FindNextFileA. Errors: also 234, a name has more than 259 bytes; the next call gives the file behind it.
 */
NtbakBool ntbak_find_next_file_a(NtbakHandle search, struct NtbakFindDataA *data);

/*
 FindClose: of a search for files, streams or names. Errors: 6.
 */
NtbakBool ntbak_find_close(NtbakHandle search);

/*
 FindFirstFileNameW: a search for the names of a file, and the first of them, `\dir\file` from the root of
 its volume. `*length` is how many units the buffer has, and becomes how many the name has, with its 0.
 `flags` is 0. ntbak_find_close ends it.

 Errors: 2, 3 not there; 87 a pointer is NULL, flags; 234 the buffer is too small, and `*length` says what is
 needed.
 */
NtbakHandle ntbak_find_first_file_name_w(const NtbakChar16 *name, uint32_t flags, uint32_t *length, NtbakChar16 *link_name);

/*
 FindNextFileNameW. Errors: 6; 38 there are no more; 87 a pointer is NULL; 234 as
 ntbak_find_first_file_name_w, and the next call gives the same name.
 */
NtbakBool ntbak_find_next_file_name_w(NtbakHandle search, uint32_t *length, NtbakChar16 *link_name);

/*
 FindFirstStreamW: a search for the streams of a file or directory, and the first of them. `data` is that of an
 NtbakFindStreamData; `info_level` and `flags` are 0. ntbak_find_close ends it.

 Errors: 2, 3 not there; 38 a directory without streams; 87 a pointer is NULL, another level, flags.
 */
NtbakHandle ntbak_find_first_stream_w(const NtbakChar16 *name, uint32_t info_level, void *data, uint32_t flags);

/*
 FindNextStreamW. Errors: 6; 38 there are no more; 87 `data` is NULL.
 */
NtbakBool ntbak_find_next_stream_w(NtbakHandle search, void *data);

/*
 GetFileAttributesW: of a link itself; 0xFFFFFFFF for a failure. Errors: 2, 3 not there.
 */
uint32_t ntbak_get_file_attributes_w(const NtbakChar16 *name);

/*
 GetFileAttributesA: with a name in UTF-8.
 */
uint32_t ntbak_get_file_attributes_a(const char *name);

/*
 SetFileAttributesW: of a link itself. Those that Windows does not set this way stay as they are. Errors: 2,
 3 not there; 19; 32.
 */
NtbakBool ntbak_set_file_attributes_w(const NtbakChar16 *name, uint32_t attributes);

/*
 SetFileAttributesA: with a name in UTF-8.
 */
NtbakBool ntbak_set_file_attributes_a(const char *name, uint32_t attributes);

/*
 GetFileInformationByHandle. Errors: 6; 87 `information` is NULL.
 */
NtbakBool ntbak_get_file_information_by_handle(NtbakHandle file, struct NtbakByHandleFileInformation *information);

/*
 GetFileInformationByHandleEx, with FileBasicInfo (0), FileStandardInfo (1), FileAttributeTagInfo (9) and
 FileIdInfo (18).

 Errors: 6; 24 the buffer is too small; 87 `information` is NULL, another class.
 */
NtbakBool ntbak_get_file_information_by_handle_ex(NtbakHandle file, uint32_t class_, void *information, uint32_t size);

/*
 SetFileInformationByHandle, with FileBasicInfo (0), FileDispositionInfo (4) and FileEndOfFileInfo (6).

 Errors: 5 no right; 6; 19; 24 the buffer is too small; 87 `information` is NULL, another class, attributes
 or times that cannot be.
 */
NtbakBool ntbak_set_file_information_by_handle(NtbakHandle file, uint32_t class_, const void *information, uint32_t size);

/*
 GetFileTime: each of the three may be NULL. Errors: 6.
 */
NtbakBool ntbak_get_file_time(NtbakHandle file,
                              struct NtbakFileTime *creation,
                              struct NtbakFileTime *access,
                              struct NtbakFileTime *write);

/*
 SetFileTime: what is NULL, or 0, stays as it is. Errors: 5 no right; 6; 19; 87 a time before 1601.
 */
NtbakBool ntbak_set_file_time(NtbakHandle file,
                              const struct NtbakFileTime *creation,
                              const struct NtbakFileTime *access,
                              const struct NtbakFileTime *write);

/*
 The version of the library, `0.1.0`.
 */
const char *ntbak_version(void);

/*
 Makes a drive of a directory, of a mounted NTFS volume, or of the NTFS volume in a disk image or on a device
 (`disk.img`, `disk.img#2` for its second partition), which is only read. It is for this process: paths that begin
 with the letter lead there, and nowhere else. It takes the place of one that has the letter; what is open stays
 open. The environment variable NTBAK_DRIVES (`C=/mnt/windows;D=disk.img#2`) does the same before the first call.

 Errors: 2, 3 it is not there; 15 no letter; 87 `location` is NULL; 1392 and others no NTFS volume.
 */
NtbakBool ntbak_map_drive(char letter, const char *location);

/*
 Adds the keys of a PFX or PEM file, for this process: they open encrypted files. The first of them that has
 a certificate for EFS is that of the current user, until ntbak_set_user_file_encryption_key says otherwise.
 `password` is in UTF-8; NULL is none.

 Errors: 2, 3 the file is not there; 13 it has no keys; 86 the password is wrong; 87 `file` is NULL, the
 password is no UTF-8.
 */
NtbakBool ntbak_efs_add_key(const char *file, const char *password);

/*
 The policy of ntbak_backup_write for files that are opened from now on: `flags` is 0 or NTBAK_POLICY_STRICT;
 `streams` has the bit `1 << id` for each kind of stream that is applied, and others are passed over.

 Errors: 87 another flag.
 */
NtbakBool ntbak_set_policy(uint32_t flags, uint32_t streams);

/*
 Says that the backup stream of a ntbak_backup_write ends here, frees the context and sets it to NULL:
 instead of a call with `abort`, which cannot tell whether the stream was whole.

 Errors: 13 a header, name or payload is cut; 87 the context is NULL, none, or that of a read, which is
 freed, too.
 */
NtbakBool ntbak_finish(void **context);

/*
 OpenEncryptedFileRawW: an encrypted file for ntbak_read_encrypted_file_raw or, with CREATE_FOR_IMPORT (1), a
 place for ntbak_write_encrypted_file_raw. Nothing is made before that has all of the data.

 Answers 0 or the error: 2, 3 not there; 5 a directory, a read-only file, or a hidden one without
 OVERWRITE_HIDDEN; 32 it is open; 87 a pointer is NULL; 123 the name; 267 a file, with CREATE_FOR_DIR; 6007
 it is not encrypted.
 */
uint32_t ntbak_open_encrypted_file_raw_w(const NtbakChar16 *name, uint32_t flags, void **context);

/*
 OpenEncryptedFileRawA: with a name in UTF-8.
 */
uint32_t ntbak_open_encrypted_file_raw_a(const char *name, uint32_t flags, void **context);

/*
 ReadEncryptedFileRaw: gives the raw data of the file to `export`, in blocks of 1 byte to 64 KiB, until that
 answers another number than 0. A block is the callback's until it returns. Each call begins at the
 beginning.

 Answers 0, what the callback answered, or the error: 87 no callback, no context, or one for import; 170 the
 context is in use.
 */
uint32_t ntbak_read_encrypted_file_raw(NtbakExportFunc export_, void *callback_context, void *context);

/*
 WriteEncryptedFileRaw: makes the encrypted file of the raw data that `import` gives, block by block of up to
 64 KiB, 0 bytes at the end. The file appears whole, in place of one that is there; with any failure, what
 was there is untouched.

 Answers 0, what the callback answered, or the error: 87 no callback, no context, one for export, or one that
 was written already; the callback says more than the block holds; 112 no room; 170 the context is in use;
 6008 no raw data, or cut; 6014 the place cannot hold encrypted files.
 */
uint32_t ntbak_write_encrypted_file_raw(NtbakImportFunc import, void *callback_context, void *context);

/*
 CloseEncryptedFileRaw: NULL, and what is no context, is passed over.
 */
void ntbak_close_encrypted_file_raw(void *context);

/*
 GetCurrentProcess: the one process that there is here.
 */
NtbakHandle ntbak_get_current_process(void);

/*
 OpenProcessToken: of this process. `access` is not looked at. Errors: 6 another process; 87 `token` is NULL.
 */
NtbakBool ntbak_open_process_token(NtbakHandle process, uint32_t access, NtbakHandle *token);

/*
 LookupPrivilegeValueW: the number of a privilege, as every Windows has it. `system` is NULL or empty.

 Errors: 53 another system; 87 a pointer is NULL; 1313 no such privilege.
 */
NtbakBool ntbak_lookup_privilege_value_w(const NtbakChar16 *system, const NtbakChar16 *name, struct NtbakLuid *luid);

/*
 LookupPrivilegeValueA: with names in UTF-8.
 */
NtbakBool ntbak_lookup_privilege_value_a(const char *system, const char *name, struct NtbakLuid *luid);

/*
 AdjustTokenPrivileges: changes nothing, and says whether the caller holds what is to be enabled: TRUE and
 the last error 0, or TRUE and the last error 1300, as on Windows. `previous` says that nothing was changed.

 Errors: 6 no token; 87 `new_state` is NULL where it is needed, too many privileges; 122 `previous` has less
 than 16 bytes.
 */
NtbakBool ntbak_adjust_token_privileges(NtbakHandle token,
                                        NtbakBool disable_all,
                                        const struct NtbakTokenPrivileges *new_state,
                                        uint32_t previous_size,
                                        struct NtbakTokenPrivileges *previous,
                                        uint32_t *returned);

/*
 GetVolumeInformationW: of the volume that `root` (`C:\`), or any other path, is on; NULL is that of the
 current directory of Linux. Every pointer may be NULL; sizes are in units.

 Errors: 2, 3 not there; 234 a buffer is too small.
 */
NtbakBool ntbak_get_volume_information_w(const NtbakChar16 *root,
                                         NtbakChar16 *label,
                                         uint32_t label_size,
                                         uint32_t *serial,
                                         uint32_t *longest_name,
                                         uint32_t *flags,
                                         NtbakChar16 *file_system,
                                         uint32_t file_system_size);

/*
 GetVolumeInformationA: with names in UTF-8; sizes are in bytes.
 */
NtbakBool ntbak_get_volume_information_a(const char *root,
                                         char *label,
                                         uint32_t label_size,
                                         uint32_t *serial,
                                         uint32_t *longest_name,
                                         uint32_t *flags,
                                         char *file_system,
                                         uint32_t file_system_size);

/*
 GetVolumeInformationByHandleW: of the volume that a file is on. Every pointer but the handle may be NULL;
 sizes are in units.

 Errors: 6; 234 a buffer is too small.
 */
NtbakBool ntbak_get_volume_information_by_handle_w(NtbakHandle file,
                                                   NtbakChar16 *label,
                                                   uint32_t label_size,
                                                   uint32_t *serial,
                                                   uint32_t *longest_name,
                                                   uint32_t *flags,
                                                   NtbakChar16 *file_system,
                                                   uint32_t file_system_size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NTBAK_H */
