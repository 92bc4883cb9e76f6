//! Whatever is given as a model or as its input: a typed error that says where and what, or a result. Never a panic.
#![allow(missing_docs)]

mod build;
mod damage;
mod lies;
mod models;
mod size;
#[path = "../support/mod.rs"]
mod support;
mod values;
