//! Encrypted files with a key: what is decrypted is what was encrypted, by any way of asking.

use std::sync::OnceLock;

use ntbak::efs::{Decrypted, Protected, Protection, Rekeyed};
use ntbak::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use ntbak::source::{MemorySource, RawSource};
use ntbak::{FileSource, place};
use ntbak_efs::{Algorithm, Bits, Fek, Identity, KeyRing, NewIdentity, Recipient, Usage};
use ntbak_wire::efs::Metadata;
use ntbak_wire::object_id::Guid;
use ntbak_wire::record::{Extent, StreamFlags};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::tempdir;

use crate::made::*;

/// Three people, whose keys are made once: alice, bob, and one who is on no file.
pub(crate) fn people() -> &'static [Identity; 3] {
    static PEOPLE: OnceLock<[Identity; 3]> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        ["alice", "bob", "stranger"].map(|name| {
            let usage = Usage::Efs;
            let (not_before, not_after) = (0, 4_000_000_000);
            let principal_name = None;
            let new = NewIdentity {
                bits: Bits::B2048,
                common_name: name,
                principal_name,
                usage,
                not_before,
                not_after,
            };
            new.generate().unwrap()
        })
    })
}

pub(crate) fn recipient(person: usize) -> Recipient {
    Recipient::new(people()[person].certificate.clone().unwrap())
}

pub(crate) fn ring(person: usize) -> KeyRing {
    let mut ring = KeyRing::new();
    ring.add(people()[person].clone());
    ring
}

/// `source`, encrypted for alice and bob's recovery.
pub(crate) fn protected<S: FileSource>(source: S, holes: bool) -> Protected<S> {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let (users, agents) = ([recipient(0)], [recipient(1)]);
    let with = Protection { fek: &fek, users: &users, agents: &agents, computer: Guid([9; 16]), holes };
    Protected::new(source, &with).unwrap()
}

pub(crate) fn in_memory(file: MemoryFile) -> MemorySource {
    MemorySource::new(SharedFile::new(file))
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(Name::from(text)).unwrap()
}

/// All of a stream, by reads of `step` bytes.
pub(crate) fn read_all(source: &dyn FileSource, stream: usize, step: usize) -> Vec<u8> {
    let (mut out, mut buffer) = (Vec::new(), vec![0xCC; step]);
    loop {
        match source.read_at(stream, out.len() as u64, &mut buffer).unwrap() {
            0 => return out,
            got => out.extend_from_slice(&buffer[..got]),
        }
    }
}

fn stream_of(name: Option<&str>, sparse: bool, size: u64, writes: &[(u64, Vec<u8>)]) -> MemoryStream {
    let flags = if sparse { StreamFlags::SPARSE } else { StreamFlags::empty() };
    let mut stream = MemoryStream::new(name.map(self::name), flags);
    for (offset, data) in writes {
        let offset = offset % (size + 1);
        let len = data.len().min((size - offset) as usize);
        stream.write(offset, &data[..len]);
    }
    stream.size = size;
    stream.vdl = size;
    stream
}

fn file_of(streams: Vec<MemoryStream>) -> MemoryFile {
    let mut file = MemoryFile::file();
    for stream in streams {
        if stream.flags.contains(StreamFlags::SPARSE) && stream.name.is_none() {
            file.info.attributes |= FileAttributes::SPARSE_FILE;
        }
        file.streams.insert(StreamKey::of(stream.name.as_ref()), stream);
    }
    file
}

