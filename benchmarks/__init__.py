"""Benchmarks, each a command of its own; README.md here is their index."""
