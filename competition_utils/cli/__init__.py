"""The command line: `python -m competition_utils`."""
