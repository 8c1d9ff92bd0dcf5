/*
 * The numbered edge cases of backup streams and encrypted files that speak of the API, through the C ABI: `cases DIRECTORY NAME`, where
 * DIRECTORY/NAME becomes drive C; NAME is that of a case, or `all`. `cases DIRECTORY names` lists them.
 */
#include "check.h"

/* --- BackupRead --- */

static void bs_28(void) {
  static const DWORD slices[] = {1, 7, 19, 20, 21, 4096, 1 << 20};
  Bytes whole, other;
  LPVOID context = NULL;
  DWORD got = 4711;
  HANDLE file;
  size_t at;
  make_rich("C:\\f");
  whole = read_whole("C:\\f", 65536, TRUE);
  CHECK(whole.size > 10000);
  for (at = 0; at < sizeof slices / sizeof *slices; at++) {
    other = read_whole("C:\\f", slices[at], TRUE);
    CHECK(same(&whole, &other));
    drop(&other);
  }
  /* No bytes at all: TRUE, and nothing moves; also without a buffer. */
  file = open_read("C:\\f");
  CHECK(BackupRead(file, NULL, 0, &got, FALSE, TRUE, &context) && got == 0 && context != NULL);
  memset(&other, 0, sizeof other);
  CHECK(read_some(file, 4096, (size_t)-1, TRUE, &other, &context) && same(&whole, &other));
  end_read(&context);
  CloseHandle(file);
  drop(&other);
  drop(&whole);
}

static void bs_29(void) {
  WIN32_STREAM_ID header;
  WCHAR name[300];
  DWORD got, low, high, ids[16], count = 0;
  LPVOID context = NULL;
  HANDLE file;
  make_rich("C:\\f");
  file = open_read("C:\\f");
  for (;;) {
    CHECK(BackupRead(file, (LPBYTE)&header, NTBAK_STREAM_HEADER_SIZE, &got, FALSE, TRUE, &context));
    if (got == 0) break;
    CHECK(got == 20 && count < 16);
    CHECK(BackupRead(file, (LPBYTE)name, header.dwStreamNameSize, &got, FALSE, TRUE, &context));
    CHECK(got == header.dwStreamNameSize);
    CHECK(BackupSeek(file, header.Size.LowPart, (DWORD)header.Size.HighPart, &low, &high, &context));
    CHECK(low == header.Size.LowPart && high == 0);
    ids[count++] = header.dwStreamId;
  }
  end_read(&context);
  CloseHandle(file);
  CHECK(count == 5 && ids[0] == BACKUP_SECURITY_DATA && ids[1] == BACKUP_EA_DATA && ids[2] == BACKUP_DATA);
  CHECK(ids[3] == BACKUP_ALTERNATE_DATA && ids[4] == BACKUP_ALTERNATE_DATA);
}

static void bs_30(void) {
  BYTE buffer[64];
  DWORD got;
  LPVOID context = NULL;
  HANDLE file;
  int turn;
  make_file("C:\\empty", "", 0);
  file = open_read("C:\\empty");
  for (turn = 0; turn < 3; turn++) {
    got = 4711;
    CHECK(BackupRead(file, buffer, sizeof buffer, &got, FALSE, FALSE, &context) && got == 0);
  }
  end_read(&context);
  CloseHandle(file);
}

static void bs_31(void) {
  Bytes whole, expected = {NULL, 0, 0};
  make_file("C:\\f", "x", 1);
  make_file("C:\\f:nothing", "", 0);
  whole = read_whole("C:\\f", 4096, FALSE);
  add_stream(&expected, BACKUP_DATA, 0, "", "x", 1);
  add_stream(&expected, BACKUP_ALTERNATE_DATA, 0, ":nothing:$DATA", "", 0);
  CHECK(same(&whole, &expected));
  drop(&whole);
  drop(&expected);
}

static void bs_32(void) {
  Bytes whole, expected = {NULL, 0, 0};
  CHECK(CreateDirectoryA("C:\\d", NULL));
  make_file("C:\\d:s", "in it", 5);
  whole = read_whole("C:\\d", 4096, FALSE);
  add_stream(&expected, BACKUP_ALTERNATE_DATA, 0, ":s:$DATA", "in it", 5);
  CHECK(same(&whole, &expected));
  drop(&whole);
  drop(&expected);
}

static char directory[4096];

static void bs_33(void) {
  char path[5000];
  Bytes whole = {NULL, 0, 0};
  ULONGLONG size;
  LPVOID context = NULL;
  HANDLE file;
  make_file("C:\\target", "content", 7);
  snprintf(path, sizeof path, "%s/link", directory);
  CHECK(symlink("target", path) == 0);
  /* The link itself. */
  whole = read_whole("C:\\link", 4096, FALSE);
  CHECK(find_stream(&whole, BACKUP_REPARSE_DATA, &size) != NULL && size > 8);
  CHECK(find_stream(&whole, BACKUP_DATA, &size) == NULL);
  drop(&whole);
  /* What it leads to. */
  file = open_with("C:\\link", READ_ACCESS, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS);
  CHECK(read_some(file, 4096, (size_t)-1, FALSE, &whole, &context));
  CHECK(find_stream(&whole, BACKUP_REPARSE_DATA, &size) == NULL);
  CHECK(find_stream(&whole, BACKUP_DATA, &size) != NULL && size == 7);
  end_read(&context);
  CloseHandle(file);
  drop(&whole);
}

static void bs_34(void) {
  /* A tag of a third party, with its GUID: set by the control code, read by it and by BackupRead. */
  BYTE buffer[28] = {0x23, 1, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 'd', 'a', 't', 'a'};
  BYTE got[64], wrong[24];
  DWORD size = 4711;
  ULONGLONG length;
  const BYTE *payload;
  Bytes whole;
  HANDLE file;
  make_file("C:\\f", "", 0);
  file = open_write("C:\\f");
  FAILS(ERROR_NOT_A_REPARSE_POINT, DeviceIoControl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, got, sizeof got, &size, NULL));
  CHECK(size == 0);
  CHECK(DeviceIoControl(file, FSCTL_SET_REPARSE_POINT, buffer, sizeof buffer, NULL, 0, &size, NULL));
  CHECK(DeviceIoControl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, got, sizeof got, &size, NULL));
  CHECK(size == sizeof buffer && memcmp(got, buffer, size) == 0);
  /* Too small a buffer: its beginning, or nothing. */
  FAILS(ERROR_MORE_DATA, DeviceIoControl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, got, 8, &size, NULL));
  CHECK(size == 8);
  FAILS(ERROR_INSUFFICIENT_BUFFER, DeviceIoControl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, got, 7, &size, NULL));
  whole = read_whole("C:\\f", 4096, FALSE);
  payload = find_stream(&whole, BACKUP_REPARSE_DATA, &length);
  CHECK(payload != NULL && length == sizeof buffer && memcmp(payload, buffer, sizeof buffer) == 0);
  drop(&whole);
  memcpy(wrong, buffer, 24);
  wrong[4] = 0;
  wrong[0] = 0x24;
  FAILS(ERROR_REPARSE_TAG_MISMATCH, DeviceIoControl(file, FSCTL_DELETE_REPARSE_POINT, wrong, 24, NULL, 0, &size, NULL));
  wrong[0] = 0x23;
  CHECK(DeviceIoControl(file, FSCTL_DELETE_REPARSE_POINT, wrong, 24, NULL, 0, &size, NULL));
  FAILS(ERROR_NOT_A_REPARSE_POINT, DeviceIoControl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, got, sizeof got, &size, NULL));
  CloseHandle(file);
}

static void bs_35(void) {
  BYTE buffer[512];
  DWORD got;
  LPVOID context = NULL;
  HANDLE file;
  make_file("C:\\f", "x", 1);
  file = open_with("C:\\f", WRITE_ACCESS, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_NO_BUFFERING);
  FAILS(ERROR_INVALID_PARAMETER, BackupRead(file, buffer, 512, &got, FALSE, FALSE, &context));
  CHECK(context == NULL);
  FAILS(ERROR_INVALID_PARAMETER, BackupWrite(file, buffer, 512, &got, FALSE, FALSE, &context));
  CHECK(context == NULL);
  CloseHandle(file);
}

