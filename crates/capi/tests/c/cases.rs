//! The numbered edge cases that speak of the API, through the C ABI; `programs/cases.c` has them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{GCC, identity, new_identity, pem, pfx, program, run};
use crate::examples::encrypt;

pub(crate) const SOURCE: &str = "tests/c/programs/cases.c";

macro_rules! cases {
    ($($test:ident = $name:literal,)*) => {
        const NAMES: &[&str] = &[$($name),*];
        $(#[test]
        fn $test() {
            case($name);
        })*
    };
}

cases! {
    bs_28_buffers_of_any_size = "bs_28",
    bs_29_header_name_and_a_seek = "bs_29",
    bs_30_an_empty_file_has_no_bytes = "bs_30",
    bs_31_an_empty_stream_has_a_header = "bs_31",
    bs_32_a_directory_with_a_stream = "bs_32",
    bs_33_a_link_and_what_it_leads_to = "bs_33",
    bs_34_a_reparse_point_of_a_third_party = "bs_34",
    bs_35_unbuffered_handles = "bs_35",
    bs_36_no_sacl_without_its_right = "bs_36",
    bs_37_no_descriptor_without_its_right = "bs_37",
    bs_39_files_that_change_their_size = "bs_39",
    bs_40_extended_attributes_of_wsl = "bs_40",
    bs_41_object_ids_have_64_bytes = "bs_41",
    bs_42_an_encrypted_file_without_and_with_its_key = "bs_42",
    bs_43_aborted_in_any_way = "bs_43",
    bs_44_a_context_has_one_handle = "bs_44",
    bs_45_many_streams = "bs_45",
    bs_46_many_ranges = "bs_46",
    bs_47_slices_of_any_size_take_all_of_it = "bs_47",
    bs_48_slices_between_parts = "bs_48",
    bs_50_descriptors_need_rights = "bs_50",
    bs_51_bad_descriptors_change_nothing = "bs_51",
    bs_52_extended_attributes = "bs_52",
    bs_53_a_file_keeps_its_object_id = "bs_53",
    bs_54_bad_reparse_points_change_nothing = "bs_54",
    bs_55_extended_attributes_beside_a_reparse_point = "bs_55",
    bs_56_hard_links = "bs_56",
    bs_58_a_shorter_stream = "bs_58",
    bs_59_a_lone_block = "bs_59",
    bs_60_hostile_sizes = "bs_60",
    bs_61_seeks_to_the_end_and_one_more = "bs_61",
    bs_62_seeks_out_of_a_payload = "bs_62",
    bs_63_seeks_over_gigabytes = "bs_63",
    bs_64_seeks_over_blocks = "bs_64",
    bs_65_seeks_in_a_write = "bs_65",
    efs_35_what_is_not_encrypted_or_not_there = "efs_35",
    efs_36_over_files_that_are_there = "efs_36",
    efs_37_directories = "efs_37",
    efs_40_nothing_to_import = "efs_40",
    efs_41_imports_that_fail_at_each_call = "efs_41",
    efs_42_an_import_that_says_too_much = "efs_42",
    efs_43_exports_that_fail_at_each_call = "efs_43",
    efs_44_the_wrong_context = "efs_44",
    efs_45_closed_twice_and_unused = "efs_45",
    efs_46_unknown_flags = "efs_46",
    efs_47_names_in_both_encodings = "efs_47",
    efs_48_a_file_that_is_open = "efs_48",
    efs_49_callbacks_that_come_back = "efs_49",
    efs_54_efs_62_users_of_a_file = "efs_54_efs_62",
}

/// What the cases find: for each a directory with a key and a file that was encrypted for it.
pub(crate) fn prepared(names: &[&str]) -> tempfile::TempDir {
    let there = tempfile::tempdir().unwrap();
    for name in names {
        prepare(&there.path().join(name));
    }
    there
}

fn prepare(directory: &Path) {
    fs::create_dir(directory).unwrap();
    fs::write(directory.join("key.pem"), pem(identity())).unwrap();
    fs::write(directory.join("secret"), "of no one's business").unwrap();
    encrypt(directory, r"C:\secret");
}

/// Those of all cases.
pub(crate) fn all_prepared() -> tempfile::TempDir {
    prepared(NAMES)
}

fn case(name: &str) {
    if GCC.is_there() {
        let there = prepared(&[name]);
        let ran = run(Command::new(program(SOURCE, GCC)).arg(there.path()).arg(name));
        let told = String::from_utf8(ran.stdout).unwrap();
        told.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| println!("{line}"));
    }
}

#[test]
fn keys_with_a_password_and_certificates_of_others() {
    if GCC.is_there() {
        let there = prepared(&["keys"]);
        let directory = there.path().join("keys");
        fs::write(directory.join("key.pfx"), pfx(identity())).unwrap();
        let other = new_identity("bob").certificate.unwrap();
        fs::write(directory.join("other.der"), other.as_der()).unwrap();
        run(Command::new(program(SOURCE, GCC)).arg(there.path()).arg("keys"));
    }
}

#[test]
fn each_case_has_a_test() {
    if GCC.is_there() {
        let listed = run(Command::new(program(SOURCE, GCC)).args(["/", "names"])).stdout;
        assert_eq!(String::from_utf8(listed).unwrap().lines().collect::<Vec<_>>(), NAMES);
    }
}
