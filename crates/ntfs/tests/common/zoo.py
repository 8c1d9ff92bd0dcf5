#!/usr/bin/env python3
"""Fills a mounted NTFS volume with files of every kind. usage: zoo.py MOUNTPOINT tiny|small|large"""
import os, random, struct, sys

root, size = sys.argv[1:3]
large = size == "large"
def pick(tiny, small, big):
    return {"tiny": tiny, "small": small, "large": big}[size]
os.chdir(root)
R = random.Random(20261121)
xattr = os.setxattr

def write(path, data, mode="wb"):
    with open(path, mode) as f:
        f.write(data)

def sid(*sub):
    return struct.pack("<BB6s", 1, len(sub), b"\0\0\0\0\0\5") + b"".join(struct.pack("<I", s) for s in sub)

def descriptor(aces, user):
    body = b"".join(struct.pack("<BBHI", 0, 3, 8 + len(s), 0x1F01FF) + s for s in aces)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(body), len(aces), 0) + body
    owner = sid(21, 1, 2, 3, user)
    at = 20 + len(acl)
    return struct.pack("<BBHIIII", 1, 0, 0x9004, at, at + len(owner), 0, 20) + acl + owner + sid(32, 544)

def ea(*pairs):
    out = b""
    for name, value, flags in pairs:
        n = 9 + len(name) + len(value)
        out += struct.pack("<IBBH", n + -n % 4, flags, len(name), len(value)) + name + b"\0" + value + b"\0" * (-n % 4)
    return out

# Sizes round the borders of residence, sectors and clusters.
os.mkdir("sizes")
for n in [0, 700, 65537] if size == "tiny" else [0, 1, 2, 199, 400, 500, 600, 640, 650, 660, 670, 680, 690, 700, 710, 720, 800, 3000, 3700, 4095, 4096, 4097, 65535, 65536, 65537, 300001]:
    write(f"sizes/{n}", R.randbytes(n))

# Named streams: none, resident, large, on directories, very many.
os.mkdir("streams")
write("streams/file", b"content")
write("streams/file:empty", b"")
write("streams/file:resident", b"resident")
write("streams/file:large", R.randbytes(3 << 20 if large else 90_001))
write("streams/file:Ünï-😀", b"name")
os.mkdir("streams/dir")
write("streams/dir:on a directory", b"of a directory")
write("streams/many", b"unnamed")
for i in range(pick(14, 60, 400)):
    write(f"streams/many:stream {i:04} with a name that fills records", bytes([i & 255]) * (i % 90))

# Extended attributes, object ids, reparse points, descriptors.
os.mkdir("facts")
write("facts/ea one", b"")
xattr("facts/ea one", "system.ntfs_ea", ea((b"ONE", b"value", 0)))
write("facts/ea more", b"x")
xattr("facts/ea more", "system.ntfs_ea", ea((b"NEEDED", b"", 0x80), (b"BIG", R.randbytes(9000), 0), (b"$LXUID", b"\1\0\0\0", 0)))
for i in range(pick(4, 40, 40)):
    write(f"facts/id{i}", b"id")
    xattr(f"facts/id{i}", "system.ntfs_object_id", R.randbytes(64 if i % 2 else 16))
write("facts/private reparse", b"content stays")
xattr("facts/private reparse", "system.ntfs_reparse_data", struct.pack("<IHH", 0x4242, 500, 0) + bytes(range(16)) + R.randbytes(500))
write("facts/big reparse", b"")
xattr("facts/big reparse", "system.ntfs_reparse_data", struct.pack("<IHH", 0x4243, 16000, 0) + bytes(range(16)) + R.randbytes(16000))
target = "\\??\\C:\\target".encode("utf-16-le")
shown = "C:\\target".encode("utf-16-le")
junction = struct.pack("<HHHH", 0, len(target), len(target) + 2, len(shown)) + target + b"\0\0" + shown + b"\0\0"
os.mkdir("facts/junction")
xattr("facts/junction", "system.ntfs_reparse_data", struct.pack("<IHH", 0xA0000003, len(junction), 0) + junction)
for i in range(pick(5, 60, 60)):
    write(f"facts/sd{i}", b"")
    aces = [sid(21, 7, 7, 7, 1000 + k) for k in range(i % 30 + 1)]
    xattr(f"facts/sd{i}", "system.ntfs_acl", descriptor(aces, i))
for i in range(pick(1, 4, 160)):
    write(f"facts/large sd{i}", b"")
    xattr(f"facts/large sd{i}", "system.ntfs_acl", descriptor([sid(21, 8, 8, i, k) for k in range(100)], i))
