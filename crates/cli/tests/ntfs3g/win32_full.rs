//! Windows' functions where there is no room, and where a device ends too early.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use ntbak::VolumeOptions;
use ntbak::win32::{
    Access, Context, Create, DirectoryVolume, Disposition, Drives, FileFlags, Handle, MemoryVolume,
    MoveFlags, System, backup_read, backup_write, read_file_at, set_end_of_file, set_file_pointer_ex,
    write_file,
};
use tempfile::TempDir;

use crate::common::mount::Volume;
use crate::common::{Chance, need_volumes, output};

/// A file system in memory of this size; unmounted when it is dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(size: &str) -> Self {
        let directory = TempDir::with_prefix("ntbak-full-").unwrap();
        let size = format!("size={size}");
        let arguments = ["-t", "tmpfs", "-o", &size, "tmpfs"].map(AsRef::as_ref);
        output("mount", arguments.into_iter().chain([directory.path().as_os_str()]));
        Self(directory)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let path = self.0.path();
        let _ = Command::new("umount").arg(path).status();
        let _ = Command::new("umount").arg("-l").arg(path).stderr(std::process::Stdio::null()).status();
    }
}

fn create(system: &System, path: &str, access: Access, disposition: Disposition) -> ntbak::Result<Handle> {
    let flags = FileFlags::BACKUP_SEMANTICS;
    system.create_file(path, Create { access, disposition, flags, ..Create::default() })
}

fn number<T>(result: ntbak::Result<T>) -> u32 {
    result.map_or_else(|error| error.win32().0, |_| 0)
}

/// Writes until there is no room; answers how much there was.
fn fill(file: &Handle, piece: usize) -> u64 {
    let data = Chance::new(7).bytes(piece);
    let mut written = 0;
    loop {
        match write_file(file, &data) {
            Ok(len) => written += len as u64,
            Err(error) => {
                assert_eq!(error.win32().0, 112, "{error}");
                return written;
            }
        }
        assert!(written < 1 << 30, "it is never full");
    }
}

/// Fills the drive at `root`, and tries everything that needs room.
fn full(root: &Path) {
    let source = MemoryVolume::new();
    let content = Chance::new(1).bytes(1 << 20);
    source.insert("large", ntbak::memory::MemoryFile::file().with_stream(None, &content));
    let drives = Drives::new().with('C', DirectoryVolume::open(root).unwrap()).unwrap();
    let system = System::new(drives.with('E', source).unwrap());
    let write = Access::GENERIC_WRITE;
    for path in [r"C:\small", r"C:\target"] {
        let file = create(&system, path, write, Disposition::CreateNew).unwrap();
        write_file(&file, b"before").unwrap();
    }
    system.create_directory(r"C:\d").unwrap();
    let filler = create(&system, r"C:\filler", write, Disposition::CreateNew).unwrap();
    let room = fill(&filler, 65_536) + fill(&filler, 512);
    assert!(room > 100_000, "{room}");
    // A stream, a whole file from elsewhere, a backup stream.
    let stream = create(&system, r"C:\small:s", write, Disposition::OpenAlways);
    let stream = stream.and_then(|stream| write_file(&stream, &content));
    assert_eq!(number(stream), 112, "a named stream");
    let moved = system.move_file_ex(r"E:\large", r"C:\d\large", MoveFlags::COPY_ALLOWED);
    assert_eq!(number(moved), 112, "MoveFileEx from another volume");
    assert!(system.get_file_attributes(r"E:\large").is_ok(), "it is where it was");
    assert_eq!(system.list(r"C:\d").unwrap().len(), 0, "no half file");
    let large = create(&system, r"E:\large", Access::GENERIC_READ, Disposition::OpenExisting).unwrap();
    let (mut bytes, mut read) = (vec![0; 2 << 20], 0);
    backup_read(Some(&large), &mut bytes, &mut read, false, false, &mut Context::default()).unwrap();
    bytes.truncate(read as usize);
    let target = create(&system, r"C:\target", write, Disposition::OpenExisting).unwrap();
    let (mut context, mut written) = (Context::default(), 0);
    let restored = backup_write(Some(&target), &bytes, &mut written, false, false, &mut context);
    assert_eq!(number(restored), 112, "BackupWrite");
    backup_write(None, &[], &mut written, true, false, &mut context).unwrap();
    // What needs no room goes on, and so does all with room again.
    let small = create(&system, r"C:\small", Access::GENERIC_READ, Disposition::OpenExisting).unwrap();
    let mut buffer = [0; 6];
    assert_eq!(read_file_at(&small, 0, &mut buffer).unwrap(), 6);
    assert_eq!(&buffer, b"before");
    set_file_pointer_ex(&filler, 0, ntbak::win32::MoveMethod::Begin).unwrap();
    set_end_of_file(&filler).unwrap();
    drop((filler, target, small));
    system.delete_file(r"C:\filler").unwrap();
    let again = create(&system, r"C:\small:s", write, Disposition::OpenAlways).unwrap();
    write_file(&again, &content[..50_000]).unwrap();
    for path in [r"C:\small", r"C:\target"] {
        system.delete_file(path).unwrap_or_else(|error| panic!("{path} is still open: {error}"));
    }
}

