//! Random calls of eight threads, each compared with a model of what it does.
//!
//! Each thread has a directory of its own, of which its model knows everything, and compares every answer. All of them
//! also work in one common directory, where the answers are only those that there may be, and where at the end all is
//! as it must be: sizes, names, nothing open.
//!
//! `NTBAK_STRESS=SEED[,CALLS]` repeats a run, or makes it longer.

use std::collections::BTreeMap;
use std::sync::Arc;

use ntbak::win32::{
    Access, Create, Disposition, Drives, FileFlags, Handle, HandleId, HandleTable, MemoryVolume, MoveFlags,
    MoveMethod, Share, System, get_file_size_ex, read_file, read_file_at, set_end_of_file,
    set_file_pointer_ex, write_file,
};
use ntbak_wire::FileAttributes;

const THREADS: u64 = 8;
const CALLS: u64 = 25_000;

/// Numbers that look like chance.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

#[test]
fn eight_threads_and_their_models() {
    let asked = std::env::var("NTBAK_STRESS").unwrap_or_default();
    let mut parts = asked.split(',').map(str::parse::<u64>);
    let seed = parts.next().and_then(Result::ok).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 | 1
    });
    let calls = parts.next().and_then(Result::ok).unwrap_or(CALLS);
    eprintln!("seed {seed}: NTBAK_STRESS={seed},{calls}");
    let volume = MemoryVolume::new();
    let system = Arc::new(System::new(Drives::new().with('C', volume.clone()).unwrap()));
    let handles = Arc::new(HandleTable::new());
    system.create_directory(r"C:\common").unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|n| {
            let (system, handles) = (system.clone(), handles.clone());
            std::thread::spawn(move || {
                let mut worker = Worker::new(n, seed, &system, &handles);
                for call in 0..calls {
                    worker.call = call;
                    worker.step();
                }
                worker.finish()
            })
        })
        .collect();
    let calls: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(handles.is_empty(), "{} handles were left", handles.len());
    for found in system.list(r"C:\common").unwrap() {
        let path = format!(r"C:\common\{}", found.name);
        // Nothing is open any more: all of it can be had alone, and removed.
        if found.attributes.is_directory() {
            system.remove_directory(&path).unwrap();
        } else {
            let how = Create { access: Access::GENERIC_ALL, share: Share::empty(), ..Create::default() };
            let file = system.create_file(&path, how).unwrap();
            assert_eq!(get_file_size_ex(&file).unwrap(), found.size, "{path}");
            drop(file);
            system.delete_file(&path).unwrap();
        }
    }
    system.remove_directory(r"C:\common").unwrap();
    eprintln!("{calls} calls");
}

/// A file as the model knows it; `None` is a directory.
type Files = BTreeMap<String, Option<File>>;

#[derive(Debug, Clone, Default, PartialEq)]
struct File {
    /// By number: hard links have the same one.
    number: u64,
}

#[derive(Debug)]
struct Open {
    id: HandleId,
    number: u64,
    stream: bool,
    position: u64,
    reads: bool,
    writes: bool,
}

struct Worker<'a> {
    me: u64,
    seed: u64,
    call: u64,
    chance: Chance,
    system: &'a System,
    handles: &'a HandleTable<Handle>,
    files: Files,
    /// Unnamed streams and those named `s`, by number.
    contents: BTreeMap<(u64, bool), Vec<u8>>,
    readonly: BTreeMap<u64, bool>,
    open: Vec<Open>,
    closed: Vec<HandleId>,
    next: u64,
    made: u64,
}

const NAMES: [&str; 6] = ["a", "B", "Ünï", "d", "long name.txt", "x.y.z"];

