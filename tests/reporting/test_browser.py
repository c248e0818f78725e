"""A report in a real browser: what it runs, loads, sorts and opens, and that it fits a phone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from builders.report_results import (
    GERMAN,
    revised,
    sample,
    submit,
    write_run,
    write_sweep,
)

from lsn_eval.reporting import report as write_report

api = pytest.importorskip(
    "playwright.sync_api", reason="the browser tests need the playwright package"
)
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the path"
    ),
]

HOSTILE = (
    '<script>window.pwned=1</script><img src=x onerror="window.pwned=2"></script></style><!--'
    "<svg onload=window.pwned=3><a href=\"javascript:window.pwned=4\">x</a>' onclick='pwned=5"
    "<iframe srcdoc='<script>parent.pwned=6</script>'></iframe>\u202eevil \x00 "
)
SIZES = {"phone": (375, 800), "narrow": (360, 780), "desktop": (1280, 900)}


@pytest.fixture(scope="session")
def browser():
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Ordinary results, and beside them a run whose every text is hostile."""
    folder = tmp_path_factory.mktemp("report")
    results = write_sweep(folder / "results", 6)
    long = [sample(n, HOSTILE + GERMAN, (HOSTILE + GERMAN) * 6, 1.0, HOSTILE) for n in range(6)]
    write_run(
        folder / "results" / "hostile", "en:zero/de:p90", {"de": long},
        perplexities={"de": 4.5, "zh": 71.25}, unchanged=[HOSTILE + "a" * 300], device=HOSTILE,
        batch_size=HOSTILE,
    )  # fmt: skip
    out = folder / "report.html"
    write_report([results], out)
    return out


class Visit:
    """A page that is open, with everything that it said and asked for."""

    def __init__(self, browser, report: Path, size: str, **options) -> None:
        width, height = SIZES[size]
        self.width, self.height = width, height
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.add_init_script(
            "window.violations = [];"
            "document.addEventListener('securitypolicyviolation',"
            " (event) => window.violations.push(event.violatedDirective));"
        )
        self.page.goto(report.as_uri())

    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        return self.page.evaluate("document.scrollingElement.scrollWidth - innerWidth")

    def open_all(self) -> None:
        self.page.evaluate(
            "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
        )
        self.page.wait_for_selector("tr.opened")  # rows with details come after the event


@pytest.fixture
def visit(browser, report):
    visits = []

    def open_page(size: str = "desktop", **options) -> Visit:
        visits.append(Visit(browser, report, size, **options))
        return visits[-1]

    yield open_page
    for opened in visits:
        opened.context.close()


@pytest.fixture(scope="module")
def desktop(browser, report):
    opened = Visit(browser, report, "desktop", permissions=["clipboard-read", "clipboard-write"])
    yield opened.page
    opened.context.close()


@pytest.fixture
def page(desktop):
    """The one page of most tests, as it is when it was just opened."""
    desktop.reload()
    return desktop


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_leaderboard_is_filtered_and_fits(browser, tmp_path, size):
    for name in ("org/anna", HOSTILE):
        submit(tmp_path / name[:3], name)
    submit(tmp_path / "carl", "org/carl", revised)
    out = tmp_path / "board.html"
    write_report([tmp_path], out, by="model")
    seen = Visit(browser, out, size)
    page = seen.page
    count = page.locator("#filters output")
    rows = "(all) => all.filter((one) => !one.hidden).map((one) => one.dataset)"
    api.expect(count).to_have_text("numbers: 24")
    for facet, value, left in (
        ("model", "org/anna", 12), ("condition", "de:zero", 4), ("language", "de", 2),
        ("metric", "accuracy", 1), ("task", "read_*", 0),
    ):  # fmt: skip
        page.locator(f"#filter-{facet}").select_option(value)
        api.expect(count).to_have_text(f"numbers: {left}")
        shown = page.eval_on_selector_all("#numbers tbody tr", rows)
        assert len(shown) == left
        assert all(one[facet] == value for one in shown)
    page.locator("#filter-task").select_option("")
    page.locator("#numbers thead th").nth(7).locator("button").click()
    api.expect(count).to_have_text("numbers: 1")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert seen.overflow() <= 0
    assert page.evaluate("window.pwned") is None
    assert seen.said == []
    assert page.evaluate("window.violations") == []
    assert seen.requests == [out.as_uri()]
    seen.context.close()


