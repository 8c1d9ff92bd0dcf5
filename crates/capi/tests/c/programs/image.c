/* The volume in a disk image as a drive: `image IMAGE`. All of it is read, and nothing is written. */
#include "check.h"

static unsigned files, streams;
static ULONGLONG bytes;

static void look(const char *directory) {
  char path[4096];
  WIN32_FIND_DATAA found;
  HANDLE search;
  CHECK(snprintf(path, sizeof path, "%s*", directory) < (int)sizeof path);
  search = FindFirstFileA(path, &found);
  CHECK(search != INVALID_HANDLE_VALUE);
  do {
    Bytes whole;
    size_t at = 0;
    if (strcmp(found.cFileName, ".") == 0 || strcmp(found.cFileName, "..") == 0) continue;
    CHECK(snprintf(path, sizeof path, "%s%s", directory, found.cFileName) < (int)sizeof path - 1);
    files++;
    if ((found.dwFileAttributes & FILE_ATTRIBUTE_ENCRYPTED) == 0) {
      whole = read_whole(path, 1000, TRUE);
      bytes += whole.size;
      while (at < whole.size) {
        ULONGLONG size;
        DWORD name;
        memcpy(&size, whole.bytes + at + 8, 8);
        memcpy(&name, whole.bytes + at + 16, 4);
        streams++;
        at += 20 + name + (size_t)size;
      }
      CHECK(at == whole.size);
      drop(&whole);
    }
    if ((found.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) == FILE_ATTRIBUTE_DIRECTORY) {
      strcat(path, "\\");
      look(path);
    }
  } while (FindNextFileA(search, &found));
  CHECK(GetLastError() == ERROR_NO_MORE_FILES && FindClose(search));
}

int main(int argc, char **argv) {
  char label[64], system[64];
  DWORD flags = 0;
  CHECK(argc == 2 && ntbak_map_drive('I', argv[1]));
  look("I:\\");
  printf("%u files, %u streams, %llu bytes\n", files, streams, (unsigned long long)bytes);
  CHECK(GetVolumeInformationA("I:\\", label, 64, NULL, NULL, &flags, system, 64));
  CHECK((flags & FILE_READ_ONLY_VOLUME) != 0 && strcmp(system, "NTFS") == 0);
  SetLastError(0);
  CHECK(CreateFileA("I:\\new", GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL) == INVALID_HANDLE_VALUE);
  CHECK(GetLastError() == ERROR_WRITE_PROTECT);
  FAILS(ERROR_WRITE_PROTECT, CreateDirectoryA("I:\\new", NULL));
  return 0;
}
