//! Offsets in the arena: buffers whose lifetimes do not meet share bytes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A buffer to place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Size in bytes.
    pub bytes: usize,
    /// The step that defines it.
    pub first: usize,
    /// The last step that reads it; at least `first`.
    pub last: usize,
}

/// Offsets, one per buffer, and the size of the arena that holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Offset in bytes of each buffer, a multiple of [`ALIGNMENT`].
    pub offsets: Vec<usize>,
    /// Size of the arena in bytes.
    pub bytes: usize,
}

/// Alignment of every buffer in bytes: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;

/// Pairs of buffers that live at the same time up to which [`by_size`] is used: it takes up to 0.1 us for each.
const MEETINGS: usize = 4_000_000;

/// Places buffers so that those that live at the same time lie apart: the largest first, or, where so many live together
/// that comparing them would take long, in the order of their first steps.
pub fn plan(buffers: &[Lifetime]) -> MemoryPlan {
    if meetings(buffers) <= MEETINGS { by_size(buffers) } else { by_time(buffers) }
}

/// How many pairs of buffers live at the same time.
fn meetings(buffers: &[Lifetime]) -> usize {
    let mut firsts: Vec<usize> = buffers.iter().map(|b| b.first).collect();
    let mut lasts: Vec<usize> = buffers.iter().map(|b| b.last).collect();
    firsts.sort_unstable();
    lasts.sort_unstable();
    let mut ended = 0;
    let begun = firsts.iter().enumerate();
    begun
        .map(|(before, first)| {
            ended += lasts[ended..].iter().take_while(|last| *last < first).count();
            before - ended
        })
        .sum()
}

/// Places the largest first, each at the lowest offset where it meets no buffer that lives at the same time.
fn by_size(buffers: &[Lifetime]) -> MemoryPlan {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (Reverse(buffers[i].bytes), i));
    let mut plan = MemoryPlan { offsets: vec![0; buffers.len()], bytes: 0 };
    let mut placed = Placed::new(buffers);
    for i in order {
        let b = buffers[i];
        let taken = placed.meeting(b).into_iter();
        let mut taken: Vec<(usize, usize)> =
            taken.map(|j| (plan.offsets[j], plan.offsets[j] + buffers[j].bytes)).collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + b.bytes <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(ALIGNMENT));
        }
        plan.offsets[i] = offset;
        plan.bytes = plan.bytes.max((offset + b.bytes).next_multiple_of(ALIGNMENT));
        placed.insert(i, b);
    }
    plan
}

/// Buffers that have a place, by when they live.
struct Placed {
    /// A power of two beyond the last step.
    steps: usize,
    /// Halves of the time, halves of these, and so on: node `k` has the halves `2 k` and `2 k + 1`, step `t` is node
    /// `steps + t`. Each buffer is in the few nodes that together are its life.
    spans: Vec<Vec<usize>>,
    /// By the first step.
    starts: BTreeSet<(usize, usize)>,
}

impl Placed {
    fn new(buffers: &[Lifetime]) -> Self {
        let steps = (buffers.iter().map(|b| b.last).max().unwrap_or(0) + 1).next_power_of_two();
        Placed { steps, spans: vec![Vec::new(); 2 * steps], starts: BTreeSet::new() }
    }

    fn insert(&mut self, i: usize, b: Lifetime) {
        let (mut from, mut to) = (self.steps + b.first, self.steps + b.last + 1);
        while from < to {
            if from % 2 == 1 {
                self.spans[from].push(i);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                self.spans[to].push(i);
            }
            (from, to) = (from / 2, to / 2);
        }
        self.starts.insert((b.first, i));
    }

    /// Those that live at some time of `b`: those that live when it begins, and those that begin later in its life.
    fn meeting(&self, b: Lifetime) -> Vec<usize> {
        let mut met = Vec::new();
        let mut at = self.steps + b.first;
        while at > 0 {
            met.extend_from_slice(&self.spans[at]);
            at /= 2;
        }
        let later = self.starts.range((b.first + 1, 0)..).take_while(|(first, _)| *first <= b.last);
        met.extend(later.map(|(_, i)| *i));
        met
    }
}

/// Places buffers in the order of their first steps, each in the smallest gap that has room for it.
fn by_time(buffers: &[Lifetime]) -> MemoryPlan {
    let size = |i: usize| buffers[i].bytes.next_multiple_of(ALIGNMENT);
    let mut order: Vec<usize> = (0..buffers.len()).filter(|&i| buffers[i].bytes > 0).collect();
    order.sort_by_key(|&i| (buffers[i].first, Reverse(buffers[i].bytes), i));
    let mut plan = MemoryPlan { offsets: vec![0; buffers.len()], bytes: 0 };
    let mut living: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut gaps = Gaps::default();
    for i in order {
        while let Some(&(last, j)) = living.first().filter(|(last, _)| *last < buffers[i].first) {
            living.remove(&(last, j));
            gaps.free(plan.offsets[j], size(j));
        }
        plan.offsets[i] = gaps.take(size(i)).unwrap_or_else(|| {
            // The last gap, if it ends where the arena does, grows to what is wanted.
            let start = gaps.take_at_end(plan.bytes).unwrap_or(plan.bytes);
            plan.bytes = start + size(i);
            start
        });
        living.insert((buffers[i].last, i));
    }
    plan
}

