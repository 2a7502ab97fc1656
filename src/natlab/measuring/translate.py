"""`natlab decode`: a model's translations under all its decodings, its losses and its proxy targets, in one process.

Each decoding of each split is kept as soon as it is made: started again after a kill, only those that lack are made.
"""

import argparse
import hashlib
import importlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from natlab import families, sources
from natlab.files import lines, read_json, sha256, write_json, written_aside
from natlab.measuring.auxiliary import auxiliary

ROOM = Path(__file__).parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus (raw targets)")
    parser.add_argument(
        "--proxy-data", help="fairseq data folder with the targets of the system's teacher, or candidates"
    )
    parser.add_argument(
        "--auxiliary", nargs="*", default=[], metavar="SYSTEM=MODEL", help="auxiliary models of decodings and losses"
    )
    parser.add_argument(
        "--predictor", metavar="SYSTEM", help="the auxiliary one that predicts the tokens of proxy inputs"
    )
    parser.add_argument(
        "--grammar", metavar="DATASET", help="the dataset's file, of a generated corpus: what an ideal model loses, too"
    )
    parser.add_argument(
        "--truth", metavar="DATASET", help="the dataset's file, of a generated corpus: how far the model is from P(Y|X)"
    )
    parser.add_argument("--proxy-targets", metavar="SPLIT", help="write the proxy targets of this split as target.txt")
    parser.add_argument(
        "--positions", nargs="*", default=[], metavar="DECODING", help="measure the probability of tokens around them"
    )
    parser.add_argument(
        "--samples", nargs="*", default=[], metavar="DECODING", help="keep all hypotheses, not the best alone"
    )
    parser.add_argument(
        "--likelihood",
        nargs="*",
        default=[],
        metavar="DECODING",
        help="measure how likely the model finds what it says",
    )
    parser.add_argument(
        "--revealed", nargs="*", default=[], metavar="DECODING", help="measure what is said with a part of it shown"
    )
    parser.add_argument("--decodings", required=True, type=json.loads, help="JSON: {name: decoding}")
    parser.add_argument("--splits", required=True, nargs="+")
    parser.add_argument(
        "--engine",
        choices=("natlab", "ctranslate2"),
        default="natlab",
        help="what searches beams; the first sentences by natlab, too",
    )
    parser.add_argument(
        "--out",
        required=True,
        help="folder for {decoding}.{split}.txt and .samples.jsonl, target.txt, tuned.json, losses.json, truth.json, "
        "decoded.json, provenance.json",
    )


def fingerprint(args: argparse.Namespace) -> str:
    """What determines the translations, as a hash: decodings, what is kept of them, models, sentences and code."""
    data = [file for name in ("dict", *args.splits) for file in Path(args.data).glob(f"{name}.*")]
    code = [__file__, *sources.files(sources.decoding(args.decodings.values(), args.engine), ROOM)]
    models = [args.model, *auxiliary(args.auxiliary).values()]
    sums = {str(file): sha256(file) for file in (*models, *data, *code)}
    asked = [args.decodings, args.samples, args.engine, sums]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def run(args: argparse.Namespace) -> None:
    from natlab import provenance
    from natlab.corpus.text import folder_aside
    from natlab.losses.batch import Method
    from natlab.measuring import losses
    from natlab.measuring.data import Data, device, device_name
    from natlab.models.load import load
    from natlab.models.validation import BLEU, plain

    model, made = load(args.model, device())
    models = {system: load(path, device())[0] for system, path in auxiliary(args.auxiliary).items()}
    predictor = models[args.predictor] if args.predictor else None
    spec, data = made["spec"], Data(args.data)
    raw, method = Method.of(plain(spec)), Method.of(spec)
    # beside the output, which Snakemake deletes when the job fails
    kept = Path(f"{args.out}.parts")
    # by its name: only translations that ask for it rest on its files
    checked = None if args.engine == "natlab" else importlib.import_module("natlab.measuring.checked")
    found = Found(model, data, models, kept / fingerprint(args), checked)
    decodings, tuned = chosen(args.decodings, found, spec.get("select_by", BLEU))
    decoded = as_decoded(args, decodings, found, raw, method, predictor)
    values = all_losses(args, spec, model, data, raw, method, predictor)
    with folder_aside(args.out) as out:
        for split in args.splits:
            for name, decoding in decodings.items():
                several = name in args.samples
                of_split = found.of(name, split, decoding, several)
                _write(out / f"{name}.{split}.txt", (data.text(best.tokens) for best, *_ in of_split))
                if several:
                    _write(out / f"{name}.{split}.samples.jsonl", (_sample(data, each) for each in of_split))
        if args.proxy_targets:
            pairs, candidates = proxy_data(args, spec, args.proxy_targets)
            targets = losses.proxy_targets(model, *pairs, method, candidates=candidates)
            _write(out / "target.txt", map(data.text, targets))
        if tuned:
            write_json(out / "tuned.json", tuned)
        if args.truth:
            write_json(out / "truth.json", truth_values(args.truth, model, method, data))
        write_json(out / "losses.json", values)
        write_json(out / "decoded.json", decoded)
        origin = provenance.record(made["fingerprint"], device_name())
        write_json(out / "provenance.json", origin | found.engines())
    shutil.rmtree(kept, ignore_errors=True)


