"""The grammar corpus: its German, its probabilities, its exact quantities and its files."""

import argparse
import itertools
import random
from collections import Counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import exact, grammar, lexicon
from natlab.corpus.exact import Distribution
from natlab.corpus.grammar import MODES, Clause, Grammar, Phrase, Recipe, Source, lowered, sample_source, sentence
from natlab.corpus.tokenise import tokeniser
from natlab.errors import UserError
from natlab.files import read_json
from natlab.metrics.by_length import by_length

EVEN = Grammar(dict.fromkeys(MODES, 1.0))
strengths = st.fixed_dictionaries(dict.fromkeys(MODES, st.floats(0, 1)))
sources = st.integers(0, 2**32).map(lambda seed: sample_source(random.Random(seed)))


def targets(model, source):
    """All targets of a source of one clause, with their probabilities."""
    (listed,) = model.distribution(source).factors
    return listed


def source(*arguments, **parts):
    """A source of one clause."""
    return Source((clause(*arguments, **parts),))


def clause(subject, verb, thing, opening="", manner="", place="", time="", tail=()):
    """A clause; a phrase is written "determiner [adjective] noun"."""
    phrases = []
    for text in (subject, thing):
        determiner, *adjective, noun = text.split()
        phrases.append(Phrase(determiner, "".join(adjective), noun))
    return Clause(opening, phrases[0], verb, phrases[1], manner, place, time, tail)


def many_sources(count, seed=1, clauses=(1,)):
    rng = random.Random(seed)
    return [sample_source(rng, clauses) for _ in range(count)]


# Written by hand, not by the grammar: everything a German reader expects of each source.
BY_HAND = [
    (
        source("the man", "buys", "a old car", time="on Monday", tail=("but", "expensive")),
        "The man buys an old car on Monday, but it is too expensive.",
        """Der Mann kauft am Montag ein altes Auto, aber es ist zu teuer.
        Der Mann kauft am Montag einen alten Wagen, aber er ist zu teuer.
        Am Montag kauft der Mann ein altes Auto, aber es ist zu teuer.
        Am Montag kauft der Mann einen alten Wagen, aber er ist zu teuer.""",
    ),
    (
        source("a woman", "calls", "this friendly neighbour", tail=("very", "rich")),
        "A woman calls this friendly neighbour who is very rich.",
        """Eine Frau ruft diese freundliche Nachbarin an, die sehr reich ist.
        Eine Frau ruft diesen freundlichen Nachbarn an, der sehr reich ist.
        Eine Frau kontaktiert diese freundliche Nachbarin, die sehr reich ist.
        Eine Frau kontaktiert diesen freundlichen Nachbarn, der sehr reich ist.""",
    ),
    (
        source("the tired girl", "watches", "a young student"),
        "The tired girl watches a young student.",
        """Das müde Mädchen beobachtet einen jungen Studenten.
        Das müde Mädchen beobachtet eine junge Studentin.
        Das müde Mädchen sieht einem jungen Studenten zu.
        Das müde Mädchen sieht einer jungen Studentin zu.""",
    ),
    (
        source("a ill boy", "sells", "the expensive bicycle", place="in the pub"),
        "An ill boy sells the expensive bicycle in the pub.",
        """Ein kranker Junge verkauft in der Kneipe das teure Fahrrad.
        Ein kranker Junge verkauft im Wirtshaus das teure Fahrrad.
        In der Kneipe verkauft ein kranker Junge das teure Fahrrad.
        Im Wirtshaus verkauft ein kranker Junge das teure Fahrrad.
        Das teure Fahrrad verkauft ein kranker Junge in der Kneipe.
        Das teure Fahrrad verkauft ein kranker Junge im Wirtshaus.""",
    ),
    (
        source("the child", "repairs", "a lamp", opening="no problem", time="now and then"),
        "No problem, the child repairs a lamp now and then.",
        "\n".join(
            f"{opening}, {clause}"
            for opening in ("Kein Problem", "Natürlich gern")
            for clause in (
                "das Kind repariert ab und zu eine Lampe.",
                "das Kind repariert hin und wieder eine Lampe.",
                "das Kind repariert dann und wann eine Lampe.",
                "ab und zu repariert das Kind eine Lampe.",
                "hin und wieder repariert das Kind eine Lampe.",
                "dann und wann repariert das Kind eine Lampe.",
            )
        ),
    ),
    (
        source("the guest", "paints", "a table", time="on Monday", tail=("both", "small", "heavy")),
        "On Monday the guest paints a table that is both small and heavy.",
        "\n".join(
            f"{clause}, der {both} ist."
            for clause in (
                "Der Gast streicht am Montag einen Tisch",
                "Am Montag streicht der Gast einen Tisch",
                "Der Gast malt am Montag einen Tisch an",
                "Am Montag malt der Gast einen Tisch an",
            )
            for both in (
                "sowohl klein als auch schwer",
                "nicht nur klein, sondern auch schwer",
                "ebenso klein wie schwer",
            )
        ),
    ),
]


