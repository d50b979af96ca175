// The page: which key and time are chosen, and when to ask again. Texts are set as text, never as
// markup: keys and feature names come from data.

import { node } from "./charts.js";
import { assessed, charts, loadings, scree, when } from "./panels.js";
import { readRows } from "./rows.js";

const byId = (id) => document.getElementById(id);
const state = { key: null, keys: [], time: "", model: null, history: null, turn: 0, source: null };

async function ask(path, options) {
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function query(extra = {}) {
  const chosen = new URLSearchParams(extra);
  if (state.key !== null) chosen.set("key", state.key);
  return chosen;
}

function modelQuery(extra = {}) {
  const chosen = query(extra);
  if (state.time) {
    const [end, sequence] = JSON.parse(state.time);
    if (end !== null) chosen.set("at", end);
    chosen.set("sequence", sequence);
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
  const { store, keys } = await ask("keys");
  byId("store").textContent = store;
  state.keys = keys;
  const wanted = state.key ?? new URLSearchParams(location.hash.slice(1)).get("key");
  const found = keys.find((each) => each.query === wanted) ?? keys[0];
  byId("key").replaceChildren(...keys.map((each) => option(each.query, each.key === null ? "(no key)" : String(each.key))));
  state.key = found ? found.query : null;
  if (found) byId("key").value = found.query;
}

// Ask for what is shown; an answer that another choice has overtaken is dropped.
async function refresh() {
  const turn = (state.turn += 1);
  byId("empty").hidden = state.key !== null;
  byId("panels").hidden = state.key === null;
  if (state.key === null) return;
  try {
    const [history, model] = await Promise.all([
      ask(`history?${query({ limit: 100 })}`),
      ask(`components?${modelQuery({ n_components: 6, n_features: 25 })}`),
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
  const names = history.checkpoints.map((each) => [JSON.stringify([each.window_end, each.sequence]), when(each) + (each.late ? " (late)" : "")]);
  byId("time").replaceChildren(option("", "latest, as it comes"), ...names.reverse().map(([value, text]) => option(value, text)));
  byId("time").value = state.time;
  const explained = model.explained_variance_ratio.reduce((sum, value) => sum + value, 0);
  byId("summary").textContent = `${when(model)}: ${model.n_samples_seen.toLocaleString("en")} rows of ${model.n_features} features; ` +
    `${model.n_components} components explain ${(100 * explained).toFixed(1)} % of the variance.`;
  scree(model);
  loadings(model);
  if (history.checkpoints.length) charts(history);
  byId("link-components").href = `components?${modelQuery()}`;
  byId("link-history").href = `history?${query()}`;
}

// Whether the charts already hold what the server has just told of.
function isShown(seen) {
  const last = state.history?.checkpoints.at(-1);
  return last && state.history.n_checkpoints === seen.n_checkpoints
    && last.window_end === seen.window_end && last.sequence === seen.sequence;
}

// The server says when a checkpoint has been written; the browser reconnects by itself.
function follow() {
  state.source?.close();
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
    const last = seen.n_checkpoints ? `; last ${when(seen)}` : "";
    if (!isShown(seen)) await refresh();
    byId("live").textContent = `Live: ${seen.n_checkpoints} checkpoints${last}.`;
  });
  source.addEventListener("problem", (event) => {
    byId("live").textContent = `Not live: ${JSON.parse(event.data).error}.`;
  });
  source.onerror = () => {
    byId("live").textContent = "Not live: the connection is lost; trying again.";
    if (source.readyState === EventSource.CLOSED && source === state.source) setTimeout(follow, 5000);
  };
}

byId("key").addEventListener("change", (event) => {
  state.key = event.target.value;
  state.time = "";
  byId("rows-charts").hidden = true;
  byId("rows-result").textContent = "";
  history.replaceState(null, "", `#${new URLSearchParams({ key: state.key })}`);
  follow();
  refresh();
});

byId("time").addEventListener("change", (event) => {
  state.time = event.target.value;
  refresh();
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
