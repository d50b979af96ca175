// Times: which zone they are shown in, and which of all checkpoints is chosen.

import { node } from "./charts.js";

const FORMATS = new Map();
const KEPT = "streampca-zone";
export const zone = { name: remembered() };

function remembered() {
  try { return checked(localStorage.getItem(KEPT)) ?? "UTC"; } catch { return "UTC"; }
}

function checked(name) {
  try { return name && new Intl.DateTimeFormat("en", { timeZone: name }) && name; } catch { return null; }
}

function formatOf(name) {
  if (!FORMATS.has(name)) {
    FORMATS.set(name, new Intl.DateTimeFormat("en-GB", {
      timeZone: name, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "longOffset",
    }));
  }
  return FORMATS.get(name);
}

function partsOf(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1) return null; // beyond what browsers know
  return Object.fromEntries(formatOf(zone.name).formatToParts(date).map(({ type, value }) => [type, value]));
}

// ISO 8601 in UTC, as the server writes it, in the zone that was chosen; seconds where there are any.
export function timeText(iso) {
  const parts = partsOf(iso);
  if (!parts) return iso;
  const fraction = /\.(\d+)/.exec(iso);
  const seconds = parts.second === "00" && !fraction ? "" : `:${parts.second}${fraction ? fraction[0] : ""}`;
  return `${parts.year.padStart(4, "0")}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}${seconds}`;
}

export const when = (checkpoint) => (checkpoint.window_end ? timeText(checkpoint.window_end) : `no. ${checkpoint.sequence}`);

// The zone's name, with its offset at a time: it differs between summer and winter.
export function zoneLabel(iso) {
  if (zone.name === "UTC") return "UTC";
  const offset = partsOf(iso ?? new Date().toISOString())?.timeZoneName?.replace("GMT", "UTC");
  return `${zone.name}${offset && offset !== zone.name ? ` (${offset})` : ""}`;
}

export function setUpZones(select, changed) {
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const all = Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [];
  const first = [...new Set(["UTC", local, zone.name])];
  const group = (label, names) => {
    const made = node("optgroup", { label });
    made.append(...names.map((name) => node("option", { value: name }, name === local ? `${name} (this computer)` : name)));
    return made;
  };
  select.replaceChildren(group("Often used", first), group("All", all.filter((name) => !first.includes(name))));
  select.value = zone.name;
  select.addEventListener("change", () => {
    zone.name = select.value;
    try { localStorage.setItem(KEPT, zone.name); } catch { /* not kept, then */ }
    changed();
  });
}

// All checkpoints of a key by name, oldest first; what has come since is all that is asked for.
export class Times {
  constructor(ask) { this.ask = ask; this.clear(); }

  clear() { this.ends = []; this.sequences = []; this.turn = (this.turn ?? 0) + 1; }

  get count() { return this.ends.length; }

  at(index) { return { window_end: this.ends[index], sequence: this.sequences[index] }; }

  indexOf({ window_end: end, sequence }) {
    return this.ends.findIndex((each, i) => each === end && this.sequences[i] === sequence);
  }

  async update(query) {
    const skip = Math.max(0, this.count - 1);
    const last = this.at(this.count - 1), turn = this.turn;
    const { window_end: ends, sequence: sequences, n_checkpoints: count } = await this.ask(`times?${query({ skip })}`);
    if (turn !== this.turn) return; // another key has been chosen meanwhile
    const fits = !this.count || (ends[0] === last.window_end && sequences[0] === last.sequence);
    if (!fits || skip + ends.length !== count) { // a late window, or others that have gone
      if (skip || !fits) { this.clear(); await this.update(query); return; }
    }
    this.ends.splice(skip, Infinity, ...ends);
    this.sequences.splice(skip, Infinity, ...sequences);
  }
}
