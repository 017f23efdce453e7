"""Scores for pairs from outside a run: of one file, or of a folder of parquet shards, on one machine or on many."""
