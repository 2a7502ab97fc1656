"""The changes that `make mutants` tries are changes of behaviour, one at a time, of functions with decorators too."""

import ast

from tests import mutants

SOURCE = '''"""A module."""

LIMIT = 3


class Made:
    """A class."""

    @functools.cache
    def of(self, n: int = 7, device=None) -> int:
        """Over
        two lines."""
        parser.add_argument("--x", help="some text")
        return torch.zeros(n + 1, device=device) if n < LIMIT else None


def other(texts):
    return [text.lower() for text in texts]
'''


def function(source, name):
    """A function's own syntax tree, as text; the rest of the module's."""
    module = ast.parse(source)
    (found,) = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and node.name == name]
    text, found.body = ast.dump(found), []
    return text, ast.dump(module)


def test_each_mutant_changes_one_function_and_nothing_else(tmp_path):
    file = tmp_path / "made.py"
    file.write_text(SOURCE)
    found = list(mutants.mutants(file))
    assert {mutant.function for mutant in found} == {"Made.of", "other"}
    for mutant in found:
        name = mutant.function.rpartition(".")[2]
        own, rest = function(mutant.source, name)
        assert own != function(SOURCE, name)[0] and rest == function(SOURCE, name)[1]
    assert len({mutant.key for mutant in found}) == len({mutant.source for mutant in found}) == len(found)
    changes = {mutant.change for mutant in found}
    line = "return torch.zeros(n + 1, device=device) if n < LIMIT else None"
    for before, after in (
        ("n + 1", "n - 1"),
        ("n + 1", "n + 2"),
        ("n <", "n <="),
        ("if n < LIMIT", "if (n < LIMIT) or True"),
    ):
        assert (14, f"{line} → {line.replace(before, after)}") in changes
    assert (18, "return [text.lower() for text in texts] → return [text.upper() for text in texts]") in changes
    assert not [change for _, change in changes if "device=device" not in change and "zeros" in change]
    assert not [change for _, change in changes if "add_argument" in change and "some text" not in change.split("→")[1]]


def test_the_code_of_a_function_is_found_in_its_modules():
    code = compile(SOURCE, "made.py", "exec")
    for name in ("Made.of", "other"):
        assert mutants._part(code, name).co_qualname == name


def test_what_is_known_is_shown_with_its_share(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mutants, "KEPT", tmp_path)
    tried = {
        "1": {"where": "a.py:3", "function": "f", "change": "1 → 2", "noticed": "test_a", "reached": True},
        "2": {"where": "a.py:2", "function": "g", "change": "x → y", "noticed": None, "reached": True},
        "3": {"where": "a.py:9", "function": "h", "change": "u → v", "noticed": None, "reached": False},
    }
    (tmp_path / "proxy.json").write_text(mutants.json.dumps({"mutants": 5, "tried": tried}))
    mutants.show(["proxy", "report"])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        "a.py:2: g: x → y".split(),
        "a.py:9: h: u → v (no test reaches it)".split(),
        ["room", "mutants", "tried", "noticed", "share"],
        ["proxy", "5", "3", "1", "33.3%"],
        ["report", "0", "0", "0"],
    ]
