//! The text form of graphs: what parses prints, and the print is the same graph.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octrt::ops::graph::text::{blobs, parse, print};
use octrt::ops::graph::verify;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(graph) = parse(text, &[]) else { return };
    let _ = verify::verify(&graph);
    let printed = print(&graph);
    let again = parse(&printed, &blobs(&graph)).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(print(&again), printed);
});
