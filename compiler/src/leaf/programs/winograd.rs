//! Transforms of Winograd's minimal filtering for 3x3 kernels (Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2015).

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::builder::Builder;
use super::formula::{Formula, From, OPERAND, OPERANDS};
use super::{Advance, Axis};
use crate::leaf::{Address, BinaryOp, Operand, Program, PtrId, VecId, Width};

/// The size of the output of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Winograd {
    /// F(2x2, 3x3): tiles of 4x4, interpolated at 0, 1, -1.
    F2,
    /// F(4x4, 3x3): tiles of 6x6, interpolated at 0, +-a, +-2a for `a` the root of 1/2.
    ///
    /// Of points `0, +-a, +-b` these are near the least error (sums of up to 128 products in f32, maps of 56x56 to 7x7 with
    /// 64 to 512 channels), and half the numbers of the transforms are 1, 1/2, 2 and 5/2:
    ///
    /// | a, b | largest error / root mean square | root mean square of the error |
    /// |---|---|---|
    /// | 1, 2 | 1.5e-5 | 1.2e-6 |
    /// | 1/2, 1 | 1.5e-5 | 1.3e-6 |
    /// | 2/3, 4/3 | 4.6e-6 | 6.4e-7 |
    /// | 3/4, 3/2 | 4.2e-6 | 6.2e-7 |
    /// | root of 1/2, root of 2 | 4.5e-6 | 6.2e-7 |
    /// | 11/16, 3/2 (least of 168) | 4.4e-6 | 6.0e-7 |
    F4,
}

impl Winograd {
    /// Rows and columns of the output of a tile.
    pub fn output(self) -> usize {
        match self {
            Winograd::F2 => 2,
            Winograd::F4 => 4,
        }
    }

    /// Rows and columns of the input of a tile, and of its transform.
    pub fn input(self) -> usize {
        self.output() + 2
    }

    /// `G`: the transform of a kernel `g` that belongs to the other two is `G g G^T`.
    pub fn kernel(self) -> &'static [[f64; 3]] {
        const F2: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
        const F4: [[f64; 3]; 6] = [
            [1.0, 0.0, 0.0],
            [-SQRT_2 / 3.0, -1.0 / 3.0, -SQRT_2 / 6.0],
            [-SQRT_2 / 3.0, 1.0 / 3.0, -SQRT_2 / 6.0],
            [1.0 / 3.0, SQRT_2 / 3.0, 2.0 / 3.0],
            [1.0 / 3.0, -SQRT_2 / 3.0, 2.0 / 3.0],
            [0.0, 0.0, 1.0],
        ];
        match self {
            Winograd::F2 => &F2,
            Winograd::F4 => &F4,
        }
    }
}

/// `dst = B^T src B` of one tile for each of `blocks` (a count slot) vectors of channels.
///
/// Element `(i, j)` of the tile at `src + i * row_bytes + j * pixel_bytes`, and those outside `rows x columns` are 0;
/// element `(i, j)` of the transform at `dst + (i * input + j) * plane_bytes`. Stride slots `src_step` and `dst_step`
/// lead from one block to the next. The pointer slot `scratch` has room for `input * input` vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct WinogradInput {
    /// Width of the vectors.
    pub width: Width,
    /// The algorithm.
    pub size: Winograd,
    /// Rows of the tile that exist.
    pub rows: usize,
    /// Columns of the tile that exist.
    pub columns: usize,
    /// From one row of the input to the next.
    pub row_bytes: i32,
    /// From one pixel of the input to the next.
    pub pixel_bytes: i32,
    /// From one element of the transform to the next.
    pub plane_bytes: i32,
}

/// A tensor that the formula of an output tile reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileOperand {
    /// From one row to the next.
    pub row_bytes: i32,
    /// From one pixel to the next.
    pub pixel_bytes: i32,
    /// Rows and columns that share a pixel: 1, or 2 for the low-resolution half of an OctConv.
    pub repeat: usize,
}

