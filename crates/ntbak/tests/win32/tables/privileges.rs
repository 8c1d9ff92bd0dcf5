use super::*;
use ntbak::win32::{Context, Privileges, backup_read, backup_write, set_object_id};
use ntbak_wire::object_id::ObjectId;

pub fn numbers(_: &System, _: Kind) {
    for (name, expected) in [
        ("SeSecurityPrivilege", Ok(8)),
        ("SeTakeOwnershipPrivilege", Ok(9)),
        ("SeBackupPrivilege", Ok(17)),
        ("SeRestorePrivilege", Ok(18)),
        ("SeChangeNotifyPrivilege", Ok(23)),
        ("SeManageVolumePrivilege", Ok(28)),
        ("SeCreateSymbolicLinkPrivilege", Ok(35)),
        ("sebackupprivilege", Ok(17)),
        ("SEBACKUPPRIVILEGE", Ok(17)),
        ("SeBackup", Err(1313)),
        ("Backup", Err(1313)),
        ("SePrivilege", Err(1313)),
        ("SeBackupPrivilege ", Err(1313)),
        ("SeNonsensePrivilege", Err(1313)),
        ("ſebackupprivilege", Err(1313)),
        ("Se", Err(1313)),
        ("ß", Err(1313)),
        ("", Err(1313)),
    ] {
        let got = System::lookup_privilege_value(name).map_err(|error| error.win32().0);
        assert_eq!(got, expected, "{name}");
    }
}

pub fn held(system: &System, kind: Kind) {
    put(system, r"C:\f", b"content");
    let (none, all) = (Privileges::empty(), Privileges::all());
    for (privileges, luid, expected) in [
        (all, 8, 0),
        (all, 17, 0),
        (all, 18, 0),
        (all, 23, 0),
        (none, 8, 1300),
        (none, 17, 1300),
        (none, 18, 1300),
        (none, 23, 0),
        (Privileges::BACKUP, 17, 0),
        (Privileges::BACKUP, 18, 1300),
        (Privileges::RESTORE, 18, 0),
        (Privileges::SECURITY, 8, 0),
        // Nobody here holds the others, and one that is none is not held.
        (all, 20, 1300),
        (all, 0, 1300),
        (all, 1 << 32 | 17, 1300),
        (all, u64::MAX, 1300),
    ] {
        let system = System::new(system.drives().clone()).with_privileges(privileges);
        fails(system.adjust_token_privilege(luid), expected, (privileges, luid));
    }
    assert_eq!(Privileges::of_this_process() == all, rustix::process::geteuid().is_root());
    // What each is good for.
    let security = Access::ACCESS_SYSTEM_SECURITY;
    for (privileges, access, expected) in [
        (none, READ, 0),
        (none, READ | security, 1314),
        (Privileges::BACKUP | Privileges::RESTORE, READ | security, 1314),
        (Privileges::SECURITY, READ | security, 0),
        (none, BOTH, 0),
    ] {
        let system = System::new(system.drives().clone()).with_privileges(privileges);
        fails(with(&system, r"C:\f", access, ITSELF), expected, (privileges, access, kind));
    }
    let id = ObjectId::parse(&[3; 64]).unwrap();
    for (privileges, expected) in [(none, 5), (Privileges::all() - Privileges::RESTORE, 5), (all, 0)] {
        let system = System::new(system.drives().clone()).with_privileges(privileges);
        let file = with(&system, r"C:\f", BOTH, ITSELF).unwrap();
        fails(set_object_id(&file, &id), expected, (privileges, kind));
    }
    // To back up and to restore goes without them, as far as the rights of the handle go.
    let system = System::new(system.drives().clone()).with_privileges(none);
    let file = with(&system, r"C:\f", READ, ITSELF).unwrap();
    let (mut context, mut buffer, mut moved) = (Context::default(), vec![0; 4096], 0);
    fails(backup_read(Some(&file), &mut buffer, &mut moved, false, true, &mut context), 0, kind);
    buffer.truncate(moved as usize);
    let mut context = Context::default();
    fails(backup_write(Some(&file), &buffer, &mut moved, false, true, &mut context), 5, "no right to write");
}