static void bs_36(void) {
  Bytes whole = {NULL, 0, 0};
  ULONGLONG size;
  const BYTE *descriptor;
  LPVOID context = NULL;
  HANDLE file;
  make_rich("C:\\f");
  if (geteuid() != 0) {
    SetLastError(0);
    CHECK(CreateFileA("C:\\f", GENERIC_READ | ACCESS_SYSTEM_SECURITY, 0, NULL, OPEN_EXISTING, 0, NULL) == INVALID_HANDLE_VALUE);
    CHECK(GetLastError() == ERROR_PRIVILEGE_NOT_HELD);
    return;
  }
  whole = read_whole("C:\\f", 4096, TRUE);
  descriptor = find_stream(&whole, BACKUP_SECURITY_DATA, &size);
  CHECK(descriptor != NULL && size == 100 && (descriptor[2] & 0x10) != 0);
  drop(&whole);
  file = open_with("C:\\f", GENERIC_READ, OPEN_EXISTING, ITSELF);
  CHECK(read_some(file, 4096, (size_t)-1, TRUE, &whole, &context));
  descriptor = find_stream(&whole, BACKUP_SECURITY_DATA, &size);
  CHECK(descriptor != NULL && size < 100 && (descriptor[2] & 0x10) == 0);
  end_read(&context);
  CloseHandle(file);
  drop(&whole);
}

static void bs_37(void) {
  BYTE buffer[64];
  DWORD got = 4711;
  LPVOID context = NULL;
  HANDLE file;
  make_rich("C:\\f");
  file = open_with("C:\\f", FILE_READ_DATA | FILE_READ_EA, OPEN_EXISTING, ITSELF);
  FAILS(ERROR_ACCESS_DENIED, BackupRead(file, buffer, sizeof buffer, &got, FALSE, TRUE, &context));
  CHECK(got == 0);
  CHECK(BackupRead(file, buffer, sizeof buffer, &got, FALSE, FALSE, &context) && got == sizeof buffer);
  end_read(&context);
  CloseHandle(file);
}

static void bs_39(void) {
  static BYTE content[200000];
  char path[5000];
  ULONGLONG size;
  Bytes whole = {NULL, 0, 0};
  LPVOID context = NULL;
  HANDLE file;
  DWORD got;
  BYTE buffer[1024];
  snprintf(path, sizeof path, "%s/f", directory);
  make_file("C:\\f", content, sizeof content);
  /* It grows: the size that was said is kept. */
  file = open_read("C:\\f");
  CHECK(read_some(file, 1000, 1000, FALSE, &whole, &context));
  CHECK(truncate(path, 300000) == 0);
  CHECK(read_some(file, 65536, (size_t)-1, FALSE, &whole, &context));
  CHECK(find_stream(&whole, BACKUP_DATA, &size) != NULL && size == sizeof content && whole.size == 20 + sizeof content);
  end_read(&context);
  drop(&whole);
  /* It gets shorter: what there is, then 38. */
  CHECK(truncate(path, 200000) == 0);
  CHECK(read_some(file, 1000, 1000, FALSE, &whole, &context));
  CHECK(truncate(path, 100000) == 0);
  CHECK(!read_some(file, 65536, (size_t)-1, FALSE, &whole, &context) && GetLastError() == ERROR_HANDLE_EOF);
  CHECK(whole.size <= 20 + 100000);
  FAILS(ERROR_HANDLE_EOF, BackupRead(file, buffer, sizeof buffer, &got, FALSE, FALSE, &context));
  CHECK(got == 0);
  end_read(&context);
  CloseHandle(file);
  drop(&whole);
}

static void bs_40(void) {
  /* $LXUID with 4 bytes, as WSL writes it: FILE_FULL_EA_INFORMATION, and the last Next is 0. */
  static const BYTE list[] = {0, 0, 0, 0, 0, 6, 4, 0, '$', 'L', 'X', 'U', 'I', 'D', 0, 1, 0, 0, 0};
  ULONGLONG size;
  const BYTE *payload;
  Bytes whole;
  make_file("C:\\f", "", 0);
  ANSWERS(0, write_one("C:\\f", BACKUP_EA_DATA, 0, list, sizeof list));
  whole = read_whole("C:\\f", 7, FALSE);
  payload = find_stream(&whole, BACKUP_EA_DATA, &size);
  CHECK(payload != NULL && size >= sizeof list && memcmp(payload, list, sizeof list) == 0);
  drop(&whole);
}

static void bs_41(void) {
  FILE_OBJECTID_BUFFER id, got;
  DWORD size;
  ULONGLONG length;
  Bytes whole;
  HANDLE file;
  const BYTE *payload;
  memset(&id, 0, sizeof id);
  memset(id.ObjectId, 0x5A, sizeof id.ObjectId);
  make_file("C:\\f", "", 0);
  file = open_write("C:\\f");
  FAILS(ERROR_FILE_NOT_FOUND, DeviceIoControl(file, FSCTL_GET_OBJECT_ID, NULL, 0, &got, sizeof got, &size, NULL));
  if (geteuid() != 0) {
    FAILS(ERROR_ACCESS_DENIED, DeviceIoControl(file, FSCTL_SET_OBJECT_ID, &id, sizeof id, NULL, 0, &size, NULL));
    CloseHandle(file);
    return;
  }
  FAILS(ERROR_INVALID_PARAMETER, DeviceIoControl(file, FSCTL_SET_OBJECT_ID, &id, 63, NULL, 0, &size, NULL));
  CHECK(DeviceIoControl(file, FSCTL_SET_OBJECT_ID, &id, sizeof id, NULL, 0, &size, NULL));
  CHECK(DeviceIoControl(file, FSCTL_GET_OBJECT_ID, NULL, 0, &got, sizeof got, &size, NULL));
  CHECK(size == 64 && memcmp(&got, &id, 64) == 0);
  FAILS(ERROR_INSUFFICIENT_BUFFER, DeviceIoControl(file, FSCTL_GET_OBJECT_ID, NULL, 0, &got, 63, &size, NULL));
  CloseHandle(file);
  whole = read_whole("C:\\f", 4096, FALSE);
  payload = find_stream(&whole, BACKUP_OBJECT_ID, &length);
  CHECK(payload != NULL && length == 64 && memcmp(payload, &id, 64) == 0);
  drop(&whole);
  file = open_write("C:\\f");
  CHECK(DeviceIoControl(file, FSCTL_DELETE_OBJECT_ID, NULL, 0, NULL, 0, &size, NULL));
  CloseHandle(file);
}

/* A key, and a file that was encrypted for it, are where the test has put them. */
static BOOL has_key;

static void add_key(void) {
  char path[5000];
  has_key = TRUE;
  snprintf(path, sizeof path, "%s/key.pem", directory);
  CHECK(ntbak_efs_add_key(path, NULL));
}

static void bs_42(void) {
  BYTE buffer[64];
  DWORD got = 4711;
  LPVOID context = NULL;
  ULONGLONG size;
  const BYTE *data;
  Bytes whole = {NULL, 0, 0};
  HANDLE file = open_read("C:\\secret");
  if (!has_key) {
    FAILS(ERROR_ACCESS_DENIED, BackupRead(file, buffer, sizeof buffer, &got, FALSE, FALSE, &context));
    CHECK(got == 0);
    end_read(&context);
    FAILS(ERROR_ACCESS_DENIED, ReadFile(file, buffer, sizeof buffer, &got, NULL));
  }
  CloseHandle(file);
  add_key();
  file = open_read("C:\\secret");
  CHECK(read_some(file, 4096, (size_t)-1, FALSE, &whole, &context));
  data = find_stream(&whole, BACKUP_DATA, &size);
  CHECK(data != NULL && size == 20 && memcmp(data, "of no one's business", 20) == 0);
  end_read(&context);
  drop(&whole);
  CHECK(ReadFile(file, buffer, sizeof buffer, &got, NULL) && got == 20);
  CloseHandle(file);
}