@pytest.mark.parametrize(("source", "english", "german"), BY_HAND, ids=[english for _, english, _ in BY_HAND])
def test_all_targets_of_sources_translated_by_hand(source, english, german):
    assert sentence(source.tokens) == english
    found = targets(EVEN, source)
    assert sorted(sentence(tokens) for tokens, _ in found) == sorted(line.strip() for line in german.splitlines())
    assert all(p == pytest.approx(1 / len(found)) for _, p in found)


@pytest.mark.parametrize(
    ("determiner", "gender", "case", "phrase"),
    [
        ("the", "m", "nom", "der teure"),
        ("the", "m", "acc", "den teuren"),
        ("the", "m", "dat", "dem teuren"),
        ("the", "f", "nom", "die teure"),
        ("the", "f", "acc", "die teure"),
        ("the", "f", "dat", "der teuren"),
        ("the", "n", "acc", "das teure"),
        ("the", "n", "dat", "dem teuren"),
        ("this", "n", "nom", "dieses teure"),
        ("this", "m", "acc", "diesen teuren"),
        ("this", "f", "dat", "dieser teuren"),
        ("a", "m", "nom", "ein teurer"),
        ("a", "m", "acc", "einen teuren"),
        ("a", "f", "nom", "eine teure"),
        ("a", "f", "dat", "einer teuren"),
        ("a", "n", "nom", "ein teures"),
        ("a", "n", "acc", "ein teures"),
        ("a", "n", "dat", "einem teuren"),
    ],
)
def test_declension(determiner, gender, case, phrase):
    adjective = lexicon.inflected(lexicon.ADJECTIVES["expensive"], determiner, gender, case)
    assert f"{lexicon.determiner(determiner, gender, case)} {adjective}" == phrase


@given(sources, strengths)
def test_probabilities_sum_to_one_over_different_targets(source, modes):
    found = targets(Grammar(modes), source)
    assert sum(p for _, p in found) == pytest.approx(1)
    assert all(p > 0 for _, p in found)
    # In lower case too no two targets are the same: the exact quantities count them so.
    assert len({lowered(tokens) for tokens, _ in found}) == len(found)


def test_strength_weighs_all_alternatives_but_the_first():
    time = source("the man", "buys", "a bicycle", time="now and then")
    probabilities = sorted((p for _, p in targets(Grammar({"pairs": 0.5}), time)), reverse=True)
    assert probabilities == pytest.approx([0.5, 0.25, 0.25])


@given(sources)
def test_without_modes_a_source_has_one_target(source):
    ((tokens, probability),) = targets(Grammar({}), source)
    assert probability == 1
    assert tokens == Grammar(dict.fromkeys(MODES, 0.6)).distribution(source).most_probable()


def test_without_modes_the_conditional_tc_is_zero():
    values = exact.information([Grammar({}).distribution(source) for source in many_sources(200)])
    assert values["conditional_tc"] == values["entropy"] == values["length_entropy"] == 0


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_mode_alone_has_dependencies(mode):
    # Separable verbs alone have few: mostly the length already tells a separable from a simple verb, so what is left
    # are verbs with different particles or of different cases at the same length.
    values = exact.information([Grammar({mode: 1.0}).distribution(source) for source in many_sources(200)])
    assert values["conditional_tc"] > 0.005
    assert values["entropy"] > 0.05


