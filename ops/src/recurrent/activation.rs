//! Activations of gates and states.

use crate::attr::{Attr, AttrValue};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, UnaryFn};
use crate::{DType, attr_enum, invalid};

/// A function of one number, some with parameters a and b.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationKind {
    /// `max(x, 0)`
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `a * x + b`
    Affine,
    /// `x` where it is not negative, `a * x` elsewhere.
    LeakyRelu,
    /// `x` where it is above `a`, 0 elsewhere.
    ThresholdedRelu,
    /// `a * tanh(b * x)`
    ScaledTanh,
    /// `min(max(a * x + b, 0), 1)`
    HardSigmoid,
    /// `x` where it is not negative, `a * (exp(x) - 1)` elsewhere.
    Elu,
    /// `x / (1 + |x|)`
    Softsign,
    /// `log(1 + exp(x))`
    Softplus,
}

attr_enum!(ActivationKind {
    Relu = "relu",
    Tanh = "tanh",
    Sigmoid = "sigmoid",
    Affine = "affine",
    LeakyRelu = "leaky_relu",
    ThresholdedRelu = "thresholded_relu",
    ScaledTanh = "scaled_tanh",
    HardSigmoid = "hard_sigmoid",
    Elu = "elu",
    Softsign = "softsign",
    Softplus = "softplus",
});

impl ActivationKind {
    /// Whether the function has the parameters a and b.
    pub fn parameters(self) -> (bool, bool) {
        match self {
            ActivationKind::Affine | ActivationKind::ScaledTanh | ActivationKind::HardSigmoid => (true, true),
            ActivationKind::LeakyRelu | ActivationKind::ThresholdedRelu | ActivationKind::Elu => {
                (true, false)
            }
            _ => (false, false),
        }
    }
}

impl AttrValue for Vec<ActivationKind> {
    fn to_attr(&self) -> Attr {
        Attr::Names(self.iter().map(|kind| kind.name().into()).collect())
    }
    fn from_attr(attr: &Attr) -> Option<Self> {
        match attr {
            Attr::Names(names) => names.iter().map(|name| name.parse().ok()).collect(),
            // The empty list has no element that would tell its type.
            Attr::Ints(v) if v.is_empty() => Some(Vec::new()),
            _ => None,
        }
    }
}

/// A function with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// Which one.
    pub kind: ActivationKind,
    /// Parameter a.
    pub alpha: f32,
    /// Parameter b.
    pub beta: f32,
}

impl Activation {
    /// The function of an expression of a float type.
    pub fn expr(self, dtype: DType, x: Expr) -> Expr {
        let lit = |v: f64| Expr::literal(dtype, v);
        let (a, b) = (lit(self.alpha.into()), lit(self.beta.into()));
        let at_least_0 = Expr::compare(CompareFn::Ge, x.clone(), lit(0.0));
        let exp = |x| Expr::unary(UnaryFn::Exp, x);
        let tanh = |x| Expr::unary(UnaryFn::Tanh, x);
        let abs = |x| Expr::unary(UnaryFn::Abs, x);
        let neg = |x| Expr::unary(UnaryFn::Neg, x);
        match self.kind {
            ActivationKind::Relu => x.max(lit(0.0)),
            ActivationKind::Tanh => tanh(x),
            ActivationKind::Sigmoid => lit(1.0) / (lit(1.0) + exp(neg(x))),
            ActivationKind::Affine => a * x + b,
            ActivationKind::LeakyRelu => at_least_0.select(x.clone(), a * x),
            ActivationKind::ThresholdedRelu => Expr::compare(CompareFn::Gt, x.clone(), a).select(x, lit(0.0)),
            ActivationKind::ScaledTanh => a * tanh(b * x),
            ActivationKind::HardSigmoid => (a * x + b).max(lit(0.0)).min(lit(1.0)),
            ActivationKind::Elu => at_least_0.select(x.clone(), a * (exp(x) - lit(1.0))),
            ActivationKind::Softsign => x.clone() / (lit(1.0) + abs(x)),
            ActivationKind::Softplus => {
                x.clone().max(lit(0.0)) + Expr::unary(UnaryFn::Log, lit(1.0) + exp(neg(abs(x))))
            }
        }
    }

