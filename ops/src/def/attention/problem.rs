//! The arguments of an attention that fit.

use super::Attention;
use crate::compute::Compute;
use crate::expr::{BufId, Expr};
use crate::invalid;
use crate::{Arg, Args, DType, OpError, Shape, TensorType};

/// Extents, named as in the operator's contract.
pub(super) struct Problem<'a> {
    args: Args<'a>,
    pub(super) dtype: DType,
    /// Whether Q, K and V have three axes.
    pub(super) flat: bool,
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    /// S
    pub(super) queries: usize,
    /// T'
    pub(super) kv: usize,
    /// P
    pub(super) past: usize,
    /// E
    pub(super) size: usize,
    /// F
    pub(super) value_size: usize,
    pub(super) mask: Option<Arg<'a>>,
    pub(super) nonpad: Option<Arg<'a>>,
}

/// Batch, heads, elements and numbers per head of an input.
fn extents(arg: &Arg<'_>, i: usize, heads: Option<usize>) -> Result<[usize; 4], OpError> {
    let name = ["Q", "K", "V"][i];
    match *arg.shape.dims() {
        [b, h, s, e] => Ok([b, h, s, e]),
        [b, s, wide] => match heads {
            None => {
                let attribute = if i == 0 { "q_num_heads" } else { "kv_num_heads" };
                invalid!("input {i} ({name}) has three axes, the attribute {attribute} is missing")
            }
            Some(h) if h > 0 && wide.is_multiple_of(h) => Ok([b, h, s, wide / h]),
            Some(h) => invalid!("input {i} ({name}): {} cannot be cut into {h} heads", arg.shape),
        },
        _ => invalid!("input {i} ({name}): expected three or four axes, found {}", arg.shape),
    }
}

