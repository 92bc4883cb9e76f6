//! The graphs.

use octrt_ops::Graph;
use octrt_ops::def::binary::BinaryKind;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::GlobalPoolKind;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::unary::UnaryKind;

use crate::axes;
use crate::net::{Net, same};
use crate::networks::{average, concat, gate, global, inverted, negative, residual};

/// A graph, and the nests of calls that its program must have for every target and precision.
pub struct Case {
    pub name: String,
    pub graph: Graph,
    pub uses: &'static [&'static str],
}

pub fn case(name: impl Into<String>, uses: &'static [&'static str], write: impl FnOnce(&mut Net)) -> Case {
    let mut net = Net::new();
    write(&mut net);
    Case { name: name.into(), graph: net.finish(), uses }
}

/// All of them.
pub fn all() -> Vec<Case> {
    let all = [convolutions(), sequences(), pools(), channels(), matrices(), joined(), shared(), axes::all()];
    all.into_iter().flatten().collect()
}

fn convolutions() -> Vec<Case> {
    let one = |name, uses, dims: [usize; 4], oc: usize, w| {
        case(name, uses, |n| {
            let x = n.input(&dims);
            let y = n.conv(x, dims[1], oc, w);
            n.output(y);
        })
    };
    let odd = case("conv, uneven pads", &["conv"], |n| {
        let x = n.input(&[1, 8, 9, 11]);
        let y = n.conv_padded(x, [8, 16], same(3).stride(2), &[0, 1, 2, 1]);
        n.output(y);
    });
    let large = |kernel, ic: usize, oc: usize, hw: usize| {
        move |n: &mut Net| {
            let x = n.input(&[1, ic, hw, hw]);
            let other = n.input(&[1, oc, hw, hw]);
            let y = n.conv(x, ic, oc, same(kernel));
            let y = n.add(y, other);
            let y = n.relu(y);
            n.output(y);
        }
    };
    vec![
        // Weights beyond the caches: sums go on from part to part.
        case("3x3, many channels", &[], large(3, 128, 128, 7)),
        case("1x1, many channels", &["conv"], large(1, 640, 256, 7)),
        one("1x1", &["gemm"], [1, 24, 7, 7], 40, same(1)),
        one("1x1, few pixels", &["conv"], [1, 24, 5, 3], 40, same(1)),
        one("1x1, one pixel", &["conv"], [1, 24, 1, 1], 20, same(1)),
        one("1x1, stride 2", &["conv"], [1, 20, 13, 13], 24, same(1).stride(2)),
        one("3x3, stride 2", &["conv"], [1, 20, 15, 15], 16, same(3).stride(2)),
        one("3x3, stride 2, batch 2", &["conv"], [2, 16, 10, 10], 20, same(3).stride(2)),
        one("3x3, dilated", &[], [1, 33, 20, 21], 48, same(3).dilation(2).pad(2)),
        one("5x5, dilated", &["conv"], [1, 17, 14, 14], 9, same(5).dilation(2).pad(4)),
        one("no padding", &["conv"], [1, 16, 9, 9], 33, same(3).stride(2).pad(0)),
        one("7x7 stem", &["conv"], [1, 3, 30, 30], 20, same(7).stride(2)),
        one("groups of 4", &["conv"], [1, 32, 9, 9], 32, same(3).group(8)),
        one("groups of 4, batch 2, stride 2", &["conv"], [2, 64, 6, 6], 64, same(3).group(16).stride(2)),
        one("groups of 8", &["conv"], [1, 32, 7, 6], 32, same(3).group(4)),
        one("groups of 2", &[], [1, 48, 5, 9], 48, same(3).group(24).stride(2)),
        one("groups of 4, 1x1", &["conv"], [1, 32, 5, 5], 32, same(1).group(8)),
        one("groups of 16", &["conv"], [1, 32, 5, 5], 64, same(3).group(2)),
        one("groups of 6", &[], [1, 12, 5, 5], 12, same(3).group(2)),
        one("groups of 3", &[], [1, 96, 7, 7], 96, same(3).group(32)),
        one("groups of 3, batch 2, stride 2", &[], [2, 15, 8, 9], 15, same(3).group(5).stride(2)),
        one("groups of 1 to 3", &[], [1, 32, 6, 5], 96, same(3).group(32)),
        one("groups of 3 to 1", &[], [1, 96, 6, 5], 32, same(3).group(32)),
        one("groups of 1 to 3, batch 2", &[], [2, 5, 6, 5], 15, same(1).group(5)),
        one("depthwise 3x3", &["conv_depthwise"], [1, 20, 13, 13], 20, same(3).group(20)),
        one("depthwise 3x3, stride 2", &["conv_depthwise"], [1, 32, 14, 14], 32, same(3).group(32).stride(2)),
        one("depthwise 5x5", &["conv_depthwise"], [1, 16, 9, 9], 16, same(5).group(16)),
        one(
            "depthwise 5x5, stride 2, batch 2",
            &["conv_depthwise"],
            [2, 20, 13, 13],
            20,
            same(5).group(20).stride(2),
        ),
        one("3x3 at 7", &["conv"], [1, 20, 7, 7], 24, same(3)),
        one("3x3 at 28, wide", &[], [1, 32, 28, 28], 40, same(3)),
        one("3x3 at 15, batch 2", &[], [2, 48, 15, 15], 40, same(3)),
        odd,
    ]
}

