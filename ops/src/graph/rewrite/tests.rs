use proptest::prelude::*;

use super::*;
use crate::def::clip::Clip;
use crate::graph::arbitrary;
use crate::graph::{text, verify};

/// Two chains, so that there is an order to keep. Types are not known, so operators are not asked.
const CHAINS: &str = r#"graph "g" {
  input %0 "x": f32[N]
  const %4 "c": f32[] = [1.0]
  %1 "a" = n0 "first" Clip (%0)
  %2 "b" = n1 "second" Clip (%1, %4)
  %3 "d" = n2 "third" Clip (%1)
  output "y" = %2
  output "z" = %3
}
"#;

fn graph() -> Graph {
    text::parse(CHAINS, &[]).unwrap()
}

fn applied(edit: impl FnOnce(&mut Patch)) -> Result<Graph, String> {
    let graph = graph();
    let mut patch = Patch::new(&graph);
    edit(&mut patch);
    let edited = edited(&graph, &patch);
    let after = apply(&graph, &patch).map_err(|e| e.to_string());
    assert_eq!(edited, after.clone().map(|g| compact(g).graph));
    let after = after?;
    verify::verify(&after).unwrap();
    let compacted = compact(after).graph;
    verify::verify(&compacted).unwrap();
    Ok(compacted)
}

/// The graph after the patch by way of an [`Editor`].
fn edited(graph: &Graph, patch: &Patch) -> Result<Graph, String> {
    let mut editor = Editor::new(graph.clone());
    editor.apply(patch.clone()).and_then(|()| editor.finish()).map_err(|e| e.to_string())
}

#[test]
fn an_empty_patch_changes_nothing() {
    assert_eq!(applied(|_| {}), Ok(graph()));
}

#[test]
fn a_value_is_replaced_for_nodes_and_outputs() {
    // The second node becomes dead and goes, with the constant that only it used.
    let after = applied(|p| p.replace(ValueId(2), ValueId(0))).unwrap();
    assert_eq!(
        text::print(&after),
        r#"graph "g" {
  input %0 "x": f32[N]
  %1 "a" = n0 "first" Clip (%0)
  %2 "d" = n1 "third" Clip (%1)
  output "y" = %0
  output "z" = %2
}
"#
    );
}

#[test]
fn new_nodes_stand_where_they_replace() {
    let after = applied(|p| {
        let c = p.add_const("new constant", Tensor::scalar(2f32));
        let new = p.add_node("new", Clip {}, vec![Some(ValueId(0)), Some(c)], &["e"]);
        p.replace(ValueId(2), new[0]);
        p.rename(new[0], "b");
    })
    .unwrap();
    assert_eq!(
        text::print(&after),
        r#"graph "g" {
  input %0 "x": f32[N]
  const %3 "new constant": f32[] = [2.0]
  %1 "a" = n0 "first" Clip (%0)
  %4 "b" = n1 "new" Clip (%0, %3)
  %2 "d" = n2 "third" Clip (%1)
  output "y" = %4
  output "z" = %2
}
"#
    );
}

#[test]
fn a_new_node_may_use_what_it_replaces() {
    let after = applied(|p| {
        let new = p.add_node("wrap", Clip {}, vec![Some(ValueId(1))], &["wrapped"]);
        p.replace(ValueId(1), new[0]);
    })
    .unwrap();
    let names: Vec<&str> = after.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["first", "wrap", "second", "third"]);
    assert_eq!(after.nodes[2].inputs[0], Some(after.nodes[1].outputs[0]));
}

#[test]
fn nodes_move_when_the_order_asks_for_it() {
    // The second node now needs a new one that needs the third.
    let after = applied(|p| {
        let new = p.add_node("new", Clip {}, vec![Some(ValueId(3))], &["e"]);
        p.replace(ValueId(4), new[0]);
    })
    .unwrap();
    let names: Vec<&str> = after.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["first", "third", "new", "second"]);
}

#[test]
fn impossible_patches_are_refused() {
    let refused = |edit: &dyn Fn(&mut Patch)| applied(edit).unwrap_err();
    assert_eq!(
        refused(&|p| p.replace(ValueId(1), ValueId(2))),
        "'g': the patch makes node 'second' depend on itself"
    );
    assert_eq!(
        refused(&|p| p.replace(ValueId(9), ValueId(0))),
        "'g': the patch mentions %9, which does not exist"
    );
    assert_eq!(
        refused(&|p| {
            p.add_node("new", Clip {}, vec![Some(ValueId(5))], &["e"]);
        }),
        "'g': new node 'new' uses %5, which is not defined before it"
    );
    assert_eq!(
        refused(&|p| {
            let c = p.add_const("", Tensor::scalar(2i64));
            p.replace(ValueId(4), c);
        }),
        "'g': %4 of type f32[] is replaced by %5 of type i64[]"
    );
    let mut larger = graph();
    larger.add_const("", Tensor::scalar(1f32));
    assert_eq!(
        apply(&larger, &Patch::new(&graph())).unwrap_err().to_string(),
        "'g': the patch is for a graph of 5 values, this one has 6"
    );
}

