"""The status page in a real browser: what it shows, keeps live, filters, and how it is used without a mouse."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent import quantities as q
from agent.model import Laser, Module
from agent.modules.engines import Engines
from agent.modules.slices import Lasers, Share
from tests import chromium
from tests.chromium import Page
from tests.http_helpers import Served, alert, serving
from tests.page_scene import AGEING, DIRTY, EMPTY, FLAPPING, HOT, MUTE, Hour, Scene

pytestmark = pytest.mark.skipif(chromium.BINARY is None, reason="Chromium is not installed (Debian: chromium)")

PAGE = Path(__file__).parent.parent / "exporters" / "http" / "page"
SHOWN = "document.querySelectorAll('#groups .cell').length === 512 && document.querySelectorAll('#alerts a').length"


@dataclass
class Opened:
    """A page over a scene."""

    page: Page
    scene: Scene
    served: Served

    async def cell(self, port: str) -> str:
        """The level of a port's square."""
        return str(await self.page.run(f"document.querySelector({json.dumps(_cell(port))}).dataset.level"))


def _cell(port: str) -> str:
    return f'#groups .cell[data-key="leaf-17\\\\n{port}"]'.replace("\\\\n", "\\00000a")


@pytest.fixture(scope="module", name="browser")
def one_browser() -> Generator[str]:
    """One browser for all tests, a tab for each."""
    with chromium.browser() as address:
        yield address


def _texts(selector: str) -> str:
    return f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.textContent)"


def _counts(outer: str, *inner: str) -> str:
    """How many of each inner selector every outer element has."""
    parts = ", ".join(f"each.querySelectorAll({json.dumps(each)}).length" for each in inner)
    return f"[...document.querySelectorAll({json.dumps(outer)})].map((each) => [{parts}])"


@asynccontextmanager
async def opened(
    browser: str,
    *,
    width: int = 1366,
    height: int = 768,
    dark: bool = False,
    phone: bool = False,
    hash_: str = "",
) -> AsyncGenerator[Opened]:
    """The page, shown, and at its end no complaint of the browser and no request to anybody else."""
    hour = Hour()
    async with (
        serving(history=hour) as served,
        chromium.page(browser, width=width, height=height, dark=dark, phone=phone) as page,
    ):
        hour.hub = served.hub
        scene = Scene(served, 512, now=time.time())
        await page.goto(served.url(f"/{hash_}"), until=SHOWN)
        yield Opened(page, scene, served)
        assert page.complaints == []
        assert {url for url in page.requested if not url.startswith(served.url("/"))} == set()


async def test_it_shows_every_port_the_alerts_and_where_it_is_sick(browser: str) -> None:
    async with opened(browser) as it:
        page = it.page
        assert await page.run("document.title") == "(3) opticd"
        assert await page.run("document.querySelector('#device').textContent") == "leaf-17"
        await page.until("document.querySelector('#live').textContent === 'live'")
        levels = {port: await it.cell(port) for port in (DIRTY, HOT, MUTE, FLAPPING, AGEING, *EMPTY, "Ethernet1/1")}
        assert levels == {
            DIRTY: "critical", HOT: "warning", MUTE: "unreadable", FLAPPING: "critical", AGEING: "warning",
            "Ethernet1/1": "ok", **dict.fromkeys(EMPTY, "absent"),
        }  # fmt: skip
        groups = await page.run("[...document.querySelectorAll('#groups h3')].map((each) => each.textContent)")
        assert groups == [f"Ethernet{card}" for card in range(1, 9)]
        texts = await page.run("[...document.querySelectorAll('#alerts li')].map((each) => each.textContent)")
        assert len(texts) == 4
        assert texts[0].startswith("criticalEthernet1/74 flaps in 24 h")
        assert "dirty connector" in texts[1]
        await page.click("#alerts-more")
        assert await page.run("document.querySelectorAll('#alerts li').length") == 5
        # All squares fit on a laptop's screen together, without scrolling.
        boxes = "[...document.querySelectorAll('.cell')].map((each) => each.getBoundingClientRect().right)"
        assert max(await page.run(boxes)) < 1366
        assert await page.run("document.querySelector('#groups').getBoundingClientRect().height") < 400
        first = await page.run(
            "[...document.querySelectorAll('#table tbody tr:first-child td')].map((each) => each.textContent)"
        )
        assert first[:2] == ["Ethernet1/7", "critical"]
        await page.click("#rows-more")
        assert await page.run("document.querySelectorAll('#table tbody tr').length") == 512