fn sequences() -> Vec<Case> {
    let after = |n: &mut Net| {
        let x = n.input(&[1, 16, 8, 8]);
        let low = n.conv(x, 16, 20, same(1));
        let a = n.conv(x, 16, 20, same(3));
        let a = n.relu(a);
        let y = n.add(low, a);
        n.output(y);
    };
    vec![
        case("residual", &["conv", "border"], residual(vec![1, 20, 9, 9])),
        case("residual, batch 2", &["conv", "border"], residual(vec![2, 16, 8, 8])),
        case("inverted residual", &["conv", "conv_depthwise"], inverted(vec![1, 16, 11, 11])),
        case("squeeze and excitation", &["conv_global_pool", "conv"], gate(vec![2, 16, 6, 6])),
        case("sum after the activation", &["conv"], after),
    ]
}

fn pools() -> Vec<Case> {
    let stem = |n: &mut Net| {
        let x = n.input(&[1, 3, 29, 29]);
        let a = n.conv(x, 3, 16, same(7).stride(2));
        let a = n.relu(a);
        let a = n.max_pool(a, same(3).stride(2));
        let y = n.conv(a, 16, 16, same(1));
        n.output(y);
    };
    vec![
        case("maxima of negative numbers", &["conv", "max_pool"], negative(vec![1, 16, 11, 11])),
        case("maxima of negative numbers, batch 2", &["conv", "max_pool"], negative(vec![2, 16, 11, 11])),
        case("stem with pool", &["conv", "conv_max_pool"], stem),
        case("averages", &["conv_average_pool_average_pool"], average(vec![1, 16, 12, 12])),
        case(
            "global pools",
            &["conv_global_pool_global_pool_global_pool", "gemm"],
            global(vec![2, 16, 7, 5], false),
        ),
    ]
}

fn channels() -> Vec<Case> {
    let octave = |mb: usize, hw: usize| {
        move |n: &mut Net| {
            let high = n.input(&[mb, 24, 2 * hw, 2 * hw]);
            let low = n.input(&[mb, 16, hw, hw]);
            let hh = n.conv(high, 24, 32, same(3));
            let lh = n.conv(low, 16, 32, same(3));
            let up = n.double(lh);
            let h = n.add(hh, up);
            let h = n.relu(h);
            let pooled = n.average_pool(high, same(2).stride(2).pad(0));
            let hl = n.conv(pooled, 24, 20, same(3));
            let ll = n.conv(low, 16, 20, same(3));
            let l = n.add(ll, hl);
            let l = n.relu(l);
            n.output(h);
            n.output(l);
        }
    };
    vec![
        case("concat", &["elementwise", "conv"], concat(vec![1, 16, 9, 9], 16)),
        case("concat within a block", &["conv", "shift"], concat(vec![1, 16, 9, 9], 12)),
        case("octave", &["conv"], octave(1, 7)),
        case("octave, batch 2, smaller", &["conv"], octave(2, 4)),
    ]
}

