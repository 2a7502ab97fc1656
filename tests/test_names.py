"""Names and labels: what `natlab check` and Snakemake take for one, and what the layers below then make of it."""

import argparse
import contextlib
import copy
import io
import json
import re
import shlex
import shutil
import string
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from snakemake.io import regex_from_filepattern, update_wildcard_constraints

from natlab import cli, config, schema
from natlab.config import loading
from natlab.corpus import dataset
from natlab.errors import UserError
from natlab.files import write_json

REPOSITORY = Path(__file__).resolve().parents[1]
KINDS = ("run", "scale", "dataset", "system", "decoding", "paper", "table", "file")
USUAL = dict(zip(KINDS, ("r", "demo", "ds", "sys", "dec", "mple", "table2", "train_de"), strict=True))
# every name of a file that rules make with wildcards; reports' folders have the run's name
PATTERNS = {
    pattern.replace("{REPORTS}", "reports/{run}").replace("{RUN.name}", "{run}").replace("{{", "{").replace("}}", "}")
    for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk"))
    for pattern in re.findall(r'^ +(?:\w+=)?f?"([^" ]*{[^" ]*)",?$', path.read_text("utf-8"), re.MULTILINE)
}
SHIPPED = [
    yaml.safe_load((REPOSITORY / "config" / file).read_text("utf-8"))
    for file in ("systems.yaml", "scales/demo.yaml", "datasets/multi30k_ende.yaml", "papers/mple/table2.yaml")
]
names = st.text(st.sampled_from("aZ09_-."), min_size=1, max_size=8) | st.text(
    st.sampled_from("aZ0_-. /äß漢$;'\"&(){}|*\\\n:=+~%#") | st.characters(), max_size=6
)


def allowed(kind: str, name: str) -> bool:
    known = set(string.ascii_letters + string.digits + "_-") | (set() if kind == "paper" else {"."})
    return 0 < len(name) <= 64 and set(name) <= known and name[0] not in "-."


def project(root: Path, kind: str, name: str) -> Path:
    """A project in which something of this kind has this name; the run's file."""
    named = USUAL | {kind: name}
    systems, scale, corpus, table = copy.deepcopy(SHIPPED)
    systems["systems"][named["system"]] = systems["systems"]["vanilla_raw"]
    systems["decodings"][named["decoding"]] = {"kind": "argmax"}
    del table["baseline"]  # a row that is not there any more
    table["cell"]["decoding"] = named["decoding"]
    table["rows"][1:] = [{"label": "x", "cell": {"system": named["system"], "decoding": named["decoding"]}}]
    files = corpus["source"]["files"]
    files[named["file"]] = files.pop("train_de")
    corpus["source"]["splits"]["train"][0]["tgt"] = named["file"]
    run = {"seeds": [1], "corpora": {"wmt14_ende": named["dataset"]}, "tables": [f"{named['paper']}/{named['table']}"]}
    for place, value in (
        (("systems",), systems),
        (("scales", named["scale"]), scale),
        (("datasets", named["dataset"]), corpus),
        (("papers", named["paper"], named["table"]), table),
        (("run",), run | {"run": named["run"], "scale": named["scale"]}),
    ):
        path = root.joinpath("config", *place[:-1], f"{place[-1]}.yaml")
        if not any("/" in part or part == ".." for part in place):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(value), encoding="utf-8")
            except (OSError, ValueError):
                pass  # no name of a file
    (root / "config/sizes.yaml").symlink_to(REPOSITORY / "config/sizes.yaml")
    (root / "workflow").symlink_to(REPOSITORY / "workflow")
    return root / "config/run.yaml"


