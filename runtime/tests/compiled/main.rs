//! Compiled models: what is loaded from their files is what was saved, whatever else a file says is refused or does no
//! harm, and files and cache folders are whole or not there.
#![allow(missing_docs)]

#[path = "../bad_input/build.rs"]
mod build;
mod cache;
mod damage;
mod given;
mod graph_text;
#[path = "../random_graphs/growing.rs"]
mod growing;
mod manifest;
#[path = "../random_graphs/nodes.rs"]
mod nodes;
mod options;
mod records;
mod round_trip;
#[path = "../support/mod.rs"]
mod support;
mod writing;
