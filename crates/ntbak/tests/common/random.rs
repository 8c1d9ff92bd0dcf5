//! Random files.

use ntbak::memory::{MemoryFile, MemoryStream};
use ntbak_wire::object_id::{Guid, ObjectId};
use ntbak_wire::record::{FileInfo, Link, NodeId, StreamFlags, Times};
use ntbak_wire::reparse::{self, ReparseTag};
use ntbak_wire::security::{
    AccessMask, Ace, AceBody, AceFlags, AceType, Acl, AclBuilder, AclPart, Control,
    SecurityDescriptorBuilder, SidBuf,
};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, FileTime, Name};
use proptest::collection::{btree_map, vec};
use proptest::option::of as option;
use proptest::prelude::*;

use crate::common::{bytes, eas, put_stream, sparse};

fn any_sid() -> impl Strategy<Value = SidBuf> {
    (0..1_u64 << 48, vec(any::<u32>(), 0..=15))
        .prop_map(|(authority, numbers)| SidBuf::new(authority, &numbers).unwrap())
}

/// No ACL, a NULL one, or the bytes of one with ACEs of `kinds`.
fn any_acl(kinds: &'static [AceType]) -> impl Strategy<Value = Option<Option<Vec<u8>>>> {
    let ace = (0..kinds.len(), any::<u8>(), any::<u32>(), any_sid());
    let acl = vec(ace, 0..5).prop_map(|aces| {
        let mut acl = AclBuilder::new();
        for (kind, flags, mask, sid) in aces {
            let mask = AccessMask::from_bits_retain(mask);
            let body = AceBody { mask, object: None, sid: sid.as_sid(), data: &[] };
            acl.push(
                Ace::split(&body.build(kinds[kind], AceFlags::from_bits_retain(flags)).unwrap()).unwrap().0,
            );
        }
        acl.build().unwrap()
    });
    prop_oneof![Just(None), Just(Some(None)), acl.prop_map(|acl| Some(Some(acl)))]
}

fn any_security() -> impl Strategy<Value = Vec<u8>> {
    use AceType::{AccessAllowed, AccessDenied, SystemAudit, SystemMandatoryLabel};
    let sids = (option(any_sid()), option(any_sid()));
    let dacl = any_acl(&[AccessAllowed, AccessDenied]);
    let sacl = any_acl(&[SystemAudit, SystemMandatoryLabel]);
    (sids, dacl, sacl, any::<u16>(), any::<u8>()).prop_map(
        |((owner, group), dacl, sacl, control, resource_manager)| {
            let part = |acl: &'_ Option<Option<Vec<u8>>>| match acl {
                None => AclPart::Absent,
                Some(None) => AclPart::Null,
                Some(Some(acl)) => AclPart::Acl(Acl::split(acl.clone().leak()).unwrap().0),
            };
            let builder = SecurityDescriptorBuilder {
                control: Control::from_bits_retain(control),
                resource_manager,
                owner: owner.as_ref().map(SidBuf::as_sid),
                group: group.as_ref().map(SidBuf::as_sid),
                sacl: part(&sacl),
                dacl: part(&dacl),
            };
            builder.build()
        },
    )
}

fn any_ea() -> impl Strategy<Value = Vec<u8>> {
    btree_map("[A-Z$][A-Z0-9._]{0,20}", (any::<bool>(), vec(any::<u8>(), 1..300)), 1..6).prop_map(|list| {
        let flags = |needed: bool| if needed { 0x80 } else { 0 };
        let list: Vec<_> =
            list.iter().map(|(name, (needed, value))| (name.as_str(), flags(*needed), &value[..])).collect();
        eas(&list)
    })
}