@given(st.sampled_from(KINDS), names)
@settings(deadline=None, max_examples=60)
@example("dataset", "Übung")
@example("paper", "a.b")
@example("run", "demo\n")
@example("system", "a" * 65)
def test_a_name_is_carried_by_every_layer_or_refused_in_one_line(tmp_path_factory, kind, name):
    root = tmp_path_factory.mktemp("named")
    file = project(root, kind, name)
    try:
        run = config.load_file(file, root)
    except UserError as error:
        assert not allowed(kind, name) and "\n" not in str(error)
        with pytest.raises(UserError, match=re.escape(str(error))):
            config.from_snakemake({}, [file], root)
        return
    assert allowed(kind, name)
    assert shlex.quote(name) == name == Path(name).name
    named = USUAL | {kind: name}
    system, table = named["system"], named["table"]
    values = {**named, "teacher": system, "origin": system, "first": "transformer", "second": system, "split": "test"}
    values |= {"figure": table, "claims": table} | dict.fromkeys(("seed", "shard", "shards", "row", "grid"), "1")
    values |= {"address": "host/a&b"}
    constraints = {**run.wildcards, "run": re.escape(run.name)}
    made = [pattern for pattern in PATTERNS if set(re.findall("{(.+?)}", pattern)) <= set(values)]
    assert len(made) > 40
    for pattern in made:
        regex = regex_from_filepattern(update_wildcard_constraints(pattern, {}, constraints))
        found = re.match(regex, pattern.format(**values))
        assert found and found.groupdict() == {key: values[key] for key in found.groupdict()}, pattern


# ---- addresses

SEGMENT = st.text(st.sampled_from("ab01-_.~!$&'()*+,;=:@%äß漢") | st.characters(), max_size=8)


def fetched(folder: Path, url: str) -> dict:
    """What a dataset's file says of the file of this address."""
    content = copy.deepcopy(SHIPPED[2])
    content["source"]["files"]["train_de"]["url"] = url
    (folder / "ds.yaml").write_text(json.dumps(content), encoding="utf-8")
    return dataset.load(folder / "ds.yaml", REPOSITORY / dataset.SCHEMA)["source"]["files"]["train_de"]


@given(st.sampled_from("example.org münchen.example h:8080 h:x a..b u@h".split()), st.lists(SEGMENT, max_size=3))
@settings(deadline=None)
@example("example.org", ["a&b(c)", "'$;echo x;", "ü.txt"])
@example("example.org", ["..", "..", "etc"])
@example("example.org", ["a" * 300])
def test_an_address_is_carried_or_refused_in_one_line(tmp_path_factory, host, segments):
    url = "https://" + "/".join([host, *segments])
    try:
        file = fetched(tmp_path_factory.mktemp("fetched"), url)
    except UserError as error:
        assert "\n" not in str(error)
        return
    place = Path(dataset.address(file["url"]))
    assert place.as_posix() == dataset.address(url) and ".." not in place.parts and not place.is_absolute()
    found = dataset.request_url(url)
    assert found.isascii() and found.isprintable() and " " not in found and dataset.request_url(found) == found
    assert shlex.split(shlex.quote(found)) == [found]


def test_addresses_with_what_shells_and_people_write_are_carried(tmp_path):
    url = "https://münchen.example:8080/a&b(c)/'$;*=~,!+@:%20/ü.txt"
    assert fetched(tmp_path, url)["url"] == url
    place = "xn--mnchen-3ya.example:8080/a&b(c)/'$;*=~,!+@:%20/%C3%BC.txt"
    assert dataset.request_url(url) == f"https://{place}" and dataset.address(url) == place


# ---- labels

PLACES = "title caption row group column unit note published corpus claim says source".split()
AWKWARD = r"a|b¦$$¦from $5 to $10¦[ours]¦%¦no¦1e-4¦\¦# x¦&amp;¦".split("¦") + ["two\nlines", "a\u2028b"]
UNDRAWN = "\U00013000"  # a hieroglyph, which is in no font that figures are drawn with
readable = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=9)


