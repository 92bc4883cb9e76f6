//! The memory that a leaf program is interpreted or emulated on: separate regions of bytes, every access checked.

use super::Width;

/// What a program may do with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
}

/// Bytes that belong together: a tensor, packed weights, a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The contents; numbers are little-endian.
    pub bytes: Vec<u8>,
    /// What a program may do with it.
    pub access: Access,
}

impl Region {
    /// A region of f32.
    pub fn floats(values: &[f32], access: Access) -> Region {
        Region { bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(), access }
    }

    /// A read-only table of i32.
    pub fn table(values: &[i32]) -> Region {
        Region { bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(), access: Access::Read }
    }

    /// The contents as f32.
    pub fn to_floats(&self) -> Vec<f32> {
        self.bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
    }
}

/// A byte of a region; it may lie outside as long as it is not accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position in [`Memory::regions`].
    pub region: usize,
    /// Distance from the region's first byte.
    pub byte: i64,
}

/// The value of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of a pointer slot.
    Pointer(Place),
    /// Of a count or stride slot.
    Number(i64),
}

/// All that a program can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The regions; no address leads from one to another.
    pub regions: Vec<Region>,
}

/// An access that the memory refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {size} bytes at byte {} of region {}: {why}", place.byte, place.region)]
pub struct Fault {
    /// `load` or `store`.
    pub what: &'static str,
    /// Its first byte.
    pub place: Place,
    /// Its length.
    pub size: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Memory {
    /// Adds a region.
    pub fn add(&mut self, region: Region) -> Place {
        self.regions.push(region);
        Place { region: self.regions.len() - 1, byte: 0 }
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// [`Fault`] when one of them is not in the region.
    pub fn load(&self, place: Place, out: &mut [u8]) -> Result<(), Fault> {
        let fault = |why| Fault { what: "load", place, size: out.len(), why };
        let region = self.regions.get(place.region).ok_or_else(|| fault("no such region"))?;
        let found = within(place, out.len()).and_then(|range| region.bytes.get(range));
        out.copy_from_slice(found.ok_or_else(|| fault("outside the region"))?);
        Ok(())
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// [`Fault`] when one of them is not in the region, or the region is not writable.
    pub fn store(&mut self, place: Place, bytes: &[u8]) -> Result<(), Fault> {
        let fault = |why| Fault { what: "store", place, size: bytes.len(), why };
        let region = self.regions.get_mut(place.region).ok_or_else(|| fault("no such region"))?;
        if region.access == Access::Read {
            return Err(fault("the region is read only"));
        }
        let found = within(place, bytes.len()).and_then(|range| region.bytes.get_mut(range));
        found.ok_or_else(|| fault("outside the region"))?.copy_from_slice(bytes);
        Ok(())
    }

    /// Whether both hold the same bytes, except that any NaN equals any other in writable regions.
    pub fn same(&self, other: &Memory) -> bool {
        let alike = |a: &Region, b: &Region| {
            let pairs = || a.to_floats().into_iter().zip(b.to_floats());
            a.bytes.len() == b.bytes.len()
                && pairs().all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
        };
        self.regions.len() == other.regions.len()
            && self.regions.iter().zip(&other.regions).all(|(a, b)| match a.access {
                Access::Read => a == b,
                Access::ReadWrite => alike(a, b),
            })
    }
}

fn within(place: Place, size: usize) -> Option<std::ops::Range<usize>> {
    let begin = usize::try_from(place.byte).ok()?;
    Some(begin..begin.checked_add(size)?)
}

/// The lanes of a vector, those past the width unused.
pub type Lanes = [f32; 16];

/// Reads the first `lanes` of a vector; the others are 0.
///
/// # Errors
/// As [`Memory::load`], for any of the lanes that are read.
pub fn load_lanes(memory: &Memory, place: Place, lanes: u8) -> Result<Lanes, Fault> {
    let mut bytes = [0; 64];
    memory.load(place, &mut bytes[..4 * usize::from(lanes)])?;
    Ok(std::array::from_fn(|i| {
        f32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
    }))
}

/// One element in all lanes of a width.
///
/// # Errors
/// As [`Memory::load`].
pub fn broadcast(memory: &Memory, place: Place, width: Width) -> Result<Lanes, Fault> {
    let value = load_lanes(memory, place, 1)?[0];
    Ok(std::array::from_fn(|i| if i < width.lanes() as usize { value } else { 0.0 }))
}
