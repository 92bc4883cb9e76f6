//! `octrt preprocess`: a picture as the tensor that a model reads.

use octrt::image::{Preprocessing, SideFile};
use serde::Serialize;

use crate::args::{DimArgs, Format, MachineArgs, PreprocessArgs};
use crate::failure::Failure;
use crate::model::{self, Dims};
use crate::output;
use crate::preprocessing;
use crate::tensor_files::save_npy;

#[derive(Serialize)]
struct Report<'a> {
    schema: String,
    picture: String,
    file: String,
    shape: [usize; 4],
    dtype: &'static str,
    preprocessing: &'a Preprocessing,
}

/// Runs the command.
///
/// # Errors
/// Those of reading the picture and the model, and of saving.
pub fn run(args: &PreprocessArgs) -> anyhow::Result<()> {
    let preprocessing = settings(args)?;
    preprocessing::announce(&preprocessing);
    let image = preprocessing.file(&args.picture)?;
    let tensor = octrt::TensorRef::new(&image.shape, &image.data)?;
    save_npy(&args.output, tensor)?;
    let (picture, file) = (args.picture.display().to_string(), args.output.display().to_string());
    match args.format.format {
        Format::Text => {
            let [n, c, h, w] = image.shape;
            Ok(output::print(&format!("{file}: f32[{n},{c},{h},{w}]\n"))?)
        }
        Format::Json => {
            let schema = output::schema("preprocess");
            let (shape, dtype) = (image.shape, "f32");
            output::print_json(&Report { schema, picture, file, shape, dtype, preprocessing: &preprocessing })
        }
    }
}

/// The settings, for the only input of the model that takes pictures where there is a model.
fn settings(args: &PreprocessArgs) -> anyhow::Result<Preprocessing> {
    let side_file = args.image.side_file.as_deref();
    let Some(path) = &args.model else {
        let side = match side_file {
            None => None,
            Some(path) => SideFile::find(path, Some(path))?,
        };
        let preprocessing = preprocessing::resolve(&args.image, side.as_ref(), &Default::default())?;
        if preprocessing.size().is_none() {
            let message = "give the size of the model's input as --size, or the model as --model";
            return Err(Failure::Usage(message.to_string()).into());
        }
        return Ok(preprocessing);
    };
    let machine = MachineArgs { threads: 1, ..MachineArgs::default() };
    let model = model::load(path, &machine)?;
    let side = SideFile::find(path, side_file)?;
    let mut preprocessing = preprocessing::resolve(&args.image, side.as_ref(), model.metadata())?;
    let dims = DimArgs { dims: Vec::new() };
    let dims = Dims::new(&model, &dims)?;
    let mut first_refusal = None;
    for input in model.inputs() {
        match preprocessing::fit(&mut preprocessing, input, &dims) {
            Ok(()) => return Ok(preprocessing),
            Err(e) => first_refusal = first_refusal.or(Some(e)),
        }
    }
    let no_input = || Failure::Usage(format!("{}: the model has no inputs", path.display()));
    Err(first_refusal.unwrap_or_else(no_input).into())
}
