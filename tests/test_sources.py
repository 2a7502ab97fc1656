"""What is made of which files: made-up packages are really imported, natlab's own rooms are asked for their lists."""

import contextlib
import importlib
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import plain

from natlab import families, sources

ROOM = Path(sources.__file__).parent
# of a made-up natlab: p and q are packages, s is a folder without __init__.py
MODULES = ["natlab.a", "natlab.b", "natlab.p", "natlab.p.c", "natlab.p.q", "natlab.p.q.d", "natlab.s.e"]
PACKAGES = {"natlab.p", "natlab.p.q"}
TRANSFORMER = {"architecture": {"name": "transformer"}, "target": {"name": "raw"}}
EVERYTHING = [
    sources.training(TRANSFORMER),
    sources.distillation("natlab"),
    sources.latency([]),
    sources.measurement([{"name": "bleu"}]),
    sources.learned(),
    sources.surface(),
    sources.translation(TRANSFORMER, [{"kind": "beam"}]),
]


def nat(target="raw", input="vanilla", **parts):
    return plain.spec(target=target, input=input, **parts)


def listed(modules, room=ROOM):
    return {path.relative_to(room).as_posix() for path in sources.files(modules, room)}


def relative(importer: str, target: str) -> str:
    """A relative import of a module, from the innermost package that the two share."""
    package, wanted = importer.split("."), target.split(".")
    if importer not in PACKAGES:
        package.pop()
    dots = 1
    while wanted[: len(package)] != package or len(package) == len(wanted):
        package.pop()
        dots += 1
    *inner, name = wanted[len(package) :]
    return f"from {'.' * dots}{'.'.join(inner)} import {name}"


FORMS = {
    "plain": lambda importer, target: f"import {target}",
    "several": lambda importer, target: f"import os, {target}",
    "named": lambda importer, target: f"import {target} as other",
    "from": lambda importer, target: "from {} import {} as other".format(*target.rsplit(".", 1)),
    "value": lambda importer, target: f"from {target} import VALUE as other",
    "relative": relative,
}
WRAPPED = {
    "top": "{}",
    "function": "def inner():\n    {}\ninner()",
    "tried": "try:\n    {}\nexcept ImportError:\n    pass",
    "types": "if TYPE_CHECKING:\n    {}",
    "qualified": "if typing.TYPE_CHECKING:\n    {}\nelse:\n    pass",
}
imports = st.dictionaries(
    st.sampled_from(MODULES),
    st.lists(st.tuples(st.sampled_from(MODULES), st.sampled_from(list(FORMS)), st.sampled_from(list(WRAPPED)))),
)


def place(room: Path, module: str) -> Path:
    path = room.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if module in PACKAGES else path.with_suffix(".py")


def write(room: Path, module: str, text: str) -> None:
    path = place(room, module)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def another_natlab(folder: Path):
    """Within, `import natlab` finds the one in a folder."""

    def ours():
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "natlab"}

    kept = ours()
    for name in kept:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield ours
    finally:
        sys.path.remove(str(folder))
        for name in ours():
            del sys.modules[name]
        sys.modules.update(kept)


@settings(max_examples=60)
@given(imports, st.sampled_from(MODULES))
def test_the_files_are_those_that_importing_loads(imported, entry):
    with TemporaryDirectory() as folder:
        room = Path(folder) / "natlab"
        room.mkdir()
        (room / "__init__.py").write_text("")
        for module in MODULES:
            lines = [
                WRAPPED[where].format(FORMS[form](module, target)) for target, form, where in imported.get(module, ())
            ]
            write(room, module, "\n".join(["import typing", "from typing import TYPE_CHECKING", "VALUE = 1", *lines]))
        found = sources.files([entry], room)
        with another_natlab(Path(folder)) as ours:
            importlib.import_module(entry)
            loaded = {Path(module.__file__) for module in ours().values() if module.__file__}
    assert found == sorted(loaded - {room / "__init__.py"})


def test_following_stops_where_no_number_changes(tmp_path):
    write(tmp_path, "natlab.a", "import natlab.errors\nfrom natlab.kernels.op import run\nimport natlab.b")
    for module in ("natlab.errors", "natlab.kernels.op", "natlab.b"):
        write(tmp_path, module, "import natlab.p.c")
    write(tmp_path, "natlab.p.c", "")
    assert listed(["natlab.a"], tmp_path) == {"a.py", "b.py", "p/c.py"}
    write(tmp_path, "natlab.b", "")
    assert listed(["natlab.a"], tmp_path) == {"a.py", "b.py"}  # an edit is seen, whatever was read before


def test_a_module_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"holds no module natlab\.b"):
        sources.files(["natlab.b"], tmp_path)


@pytest.mark.parametrize("stop", sources.STOPS)
def test_each_stop_is_there_and_needed(stop, monkeypatch):
    before = [listed(modules) for modules in EVERYTHING]
    monkeypatch.delitem(sources.STOPS, stop)
    assert [listed(modules) for modules in EVERYTHING] != before


def test_a_system_rests_on_its_own_members():
    kd = listed(sources.training(nat("kd", "glat")))
    assert {"proxy/targets/kd.py", "proxy/inputs/glat.py", "proxy/subsets.py", "models/nat.py"} <= kd
    assert {"decoding/kinds/argmax.py", "losses/batch.py", "training/loop.py", "compat.py"} <= kd
    raw = listed(sources.training(nat("raw", "glat")))
    assert kd ^ raw == {"proxy/targets/kd.py", "proxy/targets/raw.py"}
    assert "decoding/kinds/beam.py" not in kd and "decoding/kinds/sample.py" not in kd