async def test_it_follows_what_happens(browser: str) -> None:
    async with opened(browser) as it:
        assert await it.cell("Ethernet6/6") == "ok"
        reading = it.served.hub.local.port("Ethernet6/6").reading
        assert reading is not None
        it.served.hub.publish(replace(reading, values={**reading.values, q.TEMPERATURE: 76.5}))
        await it.page.until(
            f"document.querySelector({json.dumps(_cell('Ethernet6/6'))}).dataset.level === 'warning'"
        )
        event = replace(
            alert("module_hot", port="Ethernet6/6", severity="critical"), summary="Ethernet6/6: 76.5 degC"
        )
        it.served.book.alerts.append(event)
        it.served.hub.publish(event)
        await it.page.until("document.querySelector('#announce').textContent.includes('76.5 degC')")
        await it.page.until("document.querySelector('#alerts-count').textContent === '6'")
        await it.page.until(
            f"document.querySelector({json.dumps(_cell('Ethernet6/6'))}).dataset.level === 'critical'"
        )
        it.served.book.alerts.remove(event)
        it.served.hub.publish(replace(event, state="resolved"))
        await it.page.until("document.querySelector('#alerts-count').textContent === '5'")


FILTERS = {
    "rx < -8 dBm link = up": {DIRTY},
    "temp>70": {HOT},
    "ber > 1e-6 and alert": {DIRTY},
    "bias > 110 mA": {AGEING},
    "bias > 0.11 A": {AGEING},
    "state = unreadable": {MUTE},
    "vendor = facetest, flaps > 0": {FLAPPING},
    "SYN0000132": {DIRTY},
    "empty": EMPTY,
    "port = nothing": set[str](),
}


async def test_the_filter(browser: str) -> None:
    async with opened(browser) as it:
        page = it.page
        for query, want in FILTERS.items():
            await page.run("document.activeElement.blur()")
            await page.press("/")
            assert await page.run("document.activeElement.id") == "query"
            await page.type(query)  # over the selected old one
            await page.until(f"new URLSearchParams(location.hash.slice(1)).get('q') === {json.dumps(query)}")
            await page.until(f"document.querySelector('#ports-count').textContent === '{len(want)} of 512'")
            lit = await page.run(
                "[...document.querySelectorAll('#groups .cell:not(.dim)')]"
                ".map((each) => each.dataset.key.split('\\n')[1])"
            )
            assert set(lit) == want, query
            rows = await page.run(_texts("#table tbody a"))
            assert set(rows) == want, query
        await page.run("document.querySelector('#query').value = ''")
        await page.run("document.querySelector('#query').dispatchEvent(new Event('input'))")
        await page.until("document.querySelector('#ports-count').textContent === '512'")
        await page.click(".chip[data-level=unreadable]")
        await page.until("document.querySelector('#ports-count').textContent === '1 of 512'")
        assert await page.run("document.querySelector('.chip[data-level=unreadable]').ariaPressed") == "true"
        assert await page.run("location.hash") == "#state=unreadable"


async def test_a_filter_that_makes_no_sense_says_so_and_hides_nothing(browser: str) -> None:
    async with opened(browser) as it:
        for query, part in (
            ("colour = red", "There is no “colour”"),
            ("rx < much", "is no number"),
            ("vendor > 3", "is text"),
        ):
            await it.page.run(f"document.querySelector('#query').value = {json.dumps(query)}")
            await it.page.run("document.querySelector('#query').dispatchEvent(new Event('input'))")
            await it.page.until(f"document.querySelector('#query-note').textContent.includes({json.dumps(part)})")
            assert await it.page.run("document.querySelectorAll('#groups .cell:not(.dim)').length") == 512


