//! What `cargo xtask install-c` lays out: a program finds it by pkg-config, shared and static.

use std::process::Command;

use crate::common::{built, capi, has, run};
use crate::install_c::install;

#[test]
fn programs_find_what_is_installed() {
    if !has("gcc") || !has("pkg-config") {
        return;
    }
    let there = tempfile::tempdir().unwrap();
    install(&built(), capi(), &there.path().join("usr")).unwrap();
    let lib = there.path().join("usr/lib");
    let pkg_config = |arguments: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", lib.join("pkgconfig")).args(arguments).arg("ntbak");
        String::from_utf8(run(&mut command).stdout).unwrap()
    };
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(pkg_config(&["--modversion"]).trim(), env!("CARGO_PKG_VERSION"));

    let source = there.path().join("version.c");
    std::fs::write(
        &source,
        "#include <ntbak/ntbak.h>\n#include <stdio.h>\nint main(void) { return puts(ntbak_version()) < 0; }\n",
    )
    .unwrap();
    let program = there.path().join("version");
    for flags in [&["--cflags", "--libs"][..], &["--static", "--cflags", "--libs"]] {
        let mut flags = words(pkg_config(flags));
        if flags.contains(&"-lm".to_owned()) {
            // As who links all of it statically does.
            let at = flags.iter().position(|flag| flag == "-lntbak").unwrap();
            flags[at] = "-l:libntbak.a".to_owned();
        }
        run(Command::new("gcc").arg("-Werror").arg(&source).args(&flags).arg("-o").arg(&program));
        let output = run(Command::new(&program).env("LD_LIBRARY_PATH", &lib));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), env!("CARGO_PKG_VERSION"));
    }
    if has("readelf") {
        let output = run(Command::new("readelf").arg("-d").arg(lib.join("libntbak.so")));
        assert!(String::from_utf8_lossy(&output.stdout).contains("soname: [libntbak.so.0]"));
    }
    if has("nm") {
        let output = run(Command::new("nm").args(["-D", "--defined-only"]).arg(lib.join("libntbak.so")));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<_> = text.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert!(names.len() > 70 && names.iter().all(|name| name.starts_with("ntbak_")), "{names:?}");
    }
}
