use proptest::prelude::*;

use super::*;
use crate::graph::arbitrary;
use crate::graph::{Input, Value, text};
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// `input -> Clip -> Clip -> "y"`, with a constant.
fn sound() -> Graph {
    let text = r#"graph "g" {
        input %0 "x": f32[N]
        const %1 "c": f32[] = [1.0]
        %2 "a" = n0 "first" Clip (%0, %1, _)
        %3 "b" = n1 "second" Clip (%2, _, %1)
        output "y" = %3
    }"#;
    text::parse(text, &[]).unwrap()
}

/// The message after `edit`.
fn broken(edit: impl FnOnce(&mut Graph)) -> String {
    let mut graph = sound();
    edit(&mut graph);
    // Nothing that works on any graph panics on a broken one.
    let _ = text::print(&graph);
    let _ = crate::graph::interp::run(&graph, &[Tensor::new([1], &[0f32]).unwrap()]);
    verify(&graph).unwrap_err().to_string()
}

#[test]
fn a_sound_graph_passes() {
    assert_eq!(verify(&sound()), Ok(()));
}

#[test]
fn ids_are_in_range() {
    assert_eq!(broken(|g| g.inputs[0].value = ValueId(9)), "'g': input 0 is %9, which does not exist");
    assert_eq!(
        broken(|g| g.nodes[0].inputs[0] = Some(ValueId(9))),
        "node 'first' (Clip): input 0 is %9, which does not exist"
    );
    assert_eq!(
        broken(|g| g.nodes[0].outputs[0] = ValueId(u32::MAX)),
        "node 'first' (Clip): output 0 is %4294967295, which does not exist"
    );
    assert_eq!(broken(|g| g.outputs[0].value = ValueId(4)), "'g': output 'y' is %4, which does not exist");
}

#[test]
fn values_are_defined_once() {
    assert_eq!(
        broken(|g| g.inputs.push(g.inputs[0].clone())),
        "'g': input 1 is %0, which is defined elsewhere"
    );
    assert_eq!(
        broken(|g| g.nodes[1].outputs.push(ValueId(2))),
        "node 'second' (Clip): output 1 is %2, which is defined elsewhere"
    );
    assert_eq!(
        broken(|g| g.values[1].def = ValueDef::Input(0)),
        "'%1 c': defined as input 0, which is another value or none"
    );
    assert_eq!(
        broken(|g| g.values.push(Value { name: "d".into(), def: ValueDef::Node(NodeId(7), 0), ty: None })),
        "'%4 d': defined as output 0 of n7, which is another value or none"
    );
}

#[test]
fn nodes_have_outputs_and_stand_in_topological_order() {
    assert_eq!(broken(|g| g.nodes[1].outputs.clear()), "node 'second' (Clip): n1 has no outputs");
    assert_eq!(
        broken(|g| g.nodes[0].inputs[0] = Some(ValueId(3))),
        "node 'first' (Clip): input 0 is %3, which n1 defines: not an earlier node"
    );
    assert_eq!(
        broken(|g| g.nodes[1].inputs[0] = Some(ValueId(3))),
        "node 'second' (Clip): input 0 is %3, which n1 defines: not an earlier node"
    );
}

#[test]
fn names_of_inputs_and_outputs_differ() {
    assert_eq!(broken(|g| g.outputs.clear()), "'g': the graph has no outputs");
    assert_eq!(broken(|g| g.outputs.push(g.outputs[0].clone())), "'g': two outputs are named 'y'");
    assert_eq!(broken(|g| g.outputs[0].name.clear()), "'g': output 0 has no name");
    assert_eq!(
        broken(|g| {
            g.add_input("x", DType::F32, vec![]);
        }),
        "'g': two inputs are named 'x'"
    );
}

#[test]
fn constants_and_inputs_have_their_types() {
    assert_eq!(broken(|g| g.values[1].ty = None), "'%1 c': the type of a constant is not known");
    assert_eq!(
        broken(|g| g.values[1].ty = Some(TensorType::new(DType::I64, []))),
        "'%1 c': a constant f32[] has the type i64[]"
    );
    let two = Tensor::from_bytes(TensorType::new(DType::Bool, [1]), vec![2]).unwrap();
    assert_eq!(
        broken(|g| {
            g.add_const("d", two);
        }),
        "'%4 d': a bool is neither 0 nor 1"
    );
    assert_eq!(
        broken(|g| {
            g.inputs[0] = Input { value: ValueId(0), dtype: DType::F32, dims: vec![Dim::Fixed(2)] };
            g.values[0].ty = Some(TensorType::new(DType::F32, [3]));
        }),
        "'g': the type f32[3] of input 'x' is not the declared one"
    );
}

#[test]
fn known_types_are_those_that_operators_infer() {
    let text = r#"graph "g" {
        input %0 "x": f32[2,1]
        input %1 "y": f32[3]
        %2: f32[2,3] = "sum" Binary { kind = add } (%0, %1)
        output "z" = %2
    }"#;
    let check = |text: &str| verify(&text::parse(text, &[]).unwrap()).map_err(|e| e.to_string());
    assert_eq!(check(text), Ok(()));
    assert_eq!(check(&text.replace("%2: f32[2,3]", "%2")), Ok(()));
    let message = check(&text.replace("f32[2,3]", "f32[3,2]")).unwrap_err();
    assert_eq!(message, "node 'sum' (Add): the type of output 0 is f32[3,2], the operator gives f32[2,3]");
    let message = check(&text.replace("\"y\": f32[3]", "\"y\": i64[3]")).unwrap_err();
    assert!(message.starts_with("node 'sum' (Add): "), "{message}");
    let message = check(&text.replace("%2: f32[2,3] =", "%2: f32[2,3], %3 =")).unwrap_err();
    assert_eq!(message, "node 'sum' (Add): 2 outputs are used, the operator has 1");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any graph, with one id replaced by any other.
    #[test]
    fn no_graph_makes_the_verifier_panic(
        mut graph in arbitrary::graph(),
        place in any::<prop::sample::Index>(),
        id in prop_oneof![0u32..12, any::<u32>()],
    ) {
        let _ = verify(&graph);
        let nodes = graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().flatten().chain(&mut n.outputs));
        let ends = graph.outputs.iter_mut().map(|o| &mut o.value);
        let mut ids: Vec<&mut ValueId> =
            nodes.chain(ends).chain(graph.inputs.iter_mut().map(|i| &mut i.value)).collect();
        let count = ids.len();
        if count > 0 {
            *ids[place.index(count)] = ValueId(id);
        }
        let _ = verify(&graph);
    }
}
