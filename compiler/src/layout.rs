//! How an activation lies in memory: blocks of channels and a border around the map.
//!
//! ```text
//! [mb, c, w]        ->  [mb, ceil(c / lanes), left + w + right, lanes]
//! [mb, c, h, w]     ->  [mb, ceil(c / lanes), top + h + bottom, left + w + right, lanes]
//! [mb, c, d, h, w]  ->  [mb, ceil(c / lanes), front + d + back, top + h + bottom, left + w + right, lanes]
//! ```
//!
//! An axis that a tensor does not have is one of extent 1 without a halo: who walks through planes, rows and columns walks
//! through all of them. Channel `c` is lane `c % lanes` of block `c / lanes`. Lanes beyond the last channel hold 0, or what a
//! concatenation puts behind them. The *halo* around the map holds [`Border`], so that windows that hang over need no test. One lane and no halo is
//! the plain layout of the model.

use octrt_ops::compute::Compute;
use octrt_ops::expr::{BinaryFn, Expr, Scalar};
use octrt_ops::window::WindowAxis;
use octrt_ops::{Arg, DType, TensorType};

/// Most axes of a map: planes, rows and columns.
pub const AXES: usize = 3;

/// A window that moves over a map: planes, rows and columns; 1, and no padding, along axes that the map does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MapWindow {
    /// Planes, rows and columns of the window.
    pub kernel: [usize; AXES],
    /// Steps between windows.
    pub strides: [usize; AXES],
    /// Steps between elements of a window.
    pub dilations: [usize; AXES],
    /// Planes, rows and columns before the first of the input that the first window covers.
    pub pads: [usize; AXES],
}

impl MapWindow {
    /// MapWindows of one pixel each, in these steps.
    pub fn pixels(strides: [usize; AXES]) -> MapWindow {
        MapWindow { kernel: [1; AXES], strides, dilations: [1; AXES], pads: [0; AXES] }
    }

    /// Elements of a window.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Whether it covers one pixel of the input, and there is no padding before the first.
    pub fn is_pixel(&self) -> bool {
        *self == MapWindow { dilations: self.dilations, ..MapWindow::pixels(self.strides) }
    }

    /// Whether each of its planes is one of three rows and columns, in steps of 1.
    pub fn is_3x3_planes(&self) -> bool {
        let [planes, rows, columns] = self.kernel;
        planes > 0 && [rows, columns] == [3, 3] && self.strides == [1; AXES]
    }
}

/// Planes, rows and columns around a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halo {
    /// Planes before the first.
    pub front: usize,
    /// Planes after the last.
    pub back: usize,
    /// Rows before the first.
    pub top: usize,
    /// Rows after the last.
    pub bottom: usize,
    /// Columns before the first.
    pub left: usize,
    /// Columns after the last.
    pub right: usize,
}

impl Halo {
    /// What the windows of an operator reach over the edges of its input.
    pub fn of([d, h, w]: &[WindowAxis; AXES]) -> Halo {
        Halo {
            front: d.pad_begin,
            back: d.reach_end(),
            top: h.pad_begin,
            bottom: h.reach_end(),
            left: w.pad_begin,
            right: w.reach_end(),
        }
    }

    /// Before the first and after the last plane, row and column.
    pub fn ends(self) -> [(usize, usize); AXES] {
        [(self.front, self.back), (self.top, self.bottom), (self.left, self.right)]
    }

    /// The smallest halo that contains both.
    #[must_use]
    pub fn union(self, other: Halo) -> Halo {
        Halo {
            front: self.front.max(other.front),
            back: self.back.max(other.back),
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
            left: self.left.max(other.left),
            right: self.right.max(other.right),
        }
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Halo::default()
    }
}

/// What a halo holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// 0: the padding of convolutions and averages.
    Zero,
    /// `-inf`: the padding of maxima.
    Lowest,
}

impl Border {
    /// The number.
    pub fn value(self) -> f32 {
        match self {
            Border::Zero => 0.0,
            Border::Lowest => f32::NEG_INFINITY,
        }
    }
}

/// How a tensor lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Channels of a block.
    pub lanes: usize,
    /// Planes, rows and columns around the map.
    pub halo: Halo,
    /// What they hold.
    pub border: Border,
    /// Planes, rows and columns from one pixel of the map to the next: more than 1 in a map that has some of the pixels of
    /// another one, see [`Map::every`]. What lies between them is not of this map.
    pub steps: [usize; AXES],
}

