# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The workbench in Chromium: from an empty folder to a taught model, by the keyboard, in two tabs, at two widths."""

import re
import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("gradio", reason="no gradio: `make test` installs the extra [workbench]")

from htr_convtext.workbench.app import Workbench, launch  # noqa: E402
from htr_convtext.workbench.project import ACCEPTED, Project  # noqa: E402

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: `make test` installs it")
pytestmark = pytest.mark.browser

TEXTS = ("The first line of a letter", "and the second goes on here", "until the third one ends it.")
QUICK = ["--use_cpu", "--per_device_train_batch_size", "2", "--learning_rate", "1e-2"]
WAIT, LONG_WAIT = 150_000, 900_000  # Milliseconds, for machines that are busy.
# Where Gradio asks for what an own component wants to know.
COMPONENTS = re.compile("/component_server")


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_tab(chromium):
    """Opens the workbench in a tab with its own window; errors of the page's scripts fail the test."""
    contexts, errors = [], []

    def opened(blocks, width: int = 1440, dark: bool = False) -> sync_api.Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(WAIT)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(blocks.local_url)
        tab.get_by_role("tab", name="Read", exact=True).wait_for()
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def show(tab: sync_api.Page, name: str) -> None:
    tab.get_by_role("tab", name=name, exact=True).click()


def is_as_wide_as_its_window(tab: sync_api.Page) -> bool:
    return tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_from_an_empty_folder_to_a_taught_model(tmp_path, model_folder, drawn_pages, open_tab):
    project = Project(tmp_path / "project", str(model_folder))
    blocks = launch(Workbench(project, QUICK), "127.0.0.1", None, block=False)
    for number in (1, 2):
        drawn_pages.write_page(tmp_path / "uploads", f"page_{number}")
    try:
        tab = open_tab(blocks)
        sync_api.expect(tab.locator("#reading")).to_contain_text("Drop pictures", timeout=WAIT)
        tab.locator("#files input[type=file]").set_input_files(sorted((tmp_path / "uploads").iterdir()))
        sync_api.expect(tab.locator("#reading")).to_contain_text("2 pages wait to be read", timeout=WAIT)
        tab.get_by_role("button", name="Read", exact=True).click()
        sync_api.expect(tab.locator("#reading")).to_contain_text("Done: 2 pages with 6 lines", timeout=WAIT)
        place = tab.locator("#page polygon").nth(1)
        place.wait_for(state="attached")
        tab.locator("#page .wb-number").nth(1).press("Enter")
        sync_api.expect(place).to_have_class("read here", timeout=WAIT)
        tab.screenshot(path=tmp_path / "read.png")

        show(tab, "Correct")
        tab.get_by_label("Order").select_option("page")
        text = tab.get_by_label("Text of the line")
        for page in (1, 2):
            for place, written in enumerate(TEXTS, start=1):
                where = tab.locator("[data-part=where]")
                sync_api.expect(where).to_contain_text(f"Page page_{page}, line {place} of 3", timeout=WAIT)
                text.fill(written)
                text.press("Enter")
                said = tab.locator("[data-part=message]")
                sync_api.expect(said).to_contain_text(f"Line {place} of page page_{page} is saved", timeout=WAIT)
                assert project.line(f"page_{page}", place - 1).state == ACCEPTED
        sync_api.expect(tab.locator("[data-part=progress]")).to_contain_text("6 of 6", timeout=WAIT)

        show(tab, "Teach")
        rounds = tab.locator("#rounds input[type=number]")
        rounds.fill("20")
        rounds.press("Enter")
        sync_api.expect(tab.locator("#kept")).to_contain_text("page_2 (3 lines)", timeout=WAIT)
        tab.get_by_role("button", name="Teach", exact=True).click()
        outcome = sync_api.expect(tab.locator("#teaching"))
        outcome.to_contain_text("Of the characters on the kept pages", timeout=LONG_WAIT)
        assert tab.locator("#teaching figure").count() == 2
        # The untrained network reads twice as many letters as there are, so that learning to be silent is better.
        tab.get_by_role("button", name="Use this model").click()
        sync_api.expect(tab.locator("#teaching")).to_contain_text("The taught model is in use", timeout=WAIT)
        assert project.settings["model"] == "models/taught_001"

        show(tab, "Take away")
        tab.get_by_role("button", name="Corrected lines").click()
        sync_api.expect(tab.locator("#taken")).to_contain_text("The lines are packed", timeout=WAIT)
        with tab.expect_download() as download:
            tab.locator("#download a").first.click()
        assert download.value.suggested_filename == "lines.zip"
    finally:
        blocks.close()
        project.close()


@pytest.fixture
def served(project):
    blocks = launch(Workbench(project), "127.0.0.1", None, block=False)
    yield blocks
    blocks.close()


