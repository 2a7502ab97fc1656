import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import text
from natlab.corpus.text import aligned, batches, folder_aside, in_order
from natlab.errors import UserError


@given(st.lists(st.integers()), st.integers(1, 5))
def test_batches_are_a_partition_in_order(items, size):
    made = list(batches(items, size))
    assert sum(made, []) == items
    assert all(len(batch) == size for batch in made[:-1])


@given(st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=3))
def test_aligned_is_zip_or_an_error_that_counts(columns):
    sides = {f"file{i}": column for i, column in enumerate(columns)}
    if len(set(map(len, columns))) == 1:
        assert list(aligned(sides.items())) == list(zip(*columns, strict=True))
    else:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in sides.items())
        with pytest.raises(UserError, match=f"in lines: {lengths};"):
            list(aligned(sides.items()))


def test_workers_keep_order_and_do_not_read_ahead():
    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield -number

    results = in_order(abs, items(), threads=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + 3 * 2
    assert list(results) == list(range(3, 50))


def test_folder_appears_whole_or_not_at_all(tmp_path):
    with folder_aside(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    with pytest.raises(ZeroDivisionError), folder_aside(tmp_path / "out") as folder:
        (folder / "b").write_text("2")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a"]


@pytest.mark.parametrize("name", ["out", ".out.part"])
def test_a_folder_that_cannot_be_removed_is_named(tmp_path, monkeypatch, name):
    def refused(folder, ignore_errors=False):
        if folder.name == name and not ignore_errors:
            raise PermissionError(13, "Permission denied", str(folder))

    (tmp_path / name).mkdir()
    monkeypatch.setattr(text.shutil, "rmtree", refused)
    with pytest.raises(PermissionError, match=name), folder_aside(tmp_path / "out"):
        pass
