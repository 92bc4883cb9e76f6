//! Random changes of nests.

use std::sync::Arc;

use octrt_compiler::leaf::{Address, Inst, Operand, Step};
use octrt_compiler::nest::{BufferRole, Define, Distance, Nest, SlotValue, Stmt};
use octrt_ops::Tensor;
use octrt_ops::expr::{BufId, Expr, VarId};

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub struct Random(pub u64);

impl Random {
    /// A number below `n`; 0 where that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Something near a number of bytes, mostly a multiple of 4.
    fn bytes(&mut self, old: i64) -> i64 {
        match self.below(8) {
            0 => -old,
            1 => old * 2,
            2 => old / 8 * 4,
            3 => 0,
            _ => old + self.of(&[4, 8, 16, 32, 64, 96, 128, 256, 512]) * self.of(&[1, -1]),
        }
    }
}

/// The nest with a change; the same where there was nothing to change.
pub fn change(nest: &mut Nest, r: &mut Random) {
    match r.below(18) {
        0..=4 => pointer(nest, r),
        16 | 17 => element(nest, r),
        5 => number(nest, r),
        6 | 7 => extent(nest, r),
        8 | 9 => statements(nest, r),
        10 => table(nest, r),
        11 => swap_loops(nest, r),
        12 => leaf(nest, r),
        _ => instruction(nest, r),
    }
}

/// All blocks of statements, outermost first.
fn blocks(body: &mut Vec<Stmt>, visit: &mut dyn FnMut(&mut Vec<Stmt>)) {
    visit(body);
    for stmt in body {
        if let Stmt::Loop(_, body) = stmt {
            blocks(body, visit);
        }
    }
}

/// What the parallel loop holds.
fn inside(nest: &mut Nest) -> &mut Vec<Stmt> {
    match &mut nest.body[..] {
        [Stmt::Loop(_, body)] => body,
        _ => panic!("no parallel loop"),
    }
}

/// Shows all things of a kind in a nest.
type Each<'a, T> = &'a dyn Fn(&mut Nest, &mut dyn FnMut(&mut T));

/// Changes a random one of those that `each` shows.
fn pick<T>(nest: &mut Nest, r: &mut Random, each: Each<'_, T>, change: &mut dyn FnMut(&mut T, &mut Random)) {
    let mut n = 0;
    each(nest, &mut |_| n += 1);
    let (chosen, mut i) = (r.below(n), 0);
    each(nest, &mut |x| {
        if i == chosen {
            change(x, r);
        }
        i += 1;
    });
}

fn slots(nest: &mut Nest, visit: &mut dyn FnMut(&mut SlotValue)) {
    blocks(&mut nest.body, &mut |body| {
        for stmt in body {
            if let Stmt::Call { slots, .. } = stmt {
                slots.iter_mut().for_each(&mut *visit);
            }
        }
    });
}

fn loops(nest: &Nest) -> Vec<VarId> {
    nest.loops().iter().map(|l| l.id).collect()
}

fn pointer(nest: &mut Nest, r: &mut Random) {
    let (all, dsts): (_, Vec<BufId>) = (loops(nest), nest.dsts().collect());
    // Mostly those that matter.
    let any = r.below(4) == 0;
    let buffers = nest.buffers.len();
    let matters = move |nest: &mut Nest, visit: &mut dyn FnMut(&mut (BufId, Distance))| {
        slots(nest, &mut |slot| {
            if let SlotValue::Pointer(b, at) = slot
                && (any || dsts.contains(b))
            {
                let mut both = (*b, at.clone());
                visit(&mut both);
                (*b, *at) = both;
            }
        });
    };
    pick(nest, r, &matters, &mut |(buffer, at), r| match r.below(8) {
        0 | 1 => at.base = r.bytes(at.base),
        2 => *buffer = BufId(r.below(buffers) as u32),
        3 => {
            let (l, factor) = (r.of(&all), r.of(&[4, 32, 64, 128]));
            *at = at.clone().plus(l, factor);
        }
        4 if !at.terms.is_empty() => {
            at.terms.remove(r.below(at.terms.len()));
        }
        5 if !at.terms.is_empty() => {
            let (i, l) = (r.below(at.terms.len()), r.of(&all));
            if at.terms.iter().all(|(id, _)| *id != l) {
                at.terms[i].0 = l;
            }
        }
        _ if !at.terms.is_empty() => {
            let i = r.below(at.terms.len());
            at.terms[i].1 = r.bytes(at.terms[i].1);
        }
        _ => at.base = r.bytes(at.base),
    });
}

fn number(nest: &mut Nest, r: &mut Random) {
    let each = |nest: &mut Nest, visit: &mut dyn FnMut(&mut i64)| {
        slots(nest, &mut |slot| {
            if let SlotValue::Number(n) = slot {
                visit(n);
            }
        });
    };
    pick(nest, r, &each, &mut |n, r| *n = if r.below(2) == 0 { r.bytes(*n) } else { *n + r.of(&[1, -1]) });
}

fn extent(nest: &mut Nest, r: &mut Random) {
    let each = |nest: &mut Nest, visit: &mut dyn FnMut(&mut usize)| {
        blocks(&mut nest.body, &mut |body| {
            for stmt in body {
                if let Stmt::Loop(l, _) = stmt {
                    visit(&mut l.extent);
                }
            }
        });
    };
    pick(nest, r, &each, &mut |n, r| *n = [*n + 1, n.saturating_sub(1), *n * 2, *n / 2][r.below(4)]);
}

