//! The folder of compiled models.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use octrt::{FileAccess, LoadOptions, Model};
use octrt_compiler::{Isa, Precision, Target};
use octrt_onnx::export;
use octrt_ops::Tensor;
use octrt_ops::graph::text::parse;

use crate::given::*;
use crate::support::compiled_file::Parts;
use crate::support::process::{assert_passed, child, in_child, is_child};
use crate::support::{root, shared};

/// Its dimensions are dynamic, its weights are packed.
pub const MODEL: &str = "bench/shapes/oct_resnet_shapes.onnx";

/// What came of a model.
pub struct Loaded {
    pub results: Vec<Tensor>,
    /// Bytes of weights in mapped files: above 0 when the folder had the model.
    pub mapped: usize,
}

fn options(folder: &Path) -> LoadOptions {
    LoadOptions::default().with_cache_dir(folder.to_path_buf())
}

fn run(model: &Model, extent: usize) -> Loaded {
    let mut session = model.session().unwrap();
    let results = crate::support::run(&mut session, &inputs(&types(model, extent))).unwrap();
    Loaded { results, mapped: model.memory().unwrap().mapped_weight_bytes }
}

fn load(path: &Path, options: &LoadOptions) -> Loaded {
    run(&Model::load(path, options).unwrap(), 1)
}

/// Loads a model of the repository and runs it once.
pub fn load_in(folder: &Path, model: &str) -> Loaded {
    load(&root().join(model), &options(folder))
}

/// The only entry of a folder.
fn entry(folder: &Path) -> PathBuf {
    let names = names(folder);
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].len() == 64 + 6 && names[0].ends_with(".octrt"), "{names:?}");
    folder.join(&names[0])
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    let file = |name: &str, age: Duration| {
        let file = fs::File::create(dir.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(86_400));
    file(".octrt-old.tmp", day);
    file(".octrt-new.tmp", minute);
    file("mine.tmp", day);
    load_in(dir.path(), MODEL);
    let left: Vec<String> = names(dir.path()).into_iter().filter(|n| n.ends_with(".tmp")).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains(&".octrt-old.tmp".to_string()), "{left:?}");
}

#[test]
fn the_second_load_uses_what_the_first_stored() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("made/with/parents");
    let without = load(&root().join(MODEL), &LoadOptions::default());
    let first = load_in(&folder, MODEL);
    assert_eq!((first.mapped, mode(&folder)), (0, 0o700));
    assert_eq!(mode(&entry(&folder)), 0o600);
    let second = load_in(&folder, MODEL);
    assert!(second.mapped > 500_000);
    assert!(first.results == without.results && second.results == without.results);
    let read = options(&folder).with_file_access(FileAccess::Read);
    let third = load(&root().join(MODEL), &read);
    assert!(third.mapped == 0 && third.results == without.results);
    let bytes = fs::read(root().join(MODEL)).unwrap();
    let fourth = run(&Model::from_bytes(bytes, &options(&folder)).unwrap(), 1);
    assert!(fourth.mapped > 500_000 && fourth.results == without.results);
    entry(&folder);
    // What is kept is a compiled model as any other.
    let model = Model::load(entry(&folder), &LoadOptions::default()).unwrap();
    assert!(run(&model, 1).results == without.results);
}

#[test]
fn everything_that_decides_the_code_has_its_own_entry() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("cache");
    let file = |text: &str| {
        let graph = parse(text, &[]).unwrap();
        let path = folder.path().join("model.onnx");
        fs::write(&path, export(&graph, &Default::default()).unwrap()).unwrap();
        path
    };
    let text = PACKED.replace("f32[1,32,6,6]", "f32[n,32,6,6]");
    let path = file(&text);
    let mut entries = 0;
    let mut other = |path: &Path, options: &LoadOptions, extent: usize| {
        let expected = run(&Model::load(path, &options.clone().with_cache_dir(None)).unwrap(), extent);
        entries += 1;
        for found in 0..2 {
            let loaded = run(&Model::load(path, options).unwrap(), extent);
            assert!(loaded.results == expected.results);
            assert_eq!((loaded.mapped > 0, names(&dir).len()), (found == 1, entries), "entry {entries}");
        }
    };
    other(&path, &options(&dir), 1);
    other(&path, &options(&dir), 2);
    other(&path, &options(&dir).with_precision(Precision::Strict), 1);
    let native = octrt::detect_target().unwrap();
    let runs = |isa: &Isa| *isa <= octrt::detect_isa().unwrap() && *isa != native.isa;
    if let Some(isa) = [Isa::V4, Isa::V3].into_iter().find(runs) {
        other(&path, &options(&dir).with_target(Target::new(isa)), 1);
    }
    other(&file(&text.replace("random(2)", "random(99)")), &options(&dir), 1);
    other(&file(&text.replace("\"w1\"", "\"w_1\"")), &options(&dir), 1);
}

