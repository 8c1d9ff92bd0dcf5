//! What changes something, on a drive that is only read: 19, and nothing has changed.

use super::*;
use ntbak::win32::{
    Context, EncryptionStatus, MoveFlags, RawFlags, backup_write, decrypt_file, delete_object_id,
    delete_reparse_point, encrypt_file, encryption_disable, file_encryption_status, open_encrypted_file_raw,
    set_basic_info, set_end_of_file, set_file_time, set_object_id, set_reparse_point, set_sparse,
    set_zero_data, write_file,
};
use ntbak_wire::object_id::ObjectId;

/// A drive that is only read, and what is on it. `E:` can be written.
pub struct Protected<'a> {
    pub system: &'a System,
    /// A file with a stream of the name `stream`.
    pub file: &'a str,
    pub stream: &'a str,
    /// A directory with something in it.
    pub directory: &'a str,
}

impl Protected<'_> {
    pub fn all(&self) {
        let before = self.snapshot();
        self.opening();
        self.by_path();
        self.by_handle();
        self.encryption();
        assert_eq!(self.snapshot(), before);
    }

    fn stream(&self) -> String {
        format!("{}:{}", self.file, self.stream)
    }

    fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for directory in [r"C:\", self.directory] {
            all.extend(names(self.system, directory).into_iter().map(|name| (name, Vec::new())));
        }
        for path in [self.file, &self.stream()] {
            all.push((path.to_owned(), get(self.system, path)));
        }
        all
    }
}

