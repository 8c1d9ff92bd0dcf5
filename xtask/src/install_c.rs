//! Where the files of the C library go, the same as with cargo-c:
//!
//! ```text
//! PREFIX/include/ntbak/ntbak.h, windows.h
//! PREFIX/lib/libntbak.so -> libntbak.so.0 -> libntbak.so.0.1.0
//! PREFIX/lib/libntbak.a
//! PREFIX/lib/pkgconfig/ntbak.pc
//! ```
//!
//! The tests of the library have this file, too.

use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What programs that are linked with the static library need besides; `rustc --print native-static-libs`.
const STATIC: &str = "-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc";

/// Installs what was `built` of the crate at `capi`.
pub(crate) fn install(built: &Path, capi: &Path, prefix: &Path) -> Result<(), Box<dyn Error>> {
    let version = env!("CARGO_PKG_VERSION");
    fs::create_dir_all(prefix)?;
    let prefix = prefix.canonicalize()?;
    let (include, lib) = (prefix.join("include/ntbak"), prefix.join("lib"));
    fs::create_dir_all(&include)?;
    fs::create_dir_all(lib.join("pkgconfig"))?;
    for header in ["ntbak.h", "windows.h"] {
        fs::copy(capi.join("include/ntbak").join(header), include.join(header))?;
    }
    fs::copy(built.join("libntbak_capi.a"), lib.join("libntbak.a"))?;
    let whole = format!("libntbak.so.{version}");
    // A program that runs keeps the file that it has.
    let _ = fs::remove_file(lib.join(&whole));
    fs::copy(built.join("libntbak_capi.so"), lib.join(&whole))?;
    for (link, to) in [("libntbak.so.0", whole.as_str()), ("libntbak.so", "libntbak.so.0")] {
        let _ = fs::remove_file(lib.join(link));
        symlink(to, lib.join(link))?;
    }
    let pc = format!(
        "prefix={}\n\
         includedir=${{prefix}}/include\n\
         libdir=${{prefix}}/lib\n\
         \n\
         Name: ntbak\n\
         Description: BackupRead, BackupWrite and the functions around them on Linux\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lntbak\n\
         Libs.private: {STATIC}\n",
        prefix.display()
    );
    Ok(fs::write(lib.join("pkgconfig/ntbak.pc"), pc)?)
}
