//! Graphs on maps of one axis and of three.

use octrt_ops::Tensor;
use octrt_ops::def::binary::BinaryKind;
use octrt_ops::def::concat::Concat;

use crate::cases::{Case, case};
use crate::net::{Net, same};
use crate::networks::{average, concat, gate, global, inverted, negative, residual};

/// All of them.
pub fn all() -> Vec<Case> {
    let of = |axes| [convolutions(axes), sequences(axes), pools(axes)].into_iter().flatten();
    [1, 3].into_iter().flat_map(of).chain([mixed()]).collect()
}

/// Operands of more axes, which give a sum of more axes, and axes that are counted from the end.
fn mixed() -> Case {
    case("operands of other ranks", &["conv", "elementwise"], |n| {
        n.axes = 1;
        let x = n.input(&[1, 16, 6]);
        let a = n.conv(x, 16, 16, same(3));
        let other = n.input(&[1, 16, 16, 6]);
        let sum = n.add(a, other);
        let one = n.constant(Tensor::new([1, 1, 1, 1], &[0.5f32]).unwrap());
        let scaled = n.binary(BinaryKind::Mul, a, one);
        let pictures = n.node(Concat { axis: -3 }, &[a, a]);
        let channels = n.node(Concat { axis: -2 }, &[a, x]);
        let y = n.conv(channels, 32, 16, same(1));
        [sum, scaled, pictures, y].into_iter().for_each(|v| n.output(v));
    })
}

/// A case whose maps have so many axes.
fn of(axes: usize, name: &str, uses: &'static [&'static str], write: impl FnOnce(&mut Net)) -> Case {
    case(format!("{name}, {axes} axes"), uses, |n| {
        n.axes = axes;
        write(n);
    })
}

/// Pictures, channels and the last of these extents.
fn dims(axes: usize, mb: usize, c: usize, extents: [usize; 3]) -> Vec<usize> {
    [&[mb, c], &extents[3 - axes..]].concat()
}

fn convolutions(axes: usize) -> Vec<Case> {
    let one = |name, uses, dims: Vec<usize>, oc: usize, w| {
        of(axes, name, uses, |n| {
            let x = n.input(&dims);
            let y = n.conv(x, dims[1], oc, w);
            n.output(y);
        })
    };
    let at = |mb, c, extents| dims(axes, mb, c, extents);
    let uneven = of(axes, "uneven pads", &["conv"], |n| {
        let x = n.input(&at(1, 8, [4, 5, 6]));
        let pads: &[usize] = if axes == 1 { &[2, 1] } else { &[0, 1, 2, 1, 0, 3] };
        let y = n.conv_padded(x, [8, 16], same(3).stride(2), pads);
        n.output(y);
    });
    let depthwise = &["conv_depthwise"];
    let plain: &'static [&'static str] = if axes == 1 { &["conv"] } else { &["gemm"] };
    // Of maps of more axes, single pixels only.
    let (kernel, pixels) = if axes == 1 { (3, [1, 1, 467]) } else { (1, [6, 8, 9]) };
    let with_relu = of(axes, "from plain to plain, relu", plain, |n| {
        let x = n.input(&at(1, 7, pixels));
        let y = n.conv(x, 7, 11, same(kernel));
        let y = n.relu(y);
        n.output(y);
    });
    vec![
        with_relu,
        one("from plain to plain, batch 2", plain, at(2, 3, pixels), 16, same(kernel)),
        one(
            "from plain to plain, dilated",
            plain,
            at(1, 5, pixels),
            9,
            same(kernel).dilation(2).pad(kernel / 2),
        ),
        one("dense", &["conv"], at(1, 20, [3, 5, 7]), 24, same(3)),
        one("dense, batch 3", &["conv"], at(3, 16, [2, 2, 3]), 40, same(3)),
        one("dense, batch 2, stride 2", &["conv"], at(2, 17, [5, 4, 7]), 16, same(3).stride(2)),
        one("pointwise", if axes == 3 { &["gemm"] } else { &["conv"] }, at(1, 24, [2, 3, 7]), 40, same(1)),
        one("pointwise, stride 2", &["conv"], at(1, 20, [3, 4, 9]), 24, same(1).stride(2)),
        one("pointwise, one pixel", &["conv"], at(1, 24, [1, 1, 1]), 20, same(1)),
        one("stem", &["conv"], at(1, 3, [5, 6, 9]), 20, same(5).stride(2)),
        one("stem of one channel", &["conv"], at(2, 1, [2, 4, 40]), 9, same(3)),
        one("dilated", &["conv"], at(1, 17, [5, 6, 9]), 9, same(3).dilation(2).pad(2)),
        one("no padding", &["conv"], at(1, 16, [4, 4, 5]), 33, same(3).pad(0)),
        one("even window", &["conv"], at(1, 8, [3, 4, 6]), 8, same(2).pad(1)),
        one("planes", if axes == 3 { &[] } else { &["conv"] }, at(1, 40, [2, 9, 12]), 33, same(3)),
        one("many channels", &["conv"], at(1, 160, [2, 2, 3]), 32, same(3)),
        one("groups of 4", &["conv"], at(1, 32, [3, 3, 6]), 32, same(3).group(8)),
        one("groups of 16", &["conv"], at(1, 32, [2, 3, 5]), 64, same(3).group(2)),
        one("groups of 3, batch 2, stride 2", &[], at(2, 15, [3, 4, 9]), 15, same(3).group(5).stride(2)),
        one("groups of 1 to 3", &[], at(1, 32, [2, 3, 5]), 96, same(3).group(32)),
        one("depthwise", depthwise, at(1, 20, [4, 5, 13]), 20, same(3).group(20)),
        one("depthwise, stride 2, batch 2", depthwise, at(2, 16, [4, 5, 9]), 16, same(3).group(16).stride(2)),
        one("depthwise 5", depthwise, at(1, 8, [3, 5, 9]), 8, same(5).group(8)),
        one("depthwise 7", depthwise, at(1, 8, [3, 4, 9]), 8, same(7).group(8)),
        uneven,
    ]
}

