//! What the graph of a model and graphs in attributes of its nodes are made of: initializers and nodes.

use crate::elem::ElemType;
use crate::error::Fault;
use crate::inline::SourceNode;
use crate::node::{NodeReader, Source};
use crate::proto::{GraphProto, TensorProto};
use crate::scope::Scope;
use crate::tensor;

/// Makes the initializers of `graph` that are used constants.
pub(crate) fn read_initializers(graph: &GraphProto, source: Source<'_>, scope: &mut Scope) {
    for sparse in graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()) {
        let name = sparse.name.as_str();
        scope.report_value(Fault::Unsupported("it is sparse".into()), format!("initializer '{name}'"), name);
    }
    for proto in graph.initializer.iter().filter(|t| !t.name.is_empty()) {
        if !scope.used.contains(&proto.name) {
            continue;
        }
        match tensor::load(proto, source.external) {
            Ok(loaded) => {
                let place = initializer_place(proto);
                scope.warnings.extend(loaded.remarks.iter().map(|r| format!("{place}: {r}")));
                let value = scope.graph.add_const(&proto.name, loaded.tensor);
                scope.note_type(value, ElemType::from_onnx(proto.data_type));
                scope.names.insert(proto.name.clone(), value);
            }
            Err(fault) => scope.report_value(fault, initializer_place(proto), &proto.name),
        }
    }
}

/// Adds a node to the graph, or takes note of why not; leaves out one that nothing uses.
pub(crate) fn read_node(node: &SourceNode<'_>, source: Source<'_>, scope: &mut Scope) {
    let is_used = |name: &String| !name.is_empty() && scope.used.contains(name);
    if !node.proto.output.iter().any(is_used) {
        return;
    }
    let result = (source.operators)(node.domain(), &node.proto.op_type, node.opset).and_then(|reader| {
        let mut n = NodeReader::new(scope, node, source);
        reader(&mut n)?;
        Ok(n.attrs.unknown())
    });
    match result {
        Ok(unknown) if unknown.is_empty() => {}
        Ok(unknown) => {
            let place = node.place();
            scope.warnings.push(format!("{place}: attributes that are not known are ignored: {unknown}"));
        }
        Err(fault) => {
            let outputs: Vec<&str> = node.proto.output.iter().map(String::as_str).collect();
            scope.report_node(fault, node, &outputs);
        }
    }
}

/// How messages name an initializer.
pub(crate) fn initializer_place(tensor: &TensorProto) -> String {
    format!("initializer '{}'", tensor.name)
}