    /// The function of a number.
    pub fn value(self, x: f64) -> f64 {
        let (a, b) = (f64::from(self.alpha), f64::from(self.beta));
        match self.kind {
            ActivationKind::Relu if x.is_nan() => x,
            ActivationKind::Relu => x.max(0.0),
            ActivationKind::Tanh => x.tanh(),
            ActivationKind::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            ActivationKind::Affine => a * x + b,
            ActivationKind::LeakyRelu => x * if x >= 0.0 { 1.0 } else { a },
            ActivationKind::ThresholdedRelu => {
                if x > a {
                    x
                } else {
                    0.0
                }
            }
            ActivationKind::ScaledTanh => a * (b * x).tanh(),
            ActivationKind::HardSigmoid => (a * x + b).clamp(0.0, 1.0),
            ActivationKind::Elu if x >= 0.0 => x,
            ActivationKind::Elu => a * x.exp_m1(),
            ActivationKind::Softsign => x / (1.0 + x.abs()),
            ActivationKind::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        }
    }
}

/// The activations of an operator, those of a direction after each other, and the limit of what they are given.
#[derive(Clone, Debug)]
pub struct Activations {
    all: Vec<Activation>,
    each: usize,
    clip: Option<f32>,
}

impl Activations {
    /// `each` functions for each of `directions`; no lists of parameters are lists of zeros.
    ///
    /// # Errors
    /// [`OpError::Invalid`] for another number of functions or of parameters, and when `clip` is not positive.
    pub fn new(
        kinds: &[ActivationKind],
        parameters: [&[f32]; 2],
        (directions, each): (usize, usize),
        clip: Option<f32>,
    ) -> Result<Self, OpError> {
        let n = directions * each;
        if kinds.len() != n {
            return invalid!("activations: expected {n}, found {}", kinds.len());
        }
        let [alpha, beta] = parameters;
        for (name, list) in [("alpha", alpha), ("beta", beta)] {
            if !list.is_empty() && list.len() != n {
                return invalid!("{name}: expected {n} values or none, found {}", list.len());
            }
        }
        if let Some(clip) = clip.filter(|c| c.is_nan() || *c <= 0.0) {
            return invalid!("clip: expected a positive number, found {clip}");
        }
        let at = |list: &[f32], i: usize| list.get(i).copied().unwrap_or(0.0);
        let of = |(i, &kind): (usize, &ActivationKind)| Activation {
            kind,
            alpha: at(alpha, i),
            beta: at(beta, i),
        };
        Ok(Activations { all: kinds.iter().enumerate().map(of).collect(), each, clip })
    }

    /// Function `i` of direction `d` of an expression.
    pub fn expr(&self, d: usize, i: usize, dtype: DType, x: Expr) -> Expr {
        self.all[d * self.each + i].expr(dtype, x)
    }

    /// [`Activations::expr`] of what is within the limit.
    pub fn clipped_expr(&self, d: usize, i: usize, dtype: DType, x: Expr) -> Expr {
        let limited = match self.clip {
            None => x,
            Some(clip) => {
                x.max(Expr::literal(dtype, -f64::from(clip))).min(Expr::literal(dtype, clip.into()))
            }
        };
        self.expr(d, i, dtype, limited)
    }

    /// Function `i` of direction `d` of a number.
    pub fn value(&self, d: usize, i: usize, x: f64) -> f64 {
        self.all[d * self.each + i].value(x)
    }

    /// [`Activations::value`] of what is within the limit.
    pub fn clipped_value(&self, d: usize, i: usize, x: f64) -> f64 {
        let limit = f64::from(self.clip.unwrap_or(f32::INFINITY));
        self.value(d, i, x.clamp(-limit, limit))
    }
}
