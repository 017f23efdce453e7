"""What several runs share: finished stages, known by all that went into them."""
