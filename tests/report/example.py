"""A small table, a run, and what it measured: what tests of tables fill and show."""

from natlab.files import write_json
from natlab.report.filled import build

RUN = {
    "run": "small",
    "scale": "demo",
    "seeds": [1, 2, 3],
    "corpora": {"wmt14_ende": "grammar_ende", "own": "own"},
    "tables": ["p/table1"],
}
SYSTEMS = {"at": "transformer", "nat": "vanilla_raw"}
SPEC = {
    "table": "Table 1",
    "paper": "MPLE: a paper (Somebody 2022)",
    "title": "Gaps & such",
    "caption": "100 % of it.",
    "cell": {"split": "test"},
    "columns": [
        {"key": "c", "label": "C", "unit": "bits/token", "cell": {"metric": "conditional_tc", "systems": SYSTEMS}},
        {
            "key": "c_exact",
            "label": "exact C",
            "measured_only": True,
            "note": "by enumeration",
            "cell": {"metric": "exact/conditional_tc"},
        },
        {"key": "ratio", "label": "ratio", "measured_only": True, "note": "their ratio", "divide": ["c", "c_exact"]},
        {"key": "gap", "label": "ΔBLEU", "unit": "BLEU", "minus": ["at", "nat"]},
        {
            "key": "at",
            "label": "BLEU AT",
            "unit": "BLEU",
            "cell": {"metric": "bleu_tok", "system": "transformer", "decoding": "beam5"},
        },
        {
            "key": "nat",
            "label": "BLEU NAT",
            "unit": "BLEU",
            "cell": {"metric": "bleu_tok", "system": "vanilla_raw", "decoding": "argmax"},
        },
    ],
    "rows": [
        {
            "label": "WMT14",
            "cell": {"corpus": "wmt14_ende"},
            "published": {"c": 2.5, "gap": 15.32, "at": 27.11, "nat": 11.79},
        },
        {
            "label": "elsewhere",
            "cell": {"corpus": "wmt16"},
            "published": {"c": 2.2, "gap": 9.98, "at": 33.7, "nat": 23.72},
        },
        {"label": "own", "cell": {"corpus": "own"}, "ours": True},
    ],
}
AT, NAT = {1: 30.0, 2: 31.0, 3: 33.0}, {1: 20.0, 2: 20.5, 3: 21.0}


def measurement(folder, dataset, system, seed, name, values, **more):
    path = folder / dataset / "demo" / system / f"seed{seed}" / f"{name}.json"
    write_json(path, {"sentences": 1000, "values": values} | more)


def bleu(value):
    return {"bleu_tok": {"value": value, "unit": "BLEU", "signature": "nrefs:1|tok:none"}}


def bits(raw, length):
    return {"loss_raw": {"value": raw, "unit": "bits/token"}, "length_raw": {"value": length, "unit": "bits/token"}}


def built(results, spec=SPEC, run=RUN):
    return build(spec, run, results / "m", results / "c")
