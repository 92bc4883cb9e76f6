//! Small valid nests of every kind that strategies make.

use octrt_compiler::layout::{Halo, Layout, Map, MapWindow};
use octrt_compiler::leaf::Width;
use octrt_compiler::leaf::programs::{
    Advance, Axis, Bias as Added, Conv, Epilogue, Formula, Grid, Pixels, Reduction, Weights, Winograd,
};
use octrt_compiler::nest::build::{Builder, Value};
use octrt_compiler::nest::turns::{self, Moved};
use octrt_compiler::nest::{BufferRole, Nest, text};
use octrt_compiler::strategy::conv::{Algorithm, ConvProblem, Plan, Sharing};
use octrt_compiler::strategy::conv_winograd;
use octrt_compiler::strategy::decision::{Decision, Order, Tiling};
use octrt_compiler::strategy::pooled::{self, Pooling};
use octrt_compiler::strategy::problem::{Bias, GemmProblem, Lhs, Rhs, WindowKind, WindowProblem};
use octrt_compiler::strategy::refusal::Refusal;
use octrt_compiler::strategy::rows::{self, RowsProblem};
use octrt_compiler::strategy::share::Share;
use octrt_compiler::strategy::tail::{Operand, Tail};
use octrt_compiler::strategy::{
    conv_direct, conv_grouped, conv_plan, gemm, global_pool, reorder, row_stages, shift, window,
};
use octrt_compiler::{Isa, Target};
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::expr::Expr;
use octrt_ops::{Arg, Args, DType, Operator, Shape, Tensor, TensorType};

const ONE: Halo = Halo { front: 0, back: 0, top: 1, bottom: 1, left: 1, right: 1 };
const UNEVEN: Halo = Halo { front: 0, back: 0, top: 0, bottom: 1, left: 2, right: 1 };
const NONE: Halo = Halo { front: 0, back: 0, top: 0, bottom: 0, left: 0, right: 0 };

/// All of them, for both widths.
pub fn all() -> Vec<Nest> {
    let targets = [Isa::V3, Isa::V4].map(Target::new);
    targets.into_iter().flat_map(|t| [convolutions(t), others(t), pooled(t), by_hand(t)].concat()).collect()
}

fn lanes(target: Target) -> usize {
    target.width().unwrap().lanes() as usize
}

fn map(target: Target, [mb, c, h, w]: [usize; 4], halo: Halo) -> Map {
    Map { mb, c, d: 1, h, w, axes: 2, layout: Layout { halo, ..Layout::blocked(lanes(target)) } }
}

fn conv(src: Map, dst: Map, kernel: usize, stride: usize) -> ConvProblem {
    ConvProblem {
        src,
        dst,
        groups: 1,
        sharing: Sharing::Merged(1),
        ic: src.c,
        oc: dst.c,
        window: MapWindow {
            kernel: [1, kernel, kernel],
            strides: [1, stride, stride],
            dilations: [1; 3],
            pads: [0, kernel / 2, kernel / 2],
        },
        tail: Tail::NONE,
    }
}

