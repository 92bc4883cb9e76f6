//! Constants of compiled graphs, laid out for compiled code and shared by sessions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use octrt_compiler::artifact::Constant as Source;

use crate::arena::{ALIGN, Arena, align_up};
use crate::error::Error;
use crate::source::ModelFile;
use crate::threads::Threads;

/// Memory with a constant at every multiple of [`ALIGN`] that `ranges` names.
#[derive(Debug)]
struct Block {
    memory: Memory,
    ranges: Vec<Range<usize>>,
}

/// What constants lie in.
#[derive(Debug)]
enum Memory {
    /// An allocation of their own.
    Own(Arena),
    /// The file of a compiled model.
    File(Arc<ModelFile>),
}

impl Block {
    fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Own(arena) => arena.bytes(),
            Memory::File(file) => (**file).as_ref(),
        }
    }
}

/// Weights that were packed before.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// The file that they lie in.
    pub(crate) file: Arc<ModelFile>,
    /// Where those lie in it that are packed, in the order of the compiled graph; inside it, at multiples of [`ALIGN`].
    pub(crate) ranges: Vec<Range<usize>>,
}

/// Who packs weights.
#[derive(Clone, Copy)]
pub(crate) struct Packer<'a> {
    pub(crate) threads: &'a Threads,
    /// Gets the bytes of each weight when they have been read.
    pub(crate) release: &'a (dyn Fn(&[u8]) + Sync),
}

/// What the weights of a model take, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WeightBytes {
    /// In memory of the process.
    pub(crate) own: usize,
    /// In mapped files, which processes share.
    pub(crate) mapped: usize,
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
        &c.block.bytes()[c.range.clone()]
    }
}

/// The allocations that live graphs of one model use.
#[derive(Debug, Default)]
pub(crate) struct WeightStore {
    blocks: Vec<Weak<Block>>,
}

impl WeightStore {
    /// Bytes that live graphs have.
    pub(crate) fn bytes(&self) -> WeightBytes {
        let mut sum = WeightBytes::default();
        for block in self.blocks.iter().filter_map(Weak::upgrade) {
            let used: usize = block.ranges.iter().map(Range::len).sum();
            match &block.memory {
                Memory::File(file) if file.is_mapped() => sum.mapped += used,
                Memory::File(_) => sum.own += used,
                Memory::Own(arena) => sum.own += arena.len(),
            }
        }
        sum
    }