static void bs_43(void) {
  BYTE buffer[30];
  DWORD count;
  LPVOID context = NULL, copy;
  HANDLE file;
  make_rich("C:\\f");
  file = open_write("C:\\f");
  /* Nothing but the context counts, and NULL is one. */
  end_read(&context);
  end_write(&context);
  CHECK(BackupRead(file, buffer, sizeof buffer, &count, FALSE, TRUE, &context) && context != NULL);
  copy = context;
  end_read(&context);
  end_read(&context);
  /* A copy of a context that is freed is none. */
  FAILS(ERROR_INVALID_PARAMETER, BackupRead(NULL, NULL, 0, NULL, TRUE, FALSE, &copy));
  FAILS(ERROR_INVALID_PARAMETER, BackupRead(file, buffer, sizeof buffer, &count, FALSE, TRUE, &copy));
  FAILS(ERROR_INVALID_PARAMETER, BackupRead(NULL, NULL, 0, NULL, TRUE, FALSE, NULL));
  /* A context of a write by BackupRead, and the reverse; with a handle that is none. */
  CHECK(BackupWrite(file, buffer, 0, &count, FALSE, TRUE, &context) && context != NULL);
  CHECK(BackupRead((HANDLE)4711, NULL, 99, NULL, TRUE, TRUE, &context) && context == NULL);
  CHECK(BackupRead(file, buffer, sizeof buffer, &count, FALSE, TRUE, &context));
  CHECK(BackupWrite((HANDLE)4711, NULL, 99, NULL, TRUE, TRUE, &context) && context == NULL);
  CloseHandle(file);
}

static void bs_44(void) {
  BYTE buffer[30];
  DWORD count, low, high;
  LPVOID context = NULL;
  HANDLE file, other;
  make_rich("C:\\f");
  file = open_write("C:\\f");
  other = open_write("C:\\f");
  CHECK(BackupRead(file, buffer, sizeof buffer, &count, FALSE, TRUE, &context));
  FAILS(ERROR_INVALID_PARAMETER, BackupRead(other, buffer, sizeof buffer, &count, FALSE, TRUE, &context));
  FAILS(ERROR_INVALID_PARAMETER, BackupWrite(file, buffer, sizeof buffer, &count, FALSE, TRUE, &context));
  FAILS(ERROR_INVALID_PARAMETER, BackupSeek(other, 1, 0, &low, &high, &context));
  CHECK(BackupRead(file, buffer, sizeof buffer, &count, FALSE, TRUE, &context) && count == sizeof buffer);
  end_read(&context);
  CloseHandle(other);
  CloseHandle(file);
}

static void bs_45(void) {
  enum { STREAMS = 1000 };
  char name[32];
  DWORD at;
  Bytes stream = {NULL, 0, 0}, whole;
  make_file("C:\\f", "", 0);
  for (at = 0; at < STREAMS; at++) {
    sprintf(name, ":s%03lu:$DATA", (unsigned long)at);
    add_stream(&stream, BACKUP_ALTERNATE_DATA, 0, name, name, 5);
  }
  ANSWERS(0, write_whole("C:\\f", &stream));
  whole = read_whole("C:\\f", 4096, FALSE);
  CHECK(same(&whole, &stream));
  drop(&whole);
  drop(&stream);
}

static void bs_46(void) {
  enum { RANGES = 300, STEP = 65536 };
  FILE_ALLOCATED_RANGE_BUFFER asked, ranges[RANGES];
  BYTE block[4096];
  LARGE_INTEGER position;
  DWORD count, blocks = 0, at;
  ULONGLONG last = 0;
  size_t byte = 0;
  Bytes whole;
  HANDLE file;
  memset(block, 'x', sizeof block);
  make_file("C:\\f", "", 0);
  file = open_write("C:\\f");
  CHECK(DeviceIoControl(file, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, &count, NULL));
  for (at = 0; at < RANGES; at++) {
    position.QuadPart = (LONGLONG)(2 * at + 1) * STEP;
    CHECK(SetFilePointerEx(file, position, NULL, FILE_BEGIN) && WriteFile(file, block, sizeof block, &count, NULL));
  }
  position.QuadPart = (LONGLONG)2 * RANGES * STEP + 5;
  CHECK(SetFilePointerEx(file, position, NULL, FILE_BEGIN) && SetEndOfFile(file));
  asked.FileOffset.QuadPart = 0;
  asked.Length = position;
  FAILS(ERROR_MORE_DATA, DeviceIoControl(file, FSCTL_QUERY_ALLOCATED_RANGES, &asked, sizeof asked, ranges, 33, &count, NULL));
  CHECK(count == 32);
  CHECK(DeviceIoControl(file, FSCTL_QUERY_ALLOCATED_RANGES, &asked, sizeof asked, ranges, sizeof ranges, &count, NULL));
  CHECK(count == sizeof ranges && ranges[RANGES - 1].FileOffset.QuadPart == (LONGLONG)(2 * RANGES - 1) * STEP);
  CloseHandle(file);
  whole = read_whole("C:\\f", 4096, FALSE);
  while (byte < whole.size) {
    DWORD id;
    ULONGLONG size, offset;
    memcpy(&id, whole.bytes + byte, 4);
    memcpy(&size, whole.bytes + byte + 8, 8);
    if (id == BACKUP_SPARSE_BLOCK) {
      memcpy(&offset, whole.bytes + byte + 20, 8);
      CHECK(offset >= last);
      last = offset + size - 8;
      blocks++;
    }
    byte += 20 + (size_t)size;
  }
  /* The last one says how long the file is. */
  CHECK(blocks == RANGES + 1 && last == (ULONGLONG)position.QuadPart);
  drop(&whole);
}

/* --- BackupWrite --- */

static void bs_47(void) {
  static const DWORD slices[] = {1, 2, 7, 19, 20, 21, 4096};
  Bytes whole, again;
  size_t at;
  make_rich("C:\\f");
  whole = read_whole("C:\\f", 65536, TRUE);
  for (at = 0; at < sizeof slices / sizeof *slices; at++) {
    HANDLE file;
    make_file("C:\\g", "", 0);
    file = open_write("C:\\g");
    /* Each success took all of its bytes (49). */
    ANSWERS(0, write_slices(file, &whole, slices[at], TRUE));
    CloseHandle(file);
    again = read_whole("C:\\g", 65536, TRUE);
    CHECK(same(&whole, &again));
    drop(&again);
    CHECK(DeleteFileA("C:\\g"));
  }
  drop(&whole);
}

static void bs_48(void) {
  Bytes stream = {NULL, 0, 0}, again;
  DWORD written;
  size_t at = 0, part;
  LPVOID context = NULL;
  HANDLE file;
  static const size_t parts[] = {20, 5, 20, 16, 3};
  add_stream(&stream, BACKUP_DATA, 0, "", "12345", 5);
  add_stream(&stream, BACKUP_ALTERNATE_DATA, 0, ":a:$DATA", "abc", 3);
  make_file("C:\\f", "", 0);
  file = open_write("C:\\f");
  for (part = 0; part < sizeof parts / sizeof *parts; part++) {
    CHECK(BackupWrite(file, stream.bytes + at, (DWORD)parts[part], &written, FALSE, TRUE, &context));
    CHECK(written == parts[part]);
    at += parts[part];
  }
  CHECK(at == stream.size && ntbak_finish(&context) && context == NULL);
  CloseHandle(file);
  again = read_whole("C:\\f", 4096, FALSE);
  CHECK(same(&stream, &again));
  drop(&again);
  drop(&stream);
}

