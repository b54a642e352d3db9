"""What a reader does on a page, one function each over a page that is open; it fails where the page
does not do what it should."""

import json
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], None]
CHECKS: dict[str, tuple[str, Check]] = {}  # by name: the page to open, and what is done there


def on(name: str) -> Callable[[Check], Check]:
    def noted(check: Check) -> Check:
        CHECKS[check.__name__] = name, check
        return check

    return noted


def look(part: Any) -> bytes:
    """What is to be seen now where an element is (which may change places with another)."""
    return part.page.screenshot(clip=part.bounding_box(), animations="disabled")


def becomes_other(part: Any, before: bytes) -> bytes:
    """How an element looks when it looks other than before, which it must within seconds."""
    for _ in range(40):
        if (now := look(part)) != before:
            return now
        part.page.wait_for_timeout(50)
    raise AssertionError(f"{part} looks as before")


def becomes(page: Any, wanted: str) -> None:
    """Wait until an expression of the page is true."""
    page.wait_for_function(f"() => {wanted}")


def in_sight(part: Any) -> bool:
    return part.evaluate(
        "(e) => { const { top, bottom } = e.getBoundingClientRect();"
        " return bottom > 0 && top < innerHeight; }"
    )


def picture(box: Any) -> Any:
    return box.locator("img:visible, canvas:visible")


def search(page: Any) -> Any:
    """The results, when somebody has typed into the dialog."""
    page.keyboard.press("Control+k")
    page.locator("dialog[open] input").first.wait_for()
    page.keyboard.type("contrastive divergence")
    hits = page.locator("#genlab-results li")
    hits.first.wait_for()
    return hits


@on("notebooks/dsm")
def search_finds_places_in_pages(page: Any) -> None:
    told = search(page).evaluate_all(
        "(all) => all.map((e) => [e.querySelector('a.genlab-hit').href,"
        " [...e.querySelectorAll('p mark')].map((m) => m.textContent.toLowerCase()).join(' ')])"
    )
    assert any("#" in address and "/rbm.html" in address for address, _ in told), told
    assert all("contrastive" in words or "divergence" in words for _, words in told), told


@on("notebooks/dsm")
def search_leads_to_the_words(page: Any) -> None:
    search(page).locator("a.genlab-hit[href*='rbm.html'][href*='#']").first.click()
    page.wait_for_url("**/rbm.html*")
    marks = page.locator("mark.genlab-mark")
    marks.first.wait_for()
    page.wait_for_timeout(300)
    words = " ".join(marks.all_text_contents()).lower()
    assert "contrastive" in words and "divergence" in words
    assert any(map(in_sight, marks.all()))


@on("book/intro")
def search_may_find_nothing_and_be_left(page: Any) -> None:
    page.keyboard.press("Control+k")
    page.locator("dialog[open] input").first.wait_for()
    page.keyboard.type("qqqxyzzy")
    page.wait_for_timeout(500)
    assert page.locator("#genlab-results a.genlab-hit").count() == 0
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")


