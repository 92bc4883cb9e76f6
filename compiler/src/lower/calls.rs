//! Calls of nests on *virtual* buffers: what a graph becomes when it is lowered.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use octrt_ops::TensorType;

use crate::artifact::Repeat;
use crate::decide::Refused;
use crate::nest::Nest;
use crate::schedule::script::Schedule;
use crate::strategy::conv::ConvProblem;
use crate::strategy::decision::Decision;

pub use crate::artifact::Constant;

/// What steps that only reorder a tensor have in the place of an operator's name.
pub const LAYOUT: &str = "Layout";

/// A buffer before it has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Virtual {
    /// The graph input with this position.
    Input(usize),
    /// The graph output with this position.
    Output(usize),
    /// Position in [`Lowered::constants`].
    Const(usize),
    /// Position in [`Lowered::temporaries`].
    Temporary(usize),
    /// A part of a temporary: from this distance in bytes on.
    Within(usize, usize),
    /// Memory of the thread, for one call.
    Scratch,
}

impl Virtual {
    /// The same buffer from some bytes on, for temporaries.
    pub fn within(self, bytes: usize) -> Option<(usize, usize)> {
        match self {
            Virtual::Temporary(i) => Some((i, bytes)),
            Virtual::Within(i, first) => Some((i, first + bytes)),
            _ => None,
        }
    }
}

/// What a call runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A naive nest that is not scheduled yet. Its name is that of the stage.
    Naive(Nest),
    /// A nest of calls.
    Scheduled(Arc<Nest>),
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it runs.
    pub work: Work,
    /// How a nest of calls was made, where a schedule made it.
    pub schedule: Option<Arc<Schedule>>,
    /// How parts of it were made, where a schedule made them.
    pub parts: Vec<Arc<Schedule>>,
    /// Name of the node it belongs to.
    pub node: String,
    /// ONNX name of the node's operator; [`LAYOUT`] for reorders.
    pub op: &'static str,
    /// The stage of the node's definition.
    pub stage: &'static str,
    /// Buffers in the order of the nest's.
    pub buffers: Vec<(Virtual, TensorType)>,
    /// Positions in `buffers` of those that are written.
    pub results: Vec<usize>,
    /// When present, the result is one `bool`, and the run fails with this message when it is false.
    pub check: Option<String>,
}

impl Call {
    /// The schedules that made its nest or parts of it, and of what, in words.
    pub fn schedules(&self) -> impl Iterator<Item = (&Schedule, String)> {
        let whole = self.schedule.iter().map(|s| (&**s, self.stage.to_string()));
        let part = |s: &Schedule| format!("{}, the part \"{}\" of its nest", self.stage, s.naive().name);
        whole.chain(self.parts.iter().map(move |s| (&**s, part(s))))
    }
}

/// A graph as calls.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// Calls in order.
    pub calls: Vec<Call>,
    /// What calls read and never write.
    pub constants: Vec<Constant>,
    /// Buffers that calls write and read.
    pub temporaries: Vec<TensorType>,
    /// Calls that run in turns, in order.
    pub repeats: Vec<Repeat>,
    /// What schedules refused: what was lowered is of no use then, it is to be decided anew.
    pub refused: Refused,
    /// Outputs that need no computation.
    pub copies: Vec<(Virtual, usize)>,
    /// Distinct convolutions in blocks, with what of the decisions serves them; those that are computed as several are not among
    /// them.
    pub convolutions: Vec<(ConvProblem, Decision)>,
    /// Positions of small constants by what they are made from.
    small: BTreeMap<u64, Vec<usize>>,
}

impl Lowered {
    /// A buffer for a tensor of this type.
    pub fn temporary(&mut self, ty: Option<TensorType>) -> Virtual {
        self.temporaries.extend(ty);
        Virtual::Temporary(self.temporaries.len() - 1)
    }

    /// The calls from `first` on run in turns.
    pub fn repeat(&mut self, first: usize, turns: usize) {
        if first < self.calls.len() {
            self.repeats.push(Repeat { steps: first..self.calls.len(), turns });
        }
    }

