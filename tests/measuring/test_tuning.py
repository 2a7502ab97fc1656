"""Options of decodings that validation chooses."""

import pytest

from natlab.files import write_json
from natlab.measuring import tuning

DECODING = {"kind": "k", "beta": {"tuned": [0.3, 0.5]}, "penalty": {"tuned": [1, 2]}, "samples": 8}
REFERENCES = ["a b c d", "e f g h"]


def said(beta, penalty):
    """Right but for a word where beta is 0.3, and for another where the penalty is 1."""
    return ["a b c d" if penalty == 2 else "a b c x", "e f g h" if beta == 0.5 else "x f g h"]


def test_every_choice_is_tried_and_the_best_one_taken():
    tried = []

    def translations(number, variant):
        tried.append((number, variant))
        return said(variant["beta"], variant["penalty"])

    best, choice = tuning.chosen(DECODING, translations, REFERENCES)
    assert best == {"kind": "k", "beta": 0.5, "penalty": 2, "samples": 8}
    assert [number for number, _ in tried] == [0, 1, 2, 3]
    assert [(v["beta"], v["penalty"]) for _, v in tried] == [(0.3, 1), (0.3, 2), (0.5, 1), (0.5, 2)]
    assert (choice["options"], choice["by"], choice["split"]) == ({"beta": 0.5, "penalty": 2}, "bleu_tok", "valid")
    assert [(of["beta"], of["penalty"]) for of in choice["scores"]] == [(0.3, 1), (0.3, 2), (0.5, 1), (0.5, 2)]
    scores = [of["score"] for of in choice["scores"]]
    assert scores[3] == pytest.approx(100) and max(scores[:3]) < 100


def test_of_equal_ones_the_first_is_taken():
    best, choice = tuning.chosen(DECODING, lambda number, variant: REFERENCES, REFERENCES)
    assert (best["beta"], best["penalty"]) == (0.3, 1) and len(choice["scores"]) == 4


def test_it_is_chosen_by_what_checkpoints_are_chosen_by():
    """By ROUGE-1 three words of four, in the wrong order, beat two; BLEU has nothing for them."""
    decoding = {"kind": "k", "beta": {"tuned": [1, 2]}}
    made = {1: ["a b x y"], 2: ["d c b x"]}
    by = {"name": "rouge", "options": {}, "value": "rouge_1", "language": "de"}
    best, choice = tuning.chosen(decoding, lambda number, variant: made[variant["beta"]], ["a b c d"], by)
    assert best["beta"] == 2 and choice["by"] == "rouge_1"
    assert [of["score"] for of in choice["scores"]] == pytest.approx([50, 75])


def test_what_was_chosen_is_settled_elsewhere(tmp_path):
    decodings = {"tuned": DECODING, "plain": {"kind": "k"}}
    choice = {"options": {"beta": 0.5, "penalty": 1}, "scores": []}
    write_json(tmp_path / "tuned.json", {"tuned": choice})
    assert tuning.settled(decodings, tmp_path / "tuned.json") == {
        "tuned": {"kind": "k", "beta": 0.5, "penalty": 1, "samples": 8},
        "plain": {"kind": "k"},
    }
    assert tuning.settled({"plain": {"kind": "k"}}, None) == {"plain": {"kind": "k"}}
