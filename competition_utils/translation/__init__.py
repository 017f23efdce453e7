"""Translators of queries and titles, their cache, and the gates that check a translation."""
