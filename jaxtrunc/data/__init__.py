"""Benchmarks: where rows come from, how they become prompts, and batches of few shapes."""
