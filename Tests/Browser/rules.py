"""Our own accessibility rules, in addition to axe. Each returns a list of errors."""

# Everything that can be focused has a name; headings descend by one; ids are unique; nothing is wider than the window.
STATIC = """() => {
  const faults = [];
  const visible = e => e.checkVisibility({ visibilityProperty: true }) && !e.closest("[inert]");
  const nameOf = e => (e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") || "").split(" ").map(id => document.getElementById(id)?.textContent || "").join(" ")
    || [...(e.labels || [])].map(l => l.textContent).join(" ") || e.getAttribute("title") || e.textContent || e.querySelector?.("img")?.alt || "").trim();
  for (const e of document.querySelectorAll("a[href], button, input, select, textarea, [tabindex]:not([tabindex='-1']), summary, [role=region], dialog[open]"))
    if (visible(e) && !nameOf(e)) faults.push("no name: " + e.outerHTML.slice(0, 120));
  const root = document.querySelector("dialog[open]") ?? document.querySelector("main");
  let last = 0;
  for (const e of root.querySelectorAll("h1, h2, h3, h4")) {
    if (!visible(e)) continue;
    const level = Number(e.tagName[1]);
    if (last && level > last + 1) faults.push(`heading h${level} after h${last}: ${e.textContent}`);
    last = level;
  }
  if (document.querySelectorAll("main h1").length !== 1) faults.push("main needs one h1");
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  for (const id of new Set(ids)) if (ids.filter(other => other === id).length > 1) faults.push("id twice: " + id);
  for (const e of document.querySelectorAll("table")) {
    if (!e.caption && !e.closest("[role=tooltip], .step-detail")) faults.push("table without caption");
    for (const th of e.querySelectorAll("th")) if (!th.scope) faults.push("th without scope: " + th.textContent);
  }
  for (const e of document.querySelectorAll("[style*='javascript'], [onclick], script:not([src]), style")) faults.push("inline code: " + e.outerHTML.slice(0, 80));
  if (document.documentElement.scrollWidth > innerWidth + 1) faults.push(`wider than the window: ${document.documentElement.scrollWidth} > ${innerWidth}`);
  return faults;
}"""

# Computed contrast of all visible text against its background: at least 4.5, or 3 for large text.
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = text => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const over = (a, b) => a.slice(0, 3).map((v, i) => v * a[3] + b[i] * (1 - a[3]));
  const ground = e => { const stack = []; for (let n = e; n; n = n.parentElement) { const c = rgba(getComputedStyle(n).backgroundColor); if (c[3] > 0) { stack.push(c); if (c[3] === 1) break; } }
    return stack.reverse().reduce((under, c) => over(c, under), [255, 255, 255]); };
  const faults = new Set();
  const walker = document.createTreeWalker(document.querySelector("dialog[open]") ?? document.body, NodeFilter.SHOW_TEXT);
  for (let t = walker.nextNode(); t; t = walker.nextNode()) {
    const e = t.parentElement;
    if (!t.data.trim() || e.closest("svg, .unseen, option, script, noscript, :disabled") || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const style = getComputedStyle(e), back = ground(e), fore = over(rgba(style.color), back);
    const [hi, lo] = [light(fore), light(back)].sort((a, b) => b - a);
    const ratio = (hi + .05) / (lo + .05), size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.add(`${ratio.toFixed(2)}: "${t.data.trim().slice(0, 30)}" in ${e.tagName}.${e.className}`);
  }
  return [...faults];
}"""

FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const inner = e.matches("input[type=radio]") ? getComputedStyle(e.nextElementSibling) : style;
  const tall = e.getClientRects().length > 0;
  return { what: (e.getAttribute("aria-label") || e.textContent || e.outerHTML).trim().slice(0, 60), tag: e.tagName.toLowerCase(),
    seen: inner.outlineStyle !== "none" || e.matches("svg .flow-node"), there: tall, top: box.top + scrollY, left: box.left, place: e.matches(".skip") ? -1 : e.closest("header.side") ? 0 : e.closest("#bar") ? 1 : 2 };
}"""


def walk(page, most=400):
    """Tab through all of the page: `(places, faults)`. A place that is reached twice before the end of the page is a focus trap."""
    page.evaluate("() => { document.activeElement?.blur(); scrollTo(0, 0); }")
    places, faults, same = [], [], 0
    for _ in range(most):
        page.keyboard.press("Tab")
        place = page.evaluate(FOCUSED)
        if place is None:
            return places, faults
        if places and (place["what"], place["top"], place["left"]) == (places[-1]["what"], places[-1]["top"], places[-1]["left"]):
            # The parts of a date field are one element.
            same += 1
            if same > 5:
                return places, faults + [f"trapped at {place['what']}"]
            continue
        same = 0
        if not place["there"]:
            faults.append(f"focus on what can't be seen: {place['what']}")
        if not place["seen"]:
            faults.append(f"focus without an outline: {place['what']}")
        if places and place["place"] < places[-1]["place"]:
            # From the end of the page to its first place.
            if place["what"] == places[0]["what"] and places[-1]["place"] == 2:
                return places, faults
            faults.append(f"focus goes back to {place['what']}")
        places.append(place)
    return places, faults + ["the end of the page was not reached"]
