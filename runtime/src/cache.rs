//! A folder of compiled models, and files that appear whole or not at all.

use std::fmt;
use std::fs::{self, DirBuilder, DirEntry, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use octrt_compiler::artifact::Constant;
use octrt_compiler::{Options, Records};

use crate::fingerprint::fingerprint;
use octrt_ops::graph::infer::Limits;

use crate::compiled::{self, Compiled, Contents};
use crate::error::Error;
use crate::source::{FileAccess, ModelFile};
use crate::specialization::Request;
use crate::threads::Threads;
use crate::weights::Weights;

/// What a model's files say, as a BLAKE3 hash: nobody can make another model with the same one.
#[derive(Clone, Debug)]
pub(crate) struct Identity(blake3::Hash);

impl Identity {
    /// Of the model's files in order.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for file in files {
            hasher.update(&(file.len() as u64).to_le_bytes());
            hasher.update(file);
        }
        Identity(hasher.finalize())
    }
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The user.
    Owner,
    /// Whom the process lets read its files.
    Umask,
}

/// The place in a folder for one model, set of input shapes, values that decide shapes, and options.
#[derive(Debug)]
pub(crate) struct Entry {
    folder: PathBuf,
    path: PathBuf,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Entry {
    /// The place for inputs of the request's types; what those at the positions `decisive` hold counts too, and so do the
    /// records.
    pub(crate) fn new(
        folder: &Path,
        model: &Identity,
        (options, records): (Options, &Records),
        on: &Request<'_>,
        decisive: &[usize],
    ) -> Self {
        let mut hasher = blake3::Hasher::new();
        let inputs: Vec<String> = on.types.iter().map(ToString::to_string).collect();
        let Options { target, precision } = options;
        hasher.update(model.0.as_bytes());
        hasher.update(format!("{} {target} {precision} {}", fingerprint(), inputs.join(" ")).as_bytes());
        for (convolution, decisions) in records.iter() {
            let decisions: Vec<String> = decisions.iter().map(ToString::to_string).collect();
            hasher.update(format!(" {convolution} {};", decisions.join(" or ")).as_bytes());
        }
        // Types are hashed: as many bytes follow for each value.
        for value in decisive.iter().filter_map(|&i| on.values.get(i)) {
            hasher.update(value.bytes());
        }
        let path = folder.join(format!("{}.octrt", hasher.finalize().to_hex()));
        Entry { folder: folder.to_path_buf(), path }
    }

    /// The compiled model, when it is there and of use.
    pub(crate) fn load(&self, access: FileAccess, limits: Limits, threads: &Threads) -> Option<Compiled> {
        if !self.path.exists() {
            return None;
        }
        let io = |source| Error::Io { path: self.path.clone(), source };
        let load = || {
            check_private(&self.folder)?;
            let file = ModelFile::open(&self.path, access, limits.max_bytes).map_err(io)?;
            compiled::read(&self.to_string(), Arc::new(file), limits, threads)
        };
        load().inspect_err(|e| ignored(self, e)).ok()
    }

    /// Keeps a compiled model.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Internal`].
    pub(crate) fn store(&self, contents: Contents, weights: &Weights) -> Result<(), Error> {
        let io = |source| Error::Io { path: self.folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(io)?;
        check_private(&self.folder)?;
        sweep(&self.folder);
        store(&self.path, Access::Owner, contents, weights)
    }
}

/// Names of files that are being written, and the age from which on nobody writes them any more.
const UNFINISHED: (&str, &str) = (".octrt-", ".tmp");
const ABANDONED: Duration = Duration::from_secs(3600);

/// Removes what processes that were killed have left half written.
fn sweep(folder: &Path) {
    let is_abandoned = |entry: &DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        name.starts_with(UNFINISHED.0)
            && name.ends_with(UNFINISHED.1)
            && age().is_some_and(|age| age > ABANDONED)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(is_abandoned) {
        // Another process may have been faster.
        let _ = fs::remove_file(entry.path());
    }
}

/// Tells the log that the cache did not help.
pub(crate) fn ignored(entry: &Entry, error: &Error) {
    tracing::warn!(entry = %entry, error = %error, "the compiled model is not used");
}

/// Refuses a folder in which others may write, since they could choose what models compute.
fn check_private(folder: &Path) -> Result<(), Error> {
    let refuse = |why: String| {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, why);
        Err(Error::Io { path: folder.to_path_buf(), source })
    };
    let metadata = fs::metadata(folder).map_err(|source| Error::Io { path: folder.to_path_buf(), source })?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return refuse(format!("the folder belongs to user {}", metadata.uid()));
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse(format!("others may write to the folder (mode {:o})", metadata.mode() & 0o777));
    }
    Ok(())
}

/// Writes a compiled model, `weights` being its constants, to `path`, first to a file beside it, which then takes its name:
/// other processes see the old file or the new one, and what fails leaves nothing behind.
///
/// # Errors
/// [`Error::Io`] with the path, [`Error::Internal`].
pub(crate) fn store(path: &Path, access: Access, contents: Contents, weights: &Weights) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mode = match access {
        Access::Owner => 0o600,
        Access::Umask => 0o666,
    };
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED.0)
        .suffix(UNFINISHED.1)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(io)?;
    let is_packed = |(_, c): &(usize, &Constant)| matches!(c, Constant::Packed(..));
    let places = contents.constants.iter().enumerate().filter(is_packed).map(|(i, _)| i);
    let packed: Vec<&[u8]> = places.map(|i| weights.bytes(i)).collect();
    let mut out = BufWriter::new(file.as_file_mut());
    compiled::write(contents, &packed, &mut out).map_err(|e| match e {
        Error::Io { source, .. } => io(source),
        e => e,
    })?;
    out.flush().map_err(io)?;
    drop(out);
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}
