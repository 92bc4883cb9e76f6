//! The transforms of tiles: leaf programs, tile by tile.

use octrt_ops::expr::{BufId, Expr};
use octrt_ops::{DType, TensorType};

use super::planes::{Planes, Run, Tiles};
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

/// A tile.
struct Tile {
    plane: Expr,
    /// The grids of rows and of columns that it is of.
    grid: [Expr; 2],
    /// Row and column of tiles in its grid.
    tile: [Expr; 2],
    /// Its number in the chunk.
    number: Expr,
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

    /// Calls `body` for every tile of a run in each of so many planes.
    fn each_tile(
        &self,
        b: &mut Builder,
        of: &Of<'_>,
        (planes, [rows, columns]): (usize, [Run; 2]),
        body: impl Fn(&mut Builder, &Tile) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let across = self.tiles.extents()[1];
        // The grid, the tile in it, and the tile of all along the axis.
        let along = |run: &Run, grid: &Expr, tile: &Expr| {
            let tile = tile.clone() + Expr::int(run.tiles.0);
            let number = match run.grids.1 {
                1 => tile.clone() + Expr::int(run.before.0),
                _ => grid.clone() * Expr::int(run.before.1) + tile.clone() + Expr::int(run.before.0),
            };
            let grid = if run.grids.0 == 0 { grid.clone() } else { grid.clone() + Expr::int(run.grids.0) };
            (grid, tile, number)
        };
        b.each(planes, |b, plane| {
            b.each(rows.grids.1, |b, row_grid| {
                b.each(columns.grids.1, |b, column_grid| {
                    b.each(rows.tiles.1, |b, r| {
                        b.each(columns.tiles.1, |b, c| {
                            let (row_grid, row, in_row) = along(&rows, row_grid, r);
                            let (column_grid, column, in_column) = along(&columns, column_grid, c);
                            let number = in_row * Expr::int(across) + in_column;
                            let number = match planes {
                                1 => number,
                                _ => plane.clone() * Expr::int(of.rows * across) + number,
                            };
                            let tile = [of.first.clone() + row, column];
                            body(
                                b,
                                &Tile { plane: plane.clone(), grid: [row_grid, column_grid], tile, number },
                            )
                        })
                    })
                })
            })
        })
    }

    /// The first pixel of a tile on a map of which a tile has `step` rows and columns.
    fn pixel(&self, at: &Tile, step: usize) -> [Expr; 3] {
        let [row, column] = [0, 1].map(|i| {
            let (count, tile) = (self.tiles.axes[i].count, &at.tile[i]);
            match count {
                1 => tile.clone() * Expr::int(step),
                _ => at.grid[i].clone() + tile.clone() * Expr::int(step * count),
            }
        });
        [at.plane.clone(), row, column]
    }

    pub(super) fn input(
        &self,
        b: &mut Builder,
        (src, v, temporary): (BufId, Planes, BufId),
        of: &Of<'_>,
    ) -> Result<(), Refusal> {
        let (p, m, n) = (self.p, self.tiles.size.output(), self.tiles.size.input());
        let (src_strides, [_, v_block]) = (Strides::of(&p.src), v.strides(b));
        let [_, rows, columns] = p.window.dilations;
        let [_, (_, below), (_, beside)] = p.src.layout.halo.ends();
        let [_, above, before] = p.window.pads;
        let all = of.rows == self.tiles.extents()[0];
        let (block, blocks) = of.blocks(p.src_blocks());
        for run in self.tiles.runs(of.rows) {
            // A tile at an end of the map may hang over the input and its halo: of how many rows some lie in both, counted
            // from the first that a window of the last grid sees.
            let exists = |run: &Run, have: usize, dilation: usize| {
                let (first, last) = (run.grids.0 + run.grids.1 - 1, run.tiles.0 + run.tiles.1 - 1);
                have.saturating_sub(first + last * m * dilation).div_ceil(dilation).min(n)
            };
            let leaf = WinogradInput {
                width: self.width,
                size: self.tiles.size,
                // Where rows are some of many, all of them are whole.
                rows: if all { exists(&run[0], p.src.h + below + above, rows) } else { n },
                columns: exists(&run[1], p.src.w + beside + before, columns),
                row_bytes: distance(src_strides.row * rows as i64)?,
                pixel_bytes: distance(src_strides.pixel * columns as i64)?,
                plane_bytes: self.plane_bytes(b, v)?,
            };
            let program = leaf.program();
            self.each_tile(b, of, (self.tiles.planes[0], run), |b, at| {
                let first = self.pixel(at, m).into_iter().zip(p.window.pads);
                let mut first = first.map(|(at, pad)| if pad == 0 { at } else { at - Expr::int(pad) });
                let pixel = std::array::from_fn(|_| first.next().unwrap_or(Expr::int(0)));
                let from = p.src.index(of.image, &block, pixel);
                let to = v.index(of.image, &Expr::int(0), &block, &at.number);
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

    fn output_program(&self, plane_bytes: i32, stored: [usize; 2]) -> Result<Program, Refusal> {
        let (p, dst) = (self.p, Strides::of(&self.p.dst));
        let [_, rows, pixels] = p.window.dilations.map(|n| n as i64);
        let operand = |o: &Operand| {
            let [row, pixel, _] = steps(o, self.width);
            let [row, pixel] = [row * rows, pixel * pixels];
            let repeat = if let Operand::Map { repeat, .. } = o { *repeat } else { 1 };
            Ok::<_, Refusal>(TileOperand { row_bytes: distance(row)?, pixel_bytes: distance(pixel)?, repeat })
        };
        let formula = Formula::of_buffers(&p.tail.value).ok_or(Refusal::Unfit(NO_FORMULA))?;
        let leaf = WinogradOutput {
            width: self.width,
            size: self.tiles.size,
            rows: stored[0],
            columns: stored[1],
            plane_bytes,
            row_bytes: distance(dst.row * rows)?,
            pixel_bytes: distance(dst.pixel * pixels)?,
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
        for run in self.tiles.runs(of.rows) {
            let program = self.output_program(plane_bytes, run.map(|axis| axis.pixels))?;
            self.each_tile(b, of, (self.tiles.planes[1], run), |b, at| {
                let from = m.index(of.image, &Expr::int(0), &block, &at.number);
                let place = |map: &Map, step: usize| map.index(of.image, &block, self.pixel(at, step));
                let lanes = Expr::int(self.width.lanes());
                let channel = block.clone() * lanes.clone();
                let read = |(buffer, o): &(BufId, Operand)| {
                    let at = match o {
                        Operand::Map { map, repeat } => place(map, step / repeat),
                        Operand::Pixel(map) => map.index(of.image, &block, [0; 3].map(Expr::int)),
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
