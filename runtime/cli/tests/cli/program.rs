//! What the tests share: calls of the program, models, files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use octrt_ops::graph::text;
use serde_json::Value;

/// The trained network of the repository, relative to the workspace's root, where the program runs.
pub const SHAPES: &str = "bench/shapes/oct_resnet_shapes.onnx";

/// What a call of the program left behind.
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Stdout as JSON, of a call that must have gone well.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Stdout of a call that must have gone well.
    pub fn text(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.stderr);
        &self.stdout
    }

    /// Asserts the exit code, and that the last message on stderr is an error that says this.
    pub fn assert_fails(&self, code: i32, message: &str) {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains(message), "expected '{message}' in: {}", self.stderr);
        assert!(self.stderr.contains("error: "), "{}", self.stderr);
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program with these arguments, in the workspace's root, in an environment that changes nothing.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_octrt"));
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command.env_remove("RUST_LOG").env_remove("NO_COLOR").env("COLUMNS", "100");
    command
}

/// Runs the program.
pub fn octrt(args: &[&str]) -> Finished {
    let output = command(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    // No code stands for the end by a signal.
    let code = output.status.code().unwrap_or(-1);
    let finished = Finished { code, stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!finished.stderr.contains("panicked"), "{args:?}: {}", finished.stderr);
    finished
}

/// A folder that is removed at the end of the test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_string()
    }

    /// Writes a file in it and returns its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The names of the files in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A small model: pointwise convolution, LeakyRelu, global average, two scores.
    pub fn tiny_model(&self) -> String {
        self.file("tiny.onnx", onnx(TINY))
    }
}

pub const TINY: &str = r#"graph "tiny" {
  input %0 "x": f32[N,3,4,4]
  const %1 "w": f32[2,3,1,1] = [1, 2, 3, -4, -5, -6]
  %2 "c" = n0 "conv" Conv { kernel = [1, 1], strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], auto_pad = notset, group = 1 } (%0, %1)
  %3 "r" = n1 "leaky" LeakyRelu { alpha = 0.5f } (%2)
  %4 "p" = n2 "pool" GlobalPool { kind = average } (%3)
  %5 "f" = n3 "flat" Flatten { axis = 1 } (%4)
  output "scores" = %5
}
"#;

/// The bytes of an ONNX file with the graph of a text.
pub fn onnx(graph: &str) -> Vec<u8> {
    let graph = text::parse(graph, &[]).unwrap();
    octrt_onnx::export(&graph, &Default::default()).unwrap()
}

/// An `.npy` file of f32.
pub fn npy(shape: &str, elements: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = elements.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy_of("<f4", shape, &data)
}

/// An `.npy` file of any numpy type.
pub fn npy_of(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// The elements of an `.npy` file of f32, which end it.
pub fn npy_elements(path: &str, count: usize) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let data = &bytes[bytes.len() - 4 * count..];
    data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// The text with every number that has a decimal point or an exponent as `#`.
pub fn without_floats(text: &str) -> String {
    let word =
        |w: &str| if w.parse::<f64>().is_ok() && w.contains(['.', 'e']) { "#".into() } else { w.to_string() };
    let line = |l: &str| l.split(' ').filter(|w| !w.is_empty()).map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(|l| line(l) + "\n").collect()
}

/// The shared data, `OCTRT_SHARED` or `../shared` from the workspace's root; none, with a word on stderr, when it is
/// not there.
pub fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("OCTRT_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let folder = root().join(shared).join("data");
    if !folder.is_dir() {
        crate::skip::without(&format!("no folder {}; set OCTRT_SHARED to the shared data", folder.display()));
        return None;
    }
    Some(folder)
}
