//! Pass `exact_products`.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::dequantize_linear::DequantizeLinear;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::quantize_linear::QuantizeLinear;
use octrt_ops::def::slice::Slice;
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::{DType, Graph, Node, NodeId, Op, OpError, Shape, Tensor, ValueId};

use super::Skip;

mod bound;

use bound::{Sums, Weight};

/// Products of bytes become products of floats that are exact.
///
/// ```text
/// ConvInteger(x, w, xz, wz)   -> Cast(Conv(x - xz, w - wz))                                      i32
/// QLinearConv(x, .., bias)    -> QuantizeLinear(Conv(x - xz, w - wz, bias) * factor, 1, yz)
/// MatMulInteger, QLinearMatMul   likewise, with MatMul
/// ```
///
/// where `x - xz` is `DequantizeLinear(x, 1, xz)` and `factor` is `x_scale * w_scale / y_scale`, in f32. Floats hold all
/// integers up to 2^24: a sum whose every partial sum is smaller is the same in any order. Where a whole sum may be larger,
/// its axis (input channels, K) is cut into parts that cannot be, which are added as i32.
///
/// Requires: types are known and nothing is empty.
///
/// Blocked when: a zero point or a scale of the data is not one element; a scale, a bias or the zero point of a matrix with
/// several is no constant; a group's sum, or that of one channel, may be too large.
pub fn exact_products(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
    let node = graph.node(id);
    let product = Product::of(graph, node)?;
    let parts = product.parts(graph)?;
    let mut patch = Patch::new(graph);
    let mut emit = Emit { graph, product: &product, patch: &mut patch, name: &node.name };
    let result = node.outputs[0];
    let new = emit.result(&parts, &graph.value(result).name)?;
    patch.replace(result, new);
    Ok(patch)
}

fn blocked<T>(reason: &str) -> Result<T, Skip> {
    Err(Skip::Blocked(reason.into()))
}

/// A part `[from, to)` of the axis of a sum, and the weight less its zero points, if known.
type Part = ([usize; 2], Option<Tensor>);

/// What multiplies.
enum Multiply {
    Conv(Conv),
    MatMul,
}

/// What becomes of the sums, where they do not stay i32.
struct Quantize {
    /// By which sums are multiplied; broadcasts to the result.
    factor: Tensor,
    zero_point: ValueId,
}

struct Product {
    multiply: Multiply,
    data: ValueId,
    data_zero: Option<ValueId>,
    weight: ValueId,
    weight_zero: Option<ValueId>,
    bias: Option<Tensor>,
    quantize: Option<Quantize>,
    /// The axis of the data, and of the weight, along which sums may be cut; none in groups.
    cut: Option<[usize; 2]>,
    sums: Sums,
}

/// Where a node has its parameters.
struct Inputs {
    data: [usize; 2],
    weight: [usize; 2],
    /// Scales of data, weight and result, and the zero point of that.
    scales: Option<[usize; 4]>,
    bias: Option<usize>,
}

const INTEGER: Inputs = Inputs { data: [0, 2], weight: [1, 3], scales: None, bias: None };
const QUANTISED: Inputs = Inputs { data: [0, 2], weight: [3, 5], scales: Some([1, 4, 6, 7]), bias: Some(8) };