#[test]
fn files_beside_the_model_take_part() {
    let Some(from) = shared("models/oct_resnet20_cifar10_a05") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, data) =
        (folder.path().join("model_external.onnx"), folder.path().join("model_external.data"));
    fs::copy(from.join("model_external.onnx"), &model).unwrap();
    let mut weights = fs::read(from.join("model_external.data")).unwrap();
    fs::write(&data, &weights).unwrap();
    let dir = folder.path().join("cache");
    let first = load(&model, &options(&dir));
    assert!(load(&model, &options(&dir)).mapped > 0);
    // The signs of all weights.
    weights.as_chunks_mut::<4>().0.iter_mut().for_each(|w| w[3] ^= 0x80);
    fs::write(&data, &weights).unwrap();
    let other = load(&model, &options(&dir));
    assert_eq!(other.mapped, 0);
    assert_eq!(names(&dir).len(), 2);
    assert!(other.results == load(&model, &LoadOptions::default()).results);
    assert!(other.results != first.results);
}

#[test]
fn a_folder_that_others_may_write_to_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    let expected = load_in(&good, MODEL);
    for forbidden in [0o777, 0o770, 0o702, 0o720] {
        let open = folder.path().join(format!("open{forbidden:o}"));
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(forbidden)).unwrap();
        let loaded = load_in(&open, MODEL);
        assert!(loaded.mapped == 0 && loaded.results == expected.results);
        assert!(names(&open).is_empty());
        // Nor read from, though the entry is a good one; nor through a link.
        fs::copy(entry(&good), open.join(entry(&good).file_name().unwrap())).unwrap();
        assert_eq!(load_in(&open, MODEL).mapped, 0);
        let link = folder.path().join(format!("link{forbidden:o}"));
        symlink(&open, &link).unwrap();
        assert_eq!(load_in(&link, MODEL).mapped, 0);
    }
    for allowed in [0o700, 0o755] {
        fs::set_permissions(&good, Permissions::from_mode(allowed)).unwrap();
        assert!(load_in(&good, MODEL).mapped > 0);
    }
}

#[test]
fn damaged_entries_are_ignored_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("cache");
    let expected = load_in(&dir, MODEL);
    let path = entry(&dir);
    let good = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    let mut stale = Parts::of(&good);
    stale.manifest["compiler"] = "0123456789abcdef".into();
    let mut lying = Parts::of(&good);
    lying.manifest["outputs"][0]["name"] = "other".into();
    let bad = [
        Vec::new(),
        good[..good.len() / 2].to_vec(),
        flipped(9),
        flipped(20),
        flipped(100),
        flipped(good.len() - 1),
        stale.file(),
        lying.file(),
        fs::read(root().join(MODEL)).unwrap(),
        packed_file(),
    ];
    for (i, bad) in bad.into_iter().enumerate() {
        fs::write(&path, bad).unwrap();
        let loaded = load_in(&dir, MODEL);
        assert!(loaded.mapped == 0 && loaded.results == expected.results, "bad entry {i}");
        assert!(fs::read(&path).unwrap() == good, "bad entry {i} is not replaced");
        assert_eq!(names(&dir).len(), 1);
    }
    assert!(load_in(&dir, MODEL).mapped > 0);
}

#[test]
fn entries_that_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("cache");
    let expected = load_in(&dir, MODEL);
    let path = entry(&dir);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for _ in 0..2 {
        let loaded = load_in(&dir, MODEL);
        assert!(loaded.mapped == 0 && loaded.results == expected.results);
    }
    entry(&dir);
    // A file where the folder should be, and a path that cannot be made.
    for bad in [path.join("x/../../none\0"), root().join(MODEL), root().join(MODEL).join("below")] {
        let loaded = load_in(&bad, MODEL);
        assert!(loaded.mapped == 0 && loaded.results == expected.results);
    }
}

#[test]
fn a_folder_that_may_not_be_written_to_is_a_miss() {
    in_child("cache::a_folder_that_may_not_be_written_to_is_a_miss", || {
        let folder = crate::writing::folder();
        let dir = folder.path().join("cache");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o500)).unwrap();
        let model = fs::read(root().join(MODEL)).unwrap();
        let load = |options: &LoadOptions| run(&Model::from_bytes(model.clone(), options).unwrap(), 1);
        let expected = load(&LoadOptions::default());
        // The folder must belong to the user who may not write to it.
        std::os::unix::fs::chown(&dir, crate::writing::user(), None).unwrap();
        if !crate::writing::without_privileges() {
            return eprintln!("SKIPPED: this process cannot give up its privileges");
        }
        for _ in 0..2 {
            let loaded = load(&options(&dir));
            assert!(loaded.mapped == 0 && loaded.results == expected.results);
            assert!(names(&dir).is_empty());
        }
        crate::writing::with_privileges();
    });
}

/// A folder in which several processes work at the same time.
const FOLDER: &str = "OCTRT_TEST_FOLDER";

#[test]
fn processes_and_threads_at_once() {
    if is_child() {
        let dir = PathBuf::from(std::env::var_os(FOLDER).unwrap());
        let expected = load(&root().join(MODEL), &LoadOptions::default()).results;
        return assert!(load_in(&dir, MODEL).results == expected);
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("cache");
    let expected = load(&root().join(MODEL), &LoadOptions::default()).results;
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut child = child("cache::processes_and_threads_at_once");
            child.env(FOLDER, &dir).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            child.spawn().unwrap()
        })
        .collect();
    std::thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| assert!(load_in(&dir, MODEL).results == expected));
        }
    });
    for child in children {
        assert_passed(&child.wait_with_output().unwrap());
    }
    let whole = fs::read(entry(&dir)).unwrap();
    assert!(Model::from_bytes(whole, &LoadOptions::default()).is_ok());
    assert!(load_in(&dir, MODEL).mapped > 0);
}