fn any_reparse() -> impl Strategy<Value = Vec<u8>> {
    // Neither a mount point nor a symbolic link, which do not go with every file.
    let tag = any::<u32>().prop_map(ReparseTag).prop_filter("not for every file", |tag| {
        !tag.is_reserved() && ![ReparseTag::MOUNT_POINT, ReparseTag::SYMLINK].contains(tag)
    });
    (tag, any::<[u8; 16]>(), vec(any::<u8>(), 0..200)).prop_map(|(tag, guid, data)| {
        reparse::build(tag, (!tag.is_microsoft()).then_some(Guid(guid)), &data).unwrap()
    })
}

fn any_size() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0_usize), Just(1), 2..5000_usize, 65_534..65_539_usize]
}

/// A stream without a name: dense with a valid data length, or sparse with random ranges.
fn any_stream() -> impl Strategy<Value = MemoryStream> {
    let dense = (any_size(), any_size(), any::<bool>()).prop_map(|(size, vdl, compressed)| {
        let vdl = vdl.min(size);
        let mut stream = MemoryStream::default();
        stream.write(0, &bytes(vdl));
        (stream.size, stream.vdl) = (size as u64, vdl as u64);
        stream.flags.set(StreamFlags::COMPRESSED, compressed);
        stream
    });
    let holes = vec((0..3_u64, 1..70_000_usize), 0..5).prop_flat_map(|ranges| (Just(ranges), any_size()));
    let sparse = holes.prop_map(|(ranges, tail)| {
        let mut offset = 0;
        let mut placed = Vec::new();
        for (gap, len) in ranges {
            offset += gap * 65_536;
            placed.push((offset, len));
            offset += len as u64;
        }
        sparse(None, offset + tail as u64, &placed)
    });
    prop_oneof![dense, sparse]
}

fn any_name() -> impl Strategy<Value = StreamName> {
    let unit = prop_oneof![1..0x20_u16, 0x61..0x7A_u16, 0xD800..=0xDFFF_u16, any::<u16>()];
    let units = prop_oneof![vec(unit.clone(), 1..6), vec(unit, 250..=255)];
    units.prop_filter_map("not a name", |units| StreamName::new(Name::from_units(units)).ok())
}

fn any_info() -> impl Strategy<Value = FileInfo> {
    let time = || option(any::<i64>().prop_map(FileTime));
    let short = option("[A-Z]{1,8}\\.[A-Z]{3}");
    ((time(), time(), time(), time()), any::<u32>(), any::<u64>(), short, any::<bool>()).prop_map(
        |((created, written, accessed, changed), attributes, node, short, case_sensitive)| FileInfo {
            // Without those that say what something else says.
            attributes: FileAttributes::from_bits_retain(attributes & 0x0003_B127),
            times: Times { created, written, accessed, changed },
            node: NodeId(node),
            links: vec![Link {
                parent: NodeId(5),
                name: b"long name".into(),
                short: short.map(|short| Name::from(&*short)),
            }],
            link_count: 1,
            case_sensitive,
            unix_mode: None,
            unix_owner: None,
            wof: None,
            ntfs: None,
        },
    )
}

/// A file or directory with everything, or with some of it.
pub fn any_file() -> impl Strategy<Value = MemoryFile> {
    let small =
        (option(any_security()), option(any_ea()), option(any_reparse()), option(any::<[[u8; 32]; 2]>()));
    let named = vec((any_name(), any_stream()), 0..5);
    (any_info(), small, any_stream(), named, any::<bool>()).prop_map(
        |(info, (security, ea, reparse, id), main, named, directory)| {
            let mut file = if directory { MemoryFile::directory() } else { MemoryFile::file() };
            let object_id = id.map(|id| ObjectId::parse(id.as_flattened()).unwrap());
            let kind = file.info.attributes & FileAttributes::DIRECTORY;
            file = MemoryFile { info, security, ea, reparse, object_id, ..file };
            file.info.attributes |= kind;
            file.info.attributes.set(FileAttributes::REPARSE_POINT, file.reparse.is_some());
            if !directory {
                put_stream(&mut file, main);
            }
            for (name, mut stream) in named {
                stream.name = Some(name);
                put_stream(&mut file, stream);
            }
            file
        },
    )
}
