"""A project whose configuration a test may spoil."""

import shutil

import pytest
from tests.config.project import REPOSITORY, edit


@pytest.fixture
def project(tmp_path):
    """A copy of the configuration and its schemas that a test may spoil; the demo builds all that its tables name."""
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    shutil.copytree(REPOSITORY / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    edit(tmp_path, "config/config.yaml", lambda r: r.pop("systems"))
    return tmp_path
