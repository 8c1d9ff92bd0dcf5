//! `EncryptFile` and the functions around it.

use std::ffi::{c_char, c_void};

use ntbak::win32::{
    add_users_to_encrypted_file, decrypt_file, duplicate_encryption_info_file, encrypt_file,
    encryption_disable, file_encryption_status, query_recovery_agents_on_encrypted_file,
    query_users_on_encrypted_file, remove_users_from_encrypted_file, set_user_file_encryption_key,
};
use ntbak::{Error, Result};
use ntbak_efs::{Certificate, Recipient};
use ntbak_wire::efs::Holder;
use ntbak_wire::security::{Sid, SidBuf};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::blocks::{allocate, release};
use crate::fence::{boolean, code, invalid};
use crate::memory::{bytes, get, put, wanted};
use crate::process::system;
use crate::strings::{narrow, text, wide};
use crate::types::{
    NtbakCertificateBlob, NtbakEncryptionCertificate, NtbakEncryptionCertificateHash,
    NtbakEncryptionCertificateHashList, NtbakEncryptionCertificateList, NtbakHashBlob,
};
use crate::{NtbakBool, NtbakChar16};

/// CREATE_NEW.
const CREATE_NEW: u32 = 1;
/// The most users of one call; the metadata of a file hold some hundreds.
const MOST_USERS: u32 = 1 << 16;

/// EncryptFileW: for the current user (ntbak_set_user_file_encryption_key, or the first key of
/// ntbak_efs_add_key) and the recovery agents. The file is replaced when its encrypted form is whole.
///
/// Errors: 2, 3 not there; 5 a system file; 19; 32 it is open; 50 it has several names; 6006 nobody to encrypt
/// for; 6009 read-only; 6010 disabled for its directory; 6014 the place holds no encrypted files.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_encrypt_file_w(name: *const NtbakChar16) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| encrypt_file(system(), &text(unsafe { wide(name) }?)?))
}

/// EncryptFileA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_encrypt_file_a(name: *const c_char) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| encrypt_file(system(), &text(unsafe { narrow(name) }?)?))
}

/// DecryptFileW: puts the plaintext in the place of an encrypted file. `reserved` is 0.
///
/// Errors: 2, 3 not there; 19; 32 it is open; 50 it has several names; 87 `reserved`; 6002, 6006 no key; 6009
/// read-only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_decrypt_file_w(name: *const NtbakChar16, reserved: u32) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| decrypt(unsafe { wide(name) }?, reserved))
}

/// DecryptFileA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_decrypt_file_a(name: *const c_char, reserved: u32) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| decrypt(unsafe { narrow(name) }?, reserved))
}

fn decrypt(path: Vec<u8>, reserved: u32) -> Result<()> {
    if reserved != 0 {
        return Err(invalid("what is reserved is 0"));
    }
    decrypt_file(system(), &text(path)?)
}

/// FileEncryptionStatusW: 0 encryptable, 1 encrypted, 2 a system file, 3 a root, 6 the place holds none, 8
/// read-only, 9 disabled for its directory.
///
/// Errors: 2, 3 not there; 87 a pointer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_file_encryption_status_w(
    name: *const NtbakChar16,
    status: *mut u32,
) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| unsafe {
        wanted(status)?;
        put(status, file_encryption_status(system(), &text(wide(name)?)?)? as u32)
    })
}

/// FileEncryptionStatusA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_file_encryption_status_a(name: *const c_char, status: *mut u32) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| unsafe {
        wanted(status)?;
        put(status, file_encryption_status(system(), &text(narrow(name)?)?)? as u32)
    })
}

/// EncryptionDisable: whether ntbak_encrypt_file_w works for the files of a directory, by its Desktop.ini.
///
/// Errors: 2, 3 not there; 5 its Desktop.ini is encrypted; 19; 267 no directory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_encryption_disable(
    directory: *const NtbakChar16,
    disable: NtbakBool,
) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| encryption_disable(system(), &text(unsafe { wide(directory) }?)?, disable != 0))
}

/// QueryUsersOnEncryptedFile: who can open the file, without the recovery agents. No key is needed.
/// ntbak_free_encryption_certificate_hash_list frees the list.
///
/// Answers 0 or the error: 2, 3 not there; 87 a pointer is NULL; 6007 not encrypted; 6008 its metadata are damaged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_query_users_on_encrypted_file(
    name: *const NtbakChar16,
    users: *mut *mut NtbakEncryptionCertificateHashList,
) -> u32 {
    code(|| {
        // SAFETY: as the caller of C vouches.
        unsafe {
            put(users, std::ptr::null_mut())?;
            put(users, list(&query_users_on_encrypted_file(system(), &text(wide(name)?)?)?)?)
        }
    })
}