static void bs_50(void) {
  Bytes before, after;
  BYTE security[100];
  Bytes stream = {NULL, 0, 0};
  HANDLE file;
  make_file("C:\\f", "", 0);
  before = read_whole("C:\\f", 4096, TRUE);
  security_descriptor(security);
  add_stream(&stream, BACKUP_SECURITY_DATA, STREAM_CONTAINS_SECURITY, "", security, sizeof security);
  /* Not wanted: passed over. */
  file = open_write("C:\\f");
  ANSWERS(0, write_slices(file, &stream, 33, FALSE));
  CloseHandle(file);
  /* Wanted, and no right to: 5. */
  file = open_with("C:\\f", GENERIC_WRITE, OPEN_EXISTING, ITSELF);
  ANSWERS(ERROR_ACCESS_DENIED, write_slices(file, &stream, 33, TRUE));
  CloseHandle(file);
  after = read_whole("C:\\f", 4096, TRUE);
  CHECK(same(&before, &after));
  drop(&after);
  drop(&before);
  drop(&stream);
}

static void bs_51(void) {
  static const struct {
    size_t at;
    BYTE with;
  } wrong[] = {{0, 2}, {3, 0}, {4, 101}, {4, 19}, {21, 16}, {46, 0xF0}, {76, 9}};
  Bytes before, after;
  BYTE good[100], bad[100];
  size_t at;
  make_rich("C:\\f");
  before = read_whole("C:\\f", 4096, TRUE);
  security_descriptor(good);
  for (at = 0; at < sizeof wrong / sizeof *wrong; at++) {
    memcpy(bad, good, sizeof bad);
    bad[wrong[at].at] = wrong[at].with;
    ANSWERS(ERROR_INVALID_SECURITY_DESCR, write_one("C:\\f", BACKUP_SECURITY_DATA, 2, bad, sizeof bad));
  }
  ANSWERS(ERROR_INVALID_SECURITY_DESCR, write_one("C:\\f", BACKUP_SECURITY_DATA, 2, good, 19));
  ANSWERS(ERROR_INVALID_SECURITY_DESCR, write_one("C:\\f", BACKUP_SECURITY_DATA, 2, good, 0));
  after = read_whole("C:\\f", 4096, TRUE);
  CHECK(same(&before, &after));
  drop(&after);
  drop(&before);
}

static void bs_52(void) {
  static const BYTE good[] = {0, 0, 0, 0, 0, 3, 1, 0, 'T', 'W', 'O', 0, 'v'};
  static const BYTE deletes[] = {0, 0, 0, 0, 0, 3, 0, 0, 't', 'w', 'o', 0};
  static const BYTE name[] = {0, 0, 0, 0, 0, 3, 1, 0, 'a', ':', 'b', 0, 'v'};
  static const BYTE cut[] = {0, 0, 0, 0, 0, 3, 9, 0, 'T', 'W', 'O', 0, 'v'};
  ULONGLONG one, two;
  Bytes before, after;
  make_rich("C:\\f");
  before = read_whole("C:\\f", 4096, FALSE);
  CHECK(find_stream(&before, BACKUP_EA_DATA, &one) != NULL);
  ANSWERS(ERROR_INVALID_EA_NAME, write_one("C:\\f", BACKUP_EA_DATA, 0, name, sizeof name));
  ANSWERS(ERROR_EA_LIST_INCONSISTENT, write_one("C:\\f", BACKUP_EA_DATA, 0, cut, sizeof cut));
  after = read_whole("C:\\f", 4096, FALSE);
  CHECK(same(&before, &after));
  drop(&after);
  ANSWERS(0, write_one("C:\\f", BACKUP_EA_DATA, 0, good, sizeof good));
  after = read_whole("C:\\f", 4096, FALSE);
  CHECK(find_stream(&after, BACKUP_EA_DATA, &two) != NULL && two > one);
  drop(&after);
  ANSWERS(0, write_one("C:\\f", BACKUP_EA_DATA, 0, deletes, sizeof deletes));
  after = read_whole("C:\\f", 4096, FALSE);
  CHECK(same(&before, &after));
  drop(&after);
  drop(&before);
}

static void bs_53(void) {
  BYTE id[65], other[64];
  if (geteuid() != 0) {
    puts("skipped: bs_53: only root holds SeRestorePrivilege");
    return;
  }
  memset(id, 1, sizeof id);
  memset(other, 2, sizeof other);
  make_file("C:\\f", "", 0);
  ANSWERS(0, write_one("C:\\f", BACKUP_OBJECT_ID, 0, id, 64));
  ANSWERS(ERROR_ALREADY_EXISTS, write_one("C:\\f", BACKUP_OBJECT_ID, 0, other, sizeof other));
  ANSWERS(ERROR_INVALID_DATA, write_one("C:\\f", BACKUP_OBJECT_ID, 0, id, 65));
}

static void bs_54(void) {
  static const BYTE mount[] = {3, 0, 0, 0xA0, 4, 0, 0, 0, 'd', 'a', 't', 'a'};
  static const BYTE link[] = {0x0C, 0, 0, 0xA0, 4, 0, 0, 0, 'd', 'a', 't', 'a'};
  static BYTE large[16385] = {0x80};
  static const BYTE wrong[] = {0x13, 0, 0, 0x80, 5, 0, 0, 0, 'd', 'a', 't', 'a'};
  Bytes before, after;
  HANDLE file;
  DWORD returned;
  make_file("C:\\f", "x", 1);
  before = read_whole("C:\\f", 4096, TRUE);
  ANSWERS(ERROR_INVALID_REPARSE_DATA, write_one("C:\\f", BACKUP_REPARSE_DATA, 0, mount, 7));
  ANSWERS(ERROR_INVALID_DATA, write_one("C:\\f", BACKUP_REPARSE_DATA, 0, large, sizeof large));
  ANSWERS(ERROR_INVALID_REPARSE_DATA, write_one("C:\\f", BACKUP_REPARSE_DATA, 0, wrong, sizeof wrong));
  ANSWERS(ERROR_DIRECTORY, write_one("C:\\f", BACKUP_REPARSE_DATA, 0, mount, sizeof mount));
  ANSWERS(ERROR_INVALID_REPARSE_DATA, write_one("C:\\f", BACKUP_REPARSE_DATA, 0, link, sizeof link));
  after = read_whole("C:\\f", 4096, TRUE);
  CHECK(same(&before, &after));
  drop(&after);
  drop(&before);
  CHECK(CreateDirectoryA("C:\\d", NULL));
  make_file("C:\\d\\x", "", 0);
  file = open_write("C:\\d");
  FAILS(ERROR_DIR_NOT_EMPTY, DeviceIoControl(file, FSCTL_SET_REPARSE_POINT, mount, sizeof mount, NULL, 0, &returned, NULL));
  CloseHandle(file);
}

static void bs_55(void) {
  static const BYTE ea[] = {0, 0, 0, 0, 0, 3, 1, 0, 'O', 'N', 'E', 0, 'v'};
  static const BYTE reparse[] = {0x13, 0, 0, 0x80, 4, 0, 0, 0, 'd', 'a', 't', 'a'};
  ULONGLONG size;
  Bytes whole, stream = {NULL, 0, 0};
  make_file("C:\\f", "", 0);
  add_stream(&stream, BACKUP_EA_DATA, 0, "", ea, sizeof ea);
  add_stream(&stream, BACKUP_REPARSE_DATA, 0, "", reparse, sizeof reparse);
  ANSWERS(0, write_whole("C:\\f", &stream));
  whole = read_whole("C:\\f", 4096, FALSE);
  CHECK(find_stream(&whole, BACKUP_EA_DATA, &size) != NULL && find_stream(&whole, BACKUP_REPARSE_DATA, &size) != NULL);
  drop(&whole);
  drop(&stream);
}

static DWORD write_link(const char *path, const char *target) {
  WCHAR units[64];
  size_t at;
  make_file(path, "", 0);
  for (at = 0; target[at] != 0; at++) units[at] = (WCHAR)target[at];
  return write_one(path, BACKUP_LINK, 0, units, at * 2);
}