/// `dst = formula(A^T src A + bias, operands)` of one tile for each of `blocks` (a count slot) vectors of channels.
///
/// Element `(i, j)` of the transform at `src + (i * input + j) * plane_bytes`; element `(i, j)` of the output at
/// `dst + i * row_bytes + j * pixel_bytes`, and those outside `rows x columns` are not stored; element
/// `(i / repeat, j / repeat)` of operand `k`, at the slot [`OPERAND`]`[k]`, likewise. Stride slots `src_step`, `dst_step` and
/// [`STEP`]`[k]` lead from one block to the next; `bias` has one vector per block. The pointer slot `scratch` has room for
/// `input * output` vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct WinogradOutput {
    /// Width of the vectors.
    pub width: Width,
    /// The algorithm.
    pub size: Winograd,
    /// Rows of the output that are stored.
    pub rows: usize,
    /// Columns of the output that are stored.
    pub columns: usize,
    /// From one element of the transform to the next.
    pub plane_bytes: i32,
    /// From one row of the output to the next.
    pub row_bytes: i32,
    /// From one pixel of the output to the next.
    pub pixel_bytes: i32,
    /// What is computed of the output and of the operands.
    pub formula: Formula,
    /// Tensors that the formula reads.
    pub operands: Vec<TileOperand>,
}

/// Names of the stride slots of the operands.
pub const STEP: [&str; OPERANDS] =
    ["operand0_step", "operand1_step", "operand2_step", "operand3_step", "operand4_step", "operand5_step"];

impl TileOperand {
    fn element(self, base: PtrId, [i, j]: [usize; 2]) -> Address {
        let (repeat, pixels) =
            (self.repeat.max(1), Matrix { base, row_bytes: self.row_bytes, column_bytes: self.pixel_bytes });
        pixels.at(i / repeat, j / repeat)
    }
}

/// A matrix in memory: element `(i, j)` at `base + i * row_bytes + j * column_bytes`.
#[derive(Clone, Copy)]
struct Matrix {
    base: PtrId,
    row_bytes: i32,
    column_bytes: i32,
}

impl Matrix {
    fn at(self, i: usize, j: usize) -> Address {
        Address::new(self.base, i as i32 * self.row_bytes + j as i32 * self.column_bytes)
    }
}

/// One step of an axis whose stride slot is `{name}_step`.
fn step(b: &mut Builder, ptr: PtrId, name: &'static str) {
    b.step(ptr, &Axis { name, src: Advance::Slot });
}

impl WinogradInput {
    /// The program.
    pub fn program(&self) -> Program {
        let (n, bytes) = (self.size.input(), self.width.bytes());
        let mut b = Builder::new(format!("winograd_input_{}x{n}", self.size.output()), self.width);
        let (src, dst, scratch) = (b.pointer("src"), b.pointer("dst"), b.pointer("scratch"));
        let from = Matrix { base: src, row_bytes: self.row_bytes, column_bytes: self.pixel_bytes };
        let half = Matrix { base: scratch, row_bytes: n as i32 * bytes, column_bytes: bytes };
        let to = Matrix { base: dst, row_bytes: n as i32 * self.plane_bytes, column_bytes: self.plane_bytes };
        let transform = InputTransform::new(&mut b, self.size);
        b.repeat("blocks", |b| {
            for j in 0..n {
                let load = |b: &mut Builder, i| match i < self.rows && j < self.columns {
                    true => b.load(from.at(i, j)),
                    false => b.zero(),
                };
                transform.write(b, &load, &|i| half.at(i, j));
            }
            for i in 0..n {
                transform.write(b, &|b, j| b.load(half.at(i, j)), &|j| to.at(i, j));
            }
            step(b, src, "src");
            step(b, dst, "dst");
        });
        b.finish()
    }
}