def test_pictures_and_pdfs_without_xml_are_read(tmp_path, model_folder, drawn_pages, open_tab):
    project = Project(tmp_path / "project", str(model_folder))
    blocks = launch(Workbench(project), "127.0.0.1", None, block=False)
    page = drawn_pages.draw()
    dropped = [tmp_path / name for name in ("letter.png", "line.png", "scans.pdf")]
    page.save(dropped[0])
    drawn_pages.draw_line("One line alone").save(dropped[1])
    page.save(dropped[2], save_all=True, append_images=[drawn_pages.draw(drawn_pages.LETTER[:2])], resolution=100)
    try:
        tab = open_tab(blocks)
        tab.locator("#files input[type=file]").set_input_files(dropped)
        sync_api.expect(tab.locator("#reading")).to_contain_text("4 pages wait to be read", timeout=WAIT)
        tab.get_by_role("button", name="Read", exact=True).click()
        sync_api.expect(tab.locator("#reading")).to_contain_text("Done: 4 pages with 9 lines", timeout=WAIT)
        assert [page.name for page in project.pages()] == ["letter", "line", "scans_0001", "scans_0002"]
        for name, number in (("letter", 3), ("scans_0002", 2)):
            choose_page(tab, name)
            sync_api.expect(tab.locator("#page img")).to_have_attribute("alt", f"Page {name}", timeout=WAIT)
            assert tab.locator("#page polygon").count() == tab.locator("#page .wb-line").count() == number
            read = [line.text for line in project.lines(project.page(name))]
            shown = tab.locator("#page .wb-line p").all_inner_texts()
            assert [" ".join(text.split()) for text in shown] == read and all(read)
    finally:
        blocks.close()
        project.close()


def choose_page(tab: sync_api.Page, name: str) -> None:
    """By the keyboard, as those do who cannot see where the list opens."""
    tab.locator("#pages input").fill(name)
    tab.locator("#pages input").press("Enter")


def test_a_page_and_its_text_are_in_the_first_screen(served, open_tab):
    tab = open_tab(served)
    for selector in ("#page img", "#page .wb-text"):
        tab.locator(selector).wait_for()
    picture, text = (tab.locator(each).bounding_box() for each in ("#page img", "#page .wb-text"))
    assert picture["x"] + picture["width"] <= text["x"]
    assert max(picture["y"], text["y"]) < 200 and picture["y"] + picture["height"] <= 900


def test_keys_alone(served, project, open_tab):
    tab = open_tab(served)
    sync_api.expect(tab.locator("#reading")).to_contain_text("All 3 pages are read", timeout=WAIT)
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.textContent.trim()") == "Correct":
            break
    tab.keyboard.press("Enter")
    text, said = tab.get_by_label("Text of the line"), tab.locator("[data-part=message]")
    sync_api.expect(text).to_be_focused(timeout=WAIT)
    worst = project.queue("worst")
    tab.keyboard.press("Control+Enter")
    sync_api.expect(said).to_contain_text("comes back after the others", timeout=WAIT)
    sync_api.expect(text).to_have_value(worst[1].text, timeout=WAIT)
    tab.keyboard.press("Control+A")
    tab.keyboard.type("typed")
    tab.keyboard.press("Enter")
    sync_api.expect(said).to_contain_text("is saved", timeout=WAIT)
    assert project.line(*worst[1].key).text == "typed"
    tab.keyboard.press("Alt+KeyZ")
    sync_api.expect(said).to_contain_text("is as it was before", timeout=WAIT)
    sync_api.expect(text).to_have_value(worst[1].text, timeout=WAIT)
    assert project.line(*worst[1].key).text == worst[1].text


def test_what_is_typed_outlives_a_reload(served, project, open_tab):
    tab = open_tab(served)
    show(tab, "Correct")
    text, said = tab.get_by_label("Text of the line"), tab.locator("[data-part=message]")
    sync_api.expect(tab.locator("[data-part=where]")).to_contain_text("Page", timeout=WAIT)
    line = project.queue("worst")[0]
    text.fill("half of a li")
    tab = tab.context.new_page()  # As after a reload, in which Gradio complains of its own aborted requests.
    tab.set_default_timeout(WAIT)
    tab.goto(served.local_url)
    show(tab, "Correct")
    text, said = tab.get_by_label("Text of the line"), tab.locator("[data-part=message]")
    sync_api.expect(text).to_have_value("half of a li", timeout=WAIT)
    sync_api.expect(said).to_contain_text("What you had typed here is still there.", timeout=WAIT)
    assert project.line(*line.key) == line
    text.press("Enter")
    sync_api.expect(said).to_contain_text("is saved", timeout=WAIT)
    tab.keyboard.press("Alt+KeyZ")
    sync_api.expect(text).to_have_value(line.text, timeout=WAIT)