static void bs_56(void) {
  BY_HANDLE_FILE_INFORMATION about;
  HANDLE file;
  char content[8];
  DWORD got;
  make_file("C:\\f", "content", 7);
  ANSWERS(0, write_link("C:\\same", "\\f"));
  file = open_read("C:\\same");
  CHECK(GetFileInformationByHandle(file, &about) && about.nNumberOfLinks == 2);
  CHECK(ReadFile(file, content, 8, &got, NULL) && got == 7 && memcmp(content, "content", 7) == 0);
  CloseHandle(file);
  ANSWERS(ERROR_FILE_NOT_FOUND, write_link("C:\\none", "\\not there"));
  ANSWERS(ERROR_INVALID_NAME, write_link("C:\\elsewhere", "D:\\f"));
  ANSWERS(ERROR_INVALID_NAME, write_link("C:\\elsewhere", "\\..\\f"));
}

static void bs_58(void) {
  Bytes whole, expected = {NULL, 0, 0};
  make_file("C:\\f", "a longer content", 16);
  make_file("C:\\f:s", "stays", 5);
  ANSWERS(0, write_one("C:\\f", BACKUP_DATA, 0, "short", 5));
  whole = read_whole("C:\\f", 4096, FALSE);
  add_stream(&expected, BACKUP_DATA, 0, "", "short", 5);
  add_stream(&expected, BACKUP_ALTERNATE_DATA, 0, ":s:$DATA", "stays", 5);
  CHECK(same(&whole, &expected));
  drop(&whole);
  drop(&expected);
}

static void bs_59(void) {
  static const BYTE block[] = {4, 0, 0, 0, 0, 0, 0, 0, 'X', 'Y'};
  char content[16];
  DWORD got;
  HANDLE file;
  make_file("C:\\f", "0123456789", 10);
  ANSWERS(0, write_one("C:\\f", BACKUP_SPARSE_BLOCK, STREAM_SPARSE_ATTRIBUTE, block, sizeof block));
  file = open_read("C:\\f");
  CHECK(ReadFile(file, content, sizeof content, &got, NULL) && got >= 6 && memcmp(content, "0123XY", 6) == 0);
  CloseHandle(file);
}

static void bs_60(void) {
  Bytes stream = {NULL, 0, 0};
  make_file("C:\\f", "", 0);
  add_header(&stream, BACKUP_SECURITY_DATA, 2, 1ULL << 40, "");
  ANSWERS(ERROR_INVALID_DATA, write_whole("C:\\f", &stream));
  drop(&stream);
  add_header(&stream, BACKUP_DATA, 0, 1ULL << 63, "");
  ANSWERS(ERROR_INVALID_DATA, write_whole("C:\\f", &stream));
  drop(&stream);
}

/* --- BackupSeek --- */

static void bs_61(void) {
  Bytes got = {NULL, 0, 0};
  DWORD low, high, id;
  LPVOID context = NULL;
  HANDLE file;
  make_file("C:\\f", "0123456789", 10);
  make_file("C:\\f:s", "stream", 6);
  file = open_read("C:\\f");
  CHECK(read_some(file, 20, 20, FALSE, &got, &context));
  CHECK(BackupSeek(file, 10, 0, &low, &high, &context) && low == 10 && high == 0);
  drop(&got);
  CHECK(read_some(file, 20, 20, FALSE, &got, &context) && got.size == 20);
  memcpy(&id, got.bytes, 4);
  CHECK(id == BACKUP_ALTERNATE_DATA);
  end_read(&context);
  drop(&got);
  /* One more than is left. */
  CHECK(read_some(file, 23, 23, FALSE, &got, &context));
  FAILS(ERROR_SEEK, BackupSeek(file, 8, 0, &low, &high, &context));
  CHECK(low == 7 && high == 0);
  drop(&got);
  CHECK(read_some(file, 20, 20, FALSE, &got, &context) && got.size == 20);
  memcpy(&id, got.bytes, 4);
  CHECK(id == BACKUP_ALTERNATE_DATA);
  end_read(&context);
  CloseHandle(file);
  drop(&got);
}

static void bs_62(void) {
  Bytes got = {NULL, 0, 0};
  DWORD low = 1, high = 1;
  LPVOID context = NULL;
  HANDLE file;
  make_file("C:\\f", "0123456789", 10);
  make_file("C:\\f:s", "stream", 6);
  file = open_read("C:\\f");
  FAILS(ERROR_INVALID_PARAMETER, BackupSeek(file, 0, 0, &low, &high, &context));
  CHECK(low == 0 && high == 0);
  CHECK(read_some(file, 10, 10, FALSE, &got, &context));
  FAILS(ERROR_SEEK, BackupSeek(file, 1, 0, &low, &high, &context));
  CHECK(low == 0 && high == 0);
  CHECK(read_some(file, 12, 12, FALSE, &got, &context));
  CHECK(BackupSeek(file, 0, 0, &low, &high, &context) && low == 0 && high == 0);
  CHECK(BackupSeek(file, 8, 0, &low, &high, &context) && low == 8);
  /* In the name of the stream. */
  CHECK(read_some(file, 24, 24, FALSE, &got, &context));
  FAILS(ERROR_SEEK, BackupSeek(file, 1, 0, &low, &high, &context));
  CHECK(low == 0 && high == 0);
  end_read(&context);
  CloseHandle(file);
  drop(&got);
}

static void bs_63(void) {
  const LONGLONG gib = 1LL << 30;
  Bytes got = {NULL, 0, 0};
  LARGE_INTEGER size;
  DWORD both, low, high;
  LPVOID context = NULL;
  HANDLE file;
  make_file("C:\\f", "", 0);
  file = open_write("C:\\f");
  size.QuadPart = 6 * gib;
  CHECK(SetFilePointerEx(file, size, NULL, FILE_BEGIN) && SetEndOfFile(file));
  CloseHandle(file);
  file = open_read("C:\\f");
  CHECK(GetFileSizeEx(file, &size) && size.QuadPart == 6 * gib);
  /* A hole is no payload: what is sparse is passed over block by block. Written as one payload, in a write: */
  CloseHandle(file);
  make_file("C:\\g", "", 0);
  file = open_write("C:\\g");
  {
    Bytes header = {NULL, 0, 0};
    DWORD written;
    add_header(&header, BACKUP_DATA, 0, (ULONGLONG)(6 * gib), "");
    CHECK(BackupWrite(file, header.bytes, 20, &written, FALSE, FALSE, &context));
    drop(&header);
  }
  CHECK(BackupSeek(file, (DWORD)gib, 1, &low, &high, &context) && low == (DWORD)gib && high == 1);
  /* Both outputs may be the same. */
  CHECK(BackupSeek(file, 16, 0, &both, &both, &context) && both == 0);
  FAILS(ERROR_SEEK, BackupSeek(file, 0, 1, &low, &high, &context));
  CHECK(low == (DWORD)gib - 16 && high == 0);
  end_write(&context);
  CloseHandle(file);
  drop(&got);
}

static void bs_64(void) {
  BYTE data[4096];
  WIN32_STREAM_ID header;
  DWORD got, low, high, blocks = 0;
  LARGE_INTEGER far_away;
  LPVOID context = NULL;
  HANDLE file;
  memset(data, 'x', sizeof data);
  make_file("C:\\f", "", 0);
  file = open_write("C:\\f");
  CHECK(DeviceIoControl(file, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, &got, NULL));
  far_away.QuadPart = 1 << 20;
  CHECK(SetFilePointerEx(file, far_away, NULL, FILE_BEGIN) && WriteFile(file, data, sizeof data, &got, NULL));
  CloseHandle(file);
  file = open_read("C:\\f");
  for (;;) {
    CHECK(BackupRead(file, (LPBYTE)&header, 20, &got, FALSE, FALSE, &context));
    if (got == 0) break;
    CHECK(got == 20 && header.dwStreamNameSize == 0);
    if (header.dwStreamId == BACKUP_SPARSE_BLOCK) blocks++;
    if (header.Size.QuadPart > 0) {
      CHECK(BackupSeek(file, header.Size.LowPart, (DWORD)header.Size.HighPart, &low, &high, &context));
    }
  }
  CHECK(blocks > 0);
  end_read(&context);
  CloseHandle(file);
}

