//! The Oct-ResNet of `bench/shapes`: from bytes to a session that is ready, and one run at batch 1, one thread.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use octrt::{LoadOptions, Model, TensorRef};

const SHAPE: [usize; 4] = [1, 3, 64, 64];

fn shapes(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shapes/oct_resnet_shapes.onnx");
    let pixels: Vec<f32> = (0..SHAPE.iter().product()).map(|i: usize| (i % 251) as f32 / 125.0 - 1.0).collect();
    let input = || [("input", TensorRef::new(&SHAPE, &pixels).expect("the shape fits the pixels"))];
    let load = || Model::load(&path, &LoadOptions::default()).expect("the carried model loads");

    let mut session = load().session().expect("the carried model has a session");
    c.bench_function("oct_resnet_shapes/run", |b| {
        b.iter(|| black_box(session.run(&input()).expect("the carried model runs")));
    });
    c.bench_function("oct_resnet_shapes/load_and_first_run", |b| {
        b.iter(|| {
            let mut session = load().session().expect("the carried model has a session");
            black_box(session.run(&input()).expect("the carried model runs"))
        });
    });
}

criterion_group!(benches, shapes);
criterion_main!(benches);