@dataclass
class Found:
    """What decodings find for the sentences of a corpus, each kept as soon as it is made.

    model: that translates; auxiliary: by system, the models that its decodings take, too.
    data: the corpus.
    parts: the folder where it is kept, of what `fingerprint` says.
    checked: what searches beams by another engine than natlab (`natlab.measuring.checked`), if it is asked for.
    """

    model: Any
    data: Any
    auxiliary: Mapping[str, Any]
    parts: Path
    checked: ModuleType | None = None

    def of(self, name: str, split: str, decoding: Mapping, several: bool = False) -> list[list[Any]]:
        """For each sentence of a split the best `natlab.decoding.Hypothesis` alone, or ``several``: made, unless they
        are kept under this name."""
        import torch

        from natlab.decoding import Hypothesis

        part = self.parts / f"{name}.{split}.jsonl"
        if not part.exists():
            made = self._made(name, split, decoding, several)
            with written_aside(part) as file:
                for of_sentence in made:
                    file.write(json.dumps([[tokens.tolist(), score] for tokens, score in of_sentence]) + "\n")
        return [
            [Hypothesis(torch.tensor(tokens, dtype=torch.long), score) for tokens, score in json.loads(line)]
            for line in lines(part)
        ]

    def engines(self) -> dict[str, dict]:
        """``engines``: what `natlab.measuring.checked` says of the translations that it made, by ``{decoding}.{split}``
        (of a tuned one, each that was tried); nothing where it made none."""
        found = {path.stem.removesuffix(".engine"): read_json(path) for path in self.parts.glob("*.engine.json")}
        return {"engines": found} if found else {}

    def _made(self, name: str, split: str, decoding: Mapping, several: bool) -> list[list[Any]]:
        from natlab.decoding import Hypothesis, decode_corpus, hypotheses_of_corpus

        sources = self.data.sources(split)
        if several:
            return hypotheses_of_corpus(self.model, sources, decoding, auxiliary=self.auxiliary)
        if self.checked is not None and self.checked.can(decoding):
            best, by = self.checked.translated(self.model, sources, decoding)
            print(f"{name}.{split}: by {by['name']}; of {by['compared']} sentences {by['same']} are the same by natlab")
            write_json(self.parts / f"{name}.{split}.engine.json", by)
        else:
            references = self.data.targets(split)
            best = decode_corpus(self.model, sources, decoding, auxiliary=self.auxiliary, references=references)
        return [[Hypothesis(target, 0.0)] for target in best]


def chosen(decodings: Mapping[str, Mapping], found: Found, select_by: Mapping) -> tuple[dict, dict]:
    """Decodings with their tuned options chosen, and of those that have any the choice (`natlab.measuring.tuning`)."""
    from natlab.measuring import tuning

    settled, choices = dict(decodings), {}
    for name, decoding in decodings.items():
        if families.tuned(decoding):
            settled[name], choices[name] = tuning.chosen(
                decoding,
                lambda number, variant, name=name: [
                    found.data.text(best.tokens) for best, *_ in found.of(f"{name}~{number}", "valid", variant)
                ],
                [found.data.text(target) for target in found.data.targets("valid")],
                select_by,
            )
    return settled, choices


