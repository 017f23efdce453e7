"""The parts that a token of a model's input can belong to, as notebooks colour them."""

QUERY, TRANSLATION, TARGET, CUT = "query", "translation", "target", "cut"
FRAME = "frame"  # special tokens, instruction, names of lines
PARTS = (QUERY, TRANSLATION, TARGET, FRAME, CUT)
