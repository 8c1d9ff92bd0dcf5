/*!
How a volume was left: dismounted, in use, or hibernated. Reading changes nothing and replays nothing, so what Windows
still held in memory or in its journal is not seen.

A restart page of `$LogFile`, of which the first two pages are copies:

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | `RSTR`, or `CHKD` after chkdsk |
| 24 | 2 | offset of the restart area |
| 26, 28 | 2 | minor and major version of the log: 2.0 while Windows 8 or later has it open |

| restart area | size | field |
| --- | --- | --- |
| 0 | 8 | current LSN |
| 12 | 2 | first client in use, 0xFFFF for none |
| 14 | 2 | flags: 2 the volume is clean |

Sources: ntfs-3g; seen on Windows 10. mkntfs fills the log with 0xFF.
*/

use ntbak_wire::Name;

use crate::attribute::AttributeType;
use crate::error::{Error, Result};
use crate::volume::{Volume, system_file};
use ntbak_wire::bytes::{u16_at, u64_at};

/// How a volume was left.
#[derive(Debug, Clone)]
pub struct VolumeState {
    /// chkdsk is to check the volume.
    pub dirty: bool,
    /// What the journal says.
    pub journal: Journal,
    /// Windows sleeps on the volume (hibernation or fast start) and holds changes in memory.
    pub hibernated: bool,
}

/// What the journal (`$LogFile`) says.
#[derive(Debug, Clone)]
pub enum Journal {
    /// It has never been used.
    Empty,
    /// The volume was dismounted.
    Clean {
        /// Major and minor version of the log.
        version: (u16, u16),
    },
    /// It holds changes that may not be on the volume: it was in use when the image was made, or lost power.
    NotClean {
        /// Major and minor version of the log.
        version: (u16, u16),
    },
    /// It cannot be read.
    Unknown(Error),
}

impl VolumeState {
    /// Whether everything is on the volume.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.dirty && !self.hibernated && matches!(self.journal, Journal::Empty | Journal::Clean { .. })
    }
}

/// Bytes from one restart page to the other.
const PAGE: usize = 4096;

impl Volume {
    /// How the volume was left.
    #[must_use]
    pub fn state(&self) -> VolumeState {
        VolumeState {
            dirty: self.information().is_dirty(),
            journal: journal(self).unwrap_or_else(Journal::Unknown),
            hibernated: is_hibernated(self).unwrap_or(false),
        }
    }
}

fn journal(volume: &Volume) -> Result<Journal> {
    let file = volume.file_in_record(system_file::LOG_FILE)?;
    let missing = |what| Error::not_found("$LogFile", what).in_record(system_file::LOG_FILE);
    let stream = file.stream(AttributeType::DATA, &[]).ok_or_else(|| missing("$DATA"))?;
    let mut pages = [0; 2 * PAGE];
    let mut done = 0;
    while let Some(rest) = pages.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(stream, done as u64, rest)? {
            0 => break,
            got => done += got,
        }
    }
    if pages.iter().all(|byte| *byte == 0xFF) {
        return Ok(Journal::Empty);
    }
    // The one that was written last counts.
    let newest = pages.chunks(PAGE).filter_map(restart_page).max_by_key(|(lsn, _)| *lsn);
    newest.map(|(_, journal)| journal).ok_or_else(|| missing("restart page"))
}

/// The current LSN of a restart page, and what it says.
fn restart_page(page: &[u8]) -> Option<(u64, Journal)> {
    matches!(page.first_chunk()?, b"RSTR" | b"CHKD").then_some(())?;
    let area = page.get(usize::from(u16_at(page, 24)?)..)?;
    let version = (u16_at(page, 28)?, u16_at(page, 26)?);
    let (client, flags) = (u16_at(area, 12)?, u16_at(area, 14)?);
    let clean = client == 0xFFFF || flags & 2 != 0;
    Some((u64_at(area, 0)?, if clean { Journal::Clean { version } } else { Journal::NotClean { version } }))
}

fn is_hibernated(volume: &Volume) -> Result<bool> {
    let Some(file) = volume.lookup([&Name::from("hiberfil.sys")])? else { return Ok(false) };
    let Some(stream) = file.stream(AttributeType::DATA, &[]) else { return Ok(false) };
    let mut magic = [0; 4];
    file.read_at(stream, 0, &mut magic)?;
    Ok(magic.eq_ignore_ascii_case(b"hibr"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(client: u16, flags: u16, major: u16) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..4].copy_from_slice(b"RSTR");
        page[24] = 48;
        page[28..30].copy_from_slice(&major.to_le_bytes());
        page[60..62].copy_from_slice(&client.to_le_bytes());
        page[62..64].copy_from_slice(&flags.to_le_bytes());
        page
    }

    #[test]
    fn ntfs_54_clean_and_unclean_journals() {
        let clean = |page: &[u8]| matches!(restart_page(page), Some((_, Journal::Clean { .. })));
        assert!(clean(&page(0, 2, 1)) && clean(&page(0xFFFF, 0, 1)));
        let unclean = restart_page(&page(0, 0, 2)).unwrap().1;
        assert!(matches!(unclean, Journal::NotClean { version: (2, 0) }));
        let mut odd = page(0, 0, 1);
        odd[24..26].copy_from_slice(&[0xFF, 0xFF]);
        assert!(restart_page(&odd).is_none() && restart_page(&[0; PAGE]).is_none());
    }
}
