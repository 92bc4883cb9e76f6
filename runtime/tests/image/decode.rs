//! Formats, pixel types, orientation.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer, ImageFormat};
use octrt::image::{DecodeOptions, ImageError, Orientation, Picture, decode_bytes, decode_file};

use crate::build::{encode, exif, jpeg_with_exif, png_with_exif, squares, webp_with_exif, write};
use crate::golden::{LOSSY_WEBP, LOSSY_WEBP_PIXELS, PROGRESSIVE_JPEG, PROGRESSIVE_JPEG_PIXELS};
use crate::{from_hex, max_difference, small_picture};

fn decode(bytes: &[u8]) -> Picture {
    decode_bytes("made for the test", bytes, &DecodeOptions::default()).expect("decode")
}

#[test]
fn lossless_formats_keep_every_level() {
    let picture = small_picture();
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
        let decoded = decode(&encode(&picture, format));
        assert_eq!(decoded.size(), [5, 7], "{format:?}");
        assert_eq!(decoded.rgb(), picture.rgb(), "{format:?}");
    }
}

#[test]
fn lossy_formats_are_near_pillow() {
    let webp = decode(&from_hex(LOSSY_WEBP));
    assert_eq!(webp.rgb(), from_hex(LOSSY_WEBP_PIXELS));
    let jpeg = decode(&from_hex(PROGRESSIVE_JPEG));
    let difference = max_difference(jpeg.rgb(), &from_hex(PROGRESSIVE_JPEG_PIXELS));
    assert!(difference <= 3, "levels differ by up to {difference}");
}

#[test]
fn every_pixel_type_becomes_rgb() {
    let types = [
        DynamicImage::ImageLuma8(ImageBuffer::from_raw(1, 1, vec![9]).expect("grey")),
        DynamicImage::ImageLumaA8(ImageBuffer::from_raw(1, 1, vec![9, 0]).expect("grey, alpha")),
        DynamicImage::ImageRgba8(ImageBuffer::from_raw(1, 1, vec![9, 8, 7, 0]).expect("alpha")),
        DynamicImage::ImageLuma16(ImageBuffer::from_raw(1, 1, vec![0x9FF]).expect("16-bit grey")),
        DynamicImage::ImageLumaA16(ImageBuffer::from_raw(1, 1, vec![0x9FF, 0]).expect("16-bit grey, alpha")),
        DynamicImage::ImageRgb16(ImageBuffer::from_raw(1, 1, vec![0x9FF, 0x880, 0x700]).expect("16-bit")),
        DynamicImage::ImageRgba16(
            ImageBuffer::from_raw(1, 1, vec![0x9FF, 0x880, 0x700, 0]).expect("16-bit alpha"),
        ),
    ];
    let expected = [[9, 9, 9], [9, 9, 9], [9, 8, 7], [9, 9, 9], [9, 9, 9], [9, 8, 7], [9, 8, 7]];
    for (picture, expected) in types.iter().zip(expected) {
        let decoded = decode(&write(picture, ImageFormat::Png));
        assert_eq!(decoded.rgb(), expected, "{:?}", picture.color());
    }
}

/// Numbers 0 to 5 of the squares of [`squares`], row by row, as they stand after orientations 1 to 8.
const UPRIGHT: [&[&[u8]]; 8] = [
    &[&[0, 1, 2], &[3, 4, 5]],
    &[&[2, 1, 0], &[5, 4, 3]],
    &[&[5, 4, 3], &[2, 1, 0]],
    &[&[3, 4, 5], &[0, 1, 2]],
    &[&[0, 3], &[1, 4], &[2, 5]],
    &[&[3, 0], &[4, 1], &[5, 2]],
    &[&[5, 2], &[4, 1], &[3, 0]],
    &[&[2, 5], &[1, 4], &[0, 3]],
];

/// Checks the squares of `decoded`, `side` pixels each.
fn assert_squares(decoded: &Picture, expected: &[&[u8]], side: usize, what: &str) {
    assert_eq!(decoded.size(), [expected.len() * side, expected[0].len() * side], "{what}");
    for (y, row) in expected.iter().enumerate() {
        for (x, &number) in row.iter().enumerate() {
            let at = (y * side + side / 2) * row.len() * side + x * side + side / 2;
            let level = decoded.rgb()[at * 3];
            assert!(level.abs_diff(10 + 30 * number) <= 3, "{what}: level {level} in column {x} of row {y}");
        }
    }
}

#[test]
fn orientation_is_applied_unless_ignored() {
    let ignore = DecodeOptions::default().with_orientation(Orientation::Ignore);
    let [png, jpeg, webp] =
        [(1, ImageFormat::Png), (8, ImageFormat::Jpeg), (1, ImageFormat::WebP)].map(|(side, format)| {
            let rgb = DynamicImage::ImageRgb8(squares(side).to_rgb8());
            write(&rgb, format)
        });
    for (orientation, expected) in (1..).zip(UPRIGHT) {
        let tiff = exif(orientation);
        let prefixed = [b"Exif\0\0", tiff.as_slice()].concat();
        for (what, side, file) in [
            ("PNG", 1, png_with_exif(&png, &tiff)),
            ("JPEG", 8, jpeg_with_exif(&jpeg, &tiff)),
            ("WebP", 1, webp_with_exif(&webp, [2, 3], &tiff)),
            ("WebP with the prefix of JPEG", 1, webp_with_exif(&webp, [2, 3], &prefixed)),
        ] {
            let what = format!("{what}, orientation {orientation}");
            assert_squares(&decode(&file), expected, side, &what);
            let stored = decode_bytes(&what, &file, &ignore).expect("decode");
            assert_squares(&stored, UPRIGHT[0], side, &format!("{what} ignored"));
        }
    }
}

#[test]
fn orientations_that_do_not_exist_change_nothing() {
    let png = write(&squares(1), ImageFormat::Png);
    for tiff in [exif(0), exif(9), exif(255), b"II".to_vec(), b"no TIFF at all".to_vec()] {
        assert_squares(&decode(&png_with_exif(&png, &tiff)), UPRIGHT[0], 1, &format!("{tiff:?}"));
    }
}

fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn files_are_recognised_by_content() {
    let path = temporary("a-png-called.jpg");
    fs::write(&path, encode(&small_picture(), ImageFormat::Png)).expect("write");
    let picture = decode_file(&path, &DecodeOptions::default()).expect("decode");
    assert_eq!(picture.rgb(), small_picture().rgb());
    assert_eq!(picture.name(), path.display().to_string());
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let path = temporary("does-not-exist.png");
    let error = decode_file(&path, &DecodeOptions::default()).expect_err("no such file");
    assert!(matches!(error, ImageError::Io { .. }), "{error}");
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
}

#[test]
fn other_content_is_unsupported() {
    for (bytes, found) in [
        (b"".as_slice(), "an empty file"),
        (b"GIF89a\x01\0\x01\0\0\0\0", "a GIF file"),
        (b"II*\0\x08\0\0\0", "a TIFF file"),
        (b"<svg/>", "unknown content starting with bytes [3c, 73, 76, 67, 2f, 3e]"),
    ] {
        let error = decode_bytes("x", bytes, &DecodeOptions::default()).expect_err(found);
        let message = format!("x: expected a JPEG, PNG, BMP or WebP picture, found {found}");
        assert_eq!(error.to_string(), message);
    }
}