/// The streams of `decrypted` are those of `file`: names, sizes, content by any read, and nothing outside of its extents.
fn assert_plain(decrypted: &dyn FileSource, file: &MemoryFile, reads: &[(u64, usize)], what: &str) {
    assert!(!decrypted.info().unwrap().attributes.contains(FileAttributes::ENCRYPTED), "{what}");
    assert!(decrypted.encrypted().unwrap().is_none(), "{what}: it is encrypted no more");
    let mut found = 0;
    while let Some(head) = decrypted.stream(found).unwrap() {
        let stream = file.stream(head.name.as_ref()).unwrap();
        let mut expected = vec![0; stream.size as usize];
        assert_eq!(stream.read(0, &mut expected), expected.len());
        assert_eq!((head.size, head.vdl <= head.size), (stream.size, true), "{what}");
        assert!(!head.flags.contains(StreamFlags::ENCRYPTED));
        for step in [1 << 20, 511] {
            assert!(read_all(decrypted, found, step) == expected, "{what}: {:?} by {step}", head.name);
        }
        for (offset, len) in reads {
            let offset = offset % (stream.size + 600);
            let mut buffer = vec![0xCC; *len];
            let got = decrypted.read_at(found, offset, &mut buffer).unwrap();
            let rest = expected.get(offset as usize..).unwrap_or_default();
            assert!(
                got <= rest.len().min(*len) && (got > 0 || rest.is_empty() || *len == 0),
                "{what}: {offset} {len}"
            );
            assert!(buffer[..got] == rest[..got], "{what}: {len} at {offset}");
            assert!(buffer[got..].iter().all(|byte| *byte == 0xCC), "nothing behind what was read");
        }
        let (mut at, mut covered) = (0, 0);
        while let Some(Extent { offset, len }) = decrypted.next_extent(found, at).unwrap() {
            assert!(offset >= at && len > 0 && offset + len <= stream.size, "{what}: {offset} {len}");
            assert!(
                expected[covered..offset as usize].iter().all(|byte| *byte == 0),
                "{what}: data in a hole"
            );
            (at, covered) = (offset + len, (offset + len) as usize);
        }
        assert!(expected[covered..].iter().all(|byte| *byte == 0), "{what}: data in the last hole");
        found += 1;
    }
    assert_eq!(found, file.streams.len(), "{what}");
}

/// At once, through the raw export, and through a directory.
fn round_trip(file: &MemoryFile, holes: bool, reads: &[(u64, usize)]) {
    let encrypted = protected(in_memory(file.clone()), holes);
    assert!(encrypted.info().unwrap().attributes.contains(FileAttributes::ENCRYPTED));
    let raw = export(&encrypted);
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    copied(&encrypted, place::stage(&path, false).unwrap());
    assert!(export(&*place::open(&path).unwrap()) == raw);
    for person in [0, 1] {
        let ring = ring(person);
        assert_plain(&Decrypted::open(&encrypted, &ring).unwrap(), file, reads, "at once");
        let source = RawSource::open(raw.clone()).unwrap();
        assert_plain(&Decrypted::open(source, &ring).unwrap(), file, reads, "export");
        let source = place::open(&path).unwrap();
        assert_plain(&Decrypted::open(source, &ring).unwrap(), file, reads, "directory");
    }
}

fn any_size() -> impl Strategy<Value = u64> {
    let edges = [0, 1, 511, 512, 513, 1023, 1024, 1025, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073];
    prop_oneof![prop::sample::select(edges.to_vec()), 0..5000_u64, 100_000..300_000_u64]
}

fn any_stream(name: Option<&'static str>) -> impl Strategy<Value = MemoryStream> {
    let data = prop_oneof![Just(vec![0; 3000]), vec(any::<u8>(), 1..40), Just(vec![0x5A; 70_000])];
    (any_size(), any::<bool>(), vec((any::<u64>(), data), 0..6))
        .prop_map(move |(size, sparse, writes)| stream_of(name, sparse, size, &writes))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decrypted_protected_is_the_same(
        unnamed in any_stream(None),
        named in prop::option::of(any_stream(Some("a"))),
        other in prop::option::of(any_stream(Some("Zone.Identifier"))),
        holes in any::<bool>(),
        reads in vec((any::<u64>(), prop_oneof![0..700_usize, 60_000..140_000_usize]), 1..12),
    ) {
        let streams = [Some(unnamed), named, other].into_iter().flatten().collect();
        round_trip(&file_of(streams), holes, &reads);
    }

    /// Ciphertext, too, is the same however it is asked for.
    #[test]
    fn ciphertext_is_the_same_by_any_read(size in 1..200_000_u64, reads in vec((any::<u64>(), 1..3000_usize), 1..20)) {
        let file = file_of(vec![stream_of(None, false, size, &[(0, vec![7; size as usize])])]);
        let encrypted = protected(in_memory(file), true);
        let stored = encrypted.encrypted()?.unwrap();
        let mut whole = vec![0; size.next_multiple_of(512) as usize];
        let mut filled = 0;
        while filled < whole.len() {
            filled += stored.read_stored(0, filled as u64, &mut whole[filled..])?;
        }
        prop_assert_eq!(stored.read_stored(0, filled as u64, &mut [0; 9])?, 0);
        for (offset, len) in reads {
            let offset = offset % whole.len() as u64;
            let mut buffer = vec![0; len];
            let got = stored.read_stored(0, offset, &mut buffer)?;
            prop_assert!(got > 0 && buffer[..got] == whole[offset as usize..offset as usize + got]);
        }
    }
}

