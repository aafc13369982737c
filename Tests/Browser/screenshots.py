"""Every page in both themes and two widths, from generated data.

    Tests/Browser/run.sh screenshots [DIRECTORY]
"""

import os
import sys

from playwright.sync_api import sync_playwright

from cluster import Cluster
from conftest import CHROMIUM
from test_pages import PAGES, settled

SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else ".build-browser/screenshots"
    os.makedirs(directory, exist_ok=True)
    cluster = Cluster(users=20_000)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
            for theme in ("light", "dark"):
                for size, (width, height) in SIZES.items():
                    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                    page = context.new_page()
                    for name, path in PAGES.items():
                        page.goto(cluster.address + path)
                        settled(page)
                        file = os.path.join(directory, f"{name}-{size}-{theme}.png")
                        # A dialog covers the window only.
                        page.screenshot(path=file, full_page=name != "step")
                        print(file, f"{os.path.getsize(file) / 1000:.0f} KB")
                    context.close()
            browser.close()
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