def as_decoded(
    args: argparse.Namespace, decodings: Mapping[str, Mapping], found: Found, raw: Any, method: Any, predictor: Any
) -> dict[str, dict]:
    """What is measured of the model as it decodes, by decoding and split. ``raw``: how losses on raw targets are
    taken; ``method``: how the model learned."""
    from natlab.measuring import likelihood, losses, positions, revealed

    model, made = found.model, defaultdict(dict)
    for split in args.splits:
        sources, targets = found.data.sources(split), found.data.targets(split)
        for name, decoding in decodings.items():
            of = f"{name}.{split}"
            said = [best.tokens for best, *_ in found.of(name, split, decoding, several=name in args.samples)]
            if name in args.likelihood:
                made[of]["ncm"] = likelihood.nats_per_token(model, sources, targets, raw)
                made[of]["ncm_outputs"] = likelihood.nats_per_token(model, sources, said, raw)
            if predictor is not None and (decoding["kind"] == "sample" or decoding.get("length_candidates") == 1):
                made[of]["confidence"] = losses.confidence(model, sources, decoding, predictor)
            if name in args.positions and decoding["kind"] == "argmax":
                around = positions.token_probability(model, sources, targets, decoding)
                made[of] |= {f"token_probability/{at}": value for at, value in around.items()}
            if name in args.revealed:
                shown = revealed.revealed(model, sources, targets, method.objective, decoding, found.data.text)
                made[of] |= {f"revealed/{value}": of_value for value, of_value in shown.items()}
    return made


def all_losses(
    args: argparse.Namespace, spec: dict, model: Any, data: Any, raw: Any, method: Any, predictor: Any
) -> dict[str, dict]:
    """A model's losses on validation, on its own targets and on raw ones, what an ideal one would lose where that is
    known, and how many parameters it has."""
    import torch

    from natlab.measuring import losses

    torch.manual_seed(spec["seed"])  # a proxy input may draw which tokens it reveals
    on_raw = losses.losses(model, data.sources("valid"), data.targets("valid"), raw)
    pairs, candidates = proxy_data(args, spec, "valid")
    values = losses.losses(model, *pairs, method, candidates=candidates, predictor=predictor)
    if args.grammar:
        values |= ideal_losses(args.grammar, data, method)
    of_codes = losses.of_codes(model, data.sources("valid"), data.targets("valid"))
    return values | {f"{key}_raw": value for key, value in on_raw.items()} | of_codes | losses.parameters(model)


def _sample(data: Any, hypotheses: list) -> str:
    """A sentence's hypotheses, the best first, as a line of JSON."""
    texts, scores = zip(*((data.text(tokens), score) for tokens, score in hypotheses), strict=True)
    return json.dumps({"hypotheses": texts, "scores": scores}, ensure_ascii=False)


def _write(path: Path, texts: Iterable[str]) -> None:
    """One text a line."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(text + "\n" for text in texts)


def ideal_losses(dataset: str, data: Any, method: Any) -> dict:
    """`natlab.measuring.ideal.losses` on the raw targets of valid of a generated corpus, under a system's proxy input;
    none of a corpus so small that its dictionary lacks words, whose targets are then not the grammar's."""
    from natlab.corpus import dataset as datasets
    from natlab.corpus import grammar
    from natlab.measuring import ideal

    source = datasets.load(dataset)["source"]
    targets = [tuple(data.text(target).split()) for target in data.targets("valid")]
    distributions = grammar.distributions(source, "valid")
    if not all(distribution.probability(target) for target, distribution in zip(targets, distributions, strict=True)):
        return {}
    return ideal.losses(distributions, targets, method.input)


def truth_values(dataset: str, model: Any, method: Any, data: Any) -> dict:
    """`natlab.measuring.truth.divergence` on the sources of test of a generated corpus."""
    from natlab.corpus import dataset as datasets
    from natlab.corpus import grammar
    from natlab.corpus.vocabulary import read_symbols, symbol_index
    from natlab.measuring import truth

    distributions = grammar.distributions(datasets.load(dataset)["source"], "test")
    numbers = symbol_index(read_symbols(data.folder / "dict.tgt.txt"))
    return truth.divergence(model, method and method.objective, data.sources("test"), distributions, numbers)


def proxy_data(args: argparse.Namespace, spec: dict, split: str) -> tuple[tuple, Callable | None]:
    """((sources, targets) of a split that the system's proxy targets are made from, and the candidates of dynamic KD as
    a function of the sentences' numbers)."""
    from natlab.measuring.data import Data

    if not args.proxy_data:
        data = Data(args.data)
        return (data.sources(split), data.targets(split)), None
    data = Data(args.proxy_data)
    names = spec["target"].get("candidates")
    if names is None:
        return (data.sources(f"{split}_kd"), data.targets(f"{split}_kd")), None
    from natlab.training.candidates import Candidates

    return (data.sources(split), data.targets(split)), Candidates(args.proxy_data, split, names, data.target.pad()).of
