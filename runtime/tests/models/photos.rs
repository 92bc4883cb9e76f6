//! All photos of the shared data through the networks that know their classes.

use octrt::image::{Preprocess, Preset};
use octrt::{DataType, Model};
use octrt_ops::Tensor;

use crate::support::{self, Tolerance, compare, interpret, load, shared};
use crate::{assert_same_scores, logarithms, outputs, picture, ranking};

/// Photos with the ImageNet classes (0: tench) that name what is on them.
const PHOTOS: [(&str, &[usize]); 8] = [
    ("coral_cat.bmp", &[281, 282, 285]),
    ("coral_hot_dog.jpg", &[934]),
    ("coral_parrot.jpg", &[88]),
    ("grace_hopper.jpg", &[652]),
    ("skimage_chelsea.png", &[281, 282, 285]),
    ("skimage_coffee.png", &[967]),
    ("winml_fish.png", &[0]),
    ("winml_kitten_224.png", &[281, 282, 285]),
];
/// Photos of what ImageNet has no class for, or one that small networks miss.
const OTHERS: [&str; 2] = ["skimage_astronaut.png", "skimage_rocket.jpg"];

/// A network with what its pictures go through.
struct Network {
    model: Model,
    settings: Preprocess,
    side: usize,
    /// Classes before those of ImageNet.
    before: usize,
}

impl Network {
    /// The input and the probabilities of a photo.
    fn run(&self, photo: &str) -> (Tensor, Tensor) {
        let images = shared("images").unwrap();
        let input = picture(&images.join(photo), &self.settings, [self.side; 2]);
        let found = outputs(&self.model, std::slice::from_ref(&input)).remove(0);
        let sum: f64 = found.to_f64s().iter().sum();
        assert!((sum - 1.0).abs() < 2e-3, "{photo}: the probabilities add up to {sum}");
        (input, found)
    }

    /// # Panics
    /// When none of the `best` best classes of a photo is one that is on it.
    fn knows(&self, best: usize) {
        for (photo, classes) in PHOTOS {
            let (_, found) = self.run(photo);
            let found: Vec<(usize, f64)> = ranking(&found)[..best].to_vec();
            println!("{photo}: {found:?}");
            let hit = |(class, _): &(usize, f64)| classes.iter().any(|c| c + self.before == *class);
            assert!(found.iter().any(hit), "{photo}: found {found:?}, expected one of {classes:?}");
        }
    }
}

#[test]
fn mobilenet_v2_knows_the_photos() {
    let Some(models) = shared("models") else { return };
    let model = load(&models.join("mobilenet_v2_1.0_224/model.onnx")).unwrap();
    Network { model, settings: Preset::Inception.settings(), side: 224, before: 1 }.knows(1);
}

/// A small network that errs; its code does not.
#[test]
fn mobilenet_v1_is_what_the_interpreter_says() {
    let Some(models) = shared("models") else { return };
    let model = load(&models.join("mobilenet_v1_0.25_128/model.onnx")).unwrap();
    let network = Network { model, settings: Preset::Inception.settings(), side: 128, before: 1 };
    for photo in PHOTOS.map(|(photo, _)| photo).into_iter().chain(OTHERS) {
        let (input, found) = network.run(photo);
        let expected = interpret(&network.model, &[input]).unwrap().remove(0);
        assert_same_scores(photo, &logarithms(&found), &logarithms(&expected));
    }
}

#[test]
fn squeezenet_takes_and_gives_f16() {
    let Some(models) = shared("models") else { return };
    let model = load(&models.join("squeezenet1.1_fp16.onnx")).unwrap();
    assert_eq!(model.inputs()[0].dtype, DataType::F16);
    assert_eq!(model.outputs()[0].dtype, DataType::F16);
    let network = Network { model, settings: Preset::CaffeBgr.settings(), side: 224, before: 0 };
    network.knows(3);
    // Labels 281: tabby, 285: Egyptian cat, 282: tiger cat; 0: tench, 389: barracouta; scores of ONNX Runtime.
    type Scores = &'static [(usize, f64)];
    let expected: [(&str, Scores); 2] = [
        ("winml_kitten_224.png", &[(281, 0.9316), (285, 0.0653), (282, 0.0029)]),
        ("winml_fish.png", &[(0, 0.7378), (389, 0.2559)]),
    ];
    for (file, scores) in expected {
        let (input, found) = network.run(file);
        let ranked = ranking(&found);
        for (&(label, score), &(found_label, found_score)) in scores.iter().zip(&ranked) {
            assert_eq!(label, found_label, "{file}: {:?}", &ranked[..3]);
            assert!(
                (score - found_score).abs() < 1e-3,
                "{file}: label {label}: {score}, found {found_score}"
            );
        }
        let interpreted = interpret(&network.model, &[input]).unwrap().remove(0);
        // A number of 16 bits and its neighbour differ by up to 1e-3 of it.
        let tolerance = Tolerance { absolute: 1e-7, relative: 2e-3 };
        let worst = compare(&found, &interpreted, tolerance).unwrap_or_else(|e| panic!("{file}: {e}"));
        println!("{file}: largest difference {worst:.1e} of {:.1e}", support::largest(&interpreted));
    }
}
