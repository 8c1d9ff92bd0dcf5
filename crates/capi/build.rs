//! The name under which programs find the shared library.

fn main() {
    // The number changes when a program that was linked with an older library would no longer run.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libntbak.so.0");
    println!("cargo::rerun-if-changed=build.rs");
}