async def test_one_port_in_full(browser: str) -> None:
    async with opened(browser) as it:
        page = it.page
        await page.click(_cell(DIRTY))
        await page.until("document.querySelectorAll('#port .lanes svg').length === 3")
        assert await page.run("document.activeElement.id") == "port-title"
        assert await page.run("document.querySelector('#port-badge').textContent") == "critical"
        charts = _counts("#port .lanes svg", "rect.bar", "rect.bar.alarm", "line.limit")
        assert await page.run(charts) == [[8, 1, 4], [8, 0, 4], [8, 0, 4]]
        assert await page.run("document.querySelectorAll('#port .spark').length") == 4
        text = await page.run("document.querySelector('#port').textContent")
        for fact in (
            "FACETEST",
            "SYN0000132",
            "OSFP 8X Pluggable Transceiver",
            "lane 3 rx power below its low alarm",
            "i2c:133",
        ):
            assert fact.lower() in text.lower()
        await page.click("#port details[data-name=lanes] summary")
        table = await page.run(_texts("#port details[data-name=lanes] tbody tr"))
        assert len(table) == 8
        assert "(alarm)" in table[2]
        assert "port=Ethernet3%2F5" in await page.run("location.hash")
        # It follows the readings of the port, and leaves open what was opened.
        reading = it.served.hub.local.port(DIRTY).reading
        assert reading is not None
        await page.run("document.activeElement.blur()")
        it.served.hub.publish(
            replace(reading, time=reading.time + 1, values={**reading.values, q.TEMPERATURE: 33.3})
        )
        await page.until("document.querySelector('#port .gauge b').textContent === '33.3 °C'")
        assert await page.run("document.querySelector('#port details[data-name=lanes]').open")
        await page.press("Escape")
        await page.until("document.querySelector('#port').hidden")
        assert await page.run(f"document.activeElement === document.querySelector({json.dumps(_cell(DIRTY))})")
        assert "port=" not in await page.run("location.hash")


async def test_the_flap_timeline_has_the_evidence(browser: str) -> None:
    async with opened(browser, hash_="#port=Ethernet1%2F7") as it:
        page = it.page
        await page.until("document.querySelectorAll('#port .events > li').length === 9")
        assert await page.run("document.querySelectorAll('#port .strip .mark').length") == 9
        assert await page.run("document.querySelectorAll('#port .strip .down').length") == 4
        down = (
            "[...document.querySelectorAll('#port .events details')]"
            ".find((each) => each.textContent.includes('fell on lane 3'))"
        )
        await page.run(f"{down}.querySelector('summary').click()")
        text = await page.run(f"{down}.textContent")
        for fact in ("fibre or remote laser", "rx_los", "did not move"):
            assert fact in text
        assert await page.run(f"{down}.querySelectorAll('.spark .mark').length") == 2
        assert await page.run(f"{down}.querySelectorAll('tbody tr').length") == 6  # of five readings and a flag
        assert await page.run(f"[...{down}.querySelectorAll('tbody tr')].at(-2).textContent.includes('dark')")


async def test_a_laser_that_is_off_is_drawn_as_well(browser: str) -> None:
    async with opened(browser) as it:  # which fails for what the console complains of
        reading = it.served.hub.local.port("Ethernet1/1").reading
        assert reading is not None
        dark = dict.fromkeys(range(1, 9), 0.0)
        it.served.hub.publish(replace(reading, lanes={**reading.lanes, q.TX_BIAS: dark, q.TX_POWER: dark}))
        await it.page.run("location.hash = '#port=Ethernet1%2F1'")
        await it.page.until("document.querySelectorAll('#port .spark').length === 4")
        assert await it.page.run("document.querySelector('#port-body').innerHTML.includes('NaN')") is False


async def test_what_is_not_known_is_said(browser: str) -> None:
    async with opened(browser, hash_="#port=Ethernet4%2F12&device=leaf-17") as it:
        await it.page.until("document.querySelector('#port').textContent.includes('could not be read')")
        assert "laser temperature" in await it.page.run("document.querySelector('#port').textContent")
    async with opened(browser, hash_="#port=Ethernet5%2F2") as it:
        await it.page.until(
            "document.querySelector('#port .banner').textContent.includes('no answer within 2.0 s')"
        )
    async with opened(browser, hash_="#port=Ethernet8%2F64") as it:
        await it.page.until("document.querySelector('#port .banner').textContent.includes('No module')")


