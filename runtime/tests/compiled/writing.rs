//! Where files cannot be written: an error that names the path, and nothing left behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use octrt::{Error, ErrorKind, Model};

use crate::given::*;
use crate::support::process::in_child;

fn save(path: &Path) -> Error {
    let model = model(PACKED);
    let e = model.save(&types(&model, 1), path).unwrap_err();
    assert!(matches!(&e, Error::Io { path: named, .. } if named == path), "{e:?}");
    assert_eq!(e.kind(), ErrorKind::Runtime);
    assert!(e.to_string().starts_with(&path.display().to_string()), "{e}");
    e
}

/// By custom, the user who owns nothing.
const NOBODY: libc::uid_t = 65534;

/// Who a child process is after [`without_privileges`].
pub fn user() -> Option<u32> {
    // SAFETY: reads who this process is.
    (unsafe { libc::geteuid() } == 0).then_some(NOBODY)
}

/// The superuser may write anywhere: makes a child process somebody else, and says whether that was possible.
pub fn without_privileges() -> bool {
    // SAFETY: changes the user of this child process only.
    unsafe { libc::geteuid() != 0 || libc::seteuid(NOBODY) == 0 }
}

/// Undoes [`without_privileges`], so that folders can be removed.
pub fn with_privileges() {
    // SAFETY: as above; fails where nothing was given up, which is as good.
    unsafe { libc::seteuid(libc::getuid()) };
}

/// A folder that others can enter.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn a_folder_that_may_not_be_written_to() {
    in_child("writing::a_folder_that_may_not_be_written_to", || {
        let folder = folder();
        let path = folder.path().join("model.octrt");
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
        if !without_privileges() {
            return eprintln!("SKIPPED: this process cannot give up its privileges");
        }
        let e = save(&path);
        assert!(e.to_string().contains("ermission denied"), "{e}");
        assert_eq!(names(folder.path()), ["model.octrt"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        with_privileges();
    });
}

#[test]
fn paths_that_are_no_files() {
    let folder = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    save(&inner);
    fs::write(inner.join("full"), b"").unwrap();
    save(&inner);
    save(&folder.path().join("none/model.octrt"));
    save(&inner.join("full/model.octrt"));
    assert_eq!(names(folder.path()), ["inner"]);
    assert_eq!(names(&inner), ["full"]);
}

#[test]
fn a_name_alone_lies_in_the_working_folder() {
    in_child("writing::a_name_alone_lies_in_the_working_folder", || {
        let folder = folder();
        std::env::set_current_dir(folder.path()).unwrap();
        let model = model(PACKED);
        model.save(&types(&model, 1), Path::new("model.octrt")).unwrap();
        assert_eq!(names(folder.path()), ["model.octrt"]);
        let mode = fs::metadata("model.octrt").unwrap().permissions().mode() & 0o777;
        // SAFETY: sets and restores the mask of this process, which has no other thread that makes files.
        let mask = unsafe {
            let mask = libc::umask(0);
            libc::umask(mask);
            mask
        };
        assert_eq!(mode, 0o666 & !mask);
        assert!(Model::load("model.octrt", &Default::default()).is_ok());
    });
}

/// Lets files of this process have so many bytes; writing more is an error and no signal.
fn limit_files(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: changes rules of this child process only.
    unsafe {
        assert_ne!(libc::signal(libc::SIGXFSZ, libc::SIG_IGN), libc::SIG_ERR);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
}

#[test]
fn a_full_disk() {
    in_child("writing::a_full_disk", || {
        let folder = folder();
        let path = folder.path().join("model.octrt");
        let good = packed_file();
        fs::write(&path, &good).unwrap();
        for bytes in [0, 1, 4096, good.len() as u64 / 2, good.len() as u64 - 1] {
            limit_files(bytes);
            let e = save(&path);
            assert!(e.to_string().contains("too large"), "{e}");
            assert_eq!(names(folder.path()), ["model.octrt"]);
            assert!(fs::read(&path).unwrap() == good, "the old file changed");
        }
        limit_files(good.len() as u64);
        let model = model(PACKED);
        model.save(&types(&model, 1), &path).unwrap();
        // A cache folder without room is a miss.
        limit_files(4096);
        let cache: PathBuf = folder.path().join("cache");
        let first = crate::cache::load_in(&cache, crate::cache::MODEL);
        assert_eq!(first.mapped, 0);
        assert!(names(&cache).is_empty());
        limit_files(libc::RLIM_INFINITY);
        assert!(crate::cache::load_in(&cache, crate::cache::MODEL).results == first.results);
        assert!(crate::cache::load_in(&cache, crate::cache::MODEL).mapped > 0);
    });
}
