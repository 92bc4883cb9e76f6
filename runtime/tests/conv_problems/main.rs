//! Small networks around convolutions as machine code, against a reference of their own: several thousand problems.
//!
//! A problem is a line of text (see [`text`]). A failure prints it, and it runs alone, on every target, with
//!
//! ```text
//! OCTRT_PROBLEM='...' cargo test -p octrt --test conv_problems one_problem -- --nocapture
//! ```
#![allow(missing_docs)]

mod bits;
mod build;
mod check;
mod coverage;
mod data;
mod draft;
mod families;
mod parts;
mod problem;
mod random;
mod reference;
mod shape;
#[path = "../support/mod.rs"]
mod support;
mod text;

use octrt_compiler::{Isa, Target};
use octrt_ops::graph::infer::{Limits, specialize};

use check::{Setting, check, check_all, targets};
use families::{CONVOLUTIONS, OTHERS, convolutions, convs, family, sample, with_special_values};
use problem::Problem;
use reference::Magnitude;

/// A test for each family.
macro_rules! families {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check_all(stringify!($name), &family(stringify!($name)), Setting::DEFAULT);
        })*

        #[test]
        fn every_family_has_a_test() {
            let tested = [$(stringify!($name)),*];
            let all: Vec<&str> = CONVOLUTIONS.iter().chain(&OTHERS).map(|(name, _)| *name).collect();
            assert_eq!(tested, all[..]);
        }
    };
}

families! {
    kernels three_by_three depthwise paddings large
    single single_1d single_3d chains chains_1d chains_3d residuals residuals_3d pooled pooled_3d
    joined octave octave_3d forked weights inverted excited moved elementwise
    residuals_1d pooled_1d joined_1d joined_3d forked_1d forked_3d inverted_1d inverted_3d excited_1d excited_3d
    elementwise_1d elementwise_3d moved_1d
    gemm matmul pooling pooling_negative pooling_special transposed
}

/// Sums of products carry NaN and infinities to the outputs that they belong to, and nowhere else. Winograd's algorithms
/// carry them to a whole tile, so the precision is strict.
#[test]
fn special_values() {
    let problems: Vec<Problem> = convolutions().into_iter().map(with_special_values).collect();
    check_all("special values", &sample(problems, 250), Setting::STRICT);
}

/// Where the default takes faster algorithms, the direct one too.
#[test]
fn strict() {
    let fast = |p: &Problem| convs(p).any(|c| Setting::DEFAULT.precision.magnitude(c) == Magnitude::Unpadded);
    let problems: Vec<Problem> = convolutions().into_iter().filter(fast).collect();
    check_all("strict", &sample(problems, 300), Setting::STRICT);
}

/// Targets below this machine's.
#[test]
fn other_targets() {
    let all = [convolutions(), OTHERS.iter().flat_map(|(_, draw)| draw()).collect()].concat();
    let problems = sample(all, 150);
    for target in targets() {
        check_all(&target.to_string(), &problems, Setting { target: Some(target), ..Setting::DEFAULT });
    }
}

/// AVX-512, emulated where this machine does not have it.
#[test]
fn avx512() {
    let all = [convolutions(), OTHERS.iter().flat_map(|(_, draw)| draw()).collect()].concat();
    let target = Some(Target::new(Isa::V4));
    check_all("avx512", &sample(all, 400), Setting { target, ..Setting::DEFAULT });
    check_all("avx512, strict", &sample(convolutions(), 100), Setting { target, ..Setting::STRICT });
}

/// The problem in `OCTRT_PROBLEM`, or one for show.
#[test]
fn one_problem() {
    let shown = "seed7; in 2x16x14x14; conv 0 oc16 k3x3 s1x1 d1x1 p1,1,1,1 g1 bias; relu 1; add 2 0; out 1";
    let text = std::env::var("OCTRT_PROBLEM").unwrap_or_else(|_| shown.into());
    let p: Problem = text.parse().unwrap();
    for target in [Isa::V2, Isa::V3, Isa::V4].map(Target::new) {
        let part = check(&p, Setting { target: Some(target), ..Setting::DEFAULT });
        println!("{target}: {:.3} of the allowed error", part.unwrap_or_else(|e| panic!("{e}")));
    }
}

/// The nests of calls of every problem; see [`support::nests`].
#[test]
fn nests() {
    let mut nests = support::nests::Nests::default();
    for problem in [convolutions(), OTHERS.iter().flat_map(|(_, draw)| draw()).collect()].concat() {
        let graph = build::graph(&problem, &check::shapes(&problem).unwrap(), build::Extents::Fixed);
        let types: Vec<_> = graph.inputs.iter().map(|i| i.declared_type().unwrap()).collect();
        let graph = specialize(&graph, &types, Limits::default()).unwrap();
        nests.collect(&problem.to_string(), &graph);
    }
    nests.finish("problems");
}