    /// A constant; small equal ones (tables, biases) that are made from equal small tensors are kept once. What is made from
    /// large ones is not looked at: a compiled file may not hold them, and is to become the same program.
    pub fn constant(&mut self, c: Constant) -> Virtual {
        const SMALL: usize = 64 << 10;
        if c.ty().bytes().max(c.source().ty().bytes()) > SMALL {
            self.constants.push(c);
            return Virtual::Const(self.constants.len() - 1);
        }
        let alike = self.small.entry(origin(&c)).or_default();
        if let Some(known) = alike.iter().find(|i| self.constants[**i] == c) {
            return Virtual::Const(*known);
        }
        alike.push(self.constants.len());
        self.constants.push(c);
        Virtual::Const(self.constants.len() - 1)
    }

    /// Drops constants that nothing reads: weights that are read in another form only.
    pub fn drop_unread(&mut self) {
        let of_calls = self.calls.iter_mut().flat_map(|c| &mut c.buffers).map(|(place, _)| place);
        let mut places: Vec<&mut Virtual> =
            of_calls.chain(self.copies.iter_mut().map(|(place, _)| place)).collect();
        let mut new = vec![None; self.constants.len()];
        for place in &places {
            if let Virtual::Const(i) = **place {
                new[i] = Some(0);
            }
        }
        new.iter_mut().flatten().enumerate().for_each(|(at, new)| *new = at);
        for place in &mut places {
            if let Virtual::Const(i) = place {
                *i = new[*i].unwrap_or(*i);
            }
        }
        let mut read = new.iter().map(Option::is_some);
        self.constants.retain(|_| read.next().unwrap_or(true));
        self.small.clear();
    }
}

/// A number that constants have in common which are made from equal tensors.
fn origin(c: &Constant) -> u64 {
    let mut hasher = DefaultHasher::new();
    let source = c.source();
    source.ty().hash(&mut hasher);
    let (bytes, factors) = source.unscaled();
    bytes.hash(&mut hasher);
    factors.iter().for_each(|f| f.to_bits().hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use octrt_ops::Tensor;

    use super::*;
    use crate::pack::Packing;

    #[test]
    fn constants_that_nothing_reads_are_dropped() {
        let mut lowered = Lowered::default();
        let plain = |v: f32| Constant::Plain(Tensor::scalar(v));
        let places: Vec<Virtual> = [1.0, 2.0, 3.0, 4.0].map(|v| lowered.constant(plain(v))).to_vec();
        lowered.copies = vec![(places[3], 0), (places[1], 1), (Virtual::Input(0), 2)];
        lowered.drop_unread();
        assert_eq!(lowered.constants, [plain(2.0), plain(4.0)]);
        let copies = vec![(Virtual::Const(1), 0), (Virtual::Const(0), 1), (Virtual::Input(0), 2)];
        assert_eq!(lowered.copies, copies);
        assert_eq!(lowered.constant(plain(2.0)), Virtual::Const(2));
    }

    #[test]
    fn small_equal_constants_are_kept_once() {
        let tensor = |v: f32| Tensor::new([2], &[v, 1.0]).unwrap();
        let packed = |len| Constant::Packed(Packing::Vector { len }, tensor(2.0));
        let large = Constant::Plain(Tensor::new([20_000], &[0f32; 20_000]).unwrap());
        let scaled = |f: f64| Constant::Plain(tensor(1.0).scaled(vec![f]).unwrap());
        let given = [
            Constant::Plain(tensor(1.0)),
            Constant::Plain(tensor(2.0)),
            packed(8),
            packed(16),
            scaled(3.0),
            scaled(4.0),
            large.clone(),
        ];
        let mut lowered = Lowered::default();
        let places: Vec<Virtual> = given.iter().map(|c| lowered.constant(c.clone())).collect();
        assert_eq!(places, (0..7).map(Virtual::Const).collect::<Vec<_>>());
        let again: Vec<Virtual> = given[..6].iter().map(|c| lowered.constant(c.clone())).collect();
        assert_eq!(again, places[..6]);
        assert_eq!(lowered.constant(large), Virtual::Const(7));
        assert_eq!(lowered.constants.len(), 8);
    }
}