static void bs_65(void) {
  Bytes stream = {NULL, 0, 0};
  char content[16];
  DWORD written, low, high, got;
  LPVOID context = NULL;
  HANDLE file;
  make_file("C:\\f", "##########", 10);
  file = open_write("C:\\f");
  add_header(&stream, BACKUP_DATA, 0, 10, "");
  add(&stream, "ab", 2);
  CHECK(BackupWrite(file, stream.bytes, 22, &written, FALSE, FALSE, &context));
  CHECK(BackupSeek(file, 5, 0, &low, &high, &context) && low == 5 && high == 0);
  CHECK(BackupWrite(file, (LPBYTE) "xyz", 3, &written, FALSE, FALSE, &context));
  CHECK(ntbak_finish(&context));
  CloseHandle(file);
  drop(&stream);
  file = open_read("C:\\f");
  CHECK(ReadFile(file, content, sizeof content, &got, NULL) && got == 10);
  CHECK(memcmp(content, "ab\0\0\0\0\0xyz", 10) == 0);
  CloseHandle(file);
}

/* --- Encrypted files --- */

typedef struct {
  Bytes bytes;
  size_t at;
  /* Which call fails, from 1 on, and with what; 0 for none. */
  int fails;
  DWORD with;
  int calls;
  ULONG most;
} Raw;

static DWORD take(PBYTE data, PVOID context, ULONG length) {
  Raw *raw = (Raw *)context;
  raw->calls++;
  CHECK(length > 0 && length <= 65536);
  if (raw->calls == raw->fails) return raw->with;
  add(&raw->bytes, data, length);
  /* The block is the callback's. */
  memset(data, 0, length);
  return 0;
}

static DWORD give(PBYTE data, PVOID context, PULONG length) {
  Raw *raw = (Raw *)context;
  size_t left = raw->bytes.size - raw->at;
  raw->calls++;
  CHECK(*length == 65536);
  if (raw->calls == raw->fails) return raw->with;
  if (raw->most != 0 && *length > raw->most) *length = raw->most;
  if (*length > left) *length = (ULONG)left;
  if (*length > 0) memcpy(data, raw->bytes.bytes + raw->at, *length);
  raw->at += *length;
  return 0;
}

static DWORD export_raw(const char *path, DWORD flags, Raw *raw) {
  PVOID context;
  DWORD error = OpenEncryptedFileRawA(path, flags, &context);
  if (error != 0) return error;
  error = ReadEncryptedFileRaw(take, raw, context);
  CloseEncryptedFileRaw(context);
  return error;
}

static DWORD import_raw(const char *path, DWORD flags, Raw *raw) {
  PVOID context;
  DWORD error = OpenEncryptedFileRawA(path, CREATE_FOR_IMPORT | flags, &context);
  if (error != 0) return error;
  raw->at = 0;
  raw->calls = 0;
  error = WriteEncryptedFileRaw(give, raw, context);
  CloseEncryptedFileRaw(context);
  return error;
}

static Raw exported(const char *path) {
  Raw raw;
  memset(&raw, 0, sizeof raw);
  ANSWERS(0, export_raw(path, 0, &raw));
  CHECK(raw.bytes.size > 500);
  return raw;
}

static void efs_35(void) {
  Raw raw;
  memset(&raw, 0, sizeof raw);
  make_file("C:\\plain", "x", 1);
  ANSWERS(ERROR_FILE_NOT_ENCRYPTED, export_raw("C:\\plain", 0, &raw));
  ANSWERS(ERROR_FILE_NOT_FOUND, export_raw("C:\\none", 0, &raw));
  ANSWERS(ERROR_PATH_NOT_FOUND, export_raw("C:\\none\\none", 0, &raw));
}

static void efs_36(void) {
  Raw raw = exported("C:\\secret"), again;
  make_file("C:\\f", "there before", 12);
  ANSWERS(0, import_raw("C:\\f", 0, &raw));
  CHECK((GetFileAttributesA("C:\\f") & FILE_ATTRIBUTE_ENCRYPTED) != 0);
  again = exported("C:\\f");
  CHECK(same(&raw.bytes, &again.bytes));
  drop(&again.bytes);
  make_file("C:\\hidden", "x", 1);
  CHECK(SetFileAttributesA("C:\\hidden", FILE_ATTRIBUTE_HIDDEN));
  ANSWERS(ERROR_ACCESS_DENIED, import_raw("C:\\hidden", 0, &raw));
  ANSWERS(0, import_raw("C:\\hidden", OVERWRITE_HIDDEN, &raw));
  drop(&raw.bytes);
}

static void efs_37(void) {
  Raw raw;
  memset(&raw, 0, sizeof raw);
  CHECK(CreateDirectoryA("C:\\d", NULL));
  add_key();
  CHECK(EncryptFileA("C:\\d"));
  ANSWERS(0, export_raw("C:\\d", 0, &raw));
  ANSWERS(0, import_raw("C:\\new", CREATE_FOR_DIR, &raw));
  CHECK(CreateDirectoryA("C:\\there", NULL));
  ANSWERS(0, import_raw("C:\\there", CREATE_FOR_DIR, &raw));
  CHECK((GetFileAttributesA("C:\\there") & FILE_ATTRIBUTE_DIRECTORY) != 0);
  make_file("C:\\file", "x", 1);
  ANSWERS(ERROR_DIRECTORY, import_raw("C:\\file", CREATE_FOR_DIR, &raw));
  /* 38: with the flag of a directory and without it, the same. */
  {
    Raw other;
    memset(&other, 0, sizeof other);
    ANSWERS(0, export_raw("C:\\d", CREATE_FOR_DIR, &other));
    CHECK(same(&raw.bytes, &other.bytes));
    drop(&other.bytes);
  }
  drop(&raw.bytes);
}

static void efs_40(void) {
  Raw raw;
  memset(&raw, 0, sizeof raw);
  ANSWERS(ERROR_NOT_EXPORT_FORMAT, import_raw("C:\\new", 0, &raw));
  CHECK(GetFileAttributesA("C:\\new") == INVALID_FILE_ATTRIBUTES && GetLastError() == ERROR_FILE_NOT_FOUND);
}

static void efs_41(void) {
  Raw raw = exported("C:\\secret");
  char content[16];
  WIN32_FIND_DATAA found;
  HANDLE file, search;
  DWORD got;
  int files = 0;
  make_file("C:\\f", "there before", 12);
  raw.most = 100;
  raw.with = 4711;
  for (raw.fails = 1; raw.fails <= (int)(raw.bytes.size + 99) / 100 + 1; raw.fails++) {
    ANSWERS(4711, import_raw("C:\\f", 0, &raw));
    CHECK(raw.calls == raw.fails);
  }
  file = open_read("C:\\f");
  CHECK(ReadFile(file, content, sizeof content, &got, NULL) && got == 12 && memcmp(content, "there before", 12) == 0);
  CloseHandle(file);
  /* Nothing else is left: the file, the key and the secret. */
  search = FindFirstFileA("C:\\*", &found);
  CHECK(search != INVALID_HANDLE_VALUE);
  do files++;
  while (FindNextFileA(search, &found));
  FindClose(search);
  CHECK(files == 3);
  drop(&raw.bytes);
}

static DWORD says_too_much(PBYTE data, PVOID context, PULONG length) {
  (void)data;
  (void)context;
  *length += 1;
  return 0;
}

static void efs_42(void) {
  PVOID context;
  ANSWERS(0, OpenEncryptedFileRawA("C:\\new", CREATE_FOR_IMPORT, &context));
  ANSWERS(ERROR_INVALID_PARAMETER, WriteEncryptedFileRaw(says_too_much, NULL, context));
  CloseEncryptedFileRaw(context);
  CHECK(GetFileAttributesA("C:\\new") == INVALID_FILE_ATTRIBUTES);
}

