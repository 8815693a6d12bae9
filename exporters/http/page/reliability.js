// How reliable links are: link-hours, flaps, and what holds with 95 % confidence. Fetched when somebody looks.

import { el, hours } from "./format.js";

const REFRESH_MS = 60_000;
const MILLION = 1e6;
const BY = { parts: "part number", vendors: "vendor", form_factors: "form factor", ports: "port" };
const NAMES = { vendor_name: "Vendor", part_number: "Part number", form_factor: "Form factor", device: "Device", port: "Port" };
let by = "parts";
let timer = 0;
let found = null;

// `details` was opened or closed.
export async function show(details) {
  clearInterval(timer);
  if (!details.open) return;
  timer = setInterval(load, REFRESH_MS);
  await load();
}

async function load() {
  const body = document.getElementById("reliability-body");
  try {
    const response = await fetch("api/v1/reliability");
    if (!response.ok) throw new Error((await response.text()).trim());
    found = await response.json();
    draw(body);
  } catch (problem) {
    if (!found) body.replaceChildren(el("p", { class: "none" }, `Not known now: ${problem.message}`));
  }
}

function draw(body) {
  const fleet = found.fleet;
  if (!fleet.links) return body.replaceChildren(el("p", { class: "none" }, "No link is watched."));
  const choice = el("select", { id: "reliability-by", onchange: (event) => {
    by = event.target.value;
    draw(body);
    document.getElementById("reliability-by").focus();
  } }, ...Object.entries(BY).map(([key, name]) => el("option", { value: key, selected: key === by }, name)));
  body.replaceChildren(
    el("p", { class: "said" }, `${fleet.links} links, ${hours(fleet.link_hours)} link-hours, ${hours(fleet.unintentional_downs)} times one went down by itself`,
      fleet.unintentional_downs ? ` (one in ${hours(fleet.link_hours_per_down)} h)` : "",
      `: with 95 % confidence more than ${hours(fleet.link_hours_per_down_lower95)} h between two. `,
      million(fleet) ? el("b", { class: "shown" }, "A million hours without a flap are shown.") : "A million hours are not shown yet."),
    el("label", {}, "By ", choice), table(found[by]));
}

const million = (figure) => figure.link_hours_per_down_lower95 >= MILLION;

function table(figures) {
  if (!figures.length) return el("p", { class: "none" }, "Nothing to tell apart: no module of a watched link was read.");
  const names = Object.keys(NAMES).filter((key) => figures.some((figure) => key in figure));
  const several = new Set(figures.map((figure) => figure.device)).size > 1;
  const heads = names.filter((key) => key !== "device" || several);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "reliability-title" }, el("table", {},
    el("thead", {}, el("tr", {}, ...heads.map((key) => el("th", { scope: "col" }, NAMES[key])),
      ...["Links", "Link-hours", "Flaps", "Hours a flap", "At least (95 %)"].map((name) => el("th", { scope: "col", class: "number" }, name)))),
    el("tbody", {}, ...figures.map((figure) => el("tr", {}, ...heads.map((key) => el("td", {}, figure[key] ?? "")),
      ...[figure.links, figure.link_hours, figure.unintentional_downs, figure.link_hours_per_down].map((value) => el("td", { class: "number" }, value === undefined ? "" : hours(value))),
      el("td", { class: million(figure) ? "number shown" : "number" }, hours(figure.link_hours_per_down_lower95)))))));
}
