"""From translations to numbers: metrics are functions of (hypotheses, references), not of a system."""