impl Layout {
    /// Dense and row-major, as in the model.
    pub const PLAIN: Layout = Layout {
        lanes: 1,
        halo: Halo { front: 0, back: 0, top: 0, bottom: 0, left: 0, right: 0 },
        border: Border::Zero,
        steps: [1; AXES],
    };

    /// Blocks of channels without a halo.
    pub fn blocked(lanes: usize) -> Layout {
        Layout { lanes, ..Layout::PLAIN }
    }
}

/// An activation of f32 in a layout: `[mb, c, w]`, `[mb, c, h, w]` or `[mb, c, d, h, w]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// Pictures.
    pub mb: usize,
    /// Channels.
    pub c: usize,
    /// Planes.
    pub d: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// How many of these three axes the tensor has, the last ones: 1 to 3.
    pub axes: usize,
    /// Where they lie.
    pub layout: Layout,
}

impl Map {
    /// A tensor of this type in this layout; `None` when it is not of f32 or has not three to five dimensions.
    pub fn new(ty: &TensorType, layout: Layout) -> Option<Map> {
        let &[mb, c, ref extents @ ..] = ty.shape.dims() else { return None };
        let [d, h, w] = match *extents {
            [w] => [1, 1, w],
            [h, w] => [1, h, w],
            [d, h, w] => [d, h, w],
            _ => return None,
        };
        (ty.dtype == DType::F32).then_some(Map { mb, c, d, h, w, axes: extents.len(), layout })
    }

    /// The tensor in memory.
    pub fn ty(&self) -> TensorType {
        let mut dims = vec![self.mb, self.blocks()];
        dims.extend(self.extents_in_memory().into_iter().skip(AXES - self.axes));
        if self.layout.lanes > 1 {
            dims.push(self.layout.lanes);
        }
        TensorType::new(DType::F32, dims)
    }

    /// Planes, rows and columns.
    pub fn extents(&self) -> [usize; AXES] {
        [self.d, self.h, self.w]
    }

    /// The same map with other extents.
    #[must_use]
    pub fn with_extents(self, [d, h, w]: [usize; AXES]) -> Map {
        Map { d, h, w, ..self }
    }

    /// Planes, rows and columns that lie in memory, with those of the halo and between the map's own.
    fn extents_in_memory(&self) -> [usize; AXES] {
        let (ends, extents, steps) = (self.layout.halo.ends(), self.extents(), self.layout.steps);
        std::array::from_fn(|i| {
            let own = (extents[i].max(1) - 1) * steps[i] + extents[i].min(1);
            ends[i].0 + own + ends[i].1
        })
    }

    /// The map of those pixels that are so many `steps` apart, from `first` on: it has the same bytes.
    #[must_use]
    pub fn every(self, steps: [usize; AXES], first: [usize; AXES]) -> Map {
        let all = self.extents();
        let of = |i: usize| all[i].saturating_sub(first[i]).div_ceil(steps[i].max(1));
        self.part(steps, first, std::array::from_fn(of))
    }

    /// The map of so many pixels from `first` on that are so many `steps` apart: it has the same bytes.
    #[must_use]
    pub fn part(self, steps: [usize; AXES], first: [usize; AXES], of: [usize; AXES]) -> Map {
        let (extents, ends) = (self.extents(), self.layout.halo.ends());
        // What lies before the first of the pixels and behind the last one.
        let [planes, rows, columns] = std::array::from_fn(|i| {
            let last = first[i] + of[i].saturating_sub(1) * steps[i] + 1;
            let step = self.layout.steps[i];
            (ends[i].0 + first[i] * step, ends[i].1 + extents[i].saturating_sub(last) * step)
        });
        let halo = Halo {
            front: planes.0,
            back: planes.1,
            top: rows.0,
            bottom: rows.1,
            left: columns.0,
            right: columns.1,
        };
        let all = std::array::from_fn(|i| self.layout.steps[i] * steps[i]);
        let layout = Layout { halo, steps: all, ..self.layout };
        Map { layout, ..self.with_extents(of) }
    }

