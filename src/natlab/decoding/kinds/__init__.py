"""Ways from a model and source sentences to tokens, one class a file (see `natlab.families`).

A member is called with a model, source tokens [B, S] and, by the names of its trait ``models``, the models that it
takes besides; it returns the best target of each sentence, without eos. ``of_dataset`` and ``of_system`` are the
options that a dataset's file and a system's row give, where the decoding's own row does not.
"""
