//! The schedules of 3x3 convolutions, whatever the costs say: direct, F(2x2) and F(4x4), at odd sizes, with channels that do
//! not fill vectors, on pictures side by side, with all that may follow.

#[path = "winograd_errors.rs"]
mod errors;

use octrt_compiler::layout::{Halo, Layout, Map, MapWindow, relayout};
use octrt_compiler::leaf::programs::Winograd;
use octrt_compiler::nest::interp::{Engine, races, run};
use octrt_compiler::nest::{BufferRole, Nest, verify};
use octrt_compiler::pack::Packing;
use octrt_compiler::strategy::conv::{Algorithm, ConvProblem, Plan, Sharing};
use octrt_compiler::strategy::conv_plan::{self, ConvPlan};
use octrt_compiler::strategy::conv_winograd;
use octrt_compiler::strategy::decision::{Decision, Order, Tiling, candidates};
use octrt_compiler::strategy::tail::{Operand, Tail};
use octrt_compiler::{Isa, Target};
use octrt_ops::expr::Expr;
use octrt_ops::graph::text::random;
use octrt_ops::{DType, Tensor, TensorType};

use crate::{ISAS, TOLERANCE, compare};

/// A convolution of 3x3, or of as many planes of it as the input has, padded.
#[derive(Clone, Copy, Debug)]
struct Problem {
    mb: usize,
    ic: usize,
    oc: usize,
    /// Planes of the input, where there are several, and of the kernel, with padding by half of them.
    planes: Option<(usize, usize)>,
    /// Of the input.
    h: usize,
    w: usize,
    /// Of rows and columns, and their padding; of planes where the kernel has several.
    dilation: usize,
    pad: usize,
    /// What follows.
    relu: bool,
    /// The addend's pixels are this many rows and columns of the result.
    repeat: Option<usize>,
}

