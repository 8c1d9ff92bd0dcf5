//! `DeviceIoControl`, with the control codes that a backup program uses.

use std::ffi::c_void;

use ntbak::win32::{
    delete_object_id, delete_reparse_point, get_object_id, get_reparse_point, query_allocated_ranges,
    set_object_id, set_reparse_point, set_sparse, set_zero_data,
};
use ntbak::{Error, Result};
use ntbak_wire::Win32Error;
use ntbak_wire::object_id::ObjectId;

use crate::fence::{boolean, invalid};
use crate::memory::{bytes, bytes_mut, get, put, put_if};
use crate::process;
use crate::{NtbakBool, NtbakHandle, NtbakOverlapped};

const FSCTL_QUERY_ALLOCATED_RANGES: u32 = 0x0009_40CF;
const FSCTL_SET_ZERO_DATA: u32 = 0x0009_80C8;
const FSCTL_SET_OBJECT_ID: u32 = 0x0009_0098;
const FSCTL_GET_OBJECT_ID: u32 = 0x0009_009C;
const FSCTL_DELETE_OBJECT_ID: u32 = 0x0009_00A0;
const FSCTL_SET_REPARSE_POINT: u32 = 0x0009_00A4;
const FSCTL_GET_REPARSE_POINT: u32 = 0x0009_00A8;
const FSCTL_DELETE_REPARSE_POINT: u32 = 0x0009_00AC;
const FSCTL_SET_SPARSE: u32 = 0x0009_00C4;

/// The header of a reparse buffer: a smaller buffer gets nothing.
const REPARSE_HEADER: usize = 8;
/// Bytes of a FILE_ALLOCATED_RANGE_BUFFER: offset and length.
const RANGE: usize = 16;

/// DeviceIoControl, with FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT, FSCTL_DELETE_REPARSE_POINT,
/// FSCTL_GET_OBJECT_ID, FSCTL_SET_OBJECT_ID, FSCTL_DELETE_OBJECT_ID, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA and
/// FSCTL_QUERY_ALLOCATED_RANGES. The call is over when it returns; `overlapped` may be NULL.
///
/// Errors: 1 another code; 2, 4390 there is no object id, no reparse point; 5 no right; 6; 19; 52, 183 object
/// ids; 87 a pointer is NULL, the input is too short or cannot be; 122 the output holds nothing; 234 the output
/// holds the beginning only; 145, 267, 4391 to 4394 a reparse point that does not go with the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_device_io_control(
    file: NtbakHandle,
    code: u32,
    input: *const c_void,
    input_size: u32,
    output: *mut c_void,
    output_size: u32,
    returned: *mut u32,
    overlapped: *mut NtbakOverlapped,
) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches. Input and output may be the same, so that no slice of the one
        // lives beside the other.
        unsafe {
            if overlapped.is_null() {
                put(returned, 0)?;
            } else {
                put_if(returned, 0);
            }
            let input = bytes(input.cast(), input_size)?.to_vec();
            let output = bytes_mut(output.cast(), output_size)?;
            let (written, done) = control(file, code, &input, output)?;
            put_if(returned, u32::try_from(written).unwrap_or(u32::MAX));
            if let Ok(given) = get(overlapped) {
                put_if(overlapped, NtbakOverlapped { Internal: 0, InternalHigh: written, ..given });
            }
            done
        }
    })
}

/// How many bytes of output there are, and whether it is all of it.
fn control(file: NtbakHandle, code: u32, input: &[u8], output: &mut [u8]) -> Result<(usize, Result<()>)> {
    let file = process::file(file)?;
    match code {
        FSCTL_GET_REPARSE_POINT => return copied(&get_reparse_point(&file)?, output, REPARSE_HEADER),
        FSCTL_GET_OBJECT_ID => {
            return copied(get_object_id(&file)?.as_bytes(), output, ObjectId::LEN);
        }
        FSCTL_QUERY_ALLOCATED_RANGES => {
            let [offset, len] = numbers(input)?;
            let found = query_allocated_ranges(&file, offset, len)?;
            let found: Vec<u8> =
                found.iter().flat_map(|range| [range.offset, range.len]).flat_map(u64::to_le_bytes).collect();
            // As many whole ranges as there is room for.
            let room = output.len() - output.len() % RANGE;
            return copied(&found, output.get_mut(..room).unwrap_or_default(), RANGE);
        }
        FSCTL_SET_REPARSE_POINT => set_reparse_point(&file, input)?,
        FSCTL_DELETE_REPARSE_POINT => delete_reparse_point(&file, input)?,
        FSCTL_SET_OBJECT_ID => {
            let id = input.get(..ObjectId::LEN).ok_or_else(too_short)?;
            set_object_id(&file, &ObjectId::parse(id)?)?;
        }
        FSCTL_DELETE_OBJECT_ID => delete_object_id(&file)?,
        // Without a FILE_SET_SPARSE_BUFFER it is TRUE.
        FSCTL_SET_SPARSE => set_sparse(&file, input.first().is_none_or(|sparse| *sparse != 0))?,
        FSCTL_SET_ZERO_DATA => {
            let [offset, beyond] = numbers(input)?;
            set_zero_data(&file, offset, beyond)?;
        }
        _ => return Err(Error::new(Win32Error::INVALID_FUNCTION, "the control code is not known here")),
    }
    Ok((0, Ok(())))
}

/// As much of `from` as there is room for, if that is not less than `least`.
fn copied(from: &[u8], to: &mut [u8], least: usize) -> Result<(usize, Result<()>)> {
    if to.len() < least && !from.is_empty() {
        return Err(Error::new(Win32Error::INSUFFICIENT_BUFFER, "the output holds nothing"));
    }
    let len = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
    let more = || Error::new(Win32Error::MORE_DATA, "the output holds the beginning only");
    Ok((len, if len < from.len() { Err(more()) } else { Ok(()) }))
}

/// Two LARGE_INTEGERs, neither below 0.
fn numbers(input: &[u8]) -> Result<[u64; 2]> {
    let number = |at: usize| {
        let bytes = input.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        let number = i64::from_le_bytes(bytes.ok_or_else(too_short)?);
        u64::try_from(number).map_err(|_| invalid("a number is below 0"))
    };
    Ok([number(0)?, number(8)?])
}

fn too_short() -> Error {
    invalid("the input is too short")
}
