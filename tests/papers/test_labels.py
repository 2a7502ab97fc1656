"""What systems and decodings are called: labels that are read, refused, and those of this project."""

from pathlib import Path

import pytest
import yaml

from natlab.errors import UserError
from natlab.papers import labels

REPOSITORY = Path(__file__).resolve().parents[2]


def test_what_has_no_label_is_called_by_its_name(tmp_path):
    (tmp_path / "labels.yaml").write_text("systems: {glat: GLAT}\ndecodings: {beam5: beam 5}\n")
    of = labels.load(tmp_path)
    assert of.output("glat", "beam5") == "GLAT (beam 5)" and of.output("glat", None) == "GLAT"
    assert of.output("mine", "own") == "mine (own)"
    assert labels.load(tmp_path / "none").output("glat", "beam5") == "glat (beam5)"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("system: {}", "unknown key system; allowed keys: systems, decodings"),
        ("systems: {a: 1}", "systems.a: .*in quotes"),
        ('systems: {a: ""}', "systems.a"),
    ],
)
def test_what_is_no_label_is_refused(tmp_path, text, problem):
    (tmp_path / "labels.yaml").write_text(text)
    with pytest.raises(UserError, match=f"labels.yaml: {problem}"):
        labels.load(tmp_path)


@pytest.mark.parametrize("kind", ["systems", "decodings"])
def test_all_of_this_project_have_a_label_of_their_own(kind):
    """Two that were called alike could not be told apart in a claim."""
    named = getattr(labels.load(REPOSITORY / "config/papers"), kind)
    configured = yaml.safe_load((REPOSITORY / "config/systems.yaml").read_text("utf-8"))[kind]
    assert named.keys() == configured.keys()
    assert len(set(named.values())) == len(named)
