//! Tests of the binary forms. Vectors are from \[MS-DTYP\] 2.5.1.4 and \[MS-BKUP\] 3, or written out by hand.

use super::*;
use crate::Win32Error;

/// Owner and group as in \[MS-BKUP\] 3: at 0x14 and 0x30, the DACL at 0x4C, 0xBC bytes in all, Control 0x8004.
fn backup_example() -> Vec<u8> {
    let user = SidBuf::new(5, &[21, 1, 2, 3, 1000]).unwrap();
    let group = SidBuf::new(5, &[21, 1, 2, 3, 513]).unwrap();
    let mut acl = AclBuilder::new();
    for sid in [
        &user,
        &"S-1-5-18".parse().unwrap(),
        &"S-1-5-32-544".parse().unwrap(),
        &"S-1-5-32-545".parse().unwrap(),
    ] {
        let ace = simple(AceType::AccessAllowed, AccessMask::FILE_ALL_ACCESS, sid.as_sid());
        acl.push(Ace::split(&ace).unwrap().0);
    }
    let acl = acl.build().unwrap();
    let mut bytes = vec![1, 0, 0x04, 0x80, 0x14, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x4C, 0, 0, 0];
    bytes.extend(user.as_sid().bytes());
    bytes.extend(group.as_sid().bytes());
    bytes.extend(acl);
    assert_eq!(bytes.len(), 0xBC);
    bytes
}

fn simple(ace_type: AceType, mask: AccessMask, sid: Sid<'_>) -> Vec<u8> {
    AceBody { mask, object: None, sid, data: &[] }.build(ace_type, AceFlags::empty()).unwrap()
}

fn with(mut bytes: Vec<u8>, offset: usize, new: &[u8]) -> Vec<u8> {
    bytes[offset..offset + new.len()].copy_from_slice(new);
    bytes
}

#[track_caller]
fn assert_1338(bytes: &[u8], offset: u64) {
    let error = SecurityDescriptor::parse(bytes).unwrap_err();
    assert_eq!(error.win32(), Win32Error::INVALID_SECURITY_DESCR, "{error}");
    assert_eq!(error.win32().0, 1338);
    assert_eq!(error.offset, offset, "{error}");
}

#[test]
fn the_example_of_ms_bkup_parses() {
    let bytes = backup_example();
    let sd = SecurityDescriptor::parse(&bytes).unwrap();
    assert_eq!(sd.control(), Control::SELF_RELATIVE | Control::DACL_PRESENT);
    assert_eq!(sd.owner().unwrap().to_string(), "S-1-5-21-1-2-3-1000");
    assert_eq!(sd.group().unwrap().to_string(), "S-1-5-21-1-2-3-513");
    assert_eq!(sd.sacl(), AclPart::Absent);
    let sids: Vec<_> =
        sd.dacl().acl().unwrap().aces().map(|ace| ace.body().unwrap().sid.well_known()).collect();
    let names = [None, Some("NT AUTHORITY\\SYSTEM"), Some("BUILTIN\\Administrators"), Some("BUILTIN\\Users")];
    assert_eq!(sids, names);
    assert_eq!(sd.used_len(), 0xBC);
    assert_eq!(sd.bytes(), bytes);
}