fn convolutions(target: Target) -> Vec<Nest> {
    let b = lanes(target);
    let map = |dims, halo| map(target, dims, halo);
    let added =
        |map| Tail { value: Expr::Acc + Tail::operand(0), operands: vec![Operand::Map { map, repeat: 1 }] };
    let channel = conv(map([1, b, 2, 3], NONE), map([1, 4 * b, 2, 3], ONE), 1, 1);
    let odd = conv(map([1, b, 3, 3], ONE), map([1, b + 3, 2, 2], NONE), 1, 2);
    let mut images = conv(map([3, b, 2, 2], NONE), map([3, 2 * b, 2, 2], UNEVEN), 1, 1);
    images.tail = added(map([3, 2 * b, 2, 2], NONE));
    let mut merged = conv(map([1, 2 * b, 2, 2], NONE), map([1, 2 * b, 2, 2], ONE), 1, 1);
    (merged.groups, merged.sharing, merged.ic, merged.oc) = (2, Sharing::Merged(2), b, b);
    let mut mixed = conv(map([1, 2 * b, 2, 2], NONE), map([1, 2 * b, 2, 2], ONE), 1, 1);
    (mixed.groups, mixed.sharing, mixed.ic, mixed.oc) = (b, Sharing::Mixed, 2, 2);
    // A phase of a transposed convolution.
    let mut phase =
        conv(map([1, b, 2, 3], ONE), map([1, 2 * b, 4, 6], ONE).every([1, 2, 2], [0, 1, 0]), 2, 1);
    phase.window.pads = [0; 3];
    let mut small = conv(map([1, b, 4, 4], ONE), map([1, b, 4, 4], ONE), 3, 1);
    // A map, a pixel for each channel, and a constant for each.
    let scaled = |whole, pixel, n| Tail {
        value: (Expr::Acc + Tail::operand(0)) * Tail::operand(1) + Tail::operand(2),
        operands: vec![Operand::Map { map: whole, repeat: 1 }, Operand::Pixel(pixel), Operand::Channel(n)],
    };
    let direct =
        |p| conv_direct::schedule(p, Tiling::NONE, target).unwrap().finish().unwrap().nest.as_ref().clone();
    let mut all: Vec<Nest> = [channel, odd, images, merged, phase].iter().map(direct).collect();
    all.push(conv_grouped::schedule(&mixed, target).unwrap().finish().unwrap().nest.as_ref().clone());
    for mb in [1, 2] {
        (small.src.mb, small.dst.mb) = (mb, mb);
        small.tail =
            if mb == 1 { scaled(map([1, b, 4, 4], NONE), map([1, b, 1, 1], NONE), b) } else { Tail::NONE };
        match conv_winograd::plan(&small, (Winograd::F2, Tiling::NONE), target).unwrap() {
            Plan::Whole(whole) => all.push(whole.nest.as_ref().clone()),
            Plan::Parts(nests, _) => all.extend(nests.map(|part| part.nest.as_ref().clone())),
        }
    }
    all
}

