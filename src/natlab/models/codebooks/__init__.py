"""The discrete codes that a canvas is said in (AEQA-NAT, Qu et al. 2025, section 2.3: the semantic quantization space),
one class a file (see `natlab.families`). A member says how they are learned; its ``build(config)`` makes a
`natlab.models.codebooks._codebook.Codebook`."""
