//! Recurrent operators.

use octrt_ops::def::gru::Gru;
use octrt_ops::def::lstm::Lstm;
use octrt_ops::def::rnn::Rnn;
use octrt_ops::recurrent::{ActivationKind, Direction};

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
    let Shared { direction, batch_first, activations, alpha, beta, clip } =
        Shared::read(n, &[ActivationKind::Sigmoid, ActivationKind::Tanh, ActivationKind::Tanh])?;
    let input_forget = n.attrs.flag("input_forget")?;
    let op = Lstm { direction, batch_first, activations, alpha, beta, clip, input_forget };
    n.emit_all(op, n.inputs(3, 5)?)
}
