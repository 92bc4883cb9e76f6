//! Picture files: decode and prepare under small limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octrt::image::{DecodeOptions, Limits, Preset, decode_bytes};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().with_file_bytes(1 << 16).with_pixels(1 << 14);
    let options = DecodeOptions::default().with_limits(limits);
    let Ok(picture) = decode_bytes("picture", bytes, &options) else { return };
    let [height, width] = picture.size();
    assert!((height * width) as u64 <= limits.pixels && picture.rgb().len() == height * width * 3);
    for preset in [Preset::Imagenet, Preset::Inception, Preset::Octconv] {
        if let Ok(input) = preset.settings().tensor(&picture, [16, 24]) {
            assert_eq!((input.shape, input.data.len()), ([1, 3, 16, 24], 3 * 16 * 24));
        }
    }
});
