//! Scaled dot product attention: ONNX `Attention`, opsets 23 and 24.
//!
//! ```text
//! qk[b, h, s, t]   = scale * sum over e of Q[b, h, s, e] * K[b, h / r, t, e]
//! capped           = softcap * tanh(qk / softcap)                              where softcap is not 0
//! biased           = capped + mask + (-inf where t is beyond nonpad_kv_seqlen[b], or is_causal and t > s + past)
//! Y[b, h, s, e]    = sum over t of softmax over t of biased[b, h, s, t] * V[b, h / r, t, e]
//! ```
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `Q` | `[B, H, S, E]`, or `[B, S, H * E]` with `q_num_heads` | f32 or f64, as all but masks of bool |
//! | 1 `K` | `[B, H / r, T', E]`, or `[B, T', H / r * E]` with `kv_num_heads` | |
//! | 2 `V` | `[B, H / r, T', F]`, or `[B, T', H / r * F]` | |
//! | 3 `attn_mask` | broadcasts to `[B, H, S, T]`; its last axis may be shorter: -inf beyond it | optional; bool: -inf where false |
//! | 4 `past_key`, 5 `past_value` | `[B, H / r, P, E]`, `[B, H / r, P, F]` | optional, both or none; stand before K and V |
//! | 6 `nonpad_kv_seqlen` | `[B]` | optional i64 |
//!
//! `T = P + T'`. The default of `scale` is `1 / sqrt(E)`. Outputs: `Y`, `[B, H, S, F]` or `[B, S, H * F]` as `Q` is;
//! `present_key` and `present_value`, `[B, H / r, T, E]` and `[B, H / r, T, F]`; `qk_matmul_output`, `[B, H, S, T]`, one of
//! the steps above. Where a row is masked as a whole, its softmax is NaN. Errors: shapes that do not fit.

mod problem;
mod reference;

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::expr::{BufId, CompareFn, Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::{Args, DType, OpError, Operator, Tensor, TensorType, attr_enum, attributes};

use problem::Problem;

/// The step that is the output `qk_matmul_output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionStep {
    /// The products.
    Product,
    /// After the cap.
    Capped,
    /// After the masks.
    Biased,
    /// After the softmax.
    Softmax,
}

attr_enum!(AttentionStep {
    Product = "product",
    Capped = "capped",
    Biased = "biased",
    Softmax = "softmax",
});

/// ONNX operator Attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Whether a query sees only keys up to its own place.
    pub is_causal: bool,
    /// Heads of `Q`; must be given where it has three axes.
    pub q_num_heads: Option<usize>,
    /// Heads of `K` and `V`; must be given where they have three axes.
    pub kv_num_heads: Option<usize>,
    /// Factor of the products.
    pub scale: Option<f32>,
    /// Cap of the products; 0: none.
    pub softcap: f32,
    /// The last output.
    pub step: AttentionStep,
}

attributes!(Attention { is_causal, q_num_heads, kv_num_heads, scale, softcap, step });

impl Attention {
    /// The factor of the products.
    fn factor(&self, p: &Problem<'_>) -> f64 {
        self.scale.map_or(1.0 / (p.size as f64).sqrt(), f64::from)
    }

    /// Stages `present`: `[B, H / r, T, width]`, what is past, then the input of this call.
    fn present(&self, c: &mut Compute, p: &Problem<'_>, i: usize, width: usize) -> BufId {
        let now = p.heads_major(c, i, p.kv_heads, width);
        let ty = TensorType::new(p.dtype, [p.batch, p.kv_heads, p.total(), width]);
        let body = match p.past_of(i) {
            None => Expr::load(now, vars(4)),
            Some(_) if p.kv == 0 => Expr::load(p.input(c, i + 3), vars(4)),
            Some(_) if p.past == 0 => Expr::load(now, vars(4)),
            Some(_) => {
                let past = p.input(c, i + 3);
                let at = |t: Expr| [Expr::var(0), Expr::var(1), t, Expr::var(3)];
                let t = Expr::var(2);
                let before = Expr::compare(CompareFn::Lt, t.clone(), Expr::int(p.past));
                let then = Expr::load(past, at(t.clone().min(Expr::int(p.past - 1))));
                let shifted = (t - Expr::int(p.past)).max(Expr::int(0));
                before.select(then, Expr::load(now, at(shifted)))
            }
        };
        c.map("present", ty, body)
    }

