//! Operators as machine code against their references: every kind of attribute, every target that this machine runs.
#![allow(missing_docs)]

mod check;
mod conv;
mod elements;
mod math;
mod operators;
mod quant;
#[path = "../support/mod.rs"]
mod support;
