/* 8 threads over two drives that they share: `threads DIRECTORY ROUNDS`. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 8 };

static int rounds;
static const char *base;

static void *work(void *argument) {
  long number = (long)argument;
  char own[64], other[64];
  int round;
  for (round = 0; round < rounds; round++) {
    Bytes whole, shared, again;
    WIN32_FIND_STREAM_DATA stream;
    WIN32_FIND_DATAA found;
    HANDLE search, file;
    /* What another thread reports is not ours. */
    SetLastError((DWORD)number);
    snprintf(own, sizeof own, "C:\\own %ld", number);
    snprintf(other, sizeof other, "D:\\own %ld", number);
    make_rich(own);
    whole = read_whole(own, 777, TRUE);
    make_file(other, "", 0);
    ANSWERS(0, write_whole(other, &whole));
    again = read_whole(other, 4096, TRUE);
    CHECK(same(&whole, &again));
    shared = read_whole("C:\\shared", 1000, TRUE);
    CHECK(shared.size > 10000);
    search = FindFirstStreamW(u"C:\\shared", FindStreamInfoStandard, &stream, 0);
    CHECK(search != INVALID_HANDLE_VALUE && FindNextStreamW(search, &stream) && FindClose(search));
    search = FindFirstFileA("D:\\*", &found);
    CHECK(search != INVALID_HANDLE_VALUE);
    while (FindNextFileA(search, &found)) continue;
    CHECK(FindClose(search));
    /* The name of one is looked for and gone, and the drives are mapped again while others use them. */
    if (number == 0) CHECK(ntbak_map_drive('C', base));
    file = CreateFileA("C:\\rare", GENERIC_WRITE | DELETE, SHARE_ALL, NULL, OPEN_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    if (file != INVALID_HANDLE_VALUE) CHECK(CloseHandle(file));
    SetLastError((DWORD)(100 + number));
    CHECK(GetLastError() == (DWORD)(100 + number));
    CHECK(DeleteFileA(own) && DeleteFileA(other));
    drop(&whole);
    drop(&again);
    drop(&shared);
  }
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  char second[4096];
  long at;
  CHECK(argc == 3);
  base = argv[1];
  rounds = atoi(argv[2]);
  CHECK(ntbak_map_drive('C', base) && CreateDirectoryA("C:\\d", NULL));
  CHECK(snprintf(second, sizeof second, "%s/d", base) < (int)sizeof second && ntbak_map_drive('D', second));
  make_rich("C:\\shared");
  for (at = 0; at < THREADS; at++) CHECK(pthread_create(&threads[at], NULL, work, (void *)at) == 0);
  for (at = 0; at < THREADS; at++) CHECK(pthread_join(threads[at], NULL) == 0);
  return 0;
}
