//! The script in Python: the library as it is, without any build step.

use std::fs;
use std::process::Command;

use crate::common::{capi, has, library, run};

#[test]
fn a_script_in_python_backs_up_and_restores() {
    if !has("python3") {
        return;
    }
    let there = tempfile::tempdir().unwrap();
    let file = |name: &str| there.path().join(name);
    let script = |arguments: [&std::ffi::OsStr; 3]| {
        let mut python = Command::new("python3");
        python.arg(capi().join("../../docs/backup.py")).args(arguments);
        python.env("NTBAK_LIBRARY", library().join("libntbak.so.0"));
        python.env("NTBAK_DRIVES", format!("C={}", there.path().display()));
        python
    };
    let sample = capi().join("../../testdata/sample.bkup");
    run(&mut script(["restore".as_ref(), sample.as_ref(), r"C:\restored.txt".as_ref()]));
    run(&mut script(["backup".as_ref(), file("restored.txt").as_ref(), file("again.bkup").as_ref()]));
    assert_eq!(fs::read(file("again.bkup")).unwrap(), fs::read(&sample).unwrap());

    let none = script(["backup".as_ref(), file("none").as_ref(), file("x").as_ref()]).output().unwrap();
    assert!(!none.status.success());
    assert!(String::from_utf8_lossy(&none.stderr).contains("error 2: the file is not there"), "{none:?}");
}
