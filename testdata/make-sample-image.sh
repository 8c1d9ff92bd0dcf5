#!/usr/bin/env bash
# Makes sample.qcow2: an NTFS volume of 4 MiB with one of everything that a copy by other programs loses.
# Needs root, FUSE, ntfs-3g, setfattr, python3 and qemu-img. Times, serial number and so the bytes differ from run to run.
set -euo pipefail
to=$(realpath "${1:-$(dirname "$0")/sample.qcow2}")
dir=$(mktemp -d)
trap 'umount "$dir/mnt" 2>/dev/null || true; rm -rf "$dir"' EXIT
mkdir "$dir/mnt"
truncate -s 4M "$dir/image"
mkntfs -F -Q -q -c 1024 -s 512 -p 0 -H 255 -S 63 -L Sample "$dir/image"
ntfs-3g -o streams_interface=windows,efs_raw,permissions,compression "$dir/image" "$dir/mnt"
python3 - "$dir/mnt" <<'PY'
import os, struct, sys
os.chdir(sys.argv[1])
xattr = os.setxattr
wide = lambda text: text.encode("utf-16-le")

os.makedirs("Users/Bob/Documents")
os.mkdir("Users/Bob/Links")
report = "Users/Bob/Documents/Annual report.txt"
with open(report, "w") as file:
    file.write("All of it: the text, where it is from, who may read it, and when it was written.\n")
with open(report + ":Zone.Identifier", "w") as file:
    file.write("[ZoneTransfer]\r\nZoneId=3\r\nHostUrl=https://example.com/report\r\n")
# Of a file with several names ntfs-3g sets none.
xattr(report, "system.ntfs_dos_name", b"ANNUAL~1.TXT")
os.link(report, "Users/Bob/Links/The same report.txt")

# Everyone reads, administrators do everything, failed writes are audited.
sid = lambda *parts: bytes([1, len(parts) - 1, 0, 0, 0, 0, 0, parts[0]]) + b"".join(struct.pack("<I", p) for p in parts[1:])
everyone, administrators = sid(1, 0), sid(5, 32, 544)
ace = lambda kind, flags, mask, who: struct.pack("<BBHI", kind, flags, 8 + len(who), mask) + who
acl = lambda *aces: struct.pack("<BBHHH", 2, 0, 8 + sum(map(len, aces)), len(aces), 0) + b"".join(aces)
sacl = acl(ace(2, 0x80, 0x116, everyone))
dacl = acl(ace(0, 0, 0x1F01FF, administrators), ace(0, 0, 0x120089, everyone))
at = [20]
for part in (administrators, administrators, sacl, dacl):
    at.append(at[-1] + len(part))
head = struct.pack("<BBHIIII", 1, 0, 0x8014, at[0], at[1], at[2], at[3])
xattr(report, "system.ntfs_acl", head + administrators + administrators + sacl + dacl)
xattr(report, "system.ntfs_object_id", bytes(range(64)))
ea = struct.pack("<IBBH", 20, 0, 6, 5) + b"AUTHOR\0" + b"Alice"
xattr("Users/Bob/Documents", "system.ntfs_ea", ea)

target, shown = wide("..\\Documents"), wide("..\\Documents")
link = struct.pack("<HHHHI", 0, len(target), len(target), len(shown), 1) + target + shown
os.mkdir("Users/Bob/Links/My documents")
xattr("Users/Bob/Links/My documents", "system.ntfs_reparse_data", struct.pack("<IHH", 0xA000000C, len(link), 0) + link)

with open("Users/Bob/disk with holes.bin", "wb") as file:
    file.write(b"begin" * 1000)
    file.seek(700_000)
    file.write(b"end" * 1000)
    file.truncate(1 << 20)
os.mkdir("Users/Bob/Compressed")
xattr("Users/Bob/Compressed", "system.ntfs_attrib", struct.pack("<I", 0x810))
with open("Users/Bob/Compressed/log.txt", "w") as file:
    file.writelines(f"line {number}: nothing happened\n" for number in range(4000))
PY
umount "$dir/mnt"
qemu-img convert -c -O qcow2 -o cluster_size=4096 "$dir/image" "$to"
ls -l "$to"
