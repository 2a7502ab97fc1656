"""Proxies read from their files: what options they have, which values these may take, and what is no proxy."""

from typing import Annotated, Literal

import pytest

from natlab.proxy import registry
from natlab.proxy.registry import REQUIRED, Option

MADE = """
from dataclasses import dataclass
from typing import Annotated, ClassVar

class Helper:
    other: int = 1

@dataclass
class Made:
    references: ClassVar[str] = "raw"
    many: int
    share: Annotated[float, "> 0", "<= 1"] = 0.5

    def __call__(self):
        return None
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function: the folder of proxies holds one file, ``made.py``, with this source."""
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "registry.py"))
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/_shared.py").write_text("")
    (tmp_path / "targets/notes.txt").write_text("")

    def write(source):
        registry._fields.cache_clear()
        (tmp_path / "targets/made.py").write_text(source, encoding="utf-8")

    yield write
    registry._fields.cache_clear()


def test_the_proxies_there_are():
    assert registry.names("targets") == ["axe", "dynamic", "kd", "oaxe", "raw"]
    assert registry.names("inputs") == ["cmlm", "glat", "vanilla"]
    with pytest.raises(ValueError, match="a proxy is one of targets, inputs, not target"):
        registry.names("target")


def test_a_proxy_is_read_from_its_file(written):
    written(MADE)
    assert registry.names("targets") == ["made"]
    assert registry.options("targets", "made") == {
        "many": Option(REQUIRED, int),
        "share": Option(0.5, Annotated[float, "> 0", "<= 1"]),
    }
    assert registry.trait("made", "references") == "raw" and registry.fixed("made")


@pytest.mark.parametrize(
    "references, fixed", [("raw", True), ("distilled", True), ("either", False), ("candidates", False)]
)
def test_targets_that_are_fixed_take_their_references_as_they_are(written, references, fixed):
    written(MADE.replace('"raw"', f'"{references}"'))
    assert registry.fixed("made") is fixed


@pytest.mark.parametrize("source, dataclasses", [(MADE.replace("@dataclass", ""), 0), (MADE + MADE, 2)])
def test_a_file_of_none_or_several_dataclasses_is_no_proxy(written, source, dataclasses):
    written(source)
    with pytest.raises(TypeError, match=f"made.py: a proxy's file holds one dataclass, this one {dataclasses}"):
        registry.options("targets", "made")


def test_what_is_loaded_has_the_options_given():
    made = registry.load("inputs", "glat", start=0.7)
    assert (type(made).__name__, made.start, made.end) == ("Glat", 0.7, 0.3)
    with pytest.raises(KeyError, match="^'glatt'$"):
        registry.load("inputs", "glatt")
    with pytest.raises(TypeError):
        registry.load("inputs", "glat", begin=0.7)


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
    ],
)
def test_an_option_takes_the_values_of_its_type_and_the_refusal_says_which(wanted, right, wrong, allowed):
    option = Option(REQUIRED, wanted)
    assert [registry.problem(option, value) for value in right] == [None] * len(right)
    for value in wrong:
        assert registry.problem(option, value) == f"{value!r} is not allowed; allowed: {allowed}"


def test_traits_are_no_options():
    assert registry.options("targets", "axe").keys() == {"delta"}
    assert registry.options("targets", "axe")["delta"] == Option(REQUIRED, Annotated[float, "> 0"])


def test_registry_reads_names_and_options():
    assert {"raw", "kd"} <= set(registry.names("targets"))
    assert {"vanilla", "glat"} <= set(registry.names("inputs"))
    options = registry.options("inputs", "glat")
    assert (options["start"].default, options["end"].default) == (0.5, 0.3)
    assert registry.trait("kd", "references") == "distilled" and not registry.trait("kd", "blank")
    assert registry.options("targets", "kd") == {}


def test_registry_loads_what_it_reads():
    glat = registry.load("inputs", "glat", start=0.9)
    assert glat.start == 0.9
    assert registry.options("inputs", "glat").keys() == vars(glat).keys()
    with pytest.raises(KeyError):
        registry.load("inputs", "nothing")