def test_length_alone_separates_a_simple_from_a_separable_verb():
    calls = source("the man", "calls", "a woman")
    values = exact.information([Grammar({"separable": 1.0}).distribution(calls)])
    assert values["entropy"] == pytest.approx(values["length_entropy"])
    assert values["conditional_tc"] == 0


def test_stronger_modes_have_more_conditional_tc():
    drawn = many_sources(150)
    found = [
        exact.information([Grammar(dict.fromkeys(MODES, s)).distribution(source) for source in drawn])["conditional_tc"]
        for s in (0.0, 0.1, 0.3, 0.6, 1.0)
    ]
    assert found == sorted(found) and found[0] == 0 and found[-1] > 0.8


def test_samples_follow_the_enumerated_distribution():
    model = Grammar(dict.fromkeys(MODES, 0.5))
    case = source("the doctor", "opens", "the box", place="at the market", time="every day")
    rng = random.Random(7)
    draws = Counter(model.sample(case, rng) for _ in range(40_000))
    possible = dict(targets(model, case))
    assert set(draws) <= set(possible)
    distance = sum(abs(draws[tokens] / 40_000 - p) for tokens, p in possible.items()) / 2
    assert distance < 0.03  # of 64 targets; the expected distance of a true sample is about 0.015


def test_a_source_sentence_has_one_meaning():
    drawn = set(many_sources(5000))
    assert len({source.tokens for source in drawn}) == len(drawn)


def test_source_space_is_large():
    # Birthdays: n draws from a space of effective size S repeat about n^2 / 2S times; S >= 500,000 leaves under 400.
    drawn = many_sources(20_000)
    assert 20_000 - len(set(drawn)) < 400


def test_moses_tokenisation_gives_the_grammar_tokens():
    english, german = tokeniser("moses", "en", lowercase=True), tokeniser("moses", "de", lowercase=True)
    rng = random.Random(2)
    for source in [*many_sources(1500, seed=2), *many_sources(300, seed=2, clauses=(2, 3))]:
        tokens = EVEN.sample(source, rng)
        assert german(sentence(tokens)).split() == list(lowered(tokens))
        assert english(sentence(source.tokens)).split() == list(lowered(source.tokens))


def test_every_word_of_the_lexicon_is_one_moses_token():
    german = tokeniser("moses", "de", lowercase=False)
    nouns = {form for entry in lexicon.NOUNS.values() for noun in entry for form in (noun.word, noun.oblique)}
    verbs = {
        word for entry in lexicon.VERBS.values() for verb in entry for word in (verb.finite, verb.particle) if word
    }
    phrases = [*lexicon.TIMES.values(), *lexicon.MANNERS.values(), *lexicon.OPENINGS.values(), *lexicon.PLACES.values()]
    words = nouns | verbs | {word for entry in phrases for phrase in entry for word in phrase}
    words |= {adjective.predicative for adjective in lexicon.ADJECTIVES.values()}
    for word in words:
        # At the end of a sentence, where an abbreviation would keep the full stop.
        assert german(f"{word}.").split() == [word, "."]


def test_lexicon_names_only_known_words():
    for verb, objects in lexicon.OBJECTS.items():
        assert set(objects) <= set(lexicon.NOUNS), verb
    kinds = set(lexicon.KINDS.values())
    assert all(adjective.kinds <= kinds for adjective in lexicon.ADJECTIVES.values())


TWO = Source(
    (
        clause("the man", "buys", "a old car", time="on Monday", tail=("but", "expensive")),
        clause("a woman", "calls", "this neighbour", place="in the pub"),
    ),
    ("and",),
)


