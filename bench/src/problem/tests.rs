use octrt_ops::graph::infer::{Limits, specialize};
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Problem {
    text.parse().unwrap()
}

#[test]
fn short_and_full_form_are_the_same_problem() {
    let short = parse("ic64ih56oc64kh3ph1");
    let full = parse("mb1g1ic64ih56iw56oc64oh56ow56kh3kw3sh1sw1dh0dw0ph1pw1");
    let axis = Axis { i: 56, o: 56, k: 3, s: 1, d: 0, p: 1 };
    assert_eq!(short, Problem { mb: 1, g: 1, ic: 64, oc: 64, h: axis, w: axis });
    assert_eq!(short, full);
    assert_eq!(parse("g1kh3oc64ph1ih56ic64"), short);
    assert_eq!(full.to_string(), "ic64ih56oc64kh3ph1");
}

#[test]
fn width_follows_height_and_dilation_counts_from_0() {
    let p = parse("mb2g4ic8ih20iw10oc16kh3kw1sh2dh1ph2pw0");
    assert_eq!(p.h, Axis { i: 20, o: 10, k: 3, s: 2, d: 1, p: 2 });
    assert_eq!(p.w, Axis { i: 10, o: 5, k: 1, s: 2, d: 1, p: 0 });
    assert_eq!(p.macs(), 2 * 16 * 10 * 5 * 2 * 3);
    assert_eq!(p.to_string(), "mb2g4ic8ih20iw10oc16kh3kw1sh2dh1ph2pw0");
}

#[test]
fn an_output_that_asks_for_more_padding_at_the_end_gets_it() {
    // TensorFlow's SAME: no padding at the beginning, one at the end.
    let p = parse("ic3ih224oc32oh112kh3sh2");
    assert_eq!((p.h.end(), p.w.o, p.w.end()), (1, 112, 1));
    assert_eq!(p.to_string(), "ic3ih224oc32oh112kh3sh2");
    // The same padding on both ends, of which the last element is not used.
    assert_eq!(parse("ic3ih224oc32kh3sh2ph1").h.end(), 1);
    assert_eq!(parse("ic1ih6oc1oh6ow5kh3ph1").w.end(), 0);
}

#[test]
fn other_texts_are_refused() {
    let error = |text: &str| text.parse::<Problem>().unwrap_err().what;
    assert_eq!(error(""), "'ih' is missing");
    assert_eq!(error("ih5kh3oc1"), "'ic' is missing");
    assert_eq!(error("ic1ic1"), "'ic' is given twice");
    assert!(error("ic64 ih56").starts_with("expected one of mb g ic"), "{}", error("ic64 ih56"));
    assert!(error("icih").ends_with("found 'icih'"), "{}", error("icih"));
    assert_eq!(error("ic"), "expected a number up to 65535 after 'ic'");
    assert!(error("ic99999").starts_with("expected a number up to 65535"));
    assert_eq!(error("ic0ih5oc1kh1"), "'ic' must be at least 1");
    assert_eq!(error("g3ic4ih5oc6kh1"), "3 groups do not divide 4 and 6 channels");
    assert_eq!(error("ic4ih5oc6kh7"), "a window of 7 is larger than 5");
    assert_eq!(error("ic4ih5oc6kh3oh2"), "no padding at the end gives oh2");
    let text = "ic4ih5oc6kh7".parse::<Problem>().unwrap_err().to_string();
    assert_eq!(text, "problem 'ic4ih5oc6kh7': a window of 7 is larger than 5");
}

/// The graph's own type inference and count of multiply-accumulates agree with the problem.
fn check_graph(p: &Problem) {
    let graph = p.graph().unwrap();
    let types: Vec<_> = graph.inputs.iter().filter_map(|i| i.declared_type()).collect();
    let graph = specialize(&graph, &types, Limits::default()).unwrap();
    let dst = graph.ty(graph.outputs[0].value).unwrap();
    assert_eq!(dst.shape.dims(), [p.mb, p.oc, p.h.o, p.w.o], "{p}");
    assert_eq!(graph.macs(), p.macs(), "{p}");
}

#[test]
fn graphs_compute_what_problems_say() {
    for text in
        ["ic64ih56oc64kh3ph1", "g32ic64ih14oc64kh3sh2ph1", "ic3ih24oc8oh12kh3sh2", "mb3ic2ih9oc4kh3dh1kw1"]
    {
        check_graph(&parse(text));
    }
}

fn axis() -> impl Strategy<Value = Axis> {
    let numbers = (1usize..40, 1usize..8, 1usize..4, 0usize..3, 0usize..4, 0usize..4);
    numbers.prop_filter_map("a window fits", |(i, k, s, d, p, end)| {
        let axis = Axis { i, o: 1, k, s, d, p };
        // Only so much padding at the end as the last window needs, or as much as at the beginning.
        let axis = Axis { o: axis.windows(end).ok()?, ..axis };
        axis.is_consistent().then_some(axis)
    })
}

fn problem() -> impl Strategy<Value = Problem> {
    let alike = (axis(), axis(), any::<bool>()).prop_map(|(h, w, alike)| (h, if alike { h } else { w }));
    (1usize..4, 1usize..5, 1usize..5, 1usize..5, alike).prop_map(|(mb, g, ic, oc, (h, w))| Problem {
        mb,
        g,
        ic: ic * g,
        oc: oc * g,
        h,
        w,
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read(p in problem()) {
        prop_assert_eq!(p.to_string().parse(), Ok(p));
    }

    #[test]
    fn any_problem_is_a_graph(p in problem()) {
        check_graph(&p);
    }

    #[test]
    fn any_text_is_a_problem_or_an_error(text in texts()) {
        if let Ok(p) = text.parse::<Problem>() {
            prop_assert_eq!(p.to_string().parse(), Ok(p));
            p.macs();
        }
    }

    #[test]
    fn any_letters_are_a_problem_or_an_error(text in "\\PC{0,12}") {
        let _ = text.parse::<Problem>();
    }
}

/// Words of problems with numbers of any size; those that every problem has are seldom missing.
fn texts() -> impl Strategy<Value = String> {
    let word = |w: &'static str| {
        (0usize..70_000, 0usize..9).prop_map(move |(n, m)| format!("{w}{}", if m > 0 { m } else { n }))
    };
    let needed = ["ic", "ih", "oc", "kh"].map(word).to_vec();
    let more = prop::collection::vec(prop::sample::select(WORDS.to_vec()).prop_flat_map(word), 0..5);
    (needed, more).prop_map(|(a, b)| [a, b].concat().concat())
}
