"""What a reader of a run's page meets, in a real browser: with mouse, keyboard and screen reader, wide and narrow."""

import csv
import io
import shutil
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from PIL import Image
from tests.report.whole import CLAIMS, COMMIT, HOSTILE, SENTENCE, TABLE1

WIDE, NARROW = 1440, 390
TABLE = "#mple\\.table1\\.rows"
LABELS = [f"{row['label']} *" if row.get("ours") else row["label"] for row in TABLE1["rows"]]


@pytest.fixture(scope="module")
def seen(browser, whole):
    """The page, opened once: ``page``, ``report``, and what it asked for and said: ``requests``, ``messages``."""
    context = browser.new_context(viewport={"width": WIDE, "height": 900}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(60_000)  # of a busy machine
    requests, messages = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: (messages.append(dialog.message), dialog.dismiss()))
    yield SimpleNamespace(page=page, report=whole.report, requests=requests, messages=messages)
    context.close()


@pytest.fixture
def page(seen):
    """The page as it opens. Whatever a test does, it says nothing, runs into no error, and needs no network."""
    seen.requests.clear()
    seen.messages.clear()
    _open(seen.page, seen.report)
    yield seen.page
    assert seen.messages == []
    assert {urlsplit(url).scheme for url in seen.requests} <= {"file", "data"}


def _open(page, report, width=WIDE, scheme="light"):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto((report / "index.html").as_uri())


def unfolded(page):
    """The page with all that is folded away shown."""
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    return page


def test_it_opens_of_one_file_and_shows_texts_as_they_are(page, seen):
    assert seen.requests == [(seen.report / "index.html").as_uri()]
    assert page.title() == "natlab: small" and page.locator("h1").inner_text() == "small"
    assert page.locator(f"{TABLE} th[scope=row]").nth(2).inner_text() == HOSTILE
    assert page.evaluate("document.getElementById('natlab.table2.rows').rows[1].cells[2].textContent") == SENTENCE
    assert page.locator("main script:not([type])").count() == 0


# ---- tables


def groups(page):
    """The labels of a table's rows, group by group, without the tags and datasets beside them."""
    return page.evaluate(
        """table => [...document.querySelector(table).tBodies].map(body => [...body.rows].map(row =>
        [...row.cells[0].childNodes].filter(of => of.nodeName !== "SPAN").map(of => of.textContent).join("")))""",
        TABLE,
    )


def head(page, name):
    return page.locator(f"{TABLE} thead th").filter(has=page.get_by_role("button", name=name, exact=True))


def measured(report, column):
    """The values of a column by row, from the table's CSV: what was measured, else what was published."""
    with open(report / "tables/mple.table1.csv", encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["column"] == column]
    values = {}
    for label, row, line in zip(LABELS, TABLE1["rows"], lines, strict=True):
        value = line["measured"] or line["published"]
        values[label] = float(value) if value and not row.get("quoted") else None
    return values


@pytest.mark.parametrize(("name", "column"), [("BLEU", "bleu"), ("speed", "speed"), ("gap", "gap")])
def test_rows_are_sorted_within_their_groups_those_without_a_value_last(page, seen, name, column):
    at, nat = ["AT", LABELS[0]], LABELS[1:]
    assert groups(page) == [at, ["NAT", *nat]]
    values, button = measured(seen.report, column), head(page, name).get_by_role("button")
    valued = [label for label in nat if values[label] is not None]
    none = [label for label in nat if values[label] is None]
    assert len(valued) >= 2 and none
    button.click()
    falling = sorted(valued, key=values.get, reverse=True)
    assert groups(page) == [at, ["NAT", *falling, *none]]
    assert head(page, name).get_attribute("aria-sort") == "descending"
    button.click()
    assert groups(page) == [at, ["NAT", *falling[::-1], *none]]
    assert head(page, name).get_attribute("aria-sort") == "ascending"
    assert page.locator(f"{TABLE} [aria-sort]").count() == 1