LASERS = (
    Laser(1, state="on", enabled=True, fiber=1, fiber_checked=True, values={q.TX_POWER: 0.1, q.TX_BIAS: 0.24}),
    Laser(2, state="off", enabled=True, fiber=2, values={q.TX_POWER: 0.0, q.TX_BIAS: 0.0}, flags=("fault",)),
)
SHARES = [
    Share("cpo1", "oe0", lanes=(1, 2, 3, 4), els=(Lasers("els0", (1,)),)),
    Share("cpo2", "oe0", lanes=(5, 6, 7, 8), els=(Lasers("els0", (2,)),)),
]


def _engine(it: Opened) -> None:
    """An engine of two ports and two lasers, the second of them at fault."""
    first = it.served.hub.local.port("Ethernet1/1").reading
    assert first is not None
    engines = Engines(SHARES)
    source = replace(first, port="els0", lasers=LASERS)
    for whole in (source, replace(first, port="oe0"), source):
        for event in engines.divide(whole):
            it.served.hub.publish(event)


async def test_an_engine_is_a_group_and_names_the_lasers_and_the_ports_in_the_dark(browser: str) -> None:
    async with opened(browser) as it:
        page = it.page
        _engine(it)
        await page.until("document.querySelectorAll('#groups .cell').length === 516")
        group = "document.querySelector('#groups .bank[aria-label=\"Engine oe0\"]')"
        await page.until(f"{group}?.querySelectorAll('.cell').length === 4")
        await page.run("location.hash = '#port=cpo2'")
        await page.until("document.querySelector('#port .engine')")
        text = await page.run("document.querySelector('#port .engine').textContent")
        assert "Host lanes 5\u20138 of engine oe0. Beside it: cpo1, els0." in text
        assert "Laser 2 of els0 reports a fault. Without its light: cpo2." in text
        cells = await page.run(_texts("#port .engine tbody td, #port .engine tbody th"))
        assert cells == ["els0", "2", "off", "dark", "0.0", "fault", "cpo2", "2"]
        assert await page.run("document.querySelectorAll('#port .lanes svg rect.bar').length") == 12
        assert await page.run(CONTRAST) == []
        assert await page.run(NAMELESS) == []
        await page.click("#port .engine td a")
        await page.until("document.querySelector('#port-title').textContent === 'els0'")
        await page.until("document.querySelectorAll('#port .engine tbody tr').length === 2")
        rows = await page.run(_texts("#port .engine tbody tr"))
        assert rows[0] == "1on20.00240.0cpo11 checked"
        await page.run("location.hash = '#port=oe0'")
        await page.until("document.querySelector('#port').textContent.includes('This is the engine.')")
        assert "It carries and is lit by: cpo1, cpo2, els0." in await page.run(
            "document.querySelector('#port').textContent"
        )


async def test_many_small_engines_share_a_group_and_512_ports_fit_on_a_laptop(browser: str) -> None:
    async with opened(browser) as it:
        engines = Engines(
            Share(f"Ethernet{card}/{port}", f"Ethernet{card}/{port - 1}", lanes=(1, 2, 3, 4))
            for card in range(1, 9)
            for port in (10, 20)
        )
        for name in [f"Ethernet{card}/{port - 1}" for card in range(1, 9) for port in (10, 20)]:
            reading = it.served.hub.local.port(name).reading
            assert reading is not None
            for event in engines.divide(reading):
                it.served.hub.publish(event)
        names = "[...document.querySelectorAll('#groups .bank')].map((each) => each.ariaLabel)"
        await it.page.until(f"{names}.includes('Engines')")
        assert len(await it.page.run(names)) == 9
        assert await it.page.run("document.querySelectorAll('#groups .cell').length") == 512
        bottom = "document.querySelector('#groups').getBoundingClientRect().bottom"
        assert await it.page.run(bottom) <= 768


async def test_what_a_newer_reading_no_longer_says_is_not_shown(browser: str) -> None:
    async with opened(browser) as it:
        _engine(it)
        await it.page.run("location.hash = '#port=cpo1'")
        await it.page.until("document.querySelector('#port .engine tbody')")
        reading = it.served.hub.local.port("cpo1").reading
        assert reading is not None
        for _ in range(50):  # until the page listens
            it.served.hub.publish(replace(reading, fed_by=()))
            if not await it.page.run("Boolean(document.querySelector('#port .engine tbody'))"):
                return
            await asyncio.sleep(0.2)
        pytest.fail("the lasers are still there")


