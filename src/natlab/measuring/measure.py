"""From translations and losses to measurements, one JSON file each. The verb ``measure``.

A translations folder holds ``{decoding}.{split}.txt`` (tokenised, one sentence a line), ``losses.json``,
``decoded.json`` (what was measured of the model as it decoded, by ``{decoding}.{split}`` and metric),
``provenance.json``, and where they are measured ``target.txt``, the proxy targets of test, ``truth.json``, how far the
model is from a generated corpus' P(Y|X), and ``{decoding}.{split}.samples.jsonl``, several hypotheses of each sentence:
a line of {"hypotheses": tokenised texts, the best first, each once, "scores": their scores}. ``tuned.json`` says which
options of decodings were chosen on validation. The corpus folder holds the references, ``text/`` as published and
``tok/`` as trained on.
"""

import argparse
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from natlab import families, provenance, tracking
from natlab.corpus import dataset as datasets
from natlab.corpus import grammar, references
from natlab.corpus.exact import Distribution
from natlab.corpus.subwords import joined
from natlab.corpus.text import folder_aside
from natlab.errors import UserError
from natlab.files import lines, read_json, write_json
from natlab.measuring import translated
from natlab.metrics import bleu, modes, samples, target_bleu
from natlab.metrics.allowed import allowed
from natlab.metrics.by_length import by_length
from natlab.metrics.curve import at_shares
from natlab.metrics.interface import Translations
from natlab.metrics.repetition import repeated_ngrams, repeated_token_rate, repeated_tokens

SHOWN = 10  # sentences of which single hypotheses are kept