for i, bits in enumerate([0x1, 0x2, 0x4, 0x20, 0x100, 0x1000, 0x2000, 0x2127]):
    write(f"facts/attributes{i}", b"")
    xattr(f"facts/attributes{i}", "system.ntfs_attrib", struct.pack("<I", bits))
for i, t in enumerate([0, 1, 132_000_000_012_345_678, (1 << 63) - 1]):
    write(f"facts/times{i}", b"")
    xattr(f"facts/times{i}", "system.ntfs_times", struct.pack("<QQQ", t, t, t))

# Names: links in one directory and across, 8.3 names, long, deep, odd.
os.mkdir("names")
write("names/first", b"linked")
for i in range(pick(12, 30, 100)):
    os.link("names/first", f"names/link {i:03} with a long name that fills records")
os.mkdir("names/other")
os.link("names/first", "names/other/across")
for i in range(pick(3, 20, 20)):
    write(f"names/a long name of file {i}", b"short")
    xattr(f"names/a long name of file {i}", "system.ntfs_dos_name", f"ALONG~{i}.TXT".encode())
os.mkdir("names/a long directory name")
xattr("names/a long directory name", "system.ntfs_dos_name", b"ALONGD~1")
write("names/" + "n" * 255, b"255")
write("names/" + "ß" * 120, b"two bytes each")
for name in [b"trailing dot.", b"trailing space ", b"colon in \xef\xbc\x9a", b"CON", b"$MFT", b"a\\b", b"unpaired \xed\xa0\xbd high", b"unpaired \xed\xb8\x80 low", "😀".encode()]:
    try:
        write(b"names/" + name, name)
    except OSError as e:
        print(f"not made: {name} ({e})")
write("$MFT in the root", b"")
deep = "names"
for i in range(pick(3, 20, 60)):
    deep += f"/d{i}"
    os.mkdir(deep)
write(deep + "/deepest", b"deep")
for name in ["case", "Case", "CASE"]:
    write("names/" + name, name.encode())

# A directory of many names, and an empty one.
os.mkdir("empty")
os.mkdir("many")
for i in range(pick(60, 400, 3000)):
    write(f"many/file number {i:05}", b"%d" % i if i % 7 else b"")

# Sparse files: holes first, in the middle, last, only; valid data length below the size.
os.mkdir("sparse")
def sparse(name, length, *pieces):
    with open("sparse/" + name, "wb") as f:
        for at, data in pieces:
            f.seek(at)
            f.write(data)
        f.truncate(length)
sparse("only a hole", 1 << 20)
sparse("hole first", (1 << 20) + 5, (1 << 20, b"12345"))
sparse("hole in the middle", 3 << 20, (0, b"begin" * 100), ((3 << 20) - 9, b"the end.."))
sparse("hole last", 2 << 20, (0, R.randbytes(5000)))
pieces = pick(20, 400, 700)
# More runs than a record holds: they go on in extension records.
sparse("many holes", pieces * 65536, *[(i * 65536, R.randbytes(3000)) for i in range(pieces)])
write("sparse/owner", b"plain")
with open("sparse/owner:sparse stream", "wb") as f:
    f.seek(300_000)
    f.write(b"end")

# Fragments: free places between small files are all that is left for a large one.
os.mkdir("fragments")
count, each = pick((24, 2048), (300, 2048), (3000, 4096))
for i in range(count):
    write(f"fragments/{i}", R.randbytes(each))
for i in range(0, count, 2):
    os.remove(f"fragments/{i}")
files = [open(f"fragments/interleaved{i}", "wb", buffering=0) for i in range(4)]
for i in range(pick(40, 150, 600)):
    files[i % 4].write(R.randbytes(each))
    if i % 4 == 3:
        write(f"fragments/between{i}", R.randbytes(each))
for f in files:
    f.close()

# Compressed, where the volume can.
try:
    os.mkdir("compressed")
    xattr("compressed", "system.ntfs_attrib", struct.pack("<I", 0x800))
    write("compressed/text", b"the same again and again. " * 20_000)
    write("compressed/random", R.randbytes(200_000))
    write("compressed/small", b"resident")
except OSError as e:
    print(f"no compression: {e}")

# What was deleted leaves records behind.
os.mkdir("gone")
for i in range(50):
    write(f"gone/{i}", b"deleted")
for i in range(50):
    os.remove(f"gone/{i}")
os.rmdir("gone")
