import io
import subprocess
import tarfile
import unicodedata
import zipfile
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from natlab.corpus.unpack import unpack
from natlab.errors import UserError

NAME = st.from_regex(r"[a-z]{1,4}(/[a-z.]{1,4}[a-z]){0,2}", fullmatch=True)


def make_tar(path, files, mode="w:gz", links=()):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target, kind in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return path


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


MAKERS = {"tgz": make_tar, "tar.xz": partial(make_tar, mode="w:xz"), "zip": make_zip}


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(files=st.dictionaries(NAME, st.binary(max_size=50), min_size=1, max_size=4), data=st.data())
def test_members_come_out_as_they_went_in(kind, tmp_path_factory, files, data):
    folder = tmp_path_factory.mktemp("archive")
    wanted = data.draw(st.sets(st.sampled_from(sorted(files))))
    # a name that is another's folder cannot exist on disk
    wanted = {name for name in wanted if not any(other.startswith(name + "/") for other in wanted)}
    found = unpack(MAKERS[kind](folder / f"a.{kind}", files), folder / "out", wanted)
    assert {name: path.read_bytes() for name, path in found.items()} == {name: files[name] for name in wanted}
    assert all(path.is_relative_to(folder / "out") for path in found.values())


@pytest.mark.parametrize("asked", ["./dev/a", "dev/a", "dev//a"])
def test_a_folder_packed_by_its_name_with_a_dot(tmp_path, asked):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "a").write_text("x")
    subprocess.run(["tar", "czf", "a.tgz", "./dev"], cwd=tmp_path, check=True)
    assert unpack(tmp_path / "a.tgz", tmp_path / "out", [asked])[asked].read_text() == "x"
    both = unpack(tmp_path / "a.tgz", tmp_path / "out", ["./dev/a", "dev/a"])
    assert {path.read_text() for path in both.values()} == {"x"} and len(both) == 2


@pytest.mark.parametrize("name", ["dev\\a.en", "./dev\\a.en", "dev\\.\\a.en"])
def test_a_zip_of_windows(tmp_path, name):
    archive = make_zip(tmp_path / "a.zip", {name: b"x"})
    assert unpack(archive, tmp_path / "out", ["dev/a.en"])["dev/a.en"].read_bytes() == b"x"


@pytest.mark.parametrize("kind", MAKERS)
def test_letters_that_the_packer_took_apart(kind, tmp_path):
    archive = MAKERS[kind](tmp_path / f"a.{kind}", {unicodedata.normalize("NFD", "Übung.en"): b"x"})
    assert unpack(archive, tmp_path / "out", ["Übung.en"])["Übung.en"].read_bytes() == b"x"


def test_a_zip_with_a_password_is_one_line(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a": b"x"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1  # "encrypted"
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"a.zip: cannot be read \(.*password"):
        unpack(archive, tmp_path / "out", ["a"])


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil"])
def test_entry_outside_the_folder_is_refused(kind, tmp_path, name):
    archive = MAKERS[kind](tmp_path / f"a.{kind}", {name: b"x", "good": b"y"})
    with pytest.raises(UserError, match="points outside"):
        unpack(archive, tmp_path / "deep" / "out", ["good"])
    assert not list(tmp_path.rglob("evil")) and not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    "link",
    [
        ("link", "/etc/passwd", tarfile.SYMTYPE),
        ("a/link", "../../x", tarfile.SYMTYPE),
        ("a/b/link", "../x", tarfile.LNKTYPE),
        ("link", "/etc/passwd", tarfile.LNKTYPE),
    ],
)
def test_link_that_points_outside_is_refused(tmp_path, link):
    make_tar(tmp_path / "a.tgz", {"good": b"y"}, links=[link])
    with pytest.raises(UserError, match="points outside"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", ["good"])


def test_zipped_link_that_points_outside_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "../../etc/passwd")
    with pytest.raises(UserError, match="points outside"):
        unpack(tmp_path / "a.zip", tmp_path / "out", ["link"])


def test_link_inside_is_not_a_file(tmp_path):
    make_tar(tmp_path / "a.tgz", {"good": b"y"}, links=[("link", "good", tarfile.SYMTYPE)])
    assert unpack(tmp_path / "a.tgz", tmp_path / "out", ["good"])["good"].read_bytes() == b"y"
    with pytest.raises(UserError, match="has no file link"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", ["link"])


@pytest.mark.parametrize("kind", MAKERS)
def test_truncated_archive(kind, tmp_path):
    content = bytes(i * i % 251 for i in range(200_000))
    archive = MAKERS[kind](tmp_path / f"a.{kind}", {"a": content, "b": content})
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(UserError, match="damaged or truncated archive[^\n]*run again$"):
        unpack(archive, tmp_path / "out", ["b"])


def test_missing_archive_and_member(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        unpack(tmp_path / "none.tgz", tmp_path / "out", ["a"])
    with pytest.raises(UserError, match="has no file c"):
        unpack(make_zip(tmp_path / "a.zip", {"a": b""}), tmp_path / "out", ["a", "c"])
