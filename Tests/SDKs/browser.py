"""Pages of a site of their own, in Chromium, which send what the JavaScript SDKs send (page.js)."""

import http.server
import os
import threading

from playwright.sync_api import sync_playwright

HERE = os.path.dirname(os.path.abspath(__file__))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PAGE = b"<!doctype html><html lang=en><meta charset=utf-8><title>shop</title><link rel=icon href=data:,><script src=/page.js></script>"


class Site:
    """The server of the page; its port makes it another origin than ingest."""

    def __init__(self):
        with open(os.path.join(HERE, "page.js"), "rb") as file:
            script = file.read()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                is_script = self.path == "/page.js"
                self.send_response(200)
                self.send_header("Content-Type", "text/javascript; charset=utf-8" if is_script else "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(script if is_script else PAGE)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://localhost:{self.server.server_address[1]}/?utm_source=news"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """To be used by one thread."""

    def __init__(self):
        self.site = Site()
        self.playwright = sync_playwright().start()
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.browser = self.playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)

    def close(self):
        self.browser.close()
        self.playwright.stop()
        self.site.close()

    def run(self, cases):
        """Sends all cases from one page at the same time. Gives a result for each, and the errors of the page's console."""
        with self._page() as (page, faults):
            return page.evaluate("cases => Promise.all(cases.map(runOrSay))", cases), faults

    def run_at_end(self, case, proxy):
        """Sends when the page is left."""
        with self._page() as (page, faults):
            page.evaluate("c => runAtEnd(c)", case)
            page.goto("about:blank")
            proxy.wait_for(len(case["rows"]), 10)
            return [{"sent": None, "dropped": 0, "unreadable": 0, "notes": []}], faults

    def _page(self):
        return _Page(self.browser, self.site.address)


class _Page:
    def __init__(self, browser, address):
        self.context, self.faults = browser.new_context(), []
        page = self.page = self.context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda message: message.type in ("error", "warning") and self.faults.append(message.text[:200]))
        page.on("pageerror", lambda error: self.faults.append(str(error)[:200]))
        page.goto(address)

    def __enter__(self):
        return self.page, self.faults

    def __exit__(self, *_):
        self.context.close()
