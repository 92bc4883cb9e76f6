//! Networks of the OctConv paper and benchmarks.
