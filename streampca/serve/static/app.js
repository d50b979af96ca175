// The page: which key and time are chosen, and when to ask again. Texts are set as text, never as
// markup: keys and feature names come from data.

import { node } from "./charts.js";
import { drawRows, followRows } from "./live.js";
import { assessed, charts, loadings, scree } from "./panels.js";
import { readRows } from "./rows.js";
import { Times, setUpZones, when, zoneLabel } from "./times.js";

const byId = (id) => document.getElementById(id);
const MANY = 12; // keys from which on they can be searched
// at: the checkpoint that was chosen; null: the latest, as it comes
const state = { key: null, keys: [], rows: false, at: null, model: null, history: null, turn: 0, source: null };

async function ask(path, options) {
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

const times = new Times(ask);

function query(extra = {}) {
  const chosen = new URLSearchParams(extra);
  if (state.key !== null) chosen.set("key", state.key);
  return chosen;
}

function modelQuery(extra = {}) {
  const chosen = query(extra);
  if (state.at) {
    if (state.at.window_end !== null) chosen.set("at", state.at.window_end);
    chosen.set("sequence", state.at.sequence);
  }
  return chosen;
}

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

function option(value, text) {
  return node("option", { value }, text);
}

async function loadKeys() {
  const { store, keys, rows } = await ask("keys");
  byId("store").textContent = store;
  state.keys = keys;
  state.rows = rows;
  const wanted = state.key ?? new URLSearchParams(location.hash.slice(1)).get("key");
  const found = keys.find((each) => each.query === wanted) ?? keys[0];
  state.key = found ? found.query : null;
  for (const id of ["find", "find-label"]) byId(id).hidden = keys.length < MANY;
  listKeys();
}

const nameOf = (each) => (each.key === null ? "(no key)" : String(each.key));

// The keys that have what was typed, the chosen one among them in any case.
function listKeys() {
  const sought = byId("find").value.trim().toLowerCase();
  const fit = state.keys.filter((each) => nameOf(each).toLowerCase().includes(sought));
  const shown = state.keys.filter((each) => fit.includes(each) || each.query === state.key);
  byId("key").replaceChildren(...shown.map((each) => option(each.query, nameOf(each))));
  if (state.key !== null) byId("key").value = state.key;
  byId("find-result").textContent = sought ? `${fit.length} of ${state.keys.length} keys.` : "";
  return fit;
}

// Ask for what is shown; an answer that another choice has overtaken is dropped.
async function refresh() {
  const turn = (state.turn += 1);
  byId("empty").hidden = state.key !== null;
  byId("panels").hidden = state.key === null;
  if (state.key === null) return;
  try {
    const [history, model] = await Promise.all([
      ask(`history?${modelQuery({ limit: 100 })}`),
      ask(`components?${modelQuery({ n_components: 6, n_features: 25 })}`),
      times.update(query),
    ]);
    if (turn !== state.turn) return;
    state.history = history;
    state.model = model;
    problem("");
    render();
  } catch (error) {
    if (turn === state.turn) problem(`Cannot show this: ${error.message}`);
  }
}

function render() {
  const { history, model } = state;
  if (!history || !model) return;
  showTime();
  const explained = model.explained_variance_ratio.reduce((sum, value) => sum + value, 0);
  byId("summary").textContent = `${when(model)} ${model.window_end ? zoneLabel(model.window_end) : ""}: ${model.n_samples_seen.toLocaleString("en")} rows of ${model.n_features} features; ` +
    `${model.n_components} components explain ${(100 * explained).toFixed(1)} % of the variance.`;
  scree(model);
  loadings(model);
  if (history.checkpoints.length) charts(history);
  byId("link-components").href = `components?${modelQuery()}`;
  byId("link-history").href = `history?${query()}`;
}

// Where the slider stands, and what that means.
function showTime(index = state.at ? times.indexOf(state.at) : times.count - 1) {
  const slider = byId("time"), shown = times.count ? times.at(index) : null;
  slider.max = Math.max(0, times.count - 1);
  slider.value = index;
  slider.disabled = times.count < 2;
  const zoned = shown?.window_end ? ` ${zoneLabel(shown.window_end)}` : "";
  const text = shown ? `${when(shown)}${zoned}, ${index + 1} of ${times.count}${state.at ? "" : ", latest as it comes"}` : "";
  slider.setAttribute("aria-valuetext", text);
  byId("time-text").textContent = text;
  byId("latest").setAttribute("aria-pressed", String(!state.at));
  byId("earlier").disabled = index < 1;
  byId("later").disabled = index >= times.count - 1;
}

function choose(index) {
  state.at = index >= times.count - 1 ? null : times.at(Math.max(index, 0));
  showTime();
  clearTimeout(state.choosing); // a slider passes many on its way
  state.choosing = setTimeout(refresh, 120);
}

// Whether the charts already hold what the server has just told of.
function isShown(seen) {
  const last = state.history?.checkpoints.at(-1);
  return last && state.history.n_checkpoints === seen.n_checkpoints
    && last.window_end === seen.window_end && last.sequence === seen.sequence;
}

function liveText() {
  const { n_checkpoints: count, window_end: end } = state.seen;
  return `Live: ${count.toLocaleString("en")} checkpoints${count ? `; last ${when(state.seen)}${end ? ` ${zoneLabel(end)}` : ""}` : ""}.`;
}

// The server says when a checkpoint has been written; the browser reconnects by itself.
function follow() {
  state.source?.close();
  state.source = null;
  // A browser has six connections to a server: pages that nobody sees leave them to others.
  if (document.hidden) return;
  byId("live-rows").hidden = !state.rows;
  followRows(state.rows && state.key !== null ? `rows?${query()}` : null);
  const source = new EventSource(`events?${query()}`);
  state.source = source;
  source.addEventListener("change", async (event) => {
    const seen = JSON.parse(event.data);
    const known = state.keys.map((each) => each.query);
    if (seen.keys && JSON.stringify(seen.keys) !== JSON.stringify(known)) {
      const before = state.key;
      await loadKeys().catch((error) => problem(error.message));
      if (state.key !== before) { follow(); refresh(); return; }
    }
    if (!state.at && !isShown(seen)) await refresh();
    if (times.count !== seen.n_checkpoints && state.key !== null) {
      await times.update(query).catch((error) => problem(error.message));
      showTime();
    }
    state.seen = seen;
    byId("live").textContent = liveText();
  });
  source.addEventListener("problem", (event) => {
    byId("live").textContent = `Not live: ${JSON.parse(event.data).error}.`;
  });
  source.onerror = () => {
    byId("live").textContent = "Not live: the connection is lost; trying again.";
    if (source.readyState === EventSource.CLOSED && source === state.source) setTimeout(follow, 5000);
  };
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) { follow(); return; }
  state.source?.close();
  followRows(null);
});

