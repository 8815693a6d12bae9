"""A real Chromium without a window, driven by its DevTools protocol."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One tab. `complaints` holds what the console, the security policy or an exception said."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        self.requested: list[str] = []

    async def command(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(20):
            while True:
                message = json.loads((await self._socket.receive()).data)
                self._note(message)
                if message.get("id") == number:
                    assert "error" not in message, message["error"]
                    return dict(message["result"])

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"].get("exception", parameters)))
            case "Runtime.consoleAPICalled" if parameters["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(str(parameters["entry"]["text"]))
            case "Network.requestWillBeSent":
                self.requested.append(str(parameters["request"]["url"]))
            case _:
                pass

    async def start(self, *, width: int, height: int, dark: bool = False, phone: bool = False) -> None:
        """Listen, and take a size."""
        for domain in ("Runtime", "Log", "Page", "Network"):
            await self.command(f"{domain}.enable")
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme, still])

    async def goto(self, url: str, *, until: str) -> None:
        """Open an address and wait until an expression of JavaScript is true."""
        await self.command("Page.navigate", url=url)
        await self.until(until)

    async def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript; promises are awaited."""
        result = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    async def until(self, expression: str, *, seconds: float = 10.0) -> None:
        """Wait until it is true."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.run(f"Boolean({expression})"):  # noqa: ASYNC110  # it happens in another process
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never true: {expression}; complaints: {self.complaints}") from None

    async def press(self, key: str) -> None:
        """Press and release a key by its name."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowRight": 39, "ArrowDown": 40, "End": 35}.get(key, 0)
        down: dict[str, object] = {"key": key, "windowsVirtualKeyCode": code}
        if text:
            down["text"] = text
        await self.command("Input.dispatchKeyEvent", type="keyDown", **down)
        await self.command("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def type(self, text: str) -> None:
        """Insert text where the focus is."""
        await self.command("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """A real click in the middle of an element."""
        where = await self.run(
            f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
            " node.scrollIntoView({block: 'center'}); const box = node.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.command(
                "Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1
            )

    async def screenshot(self) -> bytes:
        """What can be seen, as PNG."""
        result = await self.command("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        return base64.b64decode(result["data"])


@contextmanager
def browser() -> Generator[str]:
    """A Chromium for the length of a block; yields the address of its protocol."""
    assert BINARY is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = (BINARY, *_FLAGS, f"--user-data-dir={profile}", "about:blank")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            told = Path(profile, "DevToolsActivePort")
            give_up = time.monotonic() + 30
            while not (told.exists() and (lines := told.read_text().split())):
                assert process.poll() is None, "Chromium ended at once"
                assert time.monotonic() < give_up, "Chromium does not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{lines[0]}"
        finally:
            process.terminate()
            process.wait()


@asynccontextmanager
async def page(
    address: str, *, width: int = 1366, height: int = 768, dark: bool = False, phone: bool = False
) -> AsyncGenerator[Page]:
    """A new tab."""
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{address}/json/new?about:blank") as response:
            target = await response.json()
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Page(socket)
            await tab.start(width=width, height=height, dark=dark, phone=phone)
            yield tab
            await tab.command("Page.close")