def labelled(root: Path, said: dict[str, str]) -> Path:
    """A project whose table, figure and claims have these texts at these places; the run's file."""
    cell = {"corpus": said["corpus"], "system": "vanilla_raw", "decoding": "argmax", "metric": "bleu"}
    head = {"paper": said["title"], "title": said["title"]}
    table = head | {
        "table": said["title"],
        "caption": said["caption"],
        "columns": [
            {"key": "bleu", "label": said["column"], "unit": said["unit"], "cell": cell},
            {"key": "own", "label": said["column"], "measured_only": True, "note": said["note"]},
        ],
        "rows": [
            {"label": said["row"], "group": said["group"], "published": {"bleu": 20.0}},
            {"label": "y", "published": {"bleu": said["published"]}},
        ],
    }
    compared = {"higher": cell, "than": [cell | {"system": "transformer", "decoding": "beam5"}]}
    claim = {"id": "a", "claim": said["claim"], "source": said["source"]}
    stated = head | {"claims": [claim | {"parts": [{"says": said["says"], "comparison": compared}]}]}
    run = {"run": "r", "scale": "demo", "seeds": [1], "corpora": {schema.one_line(said["corpus"]): "ds"}}
    for file, value in {
        "papers/p/table": table,
        "papers/p/figure": table | {"draw": {"kind": "bars", "value": "bleu"}},
        "papers/p/claims": stated,
        "run": run | {"tables": ["p/table"], "figures": ["p/figure"], "claims": ["p/claims"]},
    }.items():
        path = root / "config" / f"{file}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(value, default_style='"', allow_unicode=True), encoding="utf-8")
    (root / "config/datasets").mkdir()
    (root / "config/datasets/ds.yaml").symlink_to(REPOSITORY / "config/datasets/multi30k_ende.yaml")
    for name in ("config/systems.yaml", "config/sizes.yaml", "config/scales", "workflow"):
        (root / name).symlink_to(REPOSITORY / name)
    return root / "config/run.yaml"


