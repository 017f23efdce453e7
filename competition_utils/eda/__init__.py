"""What notebook 01 shows of the clean tables."""