impl WinogradOutput {
    /// The program.
    pub fn program(&self) -> Program {
        let (m, n, bytes) = (self.size.output(), self.size.input(), self.width.bytes());
        let full = self.width.lanes() as u8;
        let mut b = Builder::new(format!("winograd_output_{m}x{n}"), self.width);
        let (src, dst, scratch) = (b.pointer("src"), b.pointer("dst"), b.pointer("scratch"));
        let pointers: Vec<PtrId> =
            OPERAND.iter().take(self.operands.len()).map(|name| b.pointer(name)).collect();
        let biases = b.pointer("bias");
        let from =
            Matrix { base: src, row_bytes: n as i32 * self.plane_bytes, column_bytes: self.plane_bytes };
        let half = Matrix { base: scratch, row_bytes: n as i32 * bytes, column_bytes: bytes };
        let to = Matrix { base: dst, row_bytes: self.row_bytes, column_bytes: self.pixel_bytes };
        let constants = self.formula.constants(&mut b);
        let transform = OutputTransform::new(&mut b, self.size);
        b.repeat("blocks", |b| {
            for j in 0..n {
                transform.write(b, &|i| from.at(i, j), &mut |b, i, x| b.store(half.at(i, j), full, x));
            }
            let bias = b.load(Address::new(biases, 0));
            for i in 0..m.min(self.rows) {
                transform.write(b, &|j| half.at(i, j), &mut |b, j, x| {
                    if j >= self.columns {
                        return;
                    }
                    b.assign(x, BinaryOp::Add, x, Operand::Vector(bias));
                    let x = self.formula.write(b, &constants, Some(x), &mut |b, k| match pointers
                        .get(k)
                        .zip(self.operands.get(k))
                    {
                        Some((base, o)) => From::Memory(o.element(*base, [i, j]), full),
                        None => From::Held(b.zero()),
                    });
                    b.store(to.at(i, j), full, x);
                });
            }
            step(b, src, "src");
            step(b, dst, "dst");
            pointers.iter().zip(OPERAND).for_each(|(p, name)| step(b, *p, name));
            b.advance(biases, bytes);
        });
        b.finish()
    }
}

/// Multiplication of a column by `B^T`, with its constants in registers.
///
/// F4, with `r` the root of 2:
///
/// ```text
/// 1    0  -5/2    0  1  0
/// 0   -r    -2  r/2  1  0
/// 0    r    -2 -r/2  1  0
/// 0 -r/2  -1/2    r  1  0
/// 0  r/2  -1/2   -r  1  0
/// 0    1     0 -5/2  0  1
/// ```
enum InputTransform {
    F2,
    F4 { middle: VecId, near: Pair, far: Pair },
}

/// The constants of a point and its opposite: `x4 + factor * x2 +- point * (x3 + factor * x1)`.
#[derive(Clone, Copy)]
struct Pair {
    factor: VecId,
    point: VecId,
    opposite: VecId,
}

impl Pair {
    fn new(b: &mut Builder, factor: f32, point: f64) -> Pair {
        let [point, opposite] = [point, -point].map(|x| b.splat(x as f32));
        Pair { factor: b.splat(factor), point, opposite }
    }
}

impl InputTransform {
    fn new(b: &mut Builder, size: Winograd) -> InputTransform {
        match size {
            Winograd::F2 => InputTransform::F2,
            Winograd::F4 => InputTransform::F4 {
                middle: b.splat(-2.5),
                near: Pair::new(b, -2.0, FRAC_1_SQRT_2),
                far: Pair::new(b, -0.5, SQRT_2),
            },
        }
    }

