//! A backup program as Microsoft's "Creating a Backup Application" describes one, against `ntbak::win32`.
//!
//! It goes through a directory with `FindFirstFile`, opens each file with backup semantics, and writes what `BackupRead`
//! gives to a backup file, behind attributes and times, which no backup stream has. Of a file with several names, the
//! second and later ones are a LINK stream. Encrypted files go as they are, by the raw functions. Restoring, attributes and times
//! come last: those of directories when all is in them.
//!
//! ```text
//! backup_program backup  C=/mnt/windows 'C:\Users' users.bak
//! backup_program backup  C=disk.qcow2#2  'C:\Users' users.bak
//! backup_program restore D=/srv/restored 'D:\'     users.bak
//! ```

use std::collections::HashMap;
use std::io::{self, Read, Write};

use ntbak::win32::{
    Access, BasicInfo, Context, Create, Disposition, Drives, FileFlags, Handle, RawFlags, Share, System,
    backup_finish, backup_read, backup_write, get_basic_info, get_file_information_by_handle, get_id_info,
    open_encrypted_file_raw, read_encrypted_file_raw, set_basic_info, write_encrypted_file_raw,
};
use ntbak::{Error, Result, VolumeOptions};
use ntbak_wire::stream::{Header, StreamId};
use ntbak_wire::{FileAttributes, FileTime, Name, Win32Error, link};

/// What stands before the content of each file: path, attributes, times, kind.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    /// Below the directory that is backed up.
    path: Vec<u8>,
    basic: BasicInfo,
    /// 0: a backup stream follows; 1: a raw export.
    kind: u8,
}

const STREAM: u8 = 0;
const RAW: u8 = 1;
/// Bytes that are read and written at a time.
const CHUNK: usize = 1 << 18;

/// Backs up everything below `root`; answers how many names.
///
/// # Errors
/// Whatever reading and writing meet, with the path.
pub fn backup(system: &System, root: &str, out: &mut dyn Write) -> Result<usize> {
    let mut job = Backup { system, root, out, seen: HashMap::new(), count: 0 };
    job.directory(&[])?;
    Ok(job.count)
}

struct Backup<'a> {
    system: &'a System,
    root: &'a str,
    out: &'a mut dyn Write,
    /// Files with several names, and the first of them.
    seen: HashMap<[u8; 16], Vec<u8>>,
    count: usize,
}

