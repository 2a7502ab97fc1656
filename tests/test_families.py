"""Members of families read from their files: what options they have, which values these may take, and what is none."""

from typing import Annotated, Literal

import pytest

from natlab import families
from natlab.families import REQUIRED, Option

MADE = """
from dataclasses import dataclass
from typing import Annotated, ClassVar

class Helper:
    other: int = 1

@dataclass
class Made:
    references: ClassVar[str] = "raw"
    needs: ClassVar[tuple[str, ...]] = ("parallel", "target length")
    many: int
    share: Annotated[float, "> 0", "<= 1"] = 0.5
    none: str | None = None

    def __call__(self):
        return None
"""
MEMBERS = {
    "target": ["axe", "dynamic", "kd", "oaxe", "raw"],
    "input": ["cmlm", "codes", "glat", "vanilla"],
    "objective": ["axe", "ctc", "dag", "denoising", "oaxe", "xe"],
    "term": ["commitment", "contrastive", "length", "masking", "reward", "sentence_codes", "state_codes"],
    "length": ["absolute", "difference", "source"],
    "fill": ["codes", "copy", "mask", "soft_copy"],
    "codebook": ["learned", "moving", "random"],
    "encoder": ["mbart"],
    "decoding": ["argmax", "beam", "collapse", "graph", "graph_sample", "noisy", "sample"],
    "score": ["bleu", "bleu_tok", "chrf", "rouge"],
}
EVERY = [(family, name) for family, members in MEMBERS.items() for name in members]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function: the folder of targets holds one file, ``made.py``, with this source."""
    monkeypatch.setattr(families, "__file__", str(tmp_path / "families.py"))
    folder = tmp_path / families.FOLDERS["target"]
    folder.mkdir(parents=True)
    (folder / "_shared.py").write_text("")
    (folder / "notes.txt").write_text("")

    def forget():
        families._fields.cache_clear()
        families._dataclass.cache_clear()

    def write(source):
        forget()
        (folder / "made.py").write_text(source, encoding="utf-8")

    yield write
    forget()


def test_the_members_there_are():
    assert {family: families.names(family) for family in families.FOLDERS} == MEMBERS
    with pytest.raises(ValueError, match="a family is one of target, input, objective, .*, not targets"):
        families.names("targets")


def test_a_member_is_read_from_its_file(written):
    written(MADE)
    assert families.names("target") == ["made"]
    assert families.options("target", "made") == {
        "many": Option(REQUIRED, int),
        "share": Option(0.5, Annotated[float, "> 0", "<= 1"]),
        "none": Option(None, str | None),
    }
    assert families.trait("target", "made", "references") == "raw"
    assert families.trait("target", "made", "needs") == ("parallel", "target length")
    assert families.module("target", "made") == "natlab.proxy.targets.made"


def test_defaults_are_of_the_options_that_have_one(written):
    written(MADE)
    assert families.defaults("target", "made") == {"share": 0.5, "none": None}


def test_a_trait_that_a_member_has_not_is_what_is_said_instead_or_wrong(written):
    written(MADE)
    assert families.trait("target", "made", "offers", ()) == ()
    assert families.trait("target", "made", "offers", None) is None
    assert families.trait("target", "made", "references", "other") == "raw"
    with pytest.raises(KeyError, match="^'offers'$"):
        families.trait("target", "made", "offers")


@pytest.mark.parametrize("source, dataclasses", [(MADE.replace("@dataclass", ""), 0), (MADE + MADE, 2)])
def test_a_file_of_none_or_several_dataclasses_is_no_member(written, source, dataclasses):
    written(source)
    with pytest.raises(TypeError, match=f"made.py: a member's file holds one dataclass, this one {dataclasses}"):
        families.options("target", "made")


def test_what_is_loaded_has_the_options_given():
    made = families.load("input", "glat", start=0.7)
    assert (type(made).__name__, made.start, made.end) == ("Glat", 0.7, 0.3)
    with pytest.raises(KeyError, match="^'glatt'$"):
        families.load("input", "glatt")
    with pytest.raises(TypeError):
        families.load("input", "glat", begin=0.7)


@pytest.mark.parametrize(
    "wanted, right, wrong, allowed",
    [
        (bool, [True, False], [0, 1, "true", None], "true or false"),
        (int, [0, 3, -1], [1.0, True, "3"], "a whole number"),
        (float, [0, 0.5, -2], [False, "1", None, [1.0]], "a number"),
        (str, ["", "a"], [1, None, ["a"]], "text"),
        (Literal["a", "b"], ["a", "b"], ["c", "", None], "a, b"),
        (Annotated[float, "> 0", "<= 1"], [1e-9, 1, 0.5], [0, -1, 1.01, True, "1"], "a number > 0 and <= 1"),
        (Annotated[int, ">= 2", "< 4"], [2, 3], [1, 4, 2.5], "a whole number >= 2 and < 4"),
        (list[int], [[], [1, 2]], [1, [1.5], [1, "a"], (1,), [True]], "a list (a whole number)"),
        (int | None, [None, 2], ["", 1.5, False], "a whole number, null"),
        (Literal["tuned"] | list[float], ["tuned", [1, 0.5]], ["x", ["tuned"], 1.0], "tuned, a list (a number)"),
        (Annotated[float, "> 0", "< 1"] | None, [None, 0.15], [0, 1, "x"], "a number > 0 and < 1, null"),
    ],
)
def test_an_option_takes_the_values_of_its_type_and_the_refusal_says_which(wanted, right, wrong, allowed):
    option = Option(REQUIRED, wanted)
    assert [families.problem(option, value) for value in right] == [None] * len(right)
    for value in wrong:
        assert families.problem(option, value) == f"{value!r} is not allowed; allowed: {allowed}"


def test_traits_are_no_options():
    assert families.options("target", "axe").keys() == {"delta"}
    assert families.options("target", "axe")["delta"] == Option(REQUIRED, Annotated[float, "> 0"])


def test_names_and_options_are_those_of_the_files():
    options = families.options("input", "glat")
    assert (options["start"].default, options["end"].default) == (0.5, 0.3)
    assert families.trait("target", "kd", "references") == "distilled"
    assert not families.trait("target", "kd", "blank")
    assert families.options("target", "kd") == {}


@pytest.mark.parametrize("family, name", EVERY)
def test_what_is_read_is_what_is_loaded(family, name):
    """Options, defaults and traits read from the syntax are those of the class; each default is a value it allows."""
    options = families.options(family, name)
    needed = {option: 1 for option, (default, _) in options.items() if default is REQUIRED}
    made = families.load(family, name, **needed)
    assert vars(made) == families.defaults(family, name) | needed
    assert list(vars(made)) == list(options)
    assert all(families.problem(options[option], value) is None for option, value in vars(made).items())
    assert type(made).__module__ == families.module(family, name)
    for trait in set(type(made).__annotations__) - set(options):
        assert families.trait(family, name, trait) == getattr(made, trait)


@pytest.mark.parametrize("family, name", EVERY)
def test_each_member_says_what_it_needs_and_offers_in_one_way(family, name):
    for trait in ("needs", "offers", "models", "of_dataset", "of_system"):
        words = families.trait(family, name, trait, ())
        assert isinstance(words, tuple) and all(isinstance(word, str) for word in words)
    options = families.options(family, name)
    for trait in ("models", "of_dataset", "of_system"):
        assert set(families.trait(family, name, trait, ())) <= set(options)


def test_a_tuned_option_stands_for_each_of_its_values():
    options = {"kind": "k", "beta": {"tuned": [0.3, 0.5]}, "samples": 8, "penalty": {"tuned": [1, 2]}}
    assert families.tuned(options) == {"beta": [0.3, 0.5], "penalty": [1, 2]}
    assert families.variants(options) == [
        {"kind": "k", "beta": beta, "samples": 8, "penalty": penalty} for beta in (0.3, 0.5) for penalty in (1, 2)
    ]
    assert families.tuned({"kind": "k", "beta": 1}) == {} and families.variants({"beta": 1}) == [{"beta": 1}]
