//! Files of compiled models in parts, for tests that change them and set lengths and checksums right again. Written from
//! the table in `runtime/src/compiled.rs`, apart from the code that it tests.
#![allow(dead_code)]

use serde_json::{Value, json};
use twox_hash::XxHash3_64;

pub const HEADER: usize = 64;
pub const PAGE: usize = 4096;
pub const CHUNK: usize = 4 << 20;

/// What a file holds behind its header.
#[derive(Clone)]
pub struct Parts {
    pub manifest: Value,
    pub data: Vec<u8>,
}

fn number(file: &[u8], at: usize) -> usize {
    u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes")) as usize
}

/// Where the data of a file with a manifest of `manifest` bytes begin.
pub fn data_begin(manifest: usize) -> usize {
    (HEADER + manifest).next_multiple_of(PAGE)
}

/// Where the manifest of a valid file ends.
pub fn manifest_end(file: &[u8]) -> usize {
    HEADER + number(file, 24)
}

impl Parts {
    /// The parts of a valid file.
    pub fn of(file: &[u8]) -> Self {
        let end = manifest_end(file);
        let manifest = serde_json::from_slice(&file[HEADER..end]).expect("a manifest");
        Parts { manifest, data: file[data_begin(end - HEADER)..].to_vec() }
    }

    /// The graph's text.
    pub fn graph(&self) -> &str {
        self.manifest["graph"].as_str().expect("a text")
    }

    /// The file, in which everything that depends on other parts is right.
    pub fn file(&self) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        if let Some(fields) = manifest.as_object_mut() {
            fields.insert("data_bytes".to_string(), json!(self.data.len()));
            fields.insert(
                "chunks".to_string(),
                self.data.chunks(CHUNK).map(XxHash3_64::oneshot).collect::<Vec<_>>().into(),
            );
        }
        assemble(manifest.to_string().as_bytes(), &self.data)
    }

    /// As [`Parts::file`], but with what the manifest says of the data.
    pub fn file_as_it_is(&self) -> Vec<u8> {
        assemble(self.manifest.to_string().as_bytes(), &self.data)
    }
}

impl Parts {
    /// What [`file_of`] makes the file of.
    pub fn input(&self) -> Vec<u8> {
        [self.manifest.to_string().as_bytes(), &[0], &self.data].concat()
    }
}

/// The file of a manifest, a byte 0 and the data, as a fuzzer makes them: where the manifest is JSON, what it says of the
/// data and of its author is set right.
pub fn file_of(input: &[u8]) -> Vec<u8> {
    let end = input.iter().position(|&b| b == 0).unwrap_or(input.len());
    let (manifest, data) = (&input[..end], input.get(end + 1..).unwrap_or(&[]));
    let Ok(mut value) = serde_json::from_slice::<Value>(manifest) else { return assemble(manifest, data) };
    if let Some(fields) = value.as_object_mut() {
        fields.insert("compiler".to_string(), json!(octrt::fingerprint()));
    }
    Parts { manifest: value, data: data.to_vec() }.file()
}

/// A file of any manifest and data.
pub fn assemble(manifest: &[u8], data: &[u8]) -> Vec<u8> {
    let begin = data_begin(manifest.len());
    let mut file = vec![0; begin];
    file[..8].copy_from_slice(b"\x89OCTRT\r\n");
    file[8..12].copy_from_slice(&4u32.to_le_bytes());
    file[16..24].copy_from_slice(&((begin + data.len()) as u64).to_le_bytes());
    file[24..32].copy_from_slice(&(manifest.len() as u64).to_le_bytes());
    file[32..40].copy_from_slice(&XxHash3_64::oneshot(manifest).to_le_bytes());
    file[HEADER..HEADER + manifest.len()].copy_from_slice(manifest);
    file.extend_from_slice(data);
    seal(&mut file);
    file
}

/// Sets the checksum of the header right.
pub fn seal(file: &mut [u8]) {
    let sum = XxHash3_64::oneshot(&file[..40]);
    file[40..48].copy_from_slice(&sum.to_le_bytes());
}
