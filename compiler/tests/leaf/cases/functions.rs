//! Elementary functions of numbers of every exponent.

use octrt_compiler::leaf::Width;
use octrt_compiler::leaf::memory::{Access, Memory, Region, Value};
use octrt_compiler::leaf::programs::Function;

use super::Case;

/// One case for each function, of every `stride`-th pattern of bits.
pub fn functions(width: Width, stride: usize) -> Vec<Case> {
    let lanes = width.lanes() as usize;
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(stride).map(f32::from_bits).collect();
    x.resize(x.len().next_multiple_of(lanes), f32::INFINITY);
    let case = |f: Function| {
        let mut memory = Memory::default();
        let src = memory.add(Region::floats(&x, Access::Read));
        let dst = memory.add(Region::floats(&vec![0.0; x.len()], Access::ReadWrite));
        let trips = Value::Number((x.len() / lanes) as i64);
        let slots = vec![Value::Pointer(src), Value::Pointer(dst), trips];
        let (name, program) = (format!("{f:?}"), f.program(width));
        Case { name, program, slots, memory, formula: None, scratch: None }
    };
    Function::ALL.map(case).into()
}