#[test]
fn bs_51_wrong_descriptors_are_1338() {
    let good = backup_example();
    // Cut anywhere.
    for len in 0..good.len() {
        let error = SecurityDescriptor::parse(&good[..len]).unwrap_err();
        assert_eq!(error.win32().0, 1338, "{len}: {error}");
    }
    // Revision 2; not self-relative.
    assert_1338(&with(good.clone(), 0, &[2]), 0);
    assert_1338(&with(good.clone(), 2, &[4, 0]), 2);
    // Offsets outside, and in the fixed part.
    for field in [4, 8, 12, 16] {
        for offset in [1_u32, 19, 0xBD, 0x8000_0000, u32::MAX] {
            assert_1338(&with(good.clone(), field, &offset.to_le_bytes()), field as u64);
        }
    }
    // A SID that goes beyond the end, one with 16 sub-authorities, one with revision 2.
    assert_1338(&with(good.clone(), 4, &[0xB8]), 0xB8);
    assert_1338(&with(good.clone(), 0x15, &[16]), 0x15);
    assert_1338(&with(good.clone(), 0x30, &[2]), 0x30);
    // The ACL: revision, AclSize below the header, beyond the end, too small for its ACEs, one ACE too many.
    assert_1338(&with(good.clone(), 0x4C, &[1]), 0x4C);
    assert_1338(&with(good.clone(), 0x4C, &[5]), 0x4C);
    assert_1338(&with(good.clone(), 0x4E, &[7, 0]), 0x4E);
    assert_1338(&with(good.clone(), 0x4E, &[0x74, 0]), 0x4C);
    assert_1338(&with(good.clone(), 0x4E, &[0x6C, 0]), 0xA4);
    assert_1338(&with(good.clone(), 0x50, &[5, 0]), 0xBC);
    // The first ACE: AceSize below the header, odd, beyond the ACL, too small for its SID; SID with 15 of 5.
    assert_1338(&with(good.clone(), 0x56, &[0, 0]), 0x56);
    assert_1338(&with(good.clone(), 0x56, &[0x26, 0]), 0x56);
    assert_1338(&with(good.clone(), 0x56, &[0x70, 0]), 0x54);
    assert_1338(&with(good.clone(), 0x56, &[0x20, 0]), 0x5C);
    assert_1338(&with(good.clone(), 0x5D, &[15]), 0x5C);
    // The same ACE as an object ACE: its SID would be where there is none.
    assert_1338(&with(good.clone(), 0x54, &[5]), 0x70);
    assert_1338(&vec![0; SecurityDescriptor::MAX_LEN + 1], 0);
}

#[test]
fn what_has_no_meaning_is_kept() {
    // Sbz1, both reserved fields of the ACL, and bytes behind the last part.
    let mut bytes = with(with(with(backup_example(), 1, &[9]), 0x4D, &[8]), 0x52, &[7, 6]);
    bytes.extend(b"behind");
    let sd = SecurityDescriptor::parse(&bytes).unwrap();
    assert_eq!(sd.bytes(), bytes);
    assert_eq!(sd.used_len(), 0xBC);
    assert_eq!(sd.resource_manager(), 9);
    assert_eq!(sd.dacl().acl().unwrap().bytes(), &bytes[0x4C..0xBC]);
    // A DACL whose present bit is clear is not looked at.
    let absent = with(with(backup_example(), 2, &[0, 0x80]), 0x4C, &[99]);
    let sd = SecurityDescriptor::parse(&absent).unwrap();
    assert_eq!((sd.dacl(), sd.used_len()), (AclPart::Absent, 0x4C));
}

#[test]
fn a_null_acl_is_not_an_empty_one() {
    let empty = AclBuilder::new().build().unwrap();
    assert_eq!(empty, [2, 0, 8, 0, 0, 0, 0, 0]);
    let empty = AclPart::Acl(Acl::split(&empty).unwrap().0);
    for dacl in [AclPart::Absent, AclPart::Null, empty] {
        let bytes = SecurityDescriptorBuilder { dacl, ..Default::default() }.build();
        let sd = SecurityDescriptor::parse(&bytes).unwrap();
        assert_eq!(sd.dacl(), dacl);
        assert_eq!(sd.parts().contains(SecurityInformation::DACL), dacl != AclPart::Absent);
    }
}

