//! Arguments of how pictures become inputs and results become names.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use octrt::image::{ChannelOrder, Filter, Preset};

use crate::sizes::{Factor, Size, Triple};

/// How pictures become inputs. What is not given comes from the file MODEL.json beside the model, then from the model's
/// metadata `octrt.preprocess`, then from the preset imagenet.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub struct ImageArgs {
    /// Preprocessing by name: imagenet, inception, caffe-bgr, octconv, none
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// How the picture is resized: none, whole or short-side; `whole:64` and `short-side:256` say to how many pixels
    #[arg(long, value_name = "POLICY[:N]", value_parser = crate::sizes::parse_resize)]
    pub resize: Option<crate::sizes::Resize>,
    /// What is cut out of the middle: none, to-input, N or HEIGHTxWIDTH
    #[arg(long, value_name = "SIZE", value_parser = crate::sizes::parse_crop)]
    pub crop: Option<octrt::image::Crop>,
    /// The kernel of the resize, as Pillow has it: bilinear, bicubic
    #[arg(long, value_name = "NAME")]
    pub filter: Option<Filter>,
    /// The order of the planes: rgb, bgr
    #[arg(long, value_name = "ORDER")]
    pub order: Option<ChannelOrder>,
    /// Factor on the levels 0 to 255, before mean and std: a number or a fraction as 1/255
    #[arg(long, value_name = "X")]
    pub scale: Option<Factor>,
    /// Subtracted from the planes, in their order
    #[arg(long, value_name = "A,B,C", allow_hyphen_values = true)]
    pub mean: Option<Triple>,
    /// Divides the planes, in their order
    #[arg(long, value_name = "A,B,C", allow_hyphen_values = true)]
    pub std: Option<Triple>,
    /// Size of the model's input, where the model leaves it open
    #[arg(long, value_name = "N|HxW")]
    pub size: Option<Size>,
    /// Whether pictures are turned upright as their EXIF orientation says
    #[arg(long, value_name = "WHAT", default_value = "apply")]
    pub exif: Exif,
    /// Settings of the model, a JSON file; `none` for none [default: MODEL.json beside the model, if there is one]
    #[arg(long, value_name = "FILE")]
    pub side_file: Option<PathBuf>,
}

/// What to do with the EXIF orientation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Exif {
    /// Turn the picture upright
    Apply,
    /// Take the pixels as stored
    Ignore,
}

/// The names of the classes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub struct LabelArgs {
    /// The names of the classes, one a line [default: `labels` of MODEL.json, then the model's metadata octrt.labels]
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
}