class Truth:
    """What is known of a generated corpus: P(Y|X) of the sources of a split, and the sentence BLEU that it expects."""

    def __init__(self, source: dict):
        self.distributions: Callable[[str], list[Distribution]] = cache(partial(grammar.distributions, source))
        self.expected_bleu = cache(lambda split: target_bleu.Expected(self.distributions(split)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``measure``."""
    parser.add_argument("--translations", required=True, help="the folder of one model's translations and losses")
    parser.add_argument("--corpus", required=True, help="the dataset's folder, results/corpora/<dataset>")
    parser.add_argument("--dataset-config", required=True, help="the dataset's file, config/datasets/<dataset>.yaml")
    parser.add_argument(
        "--identity", required=True, type=json.loads, help='JSON: {"dataset", "scale", "system", "seed"} of the model'
    )
    parser.add_argument("--curve", help="the curve of the model's training, as curve.json")
    parser.add_argument("--out", required=True, help="the folder of measurements to make")
    tracking.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write one measurement a translation, ``loss.json`` and, where there is what they are about, ``target.json``,
    ``truth.json``, ``{decoding}.{split}.samples.json`` and ``curve.json``. UserError when files are missing or do not
    fit."""
    translations, corpus = Path(args.translations), Path(args.corpus)
    dataset = datasets.load(args.dataset_config)
    known = dataset["source"]["kind"] == "grammar"
    truth = Truth(dataset["source"]) if known else None
    origin, engines = _origin(translations)
    decoded = _required_json(translations / "decoded.json")
    tuned = read_json(translations / "tuned.json") if (translations / "tuned.json").exists() else {}
    with folder_aside(args.out) as out:
        for path in sorted(translations.glob("*.*.txt")):
            decoding, _, split = path.stem.rpartition(".")
            sentences, values = translation_values(path, split, corpus, dataset, truth)
            values |= decoded.get(path.stem, {})
            several = path.with_suffix(".samples.jsonl")
            if several.exists():
                of_samples, texts = sample_values(several, split, corpus, dataset, truth)
                values |= of_samples
                _write(out / f"{path.stem}.samples.json", args.identity, decoding, split, sentences, texts, origin)
            rest = {"sentence_statistics": _by_sentence(values)}
            if decoding in tuned:
                rest["tuned"] = tuned[decoding]
            by = origin | ({"engine": engines[path.stem]} if path.stem in engines else {})
            _write(out / f"{path.stem}.json", args.identity, decoding, split, sentences, values, by, **rest)
        losses = _required_json(translations / "losses.json")
        validated = next(iter(losses.values()))["sentences"]
        of_sentences = {"sentence_statistics": _by_sentence(losses)}
        _write(out / "loss.json", args.identity, None, "valid", validated, losses, origin, **of_sentences)
        if (translations / "truth.json").exists():
            values = read_json(translations / "truth.json")
            sentences = next(iter(values.values()))["sentences"]
            of_sentences = {"sentence_statistics": _by_sentence(values)}
            _write(out / "truth.json", args.identity, None, "test", sentences, values, origin, **of_sentences)
        if (translations / "target.txt").exists():
            sentences, values, each = target_values(translations / "target.txt", corpus, dataset, truth)
            of_sentences = {"sentence_statistics": {"target_bleu": each}}
            _write(out / "target.json", args.identity, None, "test", sentences, values, origin, **of_sentences)
        if args.curve:
            curve = at_shares([json.loads(line) for line in lines(args.curve)])
            values = {f"curve/{name}": value for name, value in curve.items()}
            _write(out / "curve.json", args.identity, None, "valid", validated, values, origin)
    written = sorted(path for path in Path(args.out).glob("*.json") if path.name != "curve.json")  # tracked already
    tracking.measured(args, map(read_json, written))


def translation_values(path: Path, split: str, corpus: Path, dataset: dict, truth: Truth | None) -> tuple[int, dict]:
    """(number of sentences, metric values) of the translations in ``path``.

    The dataset's scores (`natlab.metrics.scores`) compare detokenised text with the raw references, or tokens with
    tokens; ``bleu_tok/<bucket>`` is that of the sentences whose reference is so long (`natlab.metrics.by_length`);
    ``ngram_repetition/<n>``: the share of n-grams that repeat earlier ones (`natlab.metrics.repetition`); where a split
    has further references, ``bleu_multi`` is sacreBLEU against all of them, and ``bleu_tok_multi`` and
    ``bleu_tok_single`` are of the sentences that have some: against all, and against the target alone; ``allowed``: the
    share that P(Y|X) of a generated corpus allows; ``expected_bleu``: the mean of the sentence BLEU that this P
    expects, and ``expected_ceiling``, that of P's likeliest targets.
    """
    of = translated.read(path, split, corpus, dataset)
    hypotheses = of.tokens
    numbered = sorted((corpus / "text").glob(f"{split}.ref*"), key=lambda p: int(p.suffix[len(".ref") :]))
    further = [translated.plain(file, path, len(hypotheses), dataset) for file in numbered]
    repeated = [[100 * count, tokens] for count, tokens in repeated_tokens(hypotheses)]
    values = {}
    for score in datasets.scores(dataset):
        values |= families.load("score", **score)(of)
    if "bleu_tok" in values:
        statistics = values["bleu_tok"]["by_sentence"]
        for bucket, numbers in by_length(len(line.split()) for line in of.references).items():
            chosen = [statistics[number] for number in numbers]
            of_bucket = {"unit": "BLEU", "sentences": len(chosen), "by_sentence": chosen}
            values[f"bleu_tok/{bucket}"] = {"value": bleu.pooled(chosen), **of_bucket}
    values["repetition"] = {"value": repeated_token_rate(hypotheses), "unit": "%", "by_sentence": repeated}
    for n in range(1, 5):
        of_sentences = [[100 * count, ngrams] for count, ngrams in repeated_ngrams(hypotheses, n)]
        count, ngrams = map(sum, zip(*of_sentences, strict=True))
        of_n = {"unit": "%", "by_sentence": of_sentences}
        values[f"ngram_repetition/{n}"] = {"value": count / ngrams if ngrams else 0.0, **of_n}
    if further:
        values |= _against_all(of, references.tokenised(corpus / "text", split, dataset))
        values["bleu_multi"] = bleu.sacrebleu(of.text, [of.text_references, *further], of.language, of.lowercase)
    if truth is not None:
        possible = [100 * whether for whether in allowed(hypotheses, truth.distributions(split))]
        values["allowed"] = {"value": sum(possible) / len(possible), "unit": "%", "by_sentence": possible}
        expected = truth.expected_bleu(split)
        each, of_truth = (
            expected([line.split() for line in hypotheses]),
            {"unit": "BLEU", "signature": expected.signature},
        )
        values["expected_bleu"] = {"value": float(each.mean()), **of_truth, "by_sentence": each.tolist()}
        values["expected_ceiling"] = {"value": expected.ceiling, **of_truth}
    return len(hypotheses), values


def _against_all(of: Translations, further: list[list[str]]) -> dict[str, dict]:
    """Tokenised BLEU of the sentences with further references: against these and the target, and the target alone."""
    chosen = [number for number, lines_of in enumerate(zip(*further, strict=True)) if any(lines_of)]
    if not chosen:
        return {}
    hypotheses, *streams = ([stream[number] for number in chosen] for stream in (of.tokens, of.references, *further))
    values = {}
    for name, against in (("bleu_tok_single", streams[:1]), ("bleu_tok_multi", streams)):
        values[name] = {**bleu.tokenised_bleu(hypotheses, against), "sentences": len(chosen)}
    return values


def sample_values(
    path: Path, split: str, corpus: Path, dataset: dict, truth: Truth | None
) -> tuple[dict[str, dict], dict[str, dict]]:
    """Values of all hypotheses in ``path``, the lines of a ``samples.jsonl`` (`natlab.metrics.samples`, and `modes`
    where P(Y|X) is known), and the texts of the first `SHOWN` sentences: ``source/<sentence>``,
    ``reference/<sentence>``, and of the best ones ``sample/<sentence>/<place>``, ``sample_score/…`` and, where P is
    known, ``sample_allowed/…``, yes or no; both numbers count from 1."""
    found = [json.loads(line) for line in lines(path)]
    hypotheses = [each["hypotheses"] for each in found]
    words = joined if datasets.in_bpe(dataset) else str
    references = list(map(words, translated.fitting(corpus / "tok" / f"{split}.tgt", path, len(found))))
    values = {"oracle_bleu": samples.oracle_bleu(hypotheses, references), "distinct": samples.distinct(hypotheses)}
    known = None if truth is None else truth.distributions(split)
    if known is not None:
        values["allowed_best3"] = samples.allowed_best(hypotheses, known)
        values |= modes.reached(hypotheses, known)
    texts = {}
    for name, side in (("source", "src"), ("reference", "tgt")):
        for number, line in enumerate(
            translated.fitting(corpus / "text" / f"{split}.{side}", path, len(found))[:SHOWN], 1
        ):
            texts[f"{name}/{number}"] = words(line)
    for number, each in enumerate(found[:SHOWN], 1):
        first = list(zip(each["hypotheses"], each["scores"], strict=True))[: samples.BEST]
        for place, (text, score) in enumerate(first, 1):
            texts |= {f"sample/{number}/{place}": text, f"sample_score/{number}/{place}": score}
            if known is not None:
                (possible,) = allowed([text], [known[number - 1]])
                texts[f"sample_allowed/{number}/{place}"] = "yes" if possible else "no"
    return values, {name: {"value": value} for name, value in texts.items()}


def target_values(path: Path, corpus: Path, dataset: dict, truth: Truth | None) -> tuple[int, dict, list[float]]:
    """(number of sentences, metric values, ``target_bleu`` of each sentence that has further references) of the proxy
    targets T of test in ``path``, against further references Y.

    ``target_bleu``: E[S(Y, T)] of MPLE's equation 14, over the sentences with further references (the first one, the
    raw target, is none of them); ``target_bleu_exact``: the same over all that the grammar of a generated corpus
    allows, by their probabilities (over drawn ones where that is too many: see its signature);
    ``reference_bleu/<k>``: corpus BLEU against the k-th further reference, of the sentences that have one (Figure 6).
    """
    targets = list(lines(path))
    columns = [
        translated.as_many(column, f"{corpus / 'text' / 'test.ref'}{number}", path, len(targets))
        for number, column in enumerate(references.tokenised(corpus / "text", "test", dataset), 1)
    ]
    numbers: dict[str, int] = {}
    numbered = [
        [[numbers.setdefault(word, len(numbers)) for word in line.split()] for line in c] for c in [targets, *columns]
    ]
    each = target_bleu.target_bleu(numbered[0], numbered[1:])
    of = {"unit": "BLEU", "signature": target_bleu.SIGNATURE}
    values = {"target_bleu": {"value": float(np.nanmean(each)), **of, "sentences": int(np.isfinite(each).sum())}}
    if truth is not None:
        expected = truth.expected_bleu("test")
        exactly = float(expected([line.split() for line in targets]).mean())
        of_truth = {"unit": "BLEU", "signature": expected.signature, "sentences": len(targets)}
        values["target_bleu_exact"] = {"value": exactly, **of_truth}
    for number, column in enumerate(columns, 1):
        pairs = [(target, reference) for target, reference in zip(targets, column, strict=True) if reference]
        if pairs:
            hypotheses, reference = zip(*pairs, strict=True)
            score = bleu.tokenised_bleu(hypotheses, [reference])
            del score["by_sentence"]
            values[f"reference_bleu/{number}"] = {**score, "sentences": len(pairs)}
    return len(targets), values, each[np.isfinite(each)].tolist()


def _by_sentence(values: dict[str, dict]) -> dict[str, list]:
    """Each sentence's part of those values that have them, which it takes out of ``values``."""
    return {name: value.pop("by_sentence") for name, value in values.items() if "by_sentence" in value}


def _required_json(path: Path) -> dict:
    if not path.exists():
        raise UserError(
            f"{path}: no such file; the folder is not one of translations, or is incomplete: translate again"
        )
    return read_json(path)


def _origin(translations: Path) -> tuple[dict, dict]:
    """(provenance of the measurement: today's code, and the device and fingerprint of the model that translated; by
    which other engine than natlab it did, of ``{decoding}.{split}``)."""
    decoded = _required_json(translations / "provenance.json")
    origin = provenance.record(fingerprint=decoded.get("fingerprint"), device=decoded.get("device"))
    return origin, decoded.get("engines", {})


def _write(
    path: Path,
    identity: dict,
    decoding: str | None,
    split: str,
    sentences: int,
    values: dict,
    origin: dict,
    **rest: Any,
) -> None:
    """Write one measurement; ``rest`` stands beside its values."""
    write_json(
        path,
        {
            **{key: identity[key] for key in ("dataset", "scale", "system", "seed")},
            "decoding": decoding,
            "split": split,
            "sentences": sentences,
            "values": values,
            **rest,
            "provenance": origin,
        },
    )
