"""Bundles: a trained system in one folder, with all that it takes to translate plain text, and nothing that trains.

    bundle.json     what it is and how it is used (`natlab.bundles.manifest`)
    README.md       its card, for people
    vocabulary.src, vocabulary.tgt     a symbol a line, by number
    codes.src       the merges of BPE, where its text is in subwords
    model.onnx      a non-autoregressive model with its decoding, or
    model/          an autoregressive one in CTranslate2's form

This room reads bundles: without torch, fairseq and snakemake. `natlab.export` writes them.
"""
