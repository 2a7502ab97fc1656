"""What translations are scored by, one class a file (see `natlab.families`); a dataset's file says by which.

A member is called with `natlab.metrics.interface.Translations` and returns {name: {"value", "unit", "signature"}} of
the names in its trait ``values``, which cells of tables ask for. Those in its trait ``means``, by which checkpoints can
be chosen, are means over sentences and have each sentence's as ``by_sentence`` [N]; ``bleu_tok``, by which they are
chosen unless a dataset says otherwise, has there the statistics that BLEU is worked out from.
"""
