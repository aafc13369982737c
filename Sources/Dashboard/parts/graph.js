import { h } from "./dom.js";

/** Line and bar charts by Chart.js, if it is installed. Every chart also has a table. */
export const hasCharts = () => typeof globalThis.Chart === "function";

export const token = key => getComputedStyle(document.documentElement).getPropertyValue(key).trim();
export const tone = i => token(`--tone-${i % 8}`);

/**
 * @param label the text for screen readers
 * @param make returns the Chart.js configuration in the current colours
 * @returns `{node, canvas, draw(), shown(), stop()}`; `shown()` returns the visible lines
 */
export function chart(label, make) {
  if (!hasCharts()) {
    const node = h("p", { class: "strip" },
      "Charts need the library Chart.js (Debian: libjs-chart.js) on the coordinator's machine. The table below has all numbers.");
    return { node, canvas: null, draw() {}, shown: () => [], stop() {} };
  }
  const canvas = h("canvas", { role: "img", "aria-label": label });
  const node = h("div", { class: "chart-box" }, canvas);
  let made = null;

  function draw() {
    const config = make();
    config.options = shared(config.options ?? {});
    if (made && made.config.type === config.type) {
      made.data = config.data;
      made.options = config.options;
      made.update("none");
    } else {
      made?.destroy();
      made = new globalThis.Chart(canvas, config);
    }
  }

  function stop() {
    removeEventListener("themechange", draw);
    made?.destroy();
    made = null;
  }

  const shown = () => made.data.datasets.filter(set => !set.hidden);

  addEventListener("themechange", draw);
  return { node, canvas, draw, shown, stop };
}

/** The options of all charts: no animation, the page's colours. */
function shared(options) {
  const { Chart } = globalThis;
  const [text, muted, line] = [token("--text"), token("--muted"), token("--line")];
  Chart.defaults.font.family = token("--font");
  Chart.defaults.font.size = 12;
  Chart.defaults.color = muted;
  const axis = more => ({
    ...more, grid: { color: line, drawBorder: false, ...more?.grid }, ticks: { color: muted, maxRotation: 0, autoSkipPadding: 16, ...more?.ticks },
  });
  const tooltip = {
    backgroundColor: token("--raised"), titleColor: text, bodyColor: text, footerColor: muted, borderColor: token("--line-strong"),
    borderWidth: 1, padding: 10, boxPadding: 4, footerFont: { weight: "normal" }, ...options.plugins?.tooltip,
  };
  return {
    ...options, animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
    scales: { x: axis({ ...options.scales?.x, grid: { display: false } }), y: axis({ beginAtZero: true, ...options.scales?.y }) },
    plugins: { ...options.plugins, legend: { display: false }, tooltip },
  };
}
