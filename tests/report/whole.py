"""A whole small run: what lies below its results/, and its report as the verbs write it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from natlab import cli
from natlab.files import write_json
from natlab.report import asked, record

# what must be shown as text, wherever it comes from; a file of YAML has no U+2028, a translation may
HOSTILE = "<script>alert(1)</script> & \"double\" 'single' </table>"
SENTENCE = f"{HOSTILE} a ± b\u2028c"
SENTENCES = 40
RUN = {
    "run": "small",
    "scale": "demo",
    "seeds": [1, 2],
    "corpora": {"wmt14_ende": "ds", "own": "own"},
    "tables": ["mple/table1", "natlab/table2"],
    "figures": ["mple/figure5", "mple/figure1"],
    "claims": ["mple/claims"],
}
PAPER = "MPLE: learning from proxies (Somebody 2022)"
BLEU = {"key": "bleu", "label": "BLEU", "unit": "BLEU", "cell": {"metric": "bleu_tok"}}
TABLE1 = {
    "table": "Table 1",
    "paper": PAPER,
    "title": f"Losses of NATs {HOSTILE}",
    "caption": "All of it.",
    "baseline": ["KD"],
    "cell": {"corpus": "wmt14_ende", "decoding": "argmax"},
    "columns": [
        {"key": "iterations", "label": "iterations", "text": True, "descriptive": True},
        BLEU,
        {"key": "speed", "label": "speed", "unit": "x", "digits": 1, "cell": {"metric": "speedup"}},
        {"key": "gap", "label": "gap", "unit": "BLEU", "measured_only": True, "note": "it", "minus": ["bleu", "speed"]},
    ],
    "rows": [
        {
            "label": "Transformer",
            "group": "AT",
            "cell": {"system": "transformer", "decoding": "beam5"},
            "reference": ["speed"],
            "published": {"iterations": "N", "bleu": 27.3},
        },
        {"label": "KD", "group": "NAT", "cell": {"system": "kd"}, "published": {"iterations": "1", "bleu": 20.9}},
        {"label": HOSTILE, "group": "NAT", "cell": {"system": "axe"}, "published": {"bleu": 23.5, "speed": 15.3}},
        {"label": "CMLM", "group": "NAT", "quoted": True, "published": {"iterations": "4", "bleu": 25.9}},
        {"label": "OaXE", "group": "NAT", "cell": {"system": "oaxe"}, "published": {"bleu": 22.4}},
        {"label": "GLAT", "group": "NAT", "cell": {"system": "glat"}},
        {"label": "KD again", "group": "NAT", "ours": True, "cell": {"system": "kd", "decoding": "lpd3"}},
    ],
}  # fmt: skip
TABLE2 = {
    "table": "Table 2",
    "paper": "natlab: of our own",
    "title": "What is said",
    "cell": {"corpus": "own", "system": "kd"},
    "columns": [
        {"key": "exact", "label": "C", "unit": "bits", "measured_only": True, "note": "by counting",
         "cell": {"metric": "exact/conditional_tc"}},
        {"key": "says", "label": "a translation", "text": True, "measured_only": True, "note": "the first one",
         "cell": {"metric": "sample", "decoding": "argmax", "sentence": 1, "sample": 1}},
    ],
    "rows": [{"label": "first"}],
}  # fmt: skip
FIGURE5 = TABLE1 | {
    "table": "Figure 5",
    "columns": [BLEU],
    "rows": [
        {**row, "reference": [], "published": {"bleu": row["published"]["bleu"]}} if "published" in row else row
        for row in TABLE1["rows"]
    ],
    "draw": {"kind": "bars", "value": "bleu"},
}
FIGURE1 = {
    "table": "Figure 1",
    "paper": PAPER,
    "title": "The plane",
    "columns": [BLEU],
    "rows": [{"label": system, "cell": {"system": system}} for system in ("kd", "axe", "oaxe")],
    "draw": {"kind": "surface", "corpus": "wmt14_ende", "systems": ["kd", "axe", "oaxe"]},
}
CELL = {"corpus": "wmt14_ende", "metric": "bleu_tok", "decoding": "argmax"}


def _part(says: str, higher: str, than: str) -> dict:
    return {"says": says, "comparison": {"higher": {"system": higher}, "than": [{"system": than}]}}


CLAIMS = {
    "paper": PAPER,
    "title": "What the paper claims",
    "cell": CELL,
    "claims": [
        {
            "id": "a",
            "claim": f"AXE is better {HOSTILE}",
            "source": "section 1",
            "parts": [_part("than KD", "axe", "kd"), _part(f"than GLAT {HOSTILE}", "axe", "glat")],
        },
        {
            "id": "b",
            "claim": "OaXE is in order",
            "source": "section 2",
            "parts": [
                {"says": "with speed", "order": {"table": "mple/table1", "x": "speed", "y": "bleu"}},
                _part("above AXE", "kd", "axe"),
                _part("above itself", "kd", "kd"),
            ],
        },
        {"id": "c", "claim": "GLAT is better", "source": "section 3", "parts": [_part("than KD", "glat", "kd")]},
    ],
}
SPECS = {"mple/table1": TABLE1, "natlab/table2": TABLE2, "mple/figure5": FIGURE5, "mple/figure1": FIGURE1}
SPECS |= {"mple/claims": CLAIMS}
LABELS = {"systems": {"axe": f"AXE {HOSTILE}"}}
# ds is generated; own has sentences of others
DATASETS = {
    "ds": {"source": {"kind": "grammar", "pairs": 12000}, "licence": "Apache-2.0"},
    "own": {"licence": "theirs"},
}
# BLEU of the first seed; speeds
SCORES = {"transformer": 27.0, "kd": 21.0, "axe": 24.0, "oaxe": 22.5}
SPEEDS = {"kd": 12.0, "axe": 9.0}
COMMIT = "c0ffee0123456789"
ORIGIN = {"commit": COMMIT, "dirty": True, "device": "Some CPU", "packages": {"torch": "2.13"}}


@dataclass(frozen=True)
class Whole:
    """Where a run lies: ``results``, as the workflow fills it; ``papers``, its specs; ``report``, what verbs made."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def papers(self) -> Path:
        return self.root / "config/papers"

    @property
    def report(self) -> Path:
        return self.root / "reports/small"

    @property
    def run_file(self) -> Path:
        return self.results / "settings/small.json"

    @property
    def settings(self) -> dict:
        return json.loads(self.run_file.read_text("utf-8"))

    def asked(self) -> asked.Asked:
        return asked.read(self.settings, self.papers)

    def write_report(self) -> int:
        """The verb ``report``."""
        options = ["--results", self.results, "--papers", self.papers, "--out", self.report]
        return cli.main(["report", "--run", *map(str, [self.run_file, *options])])

    def copy(self, root: Path) -> "Whole":
        """The same elsewhere, to be changed."""
        return Whole(shutil.copytree(self.root, root / "copy"))

    def files(self) -> dict[str, bytes]:
        """What the report's files hold, by their names in it."""
        return {
            str(path.relative_to(self.report)): path.read_bytes()
            for path in sorted(self.report.rglob("*"))
            if path.is_file()
        }


