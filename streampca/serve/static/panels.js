// What each figure of the page says, from the answers of /components and /history.

import { barChart, legend, lineChart, node, number, numbers, percent, table } from "./charts.js";
import { when, zoneLabel } from "./times.js";

const degrees = (radians) => (radians === null ? null : (radians * 180) / Math.PI);
const MOST = 6;
const LISTED = 15;

export function featureNames(model) {
  return model.features.map((index, i) => (model.feature_names ? model.feature_names[i] : `feature ${index}`));
}

// Put a caption and what is drawn into a figure, keeping an open table open, and the focus.
export function fill(id, caption, ...content) {
  const figure = document.getElementById(id);
  const wasOpen = figure.querySelector("details")?.open;
  const focused = figure.contains(document.activeElement) ? document.activeElement.tagName : null;
  figure.replaceChildren(node("figcaption", {}, caption), ...content);
  const details = figure.querySelector("details");
  if (wasOpen && details) details.open = true;
  if (focused) figure.querySelector(focused === "SUMMARY" ? "summary" : "[tabindex]")?.focus({ preventScroll: true });
}

export const widthOf = (id) => Math.max(280, Math.floor(document.getElementById(id).clientWidth));

export function scree(model) {
  const values = model.explained_variance_ratio.slice(0, 40);
  const all = model.explained_variance_ratio.reduce((sum, value) => sum + value, 0);
  const caption = "Variance explained: each component, and all so far";
  const described = `The first component explains ${percent(values[0])}, all ${model.n_components} explain ${percent(all)}.`;
  fill("scree", caption,
    barChart(widthOf("scree"), { title: caption, described, values }),
    node("p", { class: "note" }, described),
    numbers(["component", "variance", "share"], () => model.explained_variance.map((value, i) =>
      [String(i + 1), number(value), percent(model.explained_variance_ratio[i])])));
}

export function loadings(model) {
  const names = featureNames(model);
  const shown = model.components.slice(0, MOST);
  const largest = Math.max(...shown.flat().map(Math.abs), 1e-300);
  const made = table(["feature", ...shown.map((_, i) => String(i + 1))],
    names.map((name, j) => [name, ...shown.map((component) => signed(component[j]))]), "heat");
  const colours = groundColours();
  made.querySelectorAll("tbody tr").forEach((row, j) => {
    row.querySelectorAll("td").forEach((cell, i) => {
      const value = shown[i][j], share = Math.abs(value) / largest;
      const ground = colours.page.map((part, c) => part + share * (colours[value < 0 ? "minus" : "plus"][c] - part));
      cell.style.backgroundColor = `rgb(${ground.map(Math.round).join(" ")})`;
      cell.style.color = luminance(ground) < 0.179 ? "#ffffff" : "#000000"; // whichever stands out
    });
  });
  made.setAttribute("aria-label", "Loadings");
  const left = model.n_features - names.length;
  const note = left > 0 ? `The ${names.length} of ${model.n_features} features with the largest loadings.` : `All ${names.length} features.`;
  fill("loadings", "Loadings: what each component is made of", made, node("p", { class: "note" }, note));
}

// The page's colours as red, green and blue, light or dark as they are now.
function groundColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim().split(" ").map(Number);
  return { page: read("--ground"), plus: read("--plus"), minus: read("--minus") };
}