    /// Writes `constants` into one allocation, each dropped when it is written, packed where they say so, but shares those
    /// whose bytes a live graph has already, and takes those that are `packed` from there. Equality is decided by
    /// comparing bytes, so it also finds weights that the compiler made anew from the same model.
    ///
    /// # Errors
    /// [`Error::Memory`] when they need more than `max_bytes`, or more than the system has; [`Error::Internal`] when
    /// those that are packed are not those of the graph, or a constant is not what its recipe was made for.
    pub(crate) fn load(
        &mut self,
        constants: Vec<Source>,
        packed: Option<&Packed>,
        max_bytes: usize,
        packer: Packer<'_>,
    ) -> Result<Weights, Error> {
        self.blocks.retain(|b| b.strong_count() > 0);
        let sum = constants.iter().fold(0usize, |a, c| a.saturating_add(c.ty().bytes()));
        if sum > max_bytes {
            let why = format!("the limit is {max_bytes}");
            return Err(Error::Memory { what: "the weights".to_string(), bytes: sum, why });
        }
        let found = match packed {
            Some(packed) => self.in_file(&constants, packed)?,
            None => self.known(&constants)?,
        };
        let mut ranges = Vec::new();
        let mut total = 0usize;
        let fresh = || constants.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(c, _)| c);
        for c in fresh() {
            let bytes = c.ty().bytes();
            ranges.push(total..total.saturating_add(bytes));
            total = align_up(total.saturating_add(bytes)).unwrap_or(usize::MAX);
        }
        let mut memory = Arena::new(total, "the weights")?;
        let mut places = slices(memory.bytes_mut(), &ranges).into_iter();
        let fresh = constants.into_iter().zip(&found).filter(|(_, f)| f.is_none());
        let jobs: Vec<(Source, &mut [u8])> = fresh.map(|(c, _)| c).zip(&mut places).collect();
        let written = packer.threads.map(jobs, |(constant, place)| {
            write(&constant, place)?;
            (packer.release)(constant.source().unscaled().0);
            Ok(())
        });
        written.into_iter().collect::<Result<(), Error>>()?;
        let block = Arc::new(Block { memory: Memory::Own(memory), ranges });
        self.blocks.push(Arc::downgrade(&block));
        let mut fresh = block.ranges.iter().map(|r| Constant { block: block.clone(), range: r.clone() });
        let constants = found.into_iter().map(|f| f.or_else(|| fresh.next())).collect::<Option<Vec<_>>>();
        let constants = constants.ok_or_else(|| Error::Internal("a weight has no place".to_string()))?;
        Ok(Weights { constants })
    }

    /// The constants that live graphs have. One that is not packed may decide where code reads, so it is not taken from a
    /// file, which somebody could change.
    fn known(&self, constants: &[Source]) -> Result<Vec<Option<Constant>>, Error> {
        let live: Vec<Arc<Block>> = self.blocks.iter().filter_map(Weak::upgrade).collect();
        let known = index(live.iter());
        let is_own = |b: &&Arc<Block>| matches!(b.memory, Memory::Own(_));
        let own = index(live.iter().filter(is_own));
        let find = |c: &Source| match c {
            _ if known.is_empty() => Ok(None),
            Source::Plain(t) => Ok(find(&own, t.bytes())),
            Source::Packed(..) => {
                let mut packed = vec![0; c.ty().bytes()];
                write(c, &mut packed)?;
                Ok(find(&known, &packed))
            }
        };
        constants.iter().map(find).collect()
    }

    /// The packed ones of the constants, in a file.
    fn in_file(&mut self, constants: &[Source], packed: &Packed) -> Result<Vec<Option<Constant>>, Error> {
        let Packed { file, ranges } = packed.clone();
        let len = (*file).as_ref().len();
        let wanted = constants.iter().filter(|c| matches!(c, Source::Packed(..))).map(|c| c.ty().bytes());
        let fits = |r: &Range<usize>| r.start <= r.end && r.end <= len && r.start.is_multiple_of(ALIGN);
        if !wanted.eq(ranges.iter().map(Range::len)) || !ranges.iter().all(fits) {
            return Err(Error::Internal("the packed weights are not those of the graph".to_string()));
        }
        let block = Arc::new(Block { memory: Memory::File(file), ranges });
        self.blocks.push(Arc::downgrade(&block));
        let mut places = block.ranges.iter();
        let place = |c: &Source| match c {
            Source::Plain(_) => None,
            Source::Packed(..) => places.next().map(|r| Constant { block: block.clone(), range: r.clone() }),
        };
        Ok(constants.iter().map(place).collect())
    }
}

fn write(constant: &Source, place: &mut [u8]) -> Result<(), Error> {
    constant.write(place).map_err(|e| Error::Internal(e.to_string()))
}

/// Parts of `bytes`, which do not overlap and are in order.
fn slices<'a>(bytes: &'a mut [u8], ranges: &[Range<usize>]) -> Vec<&'a mut [u8]> {
    let (mut rest, mut at) = (bytes, 0);
    let mut parts = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (_, from) = rest.split_at_mut(range.start - at);
        let (part, behind) = from.split_at_mut(range.len());
        parts.push(part);
        (rest, at) = (behind, range.end);
    }
    parts
}

/// Constants by size and first bytes: few candidates to compare in full.
type Index = BTreeMap<(usize, Vec<u8>), Vec<Constant>>;

fn key(bytes: &[u8]) -> (usize, Vec<u8>) {
    (bytes.len(), bytes[..bytes.len().min(ALIGN)].to_vec())
}

fn index<'a>(blocks: impl Iterator<Item = &'a Arc<Block>>) -> Index {
    let mut index = Index::new();
    for block in blocks {
        for range in &block.ranges {
            let constant = Constant { block: block.clone(), range: range.clone() };
            index.entry(key(&block.bytes()[range.clone()])).or_default().push(constant);
        }
    }
    index
}

