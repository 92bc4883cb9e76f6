//! Writes the corpora that fuzzing starts from: `cargo run --example seeds` in this folder makes `corpus/<target>/`,
//! and `corpus/operators.dict`.

#[path = "../tests/support/compiled_file.rs"]
mod compiled_file;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, RgbImage};
use octrt_onnx::export;
use octrt_ops::graph::text::parse;
use octrt_ops::{Dim, Graph, TensorType};
use octrt::{LoadOptions, Model};

/// A graph as the target `compiled` wants it, for a batch of two.
fn compiled(graph: Graph) -> Result<Vec<u8>, Box<dyn Error>> {
    let extent = |d: &Dim| if let Dim::Fixed(d) = d { *d } else { 2 };
    let types = graph.inputs.iter().map(|i| TensorType::new(i.dtype, i.dims.iter().map(extent).collect::<Vec<_>>()));
    let types: Vec<TensorType> = types.collect();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.octrt");
    Model::from_graph(graph, &LoadOptions::default())?.save(&types, &path)?;
    Ok(compiled_file::Parts::of(&fs::read(path)?).input())
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = here.join("corpus");
    for target in ["load", "graph_text", "compiled", "picture"] {
        fs::create_dir_all(corpus.join(target))?;
    }
    for entry in fs::read_dir(here.join("seeds"))? {
        let path = entry?.path();
        let name = path.file_stem().ok_or("a seed without a name")?.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let graph = parse(&text, &[]).map_err(|e| format!("{}: {e}", path.display()))?;
        fs::write(corpus.join("graph_text").join(&name), &text)?;
        fs::write(corpus.join("load").join(&name), export(&graph, &BTreeMap::new())?)?;
        fs::write(corpus.join("compiled").join(&name), compiled(graph)?)?;
    }
    let names = octrt_onnx::support::operators().iter().map(|o| format!("\"{}\"\n", o.op));
    fs::write(corpus.join("operators.dict"), names.collect::<String>())?;
    let picture = RgbImage::from_fn(7, 5, |x, y| image::Rgb([(x * 42) as u8, (y * 63) as u8, (x ^ y) as u8]));
    let picture = DynamicImage::ImageRgb8(picture);
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
        for (kind, picture) in [("rgb", picture.clone()), ("grey", picture.to_luma8().into())] {
            let mut file = Cursor::new(Vec::new());
            picture.write_to(&mut file, format)?;
            let name = format!("{kind}.{}", format.extensions_str()[0]);
            fs::write(corpus.join("picture").join(name), file.into_inner())?;
        }
    }
    Ok(())
}