/// QueryRecoveryAgentsOnEncryptedFile: the same for recovery agents; an empty list is one, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_query_recovery_agents_on_encrypted_file(
    name: *const NtbakChar16,
    agents: *mut *mut NtbakEncryptionCertificateHashList,
) -> u32 {
    code(|| {
        // SAFETY: as the caller of C vouches.
        unsafe {
            put(agents, std::ptr::null_mut())?;
            put(agents, list(&query_recovery_agents_on_encrypted_file(system(), &text(wide(name)?)?)?)?)
        }
    })
}

/// FreeEncryptionCertificateHashList: NULL, and what is no list, is passed over.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_free_encryption_certificate_hash_list(
    users: *mut NtbakEncryptionCertificateHashList,
) {
    code(|| {
        release(users.cast());
        Ok(())
    });
}

/// AddUsersToEncryptedFile: who holds these certificates can open the file from now on.
///
/// Answers 0 or the error: 2, 3 not there; 13 no certificate; 19; 32 it is open; 50 its key is not RSA; 87 a
/// pointer is NULL; 6002, 6006 no key opens the file; 6007 it is not encrypted; 6013 too many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_add_users_to_encrypted_file(
    name: *const NtbakChar16,
    users: *const NtbakEncryptionCertificateList,
) -> u32 {
    code(|| {
        // SAFETY: as the caller of C vouches.
        let (name, recipients) = unsafe {
            let given = get(users)?;
            let recipients = each(given.pUsers, given.nUsers, |user| recipient(user))?;
            (text(wide(name)?)?, recipients)
        };
        add_users_to_encrypted_file(system(), &name, &recipients)
    })
}

/// RemoveUsersFromEncryptedFile: by the hashes of their certificates; others are passed over. The caller needs
/// a key of the file.
///
/// Answers 0 or the error: 2, 3 not there; 19; 32 it is open; 87 a pointer is NULL, no user would be left;
/// 6002, 6006 no key opens the file; 6007 it is not encrypted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_remove_users_from_encrypted_file(
    name: *const NtbakChar16,
    hashes: *const NtbakEncryptionCertificateHashList,
) -> u32 {
    code(|| {
        // SAFETY: as the caller of C vouches.
        let (name, thumbprints) = unsafe {
            let given = get(hashes)?;
            let thumbprints =
                each(given.pUsers, given.nCert_Hash, |user: *mut NtbakEncryptionCertificateHash| {
                    let blob = get(get(user)?.pHash)?;
                    Ok(bytes(blob.pbData, blob.cbData)?.to_vec())
                })?;
            (text(wide(name)?)?, thumbprints)
        };
        let thumbprints: Vec<&[u8]> = thumbprints.iter().map(Vec::as_slice).collect();
        remove_users_from_encrypted_file(system(), &name, &thumbprints)
    })
}

/// DuplicateEncryptionInfoFile: gives `to` the users and recovery agents of `from`. `disposition` CREATE_NEW
/// (1) fails when it is there; otherwise it is emptied. `security` is not looked at.
///
/// Answers 0 or the error: 2, 3 not there; 19; 32 one of them is open; 80 it is there; 87 a file and a
/// directory; 6002 no key opens `from`; 6007 it is not encrypted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_duplicate_encryption_info_file(
    from: *const NtbakChar16,
    to: *const NtbakChar16,
    disposition: u32,
    attributes: u32,
    security: *const c_void,
) -> u32 {
    let _ = security;
    code(|| {
        // SAFETY: as the caller of C vouches.
        let (from, to) = unsafe { (text(wide(from)?)?, text(wide(to)?)?) };
        let attributes = FileAttributes::from_bits_retain(attributes);
        duplicate_encryption_info_file(system(), &from, &to, disposition == CREATE_NEW, attributes)
    })
}

/// SetUserFileEncryptionKey: new files are encrypted for the holder of this certificate, by this process.
///
/// Answers 0 or the error: 13 no certificate; 50 its key is not RSA; 87 a pointer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_set_user_file_encryption_key(
    certificate: *const NtbakEncryptionCertificate,
) -> u32 {
    // SAFETY: as the caller of C vouches.
    code(|| set_user_file_encryption_key(system(), unsafe { recipient(certificate) }?.certificate))
}

