/* What the programs of the tests share: checks, files, backup streams by hand. */
#ifndef CHECK_H
#define CHECK_H

#define _DEFAULT_SOURCE
#include <ntbak/windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                                                          \
  do {                                                                                                                            \
    if (!(condition)) {                                                                                                           \
      fprintf(stderr, "%s:%d: %s: last error %lu\n", __FILE__, __LINE__, #condition, (unsigned long)GetLastError());              \
      exit(1);                                                                                                                    \
    }                                                                                                                             \
  } while (0)

/* The call answers FALSE, and the last error is `number`. */
#define FAILS(number, call)                                                                                                       \
  do {                                                                                                                            \
    SetLastError(4711);                                                                                                           \
    BOOL answer_ = (call);                                                                                                        \
    if (answer_ || GetLastError() != (number)) {                                                                                  \
      fprintf(stderr, "%s:%d: %s: %d, last error %lu, not %lu\n", __FILE__, __LINE__, #call, answer_,                             \
              (unsigned long)GetLastError(), (unsigned long)(number));                                                            \
      exit(1);                                                                                                                    \
    }                                                                                                                             \
  } while (0)

/* The call answers this number. */
#define ANSWERS(number, call)                                                                                                     \
  do {                                                                                                                            \
    unsigned long answer_ = (unsigned long)(call);                                                                                \
    if (answer_ != (number)) {                                                                                                    \
      fprintf(stderr, "%s:%d: %s: %lu, not %lu\n", __FILE__, __LINE__, #call, answer_, (unsigned long)(number));                  \
      exit(1);                                                                                                                    \
    }                                                                                                                             \
  } while (0)

#define READ_ACCESS GENERIC_READ
#define WRITE_ACCESS (GENERIC_READ | GENERIC_WRITE | WRITE_DAC | WRITE_OWNER | DELETE)
#define ITSELF (FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

static inline DWORD sacl_access(void) {
  return geteuid() == 0 ? ACCESS_SYSTEM_SECURITY : 0;
}

static inline HANDLE open_with(const char *path, DWORD access, DWORD disposition, DWORD flags) {
  HANDLE file = CreateFileA(path, access, SHARE_ALL, NULL, disposition, flags, NULL);
  if (file == INVALID_HANDLE_VALUE) {
    fprintf(stderr, "%s: last error %lu\n", path, (unsigned long)GetLastError());
    exit(1);
  }
  return file;
}

static inline HANDLE open_read(const char *path) {
  return open_with(path, READ_ACCESS | sacl_access(), OPEN_EXISTING, ITSELF);
}

static inline HANDLE open_write(const char *path) {
  return open_with(path, WRITE_ACCESS | sacl_access(), OPEN_EXISTING, ITSELF);
}

/* A new file with this content. */
static inline void make_file(const char *path, const void *content, DWORD size) {
  DWORD written;
  HANDLE file = open_with(path, GENERIC_WRITE, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL);
  CHECK(WriteFile(file, content, size, &written, NULL) && written == size);
  CHECK(CloseHandle(file));
}

/* Bytes that grow. */
typedef struct {
  BYTE *bytes;
  size_t size, room;
} Bytes;

static inline void add(Bytes *to, const void *from, size_t size) {
  if (to->size + size > to->room) {
    to->room = (to->size + size) * 2;
    to->bytes = (BYTE *)realloc(to->bytes, to->room);
    CHECK(to->bytes != NULL);
  }
  if (size > 0) memcpy(to->bytes + to->size, from, size);
  to->size += size;
}

static inline void drop(Bytes *bytes) {
  free(bytes->bytes);
  memset(bytes, 0, sizeof *bytes);
}

static inline BOOL same(const Bytes *a, const Bytes *b) {
  return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

/* The header of a stream, and its name. */
static inline void add_header(Bytes *to, DWORD id, DWORD attributes, ULONGLONG size, const char *name) {
  DWORD length = (DWORD)strlen(name) * 2;
  add(to, &id, 4);
  add(to, &attributes, 4);
  add(to, &size, 8);
  add(to, &length, 4);
  for (; *name != 0; name++) {
    WCHAR unit = (WCHAR)(unsigned char)*name;
    add(to, &unit, 2);
  }
}

static inline void add_stream(Bytes *to, DWORD id, DWORD attributes, const char *name, const void *payload, size_t size) {
  add_header(to, id, attributes, size, name);
  add(to, payload, size);
}

/* A security descriptor of SYSTEM, with a DACL and a SACL, in 100 bytes. */
static inline void security_descriptor(BYTE *to) {
  static const BYTE sid[12] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
  static const BYTE head[20] = {1, 0, 0x14, 0x80, 20, 0, 0, 0, 32, 0, 0, 0, 72, 0, 0, 0, 44, 0, 0, 0};
  static const BYTE dacl[16] = {2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 0xFF, 0x01, 0x1F, 0};
  static const BYTE sacl[16] = {2, 0, 28, 0, 1, 0, 0, 0, 2, 0xC0, 20, 0, 0xFF, 0x01, 0x1F, 0};
  memcpy(to, head, 20);
  memcpy(to + 20, sid, 12);
  memcpy(to + 32, sid, 12);
  memcpy(to + 44, dacl, 16);
  memcpy(to + 60, sid, 12);
  memcpy(to + 72, sacl, 16);
  memcpy(to + 88, sid, 12);
}

/* The next bytes of a backup stream, at most `most`, by reads of `slice` bytes; what the last read answered. */
static inline BOOL read_some(HANDLE file, DWORD slice, size_t most, BOOL security, Bytes *to, LPVOID *context) {
  BYTE *buffer = (BYTE *)malloc(slice > 0 ? slice : 1);
  DWORD got = 0;
  size_t before = to->size;
  BOOL done = TRUE;
  CHECK(buffer != NULL);
  while (to->size - before < most) {
    size_t want = most - (to->size - before);
    done = BackupRead(file, buffer, want < slice ? (DWORD)want : slice, &got, FALSE, security, context);
    if (!done || got == 0) break;
    add(to, buffer, got);
  }
  free(buffer);
  return done;
}

static inline void end_read(LPVOID *context) {
  CHECK(BackupRead(NULL, NULL, 0, NULL, TRUE, FALSE, context));
  CHECK(*context == NULL);
}

static inline void end_write(LPVOID *context) {
  CHECK(BackupWrite(NULL, NULL, 0, NULL, TRUE, FALSE, context));
  CHECK(*context == NULL);
}

/* The whole backup stream of a file. */
static inline Bytes read_whole(const char *path, DWORD slice, BOOL security) {
  Bytes whole = {NULL, 0, 0};
  LPVOID context = NULL;
  HANDLE file = open_read(path);
  CHECK(read_some(file, slice, (size_t)-1, security, &whole, &context));
  end_read(&context);
  CHECK(CloseHandle(file));
  return whole;
}

/* Writes a backup stream by slices; 0, or the number of the failure. */
static inline DWORD write_slices(HANDLE file, const Bytes *stream, DWORD slice, BOOL security) {
  LPVOID context = NULL;
  size_t at = 0;
  DWORD error = 0;
  while (at < stream->size && error == 0) {
    DWORD written = 4711, size = stream->size - at < slice ? (DWORD)(stream->size - at) : slice;
    if (!BackupWrite(file, stream->bytes + at, size, &written, FALSE, security, &context)) {
      error = GetLastError();
      CHECK(error != 0);
    } else {
      CHECK(written == size);
    }
    at += size;
  }
  end_write(&context);
  return error;
}

static inline DWORD write_whole(const char *path, const Bytes *stream) {
  HANDLE file = open_write(path);
  DWORD error = write_slices(file, stream, 65536, TRUE);
  CHECK(CloseHandle(file));
  return error;
}

/* Writes a stream of one kind, and forgets it. */
static inline DWORD write_one(const char *path, DWORD id, DWORD attributes, const void *payload, size_t size) {
  Bytes stream = {NULL, 0, 0};
  DWORD error;
  add_stream(&stream, id, attributes, "", payload, size);
  error = write_whole(path, &stream);
  drop(&stream);
  return error;
}

/* The payload of the first stream with this id; NULL when there is none. */
static inline const BYTE *find_stream(const Bytes *whole, DWORD wanted, ULONGLONG *size) {
  size_t at = 0;
  while (at < whole->size) {
    DWORD id, name;
    CHECK(whole->size - at >= 20);
    memcpy(&id, whole->bytes + at, 4);
    memcpy(size, whole->bytes + at + 8, 8);
    memcpy(&name, whole->bytes + at + 16, 4);
    CHECK(whole->size - at - 20 >= *size + name);
    if (id == wanted) return whole->bytes + at + 20 + name;
    at += 20 + name + (size_t)*size;
  }
  return NULL;
}

/* A file with content, two named streams, a descriptor, extended attributes. */
static inline void make_rich(const char *path) {
  BYTE security[100];
  static const BYTE ea[16] = {0, 0, 0, 0, 0, 3, 4, 0, 'O', 'N', 'E', 0, 'v', 'a', 'l', '1'};
  char content[10000];
  Bytes stream = {NULL, 0, 0};
  size_t at;
  for (at = 0; at < sizeof content; at++) content[at] = (char)(at * 7 % 251);
  security_descriptor(security);
  make_file(path, "", 0);
  add_stream(&stream, BACKUP_SECURITY_DATA, STREAM_CONTAINS_SECURITY, "", security, sizeof security);
  add_stream(&stream, BACKUP_EA_DATA, 0, "", ea, sizeof ea);
  add_stream(&stream, BACKUP_DATA, 0, "", content, sizeof content);
  add_stream(&stream, BACKUP_ALTERNATE_DATA, 0, ":empty:$DATA", "", 0);
  add_stream(&stream, BACKUP_ALTERNATE_DATA, 0, ":one:$DATA", "named", 5);
  ANSWERS(0, write_whole(path, &stream));
  drop(&stream);
}

#endif
