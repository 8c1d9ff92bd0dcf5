//! Attacks on a drive: whatever a path says, whatever is put in its way, nothing outside is reached. Beside the drive lies
//! a file with a secret, and a directory to fall into.

use std::fs;
use std::os::unix::fs::symlink as linux_symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ntbak::win32::{Access, Context};
use ntbak::win32::{
    Create, DirectoryVolume, Disposition, Drives, FileFlags, MoveFlags, System, backup_read, read_file,
    write_file,
};
use tempfile::TempDir;

const SECRET: &[u8] = b"the secret beside the drive";

/// `outside/secret`, `outside/dir`, `drive`.
pub struct Fortress {
    dir: PathBuf,
    _kept: Option<TempDir>,
    system: System,
}

/// Makes a fortress.
pub type Build<'a> = &'a dyn Fn() -> Fortress;

impl Fortress {
    /// In a directory of its own.
    pub fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let fortress = Self::at(kept.path().to_owned());
        Self { _kept: Some(kept), ..fortress }
    }

    /// In this empty directory.
    pub fn at(dir: PathBuf) -> Self {
        for name in ["outside", "outside/dir", "drive"] {
            fs::create_dir(dir.join(name)).unwrap();
        }
        fs::write(dir.join("outside/secret"), SECRET).unwrap();
        fs::write(dir.join("secret"), SECRET).unwrap();
        fill(&dir.join("drive"));
        let drives = Drives::new().with('C', DirectoryVolume::open(dir.join("drive")).unwrap()).unwrap();
        Self { dir, _kept: None, system: System::new(drives) }
    }

    /// Around a drive that is elsewhere.
    #[allow(dead_code)] // Not every test binary has one.
    pub fn around(dir: PathBuf, system: System) -> Self {
        fs::create_dir_all(dir.join("outside/dir")).unwrap();
        fs::write(dir.join("outside/secret"), SECRET).unwrap();
        fs::write(dir.join("secret"), SECRET).unwrap();
        Self { dir, _kept: None, system }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn outside(&self) -> String {
        self.path("outside").to_str().unwrap().to_owned()
    }

    /// Everything that a program can do to a path; nothing of it reads the secret, or changes what is outside.
    pub fn attack(&self, path: &str) {
        let before = snapshot(&self.dir, "drive");
        let flags = FileFlags::BACKUP_SEMANTICS;
        for (access, flags, disposition) in [
            (Access::GENERIC_READ, flags, Disposition::OpenExisting),
            (Access::GENERIC_READ, flags | FileFlags::OPEN_REPARSE_POINT, Disposition::OpenExisting),
            (Access::GENERIC_ALL, FileFlags::empty(), Disposition::OpenAlways),
            (Access::GENERIC_ALL, FileFlags::empty(), Disposition::TruncateExisting),
            (Access::GENERIC_ALL, FileFlags::empty(), Disposition::CreateAlways),
        ] {
            let how = Create { access, flags, disposition, ..Create::default() };
            let Ok(file) = self.system.create_file(path, how) else { continue };
            let mut buffer = [0; 4096];
            if let Ok(got) = read_file(&file, &mut buffer) {
                assert!(!shows_secret(&buffer[..got]), "{path}: read");
            }
            let (mut read, mut context) = (0, Context::default());
            if backup_read(Some(&file), &mut buffer, &mut read, false, false, &mut context).is_ok() {
                assert!(!shows_secret(&buffer[..read as usize]), "{path}: backup_read");
            }
            let _ = write_file(&file, b"changed");
        }
        let _ = self.system.create_directory(format!(r"{path}\made"));
        let _ = self.system.create_hard_link(format!(r"{path}.link"), path);
        let _ = self.system.create_hard_link(r"C:\stolen", path);
        let _ = self.system.move_file_ex(r"C:\inside", path, MoveFlags::REPLACE_EXISTING);
        let _ = self.system.move_file_ex(path, r"C:\moved", MoveFlags::COPY_ALLOWED);
        for stolen in [r"C:\stolen", r"C:\moved", path] {
            if let Ok(file) =
                self.system.create_file(stolen, Create { access: Access::GENERIC_READ, ..Create::default() })
            {
                let mut buffer = [0; 4096];
                if let Ok(got) = read_file(&file, &mut buffer) {
                    assert!(!shows_secret(&buffer[..got]), "{path}: {stolen}");
                }
            }
        }
        let found = self.system.list(path).unwrap_or_default();
        assert!(found.iter().all(|found| found.name.to_string() != "secret"), "{path}: list");
        let _ = self.system.delete_file(path);
        let _ = self.system.remove_directory(path);
        assert_eq!(snapshot(&self.dir, "drive"), before, "{path}: something outside has changed");
    }
}

/// What is in the drive.
pub fn fill(drive: &Path) {
    fs::create_dir_all(drive.join("d/e")).unwrap();
    fs::write(drive.join("inside"), b"inside").unwrap();
}

fn shows_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET)
}

