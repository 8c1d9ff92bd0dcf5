/*
 * Contexts and searches that are given up at each possible call: `aborts DIRECTORY`, which becomes drive C. Nothing is left of them: the
 * numbers of handles are used again, and valgrind finds no memory.
 */
#include "check.h"

static void reads(const char *path, DWORD slice) {
  BYTE buffer[4096];
  DWORD got = 1, calls, turn;
  BOOL ended = FALSE;
  for (calls = 0; !ended; calls++) {
    LPVOID context = NULL;
    HANDLE file = open_read(path);
    for (turn = 0; turn < calls && !ended; turn++) {
      CHECK(BackupRead(file, buffer, slice, &got, FALSE, TRUE, &context));
      ended = got == 0;
    }
    /* Before the handle is closed, and after it. */
    if (calls % 2 == 0) CHECK(CloseHandle(file));
    end_read(&context);
    if (calls % 2 == 1) CHECK(CloseHandle(file));
  }
}

static void writes(const Bytes *whole, DWORD slice) {
  size_t calls, at;
  for (calls = 0; calls * slice < whole->size + slice; calls++) {
    LPVOID context = NULL;
    HANDLE file = open_with("C:\\to", WRITE_ACCESS | sacl_access(), CREATE_ALWAYS, ITSELF & ~FILE_FLAG_OPEN_REPARSE_POINT);
    for (at = 0; at < calls; at++) {
      size_t left = whole->size - at * slice;
      DWORD written, size = left < slice ? (DWORD)left : slice;
      CHECK(BackupWrite(file, whole->bytes + at * slice, size, &written, FALSE, TRUE, &context) && written == size);
    }
    if (calls % 2 == 0) CHECK(CloseHandle(file));
    if (calls % 3 == 0 && context != NULL) {
      /* The end of it is told, when it is one. */
      BOOL whole_ = ntbak_finish(&context);
      CHECK(context == NULL && (whole_ || GetLastError() == ERROR_INVALID_DATA));
    }
    end_write(&context);
    if (calls % 2 == 1) CHECK(CloseHandle(file));
  }
}

int main(int argc, char **argv) {
  Bytes whole;
  HANDLE file;
  WIN32_FIND_DATAW found;
  int turn, calls;
  CHECK(argc == 2 && ntbak_map_drive('C', argv[1]));
  make_rich("C:\\f");
  whole = read_whole("C:\\f", 4096, TRUE);
  reads("C:\\f", 137);
  reads("C:\\f", 4096);
  writes(&whole, 137);
  writes(&whole, 1000);
  for (turn = 0; turn < 5; turn++) {
    HANDLE search = FindFirstFileW(u"C:\\*", &found);
    CHECK(search != INVALID_HANDLE_VALUE);
    for (calls = 0; calls < turn; calls++) FindNextFileW(search, &found);
    CHECK(FindClose(search));
  }
  drop(&whole);
  /* As many as were open at a time, and no more, have been given out. */
  file = open_read("C:\\f");
  CHECK(((ULONG_PTR)file >> 2 & 0xFFFFFFF) < 16);
  CHECK(CloseHandle(file));
  return 0;
}