fn find(index: &Index, bytes: &[u8]) -> Option<Constant> {
    let candidates = index.get(&key(bytes))?;
    candidates.iter().find(|c| c.block.bytes()[c.range.clone()] == *bytes).cloned()
}

#[cfg(test)]
mod tests {
    use octrt_ops::Tensor;

    use super::*;

    const ALONE: Packer<'static> = Packer { threads: &Threads::one(), release: &|_| () };

    fn tensor(values: &[f32]) -> Source {
        Source::Plain(Tensor::new([values.len()], values).unwrap())
    }

    fn bytes(s: &Source) -> Vec<u8> {
        let mut bytes = vec![0; s.ty().bytes()];
        write(s, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn constants_are_copied_and_aligned() {
        let tensors = [tensor(&[1.0, 2.0]), tensor(&[]), tensor(&[3.0; 17])];
        let w = WeightStore::default().load(tensors.to_vec(), None, usize::MAX, ALONE).unwrap();
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
        let first = store.load(vec![a.clone()], None, usize::MAX, ALONE).unwrap();
        let second = store.load(vec![b, a], None, usize::MAX, ALONE).unwrap();
        assert_eq!(second.bytes(1).as_ptr(), first.bytes(0).as_ptr());
        assert_ne!(second.bytes(0).as_ptr(), first.bytes(0).as_ptr());
        drop((first, second));
        store.load(Vec::new(), None, usize::MAX, ALONE).unwrap();
        assert_eq!(store.blocks.len(), 1);
    }

    #[test]
    fn only_packed_constants_lie_in_files() {
        let mut bytes = Arena::new(128, "test").unwrap();
        bytes.bytes_mut()[..8].copy_from_slice(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
        let packed = Packed { file: Arc::new(ModelFile::Read(bytes)), ranges: vec![0..64, 64..128] };
        let source = Tensor::new([1], &[1.0f32]).unwrap();
        let vector = |len| Source::Packed(octrt_compiler::pack::Packing::Vector { len }, source.clone());
        let mut store = WeightStore::default();
        let load = |s: &mut WeightStore, c: Vec<Source>, p| s.load(c, p, usize::MAX, ALONE);
        let first = load(&mut store, vec![vector(16), tensor(&[5.0]), vector(16)], Some(&packed)).unwrap();
        assert_eq!(first.bytes(0)[..8], [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
        assert_eq!(first.bytes(1), 5.0f32.to_le_bytes());
        assert_eq!(store.bytes(), WeightBytes { own: 64 + 128, mapped: 0 });
        // The second one of the file is zeros: a packed constant shares them, another one does not.
        let zeros = Source::Packed(octrt_compiler::pack::Packing::Vector { len: 16 }, tensor_of_zero());
        let second = load(&mut store, vec![zeros, tensor(&[0.0; 16])], None).unwrap();
        assert_eq!(second.bytes(0).as_ptr(), first.bytes(2).as_ptr());
        assert_ne!(second.bytes(1).as_ptr(), first.bytes(2).as_ptr());
        // Sizes and numbers of those in the file are checked.
        for wrong in [vec![vector(16)], vec![vector(16), vector(17)], vec![tensor(&[1.0])]] {
            assert!(matches!(load(&mut store, wrong, Some(&packed)), Err(Error::Internal(_))));
        }
    }

    fn tensor_of_zero() -> Tensor {
        Tensor::new([1], &[0.0f32]).unwrap()
    }

    #[test]
    fn constants_that_do_not_fit_their_recipe_are_refused() {
        let packing = octrt_compiler::pack::Packing::Depthwise { lanes: 8 };
        let wrong = Source::Packed(packing, tensor_of_zero());
        let e = WeightStore::default().load(vec![wrong], None, usize::MAX, ALONE).unwrap_err();
        assert!(e.to_string().contains("f32[1] cannot be packed as depthwise lanes=8"), "{e}");
    }

    #[test]
    fn the_limit_holds() {
        let e = WeightStore::default().load(vec![tensor(&[0.0; 1000])], None, 100, ALONE).unwrap_err();
        assert!(matches!(e, Error::Memory { bytes: 4000, .. }), "{e}");
    }
}
