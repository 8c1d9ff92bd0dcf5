//! Property tests: text gives the bytes back, and nothing that is put in makes anything panic.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    object_id::Guid,
    security::{
        AccessMask, Ace, AceBody, AceFlags, AceType, Acl, AclBuilder, AclPart, Control, ObjectFlags,
        ObjectTypes, SecurityDescriptor, SecurityDescriptorBuilder, SecurityInformation, SidBuf,
    },
};

fn any_sid() -> impl Strategy<Value = SidBuf> {
    let numbers = prop_oneof![0..600_u32, any::<u32>()];
    let any = (prop_oneof![0..20_u64, 0..1_u64 << 48], vec(numbers, 0..=15));
    let any = any.prop_map(|(authority, numbers)| SidBuf::new(authority, &numbers).unwrap());
    let known = prop::sample::select(vec!["BA", "SY", "WD", "UD", "LW", "CO", "AC"]);
    prop_oneof![any, known.prop_map(|alias| SidBuf::from_alias(alias, None).unwrap())]
}

fn sized(code: u8, content: &[u8]) -> Vec<u8> {
    [&[code][..], &(content.len() as u32).to_le_bytes(), content].concat()
}

fn any_string() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof!["[a-zA-Z:./_]{1,8}", "[ -~]{0,8}", "\\PC{0,4}"];
    let text = text.prop_map(|text| text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    prop_oneof![8 => text, 1 => vec(any::<u8>(), 0..9)]
}

/// A literal that is not a composite.
fn any_literal() -> impl Strategy<Value = Vec<u8>> {
    let integer = (prop_oneof![9 => Just(4_u8), 1 => 1..=3_u8], any::<i64>(), 0..5_u8, 0..5_u8);
    prop_oneof![
        integer.prop_map(|(code, value, sign, base)| [&[code][..], &value.to_le_bytes(), &[sign, base]].concat()),
        (-9..9_i64, 1..4_u8)
            .prop_map(|(value, base)| [&[4][..], &value.to_le_bytes(), &[if value < 0 { 2 } else { 3 }, base]].concat()),
        any_string().prop_map(|content| sized(0x10, &content)),
        vec(any::<u8>(), 0..5).prop_map(|content| sized(0x18, &content)),
        any_sid().prop_map(|sid| sized(0x51, sid.as_sid().bytes())),
    ]
}

fn any_attribute() -> impl Strategy<Value = Vec<u8>> {
    (0xF8..=0xFB_u8, any_string()).prop_map(|(code, name)| sized(code, &name))
}

/// Whole conditions, most of them well-formed.
fn any_condition() -> impl Strategy<Value = Vec<u8>> {
    let value =
        prop_oneof![any_literal(), vec(any_literal(), 0..4).prop_map(|list| sized(0x50, &list.concat()))];
    let relation =
        prop::sample::select((0x80..=0x8F).filter(|code| !(0x89..=0x8D).contains(code)).collect::<Vec<u8>>());
    let member = prop::sample::select(vec![0x89, 0x8A, 0x8B, 0x8C, 0x90, 0x91, 0x92, 0x93_u8]);
    let sids = vec(any_sid(), 0..3).prop_map(|sids| {
        sized(0x50, &sids.iter().flat_map(|sid| sized(0x51, sid.as_sid().bytes())).collect::<Vec<_>>())
    });
    let term = prop_oneof![
        any_attribute(),
        (any_attribute(), prop_oneof![value, any_attribute()], relation).prop_map(|(left, right, code)| [
            left,
            right,
            vec![code]
        ]
        .concat()),
        (sids, member).prop_map(|(sids, code)| [sids, vec![code]].concat()),
        (any_attribute(), prop_oneof![Just(0x87), Just(0x8D)])
            .prop_map(|(name, code)| [name, vec![code]].concat()),
    ];
    term.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), prop_oneof![Just(0xA0), Just(0xA1)])
                .prop_map(|(left, right, code)| [left, right, vec![code]].concat()),
            inner.prop_map(|inner| [inner, vec![0xA2]].concat()),
        ]
    })
    .prop_map(|tokens| [b"artx".to_vec(), tokens].concat())
}