#[test]
fn unknown_ace_types_pass_through() {
    let mut acl = AclBuilder::new();
    for ace in [&[0x77, 0xFF, 4, 0][..], &[0x04, 0, 8, 0, 1, 2, 3, 4]] {
        acl.push(Ace::split(ace).unwrap().0);
    }
    let acl = acl.build().unwrap();
    assert_eq!(acl[0], 3, "a compound ACE needs revision 3");
    let aces: Vec<_> = Acl::split(&acl).unwrap().0.aces().collect();
    assert_eq!((aces[0].ace_type(), aces[0].flags().bits()), (AceType::Unknown(0x77), 0xFF));
    assert_eq!((aces[1].ace_type(), aces[1].payload()), (AceType::AccessAllowedCompound, &[1, 2, 3, 4][..]));
    assert!(aces.iter().all(|ace| ace.body().is_none()));
    for code in 0..=255 {
        assert_eq!(AceType::from(code).code(), code);
    }
}

#[test]
fn object_aces_have_the_guids_that_their_flags_say() {
    let guid = |byte| crate::object_id::Guid([byte; 16]);
    let sid = SidBuf::new(1, &[0]).unwrap();
    for (object_type, inherited_object_type, len) in [
        (None, None, 24),
        (Some(guid(1)), None, 40),
        (None, Some(guid(2)), 40),
        (Some(guid(1)), Some(guid(2)), 56),
    ] {
        let flags = ObjectFlags::from_bits_retain(0x8000_0000);
        let object = Some(ObjectTypes { flags, object_type, inherited_object_type });
        let body = AceBody { mask: AccessMask::DELETE, object, sid: sid.as_sid(), data: b"12345" };
        let bytes = body.build(AceType::AccessDeniedCallbackObject, AceFlags::INHERITED).unwrap();
        assert_eq!(bytes.len(), len + 8);
        let read = Ace::split(&bytes).unwrap().0.body().unwrap();
        assert_eq!((read.mask, read.sid, read.data), (body.mask, body.sid, &b"12345\0\0\0"[..]));
        let types = read.object.unwrap();
        assert_eq!((types.object_type, types.inherited_object_type), (object_type, inherited_object_type));
        assert!(types.flags.contains(flags));
    }
}