function luminance(rgb) {
  const [red, green, blue] = rgb.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function signed(value) {
  if (Math.abs(value) < 0.005) return "0";
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
}

function overWindows(id, caption, note, history, valuesOf, options) {
  const entries = history.checkpoints;
  const p = Math.min(MOST, Math.max(...entries.map((entry) => entry.explained_variance_ratio.length)));
  const series = Array.from({ length: p }, (_, i) => ({
    name: `component ${i + 1}`, values: entries.map((entry) => valuesOf(entry)[i] ?? null),
  }));
  const width = widthOf(id), labels = entries.map(when);
  fill(id, caption, legend(width, series.map((each) => each.name)),
    lineChart(width, { title: caption, described: note, labels: short(labels), series, ...options }),
    node("p", { class: "note" }, note),
    numbers([`window (${zoneLabel(entries.at(-1)?.window_end)})`, ...series.map((each) => each.name)], () => labels.map((label, i) =>
      [label, ...series.map((each) => (each.values[i] === null ? "–" : options.format(each.values[i])))]).reverse()));
}

export function turned(history) {
  // What has not turned at all has no place on a logarithmic axis: it is drawn at 0.001 degrees.
  const floor = (value) => (value === null ? null : Math.max(value, 1e-3));
  overWindows("turned", "Turned since the window before",
    "Degrees that each component turned; small and falling where the stream is steady.",
    history, (entry) => entry.turned.map((value) => floor(degrees(value))),
    { log: true, format: (value) => `${number(value)}°` });
}

export function shares(history) {
  overWindows("shares", "Share of the variance, window by window",
    "The share of the variance along each component.",
    history, (entry) => entry.explained_variance_ratio, { from0: true, format: percent });
}

export function control(id, field, caption, format, convert, history) {
  const chart = history.charts[field];
  const values = history.checkpoints.map((entry) => convert(entry[field]));
  const bounds = chart && { centre: convert(chart.centre), lower: convert(chart.lower), upper: convert(chart.upper) };
  const beyond = (value) => bounds !== null && (value > bounds.upper || value < bounds.lower);
  const count = values.filter((value) => value !== null && beyond(value)).length;
  const note = bounds
    ? `Limits ${format(bounds.lower)} to ${format(bounds.upper)} (dashed); ${count} of ${values.length} outside. ` +
      "They hold for windows that share no rows; a running model drifts across them."
    : "Limits need three windows that can be compared.";
  const labels = history.checkpoints.map(when);
  const limits = bounds ? [{ value: bounds.upper, kind: "limit" }, { value: bounds.lower, kind: "limit" }, { value: bounds.centre, kind: "centre" }] : [];
  fill(id, caption,
    lineChart(widthOf(id), { title: caption, described: note, labels: short(labels), series: [{ name: field, values }], limits, out: beyond, format, from0: true }),
    node("p", { class: "note" }, note),
    numbers([`window (${zoneLabel(history.checkpoints.at(-1)?.window_end)})`, field], () => labels.map((label, i) => [label, values[i] === null ? "–" : format(values[i])]).reverse()));
}

export function charts(history) {
  turned(history);
  shares(history);
  control("left-out", "left_out", "Control chart: variance left out by the components", percent, (value) => value, history);
  control("angle", "angle", "Control chart: angle to the subspace before", (value) => `${number(value)}°`, degrees, history);
}

// SPE and T^2 of rows, and the rows that stand out.
export function assessed(answer) {
  const labels = answer.spe.map((_, i) => String(i));
  for (const [id, name] of [["spe", "SPE"], ["t2", "T²"]]) {
    const values = answer[id], limit = answer[`${id}_limit`];
    const out = (value) => limit !== null && value > limit;
    const count = values.filter(out).length;
    const caption = `Control chart: ${name} of the rows`;
    const note = `${percent(answer.confidence)} limit ${number(limit)} (dashed); ${count} of ${values.length} above.`;
    fill(id, caption,
      lineChart(widthOf(id), { title: caption, described: note, labels, series: [{ name, values }], limits: [{ value: limit, kind: "limit" }], out, log: true }),
      node("p", { class: "note" }, note));
  }
  const above = labels.filter((_, i) => answer.alarm[i]);
  const rows = above.slice(0, LISTED).map((label) => {
    const i = Number(label), name = answer.feature[i];
    return [`row ${i}`, answer.statistic[i] === "spe" ? "SPE" : "T²",
      typeof name === "number" ? `feature ${name}` : name, percent(answer.contribution[i])];
  });
  fill("alarms", "Rows above a limit, and the feature behind each",
    rows.length ? table(["row", "by", "feature", "its part"], rows) : node("p", {}, "None."),
    node("p", { class: "note" }, above.length > LISTED ? `And ${above.length - LISTED} more.` : ""));
}

// Of times that share their day, the hours are enough.
export function short(labels) {
  const days = new Set(labels.map((label) => label.slice(0, 10)));
  const dated = labels.every((label) => /^\d{4}-\d\d-\d\d /.test(label));
  if (!dated) return labels;
  return labels.map((label) => (days.size === 1 ? label.slice(11) : label.slice(5)));
}
