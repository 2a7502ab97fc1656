"""A paper's claims on the page, and the counts of their verdicts."""

from tests.report.whole import HOSTILE, RUN

from natlab.report.claims import HOLDS, REFUTED, UNDECIDED, UNMEASURED, Result
from natlab.report.page import claims

STATED = {
    "paper": "MPLE: a paper",
    "title": "What & how",
    "claims": [
        {"id": "a", "claim": "KD < all", "source": "section 1"},
        {"id": "b", "claim": HOSTILE, "source": HOSTILE},
    ],
}
RESULTS = [
    Result("a", 1, "in order", HOLDS, "1, 2", 1.0, 0.99, 0.5, 1.0, "2 seeds", "1 2"),
    Result("b", 1, HOSTILE, UNMEASURED),
    Result("b", 2, "too", REFUTED, "x", -1.0, 0.0, -2.0, 0.0, "sentences", "1"),
]


def test_each_claim_has_its_parts_and_what_they_rest_on():
    shown = claims.section("mple/claims", STATED, RESULTS, RUN)
    first, second = shown.split('<p class="claim" id="')[1:]
    assert first.startswith('mple.claims.a">') and '&lt; all <span class="spread">section 1</span></p>' in first
    assert first.count('<tr><th scope="row">') == 1 and second.count('<tr><th scope="row">') == 2
    assert (
        '<tr><th scope="row">in order</th><td data-head="verdict"><span class="verdict holds">holds</span></td>'
        '<td data-head="measured">1, 2</td><td data-head="statistic" class="number">1.00</td>'
        '<td data-head="agree" class="number">99.0 %</td><td data-head="90 % interval" class="number">0.50 to 1.00</td>'
        '<td data-head="rests on">2 seeds</td><td data-head="seeds">1 2</td></tr>\n'
    ) in first
    assert '<span class="verdict unmeasured">not measured</span>' in second and "<script" not in shown
    assert '<th scope="col">part</th><th scope="col">verdict</th>' in first
    assert "2 of 3 parts were tested." in shown
    assert 'href="claims/mple.claims.csv">CSV</a> · <a href="claims/mple.claims.md">' in shown


def test_verdicts_are_counted_and_shown_without_those_there_are_none_of():
    counts = claims.counted(RESULTS)
    assert counts == {HOLDS: 1, UNMEASURED: 1, REFUTED: 1}
    assert claims.badges(counts) == (
        '<span class="verdicts"><span class="verdict holds">holds 1</span>'
        '<span class="verdict refuted">refuted 1</span><span class="verdict unmeasured">not measured 1</span></span>'
    )
    assert claims.badges({}) == '<span class="verdicts"></span>'
    assert set(claims.STYLES) == {HOLDS, REFUTED, UNDECIDED, UNMEASURED}
