"""Jobs in an image, where a profile says so; a stand-in for Apptainer runs what it is given on this machine."""

import os
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs/containers.md"
TARGET = "results/corpora/grammar_ende/bin"
APPTAINER = """#!/bin/sh
[ "$1" = --version ] && echo apptainer version 1.3.6 && exit
printf '%s\\n' "$*" >> apptainer.txt
while [ "$1" != -c ]; do shift; done
exec bash -c "$2"
"""


def test_a_profile_has_all_commands_run_in_the_image(fresh):
    stand_in = fresh.root / "bin/apptainer"
    stand_in.write_text(APPTAINER, encoding="utf-8")
    stand_in.chmod(0o755)
    fresh.environment["PATH"] = os.pathsep.join([str(stand_in.parent), fresh.environment["PATH"]])
    (fresh.root / "profiles/site").mkdir()
    [keys] = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (fresh.root / "profiles/site/profile.yaml").write_text(keys, encoding="utf-8")
    result = fresh.snakemake("--workflow-profile", "site", TARGET)
    assert result.returncode == 0, result.stdout
    called = (fresh.root / "apptainer.txt").read_text(encoding="utf-8").splitlines()
    verbs = [call[0] for call in fresh.calls()]
    assert verbs == ["grammar", "clean", "bpe", "binarise"]
    for call, verb in zip(called, verbs, strict=True):
        assert re.match(rf"exec --home {fresh.root} --nv (--bind \S+ )*natlab\.sif bash -c .* natlab {verb} ", call)


def test_without_one_the_image_is_not_asked_for_and_nothing_is_made_again(project):
    result = project.snakemake(TARGET)
    assert result.returncode == 0, result.stdout
    assert not project.calls() and "Nothing to be done" in result.stdout
