"""Figures that this project expects to measure again, as data: a YAML an experiment, and a command that compares."""
