//! From facts to records of an extended header: the mirror of [`decode`](super::decode).

use ntbak_wire::record::{FileInfo, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::reparse::{ReparseBuffer, Target};
use ntbak_wire::{FileAttributes, Name, ea};

use super::{Facts, Linux, is_mount_point, wof_algorithm};
use crate::keys;
use crate::tar::pax;
use crate::time;

/// Records of an extended header, one behind the other.
#[derive(Debug)]
pub(crate) struct Builder(pub(crate) Vec<u8>);

impl Default for Builder {
    /// With room for what most files have.
    fn default() -> Self {
        Self(Vec::with_capacity(1024))
    }
}

impl Builder {
    fn put(&mut self, key: &str, value: &[u8]) {
        pax::push(&mut self.0, key.as_bytes(), value);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.put(key, itoa::Buffer::new().format(value).as_bytes());
    }

    fn base64(&mut self, key: &str, value: &[u8]) {
        pax::push_base64(&mut self.0, key.as_bytes(), value);
    }

    fn flag(&mut self, key: &str, set: bool) {
        if set {
            self.put(key, b"1");
        }
    }

    /// Everything about a file.
    pub(crate) fn facts(&mut self, facts: &Facts) {
        self.info(&facts.info);
        for kind in SmallKind::ALL {
            if let Some(payload) = facts.small(kind) {
                self.small(kind, payload);
            }
        }
        let of_wof = facts.info.wof.as_deref().filter(|_| facts.reparse.is_none());
        if let Some((reparse, algorithm)) =
            of_wof.and_then(|reparse| Some((reparse, wof_algorithm(reparse)?)))
        {
            // The content is stored as it reads, and the attributes are those that Windows shows.
            self.base64(keys::REPARSE, reparse);
            self.put(keys::WOF, algorithm.as_bytes());
        }
        self.linux(&facts.linux);
    }

    fn info(&mut self, info: &FileInfo) {
        let times = &info.times;
        for (key, time) in [
            (keys::MTIME, times.written),
            (keys::ATIME, times.accessed),
            (keys::CTIME, times.changed),
            (keys::CREATED, times.created),
        ] {
            if let Some(time) = time {
                self.put(key, time::format(time).as_bytes());
            }
        }
        self.number(keys::ATTRIBUTES, info.attributes.bits().into());
        self.short_name(info.short_name());
        self.flag(keys::CASE_SENSITIVE, info.case_sensitive);
        if info.node.0 != 0 {
            self.number(keys::FILE_ID, info.node.0);
        }
        if let Some(fields) = &info.ntfs {
            let fields = super::si_fields(fields).into_iter().filter(|(_, value)| *value != 0);
            let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
            self.put(keys::SI, fields.join(" ").as_bytes());
        }
    }

    /// Another name of a file.
    pub(crate) fn link(&mut self, short: Option<&Name>, info: &FileInfo) {
        if let Some(written) = info.times.written {
            self.put(keys::MTIME, time::format(written).as_bytes());
        }
        self.short_name(short);
    }

    fn short_name(&mut self, short: Option<&Name>) {
        if let Some(short) = short.filter(|short| !short.is_empty()) {
            self.put(keys::SHORT_NAME, &short.to_wtf8());
        }
    }

    pub(crate) fn small(&mut self, kind: SmallKind, payload: &[u8]) {
        match kind {
            SmallKind::Security => self.base64(keys::RAW_SECURITY, payload),
            SmallKind::Ea => self.ea(payload),
            SmallKind::Reparse => {
                self.base64(keys::REPARSE, payload);
                self.flag(keys::MOUNT_POINT, is_mount_point(payload));
            }
            SmallKind::ObjectId => self.base64(keys::OBJECT_ID, payload),
            SmallKind::Link => {}
        }
    }

    /// Each value by its name, for others; and the whole list where they would not give it back byte for byte.
    fn ea(&mut self, list: &[u8]) {
        let entries = ea::parse_full(list).map(|list| list.to_vec()).unwrap_or_default();
        let as_key = |name: &[u8]| !name.iter().any(|byte| matches!(byte, b'=' | b'\n' | 0));
        let mut kept = Vec::new();
        for entry in entries.iter().filter(|entry| as_key(&entry.name)) {
            let key = [keys::EA_PREFIX.as_bytes(), &entry.name].concat();
            pax::push_base64(&mut self.0, &key, &entry.value);
            kept.push(ea::Ea::new(0, &*entry.name, &*entry.value));
        }
        // The order of records is lost in other hands, so it is only trusted with one entry.
        let told = kept.len() == 1 && ea::build_full(&kept).is_ok_and(|rebuilt| rebuilt == list);
        if !told {
            self.base64(keys::EA, list);
        }
    }

    pub(crate) fn linux(&mut self, linux: &Linux) {
        for (name, value) in &linux.attributes {
            let key = [keys::LINUX_PREFIX.as_bytes(), name].concat();
            pax::push(&mut self.0, &key, value);
        }
    }

    /// What is special about how a stream is stored.
    pub(crate) fn stream(&mut self, head: &StreamHead) {
        if let Some(name) = &head.name {
            self.base64(keys::STREAM, &name.name().to_utf16_le());
        }
        self.flag(keys::SPARSE, head.flags.contains(StreamFlags::SPARSE));
        self.flag(keys::COMPRESSED, head.flags.contains(StreamFlags::COMPRESSED));
        if head.vdl < head.size {
            self.number(keys::VDL, head.vdl);
        }
    }

    /// An EFS raw export as content.
    pub(crate) fn efs(&mut self) {
        self.put(keys::EFS, b"raw");
    }

    /// A stream entry that is no stream: facts behind their file.
    pub(crate) fn no_stream(&mut self) {
        self.put(keys::STREAM, b"");
    }
}

/// The print name of a symbolic link or mount point, as the link name of a tar entry. `None` where there is none that
/// tar could hold.
pub(crate) fn link_name(facts: &Facts) -> Option<Vec<u8>> {
    let buffer = ReparseBuffer::parse(facts.reparse.as_deref()?).ok()?;
    let print = match buffer.target().ok()? {
        Target::Symlink { print, .. } | Target::MountPoint { print, .. } => print.to_wtf8(),
        _ => return None,
    };
    Some(print).filter(|print| !print.is_empty() && !print.contains(&0))
}

/// The mode of an entry: that of Linux, or one with type bits for a file of Windows.
pub(crate) fn mode(info: &FileInfo, typeflag: u8) -> u32 {
    if let Some(mode) = info.unix_mode {
        return mode & 0o7777;
    }
    let read_only = info.attributes.contains(FileAttributes::READONLY);
    match (typeflag, read_only) {
        (b'2', _) => 0o120_777,
        (b'5', false) => 0o040_755,
        (b'5', true) => 0o040_555,
        (_, false) => 0o100_644,
        (_, true) => 0o100_444,
    }
}
