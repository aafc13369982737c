import { h, put, svg } from "./dom.js";
import { number, percent } from "./format.js";
import { tip } from "./tip.js";

const [BAR, GAP, TOP] = [14, 14, 8];
let columnWidth = 210;
const ROW_MIN = 20;

/**
 * Paths as a flow chart: a column for each position in the path, a bar for each event, bands for the users who go on. Bars can be
 * focused; each names its numbers.
 * @param first the label of the event that all paths start with
 * @param end the label of the end of a path
 */
export function flow(answer, first, end) {
  const columns = layers(answer, first, end);
  columnWidth = Math.min(340, Math.max(170, (document.getElementById("main").clientWidth - 100) / columns.length));
  const most = Math.max(...columns.map(column => column.nodes.length));
  const height = Math.max(220, most * (ROW_MIN + GAP) + 60);
  const room = height - 2 * TOP - (most - 1) * GAP - most * ROW_MIN / 2;
  const unit = room / Math.max(1, columns[0].nodes[0].users);
  for (const column of columns) {
    let y = TOP;
    for (const node of column.nodes) {
      node.y = y;
      node.tall = Math.max(2, node.users * unit);
      node.out = node.in = y;
      y += Math.max(node.tall, ROW_MIN) + GAP;
    }
  }
  const tall = Math.max(...columns.flatMap(column => column.nodes.map(node => node.y + Math.max(node.tall, ROW_MIN)))) + TOP;
  const width = columns.length * columnWidth;
  const bands = columns.flatMap((column, c) => column.links.sort((a, b) => a.to.y - b.to.y).map(link => band(link, c, unit)));
  const bars = columns.flatMap((column, c) => column.nodes.map(node => bar(node, c, columns[0].nodes[0].users)));
  const drawing = svg("svg", {
    viewBox: `0 0 ${width} ${tall}`, width, height: tall, class: "flow", role: "group", "aria-label": "Flow of users between events",
  }, bands, bars);
  return h("div", { class: "flow-box", tabindex: "0", role: "region", "aria-label": "Flow of users, scrolls sideways" }, drawing);
}

/** The columns: their nodes, and their links to the next column. */
function layers(answer, first, end) {
  const root = { label: first, users: answer.users, kind: "first" };
  const columns = [{ nodes: [root], links: [] }];
  const at = c => columns[c] ??= { nodes: [], links: [] };
  const nodeOf = (c, label, kind) => {
    const column = at(c);
    let node = column.nodes.find(one => one.label === label && one.kind === kind);
    if (!node) column.nodes.push(node = { label, kind, users: 0 });
    return node;
  };
  for (const path of answer.paths) {
    let from = root;
    const steps = path.events.map(event => [event, "event"]);
    if (steps.length < answer.length) steps.push([end, "end"]);
    steps.forEach(([label, kind], i) => {
      const to = nodeOf(i + 1, label, kind);
      to.users += path.users;
      const { links } = at(i);
      const link = links.find(one => one.from === from && one.to === to);
      if (link) link.users += path.users;
      else links.push({ from, to, users: path.users });
      from = to;
    });
  }
  for (const column of columns) column.nodes.sort((a, b) => (a.kind === "end") - (b.kind === "end") || b.users - a.users);
  return columns;
}

function band({ from, to, users }, c, unit) {
  const tall = Math.max(1, users * unit);
  const [x1, x2] = [c * columnWidth + BAR, (c + 1) * columnWidth];
  const middle = (x1 + x2) / 2;
  const [y1, y2] = [from.out, to.in];
  from.out += tall;
  to.in += tall;
  const curve = (from, to, end) => `C${middle} ${from} ${middle} ${to} ${end} ${to}`;
  const path = `M${x1} ${y1}${curve(y1, y2, x2)}V${y2 + tall}${curve(y2 + tall, y1 + tall, x1)}Z`;
  const node = svg("path", { d: path, class: to.kind === "end" ? "band end" : "band" });
  const label = ({ label }) => h("bdi", { dir: "auto" }, label);
  return tip(node, () => h("div", {}, label(from), " → ", label(to), h("br"), `${number(users)} users, ${percent(users / from.users)} of those at `, label(from)));
}

function bar(node, c, all) {
  const x = c * columnWidth;
  const words = `${number(node.users)} · ${percent(all ? node.users / all : null)}`;
  const label = h("div", { class: "flow-label" }, h("bdi", { dir: "auto", class: "flow-name" }, node.label), h("span", {}, words));
  const group = svg("g", { class: `flow-node ${node.kind}`, tabindex: "0", role: "img", "aria-label": `Column ${c + 1}, ${node.label}: ${words}` },
    svg("rect", { x, y: node.y, width: BAR, height: node.tall, rx: 2 }),
    svg("foreignObject", { x: x + BAR + 6, y: node.y - 2, width: columnWidth - BAR - 12, height: 36 }));
  put(group.lastElementChild, label);
  return tip(group, () => h("div", {}, h("bdi", { dir: "auto" }, node.label), h("br"), words));
}
