//! Random files, as records tell them.

use ntbak_wire::record::{
    Extent, Extents, FileInfo, Link, NodeId, SmallKind, StreamFlags, StreamHead, Times,
};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, FileTime, Name, ea, reparse};
use proptest::collection::{btree_map, vec};
use proptest::option::of as option;
use proptest::prelude::*;

use super::{File, Stream};

fn any_name() -> impl Strategy<Value = StreamName> {
    let unit = prop_oneof![1..0x20_u16, 0x61..0x7A_u16, 0xD800..=0xDFFF_u16, any::<u16>()];
    let units = prop_oneof![vec(unit.clone(), 1..6), vec(unit, 250..=255)];
    units.prop_filter_map("not a name", |units| StreamName::new(Name::from_units(units)).ok())
}

fn any_size() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0_usize), Just(1), Just(511), Just(512), Just(513), 2..5000_usize, 65_534..140_000_usize]
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed) | 1).collect()
}

fn any_stream(name: Option<StreamName>) -> impl Strategy<Value = Stream> {
    let named = name.clone();
    let dense = (any_size(), any_size(), any::<bool>(), any::<bool>(), any::<u8>()).prop_map(
        move |(size, vdl, compressed, sparse, seed)| {
            let vdl = vdl.min(size);
            let mut flags = StreamFlags::empty();
            flags.set(StreamFlags::COMPRESSED, compressed);
            flags.set(StreamFlags::SPARSE, sparse);
            let head = StreamHead { vdl: vdl as u64, flags, ..StreamHead::plain(named.clone(), size as u64) };
            let pieces = if vdl == 0 { vec![] } else { vec![(0, bytes(vdl, seed))] };
            Stream { head, pieces }
        },
    );
    // Gaps of less than a block too.
    let gap = prop_oneof![(1..5_u64).prop_map(|gap| gap * 1_000_000_007), 1..1000_u64];
    let holes =
        vec((gap, 1..70_000_usize), 0..5).prop_flat_map(|ranges| (Just(ranges), any_size(), any::<u8>()));
    let sparse = holes.prop_map(move |(ranges, tail, seed)| {
        let (mut offset, mut pieces, mut extents) = (0, Vec::new(), Vec::new());
        for (gap, len) in ranges {
            offset += gap;
            pieces.push((offset, bytes(len, seed)));
            extents.push(Extent { offset, len: len as u64 });
            offset += len as u64;
        }
        let size = offset + tail as u64;
        let flags = StreamFlags::SPARSE;
        let extents = Extents::Known(extents);
        Stream { head: StreamHead { flags, extents, ..StreamHead::plain(name.clone(), size) }, pieces }
    });
    prop_oneof![dense, sparse]
}

fn any_info() -> impl Strategy<Value = FileInfo> {
    let time = || option(any::<i64>().prop_map(FileTime));
    let short = option("[A-Z]{1,8}\\.[A-Z]{3}");
    let mode = option(0..0o10000_u32);
    ((time(), time(), time(), time()), any::<u32>(), any::<u64>(), short, any::<bool>(), mode).prop_map(
        |((created, written, accessed, changed), attributes, node, short, case_sensitive, unix_mode)| {
            FileInfo {
                attributes: FileAttributes::from_bits_retain(attributes),
                times: Times { created, written, accessed, changed },
                node: NodeId(node),
                links: vec![Link {
                    parent: NodeId(5),
                    name: b"x".into(),
                    short: short.map(|short| Name::from(&*short)),
                }],
                link_count: 1,
                case_sensitive,
                unix_mode,
                unix_owner: None,
                wof: None,
                ntfs: None,
            }
        },
    )
}

fn any_ea() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![4 => "[A-Z$][A-Z0-9._]{0,20}", 1 => "[=\n +é]{1,3}"];
    btree_map(names, (any::<bool>(), vec(any::<u8>(), 0..300)), 1..6).prop_map(|list| {
        let entry = |(name, (needed, value)): (&String, &(bool, Vec<u8>))| {
            ea::Ea::new(u8::from(*needed) << 7, name.clone().into_bytes(), value.clone())
        };
        ea::build_full(&list.iter().map(entry).collect::<Vec<_>>()).unwrap()
    })
}

fn any_reparse() -> impl Strategy<Value = Vec<u8>> {
    let print = prop_oneof![Just(String::new()), "[a-z\\\\:]{1,200}", "[é😀]{1,3}"];
    let link = (print, any::<bool>()).prop_map(|(print, mount_point)| {
        let (print, substitute) = (Name::from(&*print), Name::from(r"\??\C:\x"));
        match mount_point {
            true => reparse::build_mount_point(&substitute, &print).unwrap(),
            false => reparse::build_symlink(&substitute, &print, false).unwrap(),
        }
    });
    prop_oneof![vec(any::<u8>(), 0..200), link]
}

fn any_small() -> impl Strategy<Value = Vec<(SmallKind, Vec<u8>)>> {
    let payload = || option(vec(any::<u8>(), 1..300));
    (payload(), option(any_ea()), option(any_reparse()), option(vec(any::<u8>(), 64..=64))).prop_map(
        |(security, ea, reparse, id)| {
            let all = [
                (SmallKind::ObjectId, id),
                (SmallKind::Security, security),
                (SmallKind::Reparse, reparse.filter(|buffer| !buffer.is_empty())),
                (SmallKind::Ea, ea),
            ];
            all.into_iter().filter_map(|(kind, payload)| Some((kind, payload?))).collect()
        },
    )
}

fn any_linux() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    btree_map("(user|security|trusted)\\.[a-zA-Z.é\n]{1,20}", vec(any::<u8>(), 0..100), 0..4)
        .prop_map(|all| all.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect())
}

/// A file or directory with everything, or with some of it.
pub fn any_file() -> impl Strategy<Value = File> {
    let named = vec(any_name().prop_flat_map(|name| any_stream(Some(name))), 0..4);
    let owner = option(any::<(u32, u32)>());
    (any_info(), any_small(), any_stream(None), named, any::<bool>(), any_linux(), owner).prop_map(
        |(mut info, small, main, mut streams, directory, linux, owner)| {
            info.attributes.set(FileAttributes::DIRECTORY, directory);
            if !directory {
                streams.insert(0, main);
            }
            // A link of tar has no mode of its own.
            if small.iter().any(|(kind, _)| *kind == SmallKind::Reparse) {
                info.unix_mode = None;
            }
            File { path: Vec::new(), info, small, streams, efs: None, owner, linux }
        },
    )
}

/// A path component: any bytes but `/` and NUL, WTF-8 or not.
fn any_component() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => b'a'..=b'z', 1 => 1..=255_u8]
        .prop_map(|byte| if byte == b'/' { b':' } else { byte });
    vec(byte, 1..40).prop_filter("not a component", |name| name != b"." && name != b"..")
}

/// Files with different paths.
pub fn any_files() -> impl Strategy<Value = Vec<File>> {
    let path = vec(any_component(), 1..5).prop_map(|components| components.join(&b'/'));
    btree_map(path, any_file(), 0..5)
        .prop_map(|files| files.into_iter().map(|(path, file)| File { path, ..file }).collect())
}
