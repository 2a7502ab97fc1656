"""Options of decodings that are tuned: which of their values translate the validation set best."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from natlab import families
from natlab.files import read_json
from natlab.metrics.interface import Translations
from natlab.models.validation import BLEU


def chosen(
    decoding: Mapping[str, Any],
    translations: Callable[[int, Mapping[str, Any]], Sequence[str]],
    references: Sequence[str],
    select_by: Mapping[str, Any] = BLEU,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A decoding with its tuned options chosen, and the choice: the ``options``, by which score and on which ``split``,
    and the ``scores`` of all that was tried. Of equal ones the first stays.

    translations: of the validation set under the variant of this number, from 0, tokens with whitespace between them;
    references: likewise; select_by: of a model's specification, by what its checkpoints are chosen.
    """
    score = families.load("score", select_by["name"], **select_by["options"])
    tried = families.variants(decoding)
    scores = []
    for number, variant in enumerate(tried):
        found = list(translations(number, variant))
        of = Translations(found, list(references), found, list(references), select_by["language"])
        scores.append(score(of)[select_by["value"]]["value"])
    best = tried[scores.index(max(scores))]
    options = [{key: variant[key] for key in families.tuned(decoding)} for variant in tried]
    choice = {"options": options[tried.index(best)], "by": select_by["value"], "split": "valid"}
    return best, {**choice, "scores": [{**of, "score": score} for of, score in zip(options, scores, strict=True)]}


def settled(decodings: Mapping[str, Mapping[str, Any]], file: str | Path | None) -> dict[str, dict[str, Any]]:
    """Decodings with the options that ``file``, a model's ``tuned.json``, says were chosen for it."""
    choices = read_json(file) if file else {}
    return {name: {**decoding, **choices.get(name, {"options": {}})["options"]} for name, decoding in decodings.items()}
