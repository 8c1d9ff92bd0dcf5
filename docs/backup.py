#!/usr/bin/env python3
"""Backs a file up and restores it with libntbak: ctypes, and nothing to build.

    backup.py backup  FILE BACKUP
    backup.py restore BACKUP FILE

FILE is a path of Linux or, with NTBAK_DRIVES=C=/mnt/windows, one like C:\\Users\\bob\\x.txt. NTBAK_LIBRARY says where the
library is, when the system does not find it.
"""
import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_int32, c_uint32, c_void_p

ntbak = ctypes.CDLL(os.environ.get("NTBAK_LIBRARY", "libntbak.so.0"))

# Handles are pointers: without their types, ctypes takes them for int and cuts them.
ntbak.ntbak_create_file_a.restype = c_void_p
ntbak.ntbak_create_file_a.argtypes = [c_char_p, c_uint32, c_uint32, c_void_p, c_uint32, c_uint32, c_void_p]
ntbak.ntbak_close_handle.argtypes = [c_void_p]
ntbak.ntbak_get_last_error.restype = c_uint32
ntbak.ntbak_strerror.restype = c_char_p
ntbak.ntbak_finish.argtypes = [POINTER(c_void_p)]
for function in (ntbak.ntbak_backup_read, ntbak.ntbak_backup_write):
    function.argtypes = [c_void_p, c_char_p, c_uint32, POINTER(c_uint32), c_int32, c_int32, POINTER(c_void_p)]

GENERIC_READ, GENERIC_WRITE = 0x80000000, 0x40000000
WRITE_DAC, WRITE_OWNER, ACCESS_SYSTEM_SECURITY = 0x00040000, 0x00080000, 0x01000000
FILE_SHARE_READ, CREATE_ALWAYS, OPEN_EXISTING = 1, 2, 3
FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT = 0x02000000, 0x00200000
INVALID_HANDLE_VALUE = c_void_p(-1).value


def failed(what):
    error = ntbak.ntbak_get_last_error()
    text = ntbak.ntbak_strerror(error).decode()
    return OSError(f"{what}: error {error}: {text}")


def open_file(path, access, disposition, flags=0):
    # As root, the system access control list comes along.
    if os.geteuid() == 0:
        access |= ACCESS_SYSTEM_SECURITY
    flags |= FILE_FLAG_BACKUP_SEMANTICS
    file = ntbak.ntbak_create_file_a(os.fsencode(path), access, FILE_SHARE_READ, None, disposition, flags, None)
    if file == INVALID_HANDLE_VALUE:
        raise failed(path)
    return file


def backup(path, out):
    file = open_file(path, GENERIC_READ, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT)
    context, read, buffer = c_void_p(), c_uint32(), ctypes.create_string_buffer(65536)
    try:
        while True:
            if not ntbak.ntbak_backup_read(file, buffer, len(buffer), byref(read), False, True, byref(context)):
                raise failed(path)
            if read.value == 0:
                return
            out.write(buffer[: read.value])
    finally:
        ntbak.ntbak_backup_read(None, None, 0, None, True, False, byref(context))
        ntbak.ntbak_close_handle(file)


def restore(source, path):
    file = open_file(path, GENERIC_WRITE | WRITE_DAC | WRITE_OWNER, CREATE_ALWAYS)
    context, written = c_void_p(), c_uint32()
    try:
        while data := source.read(65536):
            if not ntbak.ntbak_backup_write(file, data, len(data), byref(written), False, True, byref(context)):
                raise failed(path)
        if context and not ntbak.ntbak_finish(byref(context)):
            raise failed(path)
    finally:
        ntbak.ntbak_backup_write(None, None, 0, None, True, False, byref(context))
        ntbak.ntbak_close_handle(file)


if __name__ == "__main__":
    try:
        verb, source, target = sys.argv[1:]
        if verb == "backup":
            with open(target, "wb") as out:
                backup(source, out)
        elif verb == "restore":
            with open(source, "rb") as backup_file:
                restore(backup_file, target)
        else:
            raise ValueError
    except ValueError:
        sys.exit(__doc__)
    except OSError as error:
        sys.exit(str(error))
