//! Offsets in the arena: buffers whose lifetimes do not meet share bytes.

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

/// Places buffers, the largest first, each at the lowest offset where it meets no buffer that lives at the same time.
pub fn plan(buffers: &[Lifetime]) -> MemoryPlan {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].bytes), i));
    let mut plan = MemoryPlan { offsets: vec![0; buffers.len()], bytes: 0 };
    let mut placed: Vec<usize> = Vec::new();
    for i in order {
        let b = buffers[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| buffers[j].first <= b.last && b.first <= buffers[j].last)
            .map(|&j| (plan.offsets[j], plan.offsets[j] + buffers[j].bytes))
            .collect();
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
        placed.push(i);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_that_meet_do_not_overlap() {
        let mut state = 1u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let buffers: Vec<Lifetime> = (0..200)
            .map(|_| {
                let first = random(100);
                Lifetime { bytes: random(5000), first, last: first + random(10) }
            })
            .collect();
        let plan = plan(&buffers);
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
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Lifetime> = (0..10).map(|i| Lifetime { bytes: 100, first: i, last: i + 1 }).collect();
        assert_eq!(plan(&chain).bytes, 256);
    }
}