impl Protected<'_> {
    fn opening(&self) {
        let Self { system, file, directory, .. } = *self;
        let (stream, no_stream) = (self.stream(), format!("{file}:no"));
        let backup = FileFlags::BACKUP_SEMANTICS;
        for (path, missing) in
            [(file, false), (r"C:\gone", true), (stream.as_str(), false), (no_stream.as_str(), true)]
        {
            for (disposition, access, expected) in [
                (NEW, READ, 19),
                (Disposition::CreateAlways, WRITE, 19),
                (Disposition::TruncateExisting, WRITE, 19),
                (Disposition::OpenAlways, READ, if missing { 19 } else { 0 }),
                (EXISTING, READ, if missing { 2 } else { 0 }),
            ] {
                // A stream that is not there belongs to a file that is.
                let got = create(system, path, access, disposition);
                fails(got, expected, (path, disposition));
            }
        }
        for (access, flags, expected) in [
            (Access::GENERIC_READ, backup, 0),
            (Access::GENERIC_READ | Access::ACCESS_SYSTEM_SECURITY, backup, 0),
            (Access::GENERIC_EXECUTE, backup, 0),
            (Access::MAXIMUM_ALLOWED, backup, 0),
            (Access::GENERIC_WRITE, backup, 19),
            (Access::GENERIC_ALL, backup, 19),
            (Access::FILE_WRITE_DATA, backup, 19),
            (Access::FILE_APPEND_DATA, backup, 19),
            (Access::FILE_WRITE_EA, backup, 19),
            (Access::FILE_WRITE_ATTRIBUTES, backup, 19),
            (Access::FILE_DELETE_CHILD, backup, 19),
            (Access::DELETE, backup, 19),
            (Access::WRITE_DAC, backup, 19),
            (Access::WRITE_OWNER, backup, 19),
            (Access::MAXIMUM_ALLOWED | Access::FILE_WRITE_DATA, backup, 19),
            (Access::GENERIC_READ, FileFlags::DELETE_ON_CLOSE | backup, 5),
        ] {
            for path in [file, directory, r"C:\"] {
                fails(with(system, path, access, flags), expected, (path, access, flags));
            }
        }
        let all = create(system, file, Access::MAXIMUM_ALLOWED, EXISTING).unwrap();
        assert_eq!(all.access().bits(), 0x12_00A9, "what is left of every right");
    }

    fn by_path(&self) {
        let Self { system, file, directory, .. } = *self;
        fails(system.create_directory(r"C:\new"), 19, "CreateDirectory");
        fails(system.create_directory(directory), 19, "CreateDirectory of one that is there");
        fails(system.create_directory(r"C:\gone\new"), 3, "CreateDirectory nowhere");
        fails(system.create_hard_link(r"C:\new", file), 19, "CreateHardLink");
        fails(system.create_hard_link(r"C:\new", r"C:\gone"), 2, "CreateHardLink of nothing");
        fails(system.delete_file(file), 19, "DeleteFile");
        fails(system.delete_file(self.stream()), 19, "DeleteFile of a stream");
        fails(system.delete_file(r"C:\gone"), 2, "DeleteFile of nothing");
        // Not put off either, though somebody has it open.
        let held = create(system, file, READ, EXISTING).unwrap();
        fails(system.delete_file(file), 19, "DeleteFile of an open file");
        drop(held);
        fails(system.remove_directory(directory), 19, "RemoveDirectory");
        fails(system.move_file_ex(file, r"C:\new", MoveFlags::empty()), 19, "MoveFileEx");
        fails(system.move_file_ex(file, r"E:\new", MoveFlags::COPY_ALLOWED), 19, "MoveFileEx to another");
        put(system, r"E:\from", b"x");
        fails(system.move_file_ex(r"E:\from", r"C:\new", MoveFlags::empty()), 17, "MoveFileEx from another");
        fails(
            system.move_file_ex(r"E:\from", r"C:\new", MoveFlags::COPY_ALLOWED),
            19,
            "MoveFileEx from another",
        );
        assert!(exists(system, r"E:\from") && !exists(system, r"E:\new"));
        system.delete_file(r"E:\from").unwrap();
        fails(system.set_file_attributes(file, FileAttributes::HIDDEN), 19, "SetFileAttributes");
    }

    fn by_handle(&self) {
        let system = self.system;
        let file = with(system, self.file, READ, ITSELF).unwrap();
        let directory = with(system, self.directory, READ, ITSELF).unwrap();
        // The rights are missing: it could not be opened with them.
        fails(write_file(&file, b"x"), 5, "WriteFile");
        fails(set_end_of_file(&file), 5, "SetEndOfFile");
        fails(set_file_time(&file, None, None, None), 5, "SetFileTime");
        fails(set_basic_info(&file, &Default::default()), 5, "FileBasicInfo");
        fails(system.set_disposition(&file, true), 5, "FileDispositionInfo");
        fails(system.rename(&file, r"C:\new", false), 5, "FileRenameInfo");
        fails(set_zero_data(&file, 0, 1), 5, "FSCTL_SET_ZERO_DATA");
        fails(set_sparse(&file, true), 19, "FSCTL_SET_SPARSE");
        fails(set_sparse(&directory, true), 87, "FSCTL_SET_SPARSE of a directory");
        let link = ntbak_wire::reparse::symlink_from_print_name(&Name::from("x")).unwrap();
        let tag = ntbak_wire::reparse::build(ntbak_wire::reparse::ReparseTag::SYMLINK, None, b"").unwrap();
        for file in [&file, &directory] {
            fails(set_reparse_point(file, &link), 5, "FSCTL_SET_REPARSE_POINT");
            fails(delete_reparse_point(file, &tag), 5, "FSCTL_DELETE_REPARSE_POINT");
            fails(set_object_id(file, &ObjectId::parse(&[1; 64]).unwrap()), 19, "FSCTL_SET_OBJECT_ID");
            fails(delete_object_id(file), 5, "FSCTL_DELETE_OBJECT_ID");
            let mut written = 9;
            let got = backup_write(Some(file), &[0; 20], &mut written, false, false, &mut Context::default());
            fails(got, 19, "BackupWrite");
            assert_eq!(written, 0);
        }
    }

    fn encryption(&self) {
        let Self { system, file, directory, .. } = *self;
        fails(encrypt_file(system, file), 19, "EncryptFile");
        fails(decrypt_file(system, file), 19, "DecryptFile");
        fails(encryption_disable(system, directory, true), 19, "EncryptionDisable");
        assert_eq!(file_encryption_status(system, file).unwrap(), EncryptionStatus::ReadOnly);
        for path in [file, r"C:\new"] {
            let import = open_encrypted_file_raw(system, path, RawFlags::CREATE_FOR_IMPORT);
            fails(import.map(drop), 19, "OpenEncryptedFileRaw");
        }
    }
}