def test_all_targets_of_a_conjoined_source_translated_by_hand():
    assert sentence(TWO.tokens) == (
        "The man buys an old car on Monday, but it is too expensive, and a woman calls this neighbour in the pub."
    )
    first = """Der Mann kauft am Montag ein altes Auto, aber es ist zu teuer
        Der Mann kauft am Montag einen alten Wagen, aber er ist zu teuer
        Am Montag kauft der Mann ein altes Auto, aber es ist zu teuer
        Am Montag kauft der Mann einen alten Wagen, aber er ist zu teuer""".splitlines()
    second = [
        form.format(*words)
        for form in ("eine Frau {2} {0} {1}{3}", "{0} {2} eine Frau {1}{3}")
        for words in itertools.product(
            ("in der Kneipe", "im Wirtshaus"), ("diese Nachbarin", "diesen Nachbarn"), ("ruft", "kontaktiert"), ("",)
        )
    ]
    second = [f"{text.strip()} an" if "ruft" in text else text.strip() for text in second]
    found = EVEN.distribution(TWO)
    expected = [f"{one.strip()}, und {two}." for one in first for two in second]
    assert sorted(sentence(tokens) for tokens, _ in found.enumerated()) == sorted(expected)
    assert all(p == pytest.approx(1 / len(expected)) for _, p in found.enumerated())


def test_samples_of_a_conjoined_source_follow_its_distribution():
    model = Grammar(dict.fromkeys(MODES, 0.5))
    rng = random.Random(7)
    draws = Counter(model.sample(TWO, rng) for _ in range(8_000))
    possible = dict(model.distribution(TWO).enumerated())
    assert set(draws) <= set(possible)
    assert sum(abs(draws[tokens] / 8_000 - p) for tokens, p in possible.items()) / 2 < 0.06  # of 64 targets


def test_a_comma_and_a_connective_stand_between_clauses_only():
    """So no target is made in two ways and no two sources read the same."""
    rng = random.Random(2)
    joints = {"src": set(lexicon.CONNECTIVES), "tgt": set(lexicon.CONNECTIVES.values())}
    for source in many_sources(1000, clauses=(1, 2, 4)):
        english = source.tokens
        for tokens, side in ((english, "src"), (EVEN.sample(source, rng), "tgt")):
            found = [
                word
                for comma, word, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
                if comma == "," and word in joints[side] and after != "it"
            ]
            assert len(found) == len(source.connectives)


def test_conjoined_sources_say_no_subject_or_verb_twice_and_open_once():
    found = many_sources(500, clauses=(2, 3))
    assert {len(source.clauses) for source in found} == {2, 3}
    for source in found:
        assert len({clause.subject.noun for clause in source.clauses}) == len(source.clauses)
        assert len({clause.verb for clause in source.clauses}) == len(source.clauses)
        assert not any(clause.opening for clause in source.clauses[1:])


SMALL = {
    "kind": "grammar",
    "pairs": 60,
    "valid": 20,
    "test": 30,
    "seed": 4,
    "references": 2,
    "modes": dict.fromkeys(MODES, 0.6),
}


def dataset_file(folder, **changes):
    """A valid dataset file with the small grammar source, its keys changed."""
    dataset = {
        "source": SMALL | changes,
        "languages": {"src": "en", "tgt": "de"},
        "clean": {"max_length": 250, "max_ratio": None, "deduplicate": False},
        "tokenise": "moses",
        "lowercase": True,
        "bpe": {"joint": False, "merges": 4000},
        "licence": "Apache-2.0",
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(dataset), encoding="utf-8")
    return path


def natlab_grammar(*arguments):
    parser = argparse.ArgumentParser()
    grammar.add_arguments(parser)
    grammar.run(parser.parse_args([str(argument) for argument in arguments]))