@on("notebooks/transport")
def slider_moves_by_keyboard_and_pointer(page: Any) -> None:
    box = page.locator(".genlab-slider").first
    box.scroll_into_view_if_needed()
    handle, told = box.locator("input[type=range]"), []
    handle.focus()
    seen = look(picture(box))
    for key in ("Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        seen = becomes_other(picture(box), seen)
        told.append(handle.get_attribute("aria-valuetext"))
    assert len(set(told)) == 3 and all(told)
    place = handle.bounding_box()
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    becomes_other(picture(box), seen)
    becomes(page, f"!{json.dumps(told)}.includes(document.activeElement.ariaValueText)")


@on("notebooks/autoencoder_finetuning")
def map_shows_the_point_and_is_walked_by_arrows(page: Any) -> None:
    box = page.locator(".genlab-hover").first
    box.scroll_into_view_if_needed()
    shown, circle = box.locator("canvas"), box.locator("circle").nth(100)
    blank = look(shown)
    circle.hover(force=True)
    first = becomes_other(shown, blank)
    assert box.locator("circle.on").count() == 1 and box.locator("output").inner_text()
    box.locator("svg").focus()
    page.keyboard.press("ArrowLeft")
    becomes_other(shown, first)
    where = circle.bounding_box()
    box.get_by_role("button").last.click()
    page.wait_for_timeout(1000)
    assert circle.bounding_box() != where


PLAYER = "notebooks/gan_toy"


def player(page: Any) -> Any:
    box = page.locator(".genlab-player").first
    box.scroll_into_view_if_needed()
    return box


def rests(page: Any, seconds: float) -> None:
    """Nothing that is in sight changes by itself."""
    page.wait_for_timeout(300)
    before = page.screenshot()
    page.wait_for_timeout(1000 * seconds)
    assert page.screenshot() == before


def player_rests(page: Any, seconds: float) -> None:
    play = player(page).locator("button.genlab-play[aria-pressed=false]")
    play.wait_for()
    rests(page, seconds)
    assert play.count() == 1


@on(PLAYER)
def player_rests_until_it_is_asked(page: Any) -> None:
    player_rests(page, 5.5)


@on(PLAYER)
def player_rests_where_less_motion_is_wished(page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    player_rests(page, 1)


@on(PLAYER)
def player_plays_and_pauses(page: Any) -> None:
    box = player(page)
    play, handle = box.locator("button.genlab-play"), box.locator("input[type=range]")
    handle.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(300)
    start = look(picture(box))
    play.click()
    assert play.get_attribute("aria-pressed") == "true"
    becomes_other(picture(box), start)
    page.wait_for_function("(e) => e.value > 1", arg=handle.element_handle())
    play.click()
    assert play.get_attribute("aria-pressed") == "false"
    place = handle.input_value()
    rests(page, 1)
    assert handle.input_value() == place


@on(PLAYER)
def player_steps_and_scrubs(page: Any) -> None:
    box = player(page)
    handle, told = box.locator("input[type=range]"), box.locator("output")
    handle.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(300)
    first = look(picture(box))
    for by, at in ((1, 1), (1, 2), (-1, 1)):
        box.locator(f"button.genlab-step[data-step='{by}']").click()
        assert handle.input_value() == str(at)
    second = becomes_other(picture(box), first)
    handle.focus()
    page.keyboard.press("End")
    assert handle.input_value() == handle.get_attribute("max")
    becomes_other(picture(box), second)
    assert handle.get_attribute("aria-valuetext") == told.inner_text() != ""


@on("book/how_to_rerun")
def code_is_copied(page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = page.locator("div.highlight:visible").first
    block.hover()
    block.locator("button.copybtn").click()
    page.wait_for_timeout(200)
    code = block.locator("pre").inner_text()
    assert page.evaluate("navigator.clipboard.readText()").strip() == code.strip() != ""


@on("notebooks/dsm")
def figure_is_enlarged_and_gives_the_focus_back(page: Any) -> None:
    box, figure = page.locator("dialog.genlab-lightbox[open]"), page.locator("article figure img")
    figure = figure.locator("visible=true").first
    figure.click()
    for again in (True, False):
        box.wait_for()
        assert box.locator("img").first.bounding_box()["width"] > 600
        page.keyboard.press("Escape")
        box.wait_for(state="detached")
        assert figure.evaluate(
            "(e) => !!document.activeElement?.contains(e)"
            " && document.activeElement !== document.body"
        )
        if again:
            page.keyboard.press("Enter")


@on("book/ledger")
def table_is_sorted(page: Any) -> None:
    table = page.locator("table.genlab-sortable").first
    heads = table.locator("thead th").all_inner_texts()
    column = next(i for i, head in enumerate(heads) if "value" in head)
    head = table.locator("thead th").nth(column)
    cells = f"(t) => [...t.tBodies[0].rows].map((r) => r.cells[{column}].dataset.value ?? '')"
    for way in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == way
        values = [float(text) for text in table.evaluate(cells) if text]
        assert values == sorted(values, reverse=way == "descending") and len(set(values)) > 100


@on("book/ledger")
def table_is_filtered(page: Any) -> None:
    field, table = page.locator(".genlab-filter input"), page.locator("table.genlab-sortable")
    rows = "document.querySelector('table.genlab-sortable').tBodies[0].rows"
    seen = f"[...{rows}].filter((r) => r.checkVisibility()).map((r) => r.textContent)"
    whole = page.evaluate(f"{rows}.length")
    table.first.wait_for()
    field.first.fill("dsm w2")
    becomes(page, f"{seen}.length < {whole}")
    texts = [text.lower() for text in page.evaluate(seen)]
    assert texts and all("dsm" in text and "w2" in text for text in texts)
    field.first.fill("")
    becomes(page, f"{seen}.length === {whole}")


@on("book/intro")
def theme_is_kept_from_page_to_page(page: Any) -> None:
    theme, ground = "document.documentElement.dataset.theme", "getComputedStyle(document.body)"
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert page.evaluate(theme) == "dark"  # as the system wants it
    dark = page.evaluate(f"{ground}.backgroundColor")
    switch = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        if page.evaluate(theme) == "dark":
            switch.click()
    page.goto(page.url.replace("book/intro", "notebooks/dsm"))
    assert page.evaluate(theme) == "light" and page.evaluate(f"{ground}.backgroundColor") != dark


@on("notebooks/rbm")
def citation_has_a_card(page: Any) -> None:
    cited = page.locator("article a[href*='references.html#']:visible").first
    card = page.locator(".genlab-hovercard:visible").first
    cited.focus()
    card.wait_for()
    assert len(card.inner_text()) > 20
    page.keyboard.press("Escape")
    card.wait_for(state="hidden")
    cited.hover()
    card.wait_for()