static void efs_43(void) {
  Raw raw;
  int calls;
  memset(&raw, 0, sizeof raw);
  ANSWERS(0, export_raw("C:\\secret", 0, &raw));
  calls = raw.calls;
  drop(&raw.bytes);
  for (raw.fails = 1; raw.fails <= calls; raw.fails++) {
    raw.with = 99;
    raw.calls = 0;
    ANSWERS(99, export_raw("C:\\secret", 0, &raw));
    CHECK(raw.calls == raw.fails);
    drop(&raw.bytes);
  }
}

static void efs_44(void) {
  Raw raw = exported("C:\\secret");
  PVOID context;
  raw.fails = 0;
  ANSWERS(0, OpenEncryptedFileRawA("C:\\new", CREATE_FOR_IMPORT, &context));
  ANSWERS(ERROR_INVALID_PARAMETER, ReadEncryptedFileRaw(take, &raw, context));
  ANSWERS(0, WriteEncryptedFileRaw(give, &raw, context));
  ANSWERS(ERROR_INVALID_PARAMETER, WriteEncryptedFileRaw(give, &raw, context));
  CloseEncryptedFileRaw(context);
  ANSWERS(0, OpenEncryptedFileRawA("C:\\secret", 0, &context));
  ANSWERS(ERROR_INVALID_PARAMETER, WriteEncryptedFileRaw(give, &raw, context));
  /* A read begins again at the beginning. */
  {
    Raw twice;
    memset(&twice, 0, sizeof twice);
    ANSWERS(0, ReadEncryptedFileRaw(take, &twice, context));
    CHECK(same(&twice.bytes, &raw.bytes));
    ANSWERS(0, ReadEncryptedFileRaw(take, &twice, context));
    CHECK(twice.bytes.size == 2 * raw.bytes.size);
    drop(&twice.bytes);
  }
  CloseEncryptedFileRaw(context);
  drop(&raw.bytes);
}

static void efs_45(void) {
  PVOID context = NULL;
  ANSWERS(0, OpenEncryptedFileRawA("C:\\new", CREATE_FOR_IMPORT, &context));
  CHECK(context != NULL);
  CloseEncryptedFileRaw(context);
  CHECK(GetFileAttributesA("C:\\new") == INVALID_FILE_ATTRIBUTES);
  CloseEncryptedFileRaw(context);
  CloseEncryptedFileRaw(NULL);
  CloseEncryptedFileRaw(NULL);
  ANSWERS(ERROR_INVALID_PARAMETER, OpenEncryptedFileRawA("C:\\secret", 0, NULL));
  ANSWERS(ERROR_INVALID_PARAMETER, OpenEncryptedFileRawW(NULL, 0, &context));
  CHECK(context == NULL);
  /* Every export context before has been closed, so that nobody has the file open. */
  CHECK(CloseHandle(open_with("C:\\secret", GENERIC_READ, OPEN_EXISTING, 0)));
}

static void efs_46(void) {
  Raw raw = exported("C:\\secret"), other;
  memset(&other, 0, sizeof other);
  ANSWERS(0, export_raw("C:\\secret", 0xFFFFFFE0, &other));
  CHECK(same(&raw.bytes, &other.bytes));
  ANSWERS(0, import_raw("C:\\new", 0xFFFFFFE0, &raw));
  drop(&other.bytes);
  drop(&raw.bytes);
}

static void efs_47(void) {
  Raw raw = exported("C:\\secret");
  PVOID context;
  Raw other;
  memset(&other, 0, sizeof other);
  /* C:\Grüße, as both functions take it. */
  ANSWERS(0, import_raw("C:\\Gr\xC3\xBC\xC3\x9F" "e", 0, &raw));
  ANSWERS(0, OpenEncryptedFileRawW(u"C:\\Gr\u00FC\u00DFe", 0, &context));
  ANSWERS(0, ReadEncryptedFileRaw(take, &other, context));
  CloseEncryptedFileRaw(context);
  CHECK(same(&raw.bytes, &other.bytes));
  /* What is no UTF-8. */
  ANSWERS(ERROR_INVALID_NAME, OpenEncryptedFileRawA("C:\\Gr\xFC\xDF", 0, &context));
  CHECK(context == NULL);
  drop(&other.bytes);
  drop(&raw.bytes);
}

