//! Resize and crop, level for level.

use octrt::image::{Crop, Filter, ImageError, LimitKind, Picture, Preprocess, Preset, ResizePolicy};

use crate::golden::{CROPPED, RESIZED};
use crate::{from_hex, small_picture};

fn whole(filter: Filter) -> Preprocess {
    Preset::None.settings().with(|s| {
        s.resize = ResizePolicy::Whole;
        s.filter = filter;
    })
}

#[test]
fn resize_equals_pillow() {
    for &(filter, size, expected) in RESIZED {
        let resized = whole(filter).pixels(&small_picture(), size).expect("resize");
        assert_eq!(resized.rgb(), from_hex(expected), "{filter} to {size:?}");
    }
}

#[test]
fn crop_equals_torchvision() {
    for &(size, expected) in CROPPED {
        let settings = Preset::None.settings().with(|s| s.crop = Crop::ToInput);
        let cropped = settings.pixels(&small_picture(), size).expect("crop");
        assert_eq!(cropped.rgb(), from_hex(expected), "crop to {size:?}");
    }
}

#[test]
fn a_crop_of_a_resize_is_a_part_of_the_whole_resize() {
    let picture = small_picture();
    for (side, crop, resized) in [(9, [4, 6], [9, 12]), (4, [3, 5], [4, 5]), (20, [1, 28], [20, 28])] {
        for &filter in Filter::all() {
            let all = whole(filter).pixels(&picture, resized).expect("whole");
            let settings = whole(filter).with(|s| {
                s.resize = ResizePolicy::ShortSide;
                s.resize_size = Some(side);
                s.crop = Crop::ToInput;
            });
            let part = settings.pixels(&picture, crop).expect("part");
            let cut = Preset::None.settings().with(|s| s.crop = Crop::ToInput);
            assert_eq!(part, cut.pixels(&all, crop).expect("cut"), "{filter}, short side {side}");
        }
    }
}

#[test]
fn flat_colours_stay_what_they_are() {
    for level in [0, 1, 127, 254, 255] {
        let picture = Picture::new("flat", [13, 17], vec![level; 13 * 17 * 3]).expect("flat");
        for &filter in Filter::all() {
            for size in [[1, 1], [5, 40], [40, 5], [100, 100]] {
                let resized = whole(filter).pixels(&picture, size).expect("resize");
                assert!(resized.rgb().iter().all(|&found| found == level), "{filter} {level} to {size:?}");
            }
        }
    }
}

#[test]
fn a_strip_is_cropped_without_making_all_of_its_resize() {
    // Resized to a short side of 256, this strip would have 4 G pixels.
    let len = 1 << 16;
    let levels = (0..len).flat_map(|x| [u8::from(x >= len / 2) * 200; 3]).collect::<Vec<_>>();
    for size in [[1, len], [len, 1]] {
        let strip = Picture::new("strip", size, levels.clone()).expect("strip");
        let cropped = Preset::Imagenet.settings().pixels(&strip, [224, 224]).expect("crop");
        let [first, last] = [cropped.rgb()[0], cropped.rgb()[cropped.rgb().len() - 1]];
        assert!(first < 100 && last > 100, "{size:?}: {first} to {last}");
    }
}

#[test]
fn a_resize_that_would_fill_the_memory_is_refused() {
    let strip = Picture::new("strip", [10_000, 1], vec![9; 30_000]).expect("strip");
    let error = whole(Filter::Bilinear).pixels(&strip, [10_001, 30_000]).expect_err("3e8 pixels");
    assert!(
        matches!(error, ImageError::LimitExceeded { kind: LimitKind::ResizePixels, found: 300_000_000, .. }),
        "{error}"
    );
}