function chooseKey(key) {
  if (key === state.key) return;
  state.key = key;
  state.at = null;
  times.clear();
  byId("rows-charts").hidden = true;
  byId("rows-result").textContent = "";
  history.replaceState(null, "", `#${new URLSearchParams({ key: state.key })}`);
  follow();
  refresh();
}

byId("key").addEventListener("change", (event) => chooseKey(event.target.value));
byId("find").addEventListener("input", listKeys);
byId("find").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const [first] = listKeys();
  if (first) { chooseKey(first.query); byId("key").value = first.query; }
});

byId("time").addEventListener("input", (event) => choose(Number(event.target.value)));
byId("earlier").addEventListener("click", () => choose(Number(byId("time").value) - 1));
byId("later").addEventListener("click", () => choose(Number(byId("time").value) + 1));
byId("latest").addEventListener("click", () => choose(times.count - 1));

setUpZones(byId("zone"), () => {
  render();
  if (state.rows) drawRows();
  if (state.seen) byId("live").textContent = liveText();
});

byId("rows").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const rows = readRows(byId("rows-text").value);
    const answer = await ask(`transform?${modelQuery()}`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ rows }),
    });
    byId("rows-charts").hidden = false;
    assessed(answer);
    state.assessed = answer;
    const count = answer.alarm.filter(Boolean).length;
    byId("rows-result").textContent = `${answer.spe.length} rows, ${count} above a limit.`;
  } catch (error) {
    byId("rows-charts").hidden = true;
    byId("rows-result").textContent = `Not shown: ${error.message}`;
  }
});

let width = window.innerWidth, waiting = 0;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return; // a phone's address bar changes the height alone
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    render();
    if (state.rows) drawRows();
    if (!byId("rows-charts").hidden) assessed(state.assessed);
  }, 150);
});

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);

try {
  await loadKeys();
  await refresh();
} catch (error) {
  problem(`Cannot read the store: ${error.message}`);
}
follow();