def test_rows_are_sorted_by_their_labels_too(page):
    head(page, "BLEU").get_by_role("button").click()
    head(page, "Row").get_by_role("button").click()
    assert groups(page)[1][1:] == sorted(LABELS[1:], reverse=True)
    head(page, "Row").get_by_role("button").click()
    assert groups(page)[1][1:] == sorted(LABELS[1:])
    assert head(page, "BLEU").get_attribute("aria-sort") is None


def test_columns_of_texts_are_not_sorted(page):
    assert page.locator(f"{TABLE} thead th").filter(has_text="iterations").get_by_role("button").count() == 0


def test_rows_that_nothing_measured_are_folded_and_shown_again(page):
    button = page.locator('[data-fold="mple.table1.rows"]')
    rows = page.locator(f"{TABLE} tbody tr").filter(has=page.locator("th[scope=row]"))
    unfilled = {"CMLM", "GLAT"}
    assert button.inner_text() == "Show the 2 rows that nothing here measured"
    for pressed in (True, False, True):
        assert button.get_attribute("aria-pressed") == str(pressed).lower()
        shown = {label for number, label in enumerate(LABELS) if rows.nth(number).is_visible()}
        assert shown == (set(LABELS) if pressed else set(LABELS) - unfilled)
        button.click()


def copied(page, kind):
    button = page.locator(f'[data-of="mple.table1"][data-copy="{kind}"]')
    button.click()
    page.wait_for_function("button => button.textContent === 'Copied'", arg=button.element_handle())
    return page.evaluate("navigator.clipboard.readText()")


def test_a_table_is_copied_as_csv_markdown_and_latex(page, seen):
    head_of, *lines = csv.reader(io.StringIO(copied(page, "csv")))
    assert head_of == ["row", "group", "value", "iterations", "BLEU", "speed", "gap"]
    with open(seen.report / "tables/mple.table1.csv", encoding="utf-8", newline="") as file:
        tidy = list(csv.DictReader(file))
    expected = []
    for number, label in enumerate(LABELS):
        of = {line["column"]: line for line in tidy if line["line"] == str(number + 1)}
        for kind in ("published", "measured", "std", "difference"):
            values = [of[column][kind] for column in ("iterations", "bleu", "speed", "gap")]
            if any(values):
                expected.append([label, of["bleu"]["group"], kind, *values])
    assert lines == expected and len(lines) > 15
    for kind in ("md", "tex"):
        assert copied(page, kind) == (seen.report / f"tables/mple.table1.{kind}").read_text("utf-8")


def test_a_button_that_copies_says_so_for_a_while_however_often_it_is_pressed(page):
    page.clock.install()
    button = page.locator('[data-of="natlab.table2"][data-copy="md"]')
    button.click()
    page.wait_for_function("button => button.textContent === 'Copied'", arg=button.element_handle())
    page.clock.run_for(500)
    button.click()
    page.clock.run_for(5000)
    page.wait_for_function("button => button.textContent === 'Markdown'", arg=button.element_handle())
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")
    button.click()
    page.wait_for_function("button => button.textContent === 'Not allowed to copy'", arg=button.element_handle())
    page.clock.resume()


# ---- where a value comes from


def test_a_value_says_what_it_was_measured_of(page):
    value = page.locator('[data-at="mple.table1|1|bleu"]')
    dialog = page.locator("dialog#origin")
    assert not dialog.is_visible()
    value.click()
    assert dialog.is_visible() and dialog.locator("h2").inner_text() == "KD, BLEU"
    facts = dialog.evaluate(
        "of => [...of.querySelectorAll('tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert dict(facts) == {
        "Dataset": "ds", "System": "kd", "Decoding": "argmax", "Split": "test", "Metric": "bleu_tok", "Sentences": "40",
        "Signature": "nrefs:1|tok:none", "Model": "kd-1", "Commit": f"{COMMIT} with uncommitted changes",
        "Device": "Some CPU", "File": "ds/demo/kd/seed1/argmax.test.json", "Seed 1": "21.1", "Seed 2": "21.2",
    }  # fmt: skip
    page.keyboard.press("Escape")
    assert not dialog.is_visible() and value.evaluate("button => button === document.activeElement")
    value.click()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_another_value_replaces_the_first_and_texts_stay_texts(page):
    dialog = page.locator("dialog#origin")
    for place, title in (("mple.table1|1|bleu", "KD, BLEU"), ("mple.table1|2|speed", f"{HOSTILE}, speed")):
        page.locator(f'[data-at="{place}"]').click()
        assert dialog.locator("h2").all_inner_texts() == [title] and dialog.locator("table").count() == 1
        page.keyboard.press("Escape")
    page.locator('[data-at="natlab.table2|0|says"]').click()
    assert dialog.evaluate("of => of.querySelector('tr:last-child td').textContent") == SENTENCE


