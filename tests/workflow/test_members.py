"""A member of each family, written into a copy of the tree as docs/architecture.md shows: it works by its file and one
row, and nothing else is planned anew."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from natlab.families import FOLDERS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/architecture.md"
BLOCKS = re.findall(r"```(python|yaml)\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
PYTHON = [text.partition("\n") for kind, text in BLOCKS if kind == "python"]
FILES = {first.removeprefix("# "): text for first, _, text in PYTHON}
[ROWS, SCORES] = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]

TRAINED = """
import json, sys
import torch
from natlab import compat, config, families
compat.apply()
from natlab.decoding import decode
from natlab.losses.batch import Method, batch_loss
from natlab.metrics.interface import Translations
from natlab.models.load import build
from natlab.training.model import description

run = config.load_file()
spec = run.spec("grammar_ende", "toy", 1)
torch.manual_seed(0)
model, method = build(description(spec, range(12), range(12))), Method.of(spec)
source, target = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]]), torch.tensor([[9, 10, 11, 2], [4, 5, 6, 2]])
optimizer, seen = torch.optim.Adam(model.parameters(), lr=0.01), []
for progress in (0.0, 0.25, 0.75):
    loss = batch_loss(model, source, target, method, progress)
    seen.append({"values": sorted(loss.values), "loss": float(loss.loss), "tokens": loss.tokens.tolist(),
                 "predicted": loss.predicted.tolist()})
    optimizer.zero_grad()
    loss.loss.backward()
    optimizer.step()
model.eval()
found = decode(model, source, run.decoding("grammar_ende", "backwards", "toy"))
argmax = decode(model, source, run.decoding("grammar_ende", "argmax", "toy"))
words = families.load("score", "words")(Translations(["a b", "a"], ["a", "a b"], [], [], "de"))["words"]["value"]
decoded = {"decoded": [t.tolist() for t in found], "argmax": [t.tolist() for t in argmax]}
print(json.dumps({"seen": seen, "words": words, **decoded}))
"""


@pytest.fixture
def with_members(project):
    """A built project into which the document's files and rows have been written, and which reads its own natlab."""
    project.environment["PYTHONPATH"] = str(project.root / "src")
    for file, text in FILES.items():
        assert not (project.root / file).exists()
        (project.root / file).write_text(text.lstrip("\n"), encoding="utf-8")
    for key, rows in ROWS.items():
        for name, row in rows.items():
            project.edit("config/systems.yaml", f"{key}:\n", f"{key}:\n  {name}: {json.dumps(row)}\n")
    return project


def test_the_document_has_one_member_of_each_family():
    """But of two, whose members say only how a class of several parts is put together."""
    families = {folder for family, folder in FOLDERS.items() if family not in ("codebook", "encoder")}
    assert {str(Path(file).parent.relative_to("src/natlab")) for file in FILES} == families


def test_new_members_plan_nothing_anew_until_a_run_asks_for_them(with_members):
    result = with_members.snakemake("-n")
    assert result.returncode == 0 and "Nothing to be done" in result.stdout, result.stdout
    with_members.edit("config/config.yaml", "systems: [", "systems: [toy, ")
    with_members.edit("config/papers/mple/table2.yaml", "cell: {system: vanilla_raw}", "cell: {system: toy}")
    with_members.edit("config/papers/mple/table2.yaml", "metric: bleu_tok", "metric: words")
    result = with_members.snakemake("-n")
    assert result.returncode != 0 and "grammar_ende is not scored by words" in result.stdout, result.stdout
    with_members.edit("config/datasets/grammar_ende.yaml", "tokenise:", f"{json.dumps(SCORES)[1:-1]}\ntokenise:")
    result = with_members.snakemake()
    assert result.returncode == 0, result.stdout
    trained = [with_members.spec(call)["system"] for call in with_members.calls() if call[0] == "train"]
    assert trained == ["toy"]


def test_new_members_train_and_decode(with_members):
    done = subprocess.run(
        [sys.executable, "-c", TRAINED],
        cwd=with_members.root,
        env=with_members.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["words"] == 125
    first, second, last = found["seen"]
    assert first["values"] == second["values"] == ["nll", "small", "spared"]
    assert last["values"] == ["nll", "spared"]  # the term's time is over
    assert first["tokens"] == [2, 2]  # shorter by one
    assert first["predicted"] == [0, 0]  # of these the first is shown, the other spared
    assert [len(target) for target in found["decoded"]] == [4, 3]
    assert [target[::-1] for target in found["decoded"]] == found["argmax"]


def test_their_options_are_held_to_their_fields(with_members):
    for old, new, said in (
        ('"least": 2', '"least": "two"', "target.least: 'two' is not allowed; allowed: a whole number"),
        ('"least": "two"', '"most": 2', "target: shorter: unknown name 'most'; allowed: least"),
        ('"name": "shorter", "most": 2', '"name": "axe", "delta": 1', None),
    ):
        with_members.edit("config/systems.yaml", old, new)
        done = with_members.snakemake("-n")
        assert (done.returncode == 0) is (said is None) and (said is None or said in done.stdout), done.stdout
