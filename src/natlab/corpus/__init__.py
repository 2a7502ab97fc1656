"""From addresses (or a grammar) to binarised parallel text; each step streams and writes its statistics."""