def read_all(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def test_files_are_whole_and_splits_disjoint(tmp_path):
    out = tmp_path / "text"
    natlab_grammar("--config", dataset_file(tmp_path), "--out", out)
    files = read_all(out)
    expected = {f"{split}.{side}" for split in ("train", "valid", "test") for side in ("src", "tgt")}
    expected |= {f"{split}.ref{k}" for split in ("valid", "test") for k in (1, 2)} | {"stats.json", "exact.json"}
    assert set(files) == expected
    splits = {"train": 60, "valid": 20, "test": 30}
    english = []
    for name, text in files.items():
        if not name.endswith(".json"):
            assert len(text.splitlines()) == splits[name.split(".")[0]]
        if name.endswith(".src"):
            english += text.splitlines()
    assert len(set(english)) == len(english)
    assert {path.name for path in tmp_path.iterdir()} == {"small.yaml", "text"}  # nothing left aside


def test_targets_and_references_are_targets_of_their_source():
    recipe = Recipe(**{key: value for key, value in SMALL.items() if key != "kind"})
    model = Grammar(recipe.modes)
    for case in recipe.sources()["test"]:
        possible = {tokens for tokens, _ in targets(model, case)}
        assert model.sample(case, random.Random(1)) in possible


def test_exact_file(tmp_path):
    natlab_grammar("--config", dataset_file(tmp_path), "--out", tmp_path / "text")
    values = read_json(tmp_path / "text" / "exact.json")
    assert values["sentences"] == 20 and values["test"]["sentences"] == 30
    for split in (values, values["test"]):
        difference = split["length_entropy"] + split["marginal_entropy"] - split["entropy"]
        assert split["conditional_tc"] == pytest.approx(difference, abs=1e-9) and difference > 0
        assert 0 < split["ceiling_bleu"] < split["ceiling_bleu_multi"] <= 100
    tokens = [line.split() for line in (tmp_path / "text" / "valid.tgt").read_text(encoding="utf-8").splitlines()]
    assert values["mean_length"] > sum(map(len, tokens)) / len(tokens)  # punctuation counts as tokens


def test_exact_file_of_conjoined_clauses_is_that_of_their_targets_enumerated(tmp_path):
    recipe = SMALL | {"clauses": [2], "valid": 4, "test": 1, "modes": dict.fromkeys(MODES, 0.3)}
    natlab_grammar("--config", dataset_file(tmp_path, **recipe), "--out", tmp_path / "text")
    values = read_json(tmp_path / "text" / "exact.json")
    enumerated = [Distribution((d.enumerated(),)) for d in grammar.distributions(recipe, "valid")]
    expected = exact.information(enumerated)
    assert {name: values[name] for name in expected} == pytest.approx(expected)
    assert values["mean_targets"] == sum(len(d.factors[0]) for d in enumerated) / 4
    read = tokeniser("moses", "de", lowercase=True)
    targets = [tuple(read(line).split()) for line in (tmp_path / "text/valid.tgt").read_text("utf-8").splitlines()]
    assert values["ideal_losses"] == pytest.approx(exact.ideal_losses(enumerated, targets))


def test_the_same_seed_gives_the_same_files_and_another_seed_others(tmp_path):
    for name, changes in {"first": {}, "again": {}, "other": {"seed": 5}}.items():
        natlab_grammar("--config", dataset_file(tmp_path, **changes), "--out", tmp_path / name)
    assert read_all(tmp_path / "first") == read_all(tmp_path / "again")
    assert read_all(tmp_path / "first")["test.src"] != read_all(tmp_path / "other")["test.src"]


def test_more_training_pairs_leave_valid_and_test_as_they_are(tmp_path):
    for name, pairs in {"few": 60, "many": 90}.items():
        natlab_grammar("--config", dataset_file(tmp_path, pairs=pairs), "--out", tmp_path / name)
    few, many = read_all(tmp_path / "few"), read_all(tmp_path / "many")
    assert all(few[name] == many[name] for name in few if name.startswith(("valid", "test")))
    assert many["train.src"].startswith(few["train.src"])


def test_strengths_change_the_targets_and_not_the_sources(tmp_path):
    for name, strength in {"plain": 0, "strong": 1}.items():
        changed = dataset_file(tmp_path, modes=dict.fromkeys(MODES, strength))
        natlab_grammar("--config", changed, "--out", tmp_path / name)
    plain, strong = read_all(tmp_path / "plain"), read_all(tmp_path / "strong")
    assert plain["train.src"] == strong["train.src"] and plain["train.tgt"] != strong["train.tgt"]
    assert plain["test.tgt"] == plain["test.ref1"] and strong["test.tgt"] != strong["test.ref1"]


def test_show_prints_sources_with_all_their_targets(capsys):
    natlab_grammar("--show", 3)
    shown = capsys.readouterr().out.splitlines()
    assert sum(not line.startswith(" ") for line in shown) == 3
    assert sum(float(line.split()[0]) for line in shown if line.startswith(" ")) == pytest.approx(3, abs=0.02)


def test_show_draws_targets_of_sources_that_have_too_many(tmp_path, capsys):
    natlab_grammar("--config", dataset_file(tmp_path, clauses=[3]), "--show", 2)
    english, *shown = capsys.readouterr().out.splitlines()[:11]
    assert english.endswith(".") and all(0 < float(line.split()[0]) < 0.1 for line in shown)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"modes": dict.fromkeys(MODES, 0.5) | {"synonyms": 1.5}}, "modes.synonyms"),
        ({"modes": dict.fromkeys(MODES, 0.5) | {"gender": 0.5}}, "gender"),
        ({"pairs": 0}, "source.pairs"),
        ({"sentences": 5}, "sentences"),
        ({"clauses": []}, "source.clauses"),
        ({"orders": [0.5, 0]}, "source.orders.1"),
        ({"orders": [0.2] * 6}, "source.orders"),
        ({"orders": [0.5, 0.5], "clauses": [3]}, "source.clauses: .* with orders has one clause"),
    ],
)
def test_bad_recipes_are_refused_and_nothing_is_written(tmp_path, changes, named):
    with pytest.raises(UserError, match=named):
        natlab_grammar("--config", dataset_file(tmp_path, **changes), "--out", tmp_path / "text")
    assert not (tmp_path / "text").exists()