fn problems() -> Vec<Problem> {
    let extents = [(7, 7), (9, 9), (14, 14), (15, 15), (8, 8), (9, 14), (1, 5), (28, 12)];
    let channels = [(20, 24), (16, 16), (5, 9), (33, 40)];
    let follows = [(false, None), (true, Some(1)), (true, Some(2))];
    let mut all = Vec::new();
    for (i, (h, w)) in extents.into_iter().enumerate() {
        for (k, (relu, repeat)) in follows.into_iter().enumerate() {
            let (ic, oc) = channels[(i + k) % channels.len()];
            let mb = 1 + (i + k) % 2;
            all.push(Problem { mb, ic, oc, h, w, relu, repeat, ..Problem::SAME });
        }
    }
    // Grids of rows and columns: as many as these, uneven ones, more than there are pixels, padded by less and by more.
    for (i, (h, w, dilation, pad)) in [
        (9, 9, 2, 2),
        (14, 11, 3, 3),
        (8, 13, 4, 4),
        (5, 3, 6, 6),
        (12, 12, 2, 1),
        (7, 9, 2, 3),
        (11, 11, 3, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let (ic, oc) = channels[i % channels.len()];
        let (relu, repeat) = (i % 2 == 0, Some(1).filter(|_| i % 3 == 0));
        all.push(Problem { mb: 1 + i % 2, ic, oc, h, w, dilation, pad, relu, repeat, ..Problem::SAME });
    }
    // Planes: kernels of one and of several, in grids, and more of them than the input has.
    for (i, (planes, h, w, dilation)) in [
        ((3, 1), 7, 9, 1),
        ((4, 3), 6, 5, 1),
        ((2, 5), 8, 8, 1),
        ((5, 3), 7, 8, 2),
        ((1, 3), 4, 4, 1),
        ((3, 2), 8, 4, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let (ic, oc) = channels[i % channels.len()];
        let (relu, repeat) = (i % 2 == 1, Some(1).filter(|_| i % 2 == 0));
        let planes = Some(planes);
        let pad = dilation;
        all.push(Problem { mb: 1 + i / 3, ic, oc, planes, h, w, dilation, pad, relu, repeat });
    }
    all
}

/// Tensors of a problem, plain.
struct Data {
    src: Tensor,
    wei: Tensor,
    bias: Tensor,
    addend: Option<Tensor>,
}

impl Problem {
    /// 3x3 with padding 1 of what has rows and columns only.
    const SAME: Problem = Problem {
        mb: 1,
        ic: 1,
        oc: 1,
        planes: None,
        h: 1,
        w: 1,
        dilation: 1,
        pad: 1,
        relu: false,
        repeat: None,
    };

    /// Planes of the input and of the kernel.
    fn planes(&self) -> (usize, usize) {
        self.planes.unwrap_or((1, 1))
    }

    /// Planes of padding before the first and after the last one.
    fn front(&self) -> usize {
        self.planes().1 / 2 * self.dilation
    }

    /// Planes, rows and columns of the result.
    fn result(&self) -> [usize; 3] {
        let (d, kernel) = self.planes();
        let of = |extent: usize| extent + 2 * self.pad - 2 * self.dilation;
        [d + 2 * self.front() - (kernel - 1) * self.dilation, of(self.h), of(self.w)]
    }

    fn data(&self) -> Data {
        let of = |dims: [usize; 2], [d, h, w]: [usize; 3], seed| {
            let planes = self.planes.map(|_| d);
            let dims: Vec<usize> = dims.into_iter().chain(planes).chain([h, w]).collect();
            random(&dims.into(), seed).unwrap()
        };
        let ((planes, kernel), [d, h, w]) = (self.planes(), self.result());
        let addend = self.repeat.map(|r| of([self.mb, self.oc], [d, h.div_ceil(r), w.div_ceil(r)], 4));
        Data {
            src: of([self.mb, self.ic], [planes, self.h, self.w], 1),
            wei: of([self.oc, self.ic], [kernel, 3, 3], 2),
            bias: random(&vec![self.oc].into(), 3).unwrap(),
            addend,
        }
    }

    /// The result in f64.
    fn reference(&self, data: &Data) -> Vec<f64> {
        let [src, wei, bias] = [&data.src, &data.wei, &data.bias].map(|t| t.to_f64s());
        let addend = data.addend.as_ref().map(|t| t.to_f64s());
        let ((planes, kernel), [d, h, w]) = (self.planes(), self.result());
        let mut out = Vec::new();
        let pixels = || (0..d * h * w).map(|i| (i / (h * w), i / w % h, i % w));
        for (n, oc) in (0..self.mb).flat_map(|n| (0..self.oc).map(move |oc| (n, oc))) {
            for (od, oh, ow) in pixels() {
                let mut sum = bias[oc];
                for (ic, tap) in (0..self.ic).flat_map(|ic| (0..9 * kernel).map(move |tap| (ic, tap))) {
                    let at = |o: usize, tap: usize, pad: usize, extent: usize| {
                        (o + tap * self.dilation).checked_sub(pad).filter(|i| *i < extent)
                    };
                    let seen = (
                        at(od, tap / 9, self.front(), planes),
                        at(oh, tap / 3 % 3, self.pad, self.h),
                        at(ow, tap % 3, self.pad, self.w),
                    );
                    if let (Some(id), Some(ih), Some(iw)) = seen {
                        let x = src[(((n * self.ic + ic) * planes + id) * self.h + ih) * self.w + iw];
                        sum += x * wei[(oc * self.ic + ic) * 9 * kernel + tap];
                    }
                }
                if let (Some(r), Some(a)) = (self.repeat, &addend) {
                    let plane = ((n * self.oc + oc) * d + od) * h.div_ceil(r);
                    sum += a[(plane + oh / r) * w.div_ceil(r) + ow / r];
                }
                out.push(if self.relu { sum.max(0.0) } else { sum });
            }
        }
        out
    }

    fn conv(&self, lanes: usize) -> ConvProblem {
        let (d, kernel) = self.planes();
        let axes = if self.planes.is_some() { 3 } else { 2 };
        let map = |c, [d, h, w]: [usize; 3], halo| Map {
            mb: self.mb,
            c,
            d,
            h,
            w,
            axes,
            layout: Layout { halo, ..Layout::blocked(lanes) },
        };
        let (pad, front) = (self.pad, self.front());
        let own = Halo { front, back: front, top: pad, bottom: pad, left: pad, right: pad };
        let more = Halo { bottom: 1, left: 2, right: 1, ..Halo::default() };
        let result = self.result();
        let operand = self.repeat.map(|repeat| {
            let [d, h, w] = result;
            let map = map(self.oc, [d, h.div_ceil(repeat), w.div_ceil(repeat)], Halo::default());
            Operand::Map { map, repeat }
        });
        let of = if self.relu { Tail::relu() } else { Tail::NONE };
        let sum = if operand.is_some() { Expr::Acc + Tail::operand(0) } else { Expr::Acc };
        let value = of.value.map(&mut |e| (*e == Expr::Acc).then(|| sum.clone()));
        ConvProblem {
            src: map(
                self.ic,
                [d, self.h, self.w],
                if self.h.is_multiple_of(2) { own } else { own.union(more) },
            ),
            dst: map(self.oc, result, more),
            groups: 1,
            sharing: Sharing::Merged(1),
            ic: self.ic,
            oc: self.oc,
            window: MapWindow {
                kernel: [kernel, 3, 3],
                strides: [1; 3],
                dilations: [if kernel > 1 { self.dilation } else { 1 }, self.dilation, self.dilation],
                pads: [front, pad, pad],
            },
            tail: Tail { value, operands: operand.into_iter().collect() },
        }
    }
}

/// The tensor in another layout; `map` says how it lies in blocks.
fn to_blocks(t: &Tensor, map: &Map) -> Tensor {
    let plain = Map { layout: Layout::PLAIN, ..*map };
    relayout(&plain, map).evaluate(&[Some(t)]).unwrap().remove(0)
}

fn to_plain(t: &Tensor, map: &Map) -> Tensor {
    let plain = Map { layout: Layout::PLAIN, ..*map };
    relayout(map, &plain).evaluate(&[Some(t)]).unwrap().remove(0)
}

fn packed(packing: &Packing, t: &Tensor) -> Tensor {
    let ty = packing.ty(t.ty());
    let mut bytes = vec![0; ty.bytes()];
    packing.pack(t, &mut bytes).unwrap();
    Tensor::from_bytes(ty, bytes).unwrap()
}

/// What a nest that keeps all rules makes of its sources; what it does not write is NaN.
fn run_nest(nest: &Nest, sources: &[&Tensor]) -> Tensor {
    verify::verify(nest).unwrap();
    let mut rest = sources.iter().copied();
    let source = |b: &octrt_compiler::nest::Buffer| match b.role {
        BufferRole::Src => rest.next(),
        _ => None,
    };
    let inputs: Vec<Option<&Tensor>> = nest.buffers.iter().map(source).collect();
    assert_eq!(rest.next(), None, "{nest}");
    let ty: TensorType = nest.buffers[nest.dst().unwrap().index()].ty.clone();
    let nan = Tensor::new(ty.shape.clone(), &vec![f32::NAN; ty.shape.numel()]).unwrap();
    assert_eq!(races(nest, &inputs), Ok(None), "{nest}");
    run(nest, &inputs, Some(&nan), Engine::Emulator).unwrap()
}

/// As was decided, as a plain tensor; `None` where that does not serve the problem.
fn by(decision: Decision, p: &Problem, data: &Data, target: Target) -> Option<Tensor> {
    let lanes = target.width().unwrap().lanes() as usize;
    let conv = p.conv(lanes);
    let ConvPlan { nests, packing, .. } = conv_plan::plan(&conv, decision, target).ok()?;
    let src = to_blocks(&data.src, &conv.src);
    let wei = packed(&packing, &data.wei);
    let bias = packed(&Packing::Vector { len: conv.dst_blocks() * lanes }, &data.bias);
    let addend = conv.tail.operands.first().zip(data.addend.as_ref()).map(|(o, t)| match o {
        Operand::Map { map, .. } => to_blocks(t, map),
        _ => unreachable!("an addend is a map"),
    });
    let end = [&bias].into_iter().chain(&addend);
    let dst = match &nests {
        Plan::Whole(whole) => run_nest(&whole.nest, &[&src, &wei].into_iter().chain(end).collect::<Vec<_>>()),
        Plan::Parts(nests, types) => {
            let [input, products, output] = &**nests;
            let v = run_nest(&input.nest, &[&src]);
            let m = run_nest(&products.nest, &[&v, &wei]);
            assert_eq!([v.ty(), m.ty()], [&types[0], &types[1]]);
            run_nest(&output.nest, &[&m].into_iter().chain(end).collect::<Vec<_>>())
        }
    };
    assert_eq!(dst.dtype(), DType::F32);
    Some(to_plain(&dst, &conv.dst))
}

fn check(algorithm: Algorithm) {
    let (mut worst, mut ran) = (0.0f64, 0);
    for p in problems() {
        let data = p.data();
        let expected = p.reference(&data);
        for isa in ISAS {
            let Some(found) = by(algorithm.into(), &p, &data, Target::new(isa)) else { continue };
            ran += 1;
            match compare(&found.to_f64s(), &expected, TOLERANCE) {
                Ok(error) => worst = worst.max(error),
                Err(e) => panic!("{p:?}, {isa:?}: {e}"),
            }
        }
    }
    println!("{algorithm}: {ran} runs, largest error {worst:.1e} of the root mean square");
    assert!(ran >= problems().len(), "{algorithm}: {ran} runs");
}

#[test]
fn direct_convolutions() {
    check(Algorithm::Direct);
}

#[test]
fn tiles_of_2() {
    check(Algorithm::Winograd(Winograd::F2));
}

#[test]
fn tiles_of_4() {
    check(Algorithm::Winograd(Winograd::F4));
}

#[test]
fn a_kept_border_is_not_written() {
    // Large enough for several chunks, which are one nest.
    let p = Problem { mb: 1, ic: 8, oc: 8, h: 64, w: 64, relu: false, repeat: None, ..Problem::SAME };
    let (data, target) = (p.data(), Target::new(Isa::V3));
    let conv = p.conv(8);
    let Ok(Plan::Whole(whole)) = conv_winograd::plan(&conv, (Winograd::F4, Tiling::NONE), target) else {
        panic!("expected one nest")
    };
    let wei = packed(&Packing::Winograd(Winograd::F4, conv.packing()), &data.wei);
    let dst = run_nest(&whole.nest, &[&to_blocks(&data.src, &conv.src), &wei, &data.bias]);
    let nans = dst.to_f64s().iter().filter(|x| x.is_nan()).count();
    let Halo { top, bottom, left, right, .. } = conv.dst.layout.halo;
    assert_eq!(nans, 8 * ((64 + top + bottom) * (64 + left + right) - 64 * 64));
}

/// Problems with so many channels and pixels that there is something to choose.
const CHOICES: [Problem; 3] = [
    Problem { mb: 1, ic: 40, oc: 32, h: 8, w: 6, relu: true, repeat: None, ..Problem::SAME },
    Problem { mb: 2, ic: 24, oc: 40, h: 4, w: 4, relu: false, repeat: Some(1), ..Problem::SAME },
    Problem { mb: 1, ic: 33, oc: 48, h: 4, w: 4, relu: false, repeat: Some(2), ..Problem::SAME },
];

#[test]
fn every_candidate_computes_the_same() {
    for p in CHOICES {
        let data = p.data();
        let expected = p.reference(&data);
        for target in ISAS.map(Target::new) {
            let conv = p.conv(target.width().unwrap().lanes() as usize);
            let all = candidates(&conv, target);
            assert_eq!(all[0], Decision::DIRECT, "{p:?}");
            assert!((6..=32).contains(&all.len()), "{p:?}: {all:?}");
            for decision in all {
                assert_eq!(decision.on(&conv, target), decision, "{p:?}");
                let found = by(decision, &p, &data, target).expect("a candidate serves");
                if let Err(e) = compare(&found.to_f64s(), &expected, TOLERANCE) {
                    panic!("{p:?}, {target}, {decision}: {e}");
                }
            }
        }
    }
}

#[test]
fn what_of_a_tiling_does_not_serve_is_passed_over() {
    let target = Target::new(Isa::V3);
    let p = Problem { mb: 1, ic: 80, oc: 64, h: 8, w: 12, relu: true, repeat: None, ..Problem::SAME };
    let conv = p.conv(8);
    let on = |algorithm: Algorithm, tiling: Tiling| Decision { algorithm, tiling }.on(&conv, target).tiling;
    let [direct, f2] = [Algorithm::Direct, Algorithm::Winograd(Winograd::F2)];
    let good = Tiling {
        chunks: Some(4),
        parts: Some(5),
        vectors: Some(4),
        pixels: Some(5),
        order: Some(Order::Pixels),
    };
    assert_eq!(on(direct, good), good);
    for n in [0, 7, 97, usize::MAX] {
        let bad = Tiling {
            chunks: Some(n),
            parts: Some(n.saturating_mul(11)),
            vectors: n.checked_add(5),
            pixels: n.checked_add(11),
            order: None,
        };
        let bad = Tiling {
            vectors: bad.vectors.filter(|_| n < 100),
            pixels: bad.pixels.filter(|_| n < 100),
            ..bad
        };
        assert_eq!(on(direct, bad), Tiling::NONE, "{n}");
        assert_eq!(on(f2, Tiling { chunks: Some(n), ..Tiling::NONE }), Tiling::NONE, "{n}");
    }
    // Sums of one part would be of 720 terms.
    assert_eq!(on(direct, Tiling { parts: Some(1), ..Tiling::NONE }), Tiling::NONE);
    // Winograd's algorithm has chunks of rows of tiles, and nothing else to choose.
    assert_eq!(on(f2, good), Tiling { chunks: Some(4), ..Tiling::NONE });
    // Tiles of 8 blocks in threes are not alike, so that threads cannot share them.
    let uneven = Tiling { vectors: Some(3), order: Some(Order::Channels), ..Tiling::NONE };
    assert_eq!(on(direct, uneven), Tiling { vectors: Some(3), ..Tiling::NONE });
    // Whatever a decision says, the convolution is computed, and the result is that of the strategy's own choice.
    let (data, wild) = (p.data(), Some(usize::MAX));
    let tiling =
        Tiling { chunks: wild, parts: wild, vectors: wild, pixels: wild, order: Some(Order::Channels) };
    for algorithm in [direct, f2] {
        let [found, own] =
            [tiling, Tiling::NONE].map(|tiling| by(Decision { algorithm, tiling }, &p, &data, target));
        assert_eq!(found, own);
        assert!(own.is_some());
    }
}