impl Backup<'_> {
    /// A directory, then what is in it.
    fn directory(&mut self, path: &[u8]) -> Result<()> {
        for found in self.system.list(join(self.root, path))? {
            let mut path = path.to_vec();
            if !path.is_empty() {
                path.push(b'\\');
            }
            path.extend(found.name.to_wtf8());
            self.entry(&path, found.attributes)?;
            let attributes = found.attributes;
            if attributes.is_directory() && !attributes.contains(FileAttributes::REPARSE_POINT) {
                self.directory(&path)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &[u8], attributes: FileAttributes) -> Result<()> {
        self.count += 1;
        let whole = join(self.root, path);
        let file = open(self.system, &whole, Access::GENERIC_READ, Disposition::OpenExisting)?;
        let basic = get_basic_info(&file)?;
        if attributes.contains(FileAttributes::ENCRYPTED) {
            drop(file);
            put_entry(self.out, &Entry { path: path.to_vec(), basic, kind: RAW })?;
            return self.raw(&whole);
        }
        put_entry(self.out, &Entry { path: path.to_vec(), basic, kind: STREAM })?;
        if !attributes.is_directory() && get_file_information_by_handle(&file)?.number_of_links > 1 {
            let id = get_id_info(&file)?.file_id;
            if let Some(first) = self.seen.get(&id) {
                let payload = link::build(&Name::from_wtf8(first).unwrap_or_default());
                let mut bytes = Vec::new();
                Header::new(StreamId::Link, payload.len() as u64).encode(&mut bytes)?;
                put_chunk(self.out, &[bytes, payload].concat())?;
                return put_chunk(self.out, &[]);
            }
            self.seen.insert(id, path.to_vec());
        }
        let (mut context, mut buffer) = (Context::default(), vec![0; CHUNK]);
        loop {
            let mut read = 0;
            backup_read(Some(&file), &mut buffer, &mut read, false, true, &mut context)?;
            put_chunk(self.out, buffer.get(..read as usize).unwrap_or_default())?;
            if read == 0 {
                return backup_read(None, &mut [], &mut 0, true, false, &mut context);
            }
        }
    }

    fn raw(&mut self, path: &[u8]) -> Result<()> {
        let path = text(path)?;
        let mut export = open_encrypted_file_raw(self.system, path, RawFlags::empty())?;
        let mut written = Ok(());
        let out = &mut *self.out;
        let result = read_encrypted_file_raw(
            |data| {
                written = put_chunk(out, data);
                u32::from(written.is_err())
            },
            &mut export,
        );
        written?;
        result?;
        put_chunk(self.out, &[])
    }
}

/// Restores everything below `root`; answers how many names. For hard links the system needs
/// [`with_link_root`](System::with_link_root) of the same directory.
///
/// # Errors
/// Whatever reading and writing meet, with the path; a backup file that is cut.
pub fn restore(system: &System, root: &str, input: &mut dyn Read) -> Result<usize> {
    let mut directories = Vec::new();
    let mut count = 0;
    while let Some(entry) = get_entry(input)? {
        count += 1;
        let path = join(root, &entry.path);
        let is_directory = entry.basic.attributes.is_directory();
        match entry.kind {
            RAW => restore_raw(system, &path, is_directory, input)?,
            _ => restore_stream(system, &path, is_directory, input)?,
        }
        if is_directory {
            directories.push((path, entry.basic))
        } else {
            finish(system, &path, &entry.basic)?
        }
    }
    // What is in them is there, and changes their times no more.
    for (path, basic) in directories.iter().rev() {
        finish(system, path, basic)?;
    }
    Ok(count)
}

fn restore_stream(system: &System, path: &[u8], directory: bool, input: &mut dyn Read) -> Result<()> {
    let access = Access::GENERIC_WRITE | Access::WRITE_DAC | Access::WRITE_OWNER;
    let file = if directory {
        system.create_directory(path)?;
        open(system, path, access, Disposition::OpenExisting)?
    } else {
        open(system, path, access, Disposition::CreateNew)?
    };
    let mut context = Context::default();
    loop {
        let chunk = get_chunk(input)?;
        if chunk.is_empty() {
            break;
        }
        let mut written = 0;
        backup_write(Some(&file), &chunk, &mut written, false, true, &mut context)?;
    }
    if context.is_null() { Ok(()) } else { backup_finish(&mut context) }
}

fn restore_raw(system: &System, path: &[u8], directory: bool, input: &mut dyn Read) -> Result<()> {
    let mut flags = RawFlags::CREATE_FOR_IMPORT | RawFlags::OVERWRITE_HIDDEN;
    flags.set(RawFlags::CREATE_FOR_DIR, directory);
    let mut import = open_encrypted_file_raw(system, text(path)?, flags)?;
    let (mut chunk, mut ended, mut failed) = (Vec::new(), false, Ok(()));
    let result = write_encrypted_file_raw(
        |buffer, len| {
            while chunk.is_empty() && !ended {
                match get_chunk(input) {
                    Ok(next) => (ended, chunk) = (next.is_empty(), next),
                    Err(error) => {
                        failed = Err(error);
                        return 1;
                    }
                }
            }
            let take = chunk.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..take), chunk.get(..take)) {
                to.copy_from_slice(from);
            }
            chunk.drain(..take);
            *len = u32::try_from(take).unwrap_or(0);
            0
        },
        &mut import,
    );
    failed?;
    result
}

/// Attributes and times, which everything before would have changed.
fn finish(system: &System, path: &[u8], basic: &BasicInfo) -> Result<()> {
    let file = open(system, path, Access::FILE_WRITE_ATTRIBUTES, Disposition::OpenExisting)?;
    set_basic_info(&file, basic)
}

