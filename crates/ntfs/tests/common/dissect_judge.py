"""Every file of an NTFS volume, as dissect.ntfs reads it: a JSON line for each record with names and data streams."""
import hashlib
import json
import sys

from dissect.ntfs import NTFS
from dissect.ntfs.c_ntfs import ATTRIBUTE_TYPE_CODE as TYPE


def described(record):
    """What there is of a file; None for records that are free or belong to another."""
    if not record.header.Flags & 1 or record.header.BaseFileRecordSegment.SegmentNumberLowPart:
        return None
    streams = {}
    for attribute in record.attributes.get(TYPE.DATA, []):
        if attribute.name not in streams:
            data = record.open(attribute.name).read()
            streams[attribute.name] = [len(data), hashlib.sha1(data).hexdigest()]
    information = record.attributes[TYPE.STANDARD_INFORMATION][0].attribute
    times = [information.creation_time_ns, information.last_modification_time_ns, information.last_change_time_ns]
    return {"paths": sorted(record.full_paths(ignore_dos=True)), "streams": streams, "times": [str(time) for time in times]}


volume = NTFS(open(sys.argv[1], "rb"))
for record in volume.mft.segments():
    try:
        found = described(record) if record.segment >= 24 else None
    except UnicodeDecodeError:
        # A name with half of a surrogate pair, which Windows takes.
        found = {"refused": True}
    if found:
        print(json.dumps({"rec": record.segment, **found}))
