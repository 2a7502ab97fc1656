"""What teachers decode with, one module an engine, loaded by its name.

``targets(model, sources, decoding, batch_tokens, folder)`` returns the numbers of each target's subwords, in the order
of the sources [S], each of which ends in eos; ``folder`` is there to write to.
"""