/// All that is outside, with its content.
fn snapshot(dir: &Path, but: &str) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(at: &Path, but: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>) {
        if at == but {
            return;
        }
        let metadata = fs::symlink_metadata(at).unwrap();
        if metadata.is_dir() {
            out.push((at.to_owned(), b"directory".to_vec()));
            let mut entries: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
            entries.sort();
            entries.iter().for_each(|entry| walk(entry, but, out));
        } else if metadata.is_file() {
            out.push((at.to_owned(), fs::read(at).unwrap()));
        }
    }
    let mut out = Vec::new();
    walk(dir, &dir.join(but), &mut out);
    out
}

pub fn climbing(outside: &str) -> Vec<String> {
    let long = "..\\".repeat(500);
    let paths = [
        r"C:\..\secret",
        r"C:\..\outside\secret",
        r"C:\d\..\..\outside\secret",
        r"C:\d\..\..\secret",
        r"C:..\secret",
        r"C:/../secret",
        r"C:/d/../../secret",
        r"C:\.\..\secret",
        r"C:\...\secret",
        r"C:\.. \secret",
        r"C:\..\..\..\..\..\..\..\..\etc\passwd",
        r"\\?\C:\..\secret",
        r"\\?\C:\d\..\..\secret",
        r"\??\C:\..\secret",
        r"\\?\C:\../secret",
        r"\\.\C:\..\secret",
        "//?/C:/../secret",
        r"\\?\C:\d/../../secret",
        r"\\?\GLOBALROOT\secret",
        r"\\?\UNC\localhost\secret",
        r"\\localhost\secret",
        "/etc/passwd",
        "../secret",
        r"..\secret",
        "secret",
        r"C:\..",
        r"C:\.",
        r"C:\..\",
        "C:\\d\\..\0\\secret",
        "C:\\\u{2025}\\secret",
        "C:\\\u{FF0E}\u{FF0E}\\secret",
        "C:\\..\u{2215}secret",
        "C:\\%2e%2e\\secret",
        r"C:\d:..\..\secret",
        r"C:\inside:..\..\secret",
        r"C:\inside:/../../secret",
        r"C:\..:secret",
        r"C:\..::$INDEX_ALLOCATION\secret",
        r"C:\d::$INDEX_ALLOCATION\..\..\secret",
        r"C:\.ntbak-side\..\..\secret",
        r"C:\proc\self\root\etc\passwd",
    ];
    assert!(paths.len() >= 40);
    let more = [format!("C:{outside}/secret"), format!(r"C:\{long}secret"), format!(r"\\?\C:\{long}secret")];
    paths.into_iter().map(str::to_owned).chain(more).collect()
}

pub fn paths_that_climb(build: Build<'_>) {
    for path in climbing(&build().outside()) {
        build().attack(&path);
    }
}

/// What somebody else puts into the drive, by Linux.
pub fn links_that_lead_out(build: Build<'_>) {
    type Trap = (&'static str, fn(&Fortress), &'static str);
    let traps: &[Trap] = &[
        ("absolute link", |at| link(at, &format!("{}/secret", at.outside()), "l"), r"C:\l"),
        ("relative link", |at| link(at, "../outside/secret", "l"), r"C:\l"),
        ("link to a directory", |at| link(at, &at.outside(), "l"), r"C:\l\secret"),
        ("relative link to a directory", |at| link(at, "../outside", "l"), r"C:\l\secret"),
        ("link in the middle", |at| link(at, "../../outside", "d/l"), r"C:\d\l\secret"),
        ("link and back", |at| link(at, "../outside", "l"), r"C:\l\..\secret"),
        (
            "link to a link",
            |at| {
                link(at, "../outside/secret", "l");
                link(at, "l", "m")
            },
            r"C:\m",
        ),
        ("link to the parent", |at| link(at, "..", "l"), r"C:\l\secret"),
        ("link to itself and up", |at| link(at, "d/../../secret", "l"), r"C:\l"),
        ("link to /proc", |at| link(at, "/proc/self/cwd", "l"), r"C:\l"),
        ("link to a descriptor", |at| link(at, "/proc/self/fd/3", "l"), r"C:\l"),
        ("link with a drive letter", |at| link(at, "C:/../secret", "l"), r"C:\l"),
        ("link with backslashes", |at| link(at, r"..\outside\secret", "l"), r"C:\l"),
        ("link of an empty way", |at| link(at, "/", "l"), r"C:\l"),
        ("link of many dots", |at| link(at, &"../".repeat(100), "l"), r"C:\l\etc\passwd"),
        ("link over case", |at| link(at, "../outside/secret", "Lnk"), r"C:\LNK"),
        ("link under a stream", |at| link(at, "../outside/secret", "l"), r"C:\l:s"),
        ("link as the target of a new file", |at| link(at, "../outside/new", "l"), r"C:\l"),
        (
            "name with a slash in disguise",
            |at| fs::write(at.path("drive/..\\secret"), b"x").unwrap(),
            r"C:\..\secret",
        ),
        ("side directory as a link", |at| link(at, "../outside", ".ntbak-side"), r"C:\.ntbak-side\secret"),
        ("side directory of a directory as a link", |at| link(at, "../../outside", "d/.ntbak-side"), r"C:\d"),
    ];
    for (what, trap, path) in traps {
        eprintln!("{what}");
        let fortress = build();
        trap(&fortress);
        fortress.attack(path);
        // And all of it once more through a name that is made by our own functions.
        let fortress = build();
        trap(&fortress);
        let _ = fortress.system.move_file_ex(path, r"C:\d\taken", MoveFlags::empty());
        fortress.attack(r"C:\d\taken");
    }
}

