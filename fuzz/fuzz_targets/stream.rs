//! The decoder gives the same events for any two ways to cut the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ntbak_wire::stream::{Decoder, Event};

/// Events as text, payloads joined.
fn events(input: &[u8], chunk: usize) -> (Vec<String>, bool) {
    let (mut decoder, mut out, mut payload) = (Decoder::new(), Vec::new(), Vec::new());
    for mut bytes in input.chunks(chunk.max(1)) {
        loop {
            match decoder.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Event::Payload { data, .. })) => payload.extend_from_slice(data),
                Ok(Some(event)) => out.push(format!("{event:?} {:?}", std::mem::take(&mut payload))),
                Err(error) => {
                    out.push(error.to_string());
                    return (out, false);
                }
            }
        }
    }
    out.push(format!("{payload:?}"));
    (out, decoder.finish().is_ok())
}

fuzz_target!(|input: &[u8]| {
    let Some((chunk, input)) = input.split_first() else { return };
    assert_eq!(events(input, usize::from(*chunk)), events(input, input.len()));
});
