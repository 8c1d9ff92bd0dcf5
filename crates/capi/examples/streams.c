/*
 * Lists the data streams of files, with their sizes.
 *
 *     streams C:\file.txt ...
 */
#define UNICODE
#include "common.h"

static int streams(const char *path) {
  static WCHAR name[32768];
  WIN32_FIND_STREAM_DATA found;
  HANDLE search;
  DWORD error;
  if (!widen(path, name, sizeof name / sizeof *name)) return fail_with(path, ERROR_INVALID_NAME);
  search = FindFirstStreamW(name, FindStreamInfoStandard, &found, 0);
  if (search == INVALID_HANDLE_VALUE) {
    /* A directory may have none. */
    return GetLastError() == ERROR_HANDLE_EOF ? 0 : fail(path);
  }
  do {
    printf("%12lld  %s", (long long)found.StreamSize.QuadPart, path);
    print_name(found.cStreamName, sizeof found.cStreamName / sizeof(WCHAR));
    putchar('\n');
  } while (FindNextStreamW(search, &found));
  error = GetLastError();
  FindClose(search);
  return error == ERROR_HANDLE_EOF ? 0 : fail_with(path, error);
}

int main(int argc, char **argv) {
  int failed = 0, at;
  for (at = 1; at < argc; at++) failed |= streams(argv[at]);
  return failed;
}