fn others(target: Target) -> Vec<Nest> {
    let b = lanes(target);
    let map = |dims, halo| map(target, dims, halo);
    let window = |mb, kind| WindowProblem {
        kind,
        src: map([mb, 2 * b + 1, 4, 4], ONE),
        dst: map([mb, 2 * b + 1, 2, 2], UNEVEN),
        window: MapWindow { kernel: [1, 2, 2], strides: [1, 2, 2], dilations: [1; 3], pads: [0, 1, 1] },
        tail: Tail::relu(),
    };
    let row = |mb, value, others: &[Operand], halo| RowsProblem {
        value,
        operands: [&[Operand::Map { map: map([mb, 3 * b, 2, 3], NONE), repeat: 1 }], others].concat(),
        dst: map([mb, 4 * b, 2, 3], halo),
        first_block: 1,
    };
    let scale = Tail::operand(0) * Tail::operand(1) + Tail::operand(2);
    let per_channel = [Operand::Pixel(map([2, 3 * b, 1, 1], NONE)), Operand::Channel(3 * b)];
    let scheduled =
        |p: WindowProblem| window::schedule(&p, target).unwrap().finish().unwrap().nest.as_ref().clone();
    let mut all = vec![
        scheduled(window(1, WindowKind::Weights)),
        scheduled(window(2, WindowKind::Max)),
        scheduled(WindowProblem {
            dst: map([1, 2 * b + 1, 4, 4], UNEVEN).every([1, 2, 2], [0, 0, 1]),
            ..window(1, WindowKind::Weights)
        }),
        scheduled(window(1, WindowKind::Sum(0.25))),
        global_pool::nest(
            WindowKind::Sum(0.5),
            &map([3, 2 * b, 2, 2], ONE),
            &map([3, 2 * b, 1, 1], NONE),
            target,
        )
        .unwrap(),
        global_pool::nest(WindowKind::Sum(0.5), &map([3, b, 1, 520], NONE), &map([3, b, 1, 1], NONE), target)
            .unwrap(),
        rows::nest(&row(1, Tail::operand(0), &[], NONE), target).unwrap(),
        rows::nest(&row(2, scale, &per_channel, UNEVEN), target).unwrap(),
        rows::border(&map([1, 3 * b, 3, 3], ONE), target).unwrap(),
        rows::border(&map([2, b, 2, 3], UNEVEN), target).unwrap(),
        shift::nest(&map([1, b + 2, 3, 2], NONE), &map([1, 3 * b, 3, 2], ONE), 4, target).unwrap(),
        shift::nest(&map([2, b, 2, 2], NONE), &map([2, 2 * b, 2, 2], NONE), 2, target).unwrap(),
    ];
    let plain = |m: Map| Map { layout: Layout::PLAIN, ..m };
    for m in [
        map([1, 2 * b, 2, b + 3], NONE),
        map([1, 2 * b, 2, b + 3], ONE),
        map([2, b + 3, 2, 3], UNEVEN),
        map([1, 3, 3, 2], ONE),
        map([1, b + 1, 1, 4 * b], NONE),
    ] {
        all.push(reorder::nest(&plain(m), &m, target).unwrap());
        all.push(reorder::nest(&m, &plain(m), target).unwrap());
    }
    for (batch, m, n, k, lhs, bias) in [
        (2, 5, 4 * b, 12, Lhs::Shared, Bias::Rows),
        (3, 4, 2 * b + 3, 5, Lhs::Each, Bias::Absent),
        (1, 3, 2 * b, 7, Lhs::Shared, Bias::Columns),
    ] {
        let (rhs, tail) = (Rhs::Each, Tail::relu());
        let problem = GemmProblem { batch, m, n, k, lhs, rhs, bias, tail };
        all.push(gemm::schedule(&problem, target).unwrap().finish().unwrap().nest.as_ref().clone());
    }
    // A softmax keeps its exponentials in the result; of a mean there is one element for each row.
    let softmax = Softmax { axis: -1, span: SoftmaxSpan::Axis, log: false };
    let mean = Reduce { kind: ReduceKind::Mean, keep_dims: true, noop_with_empty_axes: false };
    let (shape, axes) = (Shape::from([2, 3, 2 * b + 3]), Tensor::new([1], &[2i64]).unwrap());
    let args = [
        Some(Arg { dtype: DType::F32, shape: &shape, value: None }),
        Some(Arg { dtype: DType::I64, shape: axes.shape(), value: Some(&axes) }),
    ];
    for compute in [softmax.compute(Args(&args[..1])).unwrap(), mean.compute(Args(&args)).unwrap()] {
        all.push(row_stages::nest(&compute, 1, target).unwrap().nest);
    }
    for (m, n, k) in [(1, 8 * b, 3), (5, 4 * b, 2), (4, b + 3, 2), (3, 4 * b, 512)] {
        let problem = GemmProblem::packed([m, n, k], Tail::NONE);
        all.push(gemm::schedule(&problem, target).unwrap().finish().unwrap().nest.as_ref().clone());
    }
    all.push(in_turns(target));
    all
}

/// A product that runs in three turns, from the last rows of what it is given to the first.
fn in_turns(target: Target) -> Nest {
    let (m, n, k) = (2, 4 * lanes(target), 6);
    let problem = GemmProblem::packed([m, n, k], Tail::NONE);
    let nest = gemm::schedule(&problem, target).unwrap().finish().unwrap().nest;
    let rows = |width: usize| TensorType::new(DType::F32, [3, m, width]);
    let step = |width: usize| (m * width * 4) as i64;
    let src = Moved { ty: rows(k), first: 2 * step(k), step: -step(k) };
    let dst = Moved { ty: rows(n), first: 0, step: step(n) };
    turns::in_turns(&nest, 3, &[Some(src), None, None, Some(dst)]).canonical().unwrap()
}