# ---- the ways through the page


def test_all_links_lead_somewhere(page, seen):
    links = page.evaluate("[...document.links].map(link => [link.getAttribute('href'), link.href])")
    assert len(links) > 25
    for written, resolved in links:
        address, fragment = urldefrag(resolved)
        assert Path(unquote(urlsplit(address).path)).is_file(), written
        assert not fragment or page.evaluate("id => document.getElementById(id) !== null", unquote(fragment)), written


def test_each_claim_of_the_summary_leads_to_its_evidence_in_one_click(page):
    for claim in CLAIMS["claims"]:
        link = page.locator("#summary").get_by_role("link", name=claim["claim"], exact=True)
        if claim["id"] == "c":  # which is not measured, and folded away
            assert not link.is_visible()
            page.locator("#summary").get_by_text("1 claim that this run does not measure").click()
        link.click()
        place = page.locator(f'[id="mple.claims.{claim["id"]}"]')
        assert place.is_visible() and place.inner_text().startswith(claim["claim"])  # unfolded, too
        top = place.evaluate("of => of.getBoundingClientRect().top")
        assert 0 <= top < 900
        parts = place.evaluate(
            "of => [...of.nextElementSibling.querySelectorAll('tbody th')].map(cell => cell.textContent)"
        )
        assert parts == [part["says"] for part in claim["parts"]]


def test_the_contents_lead_to_every_part(page):
    names = page.locator("nav.contents a").all_inner_texts()
    assert names == [
        "Summary", "MPLE claims", "MPLE Table 1", "natlab Table 2", "MPLE Figure 5", "MPLE Figure 1", "Training curves",
        "Sentences", "Data", "Words", "All runs",
    ]  # fmt: skip
    assert page.locator("nav.contents details").get_attribute("open") is not None


def test_it_works_by_keyboard(page):
    focused = "document.activeElement"
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.textContent") == "To the content"
    box = page.locator(".skip").bounding_box()
    assert box["x"] >= 0 and box["y"] >= 0  # seen while it has the focus

    def tab_to(what):
        for _ in range(150):
            page.keyboard.press("Tab")
            if page.evaluate(f"what => {focused}.matches(what)", what):
                return
        raise AssertionError(f"Tab does not reach {what}")

    page.keyboard.press("Enter")
    tab_to(f"{TABLE} th:nth-child(3) .sort")
    page.keyboard.press("Enter")
    assert head(page, "BLEU").get_attribute("aria-sort") == "descending" and groups(page)[1][1] == HOSTILE
    assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    tab_to("button.value")
    page.keyboard.press("Enter")
    assert page.locator("dialog#origin").is_visible()
    assert page.evaluate(f"{focused}.closest('dialog') !== null")
    page.keyboard.press("Escape")
    assert page.evaluate(f"{focused}.matches('button.value')")


# ---- training curves


def loaded(page):
    """Where the curves' picture comes from, once it is there."""
    page.wait_for_function(
        "() => { const of = document.getElementById('curves-picture'); return of.complete && of.naturalWidth > 0 }"
    )
    return page.locator("#curves-picture").get_attribute("src")


