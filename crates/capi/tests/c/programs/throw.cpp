// Callbacks of C++ that throw: `throw DIRECTORY/throw` with a file `secret`. Through windows.h that is 1359; `direct` as well calls the
// library itself, where it ends the process.
#include "check.h"

#include <stdexcept>

static int calls, throws_at;

static DWORD out(PBYTE, PVOID, ULONG) {
  if (++calls == throws_at) throw std::runtime_error("thrown");
  return 0;
}

static DWORD in(PBYTE data, PVOID context, PULONG length) {
  if (++calls == throws_at) throw 5;
  const Bytes *raw = static_cast<const Bytes *>(context);
  *length = calls == 1 ? static_cast<ULONG>(raw->size) : 0;
  if (*length > 0) memcpy(data, raw->bytes, *length);
  return 0;
}

static DWORD keep(PBYTE data, PVOID context, ULONG length) {
  add(static_cast<Bytes *>(context), data, length);
  return 0;
}

int main(int argc, char **argv) {
  PVOID context;
  Bytes raw = {nullptr, 0, 0};
  CHECK(argc >= 2 && ntbak_map_drive('C', argv[1]));
  ANSWERS(0, OpenEncryptedFileRawA("C:\\secret", 0, &context));
  throws_at = 1;
  if (argc > 2) {
    ntbak_read_encrypted_file_raw(out, nullptr, context);
    return 0;
  }
  ANSWERS(ERROR_INTERNAL_ERROR, ReadEncryptedFileRaw(out, nullptr, context));
  // It was the callback's fault: the context is as good as before.
  ANSWERS(0, ReadEncryptedFileRaw(keep, &raw, context));
  ANSWERS(ERROR_INVALID_PARAMETER, ReadEncryptedFileRaw(nullptr, nullptr, context));
  CloseEncryptedFileRaw(context);
  for (throws_at = 1; throws_at <= 2; throws_at++) {
    calls = 0;
    ANSWERS(0, OpenEncryptedFileRawA("C:\\new", CREATE_FOR_IMPORT, &context));
    ANSWERS(ERROR_INTERNAL_ERROR, WriteEncryptedFileRaw(in, &raw, context));
    CloseEncryptedFileRaw(context);
    CHECK(GetFileAttributesA("C:\\new") == INVALID_FILE_ATTRIBUTES);
  }
  calls = 0;
  ANSWERS(0, OpenEncryptedFileRawA("C:\\new", CREATE_FOR_IMPORT, &context));
  ANSWERS(0, WriteEncryptedFileRaw(in, &raw, context));
  CloseEncryptedFileRaw(context);
  CHECK(GetFileAttributesA("C:\\new") != INVALID_FILE_ATTRIBUTES);
  drop(&raw);
  return 0;
}
