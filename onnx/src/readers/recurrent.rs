//! Recurrent operators.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::gru::Gru;
use octrt_ops::def::lstm::Lstm;
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::rnn::Rnn;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::recurrent::{ActivationKind, Direction};
use octrt_ops::{DType, ValueId};

use crate::error::{Fault, invalid};
use crate::names::{ACTIVATION, DIRECTION};
use crate::node::NodeReader;

/// Attributes that the three operators share.
struct Shared {
    direction: Direction,
    batch_first: bool,
    activations: Vec<ActivationKind>,
    alpha: Vec<f32>,
    beta: Vec<f32>,
    clip: Option<f32>,
}

/// The parameters of activations for which no value is given; `None` where there is no default.
fn defaults(kind: ActivationKind) -> (Option<f32>, Option<f32>) {
    match kind {
        ActivationKind::LeakyRelu => (Some(0.01), None),
        ActivationKind::ThresholdedRelu | ActivationKind::Elu => (Some(1.0), None),
        ActivationKind::HardSigmoid => (Some(0.2), Some(0.5)),
        _ => (None, None),
    }
}

/// An activation by its name, in any case.
fn activation(name: &str) -> Result<ActivationKind, Fault> {
    let found = ACTIVATION.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    match found {
        Some((_, kind)) => Ok(*kind),
        None => {
            let known: Vec<&str> = ACTIVATION.iter().map(|(n, _)| *n).collect();
            invalid!("attribute 'activations': expected some of {}, found '{name}'", known.join(", "))
        }
    }
}

impl Shared {
    /// `functions` are the activations of a direction where none are given. `hidden_size` is what the shape of `R` says,
    /// `output_sequence` (before opset 7) whether the first output is used.
    fn read(n: &mut NodeReader<'_>, functions: &[ActivationKind]) -> Result<Shared, Fault> {
        n.attrs.ignore(&["hidden_size", "output_sequence"]);
        let direction = n.attrs.keyword("direction", DIRECTION, Direction::Forward)?;
        let directions = if direction == Direction::Bidirectional { 2 } else { 1 };
        let mut activations = match n.attrs.texts("activations")? {
            None => functions.repeat(directions),
            Some(names) => names.iter().map(|name| activation(name)).collect::<Result<Vec<_>, _>>()?,
        };
        // The default of RNN has two functions whatever the direction, and exporters write it down.
        if functions.len() == 1 && activations.len() == 2 {
            activations.truncate(directions);
        }
        let expected = functions.len() * directions;
        if activations.len() != expected {
            return invalid!(
                "attribute 'activations': expected {expected} names, found {}",
                activations.len()
            );
        }
        let mut alphas = n.attrs.floats("activation_alpha")?.unwrap_or_default().iter().copied();
        let mut betas = n.attrs.floats("activation_beta")?.unwrap_or_default().iter().copied();
        let (mut alpha, mut beta) = (Vec::new(), Vec::new());
        for kind in &activations {
            let ((has_alpha, has_beta), (a, b)) = (kind.parameters(), defaults(*kind));
            alpha.push(parameter("activation_alpha", has_alpha, &mut alphas, a)?);
            beta.push(parameter("activation_beta", has_beta, &mut betas, b)?);
        }
        let none = |list: Vec<f32>, used: bool| if used { list } else { Vec::new() };
        let used = |f: fn((bool, bool)) -> bool| activations.iter().any(|kind| f(kind.parameters()));
        let (with_alpha, with_beta) = (used(|p| p.0), used(|p| p.1));
        Ok(Shared {
            direction,
            batch_first: n.attrs.flag("layout")?,
            activations,
            alpha: none(alpha, with_alpha),
            beta: none(beta, with_beta),
            clip: n.attrs.float("clip")?,
        })
    }
}

/// The next of `given` for an activation that has the parameter.
fn parameter(
    name: &str,
    used: bool,
    given: &mut dyn Iterator<Item = f32>,
    default: Option<f32>,
) -> Result<f32, Fault> {
    if !used {
        return Ok(0.0);
    }
    match given.next().or(default) {
        Some(v) => Ok(v),
        None => invalid!("attribute '{name}' has no value for an activation that needs one"),
    }
}

