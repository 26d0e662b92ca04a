"""Programs for developers: benchmarks, reliability campaigns, fuzzers, generators of documents."""
