#!/bin/bash
# Makes an NTFS volume for bench/images.py: many small files, some with named streams and EAs, and a few large ones.
# Names, content and sizes are the same each time. Root, mkntfs, ntfs-3g and python3 are needed.
# usage: bench/make-volume.sh IMAGE [FILES=50000] [LARGE_MIB=600]
set -euo pipefail
image=$1 files=${2:-50000} large=${3:-600}
truncate -s 0 "$image"
truncate -s "$((files / 50 + large * 3 / 2 + 64))M" "$image"
mkntfs -F -Q -q -c 4096 -s 512 -p 0 -H 255 -S 63 "$image" >/dev/null 2>&1
root=$(mktemp -d)
ntfs-3g -o streams_interface=windows,permissions "$image" "$root"
trap 'umount "$root"; rmdir "$root"' EXIT
python3 - "$root" "$files" "$large" <<'PY'
import os, random, struct, sys
root, files, large = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(1)
pool = chance.randbytes(4 << 20)
os.chdir(root)
for number in range(500):
    os.makedirs(f"dir{number // 20:02}/sub{number % 20:02}")
for number in range(files):
    path = f"dir{number % 500 // 20:02}/sub{number % 20:02}/file{number:06}.dat"
    at = chance.randrange(len(pool) - 16384)
    with open(path, "wb") as file:
        file.write(pool[at:at + chance.randint(200, 16384)])
    if number % 20 == 0:
        with open(path + ":Zone.Identifier", "wb") as file:
            file.write(b"[ZoneTransfer]\r\nZoneId=3\r\n")
    if number % 100 == 1:
        value = struct.pack("<IBBH", 0, 0, 6, 4) + b"$LXUID\0" + struct.pack("<I", number)
        value += b"\0" * (-len(value) % 4)
        os.setxattr(path, "system.ntfs_ea", struct.pack("<I", len(value)) + value[4:])
    if number % 250 == 10:
        os.link(path, f"dir00/link{number:06}")
for number in range(3):
    with open(f"large{number}", "wb") as file:
        for _ in range(large // 3):
            at = chance.randrange(len(pool) - (1 << 20))
            file.write(pool[at:at + (1 << 20)])
PY
