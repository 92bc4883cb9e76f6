use crate::nest::samples::{Sample, conv, copy, f32s, loop_, pad};
use octrt_ops::TensorType;

use super::*;
use crate::nest::{Buffer, BufferRole, Form, Role};
use octrt_ops::expr::Expr;
use octrt_ops::{DType, OpError};

fn message(k: &Sample) -> String {
    verify(&k.nest()).expect_err("the nest breaks a rule").to_string()
}

/// The message for the convolution after a change.
fn broken(change: impl FnOnce(&mut Sample)) -> String {
    let mut k = conv();
    change(&mut k);
    message(&k)
}

fn v(i: usize) -> Expr {
    Expr::var(i)
}

fn c(i: i64) -> Expr {
    Expr::int(i)
}

#[test]
fn samples_keep_the_rules() {
    assert_eq!(verify(&conv().nest()), Ok(()));
    assert_eq!(verify(&pad().nest()), Ok(()));
}

#[test]
fn rules_on_loops() {
    type Case = (&'static str, fn(&mut Sample));
    let cases: [Case; 9] = [
        ("loop L0: expected an id of its own", |k| k.loops[1].id = VarId(0)),
        ("loop L1: expected an extent of 1 or more, found 0", |k| k.loops[1].extent = 0),
        ("loop L1: expected an extent of 1 or more", |k| k.loops[1].extent = usize::MAX),
        ("found vector", |k| k.loops[3].form = Form::Vector),
        ("loop L2: expected a vector loop to be the innermost", |k| k.loops[2].form = Form::Vector),
        ("loop L2: expected a parallel loop to be the outermost", |k| k.loops[2].form = Form::Parallel),
        ("loop L2: expected an unrolled or vector loop", |k| k.loops.swap(2, 3)),
        ("found a reduce loop and no reduction", |k| k.reduce = None),
        ("found a reduction and no reduce loop", |k| k.loops.truncate(3)),
    ];
    for (expected, change) in cases {
        assert!(broken(change).contains(expected), "{expected}: {}", broken(change));
    }
    let mut vector = copy(3, &[3], v(0));
    vector.loops[0].form = Form::Vector;
    assert!(message(&vector).contains("to have extent 4, found 3"));
    let held = broken(|k| {
        k.loops.rotate_right(3);
        k.loops[3..].iter_mut().for_each(|l| l.form = Form::Unrolled);
    });
    assert!(held.contains("expected 64 accumulators or fewer"), "{held}");
}

#[test]
fn lanes_are_stored_side_by_side() {
    // One store writes all lanes: with any other stride it would write beside the elements that are proven in bounds.
    let cases = [
        (copy(1, &[4], c(0)), "to store its lanes side by side, found a stride of 0"),
        (copy(8, &[2, 4], v(0) + v(1) * c(2)), "to store its lanes side by side, found a stride of 2"),
        (copy(2, &[4], v(0).min(c(1))), "to store its lanes side by side, found a stride that varies"),
        (copy(4, &[4], v(0)), "to store f32 or what an i32 holds, found i64"),
        (copy(8, &[2, 4], v(0) * c(4) + v(1)), ""),
    ];
    for (mut k, expected) in cases {
        if let Some(l) = k.loops.last_mut() {
            l.form = Form::Vector;
        }
        if expected.contains("i64") {
            k.buffers.iter_mut().for_each(|b| b.ty.dtype = DType::I64);
        }
        let found = verify(&k.nest()).err().map_or(String::new(), |e| e.to_string());
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
    }
}

#[test]
fn rules_on_buffers() {
    assert!(broken(|k| k.dst = BufId(9)).contains("expected one written buffer, found 0"));
    assert!(broken(|k| k.dst = BufId(3)).contains("only loads from buffers that are read"));
    assert!(broken(|k| k.buffers[0] = f32s([usize::MAX, 2])).contains("can be addressed"));
    assert!(broken(|k| k.buffers[0].range = Some((0, 1))).contains("a range on f32"));
    let mut k = copy(4, &[4], v(0));
    k.buffers.iter_mut().for_each(|b| b.ty.dtype = DType::I64);
    k.buffers[0].range = Some((0, 3));
    k.buffers[1].range = Some((0, 3));
    assert_eq!(verify(&k.nest()), Ok(()));
    k.buffers[1].range = Some((0, 2));
    assert!(message(&k).contains("stored values proven to be in its range, found 0..3"));
    k.buffers[0].range = Some((3, 0));
    assert!(message(&k).contains("a range of numbers of its type"));
}

#[test]
fn rules_on_expressions() {
    assert!(
        broken(|k| k.index[0] = v(9)).contains("index 0: expected a loop around the definition, found L9")
    );
    assert!(broken(|k| k.index[0] = v(3)).contains("index 0: expected no reduce loop, found L3"));
    assert!(broken(|k| k.body = Expr::Acc).contains("body: expected `acc` only in `finish`"));
    assert!(broken(|k| k.body = Expr::load(BufId(7), [])).contains("a buffer of the nest, found b7"));
    assert!(broken(|k| k.body = Expr::f32(1.0) + c(1)).contains("operands of type f32 and i64"));
    assert!(broken(|k| k.body = c(1)).contains("init: expected i64, found f32"));
    assert!(broken(|k| k.reduce.as_mut().unwrap().finish = c(1)).contains("finish: expected f32, found i64"));
    assert!(broken(|k| k.body = Expr::load(BufId(3), [])).contains("index of b3 with 1 dimensions, found 0"));
    assert!(broken(|k| k.index.truncate(2)).contains("index of b2 with 3 dimensions, found 2"));
}

#[test]
fn loads_and_stores_are_in_bounds() {
    let short = broken(|k| k.buffers[0] = f32s([3, 6, 8]));
    assert_eq!(
        short,
        "nest 'conv': body: index `add(L1, L4)` of b0 in dimension 1 lies in 0..=6, the extent is 6"
    );
    let below = broken(|k| k.reduce.as_mut().unwrap().init = Expr::load(BufId(3), [v(0) - c(1)]));
    assert!(below.contains("init: index `sub(L0, 1)` of b3 in dimension 0 lies in -1..=6"), "{below}");
    let store = message(&copy(4, &[5], v(0)));
    assert!(store.contains("store: index `L0` of b1 in dimension 0 lies in 0..=4"), "{store}");
    let mut nested = copy(4, &[4], v(0));
    nested.buffers.push(Buffer::new(TensorType::new(DType::I64, [4]), BufferRole::Src));
    nested.body = Expr::load(BufId(0), [Expr::load(BufId(2), [v(0)])]);
    assert!(message(&nested).contains("of b0 in dimension 0 lies in"));
    nested.buffers[2].range = Some((0, 3));
    assert_eq!(verify(&nested.nest()), Ok(()));
}

#[test]
fn covered_forms() {
    let cases = [
        copy(12, &[3, 4], v(0) * c(4) + v(1)),
        copy(12, &[4, 3], v(0) + v(1) * c(4)),
        copy(24, &[2, 3, 4], v(0) * c(12) + (v(1) * c(4) + v(2))),
        // 10 in tiles of 4, of which two overlap; then tiles of tiles.
        copy(10, &[3, 4], (v(0) * c(4)).min(c(6)) + v(1)),
        copy(10, &[4, 3], v(0) + (v(1) * c(4)).min(c(6))),
        copy(10, &[3, 2, 2], (v(0) * c(4)).min(c(6)) + (v(1) * c(2) + v(2))),
        copy(10, &[3, 2, 3], (v(0) * c(4)).min(c(6)) + ((v(1) * c(3)).min(c(1)) + v(2))),
        copy(20, &[2, 3, 4], v(0) * c(10) + ((v(1) * c(4)).min(c(6)) + v(2))),
        // A fused loop, and one that is split where its parts do not separate.
        copy(12, &[12], v(0) / c(4) * c(4) + v(0) % c(4)),
        copy(1, &[1, 1], c(0)),
        copy(4, &[4, 7], v(0)),
        copy(2, &[4], v(0).min(c(1))),
    ];
    for k in cases {
        assert_eq!(verify(&k.nest()), Ok(()), "{}", k.index[0]);
    }
}

#[test]
fn uncovered_forms() {
    let cases = [
        copy(12, &[3, 3], v(0) * c(4) + v(1)),
        copy(12, &[11], v(0)),
        copy(12, &[6, 2], v(0) * c(2) + v(0) % c(2)),
        copy(12, &[3, 4], (v(0) * c(4)).min(c(7)) + v(1)),
        copy(12, &[3, 4], (v(0) * c(5)).min(c(8)) + v(1)),
        copy(12, &[12], c(11) - v(0)),
        copy(4, &[4], v(0) * v(0) % c(4)),
        copy(12, &[4, 3], v(0) * c(3) + v(0) % c(3)),
        copy(12, &[24], v(0) / c(2) % c(5)),
        copy(2, &[4], v(0) % c(0)),
    ];
    for k in cases {
        assert!(verify(&k.nest()).is_err(), "{}", k.index[0]);
    }
    let twice = broken(|k| {
        k.index[1] = v(0);
        k.buffers[2] = f32s([8, 8, 6]);
    });
    assert!(
        twice.ends_with("not every element of b2 is proven to be defined: L0 chooses an index twice"),
        "{twice}"
    );
}

/// A 7 x 7 map as one loop of 49, in tiles of `tile`.
fn flat_map(tiles: usize, tile: usize) -> Sample {
    let (step, all) = (v(0) * c(tile as i64), c(49 - tile as i64));
    let x = if tiles * tile == 49 { step } else { step.min(all) } + v(1);
    let mut k = copy(49, &[tiles, tile], x.clone());
    k.buffers.iter_mut().for_each(|b| *b = f32s([7, 7]));
    k.index = vec![x.clone() / c(7), x % c(7)];
    k.body = Expr::load(BufId(0), k.index.clone());
    k
}

#[test]
fn iterations_that_overlap_agree() {
    for k in [flat_map(9, 6), flat_map(7, 7), flat_map(13, 4)] {
        assert_eq!(verify(&k.nest()), Ok(()));
    }
    let mut k = flat_map(9, 6);
    k.body = Expr::load(BufId(0), [v(1), c(0)]);
    assert!(message(&k).contains("loop L1: its iterations may write the same elements, but `b0[L1, 0]`"));
    let mut spare = copy(4, &[4, 7], v(0));
    spare.body = v(1).cast(DType::F32);
    assert!(message(&spare).contains("loop L1"));
}

#[test]
fn threads_write_different_elements() {
    let parallel = |mut k: Sample| {
        k.loops[0].form = Form::Parallel;
        verify(&k.nest())
    };
    assert_eq!(parallel(conv()), Ok(()));
    assert_eq!(parallel(copy(12, &[3, 4], v(0) * c(4) + v(1))), Ok(()));
    // 196 = 14 x 14 as 49 tiles of 4, which are not parts of rows.
    let x = v(0) * c(4) + v(1);
    let mut tiles = copy(196, &[49, 4], x.clone());
    tiles.buffers.iter_mut().for_each(|b| *b = f32s([14, 14]));
    tiles.index = vec![x.clone() / c(14), x % c(14)];
    tiles.body = Expr::load(BufId(0), tiles.index.clone());
    assert_eq!(parallel(tiles), Ok(()));
    assert!(parallel(flat_map(9, 6)).unwrap_err().to_string().contains("run on different threads"));
    assert!(parallel(copy(4, &[7, 4], v(1))).is_err());
    let one =
        Sample { loops: vec![loop_(0, 1, Role::Data), loop_(1, 4, Role::Data)], ..copy(4, &[1, 4], v(1)) };
    assert_eq!(parallel(one), Ok(()));
}

/// A few small numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn expr(&mut self, depth: u64) -> Expr {
        let factor = c(1 + self.below(4) as i64);
        match self.below(if depth == 0 { 1 } else { 6 }) {
            0 => v(self.below(3) as usize),
            1 => self.expr(depth - 1) * factor,
            2 => self.expr(depth - 1) / factor,
            3 => self.expr(depth - 1) % factor,
            4 => self.expr(depth - 1).min(c(self.below(12) as i64)),
            _ => self.expr(depth - 1) + self.expr(depth - 1),
        }
    }
}

