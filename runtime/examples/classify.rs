//! Labels a picture: `cargo run --release -p octrt --example classify -- model.onnx photo.jpg`
//!
//! How pictures become the model's input, and what its classes are called, is said by a file `model.json` beside the model or
//! by the model itself.

use std::error::Error;
use std::path::Path;

use octrt::classify::{self, Scores};
use octrt::image::{Choice, Preprocessing, SideFile};
use octrt::{Dim, Labels, LoadOptions, Model, TensorRef};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, picture] = &arguments[..] else { return Err("usage: classify MODEL PICTURE".into()) };
    let (model, side) = (Model::load(model, &LoadOptions::default())?, SideFile::find(model.as_ref(), None)?);

    let mut preprocessing = Preprocessing::resolve(Choice::default(), side.as_ref(), model.metadata())?;
    let input = model.inputs().first().ok_or("the model has no input")?;
    preprocessing.fit(input, |axis| match input.dims.as_ref()?.get(axis)? {
        Dim::Fixed(extent) => Some(*extent),
        Dim::Dynamic(_) => None,
    })?;
    let pixels = preprocessing.file(Path::new(picture))?;

    let mut session = model.session()?;
    let outputs = session.run(&[(&input.name, TensorRef::new(&pixels.shape, &pixels.data)?)])?;

    let (_, scores) = outputs.first().ok_or("the model has no output")?;
    let probabilities = classify::probabilities(scores.view(), 1, Scores::of(&model, 0));
    let probabilities = probabilities.ok_or("the first output holds no scores of classes")?;
    let labels = Labels::find(None, side.as_ref(), model.metadata())?;
    for class in classify::top(&probabilities[0], 3, labels.as_ref()) {
        println!("{:.4}  {:>4}  {}", class.probability, class.index, class.label.unwrap_or_default());
    }
    Ok(())
}