PERPLEXITY = "#panel-2-1"
TEXT = "(cell.querySelector('summary') || cell).textContent.trim()"
NUMBER = "Number(cell.dataset.value)"


def column(page, table: str, number: int, told: str = TEXT) -> list[Any]:
    """What stands in a column, row by row."""
    rows = f"{table} tbody tr:not(.under)"
    script = f"(rows, n) => rows.map((row) => row.cells[n]).map((cell) => {told})"
    return page.eval_on_selector_all(rows, script, number)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_quiet_and_alone_and_fits(visit, report, size):
    seen = visit(size)
    page = seen.page
    assert seen.overflow() <= 0
    flag = page.eval_on_selector(".flag", "(one) => one.getBoundingClientRect().bottom")
    assert flag < seen.height  # that there are warnings is in the first screen
    seen.open_all()
    page.wait_for_timeout(200)
    assert page.locator("tr.opened").count() > 10
    assert seen.overflow() <= 0
    # However wide a table is, it scrolls in its own container.
    page.evaluate(
        "document.querySelectorAll('table').forEach((t) => { t.style.minWidth = '2000px'; })"
    )
    assert page.eval_on_selector_all(
        ".scroll", "(all) => all.every((one) => one.scrollWidth > one.clientWidth)"
    )
    assert seen.overflow() <= 0
    # What the model wrote is there, and does not run.
    assert page.evaluate("document.body.textContent.includes('window.pwned=1')")
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.evaluate("document.scripts.length") == 1
    assert page.evaluate("document.querySelectorAll('iframe, svg, object, form').length") == 0
    assert "\u202e" not in page.content()
    assert seen.said == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [report.as_uri()]
    assert page.evaluate("window.violations") == []


def test_the_policy_is_in_force(visit):
    seen = visit()
    seen.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.pwned=9';"
        " document.body.append(s); const i = new Image(); i.src = 'https://example.org/x.png'; }"
    )
    seen.page.wait_for_timeout(200)
    assert seen.page.evaluate("typeof window.pwned") == "undefined"
    directives = seen.page.evaluate("window.violations")
    assert any(name.startswith("script-src") for name in directives)
    assert "img-src" in directives


def test_numbers_are_sorted_as_numbers_both_ways_and_back(page):
    original = column(page, PERPLEXITY, 0)
    head = page.locator(f"{PERPLEXITY} thead th").nth(2)
    button = head.locator("button")
    button.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    up = column(page, PERPLEXITY, 2, NUMBER)
    assert up == sorted(up)
    assert len(set(up)) > 2
    # As words "+100.0" stands before "+790.6", and both before "0.0" or "8.00".
    assert up != [value for _, value in sorted(zip(column(page, PERPLEXITY, 2), up, strict=True))]
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert "descending" in page.locator("#said").text_content()
    assert column(page, PERPLEXITY, 2, NUMBER) == sorted(up, reverse=True)
    button.click()
    assert head.get_attribute("aria-sort") == "none"
    assert column(page, PERPLEXITY, 0) == original


def test_equal_rows_keep_their_order_and_controls_their_condition(page):
    original = column(page, "#run-3", 0)
    page.locator("#run-3 thead th").nth(7).locator("button").click()
    assert column(page, "#run-3", 0) == original  # one file each
    page.locator("#run-3 thead th").nth(0).locator("button").click()
    assert column(page, "#run-3", 0) == sorted(original)
    rows = page.locator("#run-3 tbody th").all_text_contents()
    assert rows[[row.strip() for row in rows].index("de:zero") + 1].strip().startswith("2 controls")


SUMMARY = f"{PERPLEXITY} td details.more > summary"
OPENED = f"{PERPLEXITY} tr.opened"
IN_SIGHT = """(one) => {
  const box = one.getBoundingClientRect();
  const frame = one.closest(".scroll").getBoundingClientRect();
  const head = one.closest("tr").cells[0].getBoundingClientRect();
  return [box.left, box.right, frame.left, frame.right, head.right];
}"""


