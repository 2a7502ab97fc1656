"""natlab: from raw parallel text to the regenerated tables of five papers on non-autoregressive generation."""

__version__ = "0.1.0"
