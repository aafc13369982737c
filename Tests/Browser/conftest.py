"""One cluster and one browser for all tests. A console error or a violation of the page's policy fails the test."""

import os
import re

import pytest
from playwright.sync_api import sync_playwright

from cluster import Cluster

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")

# Reports violations of the policy as console errors.
WATCH = "document.addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI))"


def pytest_collection_modifyitems(items):
    if not os.path.exists(CHROMIUM):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is missing"))


@pytest.fixture(scope="session")
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


class Watched:
    """Opens pages and records their errors."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address
        self.contexts, self.faults, self.expected = [], [], []

    def open(self, path="/", width=1280, height=900, theme="light", prepare=None, **options):
        context = self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True, **options)
        self.contexts.append(context)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: message.type in ("error", "warning") and self.faults.append(f"{message.text} {message.location.get('url', '')}"))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        if prepare:
            prepare(page)
        page.goto(self.address + path)
        return page

    def expect_fault(self, pattern):
        """Allows a failing call that the test provokes; browsers report it on the console."""
        self.expected.append(pattern)

    def end(self):
        for context in self.contexts:
            context.close()
        return [fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self.expected)]


@pytest.fixture
def web(cluster, browser):
    watched = Watched(browser, cluster.address)
    yield watched
    assert watched.end() == []