def test_details_open_by_keyboard_below_the_row(page):
    summary = page.locator(SUMMARY).first
    assert page.locator(OPENED).count() == 0
    summary.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(OPENED)
    told = page.locator(f"{OPENED} p")
    assert told.count() == 1
    assert " after " in told.text_content()
    assert told.text_content().startswith("de ")  # its column
    assert " after " in page.locator("#said").text_content()
    row = summary.locator("xpath=ancestor::tr")
    assert row.evaluate("(row) => row.nextElementSibling.className") == "opened"
    # A second number of the row is told in the same place, and each closes alone.
    row.locator("details.more > summary").nth(1).press("Enter")
    api.expect(page.locator(f"{OPENED} p")).to_have_count(2)
    assert page.locator(OPENED).count() == 1
    summary.press("Enter")
    api.expect(page.locator(f"{OPENED} p")).to_have_count(1)
    assert page.locator(f"{OPENED} p").text_content().startswith("zh ")
    row.locator("details.more > summary").nth(1).press("Enter")
    api.expect(page.locator(OPENED)).to_have_count(0)


@pytest.mark.parametrize("size", ["phone", "narrow"])
def test_a_detail_stays_in_sight_of_its_number_on_a_phone(visit, size):
    """Whatever the fonts: the frame scrolls, and the detail stays in it."""
    seen = visit(size, has_touch=True, is_mobile=True)
    page = seen.page
    number = page.locator(SUMMARY).nth(1)
    cell = number.locator("xpath=ancestor::td")
    number.scroll_into_view_if_needed()
    before = cell.evaluate("(cell) => cell.getBoundingClientRect().width")
    number.tap()
    page.wait_for_selector(OPENED)
    assert cell.evaluate("(cell) => cell.getBoundingClientRect().width") == before
    left, right, frame_left, frame_right, head_right = number.evaluate(IN_SIGHT)
    assert frame_left <= head_right <= left < right <= frame_right <= seen.width
    for scrolled in (0, 40, 10_000):
        page.eval_on_selector(
            PERPLEXITY, "(table, x) => { table.parentElement.scrollLeft = x; }", scrolled
        )
        head = page.locator(f"{PERPLEXITY} tbody th").first  # the first column stays in sight
        left, _, frame_left, *_ = head.evaluate(IN_SIGHT)
        assert abs(left - frame_left) < 3
        told = page.locator(f"{OPENED} div")
        left, right, frame_left, frame_right, _ = told.evaluate(IN_SIGHT)
        assert 0 <= frame_left <= left < right <= frame_right <= seen.width
        assert told.evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0
    assert seen.overflow() <= 0


def test_sorted_rows_keep_their_detail(page):
    page.locator(SUMMARY).first.press("Enter")
    page.wait_for_selector(OPENED)

    def above() -> str:
        return page.eval_on_selector(
            OPENED, "(row) => row.previousElementSibling.cells[0].textContent.trim()"
        )

    condition = above()
    places = set()
    for _ in range(3):
        page.locator(f"{PERPLEXITY} thead th").nth(2).locator("button").click()
        assert above() == condition
        places.add(page.eval_on_selector(OPENED, "(row) => row.rowIndex"))
    assert len(places) > 1


def test_details_show_on_hover(page):
    summary = page.locator(f"{PERPLEXITY} td details.more > summary").first
    assert not page.locator("#tip").is_visible()
    summary.scroll_into_view_if_needed()
    page.wait_for_timeout(200)  # scrolling hides it
    summary.hover()
    assert "after" in page.locator("#tip").text_content()
    assert page.locator("#tip").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def shown(page, selector: str) -> list[str]:
    """Of the elements that are to be seen, what each is about."""
    return page.eval_on_selector_all(
        selector,
        "(all) => all.filter((one) => one.checkVisibility()).map((one) =>"
        " one.dataset.condition || one.querySelector('.number').textContent)",
    )


