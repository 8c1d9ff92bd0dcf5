/*
 * Backs one file or directory up: everything that BackupRead gives goes to a file, or, with -l, only the headers are read and the content is
 * passed over.
 *
 *     backup C:\file.txt file.bak
 *     backup -l C:\file.txt
 */
#define UNICODE
#include "common.h"

/* Reads exactly `size` bytes; less only at the end. */
static BOOL read_all(HANDLE file, void *buffer, DWORD size, DWORD *got, LPVOID *context) {
  DWORD read;
  *got = 0;
  do {
    if (!BackupRead(file, (LPBYTE)buffer + *got, size - *got, &read, FALSE, TRUE, context)) return FALSE;
    *got += read;
  } while (read > 0 && *got < size);
  return TRUE;
}

/* The header without its name, as it stands in a backup. */
#define HEADER_SIZE ((DWORD)((char *)header.stream.cStreamName - (char *)&header))

static int list(HANDLE file) {
  LPVOID context = NULL;
  union {
    WIN32_STREAM_ID stream;
    char room[24 + 600 * sizeof(WCHAR)];
  } header;
  DWORD read, low, high;
  int failed = 0;
  for (;;) {
    if (!read_all(file, &header, HEADER_SIZE, &read, &context)) {
      failed = fail("BackupRead of a header");
      break;
    }
    if (read == 0) break;
    if (read < HEADER_SIZE || header.stream.dwStreamNameSize > 600 * sizeof(WCHAR) ||
        !read_all(file, header.stream.cStreamName, header.stream.dwStreamNameSize, &read, &context)) {
      failed = fail("BackupRead of a name");
      break;
    }
    printf("%lu %lu %lld ", (unsigned long)header.stream.dwStreamId, (unsigned long)header.stream.dwStreamAttributes,
           (long long)header.stream.Size.QuadPart);
    print_name(header.stream.cStreamName, header.stream.dwStreamNameSize / sizeof(WCHAR));
    putchar('\n');
    if (header.stream.Size.QuadPart > 0 &&
        !BackupSeek(file, header.stream.Size.LowPart, (DWORD)header.stream.Size.HighPart, &low, &high, &context)) {
      failed = fail("BackupSeek");
      break;
    }
  }
  BackupRead(NULL, NULL, 0, NULL, TRUE, FALSE, &context);
  return failed;
}

static int backup(HANDLE file, const char *to) {
  static BYTE buffer[64 * 1024];
  LPVOID context = NULL;
  DWORD read;
  int failed = 0;
  FILE *out = fopen(to, "wb");
  if (out == NULL) {
    perror(to);
    return 1;
  }
  do {
    if (!BackupRead(file, buffer, sizeof buffer, &read, FALSE, TRUE, &context)) {
      failed = fail("BackupRead");
      break;
    }
    if (fwrite(buffer, 1, read, out) != read) {
      perror(to);
      failed = 1;
      break;
    }
  } while (read > 0);
  BackupRead(NULL, NULL, 0, NULL, TRUE, FALSE, &context);
  if (fclose(out) != 0 && !failed) {
    perror(to);
    failed = 1;
  }
  return failed;
}

int main(int argc, char **argv) {
  int only_list = argc == 3 && strcmp(argv[1], "-l") == 0;
  const char *path;
  DWORD access = GENERIC_READ;
  HANDLE file;
  int failed;
  if (argc != 3) {
    fprintf(stderr, "usage: backup FILE BACKUP | backup -l FILE\n");
    return 2;
  }
  path = argv[only_list ? 2 : 1];
  enable_privilege(SE_BACKUP_NAME);
  if (enable_privilege(SE_SECURITY_NAME)) access |= ACCESS_SYSTEM_SECURITY;
  file = CreateFileA(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                     FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_SEQUENTIAL_SCAN, NULL);
  if (file == INVALID_HANDLE_VALUE) return fail(path);
  failed = only_list ? list(file) : backup(file, argv[2]);
  CloseHandle(file);
  return failed;
}