def _number(text: str) -> float:
    return float(text.replace(",", ""))


async def test_how_reliable_the_links_are(browser: str) -> None:
    async with opened(browser) as it:
        page = it.page
        link = it.served.hub.local.port("Ethernet1/1").link
        assert link is not None
        link.up_seconds, link.up_since = 3600 * 29.957e6, None
        await page.click("#reliability summary")
        await page.until("document.querySelector('#reliability-body tbody tr')")
        assert "512 links, 29,960,000 link-hours, 4 times" in (
            await page.run("document.querySelector('#reliability-body .said').textContent")
        )
        await page.run("document.querySelector('#reliability-by').value = 'ports'")
        await page.run("document.querySelector('#reliability-by').dispatchEvent(new Event('change'))")
        await page.until("document.querySelectorAll('#reliability-body tbody tr').length === 512")
        rows = await page.run(
            "[...document.querySelectorAll('#reliability-body tbody tr')]"
            ".map((row) => [...row.cells].map((each) => each.textContent))"
        )
        # The bounds of the mean for 4 and for 0 events are 9.1535 and 2.9957 (one-sided, 95 %).
        flapping = next(row for row in rows if row[0] == FLAPPING)
        assert flapping[1] == "1"
        assert flapping[3] == "4"
        assert _number(flapping[2]) / _number(flapping[5]) == pytest.approx(9.1535, rel=1e-3)
        assert rows[-1][0] == "Ethernet1/1"
        assert _number(rows[-1][5]) == pytest.approx(1e7, rel=1e-4)
        assert await page.run("document.querySelectorAll('#reliability-body td.shown').length") == 1
        assert await page.run(CONTRAST) == []
        assert await page.run(NAMELESS) == []


async def test_it_is_used_by_keys_alone(browser: str) -> None:
    async with opened(browser) as it:
        page = it.page
        tabs = "document.querySelectorAll('#groups .cell[tabindex=\"0\"]').length"
        assert await page.run(tabs) == 1
        await page.run("document.querySelector('#groups .cell[tabindex=\"0\"]').focus()")
        for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
            await page.press(key)
        assert await page.run("document.activeElement.dataset.key") == "leaf-17\nEthernet1/6"
        assert await page.run("document.activeElement.getAttribute('aria-label')") == "Ethernet1/6: fine"
        assert await page.run(tabs) == 1
        await page.until("!document.querySelector('#tip').hidden")
        await page.press("Enter")
        await page.until("document.querySelector('#port-title').textContent === 'Ethernet1/6'")
        await page.press("Escape")
        assert await page.run("document.activeElement.dataset.key") == "leaf-17\nEthernet1/6"
        await page.press("End")
        assert await page.run("document.activeElement.dataset.key") == "leaf-17\nEthernet8/64"


async def test_the_table_sorts_both_ways_with_the_unknown_last(browser: str) -> None:
    async with opened(browser) as it:
        page = it.page
        head = (
            "[...document.querySelectorAll('#table th')].find((each) => each.textContent.startsWith('Temperature'))"
        )
        column = f"{head}.cellIndex"
        first = f"document.querySelector('#table tbody tr').cells[{column}].textContent"
        await page.run(f"{head}.querySelector('button').click()")
        assert await page.run(f"{head}.getAttribute('aria-sort')") == "descending"
        assert float(await page.run(first)) > 70
        await page.run(f"{head}.querySelector('button').click()")
        assert await page.run(f"{head}.getAttribute('aria-sort')") == "ascending"
        assert float(await page.run(first)) < 43
        await page.click("#rows-more")
        last = f"document.querySelector('#table tbody tr:last-child').cells[{column}].textContent"
        assert await page.run(last) == ""


async def test_colours_by_a_quantity(browser: str) -> None:
    async with opened(browser) as it:
        await it.page.run("document.querySelector('#colour').value = 'temperature_celsius'")
        await it.page.run("document.querySelector('#colour').dispatchEvent(new Event('change'))")
        assert "71." in await it.page.run("document.querySelector('#scale').textContent")
        hot = f"getComputedStyle(document.querySelector({json.dumps(_cell(HOT))})).backgroundColor"
        assert await it.page.run(hot) == "rgb(253, 220, 60)"


