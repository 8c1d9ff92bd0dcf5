/* What the examples share: they are compiled for Windows and for Linux, as C11 and as C++17. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#ifdef _WIN32
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601
#endif
#include <windows.h>
#else
#include <ntbak/windows.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says what failed, and why, with the message of the system. */
static inline int fail_with(const char *what, DWORD error) {
  char message[256];
  DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK, NULL,
                                error, 0, message, sizeof message, NULL);
  fprintf(stderr, "%s: error %lu: %.*s\n", what, (unsigned long)error, (int)length, message);
  return 1;
}

static inline int fail(const char *what) {
  return fail_with(what, GetLastError());
}

/* A name of the command line for the functions that take UTF-16 only. */
static inline int widen(const char *from, WCHAR *to, size_t room) {
#ifdef _WIN32
  return MultiByteToWideChar(CP_ACP, 0, from, -1, to, (int)room) > 0;
#else
  const unsigned char *at = (const unsigned char *)from;
  size_t used = 0;
  while (*at != 0) {
    unsigned long point = *at++;
    int more = point >= 0xF0 ? 3 : point >= 0xE0 ? 2 : point >= 0xC0 ? 1 : 0;
    if (more != 0) point &= 0x3FU >> more;
    for (; more > 0 && (*at & 0xC0) == 0x80; more--) point = point << 6 | (*at++ & 0x3F);
    if (used + 3 > room) return 0;
    if (point >= 0x10000) {
      to[used++] = (WCHAR)(0xD800 + ((point - 0x10000) >> 10));
      to[used++] = (WCHAR)(0xDC00 + ((point - 0x10000) & 0x3FF));
    } else {
      to[used++] = (WCHAR)point;
    }
  }
  to[used] = 0;
  return 1;
#endif
}

/* Prints a name; what is not ASCII as \u1234. */
static inline void print_name(const WCHAR *name, size_t length) {
  size_t at;
  for (at = 0; at < length && name[at] != 0; at++) {
    if (name[at] >= 0x20 && name[at] < 0x7F) {
      putchar((int)name[at]);
    } else {
      printf("\\u%04x", (unsigned)name[at]);
    }
  }
}

/* Asks for a privilege, as every backup program does. Without it, less can be read, and the program goes on. */
static inline int enable_privilege(const TCHAR *name) {
  HANDLE token;
  TOKEN_PRIVILEGES wanted;
  int enabled;
  if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &token)) return 0;
  wanted.PrivilegeCount = 1;
  wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
  enabled = LookupPrivilegeValue(NULL, name, &wanted.Privileges[0].Luid) &&
            AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL) && GetLastError() == ERROR_SUCCESS;
  CloseHandle(token);
  return enabled;
}

#endif
