//! Operators as machine code against their references: every kind of attribute, every target that this machine runs.
#![allow(missing_docs)]

mod check;
mod conv;
mod elements;
mod indexed;
mod math;
mod norms;
mod operators;
mod quant;
mod recurrent;
mod searches;
mod sums;
#[path = "../support/mod.rs"]
mod support;
mod vision;
