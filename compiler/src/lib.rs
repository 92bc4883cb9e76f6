//! Graph to machine code.
#![forbid(unsafe_code)]
