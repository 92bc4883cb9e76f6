//! The processor of this machine, as its own words (the instruction `cpuid`) describe it.

use std::arch::x86_64::{__cpuid, CpuidResult};
use std::fmt;
use std::sync::LazyLock;

use octrt_compiler::target::Cpu;

static THIS: LazyLock<Processor> = LazyLock::new(|| Processor::read(&__cpuid));

/// A processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Processor {
    vendor: String,
    brand: String,
    family: u32,
    model: u32,
    stepping: u32,
}

impl Processor {
    /// That of this machine.
    pub(crate) fn this() -> &'static Processor {
        &THIS
    }

    fn read(cpuid: &dyn Fn(u32) -> CpuidResult) -> Processor {
        let basic = cpuid(0);
        let vendor = text(&[basic.ebx, basic.edx, basic.ecx]);
        let version = cpuid(1).eax;
        let [stepping, model, family] = [version & 0xf, version >> 4 & 0xf, version >> 8 & 0xf];
        let [more_model, more_family] = [version >> 16 & 0xf, version >> 20 & 0xff];
        let is_extended = family == 0x6 || family == 0xf;
        let brand = match cpuid(0x8000_0000).eax >= 0x8000_0004 {
            false => String::new(),
            true => {
                let parts = [2, 3, 4].map(|i| cpuid(0x8000_0000 + i));
                text(&parts.map(|p| [p.eax, p.ebx, p.ecx, p.edx]).concat())
            }
        };
        Processor {
            vendor,
            brand,
            family: if family == 0xf { family + more_family } else { family },
            model: if is_extended { more_model << 4 | model } else { model },
            stepping,
        }
    }

    /// What the compiler is told of it. All of AMD's family 25 that have AVX-512 are Zen 4.
    pub(crate) fn cpu(&self, has_avx512: bool) -> Cpu {
        match (self.vendor.as_str(), self.family, self.model) {
            ("AuthenticAMD", 0x19, _) if has_avx512 => Cpu::Zen4,
            // Sapphire Rapids, Emerald Rapids, Granite Rapids.
            ("GenuineIntel", 0x6, 0x8f | 0xcf | 0xad | 0xae) => Cpu::GoldenCove,
            _ => Cpu::Generic,
        }
    }
}

/// The bytes of registers, without what is no visible letter at both ends.
fn text(registers: &[u32]) -> String {
    let bytes: Vec<u8> = registers.iter().flat_map(|r| r.to_le_bytes()).collect();
    let letter = |b: &u8| if (b' '..=b'~').contains(b) { char::from(*b) } else { ' ' };
    let text: String = bytes.iter().map(letter).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Processor { vendor, brand, family, model, stepping } = self;
        write!(f, "{brand} ({vendor} family {family} model {model} stepping {stepping})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor that says this.
    fn processor(vendor: &[u8; 12], version: u32, brand: &str) -> Processor {
        let brand: Vec<u8> = brand.bytes().chain(std::iter::repeat(0)).take(48).collect();
        Processor::read(&|leaf| {
            let words = |bytes: &[u8]| -> Vec<u32> {
                bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
            };
            let all = match leaf {
                0 => {
                    let v = words(vendor);
                    [16, v[0], v[2], v[1]]
                }
                1 => [version, 0, 0, 0],
                0x8000_0000 => [0x8000_0008, 0, 0, 0],
                leaf => {
                    let at = 16 * (leaf as usize - 0x8000_0002);
                    let w = words(&brand[at..at + 16]);
                    [w[0], w[1], w[2], w[3]]
                }
            };
            let [eax, ebx, ecx, edx] = all;
            CpuidResult { eax, ebx, ecx, edx }
        })
    }

    #[test]
    fn processors_are_described_by_what_they_say() {
        let genoa = processor(b"AuthenticAMD", 0x00a1_0f11, "AMD EPYC 9R14 Processor");
        let text = "AMD EPYC 9R14 Processor (AuthenticAMD family 25 model 17 stepping 1)";
        assert_eq!(genoa.to_string(), text);
        assert_eq!(genoa.cpu(true), Cpu::Zen4);
        // Without AVX-512 it is Zen 3, or a machine that hides it.
        assert_eq!(genoa.cpu(false), Cpu::Generic);
        let sapphire = processor(b"GenuineIntel", 0x000c_06f2, "  INTEL(R) XEON(R)  PLATINUM 8581C ");
        let text = "INTEL(R) XEON(R) PLATINUM 8581C (GenuineIntel family 6 model 207 stepping 2)";
        assert_eq!(sapphire.to_string(), text);
        assert_eq!(sapphire.cpu(true), Cpu::GoldenCove);
        let skylake = processor(b"GenuineIntel", 0x0005_0654, "Intel(R) Xeon(R) Gold 6148");
        assert_eq!((skylake.model, skylake.cpu(true)), (0x55, Cpu::Generic));
        let turin = processor(b"AuthenticAMD", 0x00b0_0f21, "AMD EPYC 9755");
        assert_eq!((turin.family, turin.cpu(true)), (0x1a, Cpu::Generic));
    }

    #[test]
    fn this_processor_has_a_description_of_one_line() {
        let this = Processor::this().to_string();
        assert!(this.contains(" family ") && !this.contains('\n'), "{this}");
        assert_eq!(*Processor::this(), Processor::read(&__cpuid));
    }
}
