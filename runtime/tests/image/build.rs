//! Picture files made for the tests.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use octrt::image::Picture;

/// `picture` as a file of `format`; WebP is lossless.
pub fn encode(picture: &Picture, format: ImageFormat) -> Vec<u8> {
    let [height, width] = picture.size().map(|side| side as u32);
    let rgb = RgbImage::from_raw(width, height, picture.rgb().to_vec()).expect("whole picture");
    write(&DynamicImage::ImageRgb8(rgb), format)
}

/// Any picture of the `image` crate as a file.
pub fn write(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("writing to memory");
    file.into_inner()
}

/// A grey picture of 3 x 2 squares, `side` pixels each, of levels 10, 40, 70 / 100, 130, 160.
pub fn squares(side: u32) -> DynamicImage {
    let level = |x, y| (10 + 30 * (x / side + 3 * (y / side))) as u8;
    DynamicImage::ImageLuma8(GrayImage::from_fn(3 * side, 2 * side, |x, y| image::Luma([level(x, y)])))
}

/// A TIFF structure, big endian, with the orientation tag 0x0112 as its only entry.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    tiff
}

/// `png` with an eXIf chunk after IHDR.
pub fn png_with_exif(png: &[u8], tiff: &[u8]) -> Vec<u8> {
    let (ihdr, rest) = png.split_at(8 + 25);
    [ihdr, &png_chunk(b"eXIf", tiff), rest].concat()
}

/// `jpeg` with an APP1 segment after SOI.
pub fn jpeg_with_exif(jpeg: &[u8], tiff: &[u8]) -> Vec<u8> {
    let len = (2 + 6 + tiff.len()) as u16;
    [&jpeg[..2], &[0xFF, 0xE1], &len.to_be_bytes(), b"Exif\0\0", tiff, &jpeg[2..]].concat()
}

/// A lossless `webp` of `[height, width]` pixels in the extended format, with `exif` as EXIF chunk.
pub fn webp_with_exif(webp: &[u8], [height, width]: [u32; 2], exif: &[u8]) -> Vec<u8> {
    let exif = riff_chunk(b"EXIF", exif);
    riff(&[&vp8x(0x08, [height, width]), &webp[12..], &exif])
}

/// A VP8X chunk: flags and canvas of `[height, width]` pixels.
pub fn vp8x(flags: u8, [height, width]: [u32; 2]) -> Vec<u8> {
    let side = |pixels: u32| (pixels - 1).to_le_bytes();
    let body = [&[flags, 0, 0, 0], &side(width)[..3], &side(height)[..3]].concat();
    riff_chunk(b"VP8X", &body)
}

/// A WebP file of the given chunks.
pub fn riff(chunks: &[&[u8]]) -> Vec<u8> {
    riff_chunk(b"RIFF", &[b"WEBP", chunks.concat().as_slice()].concat())
}

/// A RIFF chunk, padded to an even length.
pub fn riff_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let pad = &[0][..body.len() % 2];
    [kind.as_slice(), &(body.len() as u32).to_le_bytes(), body, pad].concat()
}

/// A PNG chunk with its checksum.
pub fn png_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let checked = [kind.as_slice(), body].concat();
    let crc = !checked.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    });
    [&(body.len() as u32).to_be_bytes(), checked.as_slice(), &crc.to_be_bytes()].concat()
}