static void efs_48(void) {
  Raw raw = exported("C:\\secret");
  HANDLE file = CreateFileA("C:\\secret", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
  Raw other;
  memset(&other, 0, sizeof other);
  CHECK(file != INVALID_HANDLE_VALUE);
  ANSWERS(ERROR_SHARING_VIOLATION, export_raw("C:\\secret", 0, &other));
  CHECK(CloseHandle(file));
  ANSWERS(0, export_raw("C:\\secret", 0, &other));
  drop(&other.bytes);
  drop(&raw.bytes);
}

static PVOID outer;

static DWORD comes_back(PBYTE data, PVOID context, ULONG length) {
  Raw *raw = (Raw *)context;
  Raw inner;
  (void)data;
  (void)length;
  memset(&inner, 0, sizeof inner);
  raw->calls++;
  /* Another context of the same file works; its own is in use. */
  ANSWERS(0, export_raw("C:\\secret", 0, &inner));
  drop(&inner.bytes);
  ANSWERS(ERROR_BUSY, ReadEncryptedFileRaw(take, &inner, outer));
  make_file("C:\\from the callback", "x", 1);
  if (raw->fails != 0) {
    /* Closed by its own callback, it is none from now on, and goes on to its end. */
    CloseEncryptedFileRaw(outer);
    ANSWERS(ERROR_INVALID_PARAMETER, ReadEncryptedFileRaw(take, &inner, outer));
  }
  return 0;
}

static void efs_49(void) {
  Raw raw;
  memset(&raw, 0, sizeof raw);
  ANSWERS(0, OpenEncryptedFileRawA("C:\\secret", 0, &outer));
  ANSWERS(0, ReadEncryptedFileRaw(comes_back, &raw, outer));
  CHECK(raw.calls == 1);
  raw.fails = 1;
  ANSWERS(0, ReadEncryptedFileRaw(comes_back, &raw, outer));
  CHECK(raw.calls == 2);
  ANSWERS(ERROR_INVALID_PARAMETER, ReadEncryptedFileRaw(comes_back, &raw, outer));
}

static void efs_54_efs_62(void) {
  ENCRYPTION_CERTIFICATE_HASH_LIST *users = NULL, *agents = NULL, hashes;
  ENCRYPTION_CERTIFICATE_HASH hash, *one = &hash;
  EFS_HASH_BLOB blob;
  BYTE unknown[20] = {1};
  DWORD status = 99;
  PVOID context;
  Raw raw;
  ANSWERS(0, QueryUsersOnEncryptedFile(u"C:\\secret", &users));
  CHECK(users != NULL && users->nCert_Hash == 1 && users->pUsers[0]->pHash->cbData == 20);
  CHECK(users->pUsers[0]->cbTotalLength == sizeof(ENCRYPTION_CERTIFICATE_HASH));
  CHECK(users->pUsers[0]->lpDisplayInformation != NULL && users->pUsers[0]->lpDisplayInformation[0] == 'a');
  ANSWERS(0, QueryRecoveryAgentsOnEncryptedFile(u"C:\\secret", &agents));
  CHECK(agents != NULL && agents->nCert_Hash == 0);
  FreeEncryptionCertificateHashList(agents);
  make_file("C:\\plain", "x", 1);
  ANSWERS(ERROR_FILE_NOT_ENCRYPTED, QueryUsersOnEncryptedFile(u"C:\\plain", &agents));
  CHECK(agents == NULL);

  /* No key yet. */
  memset(&hash, 0, sizeof hash);
  hash.pHash = &blob;
  blob.cbData = sizeof unknown;
  blob.pbData = unknown;
  hashes.nCert_Hash = 1;
  hashes.pUsers = &one;
  if (!has_key) ANSWERS(ERROR_NO_USER_KEYS, RemoveUsersFromEncryptedFile(u"C:\\secret", &hashes));
  add_key();
  ANSWERS(0, RemoveUsersFromEncryptedFile(u"C:\\secret", &hashes));
  ANSWERS(ERROR_INVALID_PARAMETER, RemoveUsersFromEncryptedFile(u"C:\\secret", users));
  FreeEncryptionCertificateHashList(users);
  FreeEncryptionCertificateHashList(users);

  /* Encrypted and decrypted here, for the owner of the key. */
  CHECK(FileEncryptionStatusA("C:\\plain", &status) && status == FILE_ENCRYPTABLE);
  CHECK(EncryptFileA("C:\\plain"));
  CHECK(FileEncryptionStatusW(u"C:\\plain", &status) && status == FILE_IS_ENCRYPTED);
  memset(&raw, 0, sizeof raw);
  ANSWERS(0, OpenEncryptedFileRawA("C:\\plain", 0, &context));
  ANSWERS(0, ReadEncryptedFileRaw(take, &raw, context));
  CloseEncryptedFileRaw(context);
  drop(&raw.bytes);
  ANSWERS(0, DuplicateEncryptionInfoFile(u"C:\\plain", u"C:\\like it", CREATE_NEW, 0, NULL));
  ANSWERS(ERROR_FILE_EXISTS, DuplicateEncryptionInfoFile(u"C:\\plain", u"C:\\like it", CREATE_NEW, 0, NULL));
  FAILS(ERROR_INVALID_PARAMETER, DecryptFileA("C:\\plain", 1));
  CHECK(DecryptFileA("C:\\plain", 0) && DecryptFileA("C:\\plain", 0));
  CHECK(FileEncryptionStatusA("C:\\plain", &status) && status == FILE_ENCRYPTABLE);
  CHECK(CreateDirectoryA("C:\\d", NULL) && EncryptionDisable(u"C:\\d", TRUE));
  make_file("C:\\d\\x", "x", 1);
  FAILS(ERROR_DIR_EFS_DISALLOWED, EncryptFileA("C:\\d\\x"));
  CHECK(EncryptionDisable(u"C:\\d", FALSE) && EncryptFileA("C:\\d\\x"));
}

/* A file of the directory, whole. */
static DWORD slurp(const char *name, BYTE *to, DWORD room) {
  char path[5000];
  FILE *in;
  size_t size;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  in = fopen(path, "rb");
  CHECK(in != NULL);
  size = fread(to, 1, room, in);
  CHECK(size > 0 && size < room);
  fclose(in);
  return (DWORD)size;
}

/* Certificates of others, and keys with a password. */
static void keys(void) {
  static BYTE der[8192];
  static BYTE sid[12] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
  ENCRYPTION_CERTIFICATE certificate, *one = &certificate;
  ENCRYPTION_CERTIFICATE_LIST list;
  ENCRYPTION_CERTIFICATE_HASH_LIST *users;
  EFS_CERTIFICATE_BLOB blob;
  char path[5000];
  snprintf(path, sizeof path, "%s/key.pfx", directory);
  make_file("C:\\plain", "x", 1);
  FAILS(ERROR_NO_USER_KEYS, EncryptFileA("C:\\plain"));
  FAILS(ERROR_INVALID_PASSWORD, ntbak_efs_add_key(path, "wrong"));
  FAILS(ERROR_INVALID_PASSWORD, ntbak_efs_add_key(path, NULL));
  FAILS(ERROR_INVALID_PARAMETER, ntbak_efs_add_key(path, "\xFF"));
  CHECK(ntbak_efs_add_key(path, "secret"));
  snprintf(path, sizeof path, "%s/plain", directory);
  CHECK(!ntbak_efs_add_key(path, NULL));

  certificate.cbTotalLength = sizeof certificate;
  certificate.pUserSid = (SID *)sid;
  certificate.pCertBlob = &blob;
  blob.dwCertEncodingType = 1;
  blob.cbData = slurp("other.der", der, sizeof der);
  blob.pbData = der;
  list.nUsers = 1;
  list.pUsers = &one;
  ANSWERS(0, AddUsersToEncryptedFile(u"C:\\secret", &list));
  ANSWERS(0, AddUsersToEncryptedFile(u"C:\\secret", &list));
  ANSWERS(0, QueryUsersOnEncryptedFile(u"C:\\secret", &users));
  CHECK(users->nCert_Hash == 2 && users->pUsers[1]->pUserSid != NULL);
  CHECK(memcmp(users->pUsers[1]->pUserSid, sid, sizeof sid) == 0);
  CHECK(users->pUsers[1]->lpDisplayInformation[0] == 'b');
  /* All but the second: what Query gave is what Remove takes. */
  users->nCert_Hash = 1;
  users->pUsers[0] = users->pUsers[1];
  ANSWERS(0, RemoveUsersFromEncryptedFile(u"C:\\secret", users));
  FreeEncryptionCertificateHashList(users);
  ANSWERS(0, QueryUsersOnEncryptedFile(u"C:\\secret", &users));
  CHECK(users->nCert_Hash == 1);
  FreeEncryptionCertificateHashList(users);

  sid[1] = 16;
  ANSWERS(ERROR_INVALID_PARAMETER, AddUsersToEncryptedFile(u"C:\\secret", &list));
  certificate.pUserSid = NULL;
  blob.cbData = 10;
  ANSWERS(ERROR_INVALID_DATA, AddUsersToEncryptedFile(u"C:\\secret", &list));
  /* Encrypted for another, whose key is not here. */
  blob.cbData = slurp("other.der", der, sizeof der);
  ANSWERS(0, SetUserFileEncryptionKey(&certificate));
  CHECK(EncryptFileA("C:\\plain"));
  FAILS(ERROR_FILE_ENCRYPTED, DecryptFileA("C:\\plain", 0));
}

#define CASE(name) {#name, name}
static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
    CASE(bs_28), CASE(bs_29), CASE(bs_30), CASE(bs_31), CASE(bs_32), CASE(bs_33), CASE(bs_34), CASE(bs_35), CASE(bs_36),
    CASE(bs_37), CASE(bs_39), CASE(bs_40), CASE(bs_41), CASE(bs_42), CASE(bs_43), CASE(bs_44), CASE(bs_45), CASE(bs_46), CASE(bs_47),
    CASE(bs_48), CASE(bs_50), CASE(bs_51), CASE(bs_52), CASE(bs_53), CASE(bs_54), CASE(bs_55), CASE(bs_56), CASE(bs_58),
    CASE(bs_59), CASE(bs_60), CASE(bs_61), CASE(bs_62), CASE(bs_63), CASE(bs_64), CASE(bs_65), CASE(efs_35), CASE(efs_36),
    CASE(efs_37), CASE(efs_40), CASE(efs_41), CASE(efs_42), CASE(efs_43), CASE(efs_44), CASE(efs_45), CASE(efs_46),
    CASE(efs_47), CASE(efs_48), CASE(efs_49), CASE(efs_54_efs_62),
};

/* Each case has a directory of its own, with what the test has put there. */
static void run(const char *base, size_t at) {
  CHECK(strlen(base) + strlen(cases[at].name) + 2 < sizeof directory);
  sprintf(directory, "%s/%s", base, cases[at].name);
  CHECK(ntbak_map_drive('C', directory));
  cases[at].run();
}

int main(int argc, char **argv) {
  size_t at, done = 0;
  CHECK(argc == 3);
  if (strcmp(argv[2], "keys") == 0) {
    /* Not one of all: the password is stretched, which takes too long under valgrind. */
    CHECK(snprintf(directory, sizeof directory, "%s/keys", argv[1]) < (int)sizeof directory);
    CHECK(ntbak_map_drive('C', directory));
    keys();
    return 0;
  }
  for (at = 0; at < sizeof cases / sizeof *cases; at++) {
    if (strcmp(argv[2], "names") == 0) {
      puts(cases[at].name);
      done++;
    } else if (strcmp(argv[2], "all") == 0 || strcmp(argv[2], cases[at].name) == 0) {
      run(argv[1], at);
      done++;
    }
  }
  if (done == 0) fprintf(stderr, "there is no case %s\n", argv[2]);
  return done == 0;
}
