//! What it costs to come from C: `BackupRead` of the same file by the shared library, as a program in C calls
//! it, and by the function of Rust, in turn, with buffers of 64 KiB. Prints both rates and their ratio, which
//! is at least 0.95.
//!
//! `cargo bench --package ntbak-capi`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::hint::black_box;
use std::time::{Duration, Instant};

use ntbak::win32::{Access, Context, Create, Drives, FileFlags, System, backup_read};

const SIZE: usize = 64 << 20;
const CHUNK: usize = 64 << 10;
const ROUNDS: usize = 60;

unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

type CreateFile =
    unsafe extern "C" fn(*const c_char, u32, u32, *const c_void, u32, u32, *mut c_void) -> *mut c_void;
type CloseHandle = extern "C" fn(*mut c_void) -> i32;
type BackupRead =
    unsafe extern "C" fn(*mut c_void, *mut u8, u32, *mut u32, i32, i32, *mut *mut c_void) -> i32;

/// The functions of the shared library that was built with this benchmark.
struct Library {
    create_file: CreateFile,
    close_handle: CloseHandle,
    backup_read: BackupRead,
}

impl Library {
    fn open() -> Self {
        let built = std::env::current_exe().unwrap().with_file_name("libntbak_capi.so");
        let built = CString::new(built.into_os_string().into_encoded_bytes()).unwrap();
        // SAFETY: it is the library of this crate, and a string that ends with 0; 2 is RTLD_NOW.
        let library = unsafe { dlopen(built.as_ptr(), 2) };
        assert!(!library.is_null(), "the shared library is not beside the benchmark");
        let symbol = |name: &CStr| {
            // SAFETY: the library is open.
            let symbol = unsafe { dlsym(library, name.as_ptr()) };
            assert!(!symbol.is_null(), "{name:?}");
            symbol
        };
        // SAFETY: these are the types of the functions.
        unsafe {
            Self {
                create_file: std::mem::transmute::<*mut c_void, CreateFile>(symbol(c"ntbak_create_file_a")),
                close_handle: std::mem::transmute::<*mut c_void, CloseHandle>(symbol(c"ntbak_close_handle")),
                backup_read: std::mem::transmute::<*mut c_void, BackupRead>(symbol(c"ntbak_backup_read")),
            }
        }
    }

    fn read(&self, path: &CStr, buffer: &mut [u8]) -> usize {
        let (mut context, mut read, mut total) = (std::ptr::null_mut(), 0, 0);
        // SAFETY: the buffer has as many bytes as it is said to have, and the pointers are those of variables.
        unsafe {
            let file = (self.create_file)(
                path.as_ptr(),
                0x8000_0000,
                7,
                std::ptr::null(),
                3,
                0x0200_0000,
                std::ptr::null_mut(),
            );
            loop {
                let len = buffer.len() as u32;
                let done = (self.backup_read)(file, buffer.as_mut_ptr(), len, &mut read, 0, 0, &mut context);
                assert_eq!(done, 1);
                black_box(&mut *buffer);
                total += read as usize;
                if read == 0 {
                    break;
                }
            }
            let (none, bytes, count) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
            (self.backup_read)(none, bytes, 0, count, 1, 0, &mut context);
            (self.close_handle)(file);
        }
        total
    }
}

fn read_in_rust(system: &System, path: &str, buffer: &mut [u8]) -> usize {
    let how =
        Create { access: Access::GENERIC_READ, flags: FileFlags::BACKUP_SEMANTICS, ..Create::default() };
    let file = system.create_file(path, how).unwrap();
    let (mut context, mut read, mut total) = (Context::default(), 0, 0);
    loop {
        backup_read(Some(&file), buffer, &mut read, false, false, &mut context).unwrap();
        black_box(&mut *buffer);
        total += read as usize;
        if read == 0 {
            return total;
        }
    }
}

fn main() {
    let there = tempfile::tempdir().unwrap();
    let path = there.path().join("file");
    std::fs::write(&path, (0..SIZE).map(|at| ((at * 31) >> 3) as u8).collect::<Vec<_>>()).unwrap();
    let path = path.to_str().unwrap();
    let in_c = CString::new(path).unwrap();
    let (library, system) = (Library::open(), System::new(Drives::new().with_posix()));
    let mut buffer = vec![0; CHUNK];

    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..ROUNDS {
        // In turn, and each of them first as often as the other.
        for which in [round % 2, 1 - round % 2] {
            let begin = Instant::now();
            let total = match which {
                0 => read_in_rust(&system, path, &mut buffer),
                _ => library.read(&in_c, &mut buffer),
            };
            times[which].push(begin.elapsed());
            assert!(total > SIZE);
        }
    }
    let [rust, c] = times.map(|mut times| {
        times.sort();
        SIZE as f64 / f64::from(1 << 20) / times[ROUNDS / 2].as_secs_f64()
    });
    println!("BackupRead of {} MiB with buffers of 64 KiB, median of {ROUNDS} rounds in turn:", SIZE >> 20);
    println!("  Rust  {rust:8.0} MiB/s");
    println!("  C     {c:8.0} MiB/s");
    println!("  ratio {:8.3}", c / rust);
}
