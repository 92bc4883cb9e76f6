//! Small networks of maps of any number of axes: what the cases of two axes and those of others run.

use octrt_ops::Tensor;
use octrt_ops::def::binary::BinaryKind;
use octrt_ops::def::global_pool::GlobalPoolKind;
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::unary::UnaryKind;

use crate::net::{Net, same};

pub fn residual(dims: Vec<usize>) -> impl Fn(&mut Net) {
    move |n| {
        let x = n.input(&dims);
        let a = n.conv(x, dims[1], 24, same(3));
        let a = n.relu(a);
        let b = n.conv(a, 24, 24, same(3));
        let b = n.conv(b, 24, 24, same(1));
        let sum = n.add(b, a);
        let y = n.relu(sum);
        let tail = n.conv(y, 24, 10, same(1).stride(2));
        n.output(tail);
    }
}

/// Of 16 channels.
pub fn inverted(dims: Vec<usize>) -> impl Fn(&mut Net) {
    move |n| {
        let x = n.input(&dims);
        let a = n.conv(x, 16, 40, same(1));
        let a = n.clip(a, 0.0, 0.6);
        let a = n.conv(a, 40, 40, same(3).group(40));
        let a = n.unary(UnaryKind::HardSwish, a);
        let a = n.conv(a, 40, 16, same(1));
        let y = n.add(a, x);
        n.output(y);
        n.output(a);
    }
}

/// Squeeze and excitation of 16 channels.
pub fn gate(dims: Vec<usize>) -> impl Fn(&mut Net) {
    move |n| {
        let x = n.input(&dims);
        let x = n.conv(x, 16, 32, same(1));
        let s = n.global_pool(x, GlobalPoolKind::Average);
        let s = n.conv(s, 32, 8, same(1));
        let s = n.relu(s);
        let s = n.conv(s, 8, 32, same(1));
        let s = n.unary(UnaryKind::Sigmoid, s);
        let x = n.binary(BinaryKind::Mul, x, s);
        let half = n.constant(Tensor::scalar(0.5f32));
        let x = n.binary(BinaryKind::Mul, x, half);
        let x = n.node(LeakyRelu { alpha: 0.1 }, &[x]);
        let y = n.conv(x, 32, 16, same(3));
        n.output(y);
    }
}

/// A concatenation of 16 channels with 32 and `second` others.
pub fn concat(dims: Vec<usize>, second: usize) -> impl Fn(&mut Net) {
    move |n| {
        let x = n.input(&dims);
        let a = n.conv(x, 16, 32, same(1));
        let b = n.conv(x, 16, second, same(3));
        let both = n.concat(&[a, b, x]);
        let both = n.norm(both, 48 + second);
        let both = n.relu(both);
        let y = n.conv(both, 48 + second, 12, same(3).stride(2));
        n.output(y);
    }
}

/// Maxima of negative numbers of 16 channels, and a convolution that wants a border too.
pub fn negative(dims: Vec<usize>) -> impl Fn(&mut Net) {
    move |n| {
        let x = n.input(&dims);
        n.bias = -10.0;
        let a = n.conv(x, 16, 20, same(1));
        let b = n.conv(a, 20, 24, same(3));
        let a = n.max_pool(a, same(3).stride(2));
        n.output(a);
        n.output(b);
    }
}

/// Of 16 channels.
pub fn average(dims: Vec<usize>) -> impl Fn(&mut Net) {
    move |n| {
        let x = n.input(&dims);
        let a = n.conv(x, 16, 20, same(1));
        let b = n.average_pool(a, same(3));
        let c = n.average_pool(a, same(2).stride(2).pad(0));
        n.output(b);
        n.output(c);
    }
}

/// Poolings of whole maps of 16 channels, with a halo or without.
pub fn global(dims: Vec<usize>, halo: bool) -> impl Fn(&mut Net) {
    move |n| {
        let x = n.input(&dims);
        let a = n.conv(x, 16, 48, same(1));
        let mean = n.global_pool(a, GlobalPoolKind::Average);
        let most = n.global_pool(a, GlobalPoolKind::Max);
        let flat = n.mean(a);
        let class = n.gemm(flat, 48, 10);
        [mean, most, class].into_iter().for_each(|v| n.output(v));
        if halo {
            let y = n.conv(a, 48, 8, same(3));
            n.output(y);
        }
    }
}
