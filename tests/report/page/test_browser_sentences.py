"""The browser over sentences, as a reader uses it, in a real browser; skipped where there is none."""

import shutil

import pytest
from tests.report.page.example import NASTY, RUN, corpus, translated, write_lines
from tests.report.page.test_sentences import dynamic  # noqa: F401

from natlab.files import write_json
from natlab.report import page as report
from natlab.report.page import html as pages
from natlab.report.page import sentences

COUNT = 45
SOURCES = [f"source {number}{' word' * (number % 7)}" for number in range(1, COUNT + 1)]
TARGETS = [f"das ist satz {number} ." for number in range(1, COUNT + 1)]
SAID = {
    "transformer": TARGETS,
    "vanilla_kd": ["das das ist ist satz ."] * 2 + TARGETS[2:],
    "glat_kd": [TARGETS[0], "nein", NASTY, *TARGETS[3:40], *["was ist satz"] * 5],
    "other_raw": ["anders ."] * COUNT,
}
ALLOWED = {"transformer": [100] * COUNT, "vanilla_kd": [0, 0] + [100] * (COUNT - 2)}


def html(folder, datasets):
    body = f"<h1>Page</h1>{sentences.section(datasets)}"
    made = pages.document("page", {}, body, report.STYLES, report.SCRIPTS)
    (folder / "index.html").write_text(made, encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page of two datasets: ds, of four systems, and a small one with further references."""
    root = tmp_path_factory.mktemp("sentences")
    results = root / "results"
    corpus(results, SOURCES, TARGETS)
    readings = [
        translated(results, system, "argmax", said, TARGETS, ALLOWED.get(system)) for system, said in SAID.items()
    ]
    corpus(results, ["a b", "c"], ["eins zwei", "drei"], ["Zwei eins.", ""], ["Zwei eins.", "Drei!"], dataset="many")
    shutil.copy("config/datasets/grammar_ende.yaml", root / "many.yaml")
    hypotheses = [(["zwei eins .", "zwei"], [-0.5, -1.0]), (["drei"], [-0.25])]
    said = ["zwei eins .", "drei"]
    readings.append(
        translated(results, "dat", "drawn", said, ["eins zwei", "drei"], hypotheses=hypotheses, dataset="many")
    )
    datasets = sentences.write(RUN, readings, results, root / "page", root)
    html(root / "page", datasets)
    return root / "page"


@pytest.fixture
def page(page_of, folder):
    return opened(page_of, folder)


def opened(page_of, folder, **window):
    found = page_of(folder, **window)
    found.wait_for_selector("#sentences .s-list li")
    return found


def choose(page, name, option):
    page.select_option(f"#sentences .s-{name}", option)


def numbers(page):
    """The sentences shown, from 1, in their order."""
    return [int(text.split()[1].replace(",", "")) for text in page.locator(".s-list h3").all_inner_texts()]


def said(page, system, at=0):
    """The row of a system in the sentence shown at a place."""
    sentence = page.locator(".s-list > li").nth(at)
    return sentence.locator(".s-said").filter(has=page.locator("dt").get_by_text(system)).locator("dd")


def test_it_begins_with_the_first_sentences_and_turns_pages(page):
    assert numbers(page) == list(range(1, 21))
    assert page.inner_text(".s-status") == "1 to 20 of 45 found in 45 sentences; seed 7."
    first = page.locator(".s-list > li").first
    assert first.locator(".s-given dd").all_inner_texts() == [SOURCES[0], TARGETS[0]]
    systems = [name.split()[0] for name in first.locator(".s-said dt").all_inner_texts()]
    assert systems[:2] == ["transformer", "vanilla_kd"] and set(systems) == set(SAID)
    page.click(".s-to-next")
    assert numbers(page) == list(range(21, 41)) and page.inner_text(".s-page") == "page 2 of 3"
    page.click(".s-to-last")
    assert numbers(page) == list(range(41, 46)) and page.is_disabled(".s-to-next")
    page.click(".s-to-previous")
    page.click(".s-to-first")
    assert numbers(page)[0] == 1 and page.is_disabled(".s-to-first") and page.is_disabled(".s-to-previous")


def test_differences_and_repetitions_are_marked(page):
    marked = said(page, "vanilla_kd").locator(".s-text")
    assert marked.inner_text() == "das das ist ist satz ."
    assert marked.locator("mark").all_inner_texts() == ["das", "ist"]
    assert len(marked.locator("ins").all()) == 2 and marked.locator("del").count() == 0
    page.check(".s-missing")
    marked = said(page, "vanilla_kd").locator(".s-text")
    assert marked.locator("del").all_inner_texts() == ["1"]
    assert said(page, "transformer").locator("ins, del, mark").count() == 0
    wrong = said(page, "glat_kd", at=1).locator(".s-text")
    assert wrong.locator("ins").all_inner_texts() == ["nein"]
    assert wrong.locator("del").all_inner_texts() == TARGETS[1].split()
    lines = page.evaluate(
        "['ins', 'del'].map((tag) => getComputedStyle(document.querySelector(`.s-list ${tag}`)).textDecorationLine)"
    )
    assert lines == ["underline", "line-through"]  # seen without colours


def test_any_text_is_shown_as_it_is(page):
    assert said(page, "glat_kd", at=2).locator(".s-text").evaluate("node => node.textContent") == " ".join(
        word for word in NASTY.split(" ") if word
    )
    assert page.locator(".s-list script").count() == 0


def test_scores_and_what_p_allows_stand_beside(page):
    assert said(page, "transformer").locator(".s-known").inner_text().split("\n") == ["BLEU 100.0", "✓ P allows it"]
    assert "✗ P does not allow it" in said(page, "vanilla_kd").inner_text()
    # known of a text, whoever says it
    assert "✓ P allows it" in said(page, "glat_kd").inner_text()
    assert said(page, "glat_kd", at=1).locator(".s-known").inner_text() == "BLEU 0.0"


def test_sentences_are_sorted_by_length_score_and_gap(page):
    lengths = [len(source.split()) for source in SOURCES]
    choose(page, "order", "longest")
    assert numbers(page) == sorted(range(1, COUNT + 1), key=lambda n: (-lengths[n - 1], n))[:20]
    choose(page, "order", "shortest")
    assert numbers(page)[:3] == [7, 14, 21]
    choose(page, "order", "worst")
    choose(page, "a", "2")  # glat_kd
    assert set(numbers(page)[:7]) == {2, 3, 41, 42, 43, 44, 45} and numbers(page)[:2] == [2, 3]
    choose(page, "order", "best")
    assert numbers(page)[:3] == [1, 4, 5]
    choose(page, "order", "gap")
    choose(page, "a", "1")  # vanilla_kd
    choose(page, "b", "2")
    assert numbers(page)[:7] == [3, 41, 42, 43, 44, 45, 2]
    assert "A − B: 100.0" in page.locator(".s-list h3").first.inner_text()
    page.click(".s-swap")
    assert numbers(page)[0] == 1 and "A − B: " in page.locator(".s-list h3").first.inner_text()
    assert page.input_value(".s-a") == "2" and page.input_value(".s-b") == "1"


def test_sentences_are_found_by_text_and_by_what_outputs_are(page):
    page.fill(".s-find", "SATZ 3")
    page.wait_for_function("document.querySelector('.s-status').textContent.includes('of 11 found')")
    assert numbers(page) == [3, *range(30, 40)]
    page.fill(".s-find", "<script>")
    page.wait_for_function("document.querySelector('.s-status').textContent.includes('of 1 found')")
    assert numbers(page) == [3]
    page.fill(".s-find", "nowhere")
    page.wait_for_function("document.querySelector('.s-status').textContent.startsWith('None found')")
    assert numbers(page) == [] and page.is_hidden(".s-pages")
    page.fill(".s-find", "")
    page.wait_for_function("document.querySelector('.s-status').textContent.includes('of 45 found')")
    for value, expected in (("repeats", [1, 2]), ("refused", [1, 2]), ("allowed", []), ("differ", [*range(1, 21)])):
        choose(page, "only", value)
        assert numbers(page) == expected


def test_a_reader_chooses_outputs(page):
    page.click(".s-choice summary")
    assert page.inner_text(".s-choice summary").startswith("Outputs shown: 4 of 4")
    best, *_ = page.locator(".s-picks label").all_inner_texts()
    assert best.split() == "transformer (argmax) BLEU 100.0 · P allows 100.0 %".split()
    page.fill(".s-name", "glat")
    assert page.locator(".s-picks label:visible").count() == 1
    page.click(".s-none")
    assert page.locator(".s-said").count() == 0
    page.check(".s-picks label:visible input")
    choose(page, "only", "differ")
    assert numbers(page) == []
    page.fill(".s-name", "")
    page.check(".s-picks label:has-text('transformer') input")
    assert numbers(page) == [2, 3, 41, 42, 43, 44, 45]
    assert page.locator(".s-a option").all_inner_texts() == ["glat_kd (argmax)", "transformer (argmax)"]
    page.uncheck(".s-picks label:has-text('transformer') input")
    page.click(".s-usual")
    assert page.locator(".s-picks input:checked").count() == 4


def test_outputs_are_marked_against_the_nearest_reference(page):
    choose(page, "dataset", "many")
    page.wait_for_function("document.querySelector('.s-status').textContent.includes('in 2 sentences')")
    first = page.locator(".s-list > li").first
    assert first.locator(".s-given dt").all_inner_texts() == ["source", "reference 1", "reference 2, 3"]
    assert first.locator(".s-said ins").count() == 2
    choose(page, "against", "nearest")
    assert page.locator(".s-list .s-said ins").count() == 0
    assert first.locator(".s-said").get_attribute("lang") is None
    assert first.locator(".s-said .s-text").get_attribute("lang") == "de"
    page.click(".s-more summary >> nth=0")
    rows = page.locator(".s-table >> nth=0").locator("tbody tr")
    assert [row.split("\t") for row in rows.all_inner_texts()] == [["−0.500", "zwei eins ."], ["−1.000", "zwei"]]
    options = "document.querySelector('.s-only [value=refused]').hidden"
    assert page.evaluate(options) is True
    choose(page, "dataset", "ds")
    assert numbers(page)[:2] == [1, 2] and page.evaluate(options) is False and page.is_hidden(".s-against")


def test_it_is_used_by_keys_alone(page):
    page.focus(".s-choice summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("other")
    for _ in range(4):  # over both buttons and the list to its one box
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.inner_text(".s-choice summary").startswith("Outputs shown: 3 of 4")
    page.focus(".s-to-next")
    page.keyboard.press("Enter")
    assert numbers(page)[0] == 21
    assert page.evaluate("document.activeElement.className") == "s-status"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_the_window_and_has_no_barriers(page_of, folder, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(page_of, folder, width=width, scheme=scheme)
    page.check(".s-missing")
    page.click(".s-choice summary")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert [found["id"] for found in axe.Axe().run(page).response["violations"]] == []


def test_it_shows_what_dynamic_kd_chose_from(page_of, dynamic, tmp_path):  # noqa: F811
    readings = [translated(dynamic, "dyn", "argmax", ["x", "y"], ["b a c", "d d"])]
    write_lines(dynamic / "translations/ds/demo/dyn/seed7/target.txt", ["a b", "d d"])
    html(tmp_path / "page", sentences.write(RUN, readings, dynamic, tmp_path / "page"))
    page = opened(page_of, tmp_path / "page")
    page.click(".s-more summary >> nth=0")
    rows = page.locator(".s-list > li").first.locator(".s-table tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["tiny", "1", "100.0", "ab c", ""],
        ["big", "0.5", "50.0", "a b", "dyn"],
        ["raw", "0.8", "130.0", "b a c", "the sum alone"],
    ]
    assert "L_NAT itself is not kept" in page.inner_text(".s-more")


def test_it_shows_a_graph_and_the_paths_taken(page_of, tmp_path):
    results = tmp_path / "results"
    corpus(results, ["s"], ["a b"])
    readings = [translated(results, "dat", decoding, ["a"], ["a b"]) for decoding in ("greedy", "lookahead")]
    vertices = {
        0: {"words": [["<s>", 1.0]], "visited": 1.0, "next": [[2, 0.75], [10, 0.25]]},
        2: {"words": [["a", 0.95], ["b", 0.04], ["c", 0.001]], "visited": 0.75, "next": [[10, 1.0]]},
        10: {"words": [["</s>", 1.0]], "visited": 1.0, "next": []},
    }
    graph = {"vertices": vertices, "paths": {"lookahead": [0, 2, 10], "joint_viterbi": [0, 10]}}
    write_json(results / "graphs/ds/demo/dat/seed7.json", {"sentences": [graph]})
    html(tmp_path / "page", sentences.write(RUN, readings, results, tmp_path / "page"))
    page = opened(page_of, tmp_path / "page")
    assert page.locator(".s-more").count() == 1  # of the system, whatever it is decoded by
    page.click(".s-more summary")
    rows = [row.replace("\xa0", " ").split("\t") for row in page.locator(".s-table tbody tr").all_inner_texts()]
    assert rows == [
        ["0", "<s> (100 %)", "100 %", "2 (75 %), 10 (25 %)", "lookahead, joint_viterbi"],
        ["2", "a (95 %), b (4.0 %)", "75 %", "10 (100 %)", "lookahead"],
        ["10", "</s> (100 %)", "100 %", "", "lookahead, joint_viterbi"],
    ]


def test_a_missing_script_is_named(browser, page_of, tmp_path):
    html(tmp_path, ["gone away"])
    context = browser.new_context()  # not page_of's: the browser reports an error
    page = context.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    page.wait_for_function("document.querySelector('.s-status').textContent.includes('cannot be read')")
    assert page.inner_text(".s-status").startswith("sentences/gone%20away.js cannot be read: sentences lie beside")
    assert not page.is_visible(".s-controls")
    context.close()
