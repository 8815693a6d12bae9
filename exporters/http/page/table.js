// The table: sortable, filtered with the panel, cells touched only when their text changes.

import { LEVELS, LEVEL_WORDS, QUANTITIES, el, natural, number, put, range, without } from "./format.js";
import { matches, on, store } from "./store.js";

const PAGE = 128;

const measured = (key, end) => ({
  key, label: QUANTITIES[key].label, unit: QUANTITIES[key].unit, number: true,
  text: (row) => range(key, row.values[key]),
  order: (row) => row.values[key]?.[end],
});

const COLUMNS = [
  { key: "port", label: "Port", text: (row) => row.port, order: (row) => row.port },
  { key: "level", label: "State", text: (row) => LEVEL_WORDS[row.level], order: (row) => LEVELS.indexOf(row.level) },
  { key: "why", label: "Why", text: (row) => (row.why.length ? without(row.port, row.why[0]) : "") },
  { key: "link", label: "Link", text: (row) => row.link ?? "" },
  { key: "flaps", label: "Flaps", number: true, text: (row) => (row.flaps === undefined ? "" : String(row.flaps)), order: (row) => row.flaps },
  measured("temperature_celsius", 1),
  measured("rx_power_dbm", 0),
  measured("tx_power_dbm", 0),
  measured("tx_bias_amperes", 1),
  { ...measured("pre_fec_ber_ratio", 1), text: (row) => (row.values.pre_fec_ber_ratio ? number("pre_fec_ber_ratio", row.values.pre_fec_ber_ratio[1]) : "") },
  measured("snr_db", 0),
  measured("supply_voltage_volts", 0),
  { key: "module", label: "Module", text: (row) => [row.module.vendor_name, row.module.part_number].filter(Boolean).join(" ") },
  { key: "serial", label: "Serial", text: (row) => row.module.serial_number ?? "" },
];

let sort = { column: COLUMNS[1], down: false };
let cols = [];
let limit = PAGE;
let shown = []; // keys in the table, in order
const lines = new Map(); // key -> {node, cells}
const heads = new Map();

export function startTable(openPort) {
  const table = document.getElementById("table");
  cols = COLUMNS.map((column) => el("col", { "data-key": column.key }));
  table.prepend(el("colgroup", {}, ...cols));
  table.tHead.append(el("tr", {}, ...COLUMNS.map(head)));
  table.tBodies[0].addEventListener("click", (event) => {
    const line = event.target.closest("tr");
    if (!line || String(getSelection())) return;
    event.preventDefault();
    openPort(store.rows.get(line.dataset.key), line.querySelector("a"));
  });
  document.getElementById("rows-more").addEventListener("click", () => {
    limit = Infinity;
    arrange();
  });
  on("rows", (changed) => {
    for (const key of changed) if (lines.has(key)) write(key);
    arrangeSoon();
  });
  on("filter", arrange);
  arrange();
}

function head(column) {
  const choose = () => {
    sort = { column, down: sort.column === column ? !sort.down : Boolean(column.number) };
    arrange();
  };
  const button = el("button", { type: "button", onclick: choose }, column.label, column.unit ? el("small", {}, ` ${column.unit}`) : null);
  const node = el("th", { scope: "col", class: column.number ? "number" : null }, button);
  heads.set(column, node);
  return node;
}

// Rows keep their place for a while: a table that reorders every second cannot be read.
let timer = 0;
function arrangeSoon() {
  if (!lines.size) return arrange();
  timer ||= setTimeout(arrange, 5000);
}

function arrange() {
  clearTimeout(timer);
  timer = 0;
  for (const [column, node] of heads) {
    node.setAttribute("aria-sort", column !== sort.column ? "none" : sort.down ? "descending" : "ascending");
  }
  const rows = [...store.rows.values()];
  COLUMNS.forEach((column, at) => cols[at].classList.toggle("none", rows.length > 0 && !rows.some((row) => column.text(row) !== "")));
  const keys = store.order.filter((key) => matches(store.rows.get(key)));
  const place = new Map(store.order.map((key, at) => [key, at]));
  keys.sort((one, other) => compare(store.rows.get(one), store.rows.get(other)) || place.get(one) - place.get(other));
  const before = shown;
  shown = keys.slice(0, limit);
  const more = document.getElementById("rows-more");
  more.hidden = keys.length <= shown.length;
  put(more, `Show all ${keys.length} ports`);
  if (before.length === shown.length && before.every((key, at) => key === shown[at])) return;
  for (const key of before) if (!store.rows.has(key)) lines.delete(key);
  const body = document.getElementById("table").tBodies[0];
  const nodes = shown.map((key) => (lines.get(key) ?? line(key)).node);
  if (!nodes.length && store.rows.size) nodes.push(el("tr", { class: "nothing" }, el("td", { colspan: COLUMNS.length }, "No port matches this filter.")));
  body.replaceChildren(...nodes);
}

function compare(one, other) {
  const order = sort.column.order ?? sort.column.text;
  const [a, b] = [order(one), order(other)];
  const [none, nothing] = [a === undefined || a === "", b === undefined || b === ""];
  if (none || nothing) return none - nothing; // what is not known comes last, whichever way
  const result = typeof a === "number" ? a - b : natural(a, b);
  return sort.down ? -result : result;
}

function line(key) {
  const row = store.rows.get(key);
  const link = el("a", { href: `#${new URLSearchParams({ port: row.port, device: row.device })}` });
  const cells = COLUMNS.map((column) => el("td", { class: column.number ? "number" : column.key }));
  const badge = el("span", { class: "badge" });
  cells[0].append(link);
  cells[1].append(badge);
  const targets = [link, badge, ...cells.slice(2)];
  const known = { node: el("tr", { "data-key": key }, ...cells), targets };
  lines.set(key, known);
  write(key);
  return known;
}

function write(key) {
  const row = store.rows.get(key);
  const { node, targets } = lines.get(key);
  if (!row) return;
  if (node.dataset.level !== row.level) node.dataset.level = targets[1].dataset.level = row.level;
  COLUMNS.forEach((column, at) => put(targets[at], column.text(row)));
}