impl Product {
    fn of(graph: &Graph, node: &Node) -> Result<Product, Skip> {
        let (multiply, at) = match &node.op {
            Op::ConvInteger(op) => (Multiply::Conv(op.conv()), INTEGER),
            Op::QLinearConv(op) => (Multiply::Conv(op.conv()), QUANTISED),
            Op::MatMulInteger(_) => (Multiply::MatMul, INTEGER),
            Op::QLinearMatMul(_) => (Multiply::MatMul, QUANTISED),
            _ => return Err(Skip::NoMatch),
        };
        let given = |i: usize| node.input(i).ok_or(Skip::NoMatch);
        let (data, weight) = (given(at.data[0])?, given(at.weight[0])?);
        let [x, w] = [data, weight].map(|v| graph.ty(v).ok());
        let (Some(x), Some(w)) = (x, w) else { return Err(Skip::NoMatch) };
        if x.shape.numel() == 0 || w.shape.numel() == 0 || x.shape.rank() == 0 || w.shape.rank() == 0 {
            return Err(Skip::NoMatch);
        }
        let (data_zero, weight_zero) = (node.input(at.data[1]), node.input(at.weight[1]));
        let one = |v: ValueId| graph.ty(v).is_ok_and(|t| t.shape.numel() == 1 && t.shape.rank() < 2);
        if data_zero.is_some_and(|v| !one(v)) {
            return blocked("the zero point of the data is not one element");
        }
        let list = |v: ValueId| graph.ty(v).is_ok_and(|t| t.shape.rank() < 2);
        if weight_zero.is_some_and(|v| !list(v)) {
            return blocked("the zero point of the weight is no list");
        }
        let bias = match at.bias.and_then(|i| node.input(i)) {
            None => None,
            Some(v) => match graph.constant(v) {
                Some(t) => Some(t.clone()),
                None => return blocked("the bias is no constant"),
            },
        };
        let (w_rank, x_rank) = (w.shape.rank(), x.shape.rank());
        let (axis, columns, cut) = match &multiply {
            Multiply::Conv(c) => (1, false, (c.group == 1).then_some([1, 1])),
            Multiply::MatMul => {
                let axis = w_rank.saturating_sub(2);
                (axis, true, Some([x_rank - 1, axis]))
            }
        };
        let sums = Sums { weight: w.shape.clone(), axis, columns };
        let quantize = match at.scales {
            None => None,
            Some(at) => Some(Quantize {
                factor: factor(graph, node, at, &multiply, w_rank)?,
                zero_point: given(at[3])?,
            }),
        };
        if quantize.as_ref().is_some_and(|q| !one(q.zero_point)) {
            return blocked("the zero point of the result is not one element");
        }
        let product = Product { multiply, data, data_zero, weight, weight_zero, bias, quantize, cut, sums };
        Ok(product)
    }

    /// The parts of the axis of the sum that are exact.
    fn parts(&self, graph: &Graph) -> Result<Vec<Part>, Skip> {
        let [data, weight] = [self.data, self.weight].map(|v| graph.ty(v).map(|t| t.dtype));
        let (Ok(data), Ok(weight)) = (data, weight) else { return Err(Skip::NoMatch) };
        let known = |zero: Option<ValueId>| zero.map(|v| graph.constant(v));
        let range = bound::range(data, known(self.data_zero));
        let weight = Weight::new(weight, graph.constant(self.weight), known(self.weight_zero));
        let most = self.cut.map_or(1, |[_, axis]| self.sums.weight[axis]);
        match self.sums.exact_parts(&weight, range, self.bias.as_ref(), most) {
            Some(parts) => Ok(parts.into_iter().map(|p| (p, self.sums.part(&weight, p))).collect()),
            None => blocked("partial sums may be above 2^24"),
        }
    }
}

/// `x_scale * w_scale / y_scale`, as it is multiplied with the result.
fn factor(
    graph: &Graph,
    node: &Node,
    at: [usize; 4],
    multiply: &Multiply,
    rank: usize,
) -> Result<Tensor, Skip> {
    let scale = |i: usize| match graph.constant_input(node, i).map(|t| (t.shape(), t.to_vec::<f32>())) {
        Some((shape, Ok(v))) if shape.rank() < 2 => Ok(v),
        Some(_) => blocked("a scale is no list"),
        None => blocked("a scale is no constant"),
    };
    let (x, w, y) = (scale(at[0])?, scale(at[1])?, scale(at[2])?);
    let (&[x], &[y]) = (&x[..], &y[..]) else { return blocked("the scale of the data is not one element") };
    let factors: Vec<f32> = w.iter().map(|w| x * w / y).collect();
    let shape = match multiply {
        _ if factors.len() == 1 => Shape::scalar(),
        Multiply::MatMul => Shape::new([factors.len()]),
        Multiply::Conv(_) => {
            let ones = std::iter::repeat_n(1, rank.saturating_sub(2));
            Shape::new([factors.len()].into_iter().chain(ones).collect::<Vec<_>>())
        }
    };
    Tensor::new(shape, &factors).map_err(|_| Skip::NoMatch)
}

/// Adds the nodes of the patch.
struct Emit<'a> {
    graph: &'a Graph,
    product: &'a Product,
    patch: &'a mut Patch,
    name: &'a str,
}

