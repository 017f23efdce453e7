"""Subcommands that make what leaves this machine."""
