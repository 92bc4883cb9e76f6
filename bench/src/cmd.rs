//! The commands, one file each, and what they share.

pub mod conv;
pub mod predict;
pub mod tables;
pub mod zoo;

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use octrt_bench::zoo as networks;

/// Styles of residual blocks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Style {
    /// After the convolutions
    V1,
    /// Before the convolutions
    V2,
}

impl From<Style> for networks::Style {
    fn from(style: Style) -> Self {
        match style {
            Style::V1 => networks::Style::V1,
            Style::V2 => networks::Style::V2,
        }
    }
}

/// A number from 1 on, of the command line.
///
/// # Errors
/// Says what the text is instead.
pub fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("'{text}': expected a number from 1 on"))
}

/// Prints on stdout.
///
/// # Errors
/// Those of writing.
pub fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("stdout")
}

/// Writes beside `path` under another name, then renames.
///
/// # Errors
/// Those of writing; `path` is as it was then.
pub fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The process's umask takes from these permissions what it takes from those of any new file.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".octrt-").permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