    /// What is added to the product at `[b, h, s, t]`: 0 or -inf, or the mask's number.
    fn biased(&self, c: &mut Compute, p: &Problem<'_>, value: Expr) -> Expr {
        let [b, s, t] = [0, 2, 3].map(Expr::var);
        let masked = Expr::Const(Scalar::lowest(p.dtype));
        let mut out = value;
        if let Some(mask) = &p.mask {
            let buf = c.input(3, mask);
            let skip = 4 - mask.shape.rank();
            let last = mask.shape.rank() - 1;
            let index = mask.shape.iter().enumerate().map(|(i, &n)| match n {
                _ if i == last => t.clone().min(Expr::int(n - 1)),
                1 => Expr::int(0),
                _ => Expr::var(skip + i),
            });
            let element = Expr::load(buf, index.collect::<Vec<_>>());
            out = match mask.dtype {
                DType::Bool => element.select(out, masked.clone()),
                _ => out + element,
            };
            if mask.shape[last] < p.total() {
                let there = Expr::compare(CompareFn::Lt, t.clone(), Expr::int(mask.shape[last]));
                out = there.select(out, masked.clone());
            }
        }
        if self.is_causal {
            let seen = Expr::compare(CompareFn::Le, t.clone(), s + Expr::int(p.past));
            out = seen.select(out, masked.clone());
        }
        if let Some(nonpad) = &p.nonpad {
            let buf = c.input(6, nonpad);
            let valid = Expr::compare(CompareFn::Lt, t, Expr::load(buf, [b]));
            out = valid.select(out, masked);
        }
        out
    }

    /// Stages from the products to the softmax: the four steps that may be an output.
    fn steps(&self, c: &mut Compute, p: &Problem<'_>, product: BufId) -> [BufId; 4] {
        let ty = c.ty(product).clone();
        let lit = |v: f64| Expr::literal(p.dtype, v);
        let here = |b: BufId| Expr::load(b, vars(4));
        let capped = if self.softcap == 0.0 {
            product
        } else {
            let cap = lit(self.softcap.into());
            let tanh = Expr::unary(UnaryFn::Tanh, here(product) / cap.clone());
            c.map("softcap", ty.clone(), tanh * cap)
        };
        let value = here(capped);
        let masked = p.mask.is_some() || p.nonpad.is_some() || self.is_causal;
        let biased = if masked {
            let value = self.biased(c, p, value);
            c.map("mask", ty.clone(), value)
        } else {
            capped
        };
        let rows = TensorType::new(p.dtype, ty.shape[..3].to_vec());
        let reduce = |combine, init| Reduce { extents: vec![p.total()], combine, init, finish: Expr::Acc };
        let lowest = Expr::Const(Scalar::lowest(p.dtype));
        let max = c.reduce("max", rows.clone(), reduce(ReduceFn::Max, lowest), here(biased));
        let exp = Expr::unary(UnaryFn::Exp, here(biased) - Expr::load(max, vars(3)));
        let exp = c.map("exp", ty.clone(), exp);
        let sum = c.reduce_blocked("sum", rows, reduce(ReduceFn::Sum, lit(0.0)), here(exp));
        let softmax = c.map("softmax", ty, here(exp) / Expr::load(sum, vars(3)));
        [product, capped, biased, softmax]
    }
}

