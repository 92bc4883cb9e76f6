//! Damaged, truncated and oversized files.

use image::ImageFormat;
use octrt::image::{DecodeOptions, ImageError, LimitKind, Limits, decode_bytes, decode_file};

use crate::build::{encode, exif, png_chunk, png_with_exif, riff, riff_chunk, vp8x, webp_with_exif};
use crate::golden::{LOSSY_WEBP, PROGRESSIVE_JPEG};
use crate::{from_hex, small_picture};

/// One small file of every kind.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let [png, bmp, webp, jpeg] = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Jpeg]
        .map(|format| encode(&small_picture(), format));
    vec![
        ("PNG with EXIF", png_with_exif(&png, &exif(6))),
        ("BMP", bmp),
        ("lossless WebP", webp.clone()),
        ("WebP with EXIF", webp_with_exif(&webp, [5, 7], &exif(6))),
        ("lossy WebP", from_hex(LOSSY_WEBP)),
        ("JPEG", jpeg),
        ("progressive JPEG", from_hex(PROGRESSIVE_JPEG)),
    ]
}

fn limited(pixels: u64) -> DecodeOptions {
    DecodeOptions::default().with_limits(Limits::default().with_pixels(pixels))
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    for (what, file) in files() {
        assert!(decode_bytes(what, &file, &limited(35)).is_ok(), "{what}");
        for len in 0..file.len() {
            let error = decode_bytes(what, &file[..len], &limited(35)).expect_err(what);
            let typed = matches!(error, ImageError::Corrupt { .. } | ImageError::NoPicture { .. });
            assert!(typed, "the first {len} bytes of {}: {error}", file.len());
            assert!(error.to_string().starts_with(what), "{error}");
        }
    }
}

#[test]
fn any_damaged_byte_gives_a_picture_within_limits_or_an_error() {
    for (what, file) in files() {
        for at in 0..file.len() {
            for flip in [0x01, 0x10, 0x80, 0xFF, file[at]] {
                let mut damaged = file.clone();
                damaged[at] ^= flip;
                match decode_bytes(what, &damaged, &limited(10_000)) {
                    Ok(picture) => {
                        let [height, width] = picture.size();
                        assert!(height * width <= 10_000, "{what}, byte {at}: {height}x{width}");
                    }
                    Err(error) => assert!(error.to_string().starts_with(what), "{error}"),
                }
            }
        }
    }
}

#[test]
fn checksums_of_a_png_catch_damage() {
    let file = encode(&small_picture(), ImageFormat::Png);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x20;
        if let Ok(picture) = decode_bytes("damaged", &damaged, &limited(35)) {
            assert_eq!(picture.rgb(), small_picture().rgb(), "byte {at} changed the pixels unnoticed");
        }
    }
}

/// Headers that declare many more pixels than the default limit, and how many.
fn bombs() -> Vec<(&'static str, Vec<u8>, u64)> {
    let png =
        [b"\x89PNG\r\n\x1a\n", &png_chunk(b"IHDR", b"\0\0\xEA\x60\0\0\xEA\x60\x08\x02\0\0\0")[..]].concat();
    let mut bmp = encode(&small_picture(), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&(-60_000i32).to_le_bytes());
    let mut jpeg = encode(&small_picture(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("baseline frame");
    jpeg[frame + 5..frame + 9].fill(0xFF);
    let webp = riff(&[&vp8x(0, [1 << 24, 1 << 8])]);
    // 14 bits of width - 1, 14 bits of height - 1.
    let lossless = riff_chunk(b"VP8L", &[0x2F, 0xFE, 0xFF, 0xFF, 0x0F, 0]);
    let frame = riff_chunk(b"ANMF", &[&[0; 16], lossless.as_slice()].concat());
    let lossy = riff_chunk(b"VP8 ", b"\x10\0\0\x9D\x01\x2A\xFF\x3F\xFF\x3F");
    vec![
        ("PNG", png, 3_600_000_000),
        ("BMP", bmp, 3_600_000_000),
        ("JPEG", jpeg, 65_535 * 65_535),
        ("WebP canvas", webp, 1 << 32),
        ("WebP, lossless frame larger than its canvas", riff(&[&vp8x(0, [1, 1]), &lossless]), 16_383 << 14),
        ("WebP, lossy frame larger than its canvas", riff(&[&vp8x(0, [1, 1]), &lossy]), 16_383 * 16_383),
        ("WebP animation", riff(&[&vp8x(2, [1, 1]), &frame]), 16_383 << 14),
    ]
}

#[test]
fn oversized_pictures_are_refused_by_their_header() {
    for (what, file, pixels) in bombs() {
        let error = decode_bytes(what, &file, &DecodeOptions::default()).expect_err(what);
        let message = format!("{what}: too large: {pixels} pixels, at most 89478485 allowed");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn limits_are_inclusive() {
    let png = encode(&small_picture(), ImageFormat::Png);
    assert!(decode_bytes("x", &png, &limited(35)).is_ok());
    let error = decode_bytes("x", &png, &limited(34)).expect_err("35 pixels");
    let expected =
        matches!(error, ImageError::LimitExceeded { kind: LimitKind::Pixels, found: 35, allowed: 34, .. });
    assert!(expected, "{error}");
}

#[test]
fn large_files_are_refused_without_reading_on() {
    let limits = Limits::default().with_file_bytes(1000);
    let options = DecodeOptions::default().with_limits(limits);
    let error = decode_bytes("x", &[0; 1001], &options).expect_err("1001 bytes");
    assert_eq!(error.to_string(), "x: too large: 1001 bytes of file, at most 1000 allowed");
    if cfg!(unix) {
        let endless = std::path::Path::new("/dev/zero");
        let error = decode_file(endless, &options).expect_err("no end");
        assert!(matches!(error, ImageError::LimitExceeded { kind: LimitKind::FileBytes, .. }), "{error}");
    }
}

#[test]
fn pictures_without_pixels_are_corrupt() {
    let mut bmp = encode(&small_picture(), ImageFormat::Bmp);
    bmp[18..22].fill(0);
    let error = decode_bytes("x", &bmp, &limited(35)).expect_err("0 wide");
    let message = "x: corrupt or truncated BMP picture: the header declares 0x5 pixels (width x height)";
    assert_eq!(error.to_string(), message);
}

#[test]
fn bytes_after_the_picture_are_ignored() {
    for (what, mut file) in files() {
        file.extend([0xA5; 40]);
        assert!(decode_bytes(what, &file, &limited(35)).is_ok(), "{what}");
    }
}