async def test_names_from_a_module_are_never_markup(browser: str) -> None:
    async with opened(browser) as it:
        reading = it.served.hub.local.port("Ethernet1/1").reading
        assert reading is not None
        evil = Module(vendor_name="<img src=x onerror=alert(1)>", part_number='"><script>alert(1)</script>')
        it.served.hub.publish(replace(reading, module=evil))
        await it.page.until("document.querySelector('#table').textContent.includes('<img src=x')")
        await it.page.click(_cell("Ethernet1/1"))
        await it.page.until("document.querySelector('#port').textContent.includes('<script>')")
        assert await it.page.run("document.querySelectorAll('img, main script, aside script').length") == 0


CONTRAST = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const layer = (color) => {
    if (!known.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, a / 255]);
    }
    return known.get(color);
  };
  const over = (below, above) => below.map((part, at) => part + (above[at] - part) * above[3]);
  const behind = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) {
      layers.push(layer(getComputedStyle(each).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce(over, [255, 255, 255]);
  };
  const poor = [];
  const SKIPPED = ".unseen, noscript, svg, .dim, option, #table tr:nth-child(n + 20), .bank:nth-child(n + 3)";
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest(SKIPPED)) continue;
    const [fore, back] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(fore, back) + 0.05) / (Math.min(fore, back) + 0.05);
    if (ratio < 4.5) poor.push([node.className || node.tagName, node.textContent.slice(0, 20), ratio].join(" "));
  }
  return [...new Set(poor)].slice(0, 10);
})()"""

NAMELESS = """[...document.querySelectorAll("button, a, input, select, [role=region], [role=img]")]
  .filter((node) => node.checkVisibility() && !node.textContent.trim() && !node.getAttribute("aria-label")
    && !node.getAttribute("aria-labelledby") && !(node.labels && node.labels.length))
  .map((node) => node.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("dark", [False, True])
async def test_it_can_be_read_and_named(browser: str, dark: bool) -> None:
    async with opened(browser, dark=dark, hash_="#port=Ethernet3%2F5") as it:
        await it.page.until("document.querySelectorAll('#port .events > li').length")
        await it.page.run("document.querySelector('#alerts-more').click()")
        assert await it.page.run(CONTRAST) == []
        assert await it.page.run(NAMELESS) == []
        assert await it.page.run("[...document.querySelectorAll('h1, h2, h3')].length") > 10


async def test_on_a_phone_nothing_scrolls_sideways_and_squares_are_for_fingers(browser: str) -> None:
    async with opened(browser, width=390, height=844, phone=True) as it:
        page = it.page
        assert await page.run("document.documentElement.scrollWidth") == 390
        box = "document.querySelector('#groups .cell').getBoundingClientRect()"
        assert min(await page.run(f"[{box}.width, {box}.height]")) >= 24
        await page.click(_cell(FLAPPING))
        await page.until("document.querySelectorAll('#port .events > li').length")
        assert await page.run("document.querySelector('#port').getBoundingClientRect().width") == 390
        assert await page.run("document.querySelector('#port').scrollWidth") <= 390


async def test_it_finds_back_after_a_restart_of_the_server(browser: str) -> None:
    async with opened(browser) as it:
        port = it.served.server.addresses[0][1]
        await it.served.server.stop()
        await it.page.until("document.querySelector('#live').textContent !== 'live'")
        it.page.complaints.clear()
        async with serving(listen=f"127.0.0.1:{port}") as again:
            Scene(again, 448, now=time.time())
            await it.page.until("document.querySelector('#live').textContent === 'live'", seconds=15)
            await it.page.until("document.querySelectorAll('#groups .cell').length === 448")
        await asyncio.sleep(0.2)
        it.page.complaints.clear()  # of the server that is away


def test_its_weight() -> None:
    sizes = {file.name: file.stat().st_size for file in PAGE.iterdir()}
    assert sum(sizes.values()) <= 150_000
    text = "".join(file.read_text() for file in PAGE.iterdir())
    urls = [word for word in text.split() if "http://" in word or "https://" in word]
    assert all("www.w3.org" in url for url in urls)  # names of SVG, nothing that is fetched
