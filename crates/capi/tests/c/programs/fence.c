/* What a program may not do, and does: `fence DIRECTORY`, which becomes drive C. Each call is answered, and the next one works. */
#include "check.h"

static HANDLE bad[10];
static size_t bads;

/* With each handle that is none for it, the call answers 6. */
#define EACH_BAD(call)                                                                                                            \
  do {                                                                                                                            \
    size_t at_;                                                                                                                   \
    for (at_ = 0; at_ < bads; at_++) {                                                                                            \
      HANDLE h = bad[at_];                                                                                                        \
      FAILS(ERROR_INVALID_HANDLE, call);                                                                                          \
    }                                                                                                                             \
  } while (0)

#define NULLS(call) FAILS(ERROR_INVALID_PARAMETER, call)

static BOOL is_handle(HANDLE handle) {
  return handle != INVALID_HANDLE_VALUE;
}

static void handles(void) {
  static BYTE buffer[64];
  DWORD count, low, high;
  LARGE_INTEGER number;
  FILETIME time;
  FILE_BASIC_INFO basic;
  BY_HANDLE_FILE_INFORMATION about;
  WIN32_FIND_DATAW found;
  WIN32_FIND_DATAA narrow;
  WIN32_FIND_STREAM_DATA stream;
  WCHAR name[260];
  TOKEN_PRIVILEGES privileges;
  LPVOID context = NULL, kept = NULL;
  PVOID raw;
  HANDLE file, closed, search, streams, names, token;
  size_t all;

  memset(&number, 0, sizeof number);
  memset(&basic, 0, sizeof basic);
  memset(&privileges, 0, sizeof privileges);
  make_file("C:\\f", "content", 7);
  file = open_write("C:\\f");
  closed = open_write("C:\\f");
  CHECK(CloseHandle(closed));
  search = FindFirstFileA("C:\\*", &narrow);
  CHECK(search != INVALID_HANDLE_VALUE);
  streams = FindFirstStreamW(u"C:\\f", FindStreamInfoStandard, &stream, 0);
  CHECK(streams != INVALID_HANDLE_VALUE);
  count = 260;
  names = FindFirstFileNameW(u"C:\\f", 0, &count, name);
  CHECK(names != INVALID_HANDLE_VALUE && count == 3);
  CHECK(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
  CHECK(BackupRead(file, buffer, 20, &count, FALSE, FALSE, &kept) && count == 20);
  ANSWERS(0, OpenEncryptedFileRawA("C:\\new", CREATE_FOR_IMPORT, &raw));

  /* None is that of a file. */
  bads = 0;
  bad[bads++] = NULL;
  bad[bads++] = (HANDLE)4;
  bad[bads++] = (HANDLE)0x123456789ABCDEF1;
  bad[bads++] = closed;
  bad[bads++] = kept;
  bad[bads++] = raw;
  all = bads;
  bad[bads++] = INVALID_HANDLE_VALUE;
  bad[bads++] = search;
  bad[bads++] = token;
  EACH_BAD(ReadFile(h, buffer, 1, &count, NULL));
  EACH_BAD(WriteFile(h, buffer, 1, &count, NULL));
  EACH_BAD(SetFilePointerEx(h, number, NULL, FILE_BEGIN));
  EACH_BAD(GetFileSizeEx(h, &number));
  EACH_BAD(SetEndOfFile(h));
  EACH_BAD(GetFileInformationByHandle(h, &about));
  EACH_BAD(GetFileInformationByHandleEx(h, FileBasicInfo, &basic, sizeof basic));
  EACH_BAD(SetFileInformationByHandle(h, FileBasicInfo, &basic, sizeof basic));
  EACH_BAD(GetFileTime(h, &time, &time, &time));
  EACH_BAD(SetFileTime(h, &time, NULL, NULL));
  EACH_BAD(BackupRead(h, buffer, 20, &count, FALSE, FALSE, &context));
  EACH_BAD(BackupWrite(h, buffer, 20, &count, FALSE, FALSE, &context));
  EACH_BAD(BackupRead(h, buffer, 20, &count, FALSE, FALSE, &kept));
  EACH_BAD(BackupSeek(h, 1, 0, &low, &high, &kept));
  EACH_BAD(DeviceIoControl(h, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, &count, NULL));
  EACH_BAD(GetVolumeInformationByHandleW(h, NULL, 0, NULL, NULL, NULL, NULL, 0));
  CHECK(context == NULL);
  bad[all] = file;
  EACH_BAD(FindNextStreamW(h, &stream));
  EACH_BAD(AdjustTokenPrivileges(h == token ? NULL : h, TRUE, NULL, 0, NULL, NULL));
  bads = all + 1;
  bad[bads++] = token;
  EACH_BAD(FindNextFileA(h, &narrow));
  EACH_BAD(FindNextFileW(h, &found));
  EACH_BAD(FindNextFileNameW(h, &count, name));
  EACH_BAD(FindClose(h));
  bads = all;
  bad[bads++] = search;
  bad[bads++] = streams;
  bad[bads++] = names;
  EACH_BAD(CloseHandle(h));
  EACH_BAD(OpenProcessToken(h, TOKEN_QUERY, &token));

  /* What was asked for in vain is as it was. */
  CHECK(BackupRead(file, buffer, 64, &count, FALSE, FALSE, &kept) && count == 7);
  end_read(&kept);
  FAILS(ERROR_HANDLE_EOF, FindNextStreamW(streams, &stream));
  count = 260;
  FAILS(ERROR_HANDLE_EOF, FindNextFileNameW(names, &count, name));

  /* Closed twice. */
  CHECK(CloseHandle(GetCurrentProcess()) && CloseHandle(GetCurrentProcess()));
  CHECK(CloseHandle(file));
  FAILS(ERROR_INVALID_HANDLE, CloseHandle(file));
  CHECK(CloseHandle(token));
  FAILS(ERROR_INVALID_HANDLE, CloseHandle(token));
  CHECK(FindClose(search) && FindClose(streams) && FindClose(names));
  FAILS(ERROR_INVALID_HANDLE, FindClose(search));
  FAILS(ERROR_INVALID_HANDLE, FindClose(streams));
  FAILS(ERROR_INVALID_HANDLE, FindClose(names));
  FAILS(ERROR_INVALID_HANDLE, FindNextFileW(search, &found));
  CloseEncryptedFileRaw(raw);
  CloseEncryptedFileRaw(raw);
  CloseEncryptedFileRaw(closed);
}

static void nulls(void) {
  static BYTE buffer[64];
  const CHAR *no_name = NULL;
  const WCHAR *no_wide = NULL;
  DWORD count, status;
  LARGE_INTEGER number;
  WIN32_FIND_DATAW found;
  WIN32_FIND_DATAA narrow;
  WIN32_FIND_STREAM_DATA stream;
  WCHAR name[260];
  LUID luid;
  LPVOID context = NULL;
  ENCRYPTION_CERTIFICATE_HASH_LIST *users = NULL, hashes;
  ENCRYPTION_CERTIFICATE_LIST certificates;
  ENCRYPTION_CERTIFICATE certificate;
  HANDLE file, search, names, token;

  number.QuadPart = 0;
  make_file("C:\\f", "content", 7);
  file = open_write("C:\\f");
  SetLastError(0);
  CHECK(!is_handle(CreateFileA(no_name, 0, 0, NULL, OPEN_EXISTING, 0, NULL)) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!is_handle(CreateFileW(no_wide, 0, 0, NULL, OPEN_EXISTING, 0, NULL)));
  CHECK(!is_handle(CreateFileA("C:\\f", 0, 0, NULL, 0, 0, NULL)) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!is_handle(CreateFileA("C:\\f", 0, 0, NULL, 6, 0, NULL)) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!is_handle(CreateFileA("C:\\f", 0, 0x100, NULL, OPEN_EXISTING, 0, NULL)));
  CHECK(!is_handle(CreateFileA("", 0, 0, NULL, OPEN_EXISTING, 0, NULL)) && GetLastError() == ERROR_PATH_NOT_FOUND);
  CHECK(!is_handle(CreateFileA("Q:\\f", 0, 0, NULL, OPEN_EXISTING, 0, NULL)) && GetLastError() == ERROR_PATH_NOT_FOUND);

  NULLS(ReadFile(file, NULL, 1, &count, NULL));
  NULLS(ReadFile(file, buffer, 1, NULL, NULL));
  CHECK(ReadFile(file, NULL, 0, &count, NULL) && count == 0);
  NULLS(WriteFile(file, NULL, 1, &count, NULL));
  NULLS(WriteFile(file, buffer, 1, NULL, NULL));
  NULLS(GetFileSizeEx(file, NULL));
  CHECK(SetFilePointerEx(file, number, NULL, FILE_BEGIN));
  NULLS(SetFilePointerEx(file, number, NULL, 3));
  number.QuadPart = -1;
  FAILS(ERROR_NEGATIVE_SEEK, SetFilePointerEx(file, number, NULL, FILE_BEGIN));
  NULLS(GetFileInformationByHandle(file, NULL));
  NULLS(GetFileInformationByHandleEx(file, FileBasicInfo, NULL, 40));
  FAILS(ERROR_BAD_LENGTH, GetFileInformationByHandleEx(file, FileBasicInfo, buffer, 39));
  FAILS(ERROR_BAD_LENGTH, GetFileInformationByHandleEx(file, FileStandardInfo, buffer, 23));
  FAILS(ERROR_BAD_LENGTH, GetFileInformationByHandleEx(file, FileAttributeTagInfo, buffer, 7));
  FAILS(ERROR_BAD_LENGTH, GetFileInformationByHandleEx(file, FileIdInfo, buffer, 23));
  NULLS(GetFileInformationByHandleEx(file, (FILE_INFO_BY_HANDLE_CLASS)99, buffer, 64));
  NULLS(SetFileInformationByHandle(file, FileBasicInfo, NULL, 40));
  FAILS(ERROR_BAD_LENGTH, SetFileInformationByHandle(file, FileBasicInfo, buffer, 39));
  FAILS(ERROR_BAD_LENGTH, SetFileInformationByHandle(file, FileDispositionInfo, buffer, 0));
  FAILS(ERROR_BAD_LENGTH, SetFileInformationByHandle(file, FileEndOfFileInfo, buffer, 7));
  NULLS(SetFileInformationByHandle(file, FileStandardInfo, buffer, 64));
  CHECK(GetFileTime(file, NULL, NULL, NULL) && SetFileTime(file, NULL, NULL, NULL));

  NULLS(BackupRead(file, NULL, 1, &count, FALSE, FALSE, &context));
  NULLS(BackupRead(file, buffer, 1, NULL, FALSE, FALSE, &context));
  NULLS(BackupRead(file, buffer, 1, &count, FALSE, FALSE, NULL));
  NULLS(BackupWrite(file, NULL, 1, &count, FALSE, FALSE, &context));
  NULLS(BackupWrite(file, buffer, 1, NULL, FALSE, FALSE, &context));
  NULLS(BackupWrite(file, buffer, 1, &count, FALSE, FALSE, NULL));
  NULLS(BackupSeek(file, 1, 0, NULL, &count, &context));
  NULLS(BackupSeek(file, 1, 0, &count, NULL, &context));
  NULLS(BackupSeek(file, 1, 0, &count, &status, NULL));
  CHECK(context == NULL);
  NULLS(ntbak_finish(NULL));
  NULLS(ntbak_finish(&context));
  context = (LPVOID)buffer;
  NULLS(BackupRead(file, buffer, 1, &count, FALSE, FALSE, &context));
  NULLS(BackupWrite(file, buffer, 1, &count, FALSE, FALSE, &context));
  NULLS(BackupSeek(file, 1, 0, &count, &status, &context));
  NULLS(BackupRead(file, buffer, 1, &count, TRUE, FALSE, &context));
  NULLS(ntbak_finish(&context));
  context = file;
  NULLS(BackupRead(file, buffer, 1, &count, FALSE, FALSE, &context));
  context = NULL;

  CHECK(!is_handle(FindFirstFileA(no_name, &narrow)) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!is_handle(FindFirstFileA("C:\\*", NULL)) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!is_handle(FindFirstFileW(no_wide, &found)) && !is_handle(FindFirstFileW(u"C:\\*", NULL)));
  search = FindFirstFileW(u"C:\\*", &found);
  CHECK(is_handle(search));
  NULLS(FindNextFileW(search, NULL));
  NULLS(FindNextFileA(search, NULL));
  CHECK(FindClose(search));
  CHECK(!is_handle(FindFirstStreamW(no_wide, FindStreamInfoStandard, &stream, 0)));
  CHECK(!is_handle(FindFirstStreamW(u"C:\\f", FindStreamInfoStandard, NULL, 0)));
  CHECK(!is_handle(FindFirstStreamW(u"C:\\f", (STREAM_INFO_LEVELS)1, &stream, 0)));
  CHECK(!is_handle(FindFirstStreamW(u"C:\\f", FindStreamInfoStandard, &stream, 1)) && GetLastError() == ERROR_INVALID_PARAMETER);
  count = 260;
  CHECK(!is_handle(FindFirstFileNameW(no_wide, 0, &count, name)) && !is_handle(FindFirstFileNameW(u"C:\\f", 1, &count, name)));
  CHECK(!is_handle(FindFirstFileNameW(u"C:\\f", 0, NULL, name)) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!is_handle(FindFirstFileNameW(u"C:\\f", 0, &count, NULL)) && GetLastError() == ERROR_INVALID_PARAMETER);
  count = 2;
  CHECK(!is_handle(FindFirstFileNameW(u"C:\\f", 0, &count, name)) && GetLastError() == ERROR_MORE_DATA && count == 3);
  names = FindFirstFileNameW(u"C:\\f", 0, &count, name);
  CHECK(is_handle(names));
  NULLS(FindNextFileNameW(names, NULL, name));
  CHECK(FindClose(names));

  NULLS(CreateDirectoryA(no_name, NULL));
  NULLS(CreateDirectoryW(no_wide, NULL));
  NULLS(CreateHardLinkA("C:\\g", no_name, NULL));
  NULLS(CreateHardLinkA(no_name, "C:\\f", NULL));
  NULLS(CreateHardLinkW(no_wide, u"C:\\f", NULL));
  NULLS(DeleteFileA(no_name));
  NULLS(DeleteFileW(no_wide));
  NULLS(RemoveDirectoryA(no_name));
  NULLS(RemoveDirectoryW(no_wide));
  NULLS(MoveFileExA(no_name, "C:\\g", 0));
  NULLS(MoveFileExA("C:\\f", no_name, 0));
  NULLS(MoveFileExW(u"C:\\f", no_wide, 0));
  FAILS(ERROR_NOT_SUPPORTED, MoveFileExW(u"C:\\f", no_wide, MOVEFILE_DELAY_UNTIL_REBOOT));
  CHECK(GetFileAttributesA(no_name) == INVALID_FILE_ATTRIBUTES && GetFileAttributesW(no_wide) == INVALID_FILE_ATTRIBUTES);
  NULLS(SetFileAttributesA(no_name, 0));
  NULLS(SetFileAttributesW(no_wide, 0));
  CHECK(GetVolumeInformationW(no_wide, NULL, 0, NULL, NULL, NULL, NULL, 0));
  CHECK(GetVolumeInformationA("C:\\", NULL, 0, &count, &count, &count, NULL, 0));
  FAILS(ERROR_MORE_DATA, GetVolumeInformationW(u"C:\\", NULL, 0, NULL, NULL, NULL, name, 0));

  NULLS(DeviceIoControl(file, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, NULL, NULL));
  NULLS(DeviceIoControl(file, FSCTL_SET_SPARSE, NULL, 1, NULL, 0, &count, NULL));
  NULLS(DeviceIoControl(file, FSCTL_SET_ZERO_DATA, buffer, 15, NULL, 0, &count, NULL));
  NULLS(DeviceIoControl(file, FSCTL_QUERY_ALLOCATED_RANGES, NULL, 0, buffer, 16, &count, NULL));
  NULLS(DeviceIoControl(file, FSCTL_GET_OBJECT_ID, NULL, 0, NULL, 64, &count, NULL));
  FAILS(ERROR_INVALID_FUNCTION, DeviceIoControl(file, 4711, NULL, 0, NULL, 0, &count, NULL));

  NULLS(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, NULL));
  NULLS(LookupPrivilegeValueA(NULL, no_name, &luid));
  NULLS(LookupPrivilegeValueW(NULL, no_wide, &luid));
  NULLS(LookupPrivilegeValueA(NULL, "SeBackupPrivilege", NULL));
  FAILS(ERROR_NO_SUCH_PRIVILEGE, LookupPrivilegeValueA(NULL, "SeNoSuchPrivilege", &luid));
  FAILS(ERROR_BAD_NETPATH, LookupPrivilegeValueA("server", "SeBackupPrivilege", &luid));
  CHECK(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
  NULLS(AdjustTokenPrivileges(token, FALSE, NULL, 0, NULL, NULL));
  CHECK(CloseHandle(token));

  ANSWERS(ERROR_INVALID_PARAMETER, OpenEncryptedFileRawA(no_name, 0, &context));
  ANSWERS(ERROR_INVALID_PARAMETER, ReadEncryptedFileRaw(NULL, NULL, NULL));
  ANSWERS(ERROR_INVALID_PARAMETER, WriteEncryptedFileRaw(NULL, NULL, NULL));
  ANSWERS(ERROR_INVALID_PARAMETER, ReadEncryptedFileRaw((PFE_EXPORT_FUNC)1, NULL, file));
  ANSWERS(ERROR_INVALID_PARAMETER, WriteEncryptedFileRaw((PFE_IMPORT_FUNC)1, NULL, buffer));
  NULLS(EncryptFileA(no_name));
  NULLS(EncryptFileW(no_wide));
  NULLS(DecryptFileA(no_name, 0));
  NULLS(DecryptFileW(no_wide, 0));
  NULLS(FileEncryptionStatusA("C:\\f", NULL));
  NULLS(FileEncryptionStatusW(no_wide, &status));
  NULLS(EncryptionDisable(no_wide, TRUE));
  ANSWERS(ERROR_INVALID_PARAMETER, QueryUsersOnEncryptedFile(no_wide, &users));
  ANSWERS(ERROR_INVALID_PARAMETER, QueryUsersOnEncryptedFile(u"C:\\f", NULL));
  ANSWERS(ERROR_INVALID_PARAMETER, QueryRecoveryAgentsOnEncryptedFile(u"C:\\f", NULL));
  FreeEncryptionCertificateHashList(NULL);
  FreeEncryptionCertificateHashList((ENCRYPTION_CERTIFICATE_HASH_LIST *)buffer);
  ANSWERS(ERROR_INVALID_PARAMETER, AddUsersToEncryptedFile(u"C:\\f", NULL));
  certificates.nUsers = 1;
  certificates.pUsers = NULL;
  ANSWERS(ERROR_INVALID_PARAMETER, AddUsersToEncryptedFile(u"C:\\f", &certificates));
  certificates.nUsers = 0xFFFFFFFF;
  ANSWERS(ERROR_INVALID_PARAMETER, AddUsersToEncryptedFile(u"C:\\f", &certificates));
  ANSWERS(ERROR_INVALID_PARAMETER, RemoveUsersFromEncryptedFile(u"C:\\f", NULL));
  hashes.nCert_Hash = 1;
  hashes.pUsers = NULL;
  ANSWERS(ERROR_INVALID_PARAMETER, RemoveUsersFromEncryptedFile(u"C:\\f", &hashes));
  ANSWERS(ERROR_INVALID_PARAMETER, DuplicateEncryptionInfoFile(no_wide, u"C:\\g", CREATE_NEW, 0, NULL));
  ANSWERS(ERROR_INVALID_PARAMETER, SetUserFileEncryptionKey(NULL));
  memset(&certificate, 0, sizeof certificate);
  ANSWERS(ERROR_INVALID_PARAMETER, SetUserFileEncryptionKey(&certificate));

  NULLS(ntbak_map_drive('C', NULL));
  FAILS(ERROR_INVALID_DRIVE, ntbak_map_drive('1', "/tmp"));
  FAILS(ERROR_FILE_NOT_FOUND, ntbak_map_drive('X', "/not there"));
  NULLS(ntbak_efs_add_key(NULL, NULL));
  FAILS(ERROR_FILE_NOT_FOUND, ntbak_efs_add_key("/not there", NULL));
  NULLS(ntbak_set_policy(2, NTBAK_ALL_STREAMS));
  CHECK(CloseHandle(file));
}

/* A path that has no end within what is a path: 206, and nothing behind it is read. */
static void long_paths(void) {
  size_t room = 3 * 32767 + 1;
  char *narrow = (char *)malloc(room);
  WCHAR *wide = (WCHAR *)malloc(32768 * sizeof(WCHAR));
  size_t at;
  CHECK(narrow != NULL && wide != NULL);
  memset(narrow, 'x', room);
  for (at = 0; at < 32768; at++) wide[at] = 'x';
  CHECK(GetFileAttributesA(narrow) == INVALID_FILE_ATTRIBUTES && GetLastError() == ERROR_FILENAME_EXCED_RANGE);
  CHECK(GetFileAttributesW(wide) == INVALID_FILE_ATTRIBUTES && GetLastError() == ERROR_FILENAME_EXCED_RANGE);
  free(wide);
  free(narrow);
}

static void messages(void) {
  char text[128];
  WCHAR wide[128];
  char *allocated = NULL;
  DWORD length;
  CHECK(strcmp(ntbak_strerror(5), "access denied") == 0 && strcmp(ntbak_strerror(987654), "unknown error") == 0);
  CHECK(ntbak_strerror(5) == ntbak_strerror(5));
  length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 5, 0, text, sizeof text, NULL);
  CHECK(length == strlen(text) && strcmp(text, "access denied\r\n") == 0);
  CHECK(FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 5, 0, wide, 128, NULL) == length && wide[0] == 'a');
  SetLastError(0);
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 5, 0, text, 15, NULL) == 0 && GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 5, 0, text, 16, NULL) == 15);
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 5, 0, NULL, 16, NULL) == 0 && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(FormatMessageA(0, NULL, 5, 0, text, 16, NULL) == 0 && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 987654, 0, text, 16, NULL) == 0 && GetLastError() == 317);
  length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_ALLOCATE_BUFFER, NULL, 5, 0, (LPSTR)&allocated, 0, NULL);
  CHECK(length == 15 && allocated != NULL && strcmp(allocated, "access denied\r\n") == 0);
  CHECK(LocalFree(allocated) == NULL && LocalFree(allocated) == allocated && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(LocalFree(NULL) == NULL && LocalFree(text) == (HLOCAL)text);
}

