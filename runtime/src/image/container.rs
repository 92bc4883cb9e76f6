//! What a picture file says about itself before any pixel is decoded: its size, and whether its end is there.
//!
//! Decoders differ in what they do with a file cut short: some fill the missing part with grey. Here a JPEG must
//! reach its EOI marker, a PNG its IEND chunk, a WebP the end of its RIFF chunk. A BMP says nothing reliable about
//! its length; its decoder refuses missing rows itself.

use image::ImageFormat;

/// Largest `[height, width]` in pixels that the headers declare: of the picture, a WebP's canvas or its frames.
///
/// `None` when the headers are too damaged to tell.
pub(super) fn declared_size(format: ImageFormat, bytes: &[u8]) -> Option<[u64; 2]> {
    match format {
        ImageFormat::Png => Some([be32(bytes, 20)?, be32(bytes, 16)?]),
        ImageFormat::Bmp => bmp_size(bytes),
        ImageFormat::Jpeg => jpeg_size(bytes),
        ImageFormat::WebP => webp_size(bytes, 12),
        _ => None,
    }
}

/// Checks that the file reaches its own end.
///
/// # Errors
/// What is missing, in words.
pub(super) fn check_complete(format: ImageFormat, bytes: &[u8]) -> Result<(), String> {
    let len = bytes.len();
    match format {
        ImageFormat::Jpeg if !jpeg_reaches_end(bytes) => {
            Err(format!("the file ends after {len} bytes without an end-of-image marker"))
        }
        ImageFormat::Png if !png_reaches_end(bytes) => {
            Err(format!("the file ends after {len} bytes without an IEND chunk"))
        }
        ImageFormat::WebP => match le32(bytes, 4) {
            Some(riff) if riff + 8 > len as u64 => {
                Err(format!("the file has {len} bytes, its RIFF header declares {}", riff + 8))
            }
            Some(_) => Ok(()),
            None => Err(format!("the file ends after {len} bytes, within its RIFF header")),
        },
        _ => Ok(()),
    }
}

/// The `N` bytes at `at`.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn be16(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(|b| u16::from_be_bytes(b).into())
}

fn be32(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(|b| u32::from_be_bytes(b).into())
}

fn le16(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(|b| u16::from_le_bytes(b).into())
}

fn le24(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]).into())
}

fn le32(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(|b| u32::from_le_bytes(b).into())
}

/// Size in a BMP: 16-bit fields in the 12-byte core header, else signed 32-bit, height negative when top-down.
fn bmp_size(bytes: &[u8]) -> Option<[u64; 2]> {
    if le32(bytes, 14)? == 12 {
        return Some([le16(bytes, 20)?, le16(bytes, 18)?]);
    }
    let signed = |at| bytes_at(bytes, at).map(|b| u64::from(i32::from_le_bytes(b).unsigned_abs()));
    Some([signed(22)?, signed(18)?])
}

/// One marker of a JPEG.
#[derive(Clone, Copy)]
struct JpegMarker {
    /// The byte after 0xFF.
    code: u8,
    /// Where the byte after `code` is.
    after: usize,
}

impl JpegMarker {
    const EOI: u8 = 0xD9;
    const SOS: u8 = 0xDA;

    /// The first marker at or after `from`; fill bytes, stuffed zeros and restart markers are no markers here.
    fn find(bytes: &[u8], from: usize) -> Option<Self> {
        let pairs = bytes.get(from..)?.windows(2);
        let at = pairs
            .into_iter()
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0x01 | 0xFF | 0xD0..=0xD7))?;
        Some(Self { code: bytes[from + at + 1], after: from + at + 2 })
    }

    /// Whether this marker starts a frame header (SOF0 to SOF15 less DHT, JPG, DAC).
    fn is_frame(self) -> bool {
        matches!(self.code, 0xC0..=0xCF) && !matches!(self.code, 0xC4 | 0xC8 | 0xCC)
    }

    /// Where the next marker may start: after the segment.
    fn segment_end(self, bytes: &[u8]) -> Option<usize> {
        Some(self.after + be16(bytes, self.after)?.max(2) as usize)
    }
}

fn jpeg_size(bytes: &[u8]) -> Option<[u64; 2]> {
    let mut from = 2;
    loop {
        let marker = JpegMarker::find(bytes, from)?;
        if marker.is_frame() {
            return Some([be16(bytes, marker.after + 3)?, be16(bytes, marker.after + 5)?]);
        }
        if matches!(marker.code, JpegMarker::EOI | JpegMarker::SOS) {
            return None;
        }
        from = marker.segment_end(bytes)?;
    }
}

/// Whether an EOI marker follows a scan.
fn jpeg_reaches_end(bytes: &[u8]) -> bool {
    let mut from = 2;
    let mut scans = 0;
    while let Some(marker) = JpegMarker::find(bytes, from) {
        match marker.code {
            JpegMarker::EOI => return scans > 0,
            JpegMarker::SOS => scans += 1,
            _ => {}
        }
        match marker.segment_end(bytes) {
            Some(end) => from = end,
            None => return false,
        }
    }
    false
}

fn png_reaches_end(bytes: &[u8]) -> bool {
    const SIGNATURE: usize = 8;
    const LENGTH_TYPE_CRC: usize = 12;
    let mut at = SIGNATURE;
    while let (Some(len), Some(kind)) = (be32(bytes, at), bytes_at(bytes, at + 4)) {
        at += len as usize + LENGTH_TYPE_CRC;
        if &kind == b"IEND" {
            return at <= bytes.len();
        }
    }
    false
}

/// Largest size among the chunks from `at`, those within animation frames included.
fn webp_size(bytes: &[u8], mut at: usize) -> Option<[u64; 2]> {
    const FRAME_HEADER: usize = 16;
    let mut largest: Option<[u64; 2]> = None;
    while let (Some(kind), Some(len)) = (bytes_at(bytes, at), le32(bytes, at + 4)) {
        let body = at + 8;
        let size = match &kind {
            b"VP8X" => le24(bytes, body + 4).zip(le24(bytes, body + 7)).map(|(w, h)| [h + 1, w + 1]),
            b"VP8 " => {
                le16(bytes, body + 6).zip(le16(bytes, body + 8)).map(|(w, h)| [h & 0x3FFF, w & 0x3FFF])
            }
            b"VP8L" => le32(bytes, body + 1).map(|b| [(b >> 14 & 0x3FFF) + 1, (b & 0x3FFF) + 1]),
            _ => None,
        };
        largest = largest.into_iter().chain(size).max_by_key(|[height, width]| height * width);
        at = match &kind {
            b"ANMF" => body + FRAME_HEADER,
            _ => body + (len + len % 2) as usize,
        };
    }
    largest
}
