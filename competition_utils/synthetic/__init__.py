"""The built-in sample competition: queries and targets made from the project's own lexicon."""
