//! The words of the command line that say how pictures become a model's input.

use std::collections::BTreeMap;

use octrt::PortInfo;
use octrt::image::{Choice, ImageError, Orientation, Preprocessing, SideFile};

use crate::args::{Exif, ImageArgs};
use crate::failure::Failure;
use crate::model::Dims;
use crate::output;

/// Lays the flags over the side file over the metadata over the preset imagenet.
///
/// # Errors
/// As [`Preprocessing::resolve`].
pub fn resolve(
    args: &ImageArgs,
    side: Option<&SideFile>,
    metadata: &BTreeMap<String, String>,
) -> Result<Preprocessing, ImageError> {
    Preprocessing::resolve(choice(args), side, metadata)
}

/// Takes the size from a model's input.
///
/// # Errors
/// [`Failure::Usage`] when the input takes no picture, is of another size than `--size`, or its size is open.
pub fn fit(settings: &mut Preprocessing, input: &PortInfo, dims: &Dims<'_>) -> Result<(), Failure> {
    let usage = |e: ImageError| {
        Failure::Usage(match e {
            ImageError::OpenSize { input } => {
                format!("{input}: give the size of the picture as --size N or HEIGHTxWIDTH")
            }
            ImageError::OtherSize { input, chosen: [h, w] } => format!("input {input}: --size is {h}x{w}"),
            e => e.to_string(),
        })
    };
    settings.fit(input, |axis| dims.extent(input, axis)).map_err(usage)
}

/// Tells on stderr what is used.
pub fn announce(settings: &Preprocessing) {
    output::note(&format!("preprocessing {}", settings.describe()));
}

fn choice(args: &ImageArgs) -> Choice {
    let mut choice = Choice::new("flags");
    let overrides = &mut choice.overrides;
    overrides.preset = args.preset;
    overrides.resize = args.resize.map(|r| r.policy);
    overrides.resize_size = args.resize.and_then(|r| r.pixels);
    overrides.filter = args.filter;
    overrides.crop = args.crop;
    overrides.order = args.order;
    overrides.scale = args.scale.map(|f| f.0);
    overrides.mean = args.mean.map(|t| t.0);
    overrides.std = args.std.map(|t| t.0);
    choice.size = args.size.map(|s| s.0);
    choice.orientation = match args.exif {
        Exif::Apply => Orientation::Apply,
        Exif::Ignore => Orientation::Ignore,
    };
    choice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use octrt::image::{Crop, PreprocessOverrides, Preset, ResizePolicy};

    #[test]
    fn flags_are_the_upper_layer() {
        let words = ["octrt", "run", "m.onnx", "--preset", "caffe-bgr", "--resize", "whole:64", "--crop"];
        let words = words.into_iter().chain(["32x48", "--mean=-1", "--scale", "1/2", "--size", "7x9"]);
        let Command::Run(run) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
        let choice = choice(&run.image);
        let expected = PreprocessOverrides::default().with(|o| {
            o.preset = Some(Preset::CaffeBgr);
            o.resize = Some(ResizePolicy::Whole);
            o.resize_size = Some(64);
            o.crop = Some(Crop::Size([32, 48]));
            o.scale = Some(0.5);
            o.mean = Some([-1.0; 3]);
        });
        assert_eq!((choice.overrides, choice.size), (expected, Some([7, 9])));
    }
}
