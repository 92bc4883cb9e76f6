//! The text form of graphs: what parses prints, the print is the same graph, and the graph is refused or runs.
#![no_main]

#[path = "../../tests/support/hostile.rs"]
mod hostile;

use libfuzzer_sys::fuzz_target;
use octrt_ops::graph::text::{blobs, parse, print};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(graph) = parse(text, &[]) else { return };
    let printed = print(&graph);
    let again = parse(&printed, &blobs(&graph)).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(print(&again), printed);
    hostile::survive_graph(graph, hostile::MEMORY);
});
