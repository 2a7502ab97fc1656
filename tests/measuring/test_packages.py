"""The verb `packages` installs what a lock pins from a folder of wheels, whole or not at all."""

import argparse
import zipfile

import pytest

from natlab.errors import UserError
from natlab.measuring import packages


@pytest.fixture
def args(tmp_path, monkeypatch):
    """A wheel of one module, which also asks for what nobody has, and pip without a network."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/tiny-1.0-py3-none-any.whl", "w") as wheel:
        metadata = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\nRequires-Dist: nobody-has-this\n"
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        for name, text in (("tiny.py", "x = 1\n"), ("METADATA", metadata), ("WHEEL", tags), ("RECORD", "")):
            wheel.writestr(name if name == "tiny.py" else f"tiny-1.0.dist-info/{name}", text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    (tmp_path / "pins.lock").write_text("# a comment\ntiny==1.0\n", encoding="utf-8")
    return argparse.Namespace(requirements=str(tmp_path / "pins.lock"), out=str(tmp_path / "made"))


def test_a_wheelhouse_is_enough_and_nothing_else_is_resolved(args, tmp_path):
    packages.run(args)
    assert (tmp_path / "made/tiny.py").exists()


def test_what_cannot_be_installed_is_one_line_and_leaves_nothing(args, tmp_path):
    (tmp_path / "pins.lock").write_text("tiny==1.0\nother==2.0\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"pins.lock: pip cannot install it \(ERROR: .*other==2.0.*PIP_FIND_LINKS"
    ) as found:
        packages.run(args)
    assert "\n" not in str(found.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pins.lock", "wheels"]
