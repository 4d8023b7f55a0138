"""Tabs of which one is in front: Playwright's pages all count as visible, so these are driven by DevTools' protocol.

A target of the browser's default context is none of Playwright's pages, and has no emulation of focus.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import CDPSession, sync_playwright

from tests.bounds import HANG_SECONDS
from tests.web.browser import chromium


class PageChanges(Exception):
    """The browser is between one document and the next: there is nothing yet in which an expression has a value."""


class Tab:
    """A tab of a browser, in front until another one is made or shown."""

    def __init__(self, browser: CDPSession, url: str) -> None:
        self._browser = browser
        self._ids = itertools.count(1)
        self._replies: dict[int, dict[str, Any]] = {}
        self._target = browser.send("Target.createTarget", {"url": url})["targetId"]
        attached = browser.send("Target.attachToTarget", {"targetId": self._target, "flatten": False})
        self._session = attached["sessionId"]
        browser.on("Target.receivedMessageFromTarget", self._received)
        self._call("Page.enable")

    def show(self) -> None:
        """Bring it to the front; the others are hidden."""
        self._browser.send("Target.activateTarget", {"targetId": self._target})

    def freeze(self) -> None:
        """The browser stops a hidden tab, as it does to save memory and power, until it is shown."""
        self._call("Page.setWebLifecycleState", state="frozen")

    def evaluate(self, expression: str) -> object:
        """Return the value of an expression, as soon as there is a document in which it has one."""
        deadline = time.monotonic() + HANG_SECONDS
        while (reply := self._reply_to(expression)) is None:
            assert time.monotonic() < deadline, f"no document for {expression}"
            time.sleep(0.1)
        assert "exceptionDetails" not in reply, reply
        value: object = reply["result"].get("value")
        return value

    def _reply_to(self, expression: str) -> dict[str, Any] | None:
        try:
            return self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        except PageChanges:
            return None

    def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + HANG_SECONDS
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, f"never true: {condition}; the page: {self.evaluate(_TEXT)}"
            time.sleep(0.1)

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._ids)
        message = json.dumps({"id": number, "method": method, "params": params})
        self._browser.send("Target.sendMessageToTarget", {"sessionId": self._session, "message": message})
        deadline = time.monotonic() + HANG_SECONDS
        while number not in self._replies:
            assert time.monotonic() < deadline, f"no reply to {method}"
            self._browser.send("Target.getTargets")  # replies are received meanwhile
        reply = self._replies.pop(number)
        if "context" in reply.get("error", {}).get("message", ""):
            raise PageChanges(reply)
        assert "error" not in reply, reply
        return dict(reply["result"])

    def _received(self, event: dict[str, Any]) -> None:
        if event["sessionId"] != self._session:
            return
        message = json.loads(event["message"])
        if "id" in message:
            self._replies[message["id"]] = message


_TEXT = "document.body.innerText"


@contextmanager
def tabs() -> Iterator[CDPSession]:
    """A browser for tabs."""
    with sync_playwright() as playwright:
        # Nobody has told it of the development authority.
        flags = ["--no-sandbox", "--ignore-certificate-errors", "--window-size=1440,1000"]
        started = playwright.chromium.launch(executable_path=chromium(), args=flags)
        try:
            yield started.new_browser_cdp_session()
        finally:
            started.close()
