//! Blocks of channels and channel by channel.

use octrt_compiler::leaf::Width;
use octrt_compiler::leaf::programs::{Direction, Transpose};

use super::super::model::Model;
use super::super::{Case, Rng};

pub fn transpose(width: Width, rng: &mut Rng) -> Case {
    let lanes = i64::from(width.lanes());
    let some = |rng: &mut Rng| if rng.chance(3) { lanes } else { rng.range(1, lanes) };
    let (channels, pixels, trips) = (some(rng), some(rng), rng.range(0, 3));
    let channel_bytes = 4 * (trips * pixels + rng.range(0, 3)).max(1);
    let whole = rng.chance(2);
    let read = if whole { lanes } else { channels };
    let pixel_bytes = 4 * (read + if rng.chance(2) { 0 } else { rng.range(0, 5) });
    let t = Transpose {
        width,
        direction: rng.pick(&[Direction::ToBlocks, Direction::ToPlain]),
        channels: channels as u8,
        pixels: pixels as u8,
        channel_bytes: channel_bytes as i32,
        pixel_bytes: pixel_bytes as i32,
        whole,
    };
    let mut model = Model::new(rng);
    model.numbers.insert("trips".into(), trips);
    for (pixel, lane) in (0..trips * pixels).flat_map(|p| (0..read).map(move |l| (p, l))) {
        let (block, plain) = (pixel * pixel_bytes + 4 * lane, 4 * pixel + lane * channel_bytes);
        match (t.direction, lane < channels) {
            (Direction::ToBlocks, true) => {
                let x = model.read("src", plain);
                model.write("dst", block, x);
            }
            (Direction::ToBlocks, false) => model.write("dst", block, 0.0),
            // Whole vectors of a block are read.
            (Direction::ToPlain, wanted) => {
                let x = model.read("src", block);
                if wanted {
                    model.write("dst", plain, x);
                }
            }
        }
    }
    model.case(format!("{t:?}"), t.program())
}
