//! The NTFS image that the repository carries: everything that is said of it in the manual, by any user.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::Chance;
use crate::common::run::{args, ntbak};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sample.qcow2")
}

#[test]
fn the_sample_image_is_backed_up_and_restored_without_a_difference() {
    let dir = TempDir::new().unwrap();
    let (archive, target, copy) =
        (dir.path().join("a.tar.zst"), dir.path().join("restored"), dir.path().join("copy"));
    ntbak(args!["backup", sample(), "-o", &archive]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &archive, "--against", sample()]).expect(0);
    ntbak(args!["restore", &archive, &target]).expect(0).lost_only(&[]);
    ntbak(args!["copy", sample(), &copy]).expect(0).lost_only(&[]);
    for other in [&archive, &target, &copy] {
        ntbak(args!["diff", sample(), other]).expect(0).lost_only(&[]);
    }
    let report = fs::read_to_string(target.join("Users/Bob/Links/The same report.txt")).unwrap();
    assert!(report.starts_with("All of it"));
    let log = fs::read_to_string(copy.join("Users/Bob/Compressed/log.txt")).unwrap();
    assert_eq!(log.lines().last(), Some("line 3999: nothing happened"));
}

#[test]
fn what_the_sample_image_has_is_listed() {
    let ran = ntbak(args!["list", "--json", sample()]).expect(0);
    let text = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |path: &str| lines.iter().find(|line| line["path"] == path).expect(path);
    let report = find("Users/Bob/Documents/Annual report.txt");
    assert_eq!(
        (&report["short_name"], &report["streams"][1]["name"]),
        (&"ANNUAL~1.TXT".into(), &"Zone.Identifier".into())
    );
    assert!(report["sddl"].as_str().unwrap().contains("S:") && report["object_id"].is_string());
    assert_eq!(find("Users/Bob/Documents")["ea"][0]["name"], "AUTHOR");
    assert_eq!(find("Users/Bob/Links/My documents")["reparse_tag"], "0xa000000c");
    assert_eq!(find("Users/Bob/Links/The same report.txt")["type"], "link");
    let sparse = &find("Users/Bob/disk with holes.bin")["streams"][0];
    assert_eq!((&sparse["sparse"], sparse["allocated"].as_array().unwrap().len()), (&true.into(), 2));
    assert_eq!(find("Users/Bob/Compressed/log.txt")["streams"][0]["compressed"], true);
}

/// What threads pack is what one thread writes, byte for byte, and so is what is told; also of an image that is damaged.
#[test]
fn threads_make_no_difference() {
    let dir = TempDir::new().unwrap();
    let image = dir.path().join("image.qcow2");
    let original = fs::read(sample()).unwrap();
    let mut chance = Chance::new(7);
    let (mut whole, mut hurt) = (0, 0);
    for round in 0..60 {
        let mut bytes = original.clone();
        for _ in 0..round {
            let at = chance.below(bytes.len());
            bytes[at] ^= 1 << chance.below(8);
        }
        fs::write(&image, bytes).unwrap();
        let backup = |jobs: &str| ntbak(args!["backup", "--orphans", "-j", jobs, "-v", &image, "-o", "-"]);
        let (one, several) = (backup("1"), backup("4"));
        assert!(one.stdout == several.stdout, "round {round}");
        assert_eq!((one.code, &one.stderr, &one.report), (several.code, &several.stderr, &several.report));
        whole += u32::from(one.code == 0);
        hurt += u32::from(one.code == 3);
    }
    assert!(whole > 0 && hurt > 0, "{whole} whole, {hurt} with losses");
}
