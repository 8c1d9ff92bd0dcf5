//! Sizes, offsets and constants of `windows.h` beside those of mingw-w64: one table, compiled with both, read
//! out of the objects.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::common::{Compiler, GCC, GCC_CPP, MINGW, MINGW_CPP, capi, has, run};

/// Every structure that a program sees, and its members. `layout_covers_all_structures` looks for others.
const STRUCTURES: &[(&str, &[&str])] = &[
    ("LARGE_INTEGER", &["LowPart", "HighPart", "u.LowPart", "u.HighPart", "QuadPart"]),
    ("ULARGE_INTEGER", &["LowPart", "HighPart", "u.LowPart", "u.HighPart", "QuadPart"]),
    ("FILETIME", &["dwLowDateTime", "dwHighDateTime"]),
    ("OVERLAPPED", &["Internal", "InternalHigh", "Offset", "OffsetHigh", "Pointer", "hEvent"]),
    ("LUID", &["LowPart", "HighPart"]),
    ("LUID_AND_ATTRIBUTES", &["Luid", "Attributes"]),
    ("TOKEN_PRIVILEGES", &["PrivilegeCount", "Privileges"]),
    ("SID_IDENTIFIER_AUTHORITY", &["Value"]),
    ("SID", &["Revision", "SubAuthorityCount", "IdentifierAuthority", "SubAuthority"]),
    ("SECURITY_ATTRIBUTES", &["nLength", "lpSecurityDescriptor", "bInheritHandle"]),
    (
        "BY_HANDLE_FILE_INFORMATION",
        &[
            "dwFileAttributes",
            "ftCreationTime",
            "ftLastAccessTime",
            "ftLastWriteTime",
            "dwVolumeSerialNumber",
            "nFileSizeHigh",
            "nFileSizeLow",
            "nNumberOfLinks",
            "nFileIndexHigh",
            "nFileIndexLow",
        ],
    ),
    ("FILE_BASIC_INFO", &["CreationTime", "LastAccessTime", "LastWriteTime", "ChangeTime", "FileAttributes"]),
    ("FILE_STANDARD_INFO", &["AllocationSize", "EndOfFile", "NumberOfLinks", "DeletePending", "Directory"]),
    ("FILE_ATTRIBUTE_TAG_INFO", &["FileAttributes", "ReparseTag"]),
    ("FILE_ID_128", &["Identifier"]),
    ("FILE_ID_INFO", &["VolumeSerialNumber", "FileId"]),
    ("FILE_END_OF_FILE_INFO", &["EndOfFile"]),
    ("FILE_DISPOSITION_INFO", &["DeleteFile"]),
    ("WIN32_FIND_DATAA", FIND_DATA),
    ("WIN32_FIND_DATAW", FIND_DATA),
    ("WIN32_FIND_STREAM_DATA", &["StreamSize", "cStreamName"]),
    ("WIN32_STREAM_ID", &["dwStreamId", "dwStreamAttributes", "Size", "dwStreamNameSize", "cStreamName"]),
    ("EFS_CERTIFICATE_BLOB", &["dwCertEncodingType", "cbData", "pbData"]),
    ("EFS_HASH_BLOB", &["cbData", "pbData"]),
    ("ENCRYPTION_CERTIFICATE", &["cbTotalLength", "pUserSid", "pCertBlob"]),
    ("ENCRYPTION_CERTIFICATE_LIST", &["nUsers", "pUsers"]),
    ("ENCRYPTION_CERTIFICATE_HASH", &["cbTotalLength", "pUserSid", "pHash", "lpDisplayInformation"]),
    ("ENCRYPTION_CERTIFICATE_HASH_LIST", &["nCert_Hash", "pUsers"]),
    ("GUID", &["Data1", "Data2", "Data3", "Data4"]),
    (
        "REPARSE_GUID_DATA_BUFFER",
        &["ReparseTag", "ReparseDataLength", "Reserved", "ReparseGuid", "GenericReparseBuffer.DataBuffer"],
    ),
    ("FILE_OBJECTID_BUFFER", &["ObjectId", "BirthVolumeId", "BirthObjectId", "DomainId", "ExtendedInfo"]),
    ("FILE_ZERO_DATA_INFORMATION", &["FileOffset", "BeyondFinalZero"]),
    ("FILE_ALLOCATED_RANGE_BUFFER", &["FileOffset", "Length"]),
];

const FIND_DATA: &[&str] = &[
    "dwFileAttributes",
    "ftCreationTime",
    "ftLastAccessTime",
    "ftLastWriteTime",
    "nFileSizeHigh",
    "nFileSizeLow",
    "dwReserved0",
    "dwReserved1",
    "cFileName",
    "cAlternateFileName",
];

