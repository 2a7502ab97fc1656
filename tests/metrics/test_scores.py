"""What translations are scored by."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab import families
from natlab.corpus.dataset import SCORES
from natlab.metrics import bleu
from natlab.metrics.interface import Translations

SENTENCES = st.lists(st.text("ab c", min_size=1, max_size=9).filter(str.strip), min_size=2, max_size=5)


def of(tokens, references, language="en"):
    return Translations(tokens, references, tokens, references, language)


def scored(name, tokens, references, language="en"):
    return families.load("score", name)(of(tokens, references, language))


@pytest.mark.parametrize("name", families.names("score"))
@settings(deadline=None, max_examples=20)
@given(SENTENCES)
def test_a_score_gives_the_values_that_it_names_whose_means_are_means(name, sentences):
    found = scored(name, sentences, sentences[::-1])
    assert set(found) == set(families.trait("score", name, "values"))
    for value in families.trait("score", name, "means"):
        each = found[value]["by_sentence"]
        assert len(each) == len(sentences)
        assert found[value]["value"] == pytest.approx(sum(each) / len(each))
    for value in scored(name, sentences, sentences).values():
        assert {"value", "unit", "signature"} <= set(value) and 0 <= value["value"] <= 100 + 1e-9


def test_a_value_is_one_scores():
    values = [value for name in families.names("score") for value in families.trait("score", name, "values")]
    assert len(values) == len(set(values)) and set(SCORES) <= set(families.names("score"))


def test_text_is_scored_against_published_references_and_tokens_against_tokens():
    given = Translations(["das haus ."], ["das haus !"], ["Das Haus."], ["Das Haus."], "de", lowercase=True)
    found = {name: families.load("score", name)(given)[name]["value"] for name in SCORES}
    assert found["bleu"] == bleu.sacrebleu(["Das Haus."], [["Das Haus."]], "de", True)["value"]
    assert found["chrf"] == 100 and found["bleu_tok"] == 0
    assert "case:lc" in families.load("score", "bleu")(given)["bleu"]["signature"]


def test_rouge_by_hand():
    """Of 7 and 6 words 4 are shared, of 6 and 5 pairs one; the longest common subsequence is "cat on the mat"."""
    values = scored("rouge", ["a cat is on the red mat"], ["the cat sat on the mat"])
    precision, recall = 4 / 7, 4 / 6
    assert values["rouge_1"]["value"] == pytest.approx(100 * 2 * precision * recall / (precision + recall))
    assert values["rouge_2"]["value"] == pytest.approx(100 * 2 * (1 / 6) * (1 / 5) / (1 / 6 + 1 / 5))
    assert values["rouge_l"]["value"] == values["rouge_1"]["value"]
    assert scored("rouge", ["c b a"], ["a b c"])["rouge_l"]["value"] == pytest.approx(100 / 3)


def test_rouge_stems_english_only_and_takes_words_of_all_alphabets_without_punctuation():
    for language, value in (("en", 100), ("de", 0)):
        assert scored("rouge", ["the cats ,"], ["The cat !"], language)["rouge_2"]["value"] == value
    german = scored("rouge", ["schläft er ?"], ["schlägt er ."], "de")
    assert german["rouge_1"]["by_sentence"] == [50]
    assert scored("rouge", ["他 今天 买 车"], ["他 今天 买 书"], "zh")["rouge_l"]["value"] == 75
    assert scored("rouge", ["."], ["a b"])["rouge_1"]["value"] == 0
