//! Memory that compiled code works in.

use memmap2::{Advice, MmapMut};

use crate::error::Error;

/// Alignment of arenas, of weights and of every buffer inside them, in bytes.
pub(crate) const ALIGN: usize = 64;

/// From this size on the kernel is asked for huge pages: fewer address translations while weights stream by.
const HUGE_BYTES: usize = 4 << 20;

/// Bytes of its own mapping: zero at first, aligned to a page (so to [`ALIGN`] too), returned to the system on drop.
#[derive(Debug)]
pub(crate) struct Arena {
    map: MmapMut,
    len: usize,
}

impl Arena {
    /// `len` bytes of zeros for `what`, which is named in the message.
    ///
    /// # Errors
    /// [`Error::Memory`] when the system has none.
    pub(crate) fn new(len: usize, what: &str) -> Result<Self, Error> {
        let refused =
            |e: std::io::Error| Error::Memory { what: what.to_string(), bytes: len, why: e.to_string() };
        let map = MmapMut::map_anon(len.max(1)).map_err(refused)?;
        if len >= HUGE_BYTES {
            // Kernels without huge pages refuse the advice; the memory is as good without.
            let _ = map.advise(Advice::HugePage);
        }
        Ok(Arena { map, len })
    }

    /// Size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map[..self.len]
    }

    /// The bytes, to be written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map[..self.len]
    }
}

/// `bytes` rounded up to [`ALIGN`]; `None` when that cannot be addressed.
pub(crate) fn align_up(bytes: usize) -> Option<usize> {
    bytes.checked_next_multiple_of(ALIGN).filter(|&b| b <= isize::MAX as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_zero() {
        for len in [0, 1, 4096, HUGE_BYTES + 3] {
            let mut a = Arena::new(len, "test").unwrap();
            assert_eq!(a.bytes().as_ptr() as usize % ALIGN, 0);
            assert_eq!((a.len(), a.bytes().len()), (len, len));
            assert!(a.bytes_mut().iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn what_the_system_cannot_give_is_an_error() {
        let e = Arena::new(isize::MAX as usize / 2, "arena").unwrap_err();
        assert!(matches!(&e, Error::Memory { what, .. } if what == "arena"), "{e}");
    }

    #[test]
    fn align_up_does_not_wrap() {
        assert_eq!(align_up(1), Some(64));
        assert_eq!(align_up(64), Some(64));
        assert_eq!(align_up(usize::MAX), None);
    }
}
