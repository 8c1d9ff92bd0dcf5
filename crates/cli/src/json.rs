//! JSON as the command prints it: display text, and beside it the raw bytes where text cannot say it all.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak_wire::Name;
use serde_json::Value;

/// Bytes in base64.
pub(crate) fn base64(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

/// Adds a member to an object.
pub(crate) fn put(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(key.to_owned(), value);
    }
}

/// Adds a path as text, and as `KEY_raw` in base64 when it is not UTF-8.
pub(crate) fn put_path(object: &mut Value, key: &str, path: &Path) {
    put_bytes(object, key, path.as_os_str().as_bytes(), path.display().to_string());
}

/// Adds a name as text, and as `KEY_raw` (WTF-8 in base64) when it is not UTF-8.
pub(crate) fn put_name(object: &mut Value, key: &str, name: &Name) {
    put_bytes(object, key, &name.to_wtf8(), name.to_string());
}

fn put_bytes(object: &mut Value, key: &str, bytes: &[u8], display: String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => put(object, key, text.into()),
        Err(_) => {
            put(object, key, display.into());
            put(object, &format!("{key}_raw"), base64(bytes));
        }
    }
}
