"""What the canvas of a non-autoregressive model holds before anything of the target is revealed, the vanilla proxy
input Z* of MPLE (appendix E.5), one class a file (see `natlab.families`).

A member's ``build`` makes the torch module of a model, called with an encoded source and the canvas' lengths [B]; it
returns embeddings [B, T, d] without positions, T the longest.
"""
