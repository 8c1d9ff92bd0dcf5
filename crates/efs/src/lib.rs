/*!
Keys and ciphers of the Windows encrypting file system (EFS): from a PFX file to the plaintext, and back.

```text
PFX, PEM ─► KeyRing ─► open($EFS) ─► Fek ─► SectorCipher ─► sectors
                                      ▲
Certificate ─► Recipient ─► protect ──┘──► $EFS
```

* [`KeyRing`] reads key files and finds the key that a file is encrypted for, among users and recovery agents;
* [`Fek`] is the key of one file, [`SectorCipher`] what it does to the content, 512 bytes at a time, many at once;
* [`protect`], [`add_user`] and [`remove_user`] make and change metadata;
* [`NewIdentity`] and [`write_pfx`] make keys that Windows can import.

The formats themselves are in [`ntbak_wire::efs`]. This crate reads no files and keeps no state. Secrets are wiped when
they are dropped, and no `Debug` shows them.

Versions 2 (elliptic curves) and 3 (rights management) of the metadata are named and refused: how they protect the content
is in no public document. So are keys wrapped by a smart card.

# Example

```
use ntbak_efs::{Algorithm, Bits, Fek, KeyRing, NewIdentity, Recipient, SectorCipher, Usage, protect};
use ntbak_wire::{efs::Metadata, object_id::Guid};

let user = NewIdentity {
    bits: Bits::B2048,
    common_name: "alice",
    principal_name: Some("alice@DESK"),
    usage: Usage::Efs,
    not_before: 1_700_000_000,
    not_after: 4_800_000_000,
}
.generate()?;
let fek = Fek::generate(Algorithm::Aes256)?;
let recipient = Recipient::new(user.certificate.clone().unwrap());
let metadata = protect(&fek, &[recipient], &[], Guid([1; 16]))?;

let mut sector = [0; 512];
sector[..6].copy_from_slice(b"secret");
SectorCipher::new(&fek).encrypt(0, &mut sector)?;

let mut ring = KeyRing::new();
ring.add(user);
let opened = ring.open(&Metadata::parse(&metadata)?)?;
SectorCipher::new(&opened.fek).decrypt(0, &mut sector)?;
assert_eq!(&sector[..7], b"secret\0");
# Ok::<(), ntbak_efs::Error>(())
```
*/
#![forbid(unsafe_code)]

mod asn1;
mod certificate;
mod error;
mod fek;
mod identity;
mod pbe;
mod pem;
mod pfx;
mod protect;
mod ring;
mod rsa;
mod sector;

pub use certificate::Certificate;
pub use error::{Error, Result};
pub use fek::{Algorithm, Fek};
pub use identity::{Bits, Identity, NewIdentity, Usage};
pub use pfx::{PfxProtection, write_pfx};
pub use protect::{Recipient, add_user, protect, remove_user, with_windows_2000_hash};
pub use ring::{Added, KeyRing, Opened, unwrap, wrap};
pub use rsa::{PrivateKey, PublicKey};
pub use sector::{SECTOR, SectorCipher};

/// Fills `bytes` from the random source of the system.
fn random(bytes: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| Error::Crypto("the random source"))
}
