//! ResNet-50 of the zoo at 224 x 224 pixels, vanilla and with OctConvs (alpha 0.5), one thread.
//!
//! `cargo bench -p octrt-bench --bench octave`. `octrt-bench table2` measures them in turn, and against the machine's peak.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use octrt_bench::tables::{Case, Subjects};

fn resnet50(c: &mut Criterion) {
    let mut group = c.benchmark_group("resnet50");
    group.sample_size(20);
    for (name, alpha) in [("vanilla", 0.0), ("alpha 0.5", 0.5)] {
        let case = Case::new("resnet50", alpha).expect("the zoo has it");
        group.bench_function(name, |b| {
            let mut subjects =
                Subjects::build(std::slice::from_ref(&case), |_| ()).expect("the network compiles");
            b.iter(|| black_box(subjects.run(0).expect("the network runs")));
        });
    }
    group.finish();
}

criterion_group!(benches, resnet50);
criterion_main!(benches);
