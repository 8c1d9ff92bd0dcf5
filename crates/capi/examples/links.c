/*
 * Shows all names of files, each a path from the root of its volume.
 *
 *     links C:\file.txt ...
 */
#define UNICODE
#include "common.h"

static int links(const char *path) {
  static WCHAR name[32768], found[32768];
  DWORD length = sizeof found / sizeof *found, error;
  HANDLE search;
  if (!widen(path, name, sizeof name / sizeof *name)) return fail_with(path, ERROR_INVALID_NAME);
  search = FindFirstFileNameW(name, 0, &length, found);
  if (search == INVALID_HANDLE_VALUE) return fail(path);
  do {
    print_name(found, length);
    putchar('\n');
    length = sizeof found / sizeof *found;
  } while (FindNextFileNameW(search, &length, found));
  error = GetLastError();
  FindClose(search);
  return error == ERROR_HANDLE_EOF ? 0 : fail_with(path, error);
}

int main(int argc, char **argv) {
  int failed = 0, at;
  for (at = 1; at < argc; at++) failed |= links(argv[at]);
  return failed;
}