def test_what_is_typed_outlives_another_window_and_another_line(served, project, open_tab):
    one = open_tab(served)
    show(one, "Correct")
    where, text = one.locator("[data-part=where]"), one.get_by_label("Text of the line")
    sync_api.expect(where).to_contain_text("Page", timeout=WAIT)
    text.fill("half of a li")
    two = one.context.new_page()
    two.set_default_timeout(WAIT)
    two.goto(served.local_url)
    other = next(line for line in project.lines(project.page("page_1")) if line.key != project.queue("worst")[0].key)
    two.route(COMPONENTS, lambda route: None)
    two.locator("#page .wb-edit").nth(other.place - 1).click()
    for name in ("Correct", "Read", "Correct"):  # Who looks at both tabs until the line comes asks for no other.
        show(two, name)
    sync_api.expect(two.locator(".wb-correct.busy")).to_be_visible(timeout=WAIT)
    two.unroute(COMPONENTS)  # What is held goes on.
    sync_api.expect(two.locator(".wb-correct.busy")).to_have_count(0, timeout=WAIT)
    sync_api.expect(two.locator("[data-part=where]")).to_contain_text(f"line {other.place} of 3")
    two.get_by_label("Text of the line").fill("typed in the other window")
    two.get_by_role("button", name="Next line").click()
    typed = two.get_by_label("Text of the line")
    sync_api.expect(typed).to_have_value("half of a li", timeout=WAIT)
    typed.press("Enter")
    sync_api.expect(two.locator("[data-part=message]")).to_contain_text("is saved", timeout=WAIT)
    show(two, "Read")
    two.locator("#page .wb-edit").nth(other.place - 1).click()
    sync_api.expect(typed).to_have_value("typed in the other window", timeout=WAIT)


def test_a_line_accepted_while_another_is_fetched_is_saved(served, project, open_tab):
    tab = open_tab(served)
    show(tab, "Correct")
    said, where = tab.locator("[data-part=message]"), tab.locator("[data-part=where]")
    sync_api.expect(where).to_contain_text("Page", timeout=WAIT)
    line = project.queue("worst")[0]
    held: list[sync_api.Route] = []
    tab.route("**/component_server**", lambda route: held.append(route), times=1)
    with tab.expect_request("**/component_server**"):
        tab.get_by_label("Order").select_option("page")
    tab.get_by_label("Text of the line").fill("typed meanwhile")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")  # By mistake: it is for the same line.
    held[0].continue_()
    sync_api.expect(said).to_contain_text(f"Line {line.place} of page {line.page} is saved", timeout=WAIT)
    assert project.line(*line.key).text == "typed meanwhile"
    assert line.key not in [waiting.key for waiting in project.queue("page")]


def test_two_tabs_lose_nothing(served, project, open_tab):
    one, two = open_tab(served), open_tab(served)
    for tab in (one, two):
        show(tab, "Correct")
        sync_api.expect(tab.locator("[data-part=where]")).to_contain_text("Page", timeout=WAIT)
    line = project.queue("worst")[0]
    one.get_by_label("Text of the line").fill("of the first tab")
    one.get_by_label("Text of the line").press("Enter")
    sync_api.expect(one.locator("[data-part=message]")).to_contain_text("is saved", timeout=WAIT)
    two.get_by_label("Text of the line").fill("of the second tab")
    two.get_by_label("Text of the line").press("Enter")
    said = two.locator("[data-part=message]")
    sync_api.expect(said).to_contain_text("was changed in another tab", timeout=WAIT)
    sync_api.expect(said).to_contain_text("You had typed: of the second tab", timeout=WAIT)
    sync_api.expect(two.get_by_label("Text of the line")).to_have_value("of the first tab", timeout=WAIT)
    assert project.line(*line.key).text == "of the first tab"


def test_a_click_on_a_line_leads_to_its_correction(served, open_tab):
    tab = open_tab(served)
    tab.locator("#page .wb-edit").nth(2).click()
    where = tab.locator("[data-part=where]")
    sync_api.expect(where).to_contain_text("Page page_1, line 3 of 3", timeout=WAIT)


@pytest.mark.parametrize("width, dark", [(1440, False), (1440, True), (390, False), (390, True)])
def test_every_tab_fits_its_window_light_and_dark(served, open_tab, tmp_path, width, dark):
    tab = open_tab(served, width, dark)
    tab.locator("#page polygon").first.wait_for(state="attached")
    for name, there in (
        ("Read", "#page img"),
        ("Correct", "#correct img"),
        ("Teach", "#kept"),
        ("Take away", "#download"),
    ):
        show_any_width(tab, name)
        tab.locator(there).first.wait_for()
        assert is_as_wide_as_its_window(tab), name
        tab.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    darkness = sum(int(part) for part in background[background.index("(") + 1 : -1].split(",")[:3])
    assert (darkness < 200) == dark, background


def show_any_width(tab: sync_api.Page, name: str) -> None:
    """Where the tabs do not fit side by side, Gradio hides the last ones behind a menu."""
    found = tab.get_by_role("tab", name=name, exact=True)
    if found.count() and found.first.is_visible():
        found.first.click()
        return
    tab.locator("button.overflow-menu, .overflow-menu > button").first.click()
    tab.locator(".overflow-dropdown button", has_text=name).first.click()