#[test]
fn efs_24_sizes_at_the_edges_decrypt() {
    for size in [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 70_000, 3 << 20] {
        let data: Vec<u8> = (0..size).map(|at| byte(3, at)).collect();
        round_trip(
            &file_of(vec![stream_of(None, false, size, &[(0, data)])]),
            true,
            &[(0, 1), (size / 2, 700)],
        );
    }
}

/// What the disk has behind the valid data length is nobody's business, also within the sector that crosses it.
#[test]
fn efs_25_past_the_valid_data_length_are_zeros() {
    let size = 200_000;
    for vdl in [0, 1, 511, 512, 513, 700, 65_535, 65_536, 65_537, 131_072, 199_999, 200_000] {
        let mut stream = stream_of(None, false, size, &[(0, vec![0xAB; size as usize])]);
        stream.vdl = vdl;
        let encrypted = protected(in_memory(file_of(vec![stream])), true);
        assert_eq!(encrypted.encrypted().unwrap().unwrap().streams()[0].content.vdl, vdl);
        let raw = export(&encrypted);
        // No ciphertext for what there is none of.
        assert!((raw.len() as u64) < vdl + 6000 + 1024 * (vdl / 65_536), "{vdl}: {}", raw.len());
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        copied(&encrypted, place::stage(&path, false).unwrap());
        let sources: [Box<dyn FileSource>; 2] =
            [Box::new(RawSource::open(raw).unwrap()), place::open(&path).unwrap()];
        for source in sources {
            let plain = Decrypted::open(source, &ring(0)).unwrap();
            assert_eq!(plain.stream(0).unwrap().unwrap().vdl, vdl);
            for step in [100, 512, 1 << 20] {
                let read = read_all(&plain, 0, step);
                assert_eq!(read.len() as u64, size);
                assert!(read[..vdl as usize].iter().all(|byte| *byte == 0xAB), "{vdl} by {step}");
                assert!(read[vdl as usize..].iter().all(|byte| *byte == 0), "{vdl} by {step}");
            }
            // Straight into the sector that crosses it.
            let mut buffer = [0xCC; 300];
            let got = plain.read_at(0, vdl.saturating_sub(10), &mut buffer).unwrap();
            let valid = (vdl.min(10) as usize).min(got);
            assert!(
                buffer[..valid].iter().all(|byte| *byte == 0xAB)
                    && buffer[valid..got].iter().all(|byte| *byte == 0)
            );
        }
    }
}

#[test]
fn efs_23_holes_decrypt_to_zeros_and_stay_holes() {
    let size = 4 << 30;
    let writes = [(65_536, vec![1; 65_536]), (1 << 31, vec![2; 10])];
    for writes in [&writes[..], &[]] {
        let file =
            file_of(vec![stream_of(None, true, size, writes), stream_of(Some("s"), true, size, writes)]);
        let raw = export(&protected(in_memory(file), true));
        // The headers of holes take room: 512 bytes for 113 units.
        assert!(raw.len() < 2_000_000, "{}", raw.len());
        let plain = Decrypted::open(RawSource::open(raw).unwrap(), &ring(0)).unwrap();
        for stream in [0, 1] {
            let first = plain.next_extent(stream, 0).unwrap();
            assert_eq!(first, writes.first().map(|_| Extent { offset: 65_536, len: 65_536 }));
            let mut buffer = [9; 4096];
            assert_eq!(plain.read_at(stream, size - 4000, &mut buffer).unwrap(), 4000);
            assert!(buffer[..4000].iter().all(|byte| *byte == 0));
            if !writes.is_empty() {
                assert_eq!(plain.read_at(stream, 1 << 31, &mut buffer[..10]).unwrap(), 10);
                assert_eq!(buffer[..10], [2; 10]);
            }
        }
    }
}

/// Reading moves nothing: many threads at once read what one does.
#[test]
fn any_thread_may_read_anything() {
    let size = 2_000_000_u64;
    let data: Vec<u8> = (0..size).map(|at| byte(1, at)).collect();
    let file = file_of(vec![stream_of(None, false, size, &[(0, data.clone())])]);
    let plain = Decrypted::open(protected(in_memory(file), true), &ring(0)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (plain, data) = (&plain, &data);
            scope.spawn(move || {
                for round in 0..60_u64 {
                    let offset = (thread * 7919 + round * 104_729 * (thread + 1)) % size;
                    let mut buffer = vec![0; (round as usize * 1777) % 90_000 + 1];
                    let got = plain.read_at(0, offset, &mut buffer).unwrap();
                    assert!(got > 0 && buffer[..got] == data[offset as usize..offset as usize + got]);
                }
            });
        }
    });
}

