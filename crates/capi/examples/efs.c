/*
 * Takes encrypted files out and in, as they are stored: no key is needed.
 *
 *     efs export C:\secret.txt secret.raw
 *     efs import [-d] secret.raw C:\restored.txt        -d: a directory
 */
#define UNICODE
#include "common.h"

static DWORD WINAPI to_file(PBYTE data, PVOID context, ULONG length) {
  return fwrite(data, 1, length, (FILE *)context) == length ? ERROR_SUCCESS : ERROR_DISK_FULL;
}

static DWORD WINAPI from_file(PBYTE data, PVOID context, PULONG length) {
  FILE *in = (FILE *)context;
  *length = (ULONG)fread(data, 1, *length, in);
  return ferror(in) ? ERROR_IO_DEVICE : ERROR_SUCCESS;
}

int main(int argc, char **argv) {
  int import = argc > 1 && strcmp(argv[1], "import") == 0;
  int directory = import && argc > 2 && strcmp(argv[2], "-d") == 0;
  const char *path, *raw;
  PVOID context = NULL;
  FILE *file;
  DWORD error;
  if (argc != 4 + directory || (!import && strcmp(argv[1], "export") != 0)) {
    fprintf(stderr, "usage: efs export FILE RAW | efs import [-d] RAW FILE\n");
    return 2;
  }
  path = argv[import ? 3 + directory : 2];
  raw = argv[import ? 2 + directory : 3];
  file = fopen(raw, import ? "rb" : "wb");
  if (file == NULL) {
    perror(raw);
    return 1;
  }
  error = OpenEncryptedFileRawA(path, import ? CREATE_FOR_IMPORT | (directory ? CREATE_FOR_DIR : 0) : 0, &context);
  if (error == ERROR_SUCCESS) {
    error = import ? WriteEncryptedFileRaw(from_file, file, context) : ReadEncryptedFileRaw(to_file, file, context);
    CloseEncryptedFileRaw(context);
  }
  if (fclose(file) != 0 && error == ERROR_SUCCESS) error = ERROR_DISK_FULL;
  return error == ERROR_SUCCESS ? 0 : fail_with(path, error);
}
