"""BLEU and chrF against values computed by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from natlab.metrics import bleu


def test_tokenised_bleu_by_hand():
    # n-gram precisions 4/5, 3/4, 2/3, 1/2; equal lengths, so no brevity penalty: (1/5) ** (1/4).
    score = bleu.tokenised_bleu(["a b c d e"], [["a b c d f"]])
    assert score["value"] == pytest.approx(100 * 0.2**0.25)
    assert score["unit"] == "BLEU"
    assert "tok:none" in score["signature"] and "smooth:none" in score["signature"]


def test_tokenised_bleu_penalises_brevity():
    score = bleu.tokenised_bleu(["a b c d"], [["a b c d e f"]])
    assert score["value"] == pytest.approx(100 * math.exp(1 - 6 / 4))


def test_tokenised_bleu_is_of_the_corpus_not_a_mean_over_sentences():
    # Counts are summed first: 9/10, 7/8, 5/6, 3/4.
    score = bleu.tokenised_bleu(["a b c d e", "a b c d e"], [["a b c d f", "a b c d e"]])
    assert score["value"] == pytest.approx(100 * (9 / 10 * 7 / 8 * 5 / 6 * 3 / 4) ** 0.25)


def test_tokenised_bleu_takes_tokens_and_case_as_they_are():
    assert bleu.tokenised_bleu(["Das Auto ist da ."], [["das Auto ist da ."]])["value"] < 100
    assert bleu.tokenised_bleu(["das Auto ist da."], [["das Auto ist da ."]])["value"] == 0


def test_a_missing_four_gram_makes_unsmoothed_bleu_zero_and_smoothed_bleu_small():
    assert bleu.tokenised_bleu(["a b c x e"], [["a b c d e"]])["value"] == 0
    assert 0 < bleu.sacrebleu(["a b c x e"], [["a b c d e"]], "de")["value"] < 60


def test_sacrebleu_tokenises_and_minds_case_unless_told():
    hypothesis, reference = ["das Auto, das er kauft."], ["Das Auto, das er kauft."]
    assert bleu.sacrebleu(hypothesis, [reference], "de")["value"] < 100
    lowercased = bleu.sacrebleu(hypothesis, [reference], "de", lowercase=True)
    assert lowercased["value"] == pytest.approx(100)
    assert "case:lc" in lowercased["signature"] and "tok:13a" in lowercased["signature"]


def test_chinese_is_scored_by_characters():
    score = bleu.sacrebleu(["我喜欢读书"], [["我喜欢看书"]], "zh")
    assert "tok:zh" in score["signature"]
    # Characters: 4/5 matching, bigrams 2/4, trigrams 1/3; no 4-gram, smoothed to 1/(2·2).
    assert score["value"] == pytest.approx(100 * (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** 0.25)


def test_a_further_reference_counts_where_there_is_one():
    hypotheses, first = ["a b c d f", "a b c d f"], ["a b c d e", "a b c d e"]
    single = bleu.sacrebleu(hypotheses, [first], "de")["value"]
    one_more = bleu.sacrebleu(hypotheses, [first, ["a b c d f", ""]], "de")
    both_more = bleu.sacrebleu(hypotheses, [first, ["a b c d f", "a b c d f"]], "de")["value"]
    assert single < one_more["value"] < both_more == pytest.approx(100)
    assert "nrefs:var" in one_more["signature"]


def test_an_empty_further_reference_changes_nothing():
    hypotheses, first = ["a b c d f", "a b"], ["a b c d e", "a b c"]
    alone = bleu.sacrebleu(hypotheses, [first], "de")["value"]
    assert bleu.sacrebleu(hypotheses, [first, ["", ""]], "de")["value"] == alone


def test_chrf_by_hand():
    # Characters "ab" against "ac": unigrams 1/2 both ways; bigrams 0/1. F2 averages precision and recall over orders.
    assert bleu.chrf(["ab"], [["ac"]])["value"] == pytest.approx(100 * (0.5 + 0) / 2)
    assert bleu.chrf(["Auto"], [["auto"]], lowercase=True)["value"] == pytest.approx(100)


@given(
    st.lists(st.tuples(*[st.lists(st.sampled_from("abc"), min_size=1, max_size=9)] * 2), min_size=1, max_size=8),
    st.data(),
)
def test_bleu_of_any_choice_of_sentences_follows_from_their_statistics(pairs, data):
    hypotheses, references = ([" ".join(side) for side in sides] for sides in zip(*pairs, strict=True))
    chosen = data.draw(st.lists(st.sampled_from(range(len(pairs))), min_size=1, max_size=10))
    each = bleu.tokenised_bleu(hypotheses, [references])["by_sentence"]
    expected = bleu.tokenised_bleu([hypotheses[n] for n in chosen], [[references[n] for n in chosen]])
    assert bleu.pooled([each[n] for n in chosen]) == pytest.approx(expected["value"])


def test_a_sentence_has_its_statistics_against_all_its_references():
    """Of the reference nearest in length; a further one counts where there is one."""
    hypotheses = ["Das Auto ist da .", "Er geht heim."]
    references = [["das Auto ist hier.", "Er geht nach Hause."], ["Das alte Auto ist da.", ""]]
    found = bleu.sacrebleu(hypotheses, references, "de", lowercase=True)
    # 13a: das auto ist da . | er geht heim .
    assert found["by_sentence"] == [[5, 4, 3, 1, 5, 4, 3, 2, 5, 5], [3, 1, 0, 0, 4, 3, 2, 1, 4, 5]]
    assert "nrefs:var" in found["signature"]  # of the corpus, not of its last sentence


@given(
    st.lists(st.tuples(*[st.lists(st.sampled_from("ab"), min_size=4, max_size=9)] * 3), min_size=1, max_size=8),
)
def test_sacrebleu_follows_from_the_sums_where_nothing_is_smoothed(triples):
    hypotheses, *references = ([" ".join(side) for side in sides] for sides in zip(*triples, strict=True))
    found = bleu.sacrebleu(hypotheses, references, "de")
    if all(sum(each[n] for each in found["by_sentence"]) for n in range(4)):
        assert bleu.pooled(found["by_sentence"]) == pytest.approx(found["value"])


def test_each_score_says_its_unit_and_how_it_was_made():
    chrf = bleu.chrf(["Auto"], [["auto"]])
    assert chrf["unit"] == "chrF" and chrf["value"] < 100 and "case:mixed" in chrf["signature"]
    assert "case:lc" in bleu.chrf(["Auto"], [["auto"]], lowercase=True)["signature"]
    assert bleu.sacrebleu(["a"], [["a"]], "de")["unit"] == "BLEU"
    signature = bleu.sacrebleu(["a"], [["a"]], "de")["signature"]
    assert "case:mixed" in signature and "smooth:exp" in signature and "nrefs:1" in signature


def test_statistics_are_counts_of_each_sentence_by_itself():
    # unigrams to 4-grams that match, and all of the hypothesis; its length and the reference's
    assert bleu.tokenised_bleu(["a b c d x", "A"], [["a b c d e f", "a"]])["by_sentence"] == [
        [4, 3, 2, 1, 5, 4, 3, 2, 5, 6],
        [0, 0, 0, 0, 1, 0, 0, 0, 1, 1],
    ]
    assert bleu.tokenised_bleu(["ein Auto."], [["ein Auto ."]])["by_sentence"][0][0] == 1  # tokens as they are
    with pytest.raises(ValueError):
        bleu.tokenised_bleu(["a", "b"], [["a"]])


@given(
    st.lists(st.tuples(*[st.lists(st.sampled_from("abc ."), min_size=0, max_size=9)] * 3), min_size=1, max_size=8),
    st.booleans(),
)
def test_scores_are_those_of_sacrebleu_itself(triples, lowercase):
    """Though it is asked for the statistics of sentences, and once, not for the corpus' score."""
    hypotheses, *references = (["A" + " ".join(side) for side in sides] for sides in zip(*triples, strict=True))
    metric = BLEU(lowercase=lowercase)
    theirs = metric.corpus_score(hypotheses, references)
    found = bleu.sacrebleu(hypotheses, references, "de", lowercase)
    assert (found["value"], found["signature"]) == (theirs.score, str(metric.get_signature()))
    theirs = BLEU(tokenize="none", smooth_method="none").corpus_score(hypotheses, references)
    assert bleu.tokenised_bleu(hypotheses, references)["value"] == theirs.score
