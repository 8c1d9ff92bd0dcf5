"""Samba's own Python bindings as a judge. One request on standard input, one answer on standard output, both JSON."""

import base64
import json
import sys

from samba.dcerpc import security, xattr
from samba.ndr import ndr_pack, ndr_unpack

DOMAIN = security.dom_sid("S-1-5-21-1-2-3")


def text(data):
    return base64.b64encode(data).decode()


def connect(asked):
    from samba import credentials
    from samba.samba3 import libsmb_samba_internal, param

    context = param.get_context()
    context.load(asked["conf"])
    who = credentials.Credentials()
    who.guess(context)
    who.set_username("root")
    who.set_password(asked["password"])
    return libsmb_samba_internal.Conn(asked["host"], asked["share"], context, who)


def descriptor(asked):
    """The security descriptor of a file over SMB, with its SACL."""
    found = connect(asked).get_acl(asked["name"], 0xF)
    return {"sd": text(ndr_pack(found)), "sddl": found.as_sddl(DOMAIN)}


def set_descriptor(asked):
    connect(asked).set_acl(asked["name"], security.descriptor.from_sddl(asked["sddl"], DOMAIN), 0xF)
    return {}


def unlink(asked):
    connect(asked).unlink(asked["name"])
    return {}


def read_ntacl(asked):
    value = ndr_unpack(xattr.NTACL, base64.b64decode(asked["value"]))
    found = value.info if value.version == 1 else value.info.sd
    return {"version": value.version, "sd": text(ndr_pack(found)), "sddl": found.as_sddl(DOMAIN)}


def pack_ntacl(asked):
    given = security.descriptor.from_sddl(asked["sddl"], DOMAIN)
    value = xattr.NTACL()
    value.version = asked["version"]
    if value.version == 1:
        value.info = given
    else:
        info = [None, None, xattr.security_descriptor_hash_v2, xattr.security_descriptor_hash_v3,
                xattr.security_descriptor_hash_v4][value.version]()
        info.sd = given
        if value.version == 2:
            info.hash = [7] * 16
        else:
            info.hash_type = asked["hash_type"]
            info.hash = [7] * 64
        if value.version == 4:
            info.description = asked["description"]
            info.time = 133_000_000_000_000_000
            info.sys_acl_hash = [9] * 64
        value.info = info
    return {"value": text(ndr_pack(value)), "sd": text(ndr_pack(given))}


def read_dosattrib(asked):
    value = ndr_unpack(xattr.DOSATTRIB, base64.b64decode(asked["value"]))
    if value.version == 0xFFFF:
        return {"version": value.version, "text": value.attrib_hex}
    info = value.info
    return {"version": value.version, "text": value.attrib_hex, "valid": info.valid_flags,
            "attributes": info.attrib, "created": info.create_time}


def pack_dosattrib(asked):
    value = xattr.DOSATTRIB()
    value.version = asked["version"]
    value.attrib_hex = asked.get("text", "")
    if value.version != 0xFFFF:
        info = {1: xattr.DosInfo1, 2: xattr.DosInfo2Old, 3: xattr.DosInfo3, 4: xattr.DosInfo4,
                5: xattr.DosInfo5}[value.version]()
        for field, number in asked["fields"].items():
            setattr(info, field, number)
        value.info = info
    return {"value": text(ndr_pack(value))}


asked = json.load(sys.stdin)
print(json.dumps(globals()[asked["do"]](asked)))