/// What a list of pointers points to.
///
/// # Safety
/// `list` is NULL or that of `count` pointers, each of which `read` takes.
unsafe fn each<T, U>(list: *const *mut T, count: u32, read: impl Fn(*mut T) -> Result<U>) -> Result<Vec<U>> {
    if count > MOST_USERS {
        return Err(invalid("there are too many users"));
    }
    if count > 0 {
        wanted(list)?;
    }
    // SAFETY: as the caller vouches.
    (0..count as usize).map(|at| read(unsafe { get(list.add(at)) }?)).collect()
}

/// The holder of a certificate.
///
/// # Safety
/// `given` is NULL or that of a structure whose pointers are what they say.
unsafe fn recipient(given: *const NtbakEncryptionCertificate) -> Result<Recipient> {
    // SAFETY: as the caller vouches.
    unsafe {
        let given = get(given)?;
        let blob: NtbakCertificateBlob = get(given.pCertBlob)?;
        let certificate = Certificate::from_der(bytes(blob.pbData, blob.cbData)?)?;
        let sid = sid(given.pUserSid.cast())?;
        Ok(Recipient { sid, ..Recipient::new(certificate) })
    }
}

/// # Safety
/// `from` is NULL or that of a SID.
unsafe fn sid(from: *const u8) -> Result<Option<SidBuf>> {
    if from.is_null() {
        return Ok(None);
    }
    // SAFETY: each SID has 8 bytes, and says in the second of them how many more.
    unsafe {
        let count = get(from.add(1))?;
        let len = Sid::MIN_LEN + 4 * usize::from(count);
        if len > Sid::MAX_LEN {
            return Err(Error::new(Win32Error::INVALID_PARAMETER, "the SID has more than 15 parts"));
        }
        Ok(Some(Sid::parse(bytes(from, len as u32)?)?.to_buf()))
    }
}

/// A list in one block: head, pointers, hashes, blobs, then the bytes of each.
fn list(holders: &[Holder]) -> Result<*mut NtbakEncryptionCertificateHashList> {
    let sid =
        |holder: &Holder| holder.sid.as_ref().map_or_else(Vec::new, |sid| sid.as_sid().bytes().to_vec());
    let display = |holder: &Holder| {
        let mut name = holder.display.as_ref().map_or_else(Vec::new, |name| name.to_utf16_le());
        if holder.display.is_some() {
            name.extend([0, 0]);
        }
        name
    };
    let hash = |holder: &Holder| holder.thumbprint.clone().unwrap_or_default();
    let parts: Vec<[Vec<u8>; 3]> =
        holders.iter().map(|holder| [hash(holder), sid(holder), display(holder)]).collect();

    let (head, count) = (size_of::<NtbakEncryptionCertificateHashList>(), holders.len());
    let hashes = head + count * size_of::<*mut c_void>();
    let blobs = hashes + count * size_of::<NtbakEncryptionCertificateHash>();
    let mut free = blobs + count * size_of::<NtbakHashBlob>();
    let len = free + parts.iter().flatten().map(|part| part.len().next_multiple_of(8)).sum::<usize>();
    let block = allocate(len)?;
    // SAFETY: `len` has room for each of these, and each begins at a multiple of 8 of the block, which is
    // aligned to that.
    unsafe {
        let mut placed = |part: &[u8]| {
            if part.is_empty() {
                return std::ptr::null_mut();
            }
            let to = block.add(free);
            to.copy_from_nonoverlapping(part.as_ptr(), part.len());
            free += part.len().next_multiple_of(8);
            to
        };
        let pointers = block.add(head).cast::<*mut NtbakEncryptionCertificateHash>();
        for (at, [hash, sid, display]) in parts.iter().enumerate() {
            let blob = block.add(blobs).cast::<NtbakHashBlob>().add(at);
            blob.write(NtbakHashBlob { cbData: hash.len() as u32, pbData: placed(hash) });
            let user = block.add(hashes).cast::<NtbakEncryptionCertificateHash>().add(at);
            user.write(NtbakEncryptionCertificateHash {
                cbTotalLength: size_of::<NtbakEncryptionCertificateHash>() as u32,
                pUserSid: placed(sid).cast(),
                pHash: blob,
                lpDisplayInformation: placed(display).cast(),
            });
            pointers.add(at).write(user);
        }
        let list = block.cast::<NtbakEncryptionCertificateHashList>();
        list.write(NtbakEncryptionCertificateHashList { nCert_Hash: count as u32, pUsers: pointers });
        Ok(list)
    }
}
