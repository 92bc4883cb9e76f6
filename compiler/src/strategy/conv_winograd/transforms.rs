//! The transforms of tiles: leaf programs, tile by tile.

use octrt_ops::expr::{BufId, Expr};
use octrt_ops::{DType, TensorType};

use super::planes::{Planes, Tiles};
use crate::layout::Map;
use crate::leaf::programs::{Formula, OPERAND, OPERANDS, STEP, TileOperand, WinogradInput, WinogradOutput};
use crate::leaf::{Program, Width, registers};
use crate::nest::BufferRole;
use crate::nest::build::{Builder, Value};
use crate::nest::strides::Strides;
use crate::strategy::conv::ConvProblem;
use crate::strategy::refusal::{NO_FORMULA, Refusal, distance};
use crate::strategy::tail::Operand;

/// What the output transform reads beside its result.
pub(super) type Operands = Vec<(BufId, Operand)>;

/// Places of a tensor in bytes: from one row, pixel and block of channels to the next.
fn steps(o: &Operand, width: Width) -> [i64; 3] {
    match o {
        Operand::Map { map, .. } => {
            let of = Strides::of(map);
            [of.row, of.pixel, of.block]
        }
        Operand::Pixel(map) => [0, 0, Strides::of(map).block],
        Operand::Channel(_) | Operand::Product(_) => [0, 0, i64::from(width.bytes())],
    }
}

/// Which tiles: picture, first row of tiles and how many, and the block of channels where it is one.
pub(super) struct Of<'a> {
    pub(super) image: &'a Expr,
    pub(super) first: &'a Expr,
    pub(super) rows: usize,
    pub(super) block: Option<&'a Expr>,
}

impl Of<'_> {
    /// The first block, and how many the call does.
    fn blocks(&self, all: usize) -> (Expr, i64) {
        self.block.map_or((Expr::int(0), all as i64), |block| (block.clone(), 1))
    }
}

/// Writes transforms.
pub(super) struct Transforms<'a> {
    pub(super) p: &'a ConvProblem,
    pub(super) width: Width,
    pub(super) tiles: Tiles,
}