/// Free parts of the arena; none touches another.
#[derive(Default)]
struct Gaps {
    /// Sizes by offsets.
    at: BTreeMap<usize, usize>,
    /// Sizes and offsets.
    by_size: BTreeSet<(usize, usize)>,
}

impl Gaps {
    fn remove(&mut self, start: usize, size: usize) {
        self.at.remove(&start);
        self.by_size.remove(&(size, start));
    }

    fn insert(&mut self, start: usize, size: usize) {
        self.at.insert(start, size);
        self.by_size.insert((size, start));
    }

    /// The beginning of the smallest gap of at least `size` bytes, which shrinks by them.
    fn take(&mut self, size: usize) -> Option<usize> {
        let &(found, start) = self.by_size.range((size, 0)..).next()?;
        self.remove(start, found);
        if found > size {
            self.insert(start + size, found - size);
        }
        Some(start)
    }

    /// The beginning of the gap that ends at `end`, which goes.
    fn take_at_end(&mut self, end: usize) -> Option<usize> {
        let (&start, &size) = self.at.last_key_value().filter(|(start, size)| **start + **size == end)?;
        self.remove(start, size);
        Some(start)
    }

    fn free(&mut self, mut start: usize, mut size: usize) {
        if let Some((&before, &bytes)) =
            self.at.range(..start).next_back().filter(|(b, n)| **b + **n == start)
        {
            self.remove(before, bytes);
            (start, size) = (before, size + bytes);
        }
        if let Some(&behind) = self.at.get(&(start + size)) {
            self.remove(start + size, behind);
            size += behind;
        }
        self.insert(start, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudorandom lifetimes of about `life` steps.
    fn random(count: usize, steps: usize, life: usize) -> Vec<Lifetime> {
        let mut state = 1u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        (0..count)
            .map(|_| {
                let first = random(steps);
                Lifetime { bytes: random(5000), first, last: first + random(life) }
            })
            .collect()
    }

    fn check(buffers: &[Lifetime], plan: &MemoryPlan) {
        for (i, a) in buffers.iter().enumerate() {
            assert_eq!(plan.offsets[i] % ALIGNMENT, 0);
            assert!(plan.offsets[i] + a.bytes <= plan.bytes);
            for (j, b) in buffers.iter().enumerate().skip(i + 1) {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = plan.offsets[i] + a.bytes <= plan.offsets[j]
                    || plan.offsets[j] + b.bytes <= plan.offsets[i];
                assert!(!together || apart, "{i} {a:?} meets {j} {b:?}");
            }
        }
    }

    #[test]
    fn lifetimes_that_meet_do_not_overlap() {
        for (count, steps, life) in [(200, 100, 10), (300, 64, 64), (300, 1000, 3), (1, 1, 1), (0, 1, 1)] {
            let buffers = random(count, steps, life);
            let plan = by_size(&buffers);
            check(&buffers, &plan);
            let other = by_time(&buffers);
            check(&buffers, &other);
            assert!(other.bytes <= 2 * plan.bytes, "{} and {} bytes", other.bytes, plan.bytes);
        }
    }

    #[test]
    fn buffers_are_met_that_live_at_the_same_time() {
        let buffers = random(300, 50, 20);
        let (mut placed, mut pairs) = (Placed::new(&buffers), 0);
        for (i, a) in buffers.iter().enumerate() {
            let together = |j: &usize| buffers[*j].first <= a.last && a.first <= buffers[*j].last;
            let expected: Vec<usize> = (0..i).filter(together).collect();
            let mut met = placed.meeting(*a);
            met.sort_unstable();
            assert_eq!(met, expected);
            pairs += met.len();
            placed.insert(i, *a);
        }
        assert_eq!(meetings(&buffers), pairs);
    }

    #[test]
    fn many_that_live_together_are_placed_in_time_order() {
        let all: Vec<Lifetime> = (0..4000).map(|i| Lifetime { bytes: 64, first: i, last: 4000 }).collect();
        assert!(meetings(&all) > MEETINGS);
        assert_eq!(plan(&all), by_time(&all));
        assert_eq!(plan(&all).bytes, 64 * 4000);
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Lifetime> = (0..10).map(|i| Lifetime { bytes: 100, first: i, last: i + 1 }).collect();
        assert_eq!(plan(&chain).bytes, 256);
        assert_eq!(by_time(&chain).bytes, 256);
    }
}
