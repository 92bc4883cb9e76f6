//! Vocabulary and meaning: tensors, operators, the graph.
#![forbid(unsafe_code)]
