"""Width, contrast, targets, names: what makes the page usable on any screen and for anybody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, check_accessibility
from tests.browser.station import Station

VIEWS = {
    "inspect": ".verdict .facts",
    "live": ".feed-row",
    "review": "[data-heat=shown]",
    "recalibrate": "form",
    "models": ".model .facts",
    "products": ".view-products article",
    "product": ".wall-tile [data-image=shown]",
}
PHONE, TABLET = (390, 844), (768, 1024)
SIZES = [PHONE, TABLET, (320, 640), (1280, 900)]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


def show(station: Station, open_page: OpenPage, view: str, plates: Path, **options: object) -> Page:
    [product] = station.get("/v1/products")["products"]
    page = open_page(station, f"product/{product['id']}" if view == "product" else view, **options)
    if view == "inspect":
        page.set_input_files("#files", [plates / "good_01.png", plates / "scratch_0.png"])
    page.wait_for_selector(VIEWS[view])
    # Charts are drawn once their width is known.
    page.wait_for_timeout(300)
    return page


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_view_is_for_any_screen_and_anybody(station: Station, open_page: OpenPage, plates: Path, view: str) -> None:
    """One window for all, since opening one takes longest: a phone, dark, which grows and turns light."""
    page = show(station, open_page, view, plates, size=PHONE, scheme="dark")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing scrolls sideways
        if (width, height) == TABLET:
            targets_are_large_enough_for_a_glove(page)
    contrast_is_at_least_aa(page)
    # Else colours change gradually.
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.wait_for_timeout(200)
    contrast_is_at_least_aa(page)
    everything_to_be_used_has_a_name(page)


def contrast_is_at_least_aa(page: Page) -> None:
    measured = page.evaluate(CONTRAST)
    assert len(measured) > 10
    assert not [text for text in measured if text["contrast"] < text["least"]]


def targets_are_large_enough_for_a_glove(page: Page) -> None:
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, textarea, .tabs a, a.button, a.feed-row")]
        .filter((node) => !node.matches(".unseen"))
        .map((node) => [node.closest("label") ?? node, node]).filter(([target]) => target.checkVisibility())
        .map(([target, node]) => [node.outerHTML.slice(0, 80), target.getBoundingClientRect().height])
        .filter(([, height]) => height < 44)"""
    )
    assert not small


def everything_to_be_used_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a, select, textarea, input, progress, [role=img]")]
        .filter((node) => !(node.ariaLabel || node.innerText?.trim() || node.labels?.length || node.textContent.trim()))
        .map((node) => node.outerHTML.slice(0, 120))"""
    )
    twice = page.evaluate(
        """() => { const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
        return ids.filter((id, i) => ids.indexOf(id) !== i); }"""
    )
    assert nameless == twice == []
    assert page.locator("h1").count() == 1
    check_accessibility(page)


def test_the_policy_forbids_inline_code_and_other_hosts(station: Station, open_page: OpenPage) -> None:
    page = open_page(station)
    answer = page.request.get(station.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.locator("script:not([src]), style, [style]:not(.frame):not(.layer-heat), [onclick]").count() == 0


def test_texts_and_numbers_are_those_of_the_browsers_language(
    station: Station, open_page: OpenPage, plates: Path
) -> None:
    page = show(station, open_page, "inspect", plates, locale="de-DE")
    assert page.evaluate("document.documentElement.lang") == "de"
    page.get_by_role("button", name="scratch_0.png").click()
    expect(page.locator(".verdict-word")).to_have_text("Ausschuss")
    expect(page.get_by_role("link", name="Prüfen", exact=True)).to_be_visible()
    assert re.search(r"\d,\d", page.locator(".verdict .facts dd").first.inner_text())
    scale = page.locator(".verdict .chart-scale")
    texts = scale.locator("text")
    assert "Gut" in texts.all_text_contents()
    edges = scale.locator("svg").bounding_box()
    assert edges is not None
    for text in texts.all():
        box = text.bounding_box()
        assert box is not None
        assert edges["x"] <= box["x"]
        assert box["x"] + box["width"] <= edges["x"] + edges["width"]
    # Told apart without colour: what is accepted is plain, the rest is hatched, each in its own way.
    assert len(set(scale.locator(".zone-hatch").evaluate_all("nodes => nodes.map(n => n.getAttribute('fill'))"))) == 2


def test_what_the_service_says_is_in_the_browsers_language(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = show(station, open_page, "products", plates, locale="de-DE", noise=("status of 409",))
    page.get_by_role("textbox", name="Neues Produkt").fill("plates")
    page.get_by_role("button", name="Produkt anlegen").click()
    expect(page.get_by_role("alert")).to_have_text(
        "Es gibt schon ein Produkt „plates“; öffnen Sie es, oder wählen Sie einen anderen Namen."
    )
    spoken = """async (sentences) => {
        const { said, spoken } = await import("/js/locale.js");
        return sentences.map((each) => [said(each), spoken(each).lang ?? "de"]);
    }"""
    copies = "4 of 20 good images are near-copies of others, in 1 group(s): a.png, b. C.png."
    far_off = (
        "2 good image(s) score far above the others by models that did not see them: a.png (7.1 deviations), c.png."
    )
    assert page.evaluate(
        spoken, [f"{far_off} Look at them.", copies, "Nobody knows this.", "a.png: no such thing"]
    ) == [
        [
            "Gute Bilder mit Werten weit über den anderen, nach Modellen, die sie nicht gesehen haben (2): "
            "a.png (7,1 Abweichungen), c.png. Sehen Sie sie an.",
            "de",
        ],
        ["Von 20 guten Bildern sind 4 beinahe gleich mit anderen, Gruppen: 1 (a.png, b. C.png).", "de"],
        ["Nobody knows this.", "en"],
        ["a.png: no such thing", "en"],
    ]


def test_on_a_phone_the_verdict_comes_first(station: Station, open_page: OpenPage, plates: Path) -> None:
    page = show(station, open_page, "inspect", plates, size=PHONE)
    tops = [page.locator(place).bounding_box() for place in (".verdict-place", ".picture-panel", ".drop")]
    heights = [box["y"] for box in tops if box is not None]
    assert heights == sorted(heights)
    assert len(heights) == 3
