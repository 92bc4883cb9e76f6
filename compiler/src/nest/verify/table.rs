//! Tables of distances, as calls read them.

use crate::nest::{Buffer, BufferRole};

/// Bytes of an element: what everything is a multiple of.
pub(super) const ELEMENT: i64 = 4;

/// A table's entries, with the smallest and the largest.
pub(super) struct Table {
    pub(super) entries: Vec<i32>,
    pub(super) least: i64,
    pub(super) most: i64,
}

/// The table that a buffer is.
pub(super) fn table(b: &Buffer) -> Option<Table> {
    let BufferRole::Table(t) = &b.role else { return None };
    let entries = t.to_vec::<i32>().ok()?;
    let (least, most) = (i64::from(*entries.iter().min()?), i64::from(*entries.iter().max()?));
    Some(Table { entries, least, most })
}
