//! Pictures in, model inputs out: against values computed with Pillow and torchvision.

mod build;
mod decode;
mod golden;
mod preprocess;
mod resize;
mod robust;
mod shared;
#[path = "../support/skip.rs"]
mod skip;

use octrt::image::Picture;

/// 7 wide, 5 high; red a ramp, green a chequerboard, blue a mixture.
fn small_picture() -> Picture {
    let pixels = (0..5).flat_map(|y| (0..7).map(move |x| (x, y)));
    let rgb = pixels.flat_map(|(x, y): (u32, u32)| {
        [(x * 42) as u8, (255 * ((x + y) % 2)) as u8, (x * y * 37 % 256) as u8]
    });
    Picture::new("small", [5, 7], rgb.collect()).expect("35 pixels")
}

/// The bytes that `text` spells in hexadecimal.
fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).expect("hexadecimal") as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// FNV-1a, 64 bits.
fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The largest difference between two levels at the same place.
fn max_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len(), "pictures of different size");
    a.iter().zip(b).map(|(&a, &b)| a.abs_diff(b)).max().unwrap_or(0)
}