def make(root: Path) -> Whole:
    """Write a run's measurements and make its report of them."""
    whole = Whole(root)
    for name, spec in SPECS.items():
        path = whole.papers / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    (whole.papers / "labels.yaml").write_text(yaml.safe_dump(LABELS, allow_unicode=True), encoding="utf-8")
    write_json(whole.run_file, RUN)
    _measurements(whole.results)
    _corpora(whole.results)
    _models(whole)
    _record(whole.results)
    given = ["--run", whole.run_file, "--measurements", whole.results / "measurements"]
    given += ["--corpora", whole.results / "corpora"]
    for kind, verb, spec in (("tables", "table", "table"), ("figures", "figure", "table"), ("claims",) * 3):
        for name in RUN[kind]:
            options = [
                f"--{spec}",
                whole.papers / f"{name}.yaml",
                "--out",
                whole.report / kind / name.replace("/", "."),
            ]
            if kind == "claims":
                options += ["--papers", whole.papers, "--reports", whole.report.parent]
            if name == "mple/figure1":
                options += ["--surface", *asked.surface(FIGURE1, RUN, whole.results)]
            assert cli.main([verb, *map(str, [*given, *options])]) == 0
    assert whole.write_report() == 0
    shutil.copy(whole.run_file, whole.report / "run.json")
    assert cli.main(["overview", str(whole.report.parent), "--papers", str(whole.papers)]) == 0
    return whole


def measurement(results: Path, place: str, seed: int, name: str, values: dict, **more: object) -> None:
    """One measurement file; ``place``: ``<dataset>/<system>``."""
    dataset, system = place.split("/")
    file = {"dataset": dataset, "scale": "demo", "system": system, "seed": seed, "sentences": SENTENCES} | more
    file |= {"values": values, "provenance": ORIGIN | {"fingerprint": f"{system}-{seed}"}}
    write_json(results / f"measurements/{dataset}/demo/{system}/seed{seed}{name}", file)


