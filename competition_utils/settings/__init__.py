"""Every setting of a run: one schema with all defaults, and the reading of configs and `-p KEY=VALUE`."""
