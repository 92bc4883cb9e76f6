//! Models of the shared data (`OCTRT_SHARED`, default `../shared` beside the workspace).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use octrt_onnx::{Bytes, ExternalData, Imported, check_range, import};
use octrt_ops::tensor::SharedBytes;

#[path = "../../../runtime/tests/support/skip.rs"]
mod skip;

/// Files beside a model.
struct Folder(PathBuf);

impl ExternalData for Folder {
    fn read(&self, location: &str, offset: u64, length: u64) -> Result<SharedBytes, String> {
        let bytes = std::fs::read(self.0.join(location)).map_err(|e| e.to_string())?;
        let range = check_range(bytes.len() as u64, offset, length)?;
        Ok(Arc::new(bytes[range].to_vec()))
    }
}

/// The folder `data` of the shared data; says so when it is absent.
pub fn data() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = std::env::var_os("OCTRT_SHARED").map_or(default, PathBuf::from).join("data");
    if data.is_dir() {
        return Some(data);
    }
    skip::without(&format!("no shared data at {}; set OCTRT_SHARED", data.display()));
    None
}

/// The models below `dir`, sorted.
pub fn models(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(dir, &mut found);
    found.sort();
    found
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "onnx") {
            found.push(path);
        }
    }
}

/// The model at `path`, which must import.
pub fn load(path: &Path) -> Imported {
    let bytes = Bytes::from(std::fs::read(path).expect("a readable model"));
    let folder = Folder(path.parent().expect("a file in a folder").into());
    import(bytes, &folder).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
