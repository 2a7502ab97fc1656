import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus.table import column, is_table
from natlab.errors import UserError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@given(st.lists(st.tuples(CELL, CELL), max_size=5), st.sampled_from([(".csv", ","), (".tsv", "\t")]))
def test_what_csv_writes_is_read_whatever_is_in_a_cell(folder, rows, kind):
    suffix, delimiter = kind
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("Title, short", "b"), *rows])
    path = folder / f"table{suffix}.gz"
    path.write_bytes(gzip.compress(text.getvalue().encode()))
    assert list(column(path, "Title, short")) == [a for a, _ in rows]
    assert list(column(path, "b")) == [b for _, b in rows]


@given(st.lists(st.tuples(CELL, st.integers() | st.booleans()), min_size=1, max_size=5))
def test_what_json_writes_is_read_and_numbers_are_text(folder, rows):
    path = folder / "table.jsonl"
    path.write_text("".join(json.dumps({"src": a, "label": b}) + "\n" for a, b in rows), encoding="utf-8")
    assert list(column(path, "src")) == [a for a, _ in rows]
    assert list(column(path, "label")) == [json.dumps(b) for _, b in rows]


def test_a_table_is_known_by_its_name():
    names = {"a.csv": True, "b.TSV": True, "c.jsonl.gz": True, "csv": False, "d.csv.zip": False, "e.txt.gz": False}
    assert {name: is_table(name) for name in names} == names


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x,y\n1,2\n", "has 0 columns src, not one; name one of x, y"),
        ("a.csv", "src,src\n1,2\n", "has 2 columns src, not one"),
        ("a.csv", "src,y\n1,2\n3\n", "line 3 ends a row of 1 cells, not 2; check the file"),
        ("a.tsv", "src\ty\n1\t2\t3\n", "line 2 ends a row of 3 cells, not 2"),
        ("a.csv", 'src,y\n"' + "a" * 200_000, "field larger than field limit"),
        ("a.jsonl", '{"src": "a"}\nsrc\n', "line 2 is no JSON"),
        ("a.jsonl", '{"x": "a"}\n', "line 1 is no object with text or a number as src; name one of x"),
        ("a.jsonl", '{"src": ["a"]}\n', "line 1 is no object with text or a number as src"),
        ("a.jsonl", "[1]\n", "line 1 is no object with text or a number as src; check the file"),
        ("a.jsonl", "", "empty file"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{name}: .*{message}") as error:
        list(column(tmp_path / name, "src"))
    assert "\n" not in str(error.value)
