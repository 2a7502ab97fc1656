"""How a training translates its validation set, whose BLEU chooses its checkpoints; read without importing torch."""

DECODINGS = {"nat": {"kind": "argmax"}, "transformer": {"kind": "beam", "beam": 1}}  # of each architecture
