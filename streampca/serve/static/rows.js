// Rows that somebody pastes: text becomes the body of POST /transform.

export function readRows(text) {
  const trimmed = text.trim();
  if (!trimmed) throw new Error("There are no rows: paste some first.");
  if (/^[[{]/.test(trimmed)) return readJson(trimmed);
  const lines = trimmed.split(/\r?\n/).filter((line) => line.trim()).map(split);
  const named = lines[0].some((cell) => cell !== "" && Number.isNaN(Number(cell)));
  if (!named) return lines.map((line, i) => line.map((cell, j) => toNumber(cell, i, j)));
  const [names, ...rest] = lines;
  if (!rest.length) throw new Error("There is a line of names and no row below it.");
  return rest.map((line, i) => {
    if (line.length !== names.length) throw new Error(`Row ${i} has ${line.length} cells, and there are ${names.length} names.`);
    return Object.fromEntries(line.map((cell, j) => [names[j], toNumber(cell, i, names[j])]));
  });
}

function readJson(text) {
  try {
    const given = JSON.parse(text);
    if (Array.isArray(given)) return given.length && typeof given[0] === "number" ? [given] : given;
    return "rows" in given ? given.rows : [given];
  } catch {
    return text.split(/\r?\n/).filter((line) => line.trim()).map((line, i) => {
      try { return JSON.parse(line); } catch { throw new Error(`Line ${i} is no JSON.`); }
    });
  }
}

// One line of CSV, in which a cell may stand in quotes.
function split(line) {
  const separator = line.includes("\t") ? "\t" : line.includes(";") ? ";" : ",";
  const cells = [];
  let cell = "", quoted = false;
  for (let i = 0; i < line.length; i += 1) {
    const letter = line[i];
    if (quoted && letter === '"' && line[i + 1] === '"') { cell += '"'; i += 1; }
    else if (letter === '"') quoted = !quoted;
    else if (letter === separator && !quoted) { cells.push(cell.trim()); cell = ""; }
    else cell += letter;
  }
  return [...cells, cell.trim()];
}

function toNumber(cell, row, feature) {
  if (cell === "") return null;
  const value = Number(cell);
  if (!Number.isFinite(value)) throw new Error(`Row ${row}, feature ${feature} is "${cell}", not a number.`);
  return value;
}