#[test]
fn efs_67_a_wrong_key_gives_nothing() {
    let encrypted = protected(in_memory(MemoryFile::file().with_stream(None, b"secret")), true);
    let code = |ring: &KeyRing| Decrypted::open(&encrypted, ring).err().map(|error| error.win32());
    assert_eq!(code(&KeyRing::new()), Some(Win32Error::NO_USER_KEYS));
    assert_eq!(code(&ring(2)), Some(Win32Error::FILE_ENCRYPTED));
    // A key of the right size under the certificate of alice: the padding or the structure inside tells.
    let mut forged = KeyRing::new();
    forged.add(Identity { key: people()[2].key.clone(), certificate: people()[0].certificate.clone() });
    assert_eq!(code(&forged), Some(Win32Error::DECRYPTION_FAILED));
    // Without any certificate it is tried everywhere, and fits nowhere.
    let mut bare = KeyRing::new();
    bare.add(Identity { key: people()[2].key.clone(), certificate: None });
    assert_eq!(code(&bare), Some(Win32Error::FILE_ENCRYPTED));
    let mut bare = KeyRing::new();
    bare.add(Identity { key: people()[1].key.clone(), certificate: None });
    assert_eq!(code(&bare), None);
    // What is not encrypted is not decrypted.
    let plain = in_memory(MemoryFile::file());
    let error = Decrypted::open(plain, &ring(0)).err().unwrap();
    assert_eq!(error.win32(), Win32Error::FILE_NOT_ENCRYPTED);
}

#[test]
fn efs_67_damage_stays_in_its_sector() {
    let size = 150_000_u64;
    let data: Vec<u8> = (0..size).map(|at| byte(1, at)).collect();
    let encrypted =
        protected(in_memory(file_of(vec![stream_of(None, false, size, &[(0, data.clone())])])), true);
    let raw = export(&encrypted);
    let stored = encrypted.encrypted().unwrap().unwrap();
    for at in [0, 1, 511, 512, 65_535, 65_536, 100_001, 149_999] {
        let sector = at / 512 * 512;
        let mut ciphertext = [0; 512];
        assert_eq!(stored.read_stored(0, sector, &mut ciphertext).unwrap(), 512);
        let place = raw.windows(512).position(|window| window == ciphertext).unwrap();
        let mut damaged = raw.clone();
        damaged[place + (at - sector) as usize] ^= 0x10;
        let plain = Decrypted::open(RawSource::open(damaged).unwrap(), &ring(0)).unwrap();
        let read = read_all(&plain, 0, 1 << 20);
        let differs: Vec<_> = (0..size).filter(|at| read[*at as usize] != data[*at as usize]).collect();
        let (first, last) = (differs[0], differs[differs.len() - 1]);
        assert!(first >= sector && last < sector + 512, "{at}: {first} to {last}");
        assert!(differs.len() >= 8, "{at}: {}", differs.len());
    }
}

#[test]
fn rekeyed_has_other_people_and_the_same_content() {
    let data: Vec<u8> = (0..3000).map(|at| byte(1, at)).collect();
    let file = MemoryFile::file().with_stream(None, &data).with_stream(Some(name("s")), b"stream");
    let encrypted = protected(in_memory(file), true);
    let before = export(&encrypted);
    let metadata = encrypted.encrypted().unwrap().unwrap().metadata().to_vec();
    let opened = ring(0).open(&Metadata::parse(&metadata).unwrap()).unwrap();
    let more = ntbak_efs::add_user(&metadata, &opened.fek, &recipient(2)).unwrap();
    let less = ntbak_efs::remove_user(&more, people()[0].certificate.as_ref().unwrap().thumbprint()).unwrap();
    let tail = before.len() - (20 + 30 + 16 + metadata.len());
    for (metadata, opens) in [(more, [true, true, true]), (less, [false, true, true])] {
        let rekeyed = Rekeyed::new(&encrypted, metadata);
        let after = export(&rekeyed);
        assert!(
            after[after.len() - tail..] == before[before.len() - tail..],
            "not one byte of content differs"
        );
        for (person, opens) in opens.into_iter().enumerate() {
            let plain = Decrypted::open(RawSource::open(after.clone()).unwrap(), &ring(person));
            match plain {
                Ok(plain) => {
                    assert!(opens && read_all(&plain, 0, 999) == data && read_all(&plain, 1, 9) == b"stream");
                    assert_eq!(plain.opened().fek, opened.fek);
                }
                Err(error) => assert_eq!((opens, error.win32()), (false, Win32Error::FILE_ENCRYPTED)),
            }
        }
    }
    // A file that is not encrypted does not become so.
    assert!(Rekeyed::new(in_memory(MemoryFile::file()), vec![1]).encrypted().unwrap().is_none());
}