#[test]
fn an_editor_goes_on_behind_what_was_seen() {
    let mut editor = Editor::new(graph());
    let (first, second) = (editor.first(), editor.after(Some(NodeId(0))));
    assert_eq!((first, second), (Some(NodeId(0)), Some(NodeId(1))));
    assert_eq!((editor.uses(ValueId(1)), editor.uses(ValueId(2))), ((2, 0), (0, 1)));
    let mut patch = Patch::new(&editor);
    let new = patch.add_node("new", Clip {}, vec![Some(ValueId(0))], &["e"]);
    patch.replace(ValueId(2), new[0]);
    editor.apply(patch).unwrap();
    // The new node stands in the place of the second.
    assert_eq!(editor.after(first), Some(NodeId(3)));
    assert_eq!(editor.after(second), Some(NodeId(3)));
    assert_eq!(editor.after(Some(NodeId(3))), Some(NodeId(2)));
    assert!(!editor.is_live(NodeId(1)) && editor.is_live(NodeId(3)));
    assert_eq!((editor.uses(ValueId(1)), editor.uses(ValueId(0))), ((1, 0), (2, 0)));

    // Without the first node, what stood before it is the beginning.
    let mut patch = Patch::new(&editor);
    patch.replace(ValueId(1), ValueId(0));
    editor.apply(patch).unwrap();
    assert_eq!(editor.after(first), Some(NodeId(3)));
    let names = |g: &Graph| g.nodes.iter().map(|n| n.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&editor.finish().unwrap()), ["new", "third"]);
}

#[test]
fn patches_one_after_the_other_are_those_of_an_editor() {
    let (mut graph, mut editor) = (graph(), Editor::new(graph()));
    for _ in 0..3 {
        let wrap = |g: &Graph| {
            let mut patch = Patch::new(g);
            let v = g.outputs[0].value;
            let c = patch.add_const("c", Tensor::scalar(3f32));
            let new = patch.add_node("wrap", Clip {}, vec![Some(v), None, Some(c)], &["w"]);
            patch.replace(v, new[0]);
            patch
        };
        graph = compact(apply(&graph, &wrap(&graph)).unwrap()).graph;
        editor.apply(wrap(&editor)).unwrap();
    }
    assert_eq!(graph.nodes.len(), 6);
    assert_eq!(editor.finish(), Ok(graph));
}

#[test]
fn compact_says_where_things_went() {
    let mut before = graph();
    before.outputs.remove(0);
    let Compacted { graph, nodes, values } = compact(before);
    assert_eq!(nodes, [Some(NodeId(0)), None, Some(NodeId(1))]);
    assert_eq!(values, [Some(ValueId(0)), Some(ValueId(1)), None, Some(ValueId(2)), None]);
    assert_eq!(graph.nodes.len(), 2);
    verify::verify(&graph).unwrap();
    let again = compact(graph.clone());
    assert_eq!(again.graph, graph);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Replacing any value by any other gives a sound graph with the same outputs, or is refused.
    #[test]
    fn patches_keep_graphs_sound(graph in arbitrary::graph(), old in any::<prop::sample::Index>(), new in any::<prop::sample::Index>()) {
        let mut graph = graph;
        for (i, output) in graph.outputs.iter_mut().enumerate() {
            output.name = format!("output {i}");
        }
        prop_assume!(verify::structure(&graph).is_ok());
        let pick = |i: prop::sample::Index| ValueId(i.index(graph.values.len()) as u32);
        let mut patch = Patch::new(&graph);
        patch.replace(pick(old), pick(new));
        let compacted = compact(graph.clone()).graph;
        if compacted == graph {
            let after = apply(&graph, &patch).map(|g| compact(g).graph).map_err(|e| e.to_string());
            prop_assert_eq!(edited(&graph, &patch), after);
        }
        if let Ok(after) = apply(&graph, &patch) {
            prop_assert_eq!(verify::structure(&after), Ok(()));
            let compacted = compact(after).graph;
            prop_assert_eq!(verify::structure(&compacted), Ok(()));
            prop_assert_eq!(compact(compacted.clone()).graph, compacted.clone());
            let names = |g: &Graph| g.outputs.iter().map(|o| o.name.clone()).collect::<Vec<_>>();
            prop_assert_eq!(names(&graph), names(&compacted));
        }
    }
}
