"""Ways from a model and source sentences to tokens, one class a file (see `natlab.families`).

A member is called with a model, source tokens [B, S] and, by the names of its trait ``models``, the models that it
takes besides; it returns the best target of each sentence, without eos. ``of_dataset`` and ``of_system`` are the
options that a dataset's file and a system's row give, where the decoding's own row does not.

One with the trait ``captured`` can be launched on a GPU as a whole (`natlab.decoding.captured`). Either
``compute(model, source_tokens)`` gives tensors, the canvases' lengths first, and asks the device for nothing while
sizes are fixed (`natlab.models.shapes`), and ``targets(model, *tensors)`` makes the targets of them, on any device; or
``steps(model, source_tokens)`` is a search in steps (`natlab.decoding.beam_steps`).
"""
