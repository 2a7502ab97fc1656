"""A browser, where one is installed, and pages in it."""

import shutil

import pytest


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window, by playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page_of(browser):
    """``page_of(folder)``: its index.html, opened as a file, in a window ``width`` px wide, in a light or dark
    ``scheme``. At the end no page may have reported an error or asked the network for anything."""
    contexts, problems = [], []

    def opened(folder, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: request.url.startswith("file:") or problems.append(request.url))
        page.goto((folder / "index.html").resolve().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []
