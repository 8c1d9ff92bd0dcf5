//! Small payloads: what parses can be shown and built again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ntbak_wire::object_id::ObjectId;
use ntbak_wire::reparse::ReparseBuffer;
use ntbak_wire::security::{SecurityDescriptor, sddl};
use ntbak_wire::side::SideHead;
use ntbak_wire::{ea, link};

fuzz_target!(|input: &[u8]| {
    if let Ok(descriptor) = SecurityDescriptor::parse(input) {
        let text = sddl::to_sddl(&descriptor);
        let again = sddl::parse_sddl(&text).expect("what we print, we read");
        let again = SecurityDescriptor::parse(&again).expect("what we build is valid");
        assert_eq!(sddl::to_sddl(&again), text);
        SecurityDescriptor::parse(&descriptor.without_sacl()).expect("what we build is valid");
    }
    if let Ok(list) = ea::parse_full(input) {
        for ea in list {
            let _ = ea::describe(&ea);
        }
        let _ = ea::merge(&[], input);
    }
    if let Ok(full) = ea::on_disk_to_full(input) {
        ea::full_to_on_disk(&full).expect("what we build is valid");
    }
    if let Ok(buffer) = ReparseBuffer::parse(input) {
        let _ = (buffer.describe(), buffer.target());
    }
    if let Ok((head, len)) = SideHead::decode(input) {
        assert_eq!(SideHead::decode(&head.encode()).map(|(head, _)| head), Ok(head));
        assert!(len <= input.len());
    }
    let _ = (ObjectId::parse(input), link::parse(input));
});
