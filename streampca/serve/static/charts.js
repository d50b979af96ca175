// Charts as SVG, drawn at the width they are shown at: one unit is one pixel, so text keeps its
// size on a phone. Nothing here knows what is drawn.

const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 4", "8 3 2 3", "2 3", "10 3 2 3 2 3", "4 2"];
const MARKS = [
  (x, y) => `M${x - 3},${y}a3,3 0 1,0 6,0a3,3 0 1,0 -6,0`,
  (x, y) => `M${x - 3},${y - 3}h6v6h-6z`,
  (x, y) => `M${x},${y - 4}l4,7h-8z`,
  (x, y) => `M${x},${y - 4}l4,4l-4,4l-4,-4z`,
  (x, y) => `M${x},${y + 4}l4,-7h-8z`,
  (x, y) => `M${x - 3},${y}h6M${x},${y - 3}v6`,
];

export function node(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function draw(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

export const percent = (value) => `${(100 * value).toFixed(value < 0.1 && value > 0 ? 1 : 0)} %`;
export const number = (value) => {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
};
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

function scaleOf(values, log, from0) {
  const seen = values.filter((value) => known(value) && (!log || value > 0));
  let low = Math.min(...seen), high = Math.max(...seen);
  if (!seen.length) [low, high] = log ? [0.1, 1] : [0, 1];
  if (log) {
    low = Math.log10(low); high = Math.log10(high);
    if (high - low < 0.3) [low, high] = [low - 0.15, high + 0.15];
    return { low, high, place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
      ticks: logTicks(low, high) };
  }
  if (from0) low = Math.min(low, 0);
  if (high === low) [low, high] = [low - (from0 ? 0 : 0.5), high + 0.5];
  const ticks = evenTicks(low, high);
  high = Math.max(high, ticks[ticks.length - 1]);
  return { low, high, ticks, place: (value) => (value - low) / (high - low) };
}

function evenTicks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((each) => each * power >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 0.501; i += 1) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [], fine = high - low < 2.2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((high - low) / 6));
  for (let power = Math.floor(low); power <= high; power += 1) {
    if (fine.length === 1 && power % every) continue;
    for (const times of fine) {
      const at = Math.log10(times) + power;
      if (at >= low && at <= high) ticks.push(times * 10 ** power);
    }
  }
  return ticks;
}