impl Operator for Attention {
    fn name(&self) -> &'static str {
        "Attention"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Problem::new(self, args)?.outputs()
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = Problem::new(self, args)?;
        let types = p.outputs()?;
        if p.is_empty() {
            return crate::recurrent::empty(types);
        }
        let mut c = Compute::new();
        let query = p.heads_major(&mut c, 0, p.heads, p.size);
        let key = self.present(&mut c, &p, 1, p.size);
        let value = self.present(&mut c, &p, 2, p.value_size);
        let [b, h, s, t, e] = [0, 1, 2, 3, 4].map(Expr::var);
        let group =
            if p.heads == p.kv_heads { h.clone() } else { h.clone() / Expr::int(p.heads / p.kv_heads) };
        // Keys along their last axis, so that products run along neighbours.
        let turned = TensorType::new(p.dtype, [p.batch, p.kv_heads, p.size, p.total()]);
        let turned =
            c.map("transpose", turned, Expr::load(key, [b.clone(), h.clone(), t.clone(), s.clone()]));
        let zero = Expr::literal(p.dtype, 0.0);
        let reduce = |n: usize, finish| Reduce {
            extents: vec![n],
            combine: ReduceFn::Sum,
            init: zero.clone(),
            finish,
        };
        let element = Expr::load(query, [b.clone(), h.clone(), s.clone(), e.clone()])
            * Expr::load(turned, [b.clone(), group.clone(), e, t.clone()]);
        let ty = TensorType::new(p.dtype, [p.batch, p.heads, p.queries, p.total()]);
        let scaled = Expr::Acc * Expr::literal(p.dtype, self.factor(&p));
        let product = c.reduce_blocked("product", ty, reduce(p.size, scaled), element);
        let steps = self.steps(&mut c, &p, product);
        let [e, t] = [3, 4].map(Expr::var);
        let element =
            Expr::load(steps[3], [b.clone(), h, s, t.clone()]) * Expr::load(value, [b, group, t, e]);
        let ty = TensorType::new(p.dtype, [p.batch, p.heads, p.queries, p.value_size]);
        let mut out = c.reduce_blocked("attend", ty, reduce(p.total(), Expr::Acc), element);
        if p.flat {
            let (at, width) = (Expr::var(2), Expr::int(p.value_size));
            let index = [Expr::var(0), at.clone() / width.clone(), Expr::var(1), at % width];
            out = c.map("flatten", types[0].clone(), Expr::load(out, index));
        }
        let step = steps[AttentionStep::ALL.iter().position(|s| *s == self.step).unwrap_or(0)];
        [out, key, value, step].into_iter().for_each(|b| c.output(b));
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let p = Problem::new(self, Args(&args))?;
        reference::attend(self, &p, inputs)
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        let Ok(p) = Problem::new(self, args) else { return 0 };
        let products = [p.batch, p.heads, p.queries, p.total(), p.size.saturating_add(p.value_size)];
        products.iter().fold(1, |n: u64, &d| n.saturating_mul(d as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run_all, t};

    fn attention() -> Attention {
        Attention {
            is_causal: false,
            q_num_heads: None,
            kv_num_heads: None,
            scale: None,
            softcap: 0.0,
            step: AttentionStep::Product,
        }
    }

    fn numbers(shape: &[usize], seed: usize) -> Tensor {
        let n = shape.iter().product::<usize>();
        let v: Vec<f32> = (0..n).map(|i| ((i + seed) * 7919 % 101) as f32 / 50.0 - 1.0).collect();
        t(shape.to_vec(), &v)
    }

    #[test]
    fn hand_computed() {
        // One query, two keys with products 0 and ln 3: weights 1/4 and 3/4.
        let q = t([1, 1, 1, 1], &[1.0f32]);
        let k = t([1, 1, 2, 1], &[0.0f32, 3.0f32.ln()]);
        let v = t([1, 1, 2, 2], &[4.0f32, 0.0, 0.0, 8.0]);
        let y = run_all(&attention(), &[Some(&q), Some(&k), Some(&v)]).unwrap();
        let close = |t: &Tensor, want: &[f64]| {
            assert!(t.to_f64s().iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{t:?}");
        };
        close(&y[0], &[1.0, 6.0]);
        close(&y[3], &[0.0, 3.0f64.ln()]);
        let causal = Attention { is_causal: true, step: AttentionStep::Softmax, ..attention() };
        let y = run_all(&causal, &[Some(&q), Some(&k), Some(&v)]).unwrap();
        close(&y[0], &[4.0, 0.0]);
        close(&y[3], &[1.0, 0.0]);
        let mask = t([1, 2], &[false, true]);
        close(&run_all(&attention(), &[Some(&q), Some(&k), Some(&v), Some(&mask)]).unwrap()[0], &[0.0, 8.0]);
        let short = t([1, 1], &[0.5f32]);
        close(&run_all(&attention(), &[Some(&q), Some(&k), Some(&v), Some(&short)]).unwrap()[0], &[4.0, 0.0]);
    }

    #[test]
    fn definition_is_reference() {
        let flat = Attention { q_num_heads: Some(4), kv_num_heads: Some(2), ..attention() };
        let (q, k, v) = (numbers(&[2, 3, 12], 1), numbers(&[2, 5, 6], 2), numbers(&[2, 5, 4], 3));
        let (past_k, past_v) = (numbers(&[2, 2, 2, 3], 4), numbers(&[2, 2, 2, 2], 5));
        for step in AttentionStep::ALL {
            let op = Attention { step: *step, softcap: 0.7, is_causal: true, ..flat.clone() };
            run_all(&op, &[Some(&q), Some(&k), Some(&v)]).unwrap();
            run_all(&op, &[Some(&q), Some(&k), Some(&v), None, Some(&past_k), Some(&past_v)]).unwrap();
        }
        let scaled = Attention { scale: Some(0.3), ..attention() };
        let (q, k, v) = (numbers(&[2, 4, 3, 3], 1), numbers(&[2, 2, 5, 3], 2), numbers(&[2, 2, 5, 2], 3));
        for mask in [&[3, 7][..], &[1, 7], &[4, 1, 7], &[2, 1, 3, 7], &[2, 4, 3, 4], &[7]] {
            let mask = numbers(mask, 6);
            let all = [Some(&q), Some(&k), Some(&v), Some(&mask), Some(&past_k), Some(&past_v)];
            run_all(&scaled, &all).unwrap();
        }
        let nonpad = t([2], &[5i64, 2]);
        run_all(&scaled, &[Some(&q), Some(&k), Some(&v), None, None, None, Some(&nonpad)]).unwrap();
        let wide = [&q, &k, &v].map(|x| t(x.shape().clone(), &x.to_f64s()));
        run_all(&scaled, &wide.iter().map(Some).collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn long_rows() {
        let (q, k, v) =
            (numbers(&[1, 1, 2, 130], 1), numbers(&[1, 1, 300, 130], 2), numbers(&[1, 1, 300, 2], 3));
        run_all(&attention(), &[Some(&q), Some(&k), Some(&v)]).unwrap();
    }

    #[test]
    fn errors_say_expected_and_found() {
        let (q, k, v) = (numbers(&[2, 4, 3, 3], 1), numbers(&[2, 2, 5, 3], 2), numbers(&[2, 2, 5, 2], 3));
        let op = attention();
        assert!(error(&op, &[&q, &v, &v]).contains("input 1 (K): expected [2,2,5,3], found [2,2,5,2]"));
        assert!(error(&op, &[&q, &k, &numbers(&[2, 2, 4, 2], 1)]).contains("input 2 (V)"));
        assert!(error(&op, &[&q, &k, &v, &numbers(&[3, 6], 1)]).contains("attn_mask"));
        assert!(error(&op, &[&q, &k, &v, &numbers(&[2, 5], 1)]).contains("attn_mask"));
        let three = numbers(&[2, 3, 4], 1);
        assert!(error(&op, &[&three, &three, &three]).contains("q_num_heads"));
        assert!(error(&op, &[&q, &three, &three]).contains("axes"));
        assert!(error(&op, &[&numbers(&[2, 3, 3, 3], 1), &k, &v]).contains("3 heads"));
        let inputs = [Some(&q), Some(&k), Some(&v), None, Some(&k)];
        assert!(op.reference(&inputs).unwrap_err().message().contains("past_value"));
    }
}
