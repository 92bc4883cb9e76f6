//! A graph that grows by nodes that take what is there, with the value of everything in it.

use octrt_ops::arg::{Args, known_args};
use octrt_ops::compute;
use octrt_ops::def::binary::BinaryKind;
use octrt_ops::def::unary::UnaryKind;
use octrt_ops::expr::Scalar;
use octrt_ops::{DType, Dim, Graph, Op, Tensor, TensorType, ValueId};

/// Largest number of elements of a value of a graph with random inputs.
const ELEMENTS: usize = 1500;
/// Largest magnitude of a value, unless a graph asks for more: beyond it rounding decides too much.
const MAGNITUDE: f64 = 1e4;

/// A small deterministic source of numbers.
pub struct Numbers(u64);

impl Numbers {
    /// Other numbers for every seed.
    pub fn of(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Rarely 0; otherwise below, at and above the width of vectors and tiles.
    pub fn extent(&mut self) -> usize {
        if self.one_in(40) { 0 } else { self.pick(&[1, 1, 2, 3, 4, 5, 8, 9, 13]) }
    }

    pub fn list(&mut self, n: usize, from: &[usize]) -> Vec<usize> {
        (0..n).map(|_| self.pick(from)).collect()
    }

    /// Multiples of 1/4, of which sums and products are exact.
    pub fn tensor(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        let ints: Vec<i64> = (0..n).map(|_| self.below(25) as i64 - 12).collect();
        let element = |&v: &i64| match dtype {
            DType::F32 | DType::F64 => Scalar::F32(v as f32 / 4.0),
            DType::Bool => Scalar::Bool(v > 0),
            _ => Scalar::I64(v),
        };
        let elements: Vec<Scalar> = ints.iter().map(|v| element(v).cast(dtype)).collect();
        compute::tensor(&TensorType::new(dtype, shape.to_vec()), &elements).unwrap()
    }
}

/// Whether the elements are such that sums and products of a few of them are exact.
fn is_exact(t: &Tensor) -> bool {
    t.dtype() != DType::F32 || t.to_f64s().iter().all(|v| v.abs() < 4096.0 && (v * 256.0).fract() == 0.0)
}

/// Whether a small error of an input may become a large one of the result.
fn magnifies(op: &Op) -> bool {
    use UnaryKind::{Ceil, Floor, Log, Reciprocal, Round, Sqrt};
    match op {
        Op::Compare(_) | Op::Cast(_) => true,
        Op::Unary(u) => matches!(u.kind, Ceil | Floor | Log | Reciprocal | Round | Sqrt),
        Op::Binary(b) => matches!(b.kind, BinaryKind::Div | BinaryKind::Pow),
        _ => false,
    }
}

/// Whether the result is exact when the inputs are and the result looks so.
fn is_arithmetic(op: &Op) -> bool {
    !matches!(op, Op::Unary(_) | Op::Softmax(_) | Op::BatchNormalization(_) | Op::Resize(_) | Op::Elu(_))
}

/// A graph that grows by one node at a time, with the value of everything in it.
pub struct Growing {
    pub graph: Graph,
    pub values: Vec<(ValueId, Tensor, bool)>,
    pub inputs: Vec<Tensor>,
    pub numbers: Numbers,
    /// Largest number of elements of a value.
    elements: usize,
    /// Largest magnitude of a value.
    pub magnitude: f64,
}

impl Growing {
    /// A graph without inputs, of values of up to this many elements.
    pub fn empty(seed: u64, elements: usize) -> Self {
        let numbers = Numbers::of(seed);
        Growing {
            graph: Graph::new("random"),
            values: vec![],
            inputs: vec![],
            numbers,
            elements,
            magnitude: MAGNITUDE,
        }
    }

    pub fn new(seed: u64) -> Self {
        let mut g = Growing::empty(seed, ELEMENTS);
        for _ in 0..1 + g.numbers.below(3) {
            let rank = g.numbers.pick(&[0, 1, 2, 3, 4, 4, 4]);
            let shape: Vec<usize> = (0..rank).map(|_| g.numbers.extent()).collect();
            g.input(&shape);
        }
        g
    }

    pub fn input(&mut self, shape: &[usize]) {
        let dtype = self.numbers.pick(&[
            DType::F32,
            DType::F32,
            DType::F32,
            DType::F32,
            DType::F32,
            DType::I64,
            DType::I32,
            DType::U8,
            DType::I8,
            DType::U16,
            DType::F64,
            DType::Bool,
        ]);
        let t = self.numbers.tensor(dtype, shape);
        let dims = shape
            .iter()
            .map(|&d| if self.numbers.one_in(3) { Dim::Dynamic(String::new()) } else { Dim::Fixed(d) });
        let dims = dims.collect();
        let v = self.graph.add_input(format!("x{}", self.inputs.len()), dtype, dims);
        self.inputs.push(t.clone());
        self.values.push((v, t, true));
    }

