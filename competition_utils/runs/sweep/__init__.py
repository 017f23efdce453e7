"""A sweep: a matrix of cells, each one run, executed by an engine and put side by side."""