/* Policy: what is strict refuses PROPERTY_DATA, and what is not on the list is passed over. */
static void policy(void) {
  Bytes stream = {NULL, 0, 0}, whole;
  ULONGLONG size;
  add_stream(&stream, BACKUP_PROPERTY_DATA, 0, "", "x", 1);
  add_stream(&stream, BACKUP_DATA, 0, "", "content", 7);
  make_file("C:\\f", "", 0);
  ANSWERS(0, write_whole("C:\\f", &stream));
  CHECK(ntbak_set_policy(NTBAK_POLICY_STRICT, NTBAK_ALL_STREAMS));
  ANSWERS(ERROR_INVALID_DATA, write_whole("C:\\f", &stream));
  CHECK(ntbak_set_policy(0, 1u << BACKUP_ALTERNATE_DATA));
  make_file("C:\\g", "", 0);
  ANSWERS(0, write_whole("C:\\g", &stream));
  whole = read_whole("C:\\g", 4096, FALSE);
  CHECK(find_stream(&whole, BACKUP_DATA, &size) == NULL);
  drop(&whole);
  CHECK(ntbak_set_policy(0, NTBAK_ALL_STREAMS));
  drop(&stream);
}

/* What an OVERLAPPED says, and the last error of CreateFile. */
static void details(void) {
  OVERLAPPED overlapped;
  char content[16];
  DWORD count;
  LARGE_INTEGER zero, at;
  HANDLE file;
  FILE_DISPOSITION_INFO disposition;
  FILE_STANDARD_INFO standard;
  FILE_ID_INFO id;
  FILE_ATTRIBUTE_TAG_INFO tag;
  FILE_END_OF_FILE_INFO end;
  BY_HANDLE_FILE_INFORMATION about;
  FILETIME created, accessed, written;
  memset(&overlapped, 0, sizeof overlapped);
  zero.QuadPart = 0;
  DeleteFileA("C:\\f");
  SetLastError(4711);
  file = open_with("C:\\f", WRITE_ACCESS, CREATE_ALWAYS, 0);
  CHECK(GetLastError() == 0);
  CloseHandle(file);
  file = open_with("C:\\f", WRITE_ACCESS, OPEN_ALWAYS, 0);
  CHECK(GetLastError() == ERROR_ALREADY_EXISTS);
  CHECK(WriteFile(file, "0123456789", 10, &count, NULL) && count == 10);
  overlapped.Offset = 3;
  CHECK(ReadFile(file, content, 4, &count, &overlapped) && count == 4 && memcmp(content, "3456", 4) == 0);
  CHECK(overlapped.InternalHigh == 4 && overlapped.Internal == 0 && overlapped.Offset == 3);
  /* The position is behind what was read. */
  CHECK(SetFilePointerEx(file, zero, &at, FILE_CURRENT) && at.QuadPart == 7);
  CHECK(SetFilePointerEx(file, zero, NULL, FILE_END));
  overlapped.Offset = 10;
  FAILS(ERROR_HANDLE_EOF, ReadFile(file, content, 4, &count, &overlapped));
  CHECK(ReadFile(file, content, 4, &count, NULL) && count == 0);
  overlapped.Offset = overlapped.OffsetHigh = 0xFFFFFFFF;
  CHECK(WriteFile(file, "ab", 2, NULL, &overlapped) && overlapped.InternalHigh == 2);
  CHECK(GetFileSizeEx(file, &at) && at.QuadPart == 12);
  end.EndOfFile.QuadPart = 5;
  CHECK(SetFileInformationByHandle(file, FileEndOfFileInfo, &end, sizeof end));
  end.EndOfFile.QuadPart = -5;
  NULLS(SetFileInformationByHandle(file, FileEndOfFileInfo, &end, sizeof end));
  CHECK(GetFileInformationByHandleEx(file, FileStandardInfo, &standard, sizeof standard));
  CHECK(standard.EndOfFile.QuadPart == 5 && standard.NumberOfLinks == 1 && !standard.DeletePending && !standard.Directory);
  CHECK(GetFileInformationByHandleEx(file, FileIdInfo, &id, sizeof id) && GetFileInformationByHandle(file, &about));
  CHECK(memcmp(id.FileId.Identifier, &about.nFileIndexLow, 4) == 0 && about.nFileSizeLow == 5);
  CHECK(GetFileInformationByHandleEx(file, FileAttributeTagInfo, &tag, sizeof tag) && tag.ReparseTag == 0);
  written.dwHighDateTime = 0x01D00000;
  written.dwLowDateTime = 0;
  CHECK(SetFileTime(file, NULL, NULL, &written));
  memset(&written, 0, sizeof written);
  CHECK(GetFileTime(file, &created, &accessed, &written) && written.dwHighDateTime == 0x01D00000 && written.dwLowDateTime == 0);
  disposition.DeleteFile = TRUE;
  CHECK(SetFileInformationByHandle(file, FileDispositionInfo, &disposition, sizeof disposition));
  CHECK(GetFileInformationByHandleEx(file, FileStandardInfo, &standard, sizeof standard) && standard.DeletePending);
  CloseHandle(file);
  CHECK(GetFileAttributesA("C:\\f") == INVALID_FILE_ATTRIBUTES && GetLastError() == ERROR_FILE_NOT_FOUND);
}

int main(int argc, char **argv) {
  CHECK(argc == 2 && ntbak_map_drive('C', argv[1]));
  handles();
  nulls();
  long_paths();
  messages();
  policy();
  details();
  CHECK(ntbak_version()[0] != 0);
  return 0;
}
