//! Calls in the place of loops.

use std::sync::Arc;

use octrt_ops::expr::VarId;

use crate::leaf::Program;
use crate::nest::{MissingSlot, SlotValue};
use crate::nest::{Nest, Stmt};
use crate::strategy::refusal::Refusal;

/// What slots of a program get, by name.
#[derive(Debug, Default)]
pub(super) struct Values(Vec<(&'static str, SlotValue)>);

impl Values {
    pub(super) fn new() -> Values {
        Values::default()
    }

    /// A slot's value, if there is one.
    pub(super) fn set(&mut self, name: &'static str, value: Option<SlotValue>) {
        self.0.extend(value.map(|v| (name, v)));
    }

    pub(super) fn number(&mut self, name: &'static str, n: usize) {
        self.0.push((name, SlotValue::Number(n as i64)));
    }
}

/// Puts a call of a program in the place of a loop; gives the program's name.
///
/// # Errors
/// [`MissingSlot`] for a slot that has no value.
pub(super) fn calls(
    nest: &mut Nest,
    at: VarId,
    program: Program,
    values: &Values,
) -> Result<String, Refusal> {
    let value = |slot: &str| values.0.iter().find(|(name, _)| *name == slot).map(|(_, v)| v.clone());
    let missing = |slot: &str| MissingSlot { program: program.name.clone(), slot: slot.to_string() };
    let slots = program.slots.iter().map(|s| value(&s.name).ok_or_else(|| missing(&s.name)));
    let slots: Vec<SlotValue> = slots.collect::<Result<_, _>>()?;
    let name = program.name.clone();
    let leaf = match nest.leaves.iter().position(|l| **l == program) {
        Some(known) => known,
        None => {
            nest.leaves.push(Arc::new(program));
            nest.leaves.len() - 1
        }
    };
    nest.replace(at, vec![Stmt::Call { leaf, slots }]);
    Ok(name)
}
