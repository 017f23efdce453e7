"""Where queries land in the tree of categories, and how a pair's target lies to that place."""