fn statements(nest: &mut Nest, r: &mut Random) {
    let each = |nest: &mut Nest, visit: &mut dyn FnMut(&mut Vec<Stmt>)| blocks(inside(nest), visit);
    pick(nest, r, &each, &mut |body, r| {
        let (i, j) = (r.below(body.len()), r.below(body.len()));
        match r.below(4) {
            _ if body.is_empty() => {}
            0 => body.swap(i, j),
            1 => {
                body.remove(i);
            }
            2 => body.push(body[i].clone()),
            // A loop loses its first statement to the block around it.
            _ => {
                if let Stmt::Loop(_, inner) = &mut body[i]
                    && !inner.is_empty()
                {
                    let first = inner.remove(0);
                    body.insert(j, first);
                }
            }
        }
    });
}

fn table(nest: &mut Nest, r: &mut Random) {
    let each = |nest: &mut Nest, visit: &mut dyn FnMut(&mut Tensor)| {
        for b in &mut nest.buffers {
            if let BufferRole::Table(t) = &mut b.role {
                visit(t);
            }
        }
    };
    pick(nest, r, &each, &mut |t, r| {
        let mut entries = t.to_vec::<i32>().unwrap();
        let (i, j) = (r.below(entries.len()), r.below(entries.len()));
        match r.below(3) {
            0 => entries.swap(i, j),
            1 => entries[i] = entries[j],
            _ => entries[i] = r.bytes(entries[i].into()) as i32,
        }
        *t = Tensor::new(t.ty().shape.clone(), &entries).unwrap();
    });
}

/// An element that a definition writes, or that it loads, becomes another one.
fn element(nest: &mut Nest, r: &mut Random) {
    let all = loops(nest);
    let each = |nest: &mut Nest, visit: &mut dyn FnMut(&mut Define)| {
        blocks(&mut nest.body, &mut |body| {
            for stmt in body {
                if let Stmt::Define(d) = stmt {
                    visit(d);
                }
            }
        });
    };
    pick(nest, r, &each, &mut |d, r| {
        let other = |index: &[Expr], r: &mut Random| -> Vec<Expr> {
            let (at, l) = (r.below(index.len()), r.of(&all));
            let mut index = index.to_vec();
            let old = index[at].clone();
            index[at] = match r.below(4) {
                0 => Expr::Var(l),
                1 => Expr::int(0),
                2 => old + Expr::int(1),
                _ => Expr::Var(l) + old,
            };
            index
        };
        if r.below(2) == 0 {
            d.index = other(&d.index, r);
        }
        if r.below(2) == 0 {
            d.value = d.value.map(&mut |e| match e {
                Expr::Load(b, index) => Some(Expr::Load(*b, other(index, r))),
                _ => None,
            });
        }
    });
}

/// Two loops change places in all distances.
fn swap_loops(nest: &mut Nest, r: &mut Random) {
    let all = loops(nest);
    let (a, b) = (r.of(&all), r.of(&all));
    slots(nest, &mut |slot| {
        if let SlotValue::Pointer(_, at) = slot {
            for (l, _) in &mut at.terms {
                *l = if *l == a {
                    b
                } else if *l == b {
                    a
                } else {
                    *l
                };
            }
        }
    });
}

/// A call gets another program.
fn leaf(nest: &mut Nest, r: &mut Random) {
    let leaves = nest.leaves.len();
    let each = |nest: &mut Nest, visit: &mut dyn FnMut(&mut usize)| {
        blocks(&mut nest.body, &mut |body| {
            for stmt in body {
                if let Stmt::Call { leaf, .. } = stmt {
                    visit(leaf);
                }
            }
        });
    };
    pick(nest, r, &each, &mut |leaf, r| *leaf = r.below(leaves));
}

fn instruction(nest: &mut Nest, r: &mut Random) {
    fn insts(body: &mut Vec<Inst>, visit: &mut dyn FnMut(&mut Vec<Inst>)) {
        visit(body);
        for inst in body {
            if let Inst::Loop { body, .. } = inst {
                insts(body, visit);
            }
        }
    }
    let each = |nest: &mut Nest, visit: &mut dyn FnMut(&mut Vec<Inst>)| {
        nest.leaves.iter_mut().for_each(|leaf| insts(&mut Arc::make_mut(leaf).body, visit));
    };
    // Mostly loads and stores near each other, the end of a leaf.
    pick(nest, r, &each, &mut |body, r| {
        let stores = |i: &usize| matches!(body[*i], Inst::Store { .. });
        let stores: Vec<usize> = (0..body.len()).filter(stores).collect();
        let i = if r.below(2) == 0 { r.below(body.len()) } else { r.of(&[&stores[..], &[0]].concat()) };
        match r.below(8) {
            _ if body.is_empty() => {}
            0 => {
                let j = r.below(body.len());
                body.swap(i, j);
            }
            1 => {
                body.remove(i);
            }
            2 => body.insert(r.below(body.len()), body[i].clone()),
            _ => amend(&mut body[i], r),
        }
    });
}

fn amend(inst: &mut Inst, r: &mut Random) {
    let moved = |a: &mut Address, r: &mut Random| a.bytes = r.bytes(a.bytes.into()) as i32;
    match inst {
        Inst::Load { from, lanes, .. } | Inst::Store { to: from, lanes, .. } => match r.below(3) {
            0 => *lanes = r.below(17) as u8,
            _ => moved(from, r),
        },
        Inst::Broadcast { from, .. } => moved(from, r),
        Inst::Fma { b: Operand::Memory(a) | Operand::Broadcast(a), .. }
        | Inst::Binary { b: Operand::Memory(a) | Operand::Broadcast(a), .. } => moved(a, r),
        Inst::Advance { by: Step::Bytes(bytes), .. } => *bytes = r.bytes((*bytes).into()) as i32,
        Inst::Offset { entry, .. } => *entry = r.below(9) as u16,
        Inst::Pointer { slot, .. } => slot.0 = r.below(6) as u16,
        _ => {}
    }
}
