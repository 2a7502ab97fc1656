"""Translations and what they are scored against, read from their folders."""

from pathlib import Path

from natlab.corpus import dataset as datasets
from natlab.corpus.detokenise import detokenised
from natlab.corpus.subwords import joined
from natlab.errors import UserError
from natlab.files import lines
from natlab.metrics.interface import Translations


def read(path: Path, split: str, corpus: Path, dataset: dict) -> Translations:
    """The translations of a split in ``path``, with the references of ``corpus``, a folder of ``text/`` as published
    and ``tok/`` as trained on. UserError where references are missing or do not fit."""
    hypotheses = list(lines(path))
    raw = plain(corpus / "text" / f"{split}.tgt", path, len(hypotheses), dataset)
    tokenised = plain(corpus / "tok" / f"{split}.tgt", path, len(hypotheses), dataset)
    language = dataset["languages"]["tgt"]
    text = hypotheses if dataset["tokenise"] == "none" else detokenised(hypotheses, language)
    return Translations(hypotheses, tokenised, text, raw, language, dataset["lowercase"])


def plain(path: Path, translations: Path, count: int, dataset: dict) -> list[str]:
    """The lines of a corpus' file in words, as many as there are translations."""
    words = joined if datasets.in_bpe(dataset) else str
    return [words(line) for line in fitting(path, translations, count)]


def fitting(path: Path, translations: Path, count: int) -> list[str]:
    """The lines of a reference file, as many as there are translations."""
    if not path.exists():
        raise UserError(f"{path}: no such file, but {translations} needs it as reference; make the corpus first")
    return as_many(list(lines(path)), path, translations, count)


def as_many(found: list[str], path: str | Path, translations: Path, count: int) -> list[str]:
    """``found``, the lines of ``path``, if there are as many as translations."""
    if len(found) != count:
        raise UserError(
            f"{translations}: {count} lines, but {path} has {len(found)}; translate the same split of the same corpus"
        )
    return found
