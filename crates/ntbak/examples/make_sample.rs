//! Makes `testdata/sample.bkup`: a file with everything that a backup stream can say about it.
//!
//! `cargo run --package ntbak --example make_sample > testdata/sample.bkup`

use std::io::Write;

use ntbak::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use ntbak::source::MemorySource;
use ntbak::{BackupReader, ReadRights};
use ntbak_wire::ea::{self, Ea, NEED_EA};
use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::StreamFlags;
use ntbak_wire::security::sddl;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, reparse};

const SDDL: &str = "O:S-1-5-21-1111111111-2222222222-3333333333-1001G:S-1-5-21-1111111111-2222222222-3333333333-513\
    D:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1301bf;;;S-1-5-21-1111111111-2222222222-3333333333-1001)\
    S:(AU;SAFA;CCDCLCSWRPDTLOCRSDRCWDWO;;;WD)(ML;;NW;;;HI)";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&stream_of(sample()?)?)?;
    Ok(())
}

fn sample() -> Result<MemoryFile, Box<dyn std::error::Error>> {
    let mut file = MemoryFile::file();
    file.security = Some(sddl::parse_sddl(SDDL)?);
    file.ea = Some(ea::build_full(&[
        Ea::new(0, &b"$LXUID"[..], &1000u32.to_le_bytes()[..]),
        Ea::new(0, &b"$LXMOD"[..], &0o100_644u32.to_le_bytes()[..]),
        Ea::new(NEED_EA, &b"NTBAK.SAMPLE"[..], &b"needed to understand the file"[..]),
    ])?);
    // A tag of nobody's: such files keep their content.
    let guid = ntbak_wire::object_id::Guid(*b"ntbak-sample-tag");
    file.reparse =
        Some(reparse::build(reparse::ReparseTag(0x0000_4242), Some(guid), b"opaque to everybody")?);
    file.object_id =
        Some(ObjectId::parse(&std::array::from_fn::<u8, 64, _>(|i| if i < 48 { i as u8 } else { 0 }))?);

    let mut content = MemoryStream::new(None, StreamFlags::SPARSE);
    content.write(0, b"This is a sparse file: 64 KiB of it are here, and at the end a few bytes.\r\n");
    content.write(75, &vec![b' '; 65_536 - 75]);
    content.write(16 << 20, b"The end.\r\n");
    file.streams.insert(StreamKey::default(), content);

    let zone = b"[ZoneTransfer]\r\nZoneId=3\r\nHostUrl=https://example.invalid/report.txt\r\n";
    let file = file
        .with_stream(Some(StreamName::new(Name::from("Zone.Identifier"))?), zone)
        .with_stream(Some(StreamName::new(Name::from("empty"))?), b"")
        .with_stream(Some(StreamName::new(Name::from("ünïcode ✓"))?), "a stream of its own".as_bytes());
    Ok(file)
}

fn stream_of(file: MemoryFile) -> Result<Vec<u8>, ntbak::Error> {
    let source = MemorySource::new(SharedFile::new(file));
    let (mut reader, mut bytes, mut buffer) = (BackupReader::new(), Vec::new(), vec![0; 1 << 16]);
    loop {
        match reader.read(&source, ReadRights::ALL, &mut buffer)? {
            0 => return Ok(bytes),
            got => bytes.extend(buffer.iter().take(got)),
        }
    }
}