def _measurements(results: Path) -> None:
    for seed in RUN["seeds"]:
        for system, score in SCORES.items():
            decodings = {"transformer": ["beam5"], "kd": ["argmax", "lpd3"]}.get(system, ["argmax"])
            for n, decoding in enumerate(decodings):
                value = score + seed / 10 + n
                # of every sentence so many of 1000 n-grams are right, of each length
                correct = [[round(10 * value)] * 4 + [1000] * 6] * SENTENCES
                measurement(
                    results, f"ds/{system}", seed, f"/{decoding}.test.json",
                    {"bleu_tok": {"value": value, "unit": "BLEU", "signature": "nrefs:1|tok:none"},
                     "chrf": {"value": 2 * value, "unit": "chrF"}},
                    decoding=decoding, split="test",
                    sentence_statistics={"bleu_tok": correct, "chrf": correct, "allowed": [0, 100] * (SENTENCES // 2)},
                )  # fmt: skip
        for system, speed in SPEEDS.items():
            values = {
                "speedup/argmax": {"value": speed + seed, "unit": "x"},
                "latency/argmax": {"mean": 5.0, "median": 4.5, "p95": 9.0, "unit": "ms"},
            }
            measurement(results, f"ds/{system}", seed, ".latency.json", values)
        said = {"sample/1/1": {"value": SENTENCE}, "sample_score/1/1": {"value": -1.5}}
        measurement(results, "own/kd", seed, "/argmax.test.samples.json", said, decoding="argmax", split="test")
    measurement(results, "ds/of_another_run", 1, "/argmax.test.json", {})
    for row in range(3):
        models = [{"x": 0, "y": 0}, {"x": 2, "y": 0}, {"x": 1, "y": 2}]
        points = [{"x": x, "y": row, "log_likelihood": -x - row, "bleu": x * row} for x in range(4)]
        write_json(results / f"surfaces/ds/demo/kd+axe+oaxe/seed1/{row}.json", {"models": models, "points": points})


def _lines(path: Path, name: str) -> None:
    """A file of a test set: its sentences, of which the second could be anything."""
    texts = [f"{name} {number}" for number in range(1, SENTENCES + 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in [texts[0], SENTENCE, *texts[2:]]), encoding="utf-8", newline="\n")


def _corpora(results: Path) -> None:
    """Test sets and what the systems say; of all of it the report keeps a part."""
    for dataset in ("ds", "own"):
        corpus = results / "corpora" / dataset
        write_json(corpus / "text/exact.json", {"conditional_tc": 1.25})
        for step in ("text", "tok", "bpe", "bin"):
            write_json(corpus / step / "stats.json", {"splits": {"test": {"pairs_out": SENTENCES}}})
        for file in ("tok/test.src", "tok/test.tgt", "tok/train.src", "text/test.ref1"):
            _lines(corpus / file, Path(file).suffix[1:])
    for system, decoding in (("transformer", "beam5"), ("kd", "argmax"), ("kd", "lpd3"), ("axe", "argmax")):
        for seed in RUN["seeds"]:
            _lines(results / f"translations/ds/demo/{system}/seed{seed}/{decoding}.test.txt", system)
    _lines(results / "translations/ds/demo/kd/seed1/beam1.test.txt", "a decoding that nothing asks for")
    _lines(results / "translations/own/demo/kd/seed1/argmax.test.txt", "kd")


def _models(whole: Whole) -> None:
    size = {"d_model": 64, "d_hidden": 256, "encoder_layers": 2, "decoder_layers": 2, "heads": 4}
    specs = [
        {
            "dataset": "ds", "scale": "demo", "system": system, "seed": seed, "size": size,
            "target": {"name": "raw"} if system == "transformer" else {"name": "kd", "teacher": "transformer"},
            "training": {"updates": 500},
        }
        for system in SCORES
        for seed in RUN["seeds"]
    ]  # fmt: skip
    provenance = {
        "configuration": {"run": RUN, "datasets": DATASETS},
        "commit": COMMIT,
        "dirty": True,
        "packages": {"torch": "2.13"},
        "devices": ["Some CPU"],
        "data": {},
        "models": [{"fingerprint": f"{spec['system']}-{spec['seed']}", "spec": spec} for spec in specs],
    }
    write_json(whole.report / "provenance.json", provenance)
    for path in list(record.curves(provenance).values())[:3]:
        lines = [
            {"subset": subset, "num_updates": updates, "nll_loss": 9 / updates, "loss": 9 / updates, "lr": 0.01}
            | ({"bleu": updates / 10} if subset == "valid" else {})
            for updates in (100, 200, 300)
            for subset in ("train", "valid")
        ]
        (whole.results / path).parent.mkdir(parents=True)
        (whole.results / path).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


JOBS = [("binarise", {"dataset": "ds"})]
JOBS += [("train", {"dataset": "ds", "system": system, "seed": "1"}) for system in SCORES]


def _record(results: Path) -> None:
    """Each job takes an hour after the one before, on two cores."""
    jobs = [
        {"number": n, "rule": rule, "wildcards": wildcards, "threads": 2, "gpus": 0}
        for n, (rule, wildcards) in enumerate(JOBS)
    ]
    write_json(results / "runs/small/jobs.json", {"run": "small", "jobs": jobs})
    events = [
        {"time": 3600.0 * (n + late), "event": what, "job": n}
        for n in range(len(jobs))
        for late, what in enumerate(("started", "finished"))
    ]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (results / "runs/small/events.jsonl").write_text(text, encoding="utf-8")
