//! Pictures of CIFAR-10 through the trained networks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use octrt::image::{DecodeOptions, Preset, preprocess_bytes};
use octrt::{Model, Session};
use octrt_ops::Tensor;

use crate::support::{interpret, load, run, shared};
use crate::{assert_same_scores, outputs, ranking, rows, stacked};

/// Pictures of each class.
const PER_CLASS: usize = 12;
/// Pictures of one run.
const BATCH: usize = 20;

/// The files of a tar archive, in order: those whose path is `wanted`.
fn files(tar: &Path, mut wanted: impl FnMut(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let mut tar = File::open(tar).unwrap();
    let mut files = Vec::new();
    let mut header = [0u8; 512];
    // The archive ends with a block of zeros.
    while tar.read_exact(&mut header).is_ok() && header[0] != 0 {
        let text = |from: usize, to: usize| {
            String::from_utf8_lossy(&header[from..to]).trim_matches(['\0', ' ']).to_string()
        };
        let (name, size) = (text(0, 100), usize::from_str_radix(&text(124, 136), 8).unwrap());
        let blocks = size.next_multiple_of(512);
        if matches!(header[156], b'0' | 0) && wanted(&name) {
            let mut bytes = vec![0; blocks];
            tar.read_exact(&mut bytes).unwrap();
            bytes.truncate(size);
            files.push((name, bytes));
        } else {
            tar.seek(SeekFrom::Current(blocks as i64)).unwrap();
        }
    }
    files
}

/// The first pictures of each class of a tar archive with a folder per class, as inputs with their class.
fn pictures(tar: &Path) -> Vec<(usize, Tensor)> {
    let class_of = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let files = files(tar, |path| {
        let count = counts.entry(class_of(path)).or_default();
        *count += 1;
        *count <= PER_CLASS
    });
    assert_eq!(counts.len(), 10);
    let class = |path: &str| counts.keys().position(|c| *c == class_of(path)).unwrap();
    let picture = |(path, bytes): (String, Vec<u8>)| {
        let settings = Preset::Imagenet.settings();
        let x = preprocess_bytes(&path, &bytes, &settings, [32, 32], &DecodeOptions::default()).unwrap();
        (class(&path), Tensor::new(x.shape, &x.data).unwrap())
    };
    files.into_iter().map(picture).collect()
}

fn scores(session: &mut Session, input: Tensor) -> Tensor {
    run(session, &[input]).unwrap().remove(0)
}

/// The part of the pictures that the network labels rightly. The scores in batches are those of single pictures.
fn accuracy(name: &str, model: &Model, pictures: &[(usize, Tensor)]) -> f64 {
    let [mut batches, mut single] = [(); 2].map(|()| model.session().unwrap());
    let mut right = 0;
    for (i, batch) in pictures.chunks(BATCH).enumerate() {
        let inputs: Vec<Tensor> = batch.iter().map(|(_, x)| x.clone()).collect();
        let together = scores(&mut batches, stacked(&inputs));
        let at = i % batch.len();
        let alone = scores(&mut single, inputs[at].clone());
        assert_same_scores(&format!("{name}, picture {at} of batch {i}"), &rows(&together, at, 1), &alone);
        let is_right = |j: &usize| ranking(&rows(&together, *j, 1))[0].0 == batch[*j].0;
        right += (0..batch.len()).filter(is_right).count();
    }
    let part = right as f64 / pictures.len() as f64;
    println!("{name}: {part:.3} of {} pictures", pictures.len());
    part
}

#[test]
fn pictures_of_cifar_10() {
    let (Some(models), Some(data)) = (shared("models"), shared("cifar10")) else { return };
    let pictures = pictures(&data.join("test.tar"));
    assert_eq!(pictures.len(), 10 * PER_CLASS);
    let octave = load(&models.join("oct_resnet20_cifar10_a05/model.onnx")).unwrap();
    let vanilla = load(&models.join("resnet20_cifar10/model.onnx")).unwrap();
    // Over all 10,000 pictures they are 0.8486 and 0.8103 with another runtime.
    assert!(accuracy("octave", &octave, &pictures) > 0.77);
    assert!(accuracy("vanilla", &vanilla, &pictures) > 0.73);
    // Exported in another way, the octave network is the same.
    let other = load(&models.join("oct_resnet20_cifar10_a05/model_dynamo.onnx")).unwrap();
    for (i, (_, x)) in pictures.iter().enumerate().step_by(PER_CLASS) {
        let expected = outputs(&octave, std::slice::from_ref(x)).remove(0);
        let found = outputs(&other, std::slice::from_ref(x)).remove(0);
        assert_same_scores(&format!("picture {i}, other export"), &found, &expected);
        let interpreted = interpret(&octave, std::slice::from_ref(x)).unwrap().remove(0);
        assert_same_scores(&format!("picture {i}, interpreter"), &expected, &interpreted);
    }
}
