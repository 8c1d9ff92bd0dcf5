//! Tests of SDDL against strings and bytes that are published: \[MS-DTYP\] 2.4.4.17.9 and 2.5.1.4, the Win32 pages
//! "Security Descriptor String Format", "ACE Strings" and those on conditional ACEs, and descriptors that Windows made
//! of such text.

use super::*;
use crate::security::{AceType, AclPart, SecurityDescriptor, SidBuf};

#[track_caller]
fn parse(text: &str) -> Vec<u8> {
    parse_sddl(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn print(bytes: &[u8]) -> String {
    to_sddl(&SecurityDescriptor::parse(bytes).unwrap())
}

/// The bytes behind the SID of the first ACE of the DACL, or else of the SACL.
#[track_caller]
fn data(text: &str) -> Vec<u8> {
    let bytes = parse(text);
    let sd = SecurityDescriptor::parse(&bytes).unwrap();
    let acl = sd.dacl().acl().or(sd.sacl().acl()).unwrap();
    acl.aces().next().unwrap().body().unwrap().data.to_vec()
}

#[track_caller]
fn hex(digits: &str) -> Vec<u8> {
    scanner::hex_bytes(&digits.replace(char::is_whitespace, "")).unwrap()
}

#[test]
fn the_example_of_ms_dtyp() {
    let text =
        "O:BAG:BAD:P(A;CIOI;GRGX;;;BU)(A;CIOI;GA;;;BA)(A;CIOI;GA;;;SY)(A;CIOI;GA;;;CO)S:P(AU;FA;GR;;;WD)";
    let expected = hex("
        01 00 14 b0 90 00 00 00 a0 00 00 00 14 00 00 00 30 00 00 00 02 00 1c 00 01 00 00 00 02 80 14 00
        00 00 00 80 01 01 00 00 00 00 00 01 00 00 00 00 02 00 60 00 04 00 00 00 00 03 18 00 00 00 00 a0
        01 02 00 00 00 00 00 05 20 00 00 00 21 02 00 00 00 03 18 00 00 00 00 10 01 02 00 00 00 00 00 05
        20 00 00 00 20 02 00 00 00 03 14 00 00 00 00 10 01 01 00 00 00 00 00 05 12 00 00 00 00 03 14 00
        00 00 00 10 01 01 00 00 00 00 00 03 00 00 00 00 01 02 00 00 00 00 00 05 20 00 00 00 20 02 00 00
        01 02 00 00 00 00 00 05 20 00 00 00 20 02 00 00");
    assert_eq!(parse(text), expected);
    assert_eq!(print(&expected), text.replace("CIOI", "OICI").replace("GRGX", "GXGR"));
}

#[test]
fn a_small_descriptor_by_hand() {
    let text = "O:BAG:BAD:P(A;OICI;GA;;;SY)";
    let expected = hex("
        01 00 04 90  30 00 00 00  40 00 00 00  00 00 00 00  14 00 00 00
        02 00 1c 00 01 00 00 00  00 03 14 00  00 00 00 10  01 01 00 00 00 00 00 05 12 00 00 00
        01 02 00 00 00 00 00 05 20 00 00 00 20 02 00 00
        01 02 00 00 00 00 00 05 20 00 00 00 20 02 00 00");
    assert_eq!(parse(text), expected);
    assert_eq!(print(&expected), text);
}

#[test]
fn the_strings_of_the_win32_page() {
    let domain: SidBuf = "S-1-5-21-397955417-626881126-188441444".parse().unwrap();
    let bytes =
        parse_sddl_in_domain("O:AOG:DAD:(A;;RPWPCCDCLCSWRCWDWOGA;;;S-1-0-0)", domain.as_sid()).unwrap();
    let sd = SecurityDescriptor::parse(&bytes).unwrap();
    assert_eq!(sd.owner().unwrap().to_string(), "S-1-5-32-548");
    assert_eq!(sd.group().unwrap().to_string(), "S-1-5-21-397955417-626881126-188441444-512");
    let acl = sd.dacl().acl().unwrap();
    assert_eq!((acl.revision(), acl.bytes().len()), (2, 0x1C));
    assert_eq!(acl.aces().next().unwrap().body().unwrap().mask.bits(), 0x100e_003f);

    let text = "O:DAG:DAD:(A;;RPWPCCDCLCRCWOWDSDSW;;;SY)\n(A;;RPWPCCDCLCRCWOWDSDSW;;;DA)\n\
        (OA;;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;AO)\n(OA;;CCDC;bf967a9c-0de6-11d0-a285-00aa003049e2;;AO)\n\
        (OA;;CCDC;6da8a4ff-0e52-11d0-a286-00aa003049e2;;AO)\n(OA;;CCDC;bf967aa8-0de6-11d0-a285-00aa003049e2;;PO)\n\
        (A;;RPLCRC;;;AU)S:(AU;SAFA;WDWOSDWPCCDCSW;;;WD)";
    let bytes = parse_sddl_in_domain(text, domain.as_sid()).unwrap();
    let sd = SecurityDescriptor::parse(&bytes).unwrap();
    let (dacl, sacl) = (sd.dacl().acl().unwrap(), sd.sacl().acl().unwrap());
    assert_eq!((dacl.revision(), dacl.bytes().len(), dacl.ace_count()), (4, 0x104, 7));
    assert_eq!((sacl.revision(), sacl.bytes().len(), sacl.ace_count()), (2, 0x1C, 1));
    let masks: Vec<_> = dacl.aces().chain(sacl.aces()).map(|ace| ace.body().unwrap().mask.bits()).collect();
    assert_eq!(masks, [0xf_003f, 0xf_003f, 3, 3, 3, 3, 0x2_0014, 0xd_002b]);
    assert_eq!(dacl.aces().nth(2).unwrap().bytes().len(), 0x2C);
    assert_eq!(sacl.aces().next().unwrap().flags().bits(), 0xC0);
    let printed = print(&bytes);
    assert!(printed.contains("(OA;;CCDC;bf967a9c-0de6-11d0-a285-00aa003049e2;;AO)"), "{printed}");
    assert_eq!(parse(&printed), bytes);
}

/// Text that comes back as it is, and text that comes back in the order and the numbers that Windows writes.
#[test]
fn text_comes_out_as_windows_writes_it() {
    for text in [
        "",
        "O:SY",
        "G:SY",
        "D:",
        "S:",
        "D:S:",
        "D:PS:",
        "D:PARAI(A;;GA;;;SY)",
        "D:(A;;GA;;;SY)",
        "D:(A;;0x401200a0;;;SY)",
        "D:(A;;FA;;;WD)",
        "D:(A;;CCDCLCSWRPWPDTLOCR;;;WD)",
        "D:(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)",
        "S:(AU;SA;CR;;;WD)(AU;SA;CR;;;WD)",
        "O:S-1-2-512D:",
        "O:S-1-0x000100000000D:",
        "D:(A;;GA;;;S-1-3-4294967295-3-4)",
        "D:(A;OICIIOID;GA;;;CO)",
        "D:(A;;;;;WD)",
        "D:NO_ACCESS_CONTROL",
        "S:(OU;CISA;WP;f30e3bbe-9ff0-11d1-b603-0000f80367c1;bf967aa5-0de6-11d0-a285-00aa003049e2;WD)",
        "S:(ML;;NW;;;LW)",
        "S:(ML;OICI;NWNRNX;;;SI)",
        "S:(SP;;;;;S-1-17-1)",
        "S:(TL;;CCDCSW;;;S-1-19-512-1024)",
        "S:(FL;TP;FR;;;WD;(Exists @User.a))",
        "S:(AL;;CC;;;WD)(OL;;CC;;bf967aa5-0de6-11d0-a285-00aa003049e2;WD)",
        "D:(D;NPCRFA;KA;;;WD)(A;;KR;;;WD)(A;;KW;;;WD)(A;;FR;;;WD)(A;;FW;;;WD)(A;;FX;;;WD)",
        "D:(OD;;CC;;bf967aa5-0de6-11d0-a285-00aa003049e2;WD)(XD;;CC;;;WD)(ZA;;CC;bf967aa5-0de6-11d0-a285-00aa003049e2;;WD;(a))",
        "S:(XU;SA;CC;;;WD;(a))(RA;;;;;WD;(\"n\",TB,0x0,1,0))",
    ] {
        assert_eq!(print(&parse(text)), text);
    }
    for (text, printed) in [
        ("D:(A;;16;;;WD)", "D:(A;;RP;;;WD)"),
        ("D:(A;;01234567;;;WD)", "D:(A;;0x53977;;;WD)"),
        ("D:(A;;0xff;;;WD)", "D:(A;;CCDCLCSWRPWPDTLO;;;WD)"),
        ("D:(A;;0xe00f0000;;;WD)", "D:(A;;SDRCWDWOGXGWGR;;;WD)"),
        ("D:(A;;RPLCLORC;;;AU)", "D:(A;;LCRPLORC;;;AU)"),
        ("D:AIPAR(A;;GA;;;SY)", "D:PARAI(A;;GA;;;SY)"),
        ("S:D:P", "D:PS:"),
        ("D:(A;;KX;;;WD)", "D:(A;;KR;;;WD)"),
        (" d:ai ( a ; oici ; fa ; ; ; ba )\r\n\to:s-1-5-18", "O:SYD:AI(A;OICI;FA;;;BA)"),
        ("D:(OA;;CC;;;WD)", "D:(A;;CC;;;WD)"),
        ("D:(A;;GA;;;S-1-0x000000000005-18)", "D:(A;;GA;;;SY)"),
    ] {
        assert_eq!(print(&parse(text)), printed);
    }
}

#[test]
fn null_and_empty_and_absent_acls_differ_in_text() {
    for (text, dacl_is) in [("O:SY", "absent"), ("O:SYD:NO_ACCESS_CONTROL", "null"), ("O:SYD:", "empty")] {
        let bytes = parse(text);
        let sd = SecurityDescriptor::parse(&bytes).unwrap();
        let is = match sd.dacl() {
            AclPart::Absent => "absent",
            AclPart::Null => "null",
            AclPart::Acl(acl) => {
                if acl.ace_count() == 0 {
                    "empty"
                } else {
                    "?"
                }
            }
        };
        assert_eq!((is, to_sddl(&sd).as_str()), (dacl_is, text));
    }
}

#[test]
fn conditions_have_the_bytes_that_windows_gives_them() {
    // [MS-DTYP] 2.4.4.17.9, example 1.
    let title = hex("61727478 f8 0a000000 5400690074006c006500 10 04000000 56005000 80 000000");
    assert_eq!(data("D:(XA;;FX;;;WD;(Title==\"VP\"))"), title);
    // "D:(XA; ;FX;;;S-1-1-0; (@User.Title=="PM" && (@User.Division=="Finance" || @User.Division =="Sales")))" of the
    // Win32 page, as Windows packs it.
    let text = "D:(XA; ;FX;;;S-1-1-0; (@User.Title==\"PM\" && (@User.Division==\"Finance\" || @User.Division ==\"Sales\")))";
    let division = "f9 10000000 4400690076006900730069006f006e00";
    let expected = format!(
        "61727478 f9 0a000000 5400690074006c006500 10 04000000 50004d00 80
         {division} 10 0e000000 460069006e0061006e0063006500 80 {division} 10 0a000000 530061006c0065007300 80 a1 a0 000000"
    );
    assert_eq!(data(text), hex(&expected));
    let usual = "D:(XA;;FX;;;WD;(@User.Title == \"PM\" && (@User.Division == \"Finance\" || @User.Division == \"Sales\")))";
    assert_eq!(print(&parse(text)), usual);
    for (condition, tokens) in [
        ("@Device.legs >= 1", "fb 08000000 6c00650067007300 04 0100000000000000 03 02 85"),
        ("@Device.bb == 0x7fffffffffffffff", "fb 04000000 62006200 04 ffffffffffffff7f 03 03 80"),
        ("a == -010", "f8 02000000 6100 04 f8ffffffffffffff 02 01 80"),
        ("a == +0", "f8 02000000 6100 04 0000000000000000 01 02 80"),
        ("!(!(Member_of {SID(AA)}))", "50 15000000 51 10000000 01020000 00000005 20000000 43020000 89 a2 a2"),
        ("Not_Device_Member_of_Any SID(WD)", "51 0c000000 01010000 00000001 00000000 93"),
        ("@User.A && @Device.B || @User.C", "f9 02000000 4100 fb 02000000 4200 a0 f9 02000000 4300 a1"),
        ("@User.A || @Device.B && @User.C", "f9 02000000 4100 fb 02000000 4200 f9 02000000 4300 a0 a1"),
        ("@User.A && (@Device.B && @User.C)", "f9 02000000 4100 fb 02000000 4200 f9 02000000 4300 a0 a0"),
        ("@User.a Any_of @Resource.a", "f9 02000000 6100 fa 02000000 6100 88"),
        (
            "a Not_Contains {\"x\", 1}",
            "f8 02000000 6100 50 12000000 10 02000000 7800 04 0100000000000000 03 02 8e",
        ),
        ("a == #01020300", "f8 02000000 6100 18 04000000 01020300 80"),
        ("@User.a%0020b%0021 != {}", "f9 08000000 61002000620021 00 50 00000000 81"),
    ] {
        let mut expected = [b"artx", &hex(tokens)[..]].concat();
        expected.resize(expected.len().next_multiple_of(4), 0);
        let text = format!("D:(XA;;FX;;;WD;({condition}))");
        assert_eq!(data(&text), expected, "{condition}");
        assert_eq!(print(&parse(&text)), text);
    }
    assert_eq!(data("D:(XA;;;;;WD;(mEMBER_of(SID(WD))))"), data("D:(XA;;;;;WD;(Member_of SID(WD)))"));
    assert_eq!(data("D:(XA;;;;;WD;(o==##1#2#3##))"), data("D:(XA;;;;;WD;(o==#01020300))"));
    // An odd number of digits, and # for 0, as the Win32 page says.
    assert_eq!(data("D:(XA;;;;;WD;(o==#1#2#3##))"), data("D:(XA;;;;;WD;(o==#01020300))"));
}

/// Whole descriptors as `ConvertStringSecurityDescriptorToSecurityDescriptor` makes them: revision 2 for ACLs with
/// conditions and attributes, SACL in front of DACL, owner and group.
#[test]
fn whole_descriptors_are_those_of_windows() {
    let text = "O:SYG:SYD:(XA;OICI;CR;;;WD;(@User.ad://ext/AuthenticationSilo == \"siloname\"))";
    let expected = hex("
        01 00 04 80 88000000 94000000 00000000 14000000  02 00 7400 0100 0000  09 03 6c00 00010000
        01 01 000000000001 00000000  61727478 f9 36000000 610064003a002f002f006500780074002f00
        410075007400680065006e007400690063006100740069006f006e00530069006c006f00
        10 10000000 730069006c006f006e0061006d006500 80 000000
        01 01 000000000005 12000000  01 01 000000000005 12000000");
    assert_eq!(parse(text), expected);
    assert_eq!(print(&expected), text);

    let text =
        "D:(XA;;0x1f;;;AA;(@Device.colour == @Resource.colour))S:(RA;;;;;WD;(\"colour\",TS,0,\"blue\"))";
    let expected = hex("
        01 00 14 80 00000000 00000000 14000000 5c000000
        02 00 4800 0100 0000  12 00 4000 00000000  01 01 000000000001 00000000
        14000000 0300 0000 00000000 01000000 22000000 63006f006c006f0075007200 0000 62006c0075006500 0000
        02 00 4800 0100 0000  09 00 4000 1f000000  01 02 000000000005 20000000 43020000  61727478
        fb 0c000000 63006f006c006f0075007200 fa 0c000000 63006f006c006f0075007200 80 00");
    assert_eq!(parse(text), expected);
    assert_eq!(print(&expected), text.replace("0x1f", "CCDCLCSWRP").replace("TS,0,", "TS,0x0,"));
}

#[test]
fn attributes_have_the_bytes_that_windows_gives_them() {
    let text = "S:(RA;;;;;WD;(\"colour\",TS,0x0,\"blue\",\"red\"))";
    let expected = "18000000 0300 0000 00000000 02000000 26000000 30000000
        63006f006c006f0075007200 0000 62006c0075006500 0000 720065006400 0000 0000";
    assert_eq!(data(text), hex(expected)[..data(text).len()]);
    assert_eq!(print(&parse(text)), text);
    // A value that is not aligned.
    let text = "S:(RA;;;;;WD;(\"colOIr\",TU,0xe,29925))";
    let expected =
        "14000000 0200 0000 0e000000 01000000 22000000 63006f006c004f0049007200 0000 e574000000000000 0000";
    assert_eq!(data(text), hex(expected));
    assert_eq!(print(&parse(text)), text);
    // Of the page "ACE Strings".
    let text = "S:(RA;CI;;;;S-1-1-0; (\"Project\",TS,0,\"Windows\",\"SQL\")) (RA;CI;;;;S-1-1-0; (\"Secrecy\",TU,0,3))";
    let usual =
        "S:(RA;CI;;;;WD;(\"Project\",TS,0x0,\"Windows\",\"SQL\"))(RA;CI;;;;WD;(\"Secrecy\",TU,0x0,3))";
    assert_eq!(print(&parse(text)), usual);
    for text in [
        "S:(RA;;;;;WD;(\"%0001%0022\u{1F600}a-b\",TI,0xffff0020,-9223372036854775808,0,9223372036854775807))",
        "S:(RA;;;;;WD;(\"n\",TU,0x0,18446744073709551615))",
        "S:(RA;;;;;WD;(\"n\",TD,0x0,BA,S-1-5-21-1-2-3))",
        "S:(RA;;;;;WD;(\"n\",TX,0x0,#,#00ff))",
        "S:(RA;;;;;WD;(\"n\",TS,0x0))",
    ] {
        assert_eq!(print(&parse(text)), text);
    }
    assert_eq!(parse("S:(RA;;;;;WD;(\"n\",TD,0,SID(BA)))"), parse("S:(RA;;;;;WD;(\"n\",TD,0,BA))"));
}

#[test]
fn what_text_cannot_say_is_escaped() {
    for text in [
        // Types without a name: compound, denied callback object, unknown.
        "D:(#0400080001020304)",
        "D:(#0c0018000000000000000000010100000000000100000000)",
        "D:(#77ff0400)",
        // An object ACE without GUIDs, one with a flag more.
        "D:(#050018000000000000000000010100000000000100000000)",
        // Application data that are no condition; an integer of 8 bits; a quotation mark; a string cut in the middle.
        "D:(XA;;CC;;;WD;#deadbeef)",
        "D:(XA;;CC;;;WD;#61727478f80200000061000101000000000000000302800000000000)",
        "D:(XA;;CC;;;WD;#61727478f802000000610010020000002200800000000000)",
        // A literal as an operand of a logical operator, padding of four bytes.
        "D:(XA;;CC;;;WD;#6172747818010000000018010000000000a0000000000000)",
        "D:(XA;;CC;;;WD;#61727478f80200000061000000000000)",
        // Attribute data of an unknown type; bytes behind the SID of a simple ACE.
        "S:(RA;;;;;WD;#1400000077000000)",
        "D:(A;;CC;;;WD;#00000000)",
        // Reserved fields, bytes behind the last ACE.
        "D:P(A;;CC;;;WD)S:#02010203eeff",
    ] {
        let Ok(bytes) = parse_sddl(text) else { panic!("{text}: {}", parse_sddl(text).unwrap_err()) };
        assert_eq!(print(&bytes), text);
    }
    // Neither is a revision worth an escape, nor is one that is not needed written.
    assert_eq!(print(&parse_sddl("D:P#04000000(A;;CC;;;WD)").unwrap()), "D:P(A;;CC;;;WD)");
    let text = "D:#02000000(#0000140001000000010100000000000100000000)(XA;;;;;WD;#61727478f8020000006100 00)"
        .replace(' ', "");
    assert_eq!(print(&parse(&text)), "D:(A;;CC;;;WD)(XA;;;;;WD;(a))");
}

#[test]
fn wrong_text_is_an_error_at_its_place() {
    for (text, offset) in [
        ("X:", 0),
        ("O:", 2),
        ("O:ZZ", 2),
        ("O:SYO:SY", 4),
        ("D:D:", 2),
        ("D:Q", 2),
        ("D:(", 2),
        ("D:(A", 4),
        ("D:(Q;;;;;WD)", 2),
        ("D:(A;QQ;;;;WD)", 5),
        ("D:(A;;QQ;;;WD)", 6),
        ("D:(A;;0x100000000;;;WD)", 6),
        ("D:(A;;;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)", 7),
        ("D:(OA;;;bf967aba;;WD)", 8),
        ("D:(A;;;;;)", 9),
        ("D:(A;;;;;DA)", 9),
        ("D:(A;;;;;WD", 11),
        ("D:(A;;;;;WD;(a))", 12),
        ("D:(XA;;;;;WD;)", 13),
        ("D:(XA;;;;;WD;())", 14),
        ("D:(XA;;;;;WD;(é))", 14),
        ("D:(XA;;;;;WD;(a ==))", 18),
        ("D:(XA;;;;;WD;(a b))", 16),
        ("D:(XA;;;;;WD;(a == \"x))", 23),
        ("D:(XA;;;;;WD;(a == 9223372036854775808))", 19),
        ("D:(XA;;;;;WD;(@User.))", 14),
        ("D:(XA;;;;;WD;(@User.a%0000))", 21),
        ("D:(XA;;;;;WD;(@Foo.a))", 14),
        ("D:(XA;;;;;WD;#abc)", 14),
        ("D:(#00)", 2),
        ("D:(#0000080001000000)", 2),
        ("D:#01000000", 2),
        ("D:#0200", 2),
        ("S:(RA;;;;;WD;(\"n\",TQ,0))", 18),
        ("S:(RA;;;;;WD;(\"n\",TB,0,2))", 23),
        ("D:NO_ACCESS_CONTROL(A;;;;;WD)", 19),
    ] {
        let error = parse_sddl(text).unwrap_err();
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert_eq!((error.format, error.win32().0), (crate::Format::Sddl, 1338), "{text}: {error}");
    }
}

#[test]
fn hostile_sizes_and_depths_are_bounded() {
    let nested = |depth: usize| format!("D:(XA;;;;;WD;({}a{}))", "(".repeat(depth), ")".repeat(depth));
    assert!(parse_sddl(&nested(100)).is_ok());
    assert!(parse_sddl(&nested(101)).is_err());
    assert!(parse_sddl(&nested(300_000)).is_err());
    assert!(parse_sddl(&format!("D:(XA;;;;;WD;({}a))", "!".repeat(300_000))).is_err());
    assert!(parse_sddl(&" ".repeat(MAX_TEXT_LEN + 1)).is_err());
    assert!(parse_sddl(&format!("D:{}", "(A;;;;;WD)".repeat(3277))).is_err());
    assert!(parse_sddl(&format!("D:(XA;;;;;WD;#{})", "00".repeat(65_516))).is_err());
    assert!(parse_sddl(&format!("D:(XA;;;;;WD;(a == \"{}\"))", "x".repeat(40_000))).is_err());

    // A long chain is not deep, and neither is one that leans to the right when it is only printed.
    let chain = format!("D:(XA;;;;;WD;({}a))", "a || ".repeat(8000));
    assert_eq!(print(&parse(&chain)), chain);
    let leaning = [b"artx", &b"\xf8\x02\0\0\0a\0".repeat(8000)[..], &[0xA1; 7999], &[0]].concat();
    let text =
        format!("D:(XA;;;;;WD;#{})", leaning.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(print(&parse(&text)), text);
    let negated = [b"artx", &b"\xf8\x02\0\0\0a\0"[..], &[0xA2; 60_001]].concat();
    let text =
        format!("D:(XA;;;;;WD;#{})", negated.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(print(&parse(&text)), text);

    // Fourteen thousand values that are all the same long string: written out, they would be 28 MB.
    let mut claim = hex("10e00000 0300 0000 00000000 00380000");
    claim.extend(0xE010_u32.to_le_bytes().repeat(0x3800));
    claim.extend(b"x\0".repeat(2000));
    claim.extend([0; 4]);
    let text =
        format!("S:(RA;;;;;WD;#{})", claim.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(print(&parse(&text)), text);
}

#[test]
fn names_of_types_are_those_of_sddl() {
    let names: Vec<_> = (0..=0x16).map(|code| AceType::from(code).sddl().unwrap_or("-")).collect();
    let expected = "A D AU AL - OA OD OU OL XA XD ZA - XU - - - ML RA SP TL FL -";
    assert_eq!(names.join(" "), expected);
}
