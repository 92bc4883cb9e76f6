//! Which library this is.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use crate::error::c_string;
use crate::guard;

/// Version of this header: octrt_version() of the library that it was made with.
pub const OCTRT_VERSION_MAJOR: u32 = 0;
/// Minor version.
pub const OCTRT_VERSION_MINOR: u32 = 1;
/// Patch.
pub const OCTRT_VERSION_PATCH: u32 = 0;

/// Version of the library: major * 1000000 + minor * 1000 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn octrt_version() -> u32 {
    OCTRT_VERSION_MAJOR * 1_000_000 + OCTRT_VERSION_MINOR * 1_000 + OCTRT_VERSION_PATCH
}

/// Version of the library as text, such as "0.1.0". The text lives forever.
#[unsafe(no_mangle)]
pub extern "C" fn octrt_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// How the library was built and what it found, as a JSON object: "version", "target" and "profile" of the build,
/// "rustc", and "machine", the instruction set for which models are compiled here (null if the processor is too old).
/// The text lives forever.
#[unsafe(no_mangle)]
pub extern "C" fn octrt_build_info() -> *const c_char {
    static INFO: OnceLock<CString> = OnceLock::new();
    guard::value(c"{}".as_ptr(), || INFO.get_or_init(|| c_string(&build_info())).as_ptr())
}

fn build_info() -> String {
    let info = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "target": env!("OCTRT_TARGET"),
        "profile": env!("OCTRT_PROFILE"),
        "rustc": env!("OCTRT_RUSTC"),
        "machine": octrt::detect_target().ok().map(|t| t.to_string()),
    });
    info.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_crates_version() {
        let constants = format!("{OCTRT_VERSION_MAJOR}.{OCTRT_VERSION_MINOR}.{OCTRT_VERSION_PATCH}");
        assert_eq!(constants, env!("CARGO_PKG_VERSION"));
    }
}
