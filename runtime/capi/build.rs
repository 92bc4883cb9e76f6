//! The name under which programs find the shared library, and what `octrt_build_info` tells of the build.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liboctrt.so.0");
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let rustc = Command::new(env("RUSTC")).arg("--version").output().ok();
    let rustc = rustc.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string()).unwrap_or_default();
    println!("cargo:rustc-env=OCTRT_RUSTC={rustc}");
    println!("cargo:rustc-env=OCTRT_TARGET={}", env("TARGET"));
    println!("cargo:rustc-env=OCTRT_PROFILE={}", env("PROFILE"));
}
