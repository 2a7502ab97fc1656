"""How every training is validated and every model measured, whatever its own way; read without importing torch."""

# How a training translates its validation set, whose BLEU chooses its checkpoints, by architecture.
DECODINGS = {"nat": {"kind": "argmax"}, "transformer": {"kind": "beam", "beam": 1}}
# By what checkpoints, and options that are tuned, are chosen where a specification names nothing else.
BLEU = {"name": "bleu_tok", "options": {}, "value": "bleu_tok", "language": ""}
# What every NAT is measured with besides its own specification: cross entropy of raw targets, nothing being revealed.
PLAIN = {
    "architecture": {"name": "nat", "lengths": {"name": "difference"}, "fill": {"name": "copy"}},
    "target": {"name": "raw"},
    "input": {"name": "vanilla"},
    "objective": {"name": "xe"},
    "terms": [{"name": "length"}],
}