#[test]
fn a_full_ntfs_3g_volume() {
    need_volumes!();
    full(&Volume::new(8).root());
}

#[test]
fn a_full_directory() {
    need_volumes!();
    let tmpfs = Tmpfs::new("768k");
    full(tmpfs.0.path());
}

#[test]
fn an_image_that_ends_too_early() {
    need_volumes!();
    let mut volume = Volume::new(16);
    let content: Vec<u8> = (0..64_u32).flat_map(|n| [n.to_le_bytes(); 16_384].concat()).collect();
    fs::write(volume.path("large"), &content).unwrap();
    fs::write(volume.path("small"), b"small").unwrap();
    volume.unmount();
    // Where the 32nd piece of 64 KiB lies, the image ends.
    let image = fs::File::options().read(true).write(true).open(volume.image()).unwrap();
    let mut all = vec![0; 16 << 20];
    image.read_exact_at(&mut all, 0).unwrap();
    let piece = [32_u32.to_le_bytes(); 1024].concat();
    let at = all.chunks(4096).position(|cluster| cluster == piece).unwrap();
    image.set_len(at as u64 * 4096).unwrap();
    let drives = Drives::new();
    drives.map_location('C', volume.image(), VolumeOptions::default()).unwrap();
    let system = System::new(drives);
    let mut names: Vec<_> = system.list(r"C:\").unwrap().iter().map(|data| data.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["large", "small"]);
    let open = |path| create(&system, path, Access::GENERIC_READ, Disposition::OpenExisting).unwrap();
    let mut buffer = vec![0; 1 << 16];
    assert_eq!(read_file_at(&open(r"C:\small"), 0, &mut buffer).unwrap(), 5);
    let file = open(r"C:\large");
    assert_eq!(read_file_at(&file, 31 << 16, &mut buffer).unwrap(), 1 << 16);
    assert!(buffer == content[31 << 16..32 << 16]);
    // Good bytes come first, then the error, as at the end of a device.
    assert_eq!(read_file_at(&file, (32 << 16) - 100, &mut buffer).unwrap(), 100);
    assert_eq!(number(read_file_at(&file, 32 << 16, &mut buffer)), 38);
    let (mut context, mut read, mut all) = (Context::default(), 0, vec![0; 5 << 20]);
    backup_read(Some(&file), &mut all, &mut read, false, false, &mut context).unwrap();
    assert_eq!(read, 20 + (32 << 16));
    assert_eq!(
        number(backup_read(Some(&file), &mut all, &mut read, false, false, &mut context)),
        38,
        "again and again"
    );
    assert_eq!(read, 0);
}
