//! ONNX operator Tile.

/// ONNX operator Tile.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {}

crate::attributes!(Tile {});

crate::def::unfinished!(Tile);