/// Opens a file, directory or link itself for backup or restore.
fn open(system: &System, path: &[u8], access: Access, disposition: Disposition) -> Result<Handle> {
    let access = access | Access::ACCESS_SYSTEM_SECURITY;
    let flags = FileFlags::BACKUP_SEMANTICS | FileFlags::OPEN_REPARSE_POINT;
    let share = Share::READ;
    system.create_file(path, Create { access, share, disposition, flags, ..Create::default() })
}

fn join(root: &str, path: &[u8]) -> Vec<u8> {
    // Names are as they are: dots and spaces at their ends count.
    let root = root.trim_end_matches('\\');
    let prefix: &[u8] = if root.starts_with(r"\\?\") { b"" } else { br"\\?\" };
    [prefix, root.as_bytes(), b"\\", path].concat()
}

fn text(path: &[u8]) -> Result<&str> {
    std::str::from_utf8(path).map_err(|_| damaged("the path of an encrypted file is no Unicode"))
}

// --- The backup file: entries, and chunks that end with an empty one.

fn put(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|error| Error::io("writing the backup file", error))
}

fn put_chunk(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    put(out, &u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes())?;
    put(out, bytes)
}

fn put_entry(out: &mut dyn Write, entry: &Entry) -> Result<()> {
    put_chunk(out, &entry.path)?;
    put(out, &entry.basic.attributes.bits().to_le_bytes())?;
    for time in [entry.basic.created, entry.basic.accessed, entry.basic.written, entry.basic.changed] {
        put(out, &time.0.to_le_bytes())?;
    }
    put(out, &[entry.kind])
}

fn get<const N: usize>(input: &mut dyn Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| Error::io("reading the backup file", error))?;
    Ok(bytes)
}

fn get_chunk(input: &mut dyn Read) -> Result<Vec<u8>> {
    let len = u32::from_le_bytes(get(input)?) as usize;
    if len > CHUNK.max(1 << 20) {
        return Err(damaged("a piece of the backup file is too long"));
    }
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes).map_err(|error| Error::io("reading the backup file", error))?;
    Ok(bytes)
}

fn get_entry(input: &mut dyn Read) -> Result<Option<Entry>> {
    let mut first = [0; 1];
    match input.read_exact(&mut first) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result.map_err(|error| Error::io("reading the backup file", error))?,
    }
    let path = get_chunk(&mut first.as_slice().chain(&mut *input))?;
    let attributes = FileAttributes::from_bits_retain(u32::from_le_bytes(get(input)?));
    let mut time = || get(input).map(|bytes| FileTime(i64::from_le_bytes(bytes)));
    let (created, accessed, written, changed) = (time()?, time()?, time()?, time()?);
    let [kind] = get(input)?;
    Ok(Some(Entry { path, basic: BasicInfo { created, accessed, written, changed, attributes }, kind }))
}

fn damaged(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_DATA, why)
}

fn run() -> Result<usize> {
    let usage = || {
        Error::new(
            Win32Error::INVALID_PARAMETER,
            "usage: backup_program backup|restore LETTER=LOCATION PATH FILE",
        )
    };
    let arguments: Vec<String> = std::env::args().collect();
    let [_, verb, drive, path, file] = arguments.as_slice() else { return Err(usage()) };
    let (letter, location) = drive.split_once('=').ok_or_else(usage)?;
    let letter = letter.chars().next().ok_or_else(usage)?;
    let drives = Drives::new();
    drives.map_location(letter, location, VolumeOptions::default())?;
    let system = System::new(drives).with_link_root(path);
    let at = |error: io::Error| Error::io("opening the backup file", error).at_path(file);
    match verb.as_str() {
        "backup" => {
            let mut out = io::BufWriter::new(std::fs::File::create(file).map_err(at)?);
            let count = backup(&system, path, &mut out)?;
            out.flush().map_err(at)?;
            Ok(count)
        }
        "restore" => restore(&system, path, &mut io::BufReader::new(std::fs::File::open(file).map_err(at)?)),
        _ => Err(usage()),
    }
}

#[allow(clippy::print_stdout)]
fn main() -> std::process::ExitCode {
    match run() {
        Ok(count) => {
            println!("{count} files and directories");
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("backup_program: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
