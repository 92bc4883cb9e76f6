//! Every distinct convolution of the networks, one at a time: weights and input are warm.
//!
//! `cargo bench -p octrt-bench --bench conv -- resnet50/ic64` runs those whose name holds the text; nothing is compiled
//! for the others. `octrt-bench conv` measures them in turn, and against the machine's peak.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use octrt::{LoadOptions, Model};
use octrt_bench::measure::Subject;
use octrt_bench::problem::{Network, Problem};

fn subject(problem: &Problem) -> Subject {
    let graph = problem.graph().expect("the problem has a graph");
    let model = Model::from_graph(graph, &LoadOptions::default()).expect("the problem compiles");
    let inputs = problem.inputs().expect("the problem has inputs");
    Subject::new(model.session().expect("the problem has a session"), inputs).expect("the problem runs")
}

fn conv(c: &mut Criterion) {
    for network in Network::ALL {
        let mut group = c.benchmark_group(network.to_string());
        for layer in network.layers() {
            group.throughput(Throughput::Elements(layer.problem.macs()));
            group.bench_function(BenchmarkId::from_parameter(layer.problem), |b| {
                let mut subject = subject(&layer.problem);
                b.iter(|| black_box(subject.run().expect("the problem runs")));
            });
        }
    }
}

criterion_group!(benches, conv);
criterion_main!(benches);