fn link(at: &Fortress, target: &str, name: &str) {
    linux_symlink(target, at.path("drive").join(name)).unwrap();
}

/// Where reparse points lead to get out.
pub fn targets(outside: &str) -> Vec<String> {
    vec![
        r"..\secret".to_owned(),
        r"..\outside\secret".to_owned(),
        r"d\..\..\secret".to_owned(),
        r"\..\secret".to_owned(),
        r"C:\..\secret".to_owned(),
        r"C:\d\..\..\secret".to_owned(),
        r"\\?\C:\..\secret".to_owned(),
        "../secret".to_owned(),
        "/etc/passwd".to_owned(),
        outside.to_owned(),
        outside.replace('/', r"\"),
        format!(r"\\?\C:{}", outside.replace('/', r"\")),
        r"\\?\GLOBALROOT\secret".to_owned(),
        "inside:..\\..\\secret".to_owned(),
        "d\u{1}\\x".to_owned(),
    ]
}

/// Reparse points that a program itself makes.
pub fn reparse_points_that_lead_out(build: Build<'_>) {
    for target in targets(&build().outside()) {
        let fortress = build();
        let name = ntbak_wire::Name::from(target.as_str());
        for (path, buffer, directory) in [
            (r"C:\l", ntbak_wire::reparse::symlink_from_print_name(&name).unwrap(), false),
            (r"C:\j", ntbak_wire::reparse::mount_point_from_print_name(&name).unwrap(), true),
        ] {
            if directory {
                fortress.system.create_directory(path).unwrap();
            }
            let flags = FileFlags::BACKUP_SEMANTICS | FileFlags::OPEN_REPARSE_POINT;
            let how = Create {
                access: Access::GENERIC_WRITE,
                flags,
                disposition: Disposition::OpenAlways,
                ..Create::default()
            };
            let file = fortress.system.create_file(path, how).unwrap();
            ntbak::win32::set_reparse_point(&file, &buffer).unwrap();
            drop(file);
            fortress.attack(&format!(r"{path}\secret"));
            fortress.attack(path);
        }
    }
}

/// Somebody swaps a directory for a link, again and again, while a program goes through it.
pub fn a_race_leads_nowhere(build: Build<'_>, lasts: Duration) {
    let fortress = build();
    let (drive, outside) = (fortress.path("drive"), fortress.path("outside"));
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let stop = stop.clone();
        let outside = outside.clone();
        std::thread::spawn(move || {
            linux_symlink(&outside, drive.join("trap")).unwrap();
            fs::create_dir(drive.join("real")).unwrap();
            fs::write(drive.join("real/secret"), b"harmless").unwrap();
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::rename(drive.join("real"), drive.join("way"));
                let _ = fs::rename(drive.join("way"), drive.join("real"));
                let _ = fs::rename(drive.join("trap"), drive.join("way"));
                let _ = fs::rename(drive.join("way"), drive.join("trap"));
            }
        })
    };
    let before = snapshot(&fortress.dir, "drive");
    let begun = Instant::now();
    let (mut seen, mut tries) = (0, 0);
    while begun.elapsed() < lasts {
        tries += 1;
        let how = Create { access: Access::GENERIC_READ, ..Create::default() };
        if let Ok(file) = fortress.system.create_file(r"C:\way\secret", how) {
            let mut buffer = [0; 100];
            if let Ok(got) = read_file(&file, &mut buffer) {
                assert!(!shows_secret(&buffer[..got]), "the race was won");
                seen += 1;
            }
        }
        let how = Create {
            access: Access::GENERIC_WRITE,
            disposition: Disposition::CreateAlways,
            ..Create::default()
        };
        let _ = fortress.system.create_file(r"C:\way\new", how);
        let _ = fortress.system.create_directory(r"C:\way\directory");
        let _ = fortress.system.delete_file(r"C:\way\new");
        let _ = fortress.system.move_file_ex(r"C:\inside", r"C:\way\inside", MoveFlags::empty());
        let _ = fortress.system.move_file_ex(r"C:\way\inside", r"C:\inside", MoveFlags::empty());
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert_eq!(snapshot(&fortress.dir, "drive"), before);
    eprintln!("{tries} tries, {seen} of them read the file inside");
    assert!(tries > 0);
}