def test_other_kinds_of_dataset_are_refused(tmp_path):
    with pytest.raises(UserError, match="natlab grammar needs 'grammar'"):
        natlab_grammar("--config", "config/datasets/multi30k_ende.yaml", "--out", tmp_path / "text")
    with pytest.raises(UserError, match="--config"):
        natlab_grammar("--out", tmp_path / "text")


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("grammar_ende", 0.8, 1.5),
        ("grammar_ende_mild", 0.6, 0.85),
        ("grammar_ende_plain", 0, 0),
        ("grammar_ende_plain_96k", 0, 0),
        ("grammar_ende_long", 1.2, 1.5),
        ("grammar_ende_mixed", 1.0, 1.4),
    ],
)
def test_shipped_datasets_have_the_conditional_tc_they_are_for(name, least, most):
    recipe = yaml.safe_load(open(f"config/datasets/{name}.yaml", encoding="utf-8"))["source"]
    assert recipe.pop("kind") == "grammar"
    model = Grammar(recipe["modes"])
    values = exact.information(
        [model.distribution(source) for source in Recipe(**recipe | {"pairs": 0}).sources()["valid"][:200]]
    )
    assert least <= values["conditional_tc"] <= most


def test_the_mixed_dataset_has_sentences_of_each_length_to_40():
    source = yaml.safe_load(open("config/datasets/grammar_ende_mixed.yaml", encoding="utf-8"))["source"]
    found = by_length(len(of.most_probable()) for of in grammar.distributions(source | {"valid": 200}, "valid"))
    assert all(len(found[bucket]) >= 20 for bucket in ("1-9", "10-19", "20-29", "30-39"))


def test_most_targets_of_the_long_dataset_have_25_to_40_tokens():
    source = yaml.safe_load(open("config/datasets/grammar_ende_long.yaml", encoding="utf-8"))["source"]
    lengths = [distribution.lengths() for distribution in grammar.distributions(source | {"valid": 200}, "valid")]
    within = [sum(p for length, p in of.items() if 25 <= length <= 40) for of in lengths]
    assert sum(within) / len(within) > 0.9
