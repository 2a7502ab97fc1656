"""What every verb has in common: terminals, languages and folders that are not as a developer's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from natlab import cli
from natlab.corpus import extract

# Python would otherwise take UTF-8 where the language is C
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def natlab(*arguments, **environment):
    command = [sys.executable, "-m", "natlab.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment})


TABLE = """## Table 1
| Δ, γ | Straße |
| −0.50 – 1.00 | 2 × 3 ± 1 → „…“ |
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_table_is_shown_on_any_terminal(tmp_path, encoding):
    (tmp_path / "t.md").write_text(TABLE, encoding="utf-8")
    done = natlab("show", tmp_path / "t.md", **{**ASCII, "PYTHONIOENCODING": encoding})
    shown = done.stdout.decode(encoding)
    assert done.returncode == 0 and not done.stderr
    if encoding == "utf-8":
        assert TABLE.removeprefix("## ") in shown
    else:
        assert "-0.50 - 1.00" in shown and "\\u0394" in shown and "-> " in shown
        assert ("2 x 3" in shown) == (encoding == "ascii")


def test_a_refusal_names_a_file_with_any_letters(tmp_path):
    done = natlab("show", tmp_path / "Größe.md", **ASCII)
    [line] = done.stderr.decode("ascii").splitlines()
    assert done.returncode == 2 and "Gr\\xf6\\xdfe.md: no such" in line


DATASET = """
source: {kind: grammar, pairs: 30, valid: 4, test: 4, seed: 1, references: 1,
  modes: {synonyms: 1, fronting: 1, separable: 1, pairs: 1}}
languages: {src: en, tgt: de}
clean: {max_length: 250, max_ratio: null, deduplicate: false}
tokenise: moses
lowercase: true
bpe: {joint: true, merges: 30}
licence: „frei“
"""
STEPS = (
    "grammar --config größe.yaml --out text",
    "clean --config größe.yaml --text text --out tok",
    "bpe --config größe.yaml --tok tok --out bpe",
    "binarise --config größe.yaml --bpe bpe --out bin",
)


def test_a_terminal_that_is_not_utf8_changes_no_corpus(tmp_path, monkeypatch):
    made = []
    schemas = Path("workflow").resolve()
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "größe.yaml").write_text(DATASET, encoding="utf-8")
        (folder / "workflow").symlink_to(schemas)
        monkeypatch.chdir(folder)
        for step in STEPS:
            assert (cli.main(step.split()) if name == "here" else natlab(*step.split(), **ASCII).returncode) == 0
        files = (path for step in ("text", "tok", "bpe", "bin") for path in (folder / step).rglob("*"))
        made.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert made[0] == made[1] and "ü".encode() in made[0][Path("text/train.tgt")]


def test_a_folder_of_somebody_else_is_one_line(monkeypatch, capsys):
    def refused(*_):
        raise PermissionError(13, "Permission denied", "results/corpora/x/.text.part")

    monkeypatch.setattr(extract, "run", refused)
    assert cli.main("extract --config d --downloads d --out o".split()) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == "natlab extract: results/corpora/x/.text.part: Permission denied; ask its owner, or work elsewhere"


@pytest.mark.parametrize(
    ("arguments", "missing", "extra"),
    [(["translate", "b"], "subword_nmt", "use"), (["check"], "jsonschema", "train")],
)
def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(arguments, missing, extra):
    program = f"import sys; from natlab import cli; sys.modules['{missing}'] = None; sys.exit(cli.main({arguments}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"natlab {arguments[0]}: needs {missing}; install it: pip install 'natlab[{extra}]'\n"
