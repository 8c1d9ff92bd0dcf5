//! `ntbak.h` of the sources of the C library.

use std::path::Path;

use crate::Result;

/// The header of the library whose crate is at `capi`.
pub(crate) fn make(capi: &Path) -> Result<String> {
    let config = cbindgen::Config::from_file(capi.join("cbindgen.toml"))?;
    let bindings = cbindgen::Builder::new().with_crate(capi).with_config(config).generate()?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    Ok(String::from_utf8(header)?)
}
