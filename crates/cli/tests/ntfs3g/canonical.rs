//! A backup stream in the form in which ntbak writes one comes back byte for byte, from a real volume.

use crate::common::judge;
use crate::common::make::{self, alternate, backup, block, data};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, ntbak, ntbak_with};
use crate::common::{Chance, need_volumes};

/// A backup stream in ntbak's order, with what this file happens to have.
fn random(chance: &mut Chance, number: u32) -> Vec<u8> {
    let mut bytes = backup(3, 2, "", &descriptor(chance, number));
    if chance.below(2) == 0 {
        bytes.extend(backup(2, 0, "", &eas(chance)));
    }
    match chance.below(4) {
        0 => {}
        1 => bytes.extend(sparse(chance)),
        _ => {
            let len = [1, 300, 700, 4096, 65_536, 65_537, 300_000, 1_500_000][chance.below(8)];
            bytes.extend(data(&content(chance, len)));
        }
    }
    // In the order in which NTFS has its attributes.
    for stream in 0..chance.below(6) {
        let len = [0, 1, 500, 5000, 70_000, 200_000][chance.below(6)];
        let name = ["S0", "S1 with a longer name", "S2.ümlaut", "S3-漢字", "S4𝄞"][stream];
        bytes.extend(alternate(name, &content(chance, len)));
    }
    if chance.below(2) == 0 {
        bytes.extend(backup(7, 0, "", &chance.bytes(64)));
    }
    bytes
}

/// Bytes, half of them zeros in long runs.
fn content(chance: &mut Chance, len: usize) -> Vec<u8> {
    let mut content = chance.bytes(len);
    if chance.below(2) == 0 {
        content[len / 4..len - len / 4].fill(0);
    }
    content
}

fn descriptor(chance: &mut Chance, number: u32) -> Vec<u8> {
    let user = make::sid(&[21, 1, 2, 3, 1000 + number]);
    let aces: Vec<_> = (0..chance.below(12))
        .map(|_| {
            let (kind, flags) = (chance.below(2) as u8, chance.below(32) as u8);
            make::ace(
                kind,
                flags,
                0x1F_01FF & chance.number() as u32,
                &make::sid(&[32, 544 + chance.below(9) as u32]),
            )
        })
        .collect();
    let sacl = make::acl(&[make::ace(2, 0xC0, 0x1_0000, &make::everyone())]);
    let (dacl, has_sacl) = (make::acl(&aces), chance.below(2) == 0);
    let control = 0x0004 | [0, 0x1000, 0x0400, 0x1400][chance.below(4)] | if has_sacl { 0x2010 } else { 0 };
    make::descriptor(control, &user, &make::administrators(), has_sacl.then_some(&sacl[..]), Some(&dacl))
}

fn eas(chance: &mut Chance) -> Vec<u8> {
    let values: Vec<_> = (0..=chance.below(4))
        .map(|_| {
            let len = 1 + chance.below(900);
            (chance.bytes(len), [0, 0x80][chance.below(2)])
        })
        .collect();
    let names = ["A", "BCD", "$LXUID", "A.LONGER_NAME", "E"];
    let eas: Vec<make::Ea<'_>> =
        names.iter().zip(&values).map(|(name, (value, flags))| (*name, &value[..], *flags)).collect();
    make::ea_full(&eas)
}

/// Blocks that ntbak finds again: whole units of 64 KiB with something in each, none touching the next.
fn sparse(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = backup(1, 8, "", b"");
    let mut offset = 65_536 * chance.below(3) as u64;
    for _ in 0..chance.below(8) {
        let len = 65_536 * (1 + chance.below(3));
        bytes.extend(block(offset, &chance.bytes(len)));
        offset += len as u64 + 65_536 * (1 + chance.below(20) as u64);
    }
    // A hole comes last.
    bytes.extend(block(offset + 65_536, b""));
    bytes
}

#[test]
fn what_is_written_is_read_byte_for_byte() {
    need_volumes!();
    let mut b = Volume::new(256);
    let mut chance = Chance::new(4);
    let files: Vec<_> =
        (0..24).map(|number| (format!("file {number}"), random(&mut chance, number))).collect();
    for (name, bytes) in &files {
        ntbak_with(bytes, args!["stream", "write", &b.path(name)]).expect(0).lost_only(&[]);
    }
    for mounted in ["as it was", "anew"] {
        for (name, bytes) in &files {
            let read = ntbak(args!["stream", "read", &b.path(name)]).expect(0).lost_only(&[]);
            let at = read.stdout.iter().zip(bytes).position(|(one, other)| one != other);
            let (got, wanted) = (read.stdout.len(), bytes.len());
            assert!(
                read.stdout == *bytes,
                "{name}, mounted {mounted}: the first difference is at {at:?}, {wanted} bytes became {got}"
            );
        }
        b.remount(WINDOWS);
    }
    b.unmount();
    judge::no_leftovers(&judge::dump(&b));
}

#[test]
fn a_directory_is_read_byte_for_byte() {
    need_volumes!();
    let mut b = Volume::new(64);
    let mut chance = Chance::new(9);
    let bytes = [
        backup(3, 2, "", &descriptor(&mut chance, 1)),
        backup(2, 0, "", &eas(&mut chance)),
        alternate("one", b"1"),
        alternate("two", &chance.bytes(100_000)),
        backup(7, 0, "", &chance.bytes(64)),
    ]
    .concat();
    ntbak_with(&bytes, args!["stream", "write", "--directory", &b.path("d")]).expect(0).lost_only(&[]);
    b.remount(WINDOWS);
    assert!(b.path("d").is_dir());
    assert!(ntbak(args!["stream", "read", &b.path("d")]).expect(0).stdout == bytes);
}