/// Convolutions with poolings of what they compute: of whole maps, with a border, and of runs of rows; their own results
/// are wanted or not.
fn pooled(target: Target) -> Vec<Nest> {
    let b = lanes(target);
    let pooling = |src: Map, kernel: usize, pad: usize| {
        let dst = Map { layout: Layout::blocked(b), ..src.with_extents([1, src.h / 2, src.w / 2]) };
        Pooling::Windows(WindowProblem {
            kind: if pad > 0 { WindowKind::Max } else { WindowKind::Sum(0.25) },
            src,
            dst,
            window: MapWindow {
                kernel: [1, kernel, kernel],
                strides: [1, 2, 2],
                dilations: [1; 3],
                pads: [0, pad, pad],
            },
            tail: Tail::NONE,
        })
    };
    let means = |src: Map| {
        let dst = Map { layout: Layout::blocked(b), ..src.with_extents([1; 3]) };
        Pooling::Maps { kind: WindowKind::Sum(0.5), src, dst }
    };
    let direct = |tiling: Tiling| Decision { algorithm: Algorithm::Direct, tiling };
    let by_channel =
        direct(Tiling { chunks: Some(1), vectors: Some(1), order: Some(Order::Channels), ..Tiling::NONE });
    let rows = direct(Tiling { chunks: Some(2), order: Some(Order::Pixels), ..Tiling::NONE });
    let winograd = |chunks| Decision {
        algorithm: Algorithm::Winograd(Winograd::F2),
        tiling: Tiling { chunks: Some(chunks), ..Tiling::NONE },
    };
    let mut all = Vec::new();
    for (mb, halo, decision) in [
        (1, NONE, rows),
        (1, ONE, rows),
        (1, ONE, by_channel),
        (1, NONE, winograd(2)),
        (1, ONE, winograd(1)),
        (2, ONE, rows),
    ] {
        let dst = map(target, [mb, 2 * b, 4, 4], halo);
        let p = conv(map(target, [mb, b, 4, 4], ONE), dst, 3, 1);
        let plan = conv_plan::plan(&p, decision, target).unwrap();
        let share = plan.share.unwrap();
        let nest = match plan.nests {
            Plan::Whole(nest) => nest,
            Plan::Parts(nests, _) => nests[2].clone(),
        };
        let mut poolings = vec![pooling(dst, 2, 0)];
        if !matches!(share, Share::Rows(_)) {
            poolings.push(means(dst));
            poolings.extend((halo == ONE).then(|| pooling(dst, 3, 1)));
        }
        for alone in [false, true] {
            let joined = pooled::join(&nest, (&dst, share), &poolings, alone, target).unwrap();
            assert_eq!(joined.kept, alone && !matches!(share, Share::Rows(_)));
            all.push(joined.nest.nest.as_ref().clone());
        }
    }
    all
}

