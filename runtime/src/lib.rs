//! octrt: CPU inference runtime for convolutional networks.

pub mod image;
