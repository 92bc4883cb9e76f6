//! Constants of compiled graphs, laid out for compiled code and shared by sessions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use octrt_compiler::artifact::Constant as Source;

use crate::arena::{ALIGN, Arena, align_up};
use crate::error::Error;

/// One allocation with a constant at every multiple of [`ALIGN`] that `ranges` names.
#[derive(Debug)]
struct Block {
    memory: Arena,
    ranges: Vec<Range<usize>>,
}

/// The constants of one compiled graph, in its order. Each is aligned to 64 bytes; they lie in one allocation, but for
/// those that a graph compiled before for other shapes has too: these are used where they are.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    constants: Vec<Constant>,
}

#[derive(Clone, Debug)]
struct Constant {
    block: Arc<Block>,
    range: Range<usize>,
}

impl Weights {
    /// The bytes of constant `i`.
    pub(crate) fn bytes(&self, i: usize) -> &[u8] {
        let c = &self.constants[i];
        &c.block.memory.bytes()[c.range.clone()]
    }
}

/// The allocations that live graphs of one model use.
#[derive(Debug, Default)]
pub(crate) struct WeightStore {
    blocks: Vec<Weak<Block>>,
}

impl WeightStore {
    /// Writes `constants` into one allocation, each dropped when it is written, packed where they say so, but shares those
    /// whose bytes a live graph has already. Equality is decided by comparing bytes, so it also finds weights that the
    /// compiler made anew from the same model. Hands the bytes of each source to `release` when they have been read.
    ///
    /// # Errors
    /// [`Error::Memory`] when they need more than `max_bytes`, or more than the system has.
    pub(crate) fn load(
        &mut self,
        constants: Vec<Source>,
        max_bytes: usize,
        release: &dyn Fn(&[u8]),
    ) -> Result<Weights, Error> {
        self.blocks.retain(|b| b.strong_count() > 0);
        let live: Vec<Arc<Block>> = self.blocks.iter().filter_map(Weak::upgrade).collect();
        let known = index(&live);
        let find = |c: &Source| match c {
            _ if known.is_empty() => None,
            Source::Plain(t) => find(&known, t.bytes()),
            Source::Packed(..) => {
                let mut packed = vec![0; c.ty().bytes()];
                c.write(&mut packed);
                find(&known, &packed)
            }
        };
        let sum = constants.iter().fold(0usize, |a, c| a.saturating_add(c.ty().bytes()));
        if sum > max_bytes {
            let why = format!("the limit is {max_bytes}");
            return Err(Error::Memory { what: "the weights".to_string(), bytes: sum, why });
        }
        let found: Vec<Option<Constant>> = constants.iter().map(find).collect();
        let mut ranges = Vec::new();
        let mut total = 0usize;
        let fresh = || constants.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(c, _)| c);
        for c in fresh() {
            let bytes = c.ty().bytes();
            ranges.push(total..total.saturating_add(bytes));
            total = align_up(total.saturating_add(bytes)).unwrap_or(usize::MAX);
        }
        let mut memory = Arena::new(total, "the weights")?;
        let mut places = ranges.iter();
        for (c, _) in constants.into_iter().zip(&found).filter(|(_, f)| f.is_none()) {
            if let Some(range) = places.next() {
                c.write(&mut memory.bytes_mut()[range.clone()]);
            }
            release(c.source().unscaled().0);
        }
        let block = Arc::new(Block { memory, ranges });
        self.blocks.push(Arc::downgrade(&block));
        let mut fresh = block.ranges.iter().map(|r| Constant { block: block.clone(), range: r.clone() });
        let constants = found.into_iter().map(|f| f.or_else(|| fresh.next())).collect::<Option<Vec<_>>>();
        let constants = constants.ok_or_else(|| Error::Internal("a weight has no place".to_string()))?;
        Ok(Weights { constants })
    }
}

/// Constants by size and first bytes: few candidates to compare in full.
type Index = BTreeMap<(usize, Vec<u8>), Vec<Constant>>;

fn key(bytes: &[u8]) -> (usize, Vec<u8>) {
    (bytes.len(), bytes[..bytes.len().min(ALIGN)].to_vec())
}

fn index(blocks: &[Arc<Block>]) -> Index {
    let mut index = Index::new();
    for block in blocks {
        for range in &block.ranges {
            let constant = Constant { block: block.clone(), range: range.clone() };
            index.entry(key(&block.memory.bytes()[range.clone()])).or_default().push(constant);
        }
    }
    index
}

fn find(index: &Index, bytes: &[u8]) -> Option<Constant> {
    let candidates = index.get(&key(bytes))?;
    candidates.iter().find(|c| c.block.memory.bytes()[c.range.clone()] == *bytes).cloned()
}

#[cfg(test)]
mod tests {
    use octrt_ops::Tensor;

    use super::*;

    fn tensor(values: &[f32]) -> Source {
        Source::Plain(Tensor::new([values.len()], values).unwrap())
    }

    fn bytes(s: &Source) -> Vec<u8> {
        let mut bytes = vec![0; s.ty().bytes()];
        s.write(&mut bytes);
        bytes
    }

    #[test]
    fn constants_are_copied_and_aligned() {
        let tensors = [tensor(&[1.0, 2.0]), tensor(&[]), tensor(&[3.0; 17])];
        let w = WeightStore::default().load(tensors.to_vec(), usize::MAX, &|_| ()).unwrap();
        assert_eq!(w.constants.len(), 3);
        for (i, t) in tensors.iter().enumerate() {
            assert_eq!(w.bytes(i), bytes(t));
            assert_eq!(w.bytes(i).as_ptr() as usize % ALIGN, 0);
        }
    }

    #[test]
    fn equal_constants_of_live_graphs_are_shared() {
        let mut store = WeightStore::default();
        let (a, b) = (tensor(&[1.0; 100]), tensor(&[2.0; 100]));
        let first = store.load(vec![a.clone()], usize::MAX, &|_| ()).unwrap();
        let second = store.load(vec![b, a], usize::MAX, &|_| ()).unwrap();
        assert_eq!(second.bytes(1).as_ptr(), first.bytes(0).as_ptr());
        assert_ne!(second.bytes(0).as_ptr(), first.bytes(0).as_ptr());
        drop((first, second));
        store.load(Vec::new(), usize::MAX, &|_| ()).unwrap();
        assert_eq!(store.blocks.len(), 1);
    }

    #[test]
    fn the_limit_holds() {
        let e = WeightStore::default().load(vec![tensor(&[0.0; 1000])], 100, &|_| ()).unwrap_err();
        assert!(matches!(e, Error::Memory { bytes: 4000, .. }), "{e}");
    }
}