    /// Reads the elements of a column and writes those of the product.
    fn write(
        &self,
        b: &mut Builder,
        load: &dyn Fn(&mut Builder, usize) -> VecId,
        to: &dyn Fn(usize) -> Address,
    ) {
        let full = b.width().lanes() as u8;
        match *self {
            InputTransform::F2 => {
                let d: [VecId; 4] = std::array::from_fn(|i| load(b, i));
                let rows = [
                    (BinaryOp::Sub, 0, 2),
                    (BinaryOp::Add, 1, 2),
                    (BinaryOp::Sub, 2, 1),
                    (BinaryOp::Sub, 1, 3),
                ];
                for (i, (op, x, y)) in rows.into_iter().enumerate() {
                    let v = b.binary(op, d[x], d[y]);
                    b.store(to(i), full, v);
                }
            }
            InputTransform::F4 { middle, near, far } => {
                let d: [VecId; 6] = std::array::from_fn(|i| load(b, i));
                let outer = |b: &mut Builder, row: usize, [x, y, z]: [VecId; 3]| {
                    let v = b.binary(BinaryOp::Add, x, z);
                    b.fma(v, y, Operand::Vector(middle));
                    b.store(to(row), full, v);
                };
                outer(b, 0, [d[0], d[2], d[4]]);
                outer(b, 5, [d[1], d[3], d[5]]);
                let both = |b: &mut Builder, row: usize, [even, odd]: [VecId; 2], p: Pair| {
                    let v = b.sum(even, &[(odd, p.point)]);
                    b.store(to(row), full, v);
                    b.fma(even, odd, Operand::Vector(p.opposite));
                    b.store(to(row + 1), full, even);
                };
                let pair = [(d[4], d[2]), (d[3], d[1])].map(|(x, y)| b.sum(x, &[(y, near.factor)]));
                both(b, 1, pair, near);
                b.fma(d[4], d[2], Operand::Vector(far.factor));
                b.fma(d[3], d[1], Operand::Vector(far.factor));
                both(b, 3, [d[4], d[3]], far);
            }
        }
    }
}

/// Multiplication of a column by `A^T`, with its constants in registers.
///
/// F4, with `r` the root of 2:
///
/// ```text
/// 1   r    r  1/2  1/2  0
/// 0   1   -1  r/2 -r/2  0
/// 0 r/2  r/2    1    1  0
/// 0 1/2 -1/2    r   -r  1
/// ```
enum OutputTransform {
    F2,
    F4 { half: VecId, half_root: VecId, root: VecId },
}

impl OutputTransform {
    fn new(b: &mut Builder, size: Winograd) -> OutputTransform {
        match size {
            Winograd::F2 => OutputTransform::F2,
            Winograd::F4 => OutputTransform::F4 {
                half: b.splat(0.5),
                half_root: b.splat(FRAC_1_SQRT_2 as f32),
                root: b.splat(SQRT_2 as f32),
            },
        }
    }

    /// Reads the elements of a column and hands each element of the product to `with`.
    fn write(
        &self,
        b: &mut Builder,
        from: &dyn Fn(usize) -> Address,
        with: &mut dyn FnMut(&mut Builder, usize, VecId),
    ) {
        let pair = |b: &mut Builder, i: usize| {
            let (x, y) = (b.load(from(i)), b.load(from(i + 1)));
            (b.binary(BinaryOp::Add, x, y), b.binary(BinaryOp::Sub, x, y))
        };
        let (sum, difference) = pair(b, 1);
        match *self {
            OutputTransform::F2 => {
                b.assign(sum, BinaryOp::Add, sum, Operand::Memory(from(0)));
                with(b, 0, sum);
                b.assign(difference, BinaryOp::Sub, difference, Operand::Memory(from(3)));
                with(b, 1, difference);
            }
            OutputTransform::F4 { half, half_root, root } => {
                let (far_sum, far_difference) = pair(b, 3);
                let first = b.load(from(0));
                b.fma(first, sum, Operand::Vector(root));
                b.fma(first, far_sum, Operand::Vector(half));
                with(b, 0, first);
                b.fma(far_sum, sum, Operand::Vector(half_root));
                with(b, 2, far_sum);
                let last = b.load(from(5));
                b.fma(last, difference, Operand::Vector(half));
                b.fma(last, far_difference, Operand::Vector(root));
                with(b, 3, last);
                b.fma(difference, far_difference, Operand::Vector(half_root));
                with(b, 1, difference);
            }
        }
    }
}