fn sequences(axes: usize) -> Vec<Case> {
    let at = |mb, c, extents| dims(axes, mb, c, extents);
    // One of them with a halo, one without.
    let sums = |n: &mut Net| {
        let x = n.input(&at(1, 16, [2, 3, 7]));
        let a = n.conv(x, 16, 16, same(3));
        let b = n.conv(a, 16, 16, same(3));
        let c = n.binary(BinaryKind::Sub, a, b);
        let c = n.binary(BinaryKind::Mul, c, a);
        let y = n.conv(c, 16, 16, same(3).stride(2));
        // What is wanted itself is the end of its group.
        [y, c, b].into_iter().for_each(|v| n.output(v));
    };
    let classifier = |n: &mut Net| {
        let x = n.input(&at(1, 16, [2, 2, 4]));
        let size = [4, 8, 16][axes - 1];
        let a = n.conv(x, 16, 24, same(3));
        let a = n.flatten(a);
        let y = n.gemm(a, 24 * size, 30);
        n.output(y);
    };
    vec![
        of(axes, "residual", &["conv", "border"], residual(at(1, 20, [3, 4, 9]))),
        of(axes, "residual, batch 2", &["conv", "border"], residual(at(2, 20, [3, 4, 9]))),
        of(axes, "inverted residual", &["conv", "conv_depthwise"], inverted(at(1, 16, [2, 5, 11]))),
        of(axes, "squeeze and excitation", &["conv_global_pool", "conv"], gate(at(2, 16, [2, 3, 6]))),
        of(axes, "concat", &["elementwise", "conv"], concat(at(1, 16, [2, 3, 7]), 16)),
        of(axes, "concat within a block", &["conv", "shift"], concat(at(1, 16, [2, 3, 7]), 12)),
        of(axes, "elementwise", &["elementwise"], sums),
        of(axes, "classifier", &["gemm"], classifier),
    ]
}

fn pools(axes: usize) -> Vec<Case> {
    let at = |mb, c, extents| dims(axes, mb, c, extents);
    vec![
        of(axes, "maxima of negative numbers", &["conv", "max_pool"], negative(at(1, 16, [4, 5, 11]))),
        of(
            axes,
            "maxima of negative numbers, batch 2",
            &["conv", "max_pool"],
            negative(at(2, 16, [4, 5, 11])),
        ),
        of(axes, "averages", &["conv_average_pool_average_pool"], average(at(1, 16, [4, 4, 12]))),
        of(
            axes,
            "global pools",
            &["conv_global_pool_global_pool_global_pool", "gemm"],
            global(at(2, 16, [3, 7, 9]), false),
        ),
        of(
            axes,
            "global pools of maps with a halo",
            &["conv_global_pool_global_pool_global_pool", "gemm"],
            global(at(2, 16, [3, 7, 9]), true),
        ),
    ]
}