def said_by(*arguments: str) -> tuple[int, str]:
    """A verb's exit status, and what it says on standard error."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        status = cli.main(list(arguments))
    return status, said.getvalue()


@given(
    st.fixed_dictionaries(dict.fromkeys(PLACES, readable)),
    st.dictionaries(st.sampled_from(PLACES), st.text(max_size=5), max_size=1),
)
@settings(deadline=None, max_examples=12)
@example(dict.fromkeys(PLACES, "$$"), {})
@example(dict.fromkeys(PLACES, "two\nlines"), {})
@example(dict.fromkeys(PLACES, "x"), {"corpus": "\x80"})
@example(dict.fromkeys(PLACES, UNDRAWN), {})
@pytest.mark.filterwarnings("ignore:constrained_layout", "ignore:Matplotlib currently does not support")
def test_labels_go_through_all_jobs_or_are_refused_in_one_line(tmp_path_factory, said, anything):
    root = tmp_path_factory.mktemp("labelled")
    file = labelled(root, said | anything)
    try:
        run = config.load_file(file, root)
    except UserError as error:
        assert any(unicodedata.category(character) in ("Cc", "Cs", "Cn") for character in "".join(anything.values()))
        assert "\n" not in str(error)
        with pytest.raises(UserError, match=re.escape(str(error))):
            config.from_snakemake({}, [file], root)
        return
    papers, made, results = root / "config/papers", root / "reports/r", root / "results"
    settings, given = dict(run.settings), ["--run", f"{root}/run.json"]
    write_json(root / "run.json", settings)
    write_json(made / "provenance.json", {"configuration": {}, "models": []})
    read = ["--measurements", f"{results}/measurements", "--corpora", f"{results}/corpora"]
    for kind, spec in (("tables", "table"), ("figures", "table"), ("claims", "claims")):
        verb = "claims" if kind == "claims" else kind[:-1]
        options = [f"--{spec}", f"{papers}/p/{verb}.yaml", "--out", f"{made}/{kind}/p.{verb}"]
        options += ["--papers", str(papers), "--reports", f"{root}/reports"] if kind == "claims" else []
        status, complaint = said_by(verb, *given, *read, *options)
        if status:  # letters that no font here has
            assert kind == "figures" and not any((made / kind).glob("*"))
            assert re.fullmatch(f"natlab figure: {made}/figures/p.figure: Glyph .*install .*\n", complaint)
            settings["figures"] = []
            write_json(root / "run.json", settings)
    assert said_by("report", *given, "--results", str(results), "--papers", str(papers), "--out", str(made)) == (0, "")
    drawn, written = settings["figures"] != [], "".join((said | anything).values())
    assert drawn or not written.isascii()
    assert not drawn or UNDRAWN not in said["row"]


# ---- YAML


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("y", "y"), ("true", True), ("False", False), ("null", None), ("~", None),
        ("", None), ("1e-4", 1e-4), ("5E+3", 5000.0), (".5", 0.5), ("-1.", -1.0), ("010", 10), ("+7", 7),
        ("1_000", "1_000"), ("1:30", "1:30"), ("0x1f", "0x1f"), ("2020-01-01", "2020-01-01"),
        ("2020-99-99", "2020-99-99"), (".nan", ".nan"), (".inf", ".inf"), ("'1'", "1"), ("=", "="),
    ],
)  # fmt: skip
def test_bare_words_are_what_people_mean(text, value):
    read = schema.parse_yaml(f"key: {text}", "f")["key"]
    assert read == value and type(read) is type(value)
    assert [schema.bare(text)] == [value] or text == "'1'"


def test_keys_are_names_as_written():
    read = schema.parse_yaml("{no: 1, 2014: 2, 1e-4: 3, null: 4, 2020-01-01: 5, 'a': 6}", "f")
    assert list(read) == ["no", "2014", "1e-4", "null", "2020-01-01", "a"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: {c: 1, d: 2,\n c: 3}", "f: not YAML: line 3: the key c stands 2 times; give it once"),
        ("a: 1\n'a': 1", "line 2: the key a stands 2 times"),
        ("1: 1\n1: 1", "the key 1 stands 2 times"),
        ("? [a]\n: 1", "line 1: a key is a list or a mapping; give it a name"),
        ("a: &x {b: *x}", "f: not YAML: line 1: "),
        ("!!int x", "f: not YAML: "),
        ("!!python/object:os.system x", "f: not YAML: line 1: "),
        ("a: [", "f: not YAML: line 2: "),
        ('a: "\\0"', "a text with a character that cannot be shown"),
        ('"\\x80": a', "line 1: a text with a character that cannot be shown"),
        ("a: \x07", "f: not YAML: "),
    ],
)
def test_what_no_file_should_hold_is_refused_in_one_line(text, complaint):
    with pytest.raises(UserError) as caught:
        schema.parse_yaml(text, "f")
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_a_merge_may_be_overridden():
    read = schema.parse_yaml("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, z: 4}", "f")
    assert read["b"] == {"x": 3, "y": 2} and read["c"] == {"x": 3, "y": 2, "z": 4}


@given(st.text(max_size=30) | st.text(st.sampled_from("a1:-[]{}&*!|>'\"%@` \n#?,~.e"), max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        schema.parse_yaml(text, "f")
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        (
            "config/config.yaml",
            "run: demo",
            "run: demo\n\nrun: other",
            "not YAML: line 5: the key run stands 2",
        ),
        ("config/config.yaml", "run: demo", "run: 2024", "run: 2024 is not of type 'string'; write it in quotes"),
        ("config/config.yaml", "seeds: [1]", "seeds: [1.0]", "seeds.0: 1.0 is not of type 'integer'"),
        ("config/config.yaml", "seeds: [1]", "seeds: [1e3]", "seeds.0: 1000.0 is not of type 'integer'"),
        ("config/config.yaml", "seeds: [1]", "seeds: [99999999999]", "99999999999 is greater than the maximum"),
        ("config/scales/demo.yaml", "  lr: ", "  lr: 1e999 # ", "lr: inf is not of type 'number'"),
        ("config/datasets/multi30k_ende.yaml", "src: en", "src: english", "src: 'english' does not match"),
        ("config/datasets/multi30k_ende.yaml", "source:", "- source:", "multi30k_ende.yaml: not YAML"),
        ("config/datasets/multi30k_ende.yaml", "train.en.gz", "train.de.gz", "another dataset gives"),
        ("config/papers/mple/table10.yaml", "label: tiny", "label: 6", "label: 6 is not of type 'string'; write"),
    ],
)
def test_natlab_check_and_snakemake_refuse_the_same_also_in_files_that_the_run_does_not_name(
    tmp_path, monkeypatch, file, old, new, complaint
):
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    shutil.copytree(REPOSITORY / "workflow/schemas", tmp_path / "workflow/schemas")
    monkeypatch.chdir(tmp_path)
    text = (tmp_path / file).read_text("utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(complaint)) as by_check:
        loading.run(argparse.Namespace(run=config.DEFAULT_RUN))
    with pytest.raises(UserError) as by_snakemake:
        config.from_snakemake({}, [])
    assert str(by_check.value) == str(by_snakemake.value) and "\n" not in str(by_check.value)
