//! Numbers that loops read, in registers that are left: an operand in memory is a load at every trip.

use std::collections::BTreeMap;

use crate::leaf::{Inst, Operand, Program, Variable, VecId, registers};

/// The same program, in which the numbers that a loop reads most often are assigned before it, as many as find registers.
pub(super) fn hoisted(mut program: Program) -> Program {
    let loops = program.body.iter().enumerate().filter(|(_, inst)| matches!(inst, Inst::Loop { .. }));
    let loops: Vec<usize> = loops.map(|(at, _)| at).collect();
    // What is put before a loop moves those behind it.
    for at in loops.into_iter().rev() {
        let numbers = match &program.body[at] {
            Inst::Loop { body, .. } => numbers(body),
            _ => continue,
        };
        let tried = (1..=numbers.len()).rev().map(|n| before(&program, at, &numbers[..n]));
        if let Some(found) = tried.into_iter().find(registers::fits) {
            program = found;
        }
    }
    program
}

/// The program with these numbers assigned before the loop at a position.
fn before(program: &Program, at: usize, numbers: &[f32]) -> Program {
    let mut out = program.clone();
    let first = fresh(&program.body);
    let held: BTreeMap<u32, VecId> =
        numbers.iter().zip(first..).map(|(x, id)| (x.to_bits(), VecId(id))).collect();
    if let Inst::Loop { body, .. } = &mut out.body[at] {
        read_held(body, &held);
    }
    let splats = numbers.iter().map(|x| Inst::Splat(held[&x.to_bits()], *x));
    out.body.splice(at..at, splats);
    out
}

/// A number behind those of all vectors.
fn fresh(body: &[Inst]) -> u16 {
    let of = |inst: &Inst| match (inst, inst.assigns()) {
        (Inst::Loop { body, .. }, _) => fresh(body),
        (_, Some(Variable::Vector(v))) => v.0 + 1,
        _ => 0,
    };
    body.iter().map(of).max().unwrap_or(0)
}

/// What a statement reads that may be a number.
fn operand(inst: &mut Inst) -> Option<&mut Operand> {
    match inst {
        Inst::Fma { b: x, .. } | Inst::Horner { c: x, .. } | Inst::Binary { b: x, .. } => Some(x),
        _ => None,
    }
}

/// The numbers that statements read, those that they read most often first.
fn numbers(body: &[Inst]) -> Vec<f32> {
    let mut all: Vec<(f32, usize)> = Vec::new();
    let mut count = |x: f32| match all.iter_mut().find(|(y, _)| y.to_bits() == x.to_bits()) {
        Some((_, n)) => *n += 1,
        None => all.push((x, 1)),
    };
    each(body, &mut |inst| match inst {
        Inst::Splat(_, x)
        | Inst::Fma { b: Operand::Splat(x), .. }
        | Inst::Horner { c: Operand::Splat(x), .. }
        | Inst::Binary { b: Operand::Splat(x), .. } => count(*x),
        _ => {}
    });
    all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    all.into_iter().map(|(x, _)| x).collect()
}

/// Calls `f` for all statements, those inside loops too.
fn each(body: &[Inst], f: &mut dyn FnMut(&Inst)) {
    for inst in body {
        f(inst);
        if let Inst::Loop { body, .. } = inst {
            each(body, f);
        }
    }
}

/// Reads vectors in the place of the numbers that they hold.
fn read_held(body: &mut [Inst], held: &BTreeMap<u32, VecId>) {
    for inst in body {
        match inst {
            Inst::Loop { body, .. } => read_held(body, held),
            Inst::Splat(dst, x) => {
                if let Some(src) = held.get(&x.to_bits()) {
                    *inst = Inst::Copy { dst: *dst, src: *src };
                }
            }
            _ => {
                if let Some(x) = operand(inst)
                    && let Operand::Splat(number) = x
                    && let Some(v) = held.get(&number.to_bits())
                {
                    *x = Operand::Vector(*v);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::memory::{Access, Memory, Region, Value};
    use crate::leaf::programs::Function;
    use crate::leaf::{Width, interp, verify};

    fn in_loop(program: &Program) -> usize {
        let loops = program.body.iter().filter_map(|inst| match inst {
            Inst::Loop { body, .. } => Some(numbers(body).len()),
            _ => None,
        });
        loops.sum()
    }

    fn computed(program: &Program, x: &[f32]) -> Vec<f32> {
        let mut memory = Memory::default();
        let src = memory.add(Region::floats(x, Access::Read));
        let dst = memory.add(Region::floats(&vec![0.0; x.len()], Access::ReadWrite));
        let trips = x.len() as i64 / i64::from(program.width.lanes());
        let slots = [Value::Pointer(src), Value::Pointer(dst), Value::Number(trips)];
        assert_eq!(interp::run(program, &slots, &mut memory), Ok(()), "{program}");
        memory.regions[1].to_floats()
    }

    #[test]
    fn loops_read_fewer_numbers_and_compute_the_same() {
        let x: Vec<f32> = (0..64).map(|i| (i as f32 - 30.0) * 0.37).collect();
        for width in [Width::W8, Width::W16] {
            for function in Function::ALL {
                let plain = function.program(width);
                let program = hoisted(plain.clone());
                assert_eq!(verify::verify(&program), Ok(()), "{program}");
                assert!(registers::fits(&program), "{program}");
                let (before, after) = (in_loop(&plain), in_loop(&program));
                assert!(after < before || before == 0, "{program}");
                assert!(after == 0 || width == Width::W8, "{program}");
                let bits = |p: &Program| computed(p, &x).into_iter().map(f32::to_bits).collect::<Vec<_>>();
                assert_eq!(bits(&program), bits(&plain), "{program}");
            }
        }
    }

    #[test]
    fn registers_that_are_needed_are_not_taken() {
        // So many vectors are in use in the loop that one number finds a register.
        let all = registers::vectors(Width::W8) as u16 - 1;
        let mut body: Vec<Inst> = (0..all).map(|v| Inst::Splat(VecId(v), f32::from(v % 3))).collect();
        body.extend((1..all).map(|v| Inst::Binary {
            op: crate::leaf::BinaryOp::Add,
            dst: VecId(0),
            a: VecId(0),
            b: Operand::Vector(VecId(v)),
        }));
        let slots = vec![crate::leaf::Slot { name: "trips".into(), kind: crate::leaf::SlotKind::Count }];
        let count = crate::leaf::SlotId(0);
        let plain =
            Program { name: "full".into(), width: Width::W8, slots, body: vec![Inst::Loop { count, body }] };
        let program = hoisted(plain.clone());
        assert_eq!((in_loop(&plain), in_loop(&program)), (3, 2), "{program}");
        assert!(registers::fits(&program));
    }
}