def test_answers_are_filtered_by_language_task_condition_and_change(page):
    conditions = "#answers .answers > li"
    count = page.locator("#filters output")
    api.expect(count).to_have_text("documents: 12, answers: 42")
    page.locator("#filter-changed").check()
    assert set(shown(page, conditions)) == {"de:zero", "zh:zero"}
    assert len(shown(page, "#answers .document")) == 12
    page.locator("#filter-language").select_option("zh")
    assert set(shown(page, conditions)) == {"zh:zero"}
    assert len(shown(page, "#answers .document")) == 6
    page.locator("#filter-task").select_option("ask_de")
    api.expect(count).to_have_text("documents: 0, answers: 0")
    for name in ("language", "task"):
        page.locator(f"#filter-{name}").select_option("")
    page.locator("#filter-condition").select_option("random1-de:zero")
    api.expect(count).to_have_text("documents: 0, answers: 0")
    page.locator("#filter-changed").uncheck()
    assert set(shown(page, conditions)) == {"random1-de:zero"}
    assert shown(page, ".matrix") == ["random1-de:zero"]
    page.locator("#filter-condition").select_option("")
    api.expect(count).to_have_text("documents: 12, answers: 42")


@pytest.mark.parametrize(("size", "screens"), [("desktop", 2), ("phone", 3)])
def test_verdict_picture_and_telling_answers_come_before_anything_long(visit, size, screens):
    seen = visit(size)
    ends = [
        seen.page.eval_on_selector(one, "(one) => one.getBoundingClientRect().bottom")
        for one in (".headline", ".screen img", ".telling")
    ]
    assert ends == sorted(ends)
    assert ends[1] < seen.height
    assert ends[2] < screens * seen.height


def test_signatures_are_copied_or_selected_where_there_is_no_clipboard(page):
    page.locator("#signatures .copy").first.click()
    page.wait_for_function("document.getElementById('said').textContent")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert len(lines) > 5
    assert all(line.startswith("model:small|") for line in lines)
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    )
    page.locator("#signatures .copy").first.click()
    page.wait_for_function("document.getElementById('said').textContent === 'Selected'")
    assert page.evaluate(
        "document.querySelector('#signature-lines').contains(getSelection().anchorNode)"
    )


def test_without_scripts_everything_is_there(visit):
    page = visit(java_script_enabled=False).page
    assert page.locator("table").count() > 5
    assert page.locator("button, select, input").count() == 0  # none that would do nothing
    page.locator(".matrix > summary").first.click()
    api.expect(page.locator(".matrix table").first).to_be_visible()
    page.locator(SUMMARY).first.click()
    api.expect(page.locator(f"{PERPLEXITY} td details.more").first).to_have_attribute("open", "")


def test_the_skip_link_is_the_first_stop(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_and_figures_keep_a_white_ground_and_scale(visit, scheme):
    page = visit(color_scheme=scheme).page
    worst = page.evaluate(CONTRAST)
    assert worst["ratio"] >= 4.5, worst
    page.set_viewport_size({"width": 375, "height": 800})
    found = page.eval_on_selector_all(
        "figure img",
        "(all) => all.map((one) => [getComputedStyle(one).backgroundColor, one.naturalWidth,"
        " one.getBoundingClientRect().right])",
    )
    assert found
    for ground, natural, right in found:
        assert ground == "rgb(255, 255, 255)"
        assert natural > 0  # it could be drawn
        assert right <= 375


def test_paper_shows_what_is_folded(page):
    page.evaluate("document.querySelectorAll('.more').forEach((d) => { d.open = true; })")
    page.wait_for_timeout(300)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not(.more):not([open])").count() == 0
    assert not page.locator("nav").is_visible()
    # A4 between margins of a centimetre; what is wider would be cut.
    page.set_viewport_size({"width": 718, "height": 1000})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 718


CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).slice(0, 3).map((v) => {
      const part = v / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      const parts = numbers(colour);
      if (parts.length < 4 || parts[3] > 0) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  let worst = { ratio: 99 };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.tagName === "SCRIPT") continue;
    if (!element.getClientRects().length) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: walker.currentNode.textContent.slice(0, 40), class: element.className };
  }
  return worst;
}"""
"""The least contrast of any text with what is behind it (WCAG 2.1, section 1.4.3)."""