/// Types of which the size and whether they have a sign must be the same.
const NUMBERS: &[&str] = &[
    "BOOL",
    "BOOLEAN",
    "BYTE",
    "UCHAR",
    "WORD",
    "USHORT",
    "SHORT",
    "DWORD",
    "ULONG",
    "UINT",
    "LONG",
    "INT",
    "ULONGLONG",
    "DWORDLONG",
    "DWORD64",
    "ULONG64",
    "LONGLONG",
    "LONG64",
    "ULONG_PTR",
    "DWORD_PTR",
    "SIZE_T",
    "LONG_PTR",
    "SSIZE_T",
    "CHAR",
    "WCHAR",
    "TCHAR",
];

/// Types of which the size must be the same.
const POINTERS: &[&str] =
    &["HANDLE", "PVOID", "LPWSTR", "LPSTR", "HLOCAL", "PFE_EXPORT_FUNC", "PFE_IMPORT_FUNC"];

/// What enumerations have.
const ENUMERATED: &[&str] = &[
    "FileBasicInfo",
    "FileStandardInfo",
    "FileDispositionInfo",
    "FileEndOfFileInfo",
    "FileAttributeTagInfo",
    "FileIdInfo",
    "FindStreamInfoStandard",
];

/// Constants that this mingw-w64 does not have, and their values by \[MS-FSCC\] 2.6 and Windows' metadata.
const MISSING_IN_MINGW: &[(&str, &str)] = &[
    ("EFSRPC_SECURE_ONLY", "8"),
    ("FILE_ATTRIBUTE_INTEGRITY_STREAM", "0x00008000"),
    ("FILE_ATTRIBUTE_NO_SCRUB_DATA", "0x00020000"),
    ("FILE_ATTRIBUTE_RECALL_ON_OPEN", "0x00040000"),
    ("FILE_ATTRIBUTE_PINNED", "0x00080000"),
    ("FILE_ATTRIBUTE_UNPINNED", "0x00100000"),
    ("FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS", "0x00400000"),
];

fn header() -> String {
    std::fs::read_to_string(capi().join("include/ntbak/windows.h")).unwrap()
}

/// The numbers that `windows.h` defines: every macro whose value begins with a digit or a parenthesis.
fn constants() -> Vec<String> {
    let header = header();
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once(' '));
    let numbers = defined.filter(|(name, value)| {
        let is_number = value.starts_with(|first: char| first.is_ascii_digit() || first == '(');
        is_number && !name.contains('(') && *name != "INVALID_HANDLE_VALUE"
    });
    numbers.map(|(name, _)| name.to_owned()).collect()
}

/// What each row of the table is, and the source of the table.
fn table() -> (Vec<String>, String) {
    let (mut rows, mut source) = (Vec::new(), String::new());
    source.push_str("#define UNICODE\n#define _WIN32_WINNT 0x0A00\n");
    source
        .push_str("#ifdef _WIN32\n#include <windows.h>\n#include <winioctl.h>\n#include <winefs.h>\n#else\n");
    source.push_str("#include <ntbak/windows.h>\n#endif\n#include <stddef.h>\n");
    source.push_str("#ifdef __cplusplus\nextern \"C\"\n#endif\n");
    source.push_str(
        "const unsigned long long layout[] __attribute__((section(\".layout\"), used, aligned(8)));\n",
    );
    source.push_str("const unsigned long long layout[] = {\n");
    let mut row = |what: String| {
        writeln!(source, "(unsigned long long)({what}),").unwrap();
        rows.push(what);
    };
    for (structure, members) in STRUCTURES {
        row(format!("sizeof({structure})"));
        for member in *members {
            row(format!("offsetof({structure}, {member})"));
            row(format!("sizeof((({structure} *)0)->{member})"));
        }
    }
    for number in NUMBERS {
        row(format!("sizeof({number})"));
        row(format!("({number})-1 < ({number})1"));
    }
    for pointer in POINTERS {
        row(format!("sizeof({pointer})"));
    }
    for constant in constants() {
        if MISSING_IN_MINGW.iter().any(|(missing, _)| *missing == constant) {
            continue;
        }
        // As 32 bits: what a number has no sign for is not the same in both, and makes no difference.
        row(format!("(unsigned)({constant})"));
    }
    for constant in ENUMERATED {
        row(format!("(unsigned)({constant})"));
    }
    for name in ["SE_SECURITY_NAME", "SE_BACKUP_NAME", "SE_RESTORE_NAME", "TEXT(\"x\")"] {
        row(format!("sizeof({name})"));
        row(format!("sizeof({name}[0])"));
    }
    row("(unsigned long long)INVALID_HANDLE_VALUE".to_owned());
    source.push_str("};\n");
    (rows, source)
}

/// The table as a compiler makes it.
fn compiled(compiler: Compiler, source: &str, dir: &Path) -> Vec<u64> {
    let (from, object, bytes) = (dir.join("layout.c"), dir.join("layout.o"), dir.join("layout.bin"));
    std::fs::write(&from, source).unwrap();
    let mut command = Command::new(compiler.0[0]);
    command.args(&compiler.0[1..]).args(["-w", "-c", "-I"]).arg(capi().join("include")).arg(&from);
    run(command.arg("-o").arg(&object));
    let objcopy = if compiler.is_for_windows() { "x86_64-w64-mingw32-objcopy" } else { "objcopy" };
    run(Command::new(objcopy).args(["-O", "binary", "-j", ".layout"]).arg(&object).arg(&bytes));
    let bytes = std::fs::read(bytes).unwrap();
    bytes.chunks_exact(8).map(|row| u64::from_le_bytes(row.try_into().unwrap())).collect()
}

