"""Drives the five notebooks from outside: settings, the runner, resume, the ledger and the report."""
