/*!
`.ntbak/manifest.jsonl`, the last entry: what proves all the others.

```json
{"path":"a/f.txt","offset":1024,"size":2048,"blake3":"…"}
{"path":"a/f.txt","stream":"Zone.Identifier","offset":3072,"size":1536,"blake3":"…"}
{"type":"loss","kind":"short-name","path":"a/f.txt","why":"…"}
{"type":"note","path":"a","what":"…"}
{"type":"end","entries":2,"size":4608,"losses":1,"notes":1,"blake3":"…"}
```

One line an entry, in their order, `.ntbak/volume.json` too: `offset` and `size` are bytes of the uncompressed archive,
from the first header block, extended headers included, to the last padded block, so that entries tile the archive.
`blake3` covers exactly these bytes. Then one line a loss or note. The closing line counts them; its `size` is where
the manifest itself begins, and its `blake3` covers all lines before it.

`stream` is empty for an entry that is no stream but belongs to a file (`NAME:ntbak-efs-dir`). A path or stream that is
not UTF-8 has `path_raw` or `stream_raw` (base64 of its WTF-8 or bytes) beside its display text.

[`write`] and [`read`] are mirrors; [`register`] hashes what is written, and enters it.
*/

pub(crate) mod aside;
mod beside;
pub(crate) mod read;
pub(crate) mod register;
pub(crate) mod write;

/// Where the two entries of our own are.
pub(crate) const FOLDER: &[u8] = b".ntbak";
pub(crate) const VOLUME: &[u8] = b".ntbak/volume.json";
pub(crate) const MANIFEST: &[u8] = b".ntbak/manifest.jsonl";