fn compare(ours: Compiler, theirs: Compiler) {
    if !ours.is_there() || !theirs.is_there() || !has("objcopy") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (rows, source) = table();
    let (ours, theirs) = (compiled(ours, &source, dir.path()), compiled(theirs, &source, dir.path()));
    // Sections are filled up to their alignment.
    assert!(ours.len() >= rows.len() && theirs.len() >= rows.len(), "{} {}", ours.len(), theirs.len());
    let different: Vec<_> = rows
        .iter()
        .zip(ours.iter().zip(&theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(row, (ours, theirs))| format!("{row}: {ours:#x} here, {theirs:#x} in mingw-w64"))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(rows.len() > 400, "only {} rows", rows.len());
    assert!(ours.contains(&592), "no WIN32_FIND_DATAW");
}

#[test]
fn layout_is_that_of_windows_in_c() {
    compare(GCC, MINGW);
}

#[test]
fn layout_is_that_of_windows_in_cpp() {
    compare(GCC_CPP, MINGW_CPP);
}

#[test]
fn layout_of_what_mingw_does_not_have() {
    let header = header();
    for (missing, value) in MISSING_IN_MINGW {
        assert!(header.contains(&format!("#define {missing} {value}\n")), "{missing}");
    }
}

#[test]
fn errors_are_all_in_the_header() {
    let (header, mut errors) = (header(), 0);
    for number in 0..16_000 {
        if let Some(name) = ntbak_wire::Win32Error(number).name() {
            errors += 1;
            assert!(header.contains(&format!("#define ERROR_{name} {number}\n")), "ERROR_{name} {number}");
        }
    }
    assert!(errors > 60);
}

#[test]
fn functions_are_all_in_both_headers_and_in_the_manual() {
    let manual = std::fs::read_to_string(capi().join("../../docs/c-api.md")).unwrap();
    let (ours, windows) = (std::fs::read_to_string(capi().join("include/ntbak/ntbak.h")).unwrap(), header());
    let mut functions = 0;
    for line in ours.lines() {
        // `NtbakBool ntbak_close_handle(NtbakHandle object);`
        let Some((before, _)) = line.split_once('(').filter(|_| !line.starts_with([' ', '/', '#'])) else {
            continue;
        };
        let Some(name) = before.rsplit([' ', '*']).next().filter(|name| name.starts_with("ntbak_")) else {
            continue;
        };
        functions += 1;
        let defined =
            windows.lines().find_map(|line| line.strip_prefix("#define ")?.strip_suffix(&format!(" {name}")));
        // What is ours has one name only.
        let shown = defined.unwrap_or(name);
        assert!(defined.is_some() || OURS.contains(&name), "{name} has no name of Windows");
        let shown = shown.strip_suffix(['A', 'W']).unwrap_or(shown);
        assert!(manual.contains(shown), "{shown} is not in the manual");
    }
    assert!(functions > 70, "{functions}");
}

/// Functions that Windows does not have.
const OURS: &[&str] = &[
    "ntbak_version",
    "ntbak_strerror",
    "ntbak_map_drive",
    "ntbak_efs_add_key",
    "ntbak_set_policy",
    "ntbak_finish",
];

#[test]
fn layout_covers_all_structures() {
    for line in header().lines() {
        let asserted = line.strip_prefix("NTBAK_ASSERT_SIZE(").and_then(|rest| rest.split_once(','));
        let Some((name, _)) = asserted else { continue };
        let known = STRUCTURES.iter().any(|(structure, _)| *structure == name) || NUMBERS.contains(&name);
        assert!(known || POINTERS.contains(&name), "{name} is not in the table");
    }
    let (header, mut structures) = (header(), 0);
    for (structure, _) in STRUCTURES {
        let asserted = format!("NTBAK_ASSERT_SIZE({structure}, ");
        assert!(header.contains(&asserted), "windows.h does not assert the size of {structure}");
        structures += 1;
    }
    // And each one that is defined is among them: by its tag, or as another name of one of ntbak.h.
    for line in header.lines() {
        let tagged = line.strip_prefix("typedef struct _").or_else(|| line.strip_prefix("typedef union _"));
        let named = tagged.and_then(|rest| rest.split_once(' ')).map(|(name, _)| name);
        let renamed = line.strip_prefix("typedef Ntbak").and_then(|rest| rest.split([' ', ',', ';']).nth(1));
        for name in named.into_iter().chain(renamed) {
            let known = STRUCTURES.iter().any(|(structure, _)| *structure == name);
            assert!(
                known || NUMBERS.contains(&name) || POINTERS.contains(&name),
                "{name} is not in the table"
            );
        }
    }
    assert_eq!(structures, STRUCTURES.len());
}