/// `RNN`.
pub(crate) fn rnn(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Shared { direction, batch_first, activations, alpha, beta, clip } =
        Shared::read(n, &[ActivationKind::Tanh])?;
    n.emit_all(Rnn { direction, batch_first, activations, alpha, beta, clip }, n.inputs(3, 3)?)
}

/// `GRU`.
pub(crate) fn gru(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Shared { direction, batch_first, activations, alpha, beta, clip } =
        Shared::read(n, &[ActivationKind::Sigmoid, ActivationKind::Tanh])?;
    // Any number but 0 means yes.
    let linear_before_reset = n.attrs.int("linear_before_reset")?.unwrap_or(0) != 0;
    let op = Gru { direction, batch_first, activations, alpha, beta, clip, linear_before_reset };
    n.emit_all(op, n.inputs(3, 3)?)
}

/// `LSTM`.
pub(crate) fn lstm(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let inputs = n.inputs(3, 5)?;
    emit_lstm(n, inputs)
}

/// `DynamicQuantizeLSTM` of ONNX Runtime: the inputs of LSTM, but with weights [directions, inputs, 4 * hidden] of 8 bits,
/// then a scale and a zero point for W and for R, of each direction or of each of its columns. Weights are made numbers
/// once; what is multiplied by them is not rounded to 8 bits, as ONNX Runtime does in every step.
pub(crate) fn dynamic_quantize_lstm(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let inputs = n.inputs(3, 9)?;
    let mut lstm = inputs[..8].to_vec();
    for (i, name, scale, zero) in [(1, "W", 8, 9), (2, "R", 10, 11)] {
        lstm[i] = Some(weights(n, name, [inputs[i], inputs[scale], inputs[zero]])?);
    }
    emit_lstm(n, lstm)
}

/// `Transpose((w - zero point) * scale)`, with the columns as rows.
fn weights(
    n: &mut NodeReader<'_>,
    name: &str,
    [w, scale, zero]: [Option<ValueId>; 3],
) -> Result<ValueId, Fault> {
    if scale.is_none() {
        return invalid!("the scale of {name} is missing");
    }
    let shape = n.ints(&format!("{name}.shape"), &[0, 1, -1])?;
    let by_column = |n: &mut NodeReader<'_>, role: &str, v: Option<ValueId>| {
        n.step(&format!("{name}.{role}"), Reshape { allow_zero: false }, vec![v, Some(shape)])
    };
    let number = |n: &mut NodeReader<'_>, role: &str, v: Option<ValueId>| {
        n.step(&format!("{name}.{role}"), Cast { to: DType::F32 }, vec![v])
    };
    let mut values = number(n, "values", w)?;
    if zero.is_some() {
        let zero = number(n, "zero", zero)?;
        let zero = by_column(n, "zeros", Some(zero))?;
        let sub = Binary { kind: BinaryKind::Sub };
        values = n.step(&format!("{name}.centred"), sub, vec![Some(values), Some(zero)])?;
    }
    let scale = by_column(n, "scale", scale)?;
    let mul = Binary { kind: BinaryKind::Mul };
    let scaled = n.step(&format!("{name}.scaled"), mul, vec![Some(values), Some(scale)])?;
    n.step(&format!("{name}.rows"), Transpose { perm: vec![0, 2, 1] }, vec![Some(scaled)])
}

fn emit_lstm(n: &mut NodeReader<'_>, inputs: Vec<Option<ValueId>>) -> Result<(), Fault> {
    let Shared { direction, batch_first, activations, alpha, beta, clip } =
        Shared::read(n, &[ActivationKind::Sigmoid, ActivationKind::Tanh, ActivationKind::Tanh])?;
    let input_forget = n.attrs.flag("input_forget")?;
    let op = Lstm { direction, batch_first, activations, alpha, beta, clip, input_forget };
    n.emit_all(op, inputs)
}
