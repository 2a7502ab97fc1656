"""`natlab translate` as a user calls it."""

import io
import os
import subprocess
import sys

import pytest
from tests.bundles import made

from natlab.bundles import translate
from natlab.bundles.bundle import Translation
from natlab.bundles.reading import Said

TEXT = b"The low house\r\n\nA new house\nthe house"


def natlab(*arguments, stdin=TEXT):
    command = [sys.executable, "-m", "natlab.cli", "translate", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Of two random models, and what the first says of `TEXT`'s lines."""
    found = [made.bundle(tmp_path_factory.mktemp(f"m{seed}"), seed=seed)[0] for seed in (1, 2)]
    lines = ["The low house", "", "A new house", "the house"]
    return found, [each.text for each in translate.Bundle(found[0]).translate(lines)]


def test_a_line_comes_out_for_a_line_that_goes_in(bundles):
    (first, _), expected = bundles
    done = natlab(first, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split("\n") == [*expected, ""]
    assert not done.stderr
    assert natlab(first, "--batch", 1).stdout == done.stdout


def test_files_are_read_and_written(bundles, tmp_path):
    (first, _), expected = bundles
    (tmp_path / "in").write_bytes(TEXT)
    done = natlab(first, "--input", tmp_path / "in", "--output", tmp_path / "out", stdin=b"")
    assert done.returncode == 0 and not done.stdout
    assert (tmp_path / "out").read_text().split("\n") == [*expected, ""]


def test_several_stand_side_by_side(bundles):
    both, expected = bundles
    done = natlab(*both)
    rows = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]
    assert [row[0] for row in rows] == expected and {len(row) for row in rows} == {2}
    assert natlab(both[1]).stdout.decode().split("\n")[:-1] == [row[1] for row in rows]


def test_what_is_shown_of_a_sentence(bundles):
    (first, _), expected = bundles
    shown = natlab(first, "--show", stdin=b"The\x00house\n").stdout.decode()
    number, name, details = shown.split("\n")[:3]
    assert number == "1\tThe house"
    assert name.startswith("  bundle\t")
    assert "subwords of" in details and "probability" in details and " ms: " in details


def test_other_paths_of_a_graph_are_shown():
    said = Said([4, 5], -0.5, 24)
    made = Translation("das haus", "das haus", (0, 2), 0, said, ("ein haus", "haus"))
    assert translate.shown(7, "the house", ["dat"], [(made, 0.0012)]).split("\n") == [
        "7\tthe house",
        "  dat\tdas haus",
        "    2 subwords of 24 positions; probability a position 0.607; 1.2 ms: das haus",
        "    another path: ein haus",
        "    another path: haus",
        "",
    ]


def test_bytes_that_are_no_text_stay_in_their_line(bundles):
    (first, _), _ = bundles
    done = natlab(first, stdin=b"the \xff\xfe house\nthe house\n\xe2\x80\xa8\n")
    assert done.returncode == 0
    lines = done.stdout.decode().split("\n")
    assert len(lines) == 4 and lines[1] and lines[2] == ""
    assert done.stderr.decode() == "line 1: bundle does not know 2 of 4 subwords\n"


def test_no_line_gives_no_line(bundles):
    (first, _), _ = bundles
    done = natlab(first, stdin=b"")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", 0], "--batch 0: 1 or more is possible"),
        (["--threads", 0], "--threads 0: 1 or more is possible"),
        (["--input", "nowhere"], "--input nowhere: No such file or directory"),
        (["--output", "nowhere/out"], "--output nowhere/out: No such file or directory"),
        (["--output", "."], "--output .: Is a directory"),
        (["--output", "/dev/full"], "/dev/full: No space left on device"),
    ],
)
def test_refusals(bundles, arguments, message):
    (first, _), _ = bundles
    done = natlab(first, *arguments)
    [line] = done.stderr.decode().splitlines()
    assert done.returncode == 2 and message in line


def test_a_bundles_name_is_what_tells_it_from_others(tmp_path):
    assert translate.called([tmp_path / "a" / "x", tmp_path / "b" / "x"]) == ["a/x", "b/x"]
    assert translate.called([tmp_path / "a" / "x"]) == ["x"]
    assert len(set(translate.called([tmp_path / "x", tmp_path / "x"]))) == 1


def test_a_file_is_not_written_over_while_it_is_read(bundles, tmp_path):
    (first, _), _ = bundles
    (tmp_path / "text").write_bytes(TEXT)
    done = natlab(first, "--input", tmp_path / "text", "--output", tmp_path / "text")
    assert done.returncode == 2 and b"is what is read, too" in done.stderr
    assert (tmp_path / "text").read_bytes() == TEXT


def test_a_reader_that_has_seen_enough_ends_it_quietly(bundles):
    (first, _), expected = bundles
    natlab_ = f"{sys.executable} -m natlab.cli translate {first} --batch 1"
    script = f"(echo the low house; yes the house | head -3000) | {natlab_} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == expected[:1] and done.stderr == ""


def test_a_program_that_waits_for_each_answer_gets_it(bundles):
    (first, _), expected = bundles
    command = [sys.executable, "-m", "natlab.cli", "translate", str(first), "--batch", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for line, answer in ((b"\xef\xbb\xbfThe low house\n", expected[0]), (b"the house\n", expected[3])):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().decode() == answer + "\n"


def test_text_is_utf_8_whatever_the_terminal(bundles):
    (first, _), _ = bundles
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "natlab.cli", "translate", str(first), "--show"]
    done = subprocess.run(command, input="the … Straße\n".encode(), capture_output=True, env=environment)
    assert done.returncode == 0 and "1\tthe … Straße\n" in done.stdout.decode("utf-8")


class Terminal:
    """A terminal that keeps what was written to it."""

    def __init__(self):
        self.written = ""

    def isatty(self):
        return True

    def write(self, text):
        self.written += text

    def flush(self):
        pass


def test_a_bar_shows_how_far_a_file_is_translated():
    source = io.BytesIO(b"before\n" + b"a\n" * 4)
    source.readline()
    terminal = Terminal()
    progress = translate.Progress(source, terminal)
    assert source.readline() == b"a\n"
    progress.at(2)
    assert terminal.written == f"\r[{'#' * 15}{'.' * 15}] 2 of 4"
    progress.at(3)  # at once after it
    assert terminal.written.count("\r") == 1
    progress.end()
    assert terminal.written.endswith("\r\033[K")


def test_there_is_no_bar_for_what_can_be_read_once_nor_off_a_terminal(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    terminal = Terminal()
    with open(reader, "rb") as pipe:
        translate.Progress(pipe, terminal).at(1)
    translate.Progress(io.BytesIO(b"a\n"), io.StringIO()).at(1)
    assert terminal.written == ""
