"""A made-up test set, what systems make of it, and the page's files."""

import json
import re

from natlab.files import write_json
from natlab.metrics import bleu
from natlab.papers.cells import Reading

RUN = {"run": "small", "scale": "demo", "seeds": [7, 8], "corpora": {"wmt14_ende": "ds"}}
NASTY = "a <script>alert(\"1\")</script> & 'b' \u2028 \\ 漢字"


def write_lines(path, texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="\n")


def corpus(results, sources, targets, *further, dataset="ds"):
    """A test set, tokenised, with ``further`` references as published."""
    folder = results / "corpora" / dataset
    write_lines(folder / "tok/test.src", sources)
    write_lines(folder / "tok/test.tgt", targets)
    write_lines(folder / "text/test.tgt", targets)
    for number, column in enumerate(further, 1):
        write_lines(folder / f"text/test.ref{number}", column)


def translated(results, system, decoding, said, targets, allowed=None, hypotheses=None, seed=7, dataset="ds"):
    """What a system says, and what is measured of that; and the reading that asks for it."""
    place = f"{dataset}/demo/{system}/seed{seed}"
    write_lines(results / "translations" / place / f"{decoding}.test.txt", said)
    if hypotheses is not None:
        several = [json.dumps({"hypotheses": texts, "scores": scores}) for texts, scores in hypotheses]
        write_lines(results / "translations" / place / f"{decoding}.test.samples.jsonl", several)
    values = {"bleu_tok": {"value": bleu.tokenised_bleu(said, [targets])["value"], "unit": "BLEU"}}
    statistics = {"bleu_tok": bleu.tokenised_bleu(said, [targets])["by_sentence"]}
    if allowed is not None:
        values["allowed"] = {"value": sum(allowed) / len(allowed), "unit": "%"}
        statistics["allowed"] = allowed
    file = {"values": values, "sentence_statistics": statistics}
    write_json(results / "measurements" / place / f"{decoding}.test.json", file)
    return dataset, Reading("bleu_tok", system, decoding, "test")


def read_script(path):
    """What a dataset's script gives the page."""
    text = path.read_text(encoding="utf-8")
    head, sentences = re.fullmatch(
        r'\(globalThis\.natlab \?\?= {}\)\.sentences \?\?= {};\nnatlab\.sentences\["[\w.-]+"\] = (.*);\n'
        r'natlab\.sentences\["[\w.-]+"\]\.list = \[\n((?:.*,\n)*)\];\n',
        text,
    ).groups()
    return json.loads(head), [json.loads(line.removesuffix(",")) for line in sentences.splitlines()]