/// Attribute data, in the usual arrangement or one close to it.
fn any_claim() -> impl Strategy<Value = Vec<u8>> {
    let code = prop::sample::select(vec![1, 2, 3, 5, 6, 16, 4_u16]);
    let values = vec((any_string(), 0..3_u64, any_sid()), 0..4);
    (code, any_string(), any::<u32>(), values, 0..8_u32).prop_map(|(code, name, flags, values, shift)| {
        let values: Vec<Vec<u8>> = values
            .into_iter()
            .map(|(text, number, sid)| match code {
                3 => [text, vec![0, 0]].concat(),
                5 => sized(0, sid.as_sid().bytes())[1..].to_vec(),
                16 => sized(0, &text)[1..].to_vec(),
                _ => number.to_le_bytes().to_vec(),
            })
            .collect();
        let start = 16 + 4 * values.len() as u32;
        let mut out = [start.to_le_bytes().to_vec(), code.to_le_bytes().to_vec(), vec![0, 0]].concat();
        out.extend(flags.to_le_bytes());
        out.extend((values.len() as u32).to_le_bytes());
        // Mostly as it should be; otherwise the values are looked for in a wrong place.
        let mut at = start + name.len() as u32 + 2 + if shift == 7 { 1 } else { 0 };
        for value in &values {
            out.extend(at.to_le_bytes());
            at += value.len() as u32;
        }
        out.extend([name, vec![0, 0], values.concat()].concat());
        out
    })
}

fn any_ace() -> impl Strategy<Value = Vec<u8>> {
    let unknown = (prop_oneof![Just(4_u8), 0x16..=0xFF_u8], any::<u8>(), vec(any::<u8>(), 0..5)).prop_map(
        |(code, flags, words)| [vec![code, flags, 4 + 4 * words.len() as u8, 0], words.repeat(4)].concat(),
    );
    let guid = || option::of(any::<[u8; 16]>().prop_map(Guid));
    let object = (prop_oneof![4 => Just(0_u32), 1 => any::<u32>()], guid(), guid());
    let data = prop_oneof![
        4 => Just(Vec::new()),
        4 => any_condition(),
        4 => any_claim(),
        1 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 0..40).prop_map(|tokens| [b"artx".to_vec(), tokens].concat()),
    ];
    let mask = prop_oneof![
        any::<u32>(),
        prop::sample::select(vec![0, 0x1f_01ff, 0x12_0089, 0x12_00a9, 0x1000_0000, 0xf_003f, 1, 7]),
    ];
    let known = (0..=0x15_u8, any::<u8>(), mask, object, any_sid(), data);
    let known = known.prop_filter_map("no layout", |(code, flags, mask, object, sid, data)| {
        let (flags_of_object, object_type, inherited_object_type) = object;
        let flags_of_object = ObjectFlags::from_bits_retain(flags_of_object);
        let body = AceBody {
            mask: AccessMask::from_bits_retain(mask),
            object: Some(ObjectTypes { flags: flags_of_object, object_type, inherited_object_type }),
            sid: sid.as_sid(),
            data: &data,
        };
        body.build(AceType::from(code), AceFlags::from_bits_retain(flags)).ok()
    });
    prop_oneof![1 => unknown, 8 => known]
}

/// Nothing, a NULL ACL, or an ACL, seldom with another revision, reserved bytes or bytes behind its ACEs.
fn any_acl() -> impl Strategy<Value = Option<Option<Vec<u8>>>> {
    let odd = option::weighted(0.2, (2..=4_u8, any::<u8>(), any::<u16>(), vec(any::<u8>(), 0..9)));
    let acl = (vec(any_ace(), 0..5), odd).prop_map(|(aces, odd)| {
        let mut acl = AclBuilder::new();
        aces.iter().for_each(|ace| acl.push(Ace::split(ace).unwrap().0));
        match odd {
            Some((revision, sbz1, sbz2, slack)) => acl.build_with(revision, (sbz1, sbz2), &slack),
            None => acl.build(),
        }
        .unwrap()
    });
    option::of(option::weighted(0.9, acl))
}

fn part(acl: &Option<Option<Vec<u8>>>) -> AclPart<'_> {
    match acl {
        None => AclPart::Absent,
        Some(None) => AclPart::Null,
        Some(Some(bytes)) => AclPart::Acl(Acl::split(bytes).unwrap().0),
    }
}

fn any_descriptor() -> impl Strategy<Value = Vec<u8>> {
    let sids = (option::of(any_sid()), option::of(any_sid()));
    (any::<u16>(), any::<u8>(), sids, any_acl(), any_acl()).prop_map(
        |(control, resource_manager, (owner, group), sacl, dacl)| {
            SecurityDescriptorBuilder {
                control: Control::from_bits_retain(control),
                resource_manager,
                owner: owner.as_ref().map(SidBuf::as_sid),
                group: group.as_ref().map(SidBuf::as_sid),
                sacl: part(&sacl),
                dacl: part(&dacl),
            }
            .build()
        },
    )
}

/// The control bits that the text of a descriptor with these ACLs carries.
fn expressible(sd: &SecurityDescriptor<'_>) -> Control {
    let bits = |part, bits| if part == AclPart::Absent { Control::empty() } else { bits };
    bits(
        sd.dacl(),
        Control::DACL_PRESENT
            | Control::DACL_PROTECTED
            | Control::DACL_AUTO_INHERIT_REQ
            | Control::DACL_AUTO_INHERITED,
    ) | bits(
        sd.sacl(),
        Control::SACL_PRESENT
            | Control::SACL_PROTECTED
            | Control::SACL_AUTO_INHERIT_REQ
            | Control::SACL_AUTO_INHERITED,
    ) | Control::SELF_RELATIVE
}

