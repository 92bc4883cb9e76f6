//! Photos of the shared data, if it is there: `OCTRT_SHARED`, by default `../shared` from the workspace's root.

use std::path::PathBuf;

use octrt::image::{Crop, DecodeOptions, Filter, Orientation, Picture, Preset, ResizePolicy, decode_file};

use crate::golden::{SHARED, THUMBNAILS};
use crate::{fnv, from_hex, max_difference};

/// The steps of [`SHARED`], in torchvision's words.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// `Resize(256)`, `CenterCrop(224)`.
    ShortSideBilinear,
    /// `Resize(256, BICUBIC)`, `CenterCrop(224)`.
    ShortSideBicubic,
    /// `Resize((224, 224))`.
    Whole,
    /// `Resize((30, 500), BICUBIC)`, which starts with the vertical pass.
    Flat,
}

impl Step {
    fn apply(self, picture: &Picture) -> Picture {
        let (filter, resize_size, target) = match self {
            Self::ShortSideBilinear => (Filter::Bilinear, Some(256), [224, 224]),
            Self::ShortSideBicubic => (Filter::Bicubic, Some(256), [224, 224]),
            Self::Whole => (Filter::Bilinear, None, [224, 224]),
            Self::Flat => (Filter::Bicubic, None, [30, 500]),
        };
        let (resize, crop) = match resize_size {
            Some(_) => (ResizePolicy::ShortSide, Crop::ToInput),
            None => (ResizePolicy::Whole, Crop::None),
        };
        let settings = Preset::None.settings().with(|s| {
            s.resize = resize;
            s.resize_size = resize_size;
            s.filter = filter;
            s.crop = crop;
        });
        settings.pixels(picture, target).expect("pixels")
    }
}

/// A folder of the shared data, or `None` with a word on stderr.
fn folder(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("OCTRT_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let folder = root.join(shared).join("data").join(name);
    if !folder.is_dir() {
        crate::skip::without(&format!("no folder {}; set OCTRT_SHARED to the shared data", folder.display()));
        return None;
    }
    Some(folder)
}

fn decode(path: PathBuf) -> Picture {
    let stored = DecodeOptions::default().with_orientation(Orientation::Ignore);
    decode_file(&path, &stored).expect("decode")
}

/// The pixel at row `y`, column `x` as `0xRRGGBB`.
fn pixel(picture: &Picture, y: usize, x: usize) -> u32 {
    let at = (y * picture.size()[1] + x) * 3;
    picture.rgb()[at..at + 3].iter().fold(0, |rgb, &level| rgb << 8 | u32::from(level))
}

#[test]
fn photos_equal_torchvision() {
    let Some(images) = folder("images") else { return };
    for &(file, step, hash, corners) in SHARED {
        let found = step.apply(&decode(images.join(file)));
        let [height, width] = found.size();
        let places = [(0, 0), (height / 2, width / 2), (height - 1, width - 1)];
        assert_eq!(places.map(|(y, x)| pixel(&found, y, x)), corners, "{file}, {step:?}");
        assert_eq!(fnv(found.rgb().iter().copied()), hash, "{file}, {step:?}");
    }
}

#[test]
fn thumbnails_of_jpegs_are_within_a_level() {
    let Some(images) = folder("images") else { return };
    for &(file, expected) in THUMBNAILS {
        let settings = Preset::None.settings().with(|s| s.resize = ResizePolicy::Whole);
        let found = settings.pixels(&decode(images.join(file)), [6, 6]).expect("pixels");
        let difference = max_difference(found.rgb(), &from_hex(expected));
        assert!(difference <= 1, "{file}: levels differ by up to {difference}");
    }
}

#[test]
fn inputs_stored_with_the_models_are_reproduced() {
    let Some(images) = folder("images") else { return };
    let Some(models) = folder("models") else { return };
    for (model, side) in [("mobilenet_v2_1.0_224", 224), ("mobilenet_v1_0.25_128", 128)] {
        for (photo, levels) in [("coral_cat.bmp", 0.0), ("winml_fish.png", 0.0), ("coral_hot_dog.jpg", 2.0)] {
            let input = Preset::Inception.settings().tensor(&decode(images.join(photo)), [side, side]);
            let input = input.expect("tensor");
            let (stem, _) = photo.split_once('.').expect("extension");
            let npy = std::fs::read(models.join(model).join(format!("{stem}.input.npy"))).expect("npy");
            let stored = &npy[npy.len() - input.data.len() * 4..];
            let stored = stored.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
            let worst = stored.zip(&input.data).map(|(a, &b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= levels / 128.0, "{model}, {photo}: values differ by up to {worst}");
        }
    }
}