/// The value of an expression of [`Numbers::expr`].
fn value(e: &Expr, at: &[i64]) -> i64 {
    struct At<'a>(&'a [i64]);
    impl octrt_ops::expr::Env for At<'_> {
        fn var(&self, v: VarId) -> i64 {
            self.0[v.0 as usize]
        }
        fn load(&self, b: BufId, _: &[i64]) -> Result<octrt_ops::expr::Scalar, OpError> {
            Err(OpError::Invalid(b.to_string()))
        }
    }
    match octrt_ops::expr::eval(e, &At(at)) {
        Ok(octrt_ops::expr::Scalar::I64(v)) => v,
        other => panic!("`{e}` is {other:?}"),
    }
}

#[test]
fn proofs_hold_in_every_iteration() {
    let mut numbers = Numbers(1);
    let mut proven = 0;
    for _ in 0..60_000 {
        let extents: Vec<usize> = (0..3).map(|_| 1 + numbers.below(4) as usize).collect();
        let (a, b) = (numbers.expr(3), numbers.expr(2));
        let all = octrt_ops::Shape::new(extents.clone());
        let points: Vec<Vec<i64>> = all.indices().map(|i| i.iter().map(|&i| i as i64).collect()).collect();
        let mut k = copy(1, &extents, a.clone());
        k.index.push(b.clone());
        let most = |e| points.iter().map(|at| value(e, at)).max().unwrap_or(0) as usize + 1;
        k.buffers.iter_mut().for_each(|buffer| *buffer = f32s([most(&a), most(&b)]));
        k.loops[0].form = Form::Parallel;
        let body = if numbers.below(2) == 0 { a.clone() } else { numbers.expr(2) };
        k.body = body.clone().cast(DType::F32);
        if verify(&k.nest()).is_err() {
            continue;
        }
        proven += 1;
        let mut written = std::collections::BTreeMap::new();
        for at in &points {
            let found = (at[0], value(&body, at));
            let first = *written.entry((value(&a, at), value(&b, at))).or_insert(found);
            assert_eq!(first, found, "a={a} b={b} body={body} {extents:?}");
        }
        assert_eq!(written.len(), k.buffers[1].ty.shape.numel(), "a={a} b={b} {extents:?}");
    }
    assert!(proven > 300, "{proven} nests were proven");
}
