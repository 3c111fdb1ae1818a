"""The icons of the installed page, drawn from `web/static/icon-ok.svg` into `web/static/icons/`.

    python -m bench.icons

Debian's Chromium draws them. A maskable one fills its square, for phones cut the edge off: what matters is within four
fifths of it.
"""

import re
from pathlib import Path

from playwright.sync_api import sync_playwright

from harness.chromium import CHROMIUM, FLAGS

STATIC = Path(__file__).resolve().parent.parent / "web" / "static"
DRAWN = STATIC / "icon-ok.svg"
OUT = STATIC / "icons"
ICONS = {
    "192.png": (192, False),
    "512.png": (512, False),
    "maskable-512.png": (512, True),
    "apple-180.png": (180, True),
}
"""Name → size in pixels, and whether it fills its square."""


def picture(size: int, *, whole: bool) -> str:
    """A page that is the icon and nothing else."""
    svg = DRAWN.read_text()
    [ground] = re.findall(r"<rect [^>]*fill='(#[0-9a-f]{6})'", svg)
    # Where it fills its square, the tick is in the middle, on the colour of the ground.
    space = ("2.75 5.25 25 25", ground) if whole else ("0.5 2.5 29 29", "transparent")
    svg = re.sub(r"viewBox='[^']*'", f"viewBox='{space[0]}' width='{size}' height='{size}'", svg)
    style = f"html, body {{ margin: 0; background: {space[1]}; }} svg {{ display: block; }}"
    return f"<!doctype html><style>{style}</style>{svg}"


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, (size, whole) in ICONS.items():
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(picture(size, whole=whole))
            page.screenshot(path=OUT / name, omit_background=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
