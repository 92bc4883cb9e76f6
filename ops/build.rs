//! The fingerprint of a crate's sources: see `FINGERPRINT` in `src/lib.rs`. Other crates whose sources decide what a model
//! becomes build with this file too.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let mut files = Vec::new();
    println!("cargo::rerun-if-changed=src");
    list(Path::new("src"), &mut files);
    files.sort();
    // FNV-1a, 64 bits: nobody is to be deceived, changes are to be noticed.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for file in files {
        let text = fs::read(&file).unwrap_or_default();
        for byte in file.to_string_lossy().bytes().chain([0]).chain(text).chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=OCTRT_FINGERPRINT={hash:016x}");
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}