def test_an_autoregressive_system_rests_on_no_other_architecture_and_no_part_of_one():
    own = listed(sources.training(TRANSFORMER))
    assert {"models/transformer.py", "decoding/kinds/beam.py", "losses/batch.py"} <= own
    assert not {"models/nat.py", "decoding/kinds/argmax.py"} & own
    assert members(own) == {"decoding/kinds/beam.py"}


def members(found):
    """Those of some files that are members of families, or lie beside them."""
    folders = tuple(f"{folder}/" for folder in families.FOLDERS.values())
    return {file for file in found if file.startswith(folders) and "__init__" not in file}


def encoder(objective, **parts):
    """A multilingual encoder's specification."""
    made = plain.multilingual() | {"objective": {"name": objective}}
    return made | {"architecture": made["architecture"] | parts}


FAMILIES = {
    "target": lambda name: plain.spec(target=name),
    "input": lambda name: plain.spec(input=name),
    "objective": lambda name: encoder(name) if name == "denoising" else plain.spec(objective=name),
    "term": lambda name: plain.spec(terms=[name]),
    "length": lambda name: plain.spec() | {"architecture": plain.architecture(lengths=name)},
    "fill": lambda name: plain.spec() | {"architecture": plain.architecture(fill=name)},
    "codebook": lambda name: plain.spec() | {"architecture": plain.architecture() | {"codebook": {"name": name}}},
    "encoder": lambda name: encoder("denoising", encoder={"name": name}),
    "score": lambda name: plain.spec() | {"select_by": {"name": name}},
}
PLAIN = {"target": "raw", "input": "vanilla", "objective": "xe", "term": "length", "length": "difference"}
PLAIN |= {"fill": "copy", "decoding": "argmax"}  # validation's


@pytest.mark.parametrize("family", FAMILIES)
def test_of_each_family_a_system_rests_on_its_own_members_alone(family):
    for name in families.names(family):
        found = members(listed(sources.training(FAMILIES[family](name))))
        own = {of: f"{families.FOLDERS[of]}/{PLAIN[of]}.py" for of in PLAIN}
        own[family] = f"{families.FOLDERS[family]}/{name}.py"
        if family == "encoder" or name == "denoising":  # of what encodes only
            own = {of: file for of, file in own.items() if of in ("target", family)}
            own["objective"] = "losses/objectives/denoising.py"
        elif family == "objective":  # and the way to decode that suits it
            own["decoding"] = f"decoding/kinds/{families.trait('objective', name, 'decoding')}.py"
        # by those that predict a length, by canvases of codes, by all codebooks
        shared = {"models/lengths/_classes.py", "models/codebooks/_codebook.py"} & found
        shared |= {"models/fills/soft_copy.py"} & found if name == "codes" else set()
        kinds = {"decoding/kinds/argmax.py"} & found  # what a kind takes of another
        assert found == {*own.values()} | shared | kinds
        predicted = "length" in own and families.trait(
            "length", name if family == "length" else "difference", "predicted"
        )
        assert ("models/lengths/_classes.py" in shared) is predicted


def test_all_families_but_that_of_decodings_are_parts_of_a_system():
    assert {*FAMILIES, "decoding"} == set(families.FOLDERS)


def test_a_translation_rests_on_its_kinds_and_on_what_measures_its_losses():
    argmax = listed(sources.decoding([{"kind": "argmax"}]))
    assert "decoding/kinds/beam.py" not in argmax and "decoding/kinds/sample.py" not in argmax
    assert listed(sources.decoding([{"kind": "argmax"}, {"kind": "sample"}])) - argmax == {
        "decoding/kinds/sample.py",
        "models/seeds.py",
    }
    whole = listed(sources.translation(nat("kd", "cmlm"), [{"kind": "argmax"}]))
    plain = {"proxy/targets/raw.py", "proxy/inputs/vanilla.py"}  # its loss on raw data
    assert argmax | plain | {"proxy/targets/kd.py", "proxy/inputs/cmlm.py", "measuring/losses.py"} <= whole
    assert "measuring/latency.py" not in whole and "training/loop.py" not in whole
    assert "measuring/losses.py" not in listed(sources.latency([{"kind": "argmax"}]))


def test_a_translation_rests_on_another_engine_where_it_asks_for_it():
    beam = [{"kind": "beam"}]
    own = listed(sources.translation(TRANSFORMER, beam))
    other = listed(sources.translation(TRANSFORMER, beam, "ctranslate2"))
    assert own < other and not any(file.startswith(("bundles/", "export/")) for file in own)
    assert {"measuring/checked.py", "measuring/distilling/ctranslate2.py", "export/ctranslate.py"} <= other - own


def test_new_files_beside_the_members_change_nothing(tmp_path):
    asked = [*EVERYTHING, sources.training(nat()), sources.translation(nat(), [{"kind": "sample"}])]
    before = [listed(modules) for modules in asked]
    room = tmp_path / "natlab"
    shutil.copytree(ROOM, room, ignore=shutil.ignore_patterns("__pycache__", "csrc"))
    for folder in ("models", "decoding", "losses", "metrics", "measuring", "training", *families.FOLDERS.values()):
        (room / folder / "new.py").write_text("import natlab.models.nat\n")
    assert [listed(modules, room) for modules in asked] == before
