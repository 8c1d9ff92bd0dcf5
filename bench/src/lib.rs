//! Nothing: only the benchmarks.