impl<'a> Worker<'a> {
    fn new(me: u64, seed: u64, system: &'a System, handles: &'a HandleTable<Handle>) -> Self {
        let chance = Chance((seed ^ (me + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
        system.create_directory(format!(r"C:\t{me}")).unwrap();
        Self {
            me,
            seed,
            call: 0,
            chance,
            system,
            handles,
            files: Files::new(),
            contents: BTreeMap::new(),
            readonly: BTreeMap::new(),
            open: Vec::new(),
            closed: Vec::new(),
            next: 1,
            made: 0,
        }
    }

    fn where_am_i(&self) -> String {
        format!("NTBAK_STRESS={} thread {} call {}", self.seed, self.me, self.call)
    }

    #[track_caller]
    fn same<T: PartialEq + std::fmt::Debug>(&self, what: &str, got: T, expected: T) {
        assert!(
            got == expected,
            "{}: {what}: got {got:?}, and the model says {expected:?}",
            self.where_am_i()
        );
    }

    fn path(&self, name: &str) -> String {
        format!(r"C:\t{}\{name}", self.me)
    }

    /// The same name, spelled in another way half of the time.
    fn spelled(&mut self, name: &str) -> String {
        let path = self.path(name);
        match self.chance.below(4) {
            0 => path.to_uppercase(),
            1 => path.to_lowercase(),
            2 => path.replace('\\', "/"),
            _ => path,
        }
    }

    /// A new file is called what it is in the model.
    fn spelled_if_there(&mut self, name: &str) -> String {
        if self.files.contains_key(name) { self.spelled(name) } else { self.path(name) }
    }

    fn step(&mut self) {
        self.made += 1;
        match self.chance.below(20) {
            0..=3 => self.create_file(),
            4 | 5 => self.write(),
            6 | 7 => self.read(),
            8 => self.seek(),
            9 => self.end_of_file(),
            10 | 11 => self.close(),
            12 => self.directory(),
            13 => self.delete(),
            14 | 15 => self.move_file(),
            16 => self.hard_link(),
            17 => self.attributes(),
            18 => self.list(),
            _ => self.common(),
        }
    }

    fn is_open(&self, number: u64) -> bool {
        self.open.iter().any(|open| open.number == number)
    }

    fn create_file(&mut self) {
        let name = self.chance.pick(&NAMES);
        let stream = self.chance.below(3) == 0;
        let disposition = self.chance.pick(&[
            Disposition::CreateNew,
            Disposition::CreateAlways,
            Disposition::OpenExisting,
            Disposition::OpenAlways,
            Disposition::TruncateExisting,
        ]);
        let (reads, writes) = self.chance.pick(&[(true, true), (true, false), (false, true)]);
        let mut access = Access::empty();
        access.set(Access::GENERIC_READ, reads);
        access.set(Access::GENERIC_WRITE, writes);
        let mut path = self.spelled_if_there(name);
        if stream {
            if self.files.get(name) == Some(&None) {
                // Directories have no streams in the model.
                return;
            }
            path.push_str(":s");
        }
        let how = Create { access, disposition, ..Create::default() };
        let got = self.system.create_file(&path, how);
        let expected = self.expect_create(name, stream, disposition, writes);
        let what = format!("create {path} {disposition:?} {access:?}");
        self.same(&what, got.as_ref().err().map_or(0, |error| error.win32().0), expected);
        let Ok(handle) = got else { return };
        let number = match self.files.get(name) {
            Some(Some(file)) => file.number,
            Some(None) => 0,
            None => {
                let number = self.next;
                self.next += 1;
                self.files.insert(name.to_owned(), Some(File { number }));
                self.contents.insert((number, false), Vec::new());
                self.same(&what, handle.existed(), false);
                number
            }
        };
        match disposition {
            Disposition::CreateAlways if !stream => {
                self.contents.insert((number, false), Vec::new());
                self.contents.remove(&(number, true));
            }
            Disposition::CreateAlways | Disposition::TruncateExisting => {
                self.contents.insert((number, stream), Vec::new());
            }
            _ => drop(self.contents.entry((number, stream)).or_default()),
        }
        let id = self.handles.insert(handle).unwrap();
        if self.open.len() >= 12 {
            let at = self.chance.below(self.open.len());
            self.close_at(at);
        }
        self.open.push(Open { id, number, stream, position: 0, reads, writes });
    }

    /// All handles of a model share everything, so that sharing is no matter here; the common directory tests it.
    fn expect_create(&self, name: &str, stream: bool, disposition: Disposition, writes: bool) -> u32 {
        let empties = matches!(disposition, Disposition::CreateAlways | Disposition::TruncateExisting);
        if disposition == Disposition::TruncateExisting && !writes {
            return 87;
        }
        let Some(there) = self.files.get(name) else {
            return if matches!(disposition, Disposition::OpenExisting | Disposition::TruncateExisting) {
                2
            } else {
                0
            };
        };
        let number = there.as_ref().map_or(0, |file| file.number);
        // A directory is not opened as one.
        let Some(_) = there else { return 5 };
        let readonly = self.readonly.get(&number).copied().unwrap_or(false);
        if stream && !self.contents.contains_key(&(number, true)) {
            return match disposition {
                Disposition::OpenExisting | Disposition::TruncateExisting => 2,
                _ if readonly => 5,
                _ => 0,
            };
        }
        match disposition {
            Disposition::CreateNew => 80,
            _ if readonly && (writes || empties) => 5,
            _ => 0,
        }
    }

    fn some_open(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.chance.below(self.open.len()))
    }

    fn write(&mut self) {
        let Some(at) = self.some_open() else { return };
        let data: Vec<u8> = (0..self.chance.below(300)).map(|n| (self.call as usize + n) as u8).collect();
        let open = &self.open[at];
        let handle = self.handles.get(open.id).unwrap();
        let got = write_file(&handle, &data).map_err(|error| error.win32().0);
        let expected = match self.contents.get_mut(&(open.number, open.stream)) {
            _ if !open.writes => Err(5),
            // The stream was taken away by an overwrite.
            None => Err(2),
            Some(content) => {
                let (begin, end) = (open.position as usize, open.position as usize + data.len());
                if !data.is_empty() {
                    content.resize(content.len().max(end), 0);
                    content[begin..end].copy_from_slice(&data);
                }
                Ok(data.len())
            }
        };
        self.same("write", got, expected);
        if got.is_ok() {
            self.open[at].position += data.len() as u64;
        }
    }

    fn read(&mut self) {
        let Some(at) = self.some_open() else { return };
        let mut buffer = vec![0xEE; self.chance.below(400)];
        let open = &self.open[at];
        let handle = self.handles.get(open.id).unwrap();
        let got = read_file(&handle, &mut buffer).map_err(|error| error.win32().0);
        let expected = match self.contents.get(&(open.number, open.stream)) {
            _ if !open.reads => Err(5),
            None if buffer.is_empty() => Ok(Vec::new()),
            None => Err(2),
            Some(content) => {
                let begin = (open.position as usize).min(content.len());
                let end = (begin + buffer.len()).min(content.len());
                Ok(content[begin..end].to_vec())
            }
        };
        let bytes = got.map(|got| buffer[..got].to_vec());
        if !(buffer.is_empty() && open.reads) {
            self.same("read", bytes, expected);
        }
        if let Ok(got) = got {
            self.open[at].position += got as u64;
        }
    }

    fn seek(&mut self) {
        let Some(at) = self.some_open() else { return };
        let distance = self.chance.below(2000) as i64 - 500;
        let method = self.chance.pick(&[MoveMethod::Begin, MoveMethod::Current, MoveMethod::End]);
        let open = &self.open[at];
        let handle = self.handles.get(open.id).unwrap();
        let got = set_file_pointer_ex(&handle, distance, method).map_err(|error| error.win32().0);
        let base = match method {
            MoveMethod::Begin => Ok(0),
            MoveMethod::Current => Ok(open.position),
            MoveMethod::End => {
                self.contents.get(&(open.number, open.stream)).map(|content| content.len() as u64).ok_or(2)
            }
        };
        let expected = base.and_then(|base| u64::try_from(base as i64 + distance).map_err(|_| 131));
        self.same("seek", got, expected);
        if let Ok(position) = got {
            self.open[at].position = position;
        }
    }

    fn end_of_file(&mut self) {
        let Some(at) = self.some_open() else { return };
        let open = &self.open[at];
        let handle = self.handles.get(open.id).unwrap();
        let got = set_end_of_file(&handle).map_err(|error| error.win32().0);
        let expected = match self.contents.get_mut(&(open.number, open.stream)) {
            _ if !open.writes => Err(5),
            None => Err(2),
            Some(content) => {
                content.resize(open.position as usize, 0);
                Ok(())
            }
        };
        self.same("end of file", got, expected);
    }

    fn close(&mut self) {
        // A number that is closed is nobody's.
        if let Some(id) = self.closed.last().copied() {
            self.same("use after close", self.handles.get(id).err().map(|error| error.win32().0), Some(6));
            self.same("close twice", self.handles.remove(id).err().map(|error| error.win32().0), Some(6));
        }
        if let Some(at) = self.some_open() {
            self.close_at(at);
        }
    }

    fn close_at(&mut self, at: usize) {
        let open = self.open.swap_remove(at);
        drop(self.handles.remove(open.id).unwrap());
        self.closed.push(open.id);
        if self.closed.len() > 100 {
            self.closed.clear();
        }
    }

    fn directory(&mut self) {
        let name = self.chance.pick(&NAMES);
        let path = self.spelled_if_there(name);
        if self.chance.below(2) == 0 {
            let got = self.system.create_directory(&path).map_err(|error| error.win32().0);
            let expected = if self.files.contains_key(name) { Err(183) } else { Ok(()) };
            self.same("create directory", got, expected);
            self.files.entry(name.to_owned()).or_insert(None);
        } else {
            let got = self.system.remove_directory(&path).map_err(|error| error.win32().0);
            let expected = match self.files.get(name) {
                None => Err(2),
                Some(Some(_)) => Err(267),
                Some(None) => Ok(()),
            };
            self.same("remove directory", got, expected);
            if got.is_ok() {
                self.files.remove(name);
            }
        }
    }

    fn delete(&mut self) {
        let name = self.chance.pick(&NAMES);
        // A file that is open would stay until it is closed; the tables have that.
        let number = self.files.get(name).and_then(|file| file.as_ref().map(|file| file.number));
        if number.is_some_and(|number| self.is_open(number)) {
            return;
        }
        let path = self.spelled(name);
        let got = self.system.delete_file(&path).map_err(|error| error.win32().0);
        let expected = match self.files.get(name) {
            None => Err(2),
            Some(None) => Err(5),
            Some(Some(file)) if self.readonly.get(&file.number) == Some(&true) => Err(5),
            Some(Some(_)) => Ok(()),
        };
        self.same(&format!("delete {path}"), got, expected);
        if got.is_ok() {
            self.files.remove(name);
        }
    }

    fn move_file(&mut self) {
        let (from, to) = (self.chance.pick(&NAMES), self.chance.pick(&NAMES));
        let replace = self.chance.below(2) == 0;
        let flags = if replace { MoveFlags::REPLACE_EXISTING } else { MoveFlags::empty() };
        // The new name is that which is written.
        let (path, target) = (self.spelled(from), self.path(to));
        let got = self.system.move_file_ex(&path, &target, flags).map_err(|error| error.win32().0);
        let expected = match (self.files.get(from), self.files.get(to)) {
            (None, _) => Err(2),
            (Some(_), None) => Ok(()),
            (Some(_), Some(_)) if from == to => Ok(()),
            (Some(Some(a)), Some(Some(b))) if a.number == b.number => Ok(()),
            (Some(_), Some(_)) if !replace => Err(183),
            (Some(None), Some(_)) | (Some(_), Some(None)) => Err(5),
            (Some(Some(_)), Some(Some(there))) => {
                let readonly = self.readonly.get(&there.number) == Some(&true);
                if readonly || self.is_open(there.number) { Err(5) } else { Ok(()) }
            }
        };
        self.same(&format!("move {path} to {target} {flags:?}"), got, expected);
        if got.is_ok()
            && let Some(file) = self.files.remove(from)
        {
            self.files.insert(to.to_owned(), file);
        }
    }

    fn hard_link(&mut self) {
        let (new, existing) = (self.chance.pick(&NAMES), self.chance.pick(&NAMES));
        let (path, target) = (self.path(new), self.spelled(existing));
        let got = self.system.create_hard_link(&path, &target).map_err(|error| error.win32().0);
        let expected = match (self.files.get(existing), self.files.get(new)) {
            (None, _) => Err(2),
            (Some(None), _) => Err(5),
            (Some(Some(_)), Some(_)) => Err(183),
            _ => Ok(()),
        };
        self.same(&format!("link {path} to {target}"), got, expected);
        if got.is_ok() {
            let file = self.files[existing].clone();
            self.files.insert(new.to_owned(), file);
        }
    }

    fn attributes(&mut self) {
        let name = self.chance.pick(&NAMES);
        let path = self.spelled(name);
        let Some(Some(file)) = self.files.get(name).cloned() else {
            let expected = if self.files.contains_key(name) { 0 } else { 2 };
            let got = self.system.get_file_attributes(&path).err().map_or(0, |error| error.win32().0);
            self.same("attributes", got, expected);
            return;
        };
        let readonly = self.chance.below(4) == 0;
        let mut attributes = FileAttributes::ARCHIVE;
        attributes.set(FileAttributes::READONLY, readonly);
        self.system.set_file_attributes(&path, attributes).unwrap();
        self.readonly.insert(file.number, readonly);
        self.same("attributes", self.system.get_file_attributes(&path).unwrap(), attributes);
    }

    /// The names and sizes of all, and the content of one.
    fn list(&mut self) {
        let found = self.system.list(format!(r"C:\t{}", self.me)).unwrap();
        let mut got: Vec<_> = found.iter().map(|data| (data.name.to_utf8().unwrap(), data.size)).collect();
        got.sort();
        let size =
            |file: &Option<File>| file.as_ref().map_or(0, |file| self.contents[&(file.number, false)].len());
        let expected: Vec<_> =
            self.files.iter().map(|(name, file)| (name.clone(), size(file) as u64)).collect();
        self.same("list", got, expected);
        let Some((name, Some(file))) = self.files.iter().nth(self.call as usize % self.files.len().max(1))
        else {
            return;
        };
        let path = self.path(name);
        let how = Create { access: Access::GENERIC_READ, ..Create::default() };
        let handle = self.system.create_file(&path, how).unwrap();
        let content = &self.contents[&(file.number, false)];
        let mut buffer = vec![0; content.len() + 10];
        let len = read_file_at(&handle, 0, &mut buffer).unwrap();
        assert!(buffer[..len] == content[..], "{}: content of {path}", self.where_am_i());
    }

    /// What all do to the same few files: any answer that there may be will do.
    fn common(&mut self) {
        let path = format!(r"C:\common\{}", self.chance.pick(&["a", "B", "c", "D"]));
        let other = format!(r"C:\common\{}", self.chance.pick(&["A", "b", "C", "d"]));
        let access = self.chance.pick(&[Access::GENERIC_READ, Access::GENERIC_WRITE, Access::GENERIC_ALL]);
        let share = self.chance.pick(&[Share::empty(), Share::READ, Share::all()]);
        let number = |result: Result<(), ntbak::Error>| result.err().map_or(0, |error| error.win32().0);
        let (got, legal): (u32, &[u32]) = match self.chance.below(6) {
            0..=2 => {
                let disposition = self.chance.pick(&[
                    Disposition::OpenAlways,
                    Disposition::CreateNew,
                    Disposition::CreateAlways,
                ]);
                let flags = self.chance.pick(&[FileFlags::empty(), FileFlags::DELETE_ON_CLOSE]);
                let how = Create { access, share, disposition, flags, ..Create::default() };
                let opened = self.system.create_file(&path, how);
                if let Ok(file) = &opened {
                    let _ = write_file(file, b"common");
                    let _ = read_file(file, &mut [0; 3]);
                    // While nobody shares, nobody is there.
                    if share.is_empty() {
                        let again = Create { access: Access::GENERIC_READ, ..Create::default() };
                        let got = number(self.system.create_file(&path, again).map(drop));
                        assert!(
                            [32, 5].contains(&got),
                            "{}: shared with nobody, and got {got}",
                            self.where_am_i()
                        );
                    }
                }
                (number(opened.map(drop)), &[0, 5, 32, 80])
            }
            3 => (number(self.system.delete_file(&path)), &[0, 2, 5, 32]),
            4 => {
                let got = self.system.move_file_ex(&path, &other, MoveFlags::REPLACE_EXISTING);
                (number(got), &[0, 2, 5, 32])
            }
            _ => (number(self.system.create_hard_link(&path, &other)), &[0, 2, 183]),
        };
        assert!(legal.contains(&got), "{}: {got} in the common directory", self.where_am_i());
    }

    /// Closes all, removes all; answers how many calls were made.
    fn finish(mut self) -> u64 {
        self.list();
        while !self.open.is_empty() {
            self.close_at(0);
        }
        for (name, file) in std::mem::take(&mut self.files) {
            let path = self.path(&name);
            self.system.set_file_attributes(&path, FileAttributes::NORMAL).unwrap();
            match file {
                Some(_) => self.system.delete_file(&path).unwrap(),
                None => self.system.remove_directory(&path).unwrap(),
            }
        }
        self.system.remove_directory(format!(r"C:\t{}", self.me)).unwrap();
        self.made
    }
}
