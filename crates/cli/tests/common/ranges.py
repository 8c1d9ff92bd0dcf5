"""usage: ranges.py DUMPER IMAGE NAME: size of a file of the root, and its ranges that are no holes: offset, length, hash.
Reads the image with the classes of dump-ntfs.py, but holds one run at a time: files may be larger than memory."""
import hashlib, importlib.util, json, struct, sys

spec = importlib.util.spec_from_file_location("dumper", sys.argv[1])
dumper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dumper)
volume = dumper.Vol(sys.argv[2])
base, records = None, []
for number in range(16, volume.n):
    record = volume.record(number)
    if not record or not struct.unpack_from("<H", record, 22)[0] & 1:
        continue
    of = struct.unpack_from("<Q", record, 32)[0] & 0xFFFFFFFFFFFF or number
    records.append((of, record))
    for attribute in volume.attrs(record):
        if attribute[0] == 0x30:
            name = attribute[4][66 : 66 + 2 * attribute[4][64]].decode("utf-16-le", "replace")
            if name == sys.argv[3]:
                base = of
pieces = []
for of, record in records:
    if of == base:
        pieces += [a for a in volume.attrs(record) if a[0] == 0x80 and a[1] == "" and a[2]]
pieces.sort(key=lambda a: a[3][3])
at, out, end, digest = 0, [], None, None
for lcn, count in sum((volume.runs(a) for a in pieces), []):
    length = count * volume.cl
    if lcn is not None:
        if at != end:
            digest = hashlib.sha1()
            out.append([at, 0, ""])
        begin = volume.o + lcn * volume.cl
        digest.update(volume.m[begin : begin + length])
        out[-1] = [out[-1][0], out[-1][1] + length, digest.hexdigest()]
        end = at + length
    at += length
print(json.dumps({"size": pieces[0][3][1], "ranges": out}))