    pub fn constant(&mut self, t: Tensor) -> ValueId {
        let v = self.graph.add_const("c", t.clone());
        self.values.push((v, t, true));
        v
    }

    pub fn f32s(&mut self, shape: &[usize]) -> ValueId {
        let t = self.numbers.tensor(DType::F32, shape);
        self.constant(t)
    }

    pub fn list(&mut self, v: &[i64]) -> Option<ValueId> {
        let t = Tensor::new([v.len()], v).unwrap();
        Some(self.constant(t))
    }

    pub fn value(&self, v: ValueId) -> &(ValueId, Tensor, bool) {
        self.values.iter().find(|x| x.0 == v).unwrap()
    }

    /// Adds the node if the operator takes its inputs and the results are tame.
    pub fn add(
        &mut self,
        op: impl Into<Op>,
        inputs: &[Option<ValueId>],
        outputs: usize,
    ) -> Option<Vec<ValueId>> {
        let op = op.into();
        let given: Vec<_> = inputs.iter().map(|v| v.map(|v| self.value(v))).collect();
        let exact = given.iter().flatten().all(|x| x.2);
        if magnifies(&op) && !exact {
            return None;
        }
        let tensors: Vec<Option<&Tensor>> = given.iter().map(|x| x.map(|x| &x.1)).collect();
        let mut known = known_args(&tensors);
        for (arg, v) in known.iter_mut().zip(inputs) {
            if let (Some(arg), Some(v)) = (arg, v)
                && self.graph.constant(*v).is_none()
            {
                arg.value = None;
            }
        }
        let types = op.as_operator().infer(Args(&known)).ok()?;
        if types.iter().any(|t| t.shape.numel() > self.elements) {
            return None;
        }
        let results = op.as_operator().reference(&tensors).ok()?;
        if results.iter().any(|t| t.to_f64s().iter().any(|v| !v.is_finite() || v.abs() > self.magnitude)) {
            return None;
        }
        let exact: Vec<bool> = results.iter().map(|t| exact && is_exact(t) && is_arithmetic(&op)).collect();
        let names: Vec<String> = (0..outputs).map(|i| format!("v{}_{i}", self.graph.nodes.len())).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let node = format!("n{}", self.graph.nodes.len());
        let new = self.graph.add_node(node, op, inputs.to_vec(), &names);
        for ((v, t), exact) in new.iter().zip(results).zip(exact) {
            self.values.push((*v, t, exact));
        }
        Some(new)
    }

    pub fn any(&mut self) -> (ValueId, Tensor) {
        // Late values more often, so that chains become long.
        let n = self.values.len();
        let i =
            if self.numbers.one_in(2) { n - 1 - self.numbers.below(n.min(3)) } else { self.numbers.below(n) };
        (self.values[i].0, self.values[i].1.clone())
    }

    /// Another operand for `x`: another value, or a constant that broadcasts with it.
    pub fn operand(&mut self, x: &Tensor) -> ValueId {
        if self.numbers.one_in(2) {
            return self.any().0;
        }
        let mut shape = x.shape().dims().to_vec();
        let skip = self.numbers.below(shape.len() + 1);
        shape.drain(..skip);
        for d in &mut shape {
            if self.numbers.one_in(3) {
                *d = 1;
            }
        }
        let t = match self.numbers.below(6) {
            0 => Tensor::new(shape.clone(), &vec![0.0f32; shape.iter().product()]).unwrap(),
            1 => Tensor::new(shape.clone(), &vec![1.0f32; shape.iter().product()]).unwrap(),
            _ => self.numbers.tensor(x.dtype(), &shape),
        };
        self.constant(t)
    }

    /// Outputs: all values without users, and some others, the same one twice and inputs and constants among them.
    pub fn finish(&mut self) {
        let users = self.graph.users();
        let computed =
            |g: &Graph, v: ValueId| g.constant(v).is_none() && !g.inputs.iter().any(|i| i.value == v);
        let mut outputs: Vec<ValueId> = self.values.iter().map(|v| v.0).collect();
        outputs.retain(|v| users[v.index()].is_empty() && computed(&self.graph, *v));
        for _ in 0..self.numbers.below(4) {
            let i = self.numbers.below(self.values.len());
            outputs.push(self.values[i].0);
        }
        if outputs.is_empty() {
            outputs.push(self.values[0].0);
        }
        for (i, v) in outputs.into_iter().enumerate() {
            self.graph.add_output(format!("y{i}"), v);
        }
    }
}