#[test]
fn bodies_that_are_cut_are_errors() {
    let object = [5, 0, 20, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1];
    for ace in [&object[..], &[0, 0, 4, 0], &[0, 0, 12, 0, 0, 0, 0, 0, 1, 1, 0, 0], &[5, 0, 8, 0, 0, 0, 0, 0]]
    {
        assert!(Ace::split(ace).is_err(), "{ace:?}");
    }
    // The same bytes with a type that is not known.
    for code in [0x04, 0x16, 0xFF] {
        let mut ace = object;
        ace[0] = code;
        assert_eq!(Ace::split(&ace).unwrap().0.bytes(), ace);
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let sid = SidBuf::new(1, &[0]).unwrap();
    let body = |data| AceBody { mask: AccessMask::empty(), object: None, sid: sid.as_sid(), data };
    let largest = body(&[0; 65_512]).build(AceType::AccessAllowedCallback, AceFlags::empty()).unwrap();
    assert_eq!(Ace::split(&largest).unwrap().0.bytes().len(), 65_532);
    assert!(body(&[0; 65_513]).build(AceType::AccessAllowedCallback, AceFlags::empty()).is_err());
    assert!(body(&[]).build(AceType::Unknown(0x40), AceFlags::empty()).is_err());
    let mut acl = AclBuilder::new();
    acl.push(Ace::split(&largest).unwrap().0);
    assert!(acl.build().is_err());
    assert!(SidBuf::new(1 << 48, &[]).is_err());
    assert!(SidBuf::new(5, &[0; 16]).is_err());
}

/// All of `O`, `G`, `D`, `S`, with every bit of the SACL set, in the order group, SACL, owner, DACL.
fn with_sacl() -> Vec<u8> {
    let mut bytes = vec![1, 0, 0x34, 0xAA, 0x4C, 0, 0, 0, 0x14, 0, 0, 0, 0x20, 0, 0, 0, 0x58, 0, 0, 0];
    bytes.extend(*b"\x01\x01\0\0\0\0\0\x05\x12\0\0\0"); // group SY at 0x14
    bytes.extend([2, 0, 0x24, 0, 1, 0, 0, 0, 0x11, 0, 0x14, 0, 1, 0, 0, 0]); // SACL (ML;;NW;;;LW) at 0x20
    bytes.extend(*b"\x01\x01\0\0\0\0\0\x10\0\x10\0\0");
    bytes.extend([0xEE; 8]); // bytes behind its last ACE
    bytes[0x22] = 0x24;
    bytes.extend([0xDD; 8]); // bytes between two parts
    bytes.extend(*b"\x01\x01\0\0\0\0\0\x01\0\0\0\0"); // owner WD at 0x4C
    bytes.extend([2, 0, 8, 0, 0, 0, 0, 0]); // DACL at 0x58
    bytes
}

#[test]
fn bs_36_the_sacl_is_left_out() {
    let bytes = with_sacl();
    let sd = SecurityDescriptor::parse(&bytes).unwrap();
    assert!(sd.control().contains(Control::SACL));
    let without = sd.without_sacl();
    let expected = [
        &[1, 0, 0x04, 0x80, 0x20, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0, 0, 0x2C, 0, 0, 0][..],
        b"\x01\x01\0\0\0\0\0\x05\x12\0\0\0",
        b"\x01\x01\0\0\0\0\0\x01\0\0\0\0",
        &[2, 0, 8, 0, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(without, expected);
    assert_eq!(SecurityDescriptor::parse(&without).unwrap().parts(), sd.parts() - SecurityInformation::SACL);

    // Nothing said about a SACL: byte for byte, with what lies behind.
    let mut plain = backup_example();
    plain.extend(b"behind");
    assert_eq!(SecurityDescriptor::parse(&plain).unwrap().without_sacl(), plain);
    // The bit alone, for a NULL SACL, and an offset without the bit: both go.
    let null = with(backup_example(), 2, &[0x14]);
    assert_eq!(SecurityDescriptor::parse(&null).unwrap().without_sacl(), backup_example());
    let stale = with(backup_example(), 12, &[0x4C]);
    assert_eq!(SecurityDescriptor::parse(&stale).unwrap().without_sacl(), backup_example());
}

#[test]
fn merging_keeps_the_sacl_of_the_object() {
    let (old, new) = (with_sacl(), backup_example());
    let old = SecurityDescriptor::parse(&old).unwrap();
    let new = SecurityDescriptor::parse(&new).unwrap();
    let parts = SecurityInformation::OWNER | SecurityInformation::GROUP | SecurityInformation::DACL;

    let merged = SecurityDescriptor::merge(Some(&old), &new, parts);
    let sd = SecurityDescriptor::parse(&merged).unwrap();
    assert_eq!((sd.owner(), sd.group(), sd.dacl()), (new.owner(), new.group(), new.dacl()));
    assert_eq!(sd.sacl(), old.sacl());
    assert_eq!(sd.control(), new.control() | old.control() & Control::SACL);
    // The new parts lie as they did.
    assert_eq!(merged[20..0xBC], new.bytes()[20..]);

    // Without an object, and with all parts, the result is what was given.
    assert_eq!(SecurityDescriptor::merge(None, &new, parts), new.bytes());
    assert_eq!(SecurityDescriptor::merge(Some(&old), &new, SecurityInformation::all()), new.bytes());
    // Nothing asked for: the old one, without the bytes between its parts.
    let same = SecurityDescriptor::merge(Some(&old), &new, SecurityInformation::empty());
    let same = SecurityDescriptor::parse(&same).unwrap();
    assert_eq!((same.owner(), same.group(), same.dacl()), (old.owner(), old.group(), old.dacl()));
    assert_eq!((same.sacl(), same.control()), (old.sacl(), old.control()));
    // A part that is named and not there is taken away; naming those that are there keeps it.
    let no_owner = SecurityDescriptorBuilder { dacl: AclPart::Null, ..Default::default() }.build();
    let no_owner = SecurityDescriptor::parse(&no_owner).unwrap();
    let taken = SecurityDescriptor::merge(Some(&old), &no_owner, parts);
    assert_eq!(SecurityDescriptor::parse(&taken).unwrap().owner(), None);
    let kept = SecurityDescriptor::merge(Some(&old), &no_owner, parts & no_owner.parts());
    let kept = SecurityDescriptor::parse(&kept).unwrap();
    assert_eq!((kept.owner(), kept.dacl()), (old.owner(), AclPart::Null));
}

#[test]
fn sids_as_text() {
    for (text, bytes) in [
        ("S-1-5-32-544", &b"\x01\x02\0\0\0\0\0\x05\x20\0\0\0\x20\x02\0\0"[..]),
        ("S-1-5", b"\x01\0\0\0\0\0\0\x05"),
        ("S-1-4294967295-4294967295", b"\x01\x01\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        ("S-1-0x000100000000-1", b"\x01\x01\0\x01\0\0\0\0\x01\0\0\0"),
        ("S-1-0xffffffffffff", b"\x01\0\xFF\xFF\xFF\xFF\xFF\xFF"),
    ] {
        let sid: SidBuf = text.parse().unwrap();
        assert_eq!(sid.as_sid().bytes(), bytes);
        assert_eq!(sid.to_string(), text);
        assert_eq!(Sid::parse(bytes).unwrap().to_buf(), sid);
    }
    for text in [
        "",
        "S",
        "S-1",
        "S-1-",
        "S-2-5-18",
        "S-1-5-",
        "S-1-5--1",
        "S-1-5-4294967296",
        "S-1-281474976710656",
        "S-1-5-18 ",
        "S-1-0x",
        "S-1-0x1000000000000-1",
        "BA",
        "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
        "S-1-5-0x12",
        "S-1-é",
    ] {
        assert!(text.parse::<SidBuf>().is_err(), "{text}");
    }
}

#[test]
fn aliases_of_sids() {
    let alias = |text: &str| SidBuf::from_alias(text, None).map(|sid| sid.to_string());
    assert_eq!(alias("BA").unwrap(), "S-1-5-32-544");
    assert_eq!(alias("sy").unwrap(), "S-1-5-18");
    assert_eq!(alias("UD").unwrap(), "S-1-5-84-0-0-0-0-0");
    assert_eq!(alias("HI").unwrap(), "S-1-16-12288");
    assert!(alias("ZZ").is_err() && alias("").is_err());
    let error = alias("DA").unwrap_err().to_string();
    assert!(error.contains("domain"), "{error}");

    let domain: SidBuf = "S-1-5-21-1-2-3".parse().unwrap();
    let alias = |text: &str| SidBuf::from_alias(text, Some(domain.as_sid())).map(|sid| sid.to_string());
    assert_eq!(alias("DA").unwrap(), "S-1-5-21-1-2-3-512");
    assert_eq!(alias("RO").unwrap(), "S-1-5-21-1-2-3-498");
    assert_eq!(alias("BA").unwrap(), "S-1-5-32-544");
    let full = SidBuf::new(5, &[0; 15]).unwrap();
    assert!(SidBuf::from_alias("DA", Some(full.as_sid())).is_err());
    // No alias stands for two SIDs, and each is given back.
    for first in b'A'..=b'Z' {
        for second in b'A'..=b'Z' {
            let letters = String::from_utf8(vec![first, second]).unwrap();
            if let Ok(sid) = SidBuf::from_alias(&letters, None) {
                assert_eq!(sid.as_sid().alias(), Some(letters.as_str()));
            }
        }
    }
}
