//! SDDL text: what parses is a valid descriptor that prints and parses again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ntbak_wire::security::{SecurityDescriptor, sddl};

fuzz_target!(|text: &str| {
    if let Ok(bytes) = sddl::parse_sddl(text) {
        let descriptor = SecurityDescriptor::parse(&bytes).expect("what we build is valid");
        sddl::parse_sddl(&sddl::to_sddl(&descriptor)).expect("what we print, we read");
    }
});