impl Emit<'_> {
    fn node(&mut self, suffix: &str, op: impl Into<Op>, inputs: &[ValueId], value: &str) -> ValueId {
        let inputs = inputs.iter().map(|v| Some(*v)).collect();
        self.patch.add_node(format!("{}{suffix}", self.name), op, inputs, &[value])[0]
    }

    fn constant(&mut self, tensor: Result<Tensor, OpError>) -> Result<ValueId, Skip> {
        let tensor = tensor.map_err(|e| Skip::Blocked(e.message().to_string()))?;
        Ok(self.patch.add_const("", tensor))
    }

    /// The result of the whole product, a value of this name.
    fn result(&mut self, parts: &[Part], name: &str) -> Result<ValueId, Skip> {
        let p = self.product;
        let alone = parts.len() == 1;
        let mut sum = None;
        for (i, (part, weight)) in parts.iter().enumerate() {
            let bias = p.bias.as_ref().filter(|_| i == 0);
            let part = self.part((!alone).then_some(*part), weight.as_ref(), bias)?;
            let to_i32 = !alone || p.quantize.is_none();
            let value = if alone { name } else { "" };
            let part =
                if to_i32 { self.node("/cast", Cast { to: DType::I32 }, &[part], value) } else { part };
            let last = i + 1 == parts.len() && p.quantize.is_none();
            let add = Binary { kind: BinaryKind::Add };
            sum = Some(match sum {
                None => part,
                Some(s) => self.node("/sum", add, &[s, part], if last { name } else { "" }),
            });
        }
        let sum = sum.ok_or(Skip::NoMatch)?;
        let Some(q) = &p.quantize else { return Ok(sum) };
        let sum = if alone { sum } else { self.node("/float", Cast { to: DType::F32 }, &[sum], "") };
        let factor = self.patch.add_const("", q.factor.clone());
        let scaled = self.node("/scale", Binary { kind: BinaryKind::Mul }, &[sum, factor], "");
        let one = self.ones(q.zero_point)?;
        let quantize = QuantizeLinear { axis: 0, block_size: 0, output_dtype: None, precision: None };
        Ok(self.node("/quantize", quantize, &[scaled, one, q.zero_point], name))
    }

    /// The product of a part of the data (`None`: all of it) with that part of the weight, in f32.
    fn part(
        &mut self,
        part: Option<[usize; 2]>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<ValueId, Skip> {
        let p = self.product;
        let [data_axis, weight_axis] = p.cut.unwrap_or_default();
        let x = self.sliced(p.data, part, data_axis)?;
        let x = self.centred("/x", x, p.data_zero, 0)?;
        let w = match weight {
            Some(w) => self.patch.add_const("", w.clone()),
            None => {
                let w = self.sliced(p.weight, part, weight_axis)?;
                let axis = match &p.multiply {
                    Multiply::Conv(_) => 0,
                    Multiply::MatMul => -1,
                };
                self.centred("/w", w, p.weight_zero, axis)?
            }
        };
        Ok(match &p.multiply {
            Multiply::MatMul => self.node("", MatMul {}, &[x, w], ""),
            Multiply::Conv(conv) => {
                let mut inputs = vec![x, w];
                if let Some(b) = bias {
                    let values: Vec<f32> = bound::integers(b).into_iter().map(|v| v as f32).collect();
                    inputs.push(self.constant(Tensor::new(b.shape().clone(), &values))?);
                }
                self.node("", conv.clone(), &inputs, "")
            }
        })
    }

    fn sliced(&mut self, v: ValueId, part: Option<[usize; 2]>, axis: usize) -> Result<ValueId, Skip> {
        let Some([from, to]) = part else { return Ok(v) };
        let mut inputs = vec![v];
        for i in [from, to, axis] {
            inputs.push(self.constant(Tensor::new([1], &[i as i64]))?);
        }
        Ok(self.node("/slice", Slice {}, &inputs, ""))
    }

    /// Integers less their zero point, in f32.
    fn centred(
        &mut self,
        suffix: &str,
        v: ValueId,
        zero: Option<ValueId>,
        axis: i64,
    ) -> Result<ValueId, Skip> {
        let op = DequantizeLinear { axis, block_size: 0 };
        match zero {
            Some(zero) => {
                let one = self.ones(zero)?;
                Ok(self.node(suffix, op, &[v, one, zero], ""))
            }
            None => {
                let one = self.patch.add_const("", Tensor::scalar(1.0f32));
                Ok(self.node(suffix, op, &[v, one], ""))
            }
        }
    }

    /// A scale of 1 for each element of a zero point.
    fn ones(&mut self, zero: ValueId) -> Result<ValueId, Skip> {
        let shape = self.graph.ty(zero).map_err(|_| Skip::NoMatch)?.shape.clone();
        let ones = vec![1.0f32; shape.numel()];
        self.constant(Tensor::new(shape, &ones))
    }
}
