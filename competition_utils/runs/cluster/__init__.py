"""Several machines through Ray: shards scored by actors, cells of a sweep run as tasks."""
