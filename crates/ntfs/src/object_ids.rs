/*!
`$Extend\$ObjId`: the index `$O` of all object ids. Its key is the object id (16 bytes), its data:

| offset | size | field |
| --- | --- | --- |
| 0 | 8 | reference to the file |
| 8 | 48 | birth volume id, birth object id, domain id |

On Windows `$OBJECT_ID` in the file's record has the object id only, so the rest is here or nowhere.
*/

use ntbak_wire::object_id::ObjectId;

use crate::error::{Error, Result};
use crate::index::{Flow, Index};
use crate::record::FileReference;
use crate::volume::{Volume, system_file};
use ntbak_wire::bytes::{array_at, u64_at};

/// The most ids that are held: 88 bytes each.
const MAX_IDS: usize = 8 << 20;

/// The object ids of a volume, ordered.
#[derive(Debug)]
pub(crate) struct ObjectIds {
    ids: Vec<([u8; 16], FileReference, [u8; 48])>,
}

impl ObjectIds {
    pub(crate) fn load(volume: &Volume) -> Result<Self> {
        let mut ids = Vec::new();
        // NTFS before 3.0 has neither.
        let extend = volume.file_in_record(system_file::EXTEND);
        let extend = match extend {
            Ok(extend) if extend.is_directory() => extend,
            _ => return Ok(Self { ids }),
        };
        let Some(index_file) = volume.lookup_in(&extend, &"$ObjId".encode_utf16().collect::<Vec<_>>())?
        else {
            return Ok(Self { ids });
        };
        let index_file = volume.file(index_file)?;
        let index = Index::open(&index_file, &[u16::from(b'$'), u16::from(b'O')])?;
        let mut fault = None;
        index.each(&mut |error| fault = Some(error), &mut |entry| {
            let file = u64_at(entry.data, 0).map(FileReference);
            if let (Some(id), Some(file), Some(rest)) =
                (array_at(entry.key, 0), file, array_at(entry.data, 8))
            {
                ids.push((id, file, rest));
            }
            if ids.len() < MAX_IDS { Flow::Continue } else { Flow::Stop }
        });
        if ids.len() >= MAX_IDS {
            fault = Some(Error::limit("$ObjId", "its number of ids", ids.len() as u64, MAX_IDS as u64));
        }
        ids.sort_unstable_by_key(|(id, file, _)| (*id, *file));
        match fault {
            // Some birth ids cannot be known then, and none are made up.
            Some(error) => Err(error),
            None => Ok(Self { ids }),
        }
    }

    /// The 64 bytes of this object id, when the index has it for this file.
    pub(crate) fn get(&self, id: ObjectId, file: FileReference) -> Option<ObjectId> {
        let key: [u8; 16] = array_at(id.as_bytes(), 0)?;
        let at = self.ids.binary_search_by_key(&(key, file), |(id, file, _)| (*id, *file)).ok()?;
        let (_, _, rest) = self.ids.get(at)?;
        ObjectId::parse(&[&key[..], rest].concat()).ok()
    }
}
