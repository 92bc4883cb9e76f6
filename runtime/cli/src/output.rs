//! Where results go: stdout, and files that appear whole or not at all.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// Version of the JSON that commands print: the field `schema` is `octrt.<command>/1`.
pub fn schema(command: &str) -> String {
    format!("octrt.{command}/1")
}

/// Writes a result to stdout. A reader that has closed the pipe wants no more of it: that is no error.
///
/// # Errors
/// [`Failure::File`] when stdout cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Failure::file("stdout")(e)),
        _ => Ok(()),
    }
}

/// Writes a result to stdout as indented JSON.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(print(&text)?)
}

/// Tells something on stderr that is not a result.
pub fn note(text: &str) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(io::stderr(), "octrt: {text}");
}

/// A progress bar on stderr, which is drawn on terminals only.
pub fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}");
    style.map(|s| bar.set_style(s)).ok();
    bar
}

/// Tells on stderr why the program ends.
pub fn error(text: &str, style: Style) {
    let (on, off) = match style {
        Style::Plain => ("", ""),
        Style::Colored => ("\x1b[1;31m", "\x1b[0m"),
    };
    // Nobody can be told that stderr is closed.
    let _ = writeln!(io::stderr(), "octrt: {on}error{off}: {text}");
}

/// How messages on stderr look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Letters only.
    Plain,
    /// With escape sequences for colours.
    Colored,
}

/// Creates the file at `path` with what `write` writes: beside it under another name, then renamed, so that the file is
/// complete or does not change. A link is followed; what is no regular file, such as a device, is written to as it is.
///
/// # Errors
/// [`Failure::File`], and those of `write`.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let fail = || Failure::file(path.display());
    let target = match fs::metadata(path) {
        Ok(found) if found.is_file() => fs::canonicalize(path).map_err(fail())?,
        Ok(_) => {
            let mut file = OpenOptions::new().write(true).open(path).map_err(fail())?;
            write(&mut file).with_context(|| path.display().to_string())?;
            return Ok(file.flush().map_err(fail())?);
        }
        Err(_) => path.to_path_buf(),
    };
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The process's umask takes from these permissions what it takes from those of any new file.
    let file = tempfile::Builder::new()
        .prefix(".octrt-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(fail())?;
    let mut buffered = io::BufWriter::new(file);
    write(&mut buffered).with_context(|| path.display().to_string())?;
    let file = buffered.into_inner().map_err(|e| fail()(e.into_error()))?;
    file.persist(&target).map_err(|e| fail()(e.error))?;
    Ok(())
}

/// Makes the folder at `path` with those around it, if they are missing.
///
/// # Errors
/// [`Failure::File`].
pub fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::file(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_complete_or_does_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_file(&path, |w| Ok(w.write_all(b"one")?)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let failed = write_file(&path, |w| {
            w.write_all(b"half")?;
            anyhow::bail!("no")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_file(&dir.path().join("none/f"), |_| Ok(())).is_err());
        assert!(write_file(dir.path(), |_| Ok(())).is_err());
    }

    #[test]
    fn links_and_what_is_no_file_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("f"), dir.path().join("link"));
        fs::write(&path, b"one").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_file(&link, |w| Ok(w.write_all(b"two")?)).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        // A socket stands for a device: it cannot be opened, and must not be replaced.
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(write_file(&socket, |w| Ok(w.write_all(b"x")?)).is_err());
        assert!(!fs::metadata(&socket).unwrap().is_file());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