def test_curves_are_loaded_when_they_are_asked_for(page, seen):
    assert page.locator("#curves-picture").get_attribute("src") is None
    assert not any("/curves/" in url for url in seen.requests)
    page.locator("#curves summary").click()
    assert loaded(page) == "curves/ds.transformer.seed1.svg"
    assert page.locator("#curves-picture").get_attribute("alt") == "Training curves of transformer; ds, seed 1"
    page.get_by_label("Model").select_option(label="kd; ds, seed 1")
    assert loaded(page) == "curves/ds.kd.seed1.svg"
    assert [Path(url).name for url in seen.requests if "/curves/" in url] == [
        "ds.transformer.seed1.svg", "ds.kd.seed1.svg",
    ]  # fmt: skip
    assert not page.locator("#curves-absent").is_visible()


def test_where_curves_are_not_the_page_says_how_to_draw_them(seen, tmp_path):
    """As in a clone."""
    page = seen.page
    shutil.copy(seen.report / "index.html", tmp_path)
    _open(page, tmp_path)
    page.locator("#curves summary").click()
    page.locator("#curves-absent").wait_for(state="visible")
    assert "natlab rebuild" in page.locator("#curves-absent").inner_text()
    assert not page.locator("#curves-picture").is_visible()


# ---- looks


def test_figures_are_shown(page):
    sizes = page.evaluate("[...document.querySelectorAll('figure img[src]')].map(of => [of.naturalWidth, of.alt])")
    assert len(sizes) == 2 and all(width > 300 for width, _ in sizes)
    assert sizes[0][1] == TABLE1["title"]


def test_light_and_dark_are_the_readers_choice(page):
    colours = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        style = "getComputedStyle(document.body)"
        colours[scheme] = page.evaluate(
            f"[{style}.backgroundColor, {style}.color].map(of => Number(of.match(/\\d+/)[0]))"
        )
    assert colours["light"][0] > 200 > 100 > colours["light"][1]
    assert colours["dark"][0] < 100 < 200 < colours["dark"][1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_wider_than_its_frame_has_a_shadow_until_its_end(seen, scheme):
    """At its right edge the ground is not seen, and at the end, which keys reach too, it is."""
    page = seen.page
    _open(page, seen.report, NARROW, scheme)
    frame = page.locator(".scroll", has=page.locator(TABLE))

    def ground():
        """The share of the frame's last column of pixels that has the page's colour."""
        picture = Image.open(io.BytesIO(frame.screenshot())).convert("RGB")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        column = [picture.getpixel((picture.width - 2, y)) for y in range(picture.height)]
        return column.count(tuple(colour)) / len(column)

    assert ground() < 0.2
    frame.focus()
    while frame.evaluate("of => of.scrollLeft + of.clientWidth < of.scrollWidth - 1"):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(50)
    assert ground() > 0.5


def test_on_a_phone_a_claims_parts_stand_one_below_the_other_each_with_its_head(seen):
    page = seen.page
    _open(page, seen.report, NARROW)
    region = page.locator(".scroll", has=page.locator("table.claims")).first
    assert region.evaluate("of => of.scrollWidth <= of.clientWidth")
    heads = region.evaluate("of => [...of.querySelectorAll('td')].map(of => getComputedStyle(of, '::before').content)")
    assert heads[:2] == ['"verdict: "', '"measured: "']


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_everybody_can_use_it_and_nothing_is_wider_than_the_window(seen, width, scheme):
    """axe finds nothing serious, wherever the page is unfolded and in the dialog; only tables scroll sideways."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = seen.page
    _open(page, seen.report, width, scheme)
    assert page.locator("nav.contents details").evaluate("of => of.open") is (width == WIDE)
    unfolded(page)
    loaded(page)

    def found(context=None):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        violations = axe.Axe().run(page, context).response["violations"]
        return [
            (violation["id"], node["html"], node["failureSummary"])
            for violation in violations
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    assert found() == []
    page.locator('[data-at="mple.table1|2|bleu"]').click()
    assert page.locator("dialog#origin").is_visible()
    box = page.locator("dialog#origin").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert found("#origin") == []
