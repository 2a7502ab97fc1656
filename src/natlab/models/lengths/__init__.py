"""How many positions the canvas of a non-autoregressive model has, one class a file (see `natlab.families`).

A member's ``build`` makes the torch module of a model: ``forward(source)`` scores lengths [B, N], or None where nothing
is predicted; ``classes(source, lengths)`` are the entries [B] of those scores that lengths [B] are; ``likely(source,
count)`` the ``count`` likeliest lengths [B, count], best first. Lengths count no eos. A member that reads the
encoder's summary (`natlab.models.transformer.Encoder`) has a property ``summary`` that is true; the module of one that
offers a "free length" has ``of(source_lengths)``, the canvas' lengths [P] of sources of so many tokens [P], eos
counted.
"""
