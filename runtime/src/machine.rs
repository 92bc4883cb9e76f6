//! What this machine has: instruction set and memory.

use std::fs;
use std::path::{Component, Path, PathBuf};

use octrt_compiler::target::{Cpu, Isa, Target};
use octrt_ops::Graph;

use crate::error::Error;
use crate::processor::Processor;

/// The target that is best for this processor: the newest instruction set, but for processors that gain nothing by the wider
/// vectors of x86-64-v4.
///
/// # Errors
/// [`Error::Target`] below x86-64-v2.
pub fn detect_target() -> Result<Target, Error> {
    let isa = detect_isa()?;
    Ok(Target::native(isa, cpu(isa)))
}

/// As [`detect_target`], for a graph.
///
/// # Errors
/// As there.
pub fn detect_target_for(graph: &Graph) -> Result<Target, Error> {
    let isa = detect_isa()?;
    Ok(Target::native_for(isa, cpu(isa), graph))
}

/// The target of this processor with code for an instruction set, which it need not have.
pub fn native_target(isa: Isa) -> Target {
    Target { isa, cpu: cpu(isa) }
}

fn cpu(isa: Isa) -> Cpu {
    Processor::this().cpu(isa >= Isa::V4)
}

/// The newest instruction set that this processor has.
///
/// # Errors
/// [`Error::Target`] below x86-64-v2.
pub fn detect_isa() -> Result<Isa, Error> {
    macro_rules! all {
        ($($f:tt),*) => { $(is_x86_feature_detected!($f))&&* };
    }
    if !all!("sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cmpxchg16b") {
        let message = "this processor is older than x86-64-v2 (SSE4.2), the least that octrt needs";
        return Err(Error::Target(message.to_string()));
    }
    if !all!("avx", "avx2", "fma", "bmi1", "bmi2", "f16c", "lzcnt", "movbe") {
        return Ok(Isa::V2);
    }
    if !all!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl") {
        return Ok(Isa::V3);
    }
    Ok(Isa::V4)
}

/// Half of the memory that this process may use: of the machine, or of the tightest control group that it is in.
pub fn default_memory_limit() -> usize {
    let read = |p: &Path| fs::read_to_string(p).ok();
    memory(&read).map_or(isize::MAX as usize, |bytes| bytes / 2)
}

/// Memory in bytes as the files under `/proc` and `/sys` tell it; `None` when they do not.
fn memory(read: &dyn Fn(&Path) -> Option<String>) -> Option<usize> {
    let info = read(Path::new("/proc/meminfo"))?;
    let kib: usize = info.lines().find_map(|l| {
        let value = l.strip_prefix("MemTotal:")?;
        value.trim().strip_suffix("kB")?.trim().parse().ok()
    })?;
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => group_limit(read, Path::new("/sys/fs/cgroup"), path, "memory.max"),
            c if c.split(',').any(|c| c == "memory") => {
                group_limit(read, Path::new("/sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.chain([kib.saturating_mul(1024)]).min()
}

/// The tightest limit of the group `path` and of those around it. A container may see its own group as the root.
fn group_limit(read: &dyn Fn(&Path) -> Option<String>, root: &Path, path: &str, file: &str) -> Option<usize> {
    let normal = Path::new(path).components().filter(|c| matches!(c, Component::Normal(_)));
    let group: PathBuf = normal.collect();
    let limit = |g: &Path| read(&root.join(g).join(file))?.trim().parse::<usize>().ok();
    group.ancestors().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: (&str, &str) = ("/proc/meminfo", "MemTotal:        1024 kB\nMemFree: 5 kB\n");

    fn memory_with(files: &[(&str, &str)]) -> Option<usize> {
        memory(&|p| files.iter().find(|(f, _)| Path::new(f) == p).map(|(_, text)| (*text).to_string()))
    }

    #[test]
    fn the_tightest_limit_counts() {
        assert_eq!(memory_with(&[]), None);
        assert_eq!(memory_with(&[INFO]), Some(1 << 20));
        let group = ("/proc/self/cgroup", "0::/a/b\n");
        let inner = ("/sys/fs/cgroup/a/b/memory.max", "max\n");
        let outer = ("/sys/fs/cgroup/a/memory.max", "65536\n");
        assert_eq!(memory_with(&[INFO, group, inner, outer]), Some(65536));
        let root = ("/sys/fs/cgroup/memory.max", "4096\n");
        assert_eq!(memory_with(&[INFO, group, root]), Some(4096));
        let v1 = ("/proc/self/cgroup", "5:cpu:/x\n4:memory:/x\n");
        let limit = ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "512\n");
        assert_eq!(memory_with(&[INFO, v1, limit]), Some(512));
        let unlimited = ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(memory_with(&[INFO, v1, unlimited]), Some(1 << 20));
    }

    #[test]
    fn this_machine_answers() {
        assert!(detect_isa().unwrap() >= Isa::V2);
        assert!(detect_target().unwrap().isa <= detect_isa().unwrap());
        assert!(default_memory_limit() > 1 << 20);
    }
}