impl Transforms<'_> {
    fn vectors(&self, b: &mut Builder, n: usize, role: BufferRole) -> BufId {
        b.buffer(TensorType::new(DType::F32, [n * self.width.lanes() as usize]), role)
    }

    pub(super) fn bias(&self, b: &mut Builder) -> BufId {
        self.vectors(b, self.p.dst_blocks(), BufferRole::Src)
    }

    pub(super) fn operands(&self, b: &mut Builder) -> Operands {
        self.p.tail.operands.iter().map(|o| (b.buffer(o.ty(), BufferRole::Src), *o)).collect()
    }

    /// Room for the transform of a tile's columns.
    pub(super) fn temporary(&self, b: &mut Builder) -> BufId {
        let input = self.tiles.size.input();
        self.vectors(b, input * input, BufferRole::Scratch)
    }

    /// Calls `body` for every tile of a run: its row, its column, and its number in the chunk.
    fn each_tile(
        &self,
        b: &mut Builder,
        of: &Of<'_>,
        [(row0, rows, _), (column0, columns, _)]: [(usize, usize, usize); 2],
        body: impl Fn(&mut Builder, [Expr; 2], &Expr) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        b.each(rows, |b, r| {
            b.each(columns, |b, c| {
                let (row, column) = (r.clone() + Expr::int(row0), c.clone() + Expr::int(column0));
                let number = row.clone() * Expr::int(self.tiles.columns) + column.clone();
                body(b, [of.first.clone() + row, column], &number)
            })
        })
    }

    pub(super) fn input(
        &self,
        b: &mut Builder,
        (src, v, temporary): (BufId, Planes, BufId),
        of: &Of<'_>,
    ) -> Result<(), Refusal> {
        let (p, m, n) = (self.p, self.tiles.size.output(), self.tiles.size.input());
        let (src_strides, [_, v_block]) = (Strides::of(&p.src), v.strides(b));
        let halo = p.src.layout.halo;
        let all = of.rows == self.tiles.rows;
        let (block, blocks) = of.blocks(p.src_blocks());
        for run in self.tiles.runs(of.rows, all, &p.dst) {
            let [(row0, row_tiles, _), (column0, column_tiles, _)] = run;
            // A tile at an end of the map may hang over the input and its halo.
            let exists = |have: usize, tile: usize| have.saturating_sub(tile * m).min(n);
            let below = halo.top + p.src.h + halo.bottom - (halo.top - p.window.pads[1]);
            let beside = halo.left + p.src.w + halo.right - (halo.left - p.window.pads[2]);
            // Where rows are some of many, all of them are whole.
            let last_row = if all { row0 + row_tiles - 1 } else { 0 };
            let leaf = WinogradInput {
                width: self.width,
                size: self.tiles.size,
                rows: exists(below, last_row),
                columns: exists(beside, column0 + column_tiles - 1),
                row_bytes: distance(src_strides.row)?,
                pixel_bytes: distance(src_strides.pixel)?,
                plane_bytes: self.plane_bytes(b, v)?,
            };
            let program = leaf.program();
            self.each_tile(b, of, run, |b, [row, column], number| {
                let of_tile = |at: Expr, pad: usize| at * Expr::int(m) - Expr::int(pad);
                let pixel = [Expr::int(0), of_tile(row, p.window.pads[1]), of_tile(column, p.window.pads[2])];
                let from = p.src.index(of.image, &block, pixel);
                let to = v.index(of.image, &Expr::int(0), &block, number);
                b.call(program.clone(), &|name| match name {
                    "src" => Some(Value::At(src, from.clone())),
                    "dst" => Some(Value::At(v.buffer, to.clone())),
                    "scratch" => Some(Value::At(temporary, vec![Expr::int(0)])),
                    "blocks" => Some(Value::Number(blocks)),
                    "src_step" => Some(Value::Number(src_strides.block)),
                    "dst_step" => Some(Value::Number(v_block)),
                    _ => None,
                })
            })?;
        }
        Ok(())
    }

    /// Bytes from one element of the transforms to the next, all of which a leaf program reaches.
    fn plane_bytes(&self, b: &Builder, planes: Planes) -> Result<i32, Refusal> {
        let [element, _] = planes.strides(b);
        let elements = self.tiles.size.input() * self.tiles.size.input();
        distance(element * elements as i64)?;
        distance(element)
    }

    fn output_program(&self, plane_bytes: i32, [rows, columns]: [usize; 2]) -> Result<Program, Refusal> {
        let (p, dst) = (self.p, Strides::of(&self.p.dst));
        let operand = |o: &Operand| {
            let [row, pixel, _] = steps(o, self.width);
            let repeat = if let Operand::Map { repeat, .. } = o { *repeat } else { 1 };
            Ok::<_, Refusal>(TileOperand { row_bytes: distance(row)?, pixel_bytes: distance(pixel)?, repeat })
        };
        let formula = Formula::of_buffers(&p.tail.value).ok_or(Refusal::Unfit(NO_FORMULA))?;
        let leaf = WinogradOutput {
            width: self.width,
            size: self.tiles.size,
            rows,
            columns,
            plane_bytes,
            row_bytes: distance(dst.row)?,
            pixel_bytes: distance(dst.pixel)?,
            formula,
            operands: p.tail.operands.iter().map(operand).collect::<Result<_, _>>()?,
        };
        let program = leaf.program();
        registers::allocate(&program).map_err(|_| Refusal::Registers)?;
        Ok(program)
    }

    pub(super) fn output(
        &self,
        b: &mut Builder,
        (m, bias, operands, dst, temporary): (Planes, BufId, &Operands, BufId, BufId),
        of: &Of<'_>,
    ) -> Result<(), Refusal> {
        let (p, step) = (self.p, self.tiles.size.output());
        let (plane_bytes, [_, m_block]) = (self.plane_bytes(b, m)?, m.strides(b));
        let (block, blocks) = of.blocks(p.dst_blocks());
        for run in self.tiles.runs(of.rows, of.rows == self.tiles.rows, &p.dst) {
            let program = self.output_program(plane_bytes, run.map(|axis| axis.2))?;
            self.each_tile(b, of, run, |b, [row, column], number| {
                let from = m.index(of.image, &Expr::int(0), &block, number);
                let place = |map: &Map, step: usize| {
                    let pixel =
                        [Expr::int(0), row.clone() * Expr::int(step), column.clone() * Expr::int(step)];
                    map.index(of.image, &block, pixel)
                };
                let lanes = Expr::int(self.width.lanes());
                let channel = block.clone() * lanes.clone();
                let read = |(buffer, o): &(BufId, Operand)| {
                    let at = match o {
                        Operand::Map { map, repeat } => place(map, step / repeat),
                        Operand::Pixel(map) => place(map, 0),
                        Operand::Channel(_) | Operand::Product(_) => vec![channel.clone()],
                    };
                    Some(Value::At(*buffer, at))
                };
                let numbered = |names: [&str; OPERANDS], name: &str| {
                    operands.get(names.iter().position(|n| *n == name)?)
                };
                b.call(program.clone(), &|name| match name {
                    "src" => Some(Value::At(m.buffer, from.clone())),
                    "dst" => Some(Value::At(dst, place(&p.dst, step))),
                    "scratch" => Some(Value::At(temporary, vec![Expr::int(0)])),
                    "bias" => Some(Value::At(bias, vec![channel.clone()])),
                    "blocks" => Some(Value::Number(blocks)),
                    "src_step" => Some(Value::Number(m_block)),
                    "dst_step" => Some(Value::Number(Strides::of(&p.dst).block)),
                    name => numbered(OPERAND, name).and_then(read).or_else(|| {
                        let [.., step] = steps(&numbered(STEP, name)?.1, self.width);
                        Some(Value::Number(step))
                    }),
                })
            })?;
        }
        Ok(())
    }
}
