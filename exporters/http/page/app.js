// The status page: starts the parts, and keeps what is looked at in the address, so that it can be sent to a colleague.

import { put } from "./format.js";
import { follow, on, setLevels, setQuery, store } from "./store.js";
import { startAlerts } from "./alerts.js";
import { focusPort, startPanel } from "./panel.js";
import { closePort, openPort, startPort } from "./port.js";
import { startTable } from "./table.js";

const state = { port: "", device: "" };

function open(row, opener) {
  Object.assign(state, { port: row.port, device: row.device });
  save();
  openPort(row, opener);
}

// ---- the address ----

function save() {
  const hash = new URLSearchParams();
  if (state.port) hash.set("port", state.port);
  if (state.port && state.device) hash.set("device", state.device);
  if (store.query.trim()) hash.set("q", store.query.trim());
  if (store.levels.size) hash.set("state", [...store.levels].join(" "));
  const text = hash.toString();
  if (location.hash.slice(1) !== text) history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function restore() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const query = hash.get("q") ?? "";
  document.getElementById("query").value = query;
  setQuery(query);
  setLevels((hash.get("state") ?? "").split(" ").filter(Boolean));
  const [port, device] = [hash.get("port") ?? "", hash.get("device") ?? ""];
  if (port === state.port && device === state.device) return;
  Object.assign(state, { port, device });
  if (port) openPort({ port, device }, null, { focus: false });
  else closePort();
}

// ---- filter ----

function startFilter() {
  const input = document.getElementById("query");
  const note = document.getElementById("query-note");
  let timer = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => setQuery(input.value), 120);
  });
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    setQuery(input.value);
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  on("filter", () => {
    put(note, store.filter.error);
    input.toggleAttribute("aria-invalid", Boolean(store.filter.error));
    save();
  });
}

// ---- colours: as the system has it, light, dark ----

const THEMES = ["", "light", "dark"];
const THEME_WORDS = { "": "as the system has it", light: "light", dark: "dark" };

function startTheme() {
  const button = document.getElementById("theme");
  const show = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    button.dataset.shows = theme || "system";
    button.setAttribute("aria-label", `Colours: ${THEME_WORDS[theme]}`);
    button.title = `Colours: ${THEME_WORDS[theme]}`;
  };
  let theme = THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "";
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem("theme", theme);
    show(theme);
  });
  show(theme);
}

// ---- head ----

function startHead() {
  const live = document.getElementById("live");
  on("live", () => {
    live.dataset.state = store.live;
    put(live, store.live === "live" ? "live" : "connecting …");
  });
  on("rows", () => {
    const devices = [...new Set([...store.rows.values()].map((row) => row.device))];
    put(document.getElementById("device"), devices.length > 2 ? `${devices.length} devices` : devices.join(", "));
    if (!performance.getEntriesByName("ports-shown").length) performance.mark("ports-shown");
  });
}

startTheme();
startHead();
startFilter();
startAlerts(open);
startPanel(open);
startTable(open);
startPort();
const reliability = document.getElementById("reliability");
reliability.addEventListener("toggle", () => import("./reliability.js").then(({ show }) => show(reliability)));
addEventListener("hashchange", restore);
addEventListener("port-closed", () => {
  const { port, device } = state;
  Object.assign(state, { port: "", device: "" });
  save();
  if (document.activeElement === document.body) focusPort(device, port);
});
restore();
follow();