/// A direct convolution as for large maps and many channels: runs of pixels in parallel, whose sums have parts that are added
/// by way of the output. `tables` says where pixels lie, else they are side by side.
fn direct(width: Width, mb: usize, tables: bool) -> Result<Nest, Refusal> {
    let (lanes, pixels) = (width.lanes() as usize, 8);
    let f32s = |elements: usize| TensorType::new(DType::F32, [elements]);
    let mut b = Builder::new("direct", if mb > 1 { mb } else { 2 });
    let outer = b.parallel();
    let src = b.buffer(f32s(pixels * 3), BufferRole::Src);
    let wei = b.buffer(f32s(12 * lanes), BufferRole::Src);
    let bias = b.buffer(f32s(4 * lanes), BufferRole::Src);
    let dst = b.buffer(TensorType::new(DType::F32, [mb, 5, pixels + 4, lanes]), BufferRole::Dst);
    let entries: Vec<i32> = (0..pixels as i32).map(|p| width.bytes() * (p + p / 2)).collect();
    let table = Tensor::new([entries.len()], &entries).unwrap();
    let table = b.buffer(table.ty().clone(), BufferRole::Table(table));
    let to = if tables { Pixels::Table } else { Pixels::Strided { bytes: width.bytes(), repeat: 1 } };
    let to = Grid { pixels: to, vector_bytes: (pixels as i32 + 4) * width.bytes() };
    let added = || Formula::of_buffers(&(Expr::Acc + Tail::operand(0))).unwrap();
    let program = |first: bool| {
        let store = Epilogue::store(to.clone());
        let leaf = Conv {
            width,
            pixels: 2,
            vectors: 2,
            channels: 1,
            taps: vec![0],
            src: Grid { pixels: Pixels::Strided { bytes: 4, repeat: 1 }, vector_bytes: 0 },
            weights: Weights::Packed,
            reduction: Reduction::Loops(vec![Axis { name: "ic", src: Advance::Bytes(4) }]),
            merged: 1,
            ahead: 0,
            epilogue: if first {
                Epilogue { bias: Added::Vectors, ..store }
            } else {
                Epilogue { formula: added(), operands: vec![to.clone()], used: Some(3), ..store }
            },
        };
        leaf.program()
    };
    let times = |e: &Expr, n: usize| e.clone() * Expr::int(n);
    b.each(if mb > 1 { 2 } else { 1 }, |b, chunk| {
        b.each(2, |b, oc| {
            for (first, parts) in [(true, 1), (false, 2)] {
                b.each(parts, |b, _| {
                    b.each(2, |b, l| {
                        let (image, run) = if mb > 1 { (&outer, chunk) } else { (&Expr::int(0), &outer) };
                        let pixel = times(run, 4) + times(l, 2);
                        let column = if tables { Expr::int(0) } else { pixel.clone() };
                        let at = vec![image.clone(), times(oc, 2), column, Expr::int(0)];
                        b.call(program(first), &|name| match name {
                            "src" => Some(Value::At(src, vec![pixel.clone()])),
                            "wei" => Some(Value::At(wei, vec![times(oc, 2 * lanes)])),
                            "bias" => Some(Value::At(bias, vec![times(oc, 2 * lanes)])),
                            "dst" | "operand0" => Some(Value::At(dst, at.clone())),
                            "dst_offsets" | "operand0_offsets" => Some(Value::At(table, vec![pixel.clone()])),
                            "ic" => Some(Value::Number(2)),
                            _ => None,
                        })
                    })
                })?;
            }
            Ok(())
        })
    })?;
    b.finish()
}

fn by_hand(target: Target) -> Vec<Nest> {
    let width = target.width().unwrap();
    let all = [(1, true), (1, false), (3, true), (3, false)];
    let direct = all.into_iter().map(|(mb, tables)| direct(width, mb, tables).unwrap());
    direct.chain([mixed(width)]).collect()
}

/// Calls and definitions: a sum in scratch, tiles that are copied, and what becomes of them.
fn mixed(width: Width) -> Nest {
    let lanes = width.lanes() as usize;
    let text = format!(
        "nest \"mixed\" {{
           in b0: f32[3,2,{lanes}]
           scratch b1: f32[1]
           out b2: f32[3,2,{lanes}]
           for L0 in 3 parallel {{
             reduce L1 in 2 {{ reduce L2 in {lanes} {{ b1[0] init 1.0f32 sum b0[L0, L1, L2] finish acc }} }}
             for L3 in 2 {{
               call 0 \"copy\" (src = b0 + {image}*L0 + {row}*L3, dst = b2 + {image}*L0 + {row}*L3)
               for L4 in {lanes} {{ b2[L0, L3, L4] = max(b2[L0, L3, L4], 0.0f32) }}
             }}
             for L5 in 2 {{ for L6 in {lanes} {{ b2[L0, L5, L6] = mul(b2[L0, L5, L6], b1[0]) }} }}
           }}
         }}
         leaf \"copy\" {width} {{
           slot 0 \"src\": pointer
           slot 1 \"dst\": pointer
           p0 = slot 0
           p1 = slot 1
           v0 = load [p0]
           store [p1], v0
         }}",
        image = 8 * lanes,
        row = 4 * lanes,
    );
    text::parse(&text).unwrap()
}