// The frame of a chart: returns the SVG, and where things lie in it.
function frame(width, title, described, scale, labels, format, bands = false) {
  const left = 58, right = 10, top = 10, bottom = 26, height = 230;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.append(draw("title", {}, title), draw("desc", {}, described));
  const count = labels.length;
  const room = width - left - right;
  const x = bands ? (i) => left + ((i + 0.5) / count) * room
    : (i) => left + 6 + (count < 2 ? 0.5 : i / (count - 1)) * (room - 12);
  const y = (value) => height - bottom - scale.place(value) * (height - top - bottom);
  for (const tick of scale.ticks) {
    svg.append(draw("line", { class: "rule", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    svg.append(draw("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, format(tick)));
  }
  svg.append(draw("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
  const longest = Math.max(1, ...labels.map((label) => label.length));
  const fits = Math.max(1, Math.floor((width - left) / (longest * 7 + 14)));
  const every = Math.max(1, Math.ceil((count - 1) / Math.max(fits - 1, 1)));
  labels.forEach((label, i) => {
    if (i % every) return;
    const anchor = x(i) > width - longest * 4 ? "end" : "middle";
    svg.append(draw("text", { x: anchor === "end" ? width : x(i), y: height - 8, "text-anchor": anchor }, label));
  });
  return { svg, x, y, left, right, height, bottom };
}

// Lines over the same labels. series: [{name, values}]; limits: [{value, kind}] are level lines, and
// [{values, kind}] steps; out: (value, index) => whether a point stands out.
export function lineChart(width, { title, described, labels, series, log = false, from0 = false, format = number, limits = [], out = () => false }) {
  const levels = limits.flatMap((each) => each.values ?? [each.value]).filter(known);
  const scale = scaleOf([...series.flatMap((each) => each.values), ...levels], log, from0);
  const made = frame(width, title, described, scale, labels, format);
  for (const { values, kind } of limits.filter((each) => each.values)) {
    const path = values.map((value, i) => {
      if (!known(value) || (log && value <= 0)) return "";
      const y = made.y(value), from = i ? (made.x(i - 1) + made.x(i)) / 2 : made.left;
      const to = i < values.length - 1 ? (made.x(i) + made.x(i + 1)) / 2 : width - made.right;
      return `${i && known(values[i - 1]) ? "L" : "M"}${from.toFixed(1)},${y.toFixed(1)}H${to.toFixed(1)}`;
    });
    made.svg.append(draw("path", { class: `${kind} steps`, d: path.join("") }));
  }
  for (const { value, kind } of limits.filter((each) => !each.values)) {
    if (!known(value) || (log && value <= 0)) continue;
    made.svg.append(draw("line", { class: kind, x1: made.left, x2: width - made.right, y1: made.y(value), y2: made.y(value) }));
  }
  series.forEach(({ name, values }, s) => {
    const style = `s${s % 6}`;
    let path = "", pen = "M";
    const marks = [], crosses = [];
    const every = Math.max(1, Math.ceil(values.length / (width / 14)));
    values.forEach((value, i) => {
      if (!known(value)) { pen = "M"; return; }
      const x = made.x(i), y = made.y(value);
      path += `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
      pen = "L";
      if (out(value, i)) crosses.push(`M${x - 4},${y - 4}l8,8m0,-8l-8,8`);
      else if (i % every === 0) marks.push(MARKS[s % 6](x, y));
    });
    made.svg.append(draw("path", { class: `line ${style}`, d: path, "stroke-dasharray": DASHES[s % 6], "data-series": name }));
    made.svg.append(draw("path", { class: `mark ${style}`, d: marks.join("") }));
    if (crosses.length) made.svg.append(draw("path", { class: "out", d: crosses.join("") }));
  });
  return made.svg;
}

// Bars, and the sum so far as a line.
export function barChart(width, { title, described, values }) {
  const sums = [];
  values.reduce((sum, value) => { sums.push(sum + value); return sum + value; }, 0);
  const scale = { ticks: [0, 0.25, 0.5, 0.75, 1], place: (value) => Math.min(value, 1) };
  const labels = values.map((_, i) => String(i + 1));
  const made = frame(width, title, described, scale, labels, percent, true);
  const wide = Math.min(34, 0.7 * (width - made.left) / values.length);
  values.forEach((value, i) => {
    const top = made.y(Math.max(value, 0));
    made.svg.append(draw("rect", { class: "bar", x: made.x(i) - wide / 2, y: top, width: wide, height: made.height - made.bottom - top }));
  });
  made.svg.append(draw("path", { class: "line s0", d: sums.map((sum, i) => `${i ? "L" : "M"}${made.x(i)},${made.y(sum)}`).join("") }));
  made.svg.append(draw("path", { class: "mark s0", d: sums.map((sum, i) => MARKS[0](made.x(i), made.y(sum))).join("") }));
  return made.svg;
}

// Which line is which: drawn as they are, so that no colour is needed.
export function legend(width, names) {
  const svg = draw("svg", { viewBox: `0 0 ${width} ${18 * Math.ceil(names.length / Math.max(1, Math.floor(width / 120)))}`, "aria-hidden": "true" });
  const columns = Math.max(1, Math.floor(width / 120));
  names.forEach((name, s) => {
    const x = (s % columns) * 120, y = 9 + 18 * Math.floor(s / columns);
    svg.append(draw("path", { class: `line s${s % 6}`, d: `M${x},${y}h30`, "stroke-dasharray": DASHES[s % 6] }));
    svg.append(draw("path", { class: `mark s${s % 6}`, d: MARKS[s % 6](x + 15, y) }));
    svg.append(draw("text", { x: x + 36, y: y + 4 }, name));
  });
  return svg;
}

export function table(head, rows, className = "") {
  const cells = (row) => row.map((cell, i) => (i ? node("td", {}, cell) : node("th", { scope: "row" }, cell)));
  const made = node("table", className ? { class: className } : {},
    node("thead", {}, node("tr", {}, ...head.map((cell) => node("th", { scope: "col" }, cell)))),
    node("tbody", {}, ...rows.map((row) => node("tr", {}, ...cells(row)))));
  return node("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, made);
}

// The same numbers as a table, made when they are asked for.
export function numbers(head, rows) {
  const made = node("details", {}, node("summary", {}, "Numbers"));
  made.addEventListener("toggle", () => {
    if (made.open && made.children.length === 1) made.append(table(head, rows()));
  });
  return made;
}