#[test]
fn efs_51_what_nobody_decrypts_is_told() {
    // EFS_Version 4 is elliptic curves; the export goes on as it is.
    let mut encrypted = export(&protected(in_memory(MemoryFile::file().with_stream(None, b"x")), true));
    encrypted[20 + 30 + 16 + 8] = 9;
    let source = RawSource::open(encrypted.clone()).unwrap();
    assert!(export(&source) == encrypted);
    let error = Decrypted::open(source, &ring(0)).err().unwrap();
    assert_eq!(error.win32(), Win32Error::EFS_VERSION_NOT_SUPPORT, "{error}");
}

/// An encrypted file with holes that lost its side file, or was touched: a hole is no ciphertext all the same.
#[test]
fn holes_are_found_when_nobody_tells_of_them() {
    let size = 1 << 20;
    let writes = [(0, vec![1; 65_536]), (524_288, vec![2; 65_536])];
    let file = file_of(vec![stream_of(None, true, size, &writes)]);
    let mut half_valid = stream_of(None, false, size, &[(0, vec![3; 100_000])]);
    half_valid.vdl = 100_000;
    for file in [file, file_of(vec![half_valid])] {
        let mut expected = vec![0; size as usize];
        let _ = file.stream(None).unwrap().read(0, &mut expected);
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        copied(&protected(in_memory(file), true), place::stage(&path, false).unwrap());
        let plain = || read_all(&Decrypted::open(place::open(&path).unwrap(), &ring(0)).unwrap(), 0, 1 << 16);
        assert!(plain() == expected, "as it was restored");
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(plain() == expected, "touched");
        std::fs::remove_dir_all(dir.path().join(".ntbak-side")).unwrap();
        if place::open(&path).unwrap().encrypted().unwrap().is_none() {
            assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no extended attributes");
            eprintln!("skipped: the temporary directory has no extended attributes");
            return;
        }
        assert!(plain() == expected, "without its side file");
    }
}

/// What another writer left out of a stream that it does not call sparse is zeros, not ciphertext.
#[test]
fn efs_22_gaps_of_streams_that_are_not_sparse_decrypt_to_zeros() {
    let size = 65_536;
    let whole = vec![stream_of(None, false, size, &[(0, vec![7; 65_536])])];
    let encrypted = protected(in_memory(file_of(whole)), true);
    let stored = encrypted.encrypted().unwrap().unwrap();
    let mut expected = vec![0; 65_536];
    expected[..512].fill(7);
    expected[8192..8704].fill(7);
    let at = |offset, blocks: Vec<u32>| ntbak_wire::efs::Segment {
        offset,
        len: 512 * blocks.len() as u32,
        valid: 512 * blocks.len() as u32,
        unit_shift: 9,
        blocks,
        ..Default::default()
    };
    // Between segments, within one, and at the end.
    let between = vec![at(0, vec![512]), at(8192, vec![512]), at(65_024, vec![0])];
    let within = vec![at(0, [vec![512], vec![0; 15], vec![512], vec![0; 111]].concat())];
    for segments in [between, within] {
        let (mut encoder, mut raw) = (ntbak_wire::efs::Encoder::new(), Vec::new());
        encoder.metadata(stored.metadata(), &mut raw).unwrap();
        encoder.stream(&ntbak_wire::efs::StreamHead { name: None, encrypted: true }, &mut raw).unwrap();
        for segment in &segments {
            encoder.segment(segment, &mut raw).unwrap();
            for (offset, len) in segment.runs() {
                let mut data = vec![0; len as usize];
                assert_eq!(stored.read_stored(0, offset, &mut data).unwrap(), data.len());
                encoder.data(&data, &mut raw).unwrap();
            }
        }
        let source = RawSource::open(raw.clone()).unwrap();
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        copied(&source, place::stage(&path, false).unwrap());
        let again = export(&*place::open(&path).unwrap());
        for source in [Box::new(source) as Box<dyn FileSource>, place::open(&path).unwrap()] {
            let plain = Decrypted::open(source, &ring(0)).unwrap();
            assert!(read_all(&plain, 0, 1000) == expected);
        }
        let plain = Decrypted::open(RawSource::open(again).unwrap(), &ring(0)).unwrap();
        assert!(read_all(&plain, 0, 1 << 20) == expected);
    }
}