impl<'a> Problem<'a> {
    pub(super) fn new(op: &Attention, args: Args<'a>) -> Result<Self, OpError> {
        let q = args.typed(0, "Q", DType::FLOATS)?;
        let same = &[q.dtype];
        let (k, v) = (args.typed(1, "K", same)?, args.typed(2, "V", same)?);
        if k.shape.rank() != q.shape.rank() || v.shape.rank() != q.shape.rank() {
            return invalid!("Q {}, K {}, V {}: numbers of axes differ", q.shape, k.shape, v.shape);
        }
        let [batch, heads, queries, size] = extents(&q, 0, op.q_num_heads)?;
        let of_k = extents(&k, 1, op.kv_num_heads)?;
        let of_v = extents(&v, 2, op.kv_num_heads)?;
        let [_, kv_heads, kv, _] = of_k;
        let value_size = of_v[3];
        for (name, found, expected) in [
            ("input 1 (K)", of_k, [batch, kv_heads, kv, size]),
            ("input 2 (V)", of_v, [batch, kv_heads, kv, value_size]),
        ] {
            if found != expected {
                return invalid!("{name}: expected {}, found {}", Shape::from(expected), Shape::from(found));
            }
        }
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) || size == 0 {
            return invalid!("{heads} heads of {size} numbers for queries do not share {kv_heads} for keys");
        }
        if [heads, queries, value_size].contains(&0) {
            return invalid!("Q {}, V {}: expected heads, queries and numbers", q.shape, v.shape);
        }
        let past = match args.optional(4) {
            None => 0,
            Some(past) => past.shape.get(2).copied().unwrap_or(0),
        };
        let mut p = Problem {
            args,
            dtype: q.dtype,
            flat: q.shape.rank() == 3,
            batch,
            heads,
            kv_heads,
            queries,
            kv,
            past,
            size,
            value_size,
            mask: args.optional(3),
            nonpad: None,
        };
        p.check_past()?;
        p.check_mask()?;
        if let Some(nonpad) = args.optional(6) {
            args.typed(6, "nonpad_kv_seqlen", &[DType::I64])?;
            if nonpad.shape.dims() != [batch] {
                return invalid!("input 6 (nonpad_kv_seqlen): expected [{batch}], found {}", nonpad.shape);
            }
            p.nonpad = Some(nonpad);
        }
        Ok(p)
    }

    fn check_past(&self) -> Result<(), OpError> {
        if self.args.optional(4).is_none() && self.args.optional(5).is_none() {
            return Ok(());
        }
        for (i, name, width) in [(4, "past_key", self.size), (5, "past_value", self.value_size)] {
            let arg = self.args.typed(i, name, &[self.dtype])?;
            let expected = [self.batch, self.kv_heads, self.past, width];
            if arg.shape.dims() != expected {
                return invalid!(
                    "input {i} ({name}): expected {}, found {}",
                    Shape::from(expected),
                    arg.shape
                );
            }
        }
        Ok(())
    }

    fn check_mask(&self) -> Result<(), OpError> {
        let Some(mask) = self.mask else { return Ok(()) };
        self.args.typed(3, "attn_mask", &[self.dtype, DType::Bool])?;
        let whole = [self.batch, self.heads, self.queries, self.total()];
        let fits = mask.shape.split_last().is_some_and(|(&last, others)| {
            let aligned = whole[..3].iter().rev().zip(others.iter().rev());
            let last_fits = last <= self.total() && (last > 0 || self.total() == 0);
            others.len() <= 3 && last_fits && aligned.into_iter().all(|(&n, &d)| d == n || d == 1)
        });
        match fits {
            true => Ok(()),
            false => invalid!(
                "input 3 (attn_mask): expected to broadcast to {}, found {}",
                Shape::from(whole),
                mask.shape
            ),
        }
    }

    /// T
    pub(super) fn total(&self) -> usize {
        self.past.saturating_add(self.kv)
    }

    /// Whether sums have no terms or outputs no elements: all is 0.
    pub(super) fn is_empty(&self) -> bool {
        self.batch == 0 || self.total() == 0
    }

    pub(super) fn outputs(&self) -> Result<Vec<TensorType>, OpError> {
        let (b, h, s, t) = (self.batch, self.heads, self.queries, self.total());
        let y = if self.flat {
            vec![b, s, h.saturating_mul(self.value_size)]
        } else {
            vec![b, h, s, self.value_size]
        };
        let all = [
            y,
            vec![b, self.kv_heads, t, self.size],
            vec![b, self.kv_heads, t, self.value_size],
            vec![b, h, s, t],
        ];
        all.map(|dims| TensorType::new(self.dtype, dims))
            .into_iter()
            .map(|ty| ty.shape.checked_bytes(ty.dtype).map(|_| ty))
            .collect()
    }

    /// The past of input `i`, if it is given.
    pub(super) fn past_of(&self, i: usize) -> Option<Arg<'a>> {
        self.args.optional(i + 3)
    }

    /// The buffer of input `i`, which is given.
    pub(super) fn input(&self, c: &mut Compute, i: usize) -> BufId {
        let none = Shape::scalar();
        let arg = self.args.optional(i).unwrap_or(Arg { dtype: self.dtype, shape: &none, value: None });
        c.input(i, &arg)
    }

    /// Input `i` as `[batch, heads, elements, width]`.
    pub(super) fn heads_major(&self, c: &mut Compute, i: usize, heads: usize, width: usize) -> BufId {
        let buf = self.input(c, i);
        if !self.flat {
            return buf;
        }
        let elements = c.ty(buf).shape[1];
        let ty = TensorType::new(self.dtype, [self.batch, heads, elements, width]);
        let [b, h, s, e] = [0, 1, 2, 3].map(Expr::var);
        if c.ty(buf).shape.numel() == 0 {
            return c.map("heads", ty, Expr::literal(self.dtype, 0.0));
        }
        c.map("heads", ty, Expr::load(buf, [b, s, h * Expr::int(width) + e]))
    }
}