    /// Pixels of a channel.
    pub fn pixels(&self) -> usize {
        self.d * self.h * self.w
    }

    /// Blocks of channels.
    pub fn blocks(&self) -> usize {
        self.c.div_ceil(self.layout.lanes)
    }

    /// The index, in the tensor in memory, of the first lane of a block of channels at a pixel, which is counted from the map's
    /// first.
    pub fn index(&self, image: &Expr, block: &Expr, pixel: [Expr; AXES]) -> Vec<Expr> {
        let (ends, steps) = (self.layout.halo.ends(), self.layout.steps);
        let times = |at: Expr, n: usize| if n == 1 { at } else { at * Expr::int(n) };
        let moved = pixel.into_iter().zip(ends).zip(steps);
        let moved = moved.map(|((at, (before, _)), step)| times(at, step) + Expr::int(before));
        let mut index = vec![image.clone(), block.clone()];
        index.extend(moved.skip(AXES - self.axes));
        if self.layout.lanes > 1 {
            index.push(Expr::int(0));
        }
        index
    }

    /// Bytes from one block of channels to the next.
    pub fn block_bytes(&self) -> i64 {
        let pixels: usize = self.extents_in_memory().into_iter().product();
        4 * (pixels * self.layout.lanes) as i64
    }

    /// Bytes from one picture to the next.
    pub fn image_bytes(&self) -> i64 {
        self.blocks() as i64 * self.block_bytes()
    }

    /// Whether both have the same bytes: one pixel, or equal layouts.
    pub fn same_bytes(&self, other: &Map) -> bool {
        let free = |m: &Map| m.layout.halo.is_none() && m.layout.steps == [1; AXES];
        let whole = |m: &Map| m.c.is_multiple_of(m.layout.lanes);
        self.layout == other.layout
            || free(self) && free(other) && self.layout.lanes == other.layout.lanes
            || self.pixels() == 1 && free(self) && free(other) && whole(self) && whole(other)
    }
}

/// The definition of the same map in another layout.
pub fn relayout(from: &Map, to: &Map) -> Compute {
    let mut c = Compute::new();
    let (from_ty, to_ty) = (from.ty(), to.ty());
    let src = c.input(0, &Arg { dtype: from_ty.dtype, shape: &from_ty.shape, value: None });
    let lanes = |m: &Map| m.layout.lanes;
    let block = Expr::var(1);
    let channel = if lanes(to) > 1 { block * Expr::int(lanes(to)) + Expr::var(2 + to.axes) } else { block };
    let mut inside: Option<Expr> = None;
    let mut place = |at: Expr, (before, after): (usize, usize), extent: usize| {
        let at = if before == 0 { at } else { at - Expr::int(before) };
        if before + after == 0 {
            return at;
        }
        let within = at.clone().within(extent);
        inside = Some(inside.take().map_or(within.clone(), |i| i.and(within)));
        at.clamp(0, extent as i64 - 1)
    };
    let missing = AXES - to.axes;
    let halos = to.layout.halo.ends().into_iter().zip(from.layout.halo.ends());
    let axes = halos.zip(to.extents()).skip(missing).enumerate();
    let shift = |e: Expr, by: usize| if by == 0 { e } else { e + Expr::int(by) };
    let axes = axes.map(|(i, ((to, from), extent))| shift(place(Expr::var(2 + i), to, extent), from.0));
    let axes: Vec<Expr> = axes.collect();
    let real = (!to.c.is_multiple_of(lanes(to))).then(|| channel.clone().within(to.c));
    let channel = if real.is_some() { channel.clamp(0, to.c as i64 - 1) } else { channel };
    let mut index = vec![Expr::var(0), channel.clone()];
    index.extend(axes);
    if lanes(from) > 1 {
        index[1] = channel.clone() / Expr::int(lanes(from));
        index.push(Expr::binary(BinaryFn::Rem, channel, Expr::int(lanes(from))));
    }
    let value = Expr::load(src, index);
    let border = Expr::Const(Scalar::F32(to.layout.border.value()));
    let value = inside.map_or(value.clone(), |i| i.select(value, border));
    let value = real.map_or(value.clone(), |r| r.select(value, Expr::f32(0.0)));
    let dst = c.map("layout", to_ty, value);
    c.output(dst);
    c
}

#[cfg(test)]
mod tests;
