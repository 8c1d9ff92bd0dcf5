//! Privileges: `OpenProcessToken`, `LookupPrivilegeValue`, `AdjustTokenPrivileges`, `GetCurrentProcess`.
//!
//! What the caller may do is what Linux lets them do: root holds SeBackupPrivilege, SeRestorePrivilege and
//! SeSecurityPrivilege, enabled from the start; others hold none.

use std::ffi::{c_char, c_void};

use ntbak::win32::System;
use ntbak::{Error, Result};
use ntbak_wire::Win32Error;

use crate::fence::{boolean, invalid, pointer, set_last_error};
use crate::memory::{get, put, put_if, wanted};
use crate::process::{self, INVALID_HANDLE_VALUE, Object, no_handle, system};
use crate::strings::{narrow, text, wide};
use crate::types::{NtbakLuid, NtbakLuidAndAttributes, NtbakTokenPrivileges};
use crate::{NtbakBool, NtbakChar16, NtbakHandle};

/// SE_PRIVILEGE_ENABLED.
const ENABLED: u32 = 2;
/// The most privileges of one call; Windows has some thirty.
const MOST_PRIVILEGES: u32 = 1024;

/// GetCurrentProcess: the one process that there is here.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_get_current_process() -> NtbakHandle {
    INVALID_HANDLE_VALUE
}

/// OpenProcessToken: of this process. `access` is not looked at. Errors: 6 another process; 87 `token` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_open_process_token(
    process: NtbakHandle,
    access: u32,
    token: *mut NtbakHandle,
) -> NtbakBool {
    let _ = access;
    boolean(|| {
        wanted(token)?;
        if process != INVALID_HANDLE_VALUE {
            return Err(no_handle("there is no process but this one"));
        }
        let id = process::open(Object::Token)?;
        // SAFETY: as the caller of C vouches.
        unsafe { put(token, pointer(id)) }
    })
}

/// LookupPrivilegeValueW: the number of a privilege, as every Windows has it. `system` is NULL or empty.
///
/// Errors: 53 another system; 87 a pointer is NULL; 1313 no such privilege.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_lookup_privilege_value_w(
    system: *const NtbakChar16,
    name: *const NtbakChar16,
    luid: *mut NtbakLuid,
) -> NtbakBool {
    boolean(|| {
        wanted(luid)?;
        // SAFETY: as the caller of C vouches.
        unsafe {
            let system = if system.is_null() { Vec::new() } else { wide(system)? };
            put(luid, lookup(&system, wide(name)?)?)
        }
    })
}

/// LookupPrivilegeValueA: with names in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_lookup_privilege_value_a(
    system: *const c_char,
    name: *const c_char,
    luid: *mut NtbakLuid,
) -> NtbakBool {
    boolean(|| {
        wanted(luid)?;
        // SAFETY: as the caller of C vouches.
        unsafe {
            let system = if system.is_null() { Vec::new() } else { narrow(system)? };
            put(luid, lookup(&system, narrow(name)?)?)
        }
    })
}

fn lookup(system: &[u8], name: Vec<u8>) -> Result<NtbakLuid> {
    if !system.is_empty() {
        return Err(Error::new(Win32Error::BAD_NETPATH, "there is no network here"));
    }
    // Each of them is below 100.
    let value = System::lookup_privilege_value(&text(name)?)?;
    Ok(NtbakLuid { LowPart: value as u32, HighPart: 0 })
}

/// AdjustTokenPrivileges: changes nothing, and says whether the caller holds what is to be enabled: TRUE and
/// the last error 0, or TRUE and the last error 1300, as on Windows. `previous` says that nothing was changed.
///
/// Errors: 6 no token; 87 `new_state` is NULL where it is needed, too many privileges; 122 `previous` has less
/// than 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_adjust_token_privileges(
    token: NtbakHandle,
    disable_all: NtbakBool,
    new_state: *const NtbakTokenPrivileges,
    previous_size: u32,
    previous: *mut NtbakTokenPrivileges,
    returned: *mut u32,
) -> NtbakBool {
    boolean(|| {
        if !matches!(process::object(token)?, Object::Token) {
            return Err(no_handle("the handle is not that of a token"));
        }
        let mut all = true;
        // SAFETY: as the caller of C vouches; nothing is read behind the privileges that are counted.
        unsafe {
            if disable_all == 0 {
                let count = get(new_state.cast::<u32>())?;
                if count > MOST_PRIVILEGES {
                    return Err(invalid("there are too many privileges"));
                }
                let first = new_state.byte_add(std::mem::offset_of!(NtbakTokenPrivileges, Privileges));
                for at in 0..count as usize {
                    let asked: NtbakLuidAndAttributes = get(first.cast::<NtbakLuidAndAttributes>().add(at))?;
                    let luid = crate::types::whole(asked.Luid.HighPart.cast_unsigned(), asked.Luid.LowPart);
                    if asked.Attributes & ENABLED != 0 {
                        all &= system().adjust_token_privilege(luid).is_ok();
                    }
                }
            }
            if !previous.is_null() {
                let needed = size_of::<NtbakTokenPrivileges>() as u32;
                put_if(returned, needed);
                if previous_size < needed {
                    return Err(Error::new(Win32Error::INSUFFICIENT_BUFFER, "the buffer is too small"));
                }
                put(previous.cast::<c_void>().cast::<u32>(), 0)?;
            }
        }
        set_last_error(if all { 0 } else { Win32Error::NOT_ALL_ASSIGNED.0 });
        Ok(())
    })
}
