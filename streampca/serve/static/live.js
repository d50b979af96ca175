// Rows as they come: SPE and T² beside their limits, and the feature behind each alarm.

import { lineChart, node, number, numbers, percent, table } from "./charts.js";
import { fill, short, widthOf } from "./panels.js";
import { timeText, zoneLabel } from "./times.js";

const MOST = 200, LISTED = 10;
const state = { rows: [], events: [], source: null, waiting: 0, told: "" };
const byId = (id) => document.getElementById(id);

export function followRows(address) {
  state.source?.close();
  state.source = null;
  if (address === null) return;
  state.rows = [];
  state.events = [];
  drawRows();
  listEvents();
  const source = new EventSource(address);
  state.source = source;
  source.addEventListener("rows", (event) => {
    const { rows, events } = JSON.parse(event.data);
    if (events) {
      state.events = events;
      listEvents();
    }
    const last = state.rows.at(-1)?.number ?? -1;
    if (rows[0].number === 0 && last > rows.at(-1).number) state.rows = []; // another server
    state.rows.push(...rows.filter((row) => row.number > (state.rows.at(-1)?.number ?? -1)));
    state.rows = state.rows.slice(-MOST);
    clearTimeout(state.waiting);
    state.waiting = setTimeout(drawRows, 50);
  });
}

export function drawRows() {
  const good = state.rows.filter((row) => !row.error);
  const labels = good.map(arrived);
  for (const [id, field, name] of [["live-spe", "spe", "SPE"], ["live-t2", "t2", "T²"]]) {
    const values = good.map((row) => row[field]), limits = good.map((row) => row[`${field}_limit`]);
    const isOut = (value, i) => limits[i] !== null && value > limits[i];
    const caption = `${name} of rows as they come`;
    const count = values.filter(isOut).length;
    const note = good.length
      ? `The last ${good.length} rows, ${count} above the limit of 99 %, now ${number(limits.at(-1))} (dashed). Times in ${zoneLabel(good.at(-1).time)}.`
      : "No row yet.";
    fill(id, caption,
      lineChart(widthOf(id), { title: caption, described: note, labels: short(labels), series: [{ name, values }], limits: [{ values: limits, kind: "limit" }], out: isOut, log: true }),
      node("p", { class: "note" }, note),
      numbers(["row", "time", name, "limit"], () => good.map((row, i) =>
        [String(row.number), labels[i], number(row[field]), number(row[`${field}_limit`])]).reverse()));
  }
  listAlarms();
}

// One line for each event; opened, it shows the sensors behind it.
function listEvents() {
  const figure = byId("live-events");
  const open = new Set([...figure.querySelectorAll("details[open]")].map((each) => each.dataset.start));
  const focused = figure.contains(document.activeElement) ? document.activeElement.closest("details")?.dataset.start : null;
  const shown = state.events.slice(-LISTED).reverse();
  const items = shown.map((each) => {
    const made = node("details", { "data-start": String(each.start) }, node("summary", {}, eventText(each)), sensorsOf(each));
    made.open = open.has(String(each.start));
    return made;
  });
  figure.replaceChildren(node("figcaption", {}, "Events, newest first, and the sensors behind each"),
    ...(items.length ? items : [node("p", {}, "None.")]),
    node("p", { class: "note" }, state.events.length > LISTED ? `And ${state.events.length - LISTED} before.` : ""));
  figure.querySelector(`details[data-start="${focused}"] summary`)?.focus({ preventScroll: true });
}

function eventText(each) {
  const of = each.statistic === "spe" ? "SPE" : "T²";
  const end = each.is_over ? `to row ${each.end}, ${each.n_rows} rows` : "not over";
  return `${arrived({ time: each.start_time })}, from row ${each.start} ${end}: ${each.sensors[0] ?? "no sensor"}, at most ${number(each.peak)} times the limit of ${of}`;
}

const sensorsOf = (each) => table(["sensor", "its part", ""], each.sensors.map((name, i) =>
  [name, percent(each.shares[i]), node("meter", { min: "0", max: "1", value: String(each.shares[i]), "aria-hidden": "true" })]));

const arrived = (row) => timeText(row.time.replace(/\.\d+/, ""));

function listAlarms() {
  const wrong = state.rows.filter((row) => row.error || row.alarm).reverse();
  const lines = wrong.slice(0, LISTED).map((row) => (row.error
    ? [`row ${row.number}`, "not used", "–", "–", arrived(row), row.error]
    : [`row ${row.number}`, typeof row.feature === "number" ? `feature ${row.feature}` : row.feature,
      row.statistic === "spe" ? "SPE" : "T²", percent(row.contribution), arrived(row), ""]));
  const width = wrong.some((row) => row.error) ? 6 : 5; // what matters comes first: phones are narrow
  fill("live-alarms", "Rows above a limit, newest first, and the feature behind each",
    lines.length ? table(["row", "feature", "by", "its part", "time", "why not"].slice(0, width), lines.map((line) => line.slice(0, width))) : node("p", {}, "None."),
    node("p", { class: "note" }, wrong.length > LISTED ? `And ${wrong.length - LISTED} before.` : ""));
  // A screen reader is told of alarms, not of every row.
  const last = wrong[0];
  const text = last ? `${last.error ? "A row that could not be used" : "Alarm"}: row ${last.number}, ${last.error ?? last.feature}.` : "No alarm.";
  if (text !== state.told) byId("live-said").textContent = state.told = text;
}