fn matrices() -> Vec<Case> {
    let gemm = |m: usize, k: usize, n: usize| {
        move |net: &mut Net| {
            let x = net.input(&[m, k]);
            let a = net.gemm(x, k, n);
            let a = net.relu(a);
            let b = net.matmul(a, n, 19);
            net.output(a);
            net.output(b);
        }
    };
    let classifier = |n: &mut Net| {
        let x = n.input(&[1, 16, 4, 4]);
        let a = n.conv(x, 16, 24, same(3));
        let a = n.flatten(a);
        let y = n.gemm(a, 24 * 16, 30);
        n.output(y);
    };
    let two = |name, a: &[usize], b: &[usize]| {
        case(name, &["gemm"], |n| {
            let (a, b) = (n.input(a), n.input(b));
            let y = n.node(MatMul {}, &[a, b]);
            n.output(y);
        })
    };
    vec![
        case("gemm, one row", &["gemm"], gemm(1, 64, 100)),
        case("gemm, one row, odd", &["gemm"], gemm(1, 37, 10)),
        case("gemm, five rows", &["gemm"], gemm(5, 24, 33)),
        case("gemm, thirteen rows", &["gemm"], gemm(13, 20, 64)),
        case("classifier", &["gemm"], classifier),
        two("products of a batch", &[2, 3, 5, 24], &[2, 3, 24, 33]),
        two("products of a batch, long sums", &[2, 7, 600], &[2, 600, 40]),
        two("one matrix on the left", &[5, 24], &[3, 24, 64]),
        two("one matrix on the right", &[2, 3, 24], &[24, 19]),
        two("few columns", &[4, 9, 20], &[4, 20, 3]),
        two("single rows", &[2, 1, 12], &[2, 12, 70]),
        two("one term", &[13, 1], &[1, 32]),
        case("matrices, bias, relu", &["gemm"], |n| {
            let (a, b) = (n.input(&[6, 20]), n.input(&[20, 37]));
            let bias = n.numbers(&[37], 0.1, 0.2);
            let op = Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false };
            let y = n.node(op, &[a, b, bias]);
            let y = n.relu(y);
            n.output(y);
        }),
        case("constant on the left", &["gemm"], |n| {
            let a = n.numbers(&[18, 24], 0.0, 1.0);
            let b = n.input(&[2, 24, 50]);
            let y = n.node(MatMul {}, &[a, b]);
            n.output(y);
        }),
    ]
}

