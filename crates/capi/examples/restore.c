/*
 * Restores what `backup` made: BackupWrite takes the bytes as they come, here in slices of odd sizes. Options: -n leaves security as it is,
 * -d makes a directory, -a COUNT aborts after so many bytes.
 *
 *     restore [-n] [-d] [-a COUNT] file.bak C:\restored.txt
 */
#define UNICODE
#include "common.h"

static int restore(FILE *in, HANDLE file, BOOL security, unsigned long long most) {
  static const DWORD slices[] = {1, 7, 19, 20, 21, 4093, 65536, 3};
  static BYTE buffer[65536];
  LPVOID context = NULL;
  unsigned long long total = 0;
  DWORD written;
  size_t turn = 0, got;
  int failed = 0;
  for (;;) {
    size_t want = slices[turn++ % (sizeof slices / sizeof *slices)];
    if (want > most - total) want = (size_t)(most - total);
    got = fread(buffer, 1, want, in);
    if (got == 0) break;
    if (!BackupWrite(file, buffer, (DWORD)got, &written, FALSE, security, &context)) {
      failed = fail("BackupWrite");
      break;
    }
    if (written != got) {
      fprintf(stderr, "BackupWrite took %lu bytes of %lu\n", (unsigned long)written, (unsigned long)got);
      failed = 1;
      break;
    }
    total += written;
  }
#ifndef _WIN32
  /* Windows cannot say whether the backup was whole. */
  if (!failed && most == ~0ULL && context != NULL) {
    if (!ntbak_finish(&context)) return fail("the end of the backup");
    return 0;
  }
#endif
  if (!BackupWrite(NULL, NULL, 0, NULL, TRUE, FALSE, &context) && !failed) failed = fail("the end of BackupWrite");
  return failed;
}

int main(int argc, char **argv) {
  BOOL security = TRUE, directory = FALSE;
  unsigned long long most = ~0ULL;
  DWORD access = GENERIC_WRITE;
  HANDLE file;
  FILE *in;
  int failed, at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (strcmp(argv[at], "-n") == 0) {
      security = FALSE;
    } else if (strcmp(argv[at], "-d") == 0) {
      directory = TRUE;
    } else if (strcmp(argv[at], "-a") == 0 && at + 1 < argc) {
      most = strtoull(argv[++at], NULL, 10);
    } else {
      break;
    }
  }
  if (argc - at != 2) {
    fprintf(stderr, "usage: restore [-n] [-d] [-a COUNT] BACKUP FILE\n");
    return 2;
  }
  in = fopen(argv[at], "rb");
  if (in == NULL) {
    perror(argv[at]);
    return 1;
  }
  enable_privilege(SE_RESTORE_NAME);
  if (security) access |= WRITE_DAC | WRITE_OWNER;
  if (security && enable_privilege(SE_SECURITY_NAME)) access |= ACCESS_SYSTEM_SECURITY;
  if (directory && !CreateDirectoryA(argv[at + 1], NULL) && GetLastError() != ERROR_ALREADY_EXISTS) return fail(argv[at + 1]);
  file = CreateFileA(argv[at + 1], access, 0, NULL, directory ? OPEN_EXISTING : CREATE_ALWAYS, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  if (file == INVALID_HANDLE_VALUE) {
    failed = fail(argv[at + 1]);
    fclose(in);
    return failed;
  }
  failed = restore(in, file, security, most);
  CloseHandle(file);
  fclose(in);
  return failed;
}
