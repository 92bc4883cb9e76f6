//! Plans of artifacts that no compiler would make.

mod artifacts;
mod by_hand;