/// Concatenations whose parts are written in their places, and some that cannot be.
fn joined() -> Vec<Case> {
    let dense = |mb: usize| {
        move |n: &mut Net| {
            let x = n.input(&[mb, 3, 12, 12]);
            let mut all = n.conv(x, 3, 16, same(3));
            for i in 1..4 {
                let new = n.norm(all, 16 * i);
                let new = n.relu(new);
                let new = n.conv(new, 16 * i, 16, same(3));
                all = n.concat(&[all, new]);
            }
            let y = n.average_pool(all, same(2).stride(2).pad(0));
            n.output(y);
        }
    };
    // All features so far, side by side, none of which fills blocks; windows of 3 want halos.
    let uneven = |mb: usize, grows: usize, kernel: usize| {
        move |n: &mut Net| {
            let x = n.input(&[mb, 3, 8, 7]);
            let first = n.conv(x, 3, 20, same(3));
            let (mut parts, mut all) = (vec![first], first);
            for i in 0..4 {
                let new = n.conv(all, 20 + grows * i, grows, same(kernel));
                let new = n.relu(new);
                parts.push(new);
                all = n.concat(&parts);
            }
            let y = n.norm(all, 20 + 4 * grows);
            let y = n.relu(y);
            n.output(y);
        }
    };
    // The first part is read again after the second one has come into its last block.
    let late = |n: &mut Net| {
        let x = n.input(&[1, 3, 6, 6]);
        let a = n.conv(x, 3, 20, same(3));
        let b = n.conv(x, 3, 12, same(3));
        let c = n.concat(&[a, b]);
        let d = n.conv(a, 20, 32, same(1));
        let y = n.add(d, c);
        n.output(y);
    };
    let twice = |n: &mut Net| {
        let x = n.input(&[1, 16, 6, 6]);
        let a = n.conv(x, 16, 16, same(1));
        let b = n.conv(x, 16, 32, same(3));
        let c = n.concat(&[a, b, a]);
        let d = n.concat(&[b, c]);
        let e = n.conv(d, 96, 16, same(3));
        let f = n.add(a, e);
        [a, c, d, f].into_iter().for_each(|v| n.output(v));
    };
    let inception = |n: &mut Net| {
        let x = n.input(&[1, 8, 9, 9]);
        let x = n.conv(x, 8, 32, same(1));
        let a = n.conv(x, 32, 16, same(1));
        let b = n.conv(x, 32, 16, same(5));
        let b = n.relu(b);
        let c = n.max_pool(x, same(3));
        let d = n.average_pool(x, same(3));
        let y = n.concat(&[a, b, c, d]);
        let y = n.max_pool(y, same(3).stride(2));
        let y = n.conv(y, 96, 24, same(3));
        n.output(y);
    };
    vec![
        case("repeated, then channels beside it", &["nearest"], |n| {
            let x = n.input(&[2, 20, 5, 6]);
            let other = n.input(&[2, 16, 10, 12]);
            let low = n.conv(x, 20, 24, same(3).stride(1));
            let up = n.double(low);
            let all = n.concat(&[up, other]);
            let y = n.conv(all, 40, 16, same(3).stride(2));
            n.output(y);
        }),
        case("dense", &["conv"], dense(1)),
        case("dense, batch 2", &["conv"], dense(2)),
        case("dense, 28 channels a layer", &["conv", "shift"], uneven(1, 28, 1)),
        case("dense, 4 channels a layer", &["conv", "shift"], uneven(1, 4, 3)),
        case("dense, 5 channels a layer, batch 2", &["conv", "shift"], uneven(2, 5, 3)),
        case("concat, a part read later", &["conv", "shift"], late),
        case("concat of a value twice", &["conv"], twice),
        case("inception", &["conv_average_pool", "max_pool"], inception),
    ]
}

/// Values that several nodes want in several ways.
fn shared() -> Vec<Case> {
    let pixel = |n: &mut Net| {
        let x = n.input(&[2, 16, 5, 5]);
        let a = n.conv(x, 16, 20, same(1));
        let a = n.global_pool(a, GlobalPoolKind::Average);
        let b = n.conv(a, 20, 24, same(3));
        let c = n.conv(a, 20, 24, same(1));
        let y = n.add(b, c);
        n.output(y);
    };
    let plain = |n: &mut Net| {
        let x = n.input(&[1, 16, 6, 7]);
        let a = n.conv(x, 16, 20, same(3));
        let b = n.unary(UnaryKind::Softplus, a);
        let c = n.mean(a);
        let d = n.conv(b, 20, 20, same(3).group(20));
        let d = n.unary(UnaryKind::HardSwish, d);
        let d = n.add(d, a);
        let e = n.flatten(d);
        [a, c, e].into_iter().for_each(|v| n.output(v));
    };
    let chain = |n: &mut Net| {
        let x = n.input(&[1, 16, 7, 7]);
        let a = n.conv(x, 16, 16, same(3));
        let a = n.relu(a);
        let a = n.add(a, x);
        let a = n.relu(a);
        let b = n.add(a, a);
        let c = n.binary(BinaryKind::Sub, b, x);
        let d = n.binary(BinaryKind::Mul, c, a);
        let d = n.conv(d, 16, 16, same(3).stride(2));
        n.output(d);
        n.output(c);
    };
    vec![
        case("maps of one pixel", &["conv_global_pool"], pixel),
        case("plain and blocked users", &["conv", "conv_depthwise"], plain),
        case("elementwise", &["elementwise"], chain),
    ]
}