/// The bytes of an ACL but for AclRevision, which text does not carry.
fn without_revision(part: AclPart<'_>) -> Option<Vec<u8>> {
    match part {
        AclPart::Absent => None,
        AclPart::Null => Some(Vec::new()),
        AclPart::Acl(acl) => Some(acl.bytes()[1..].to_vec()),
    }
}

fn check_round_trip(bytes: &[u8]) -> Result<(), TestCaseError> {
    let sd = SecurityDescriptor::parse(bytes).unwrap();
    let text = to_sddl(&sd);
    let again = parse_sddl(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
    let again = SecurityDescriptor::parse(&again).unwrap();
    prop_assert_eq!((again.owner(), again.group()), (sd.owner(), sd.group()), "{}", text);
    prop_assert_eq!(without_revision(again.dacl()), without_revision(sd.dacl()), "{}", text);
    prop_assert_eq!(without_revision(again.sacl()), without_revision(sd.sacl()), "{}", text);
    prop_assert_eq!(again.control(), sd.control() & expressible(&sd), "{}", text);
    prop_assert_eq!(to_sddl(&again), text);
    Ok(())
}

/// Pieces of SDDL, to get deeper into the parser than random characters do.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = "O: G: D: S: P AR AI NO_ACCESS_CONTROL ( ) ; ;;; # A D OA AU ML RA XA XD ZA XU FL SP TL OICI SA FA GA FR \
        0x1f 010 WD BA S-1-5-18 S-1-0x123456789012 (XA;;FX;;;WD;( (RA;;;;;WD;( (A;;FA;;;WD) (OA;;;;; \
        00000000-0000-0000-0000-000000000000 @User. @Resource. a == != <= && || ! Exists Member_of Member_of_Any \
        Contains Any_of {SID(BA)} { } , \" \"x\" #1#2 artx #61727478 -1 +0x7f 9223372036854775808 \"n\" TS TI TU TD TX TB \
        ,0x0, %0041 é";
    let piece = prop_oneof![
        12 => prop::sample::select(pieces.split(' ').map(str::to_owned).collect::<Vec<_>>()),
        1 => Just(" ".to_owned()),
        1 => "\\PC{0,3}",
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn text_gives_the_descriptor_back(bytes in any_descriptor()) {
        check_round_trip(&bytes)?;
    }

    #[test]
    fn editing_gives_whole_descriptors(old in any_descriptor(), new in any_descriptor(), parts: u32) {
        let (old, new) = (SecurityDescriptor::parse(&old).unwrap(), SecurityDescriptor::parse(&new).unwrap());
        let without = old.without_sacl();
        let without = SecurityDescriptor::parse(&without).unwrap();
        prop_assert_eq!(without.control(), old.control() - Control::SACL);
        prop_assert_eq!(without.resource_manager(), old.resource_manager());
        prop_assert_eq!((without.owner(), without.group(), without.dacl()), (old.owner(), old.group(), old.dacl()));
        prop_assert_eq!(without.sacl(), AclPart::Absent);

        let parts = SecurityInformation::from_bits_retain(parts);
        let merged = SecurityDescriptor::merge(Some(&old), &new, parts);
        let merged = SecurityDescriptor::parse(&merged).unwrap();
        let from = |part| if parts.contains(part) { &new } else { &old };
        prop_assert_eq!(merged.owner(), from(SecurityInformation::OWNER).owner());
        prop_assert_eq!(merged.group(), from(SecurityInformation::GROUP).group());
        prop_assert_eq!(merged.dacl(), from(SecurityInformation::DACL).dacl());
        prop_assert_eq!(merged.sacl(), from(SecurityInformation::SACL).sacl());
    }

    #[test]
    fn changed_bytes_never_panic(
        mut bytes in any_descriptor(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        match SecurityDescriptor::parse(&bytes) {
            Ok(sd) => {
                check_round_trip(&bytes)?;
                SecurityDescriptor::parse(&sd.without_sacl()).unwrap();
                prop_assert!(sd.used_len() <= bytes.len());
            }
            Err(error) => prop_assert_eq!(error.win32().0, 1338),
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let header = [1, 0, 0x14, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 20, 0, 0, 0, 2, 0];
        for bytes in [bytes.clone(), [&header[..], &bytes].concat()] {
            if SecurityDescriptor::parse(&bytes).is_ok() {
                check_round_trip(&bytes)?;
            }
        }
    }

    #[test]
    fn text_never_panics(text in prop_oneof!["\\PC{0,60}", any_text()]) {
        if let Ok(bytes) = parse_sddl(&text) {
            check_round_trip(&bytes)?;
        }
    }
}
