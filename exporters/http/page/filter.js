// The filter language: `rx < -8 dBm`, `vendor = acme`, `alert`, any word. Terms are all to hold.

const NUMBERS = {
  rx: ["rx_power_dbm", 1], tx: ["tx_power_dbm", 1], bias: ["tx_bias_amperes", 1000],
  temp: ["temperature_celsius", 1], temperature: ["temperature_celsius", 1],
  vcc: ["supply_voltage_volts", 1], voltage: ["supply_voltage_volts", 1],
  ber: ["pre_fec_ber_ratio", 1], snr: ["snr_db", 1],
};
const COUNTS = { flaps: "flaps", alerts: "alerts", swaps: "swaps", lanes: "lanes" };
const TEXTS = {
  port: (row) => row.port, device: (row) => row.device, group: (row) => row.group, engine: (row) => row.engine ?? "",
  state: (row) => row.level, level: (row) => row.level, link: (row) => row.link ?? "",
  vendor: (row) => row.module.vendor_name ?? "", part: (row) => row.module.part_number ?? "",
  serial: (row) => row.module.serial_number ?? "", form: (row) => row.module.form_factor ?? "",
  media: (row) => row.module.media ?? "", why: (row) => row.why.join(" "),
};
const WORDS = {
  alert: (row) => row.alerts > 0,
  alerts: (row) => row.alerts > 0,
  down: (row) => row.link === "down",
  up: (row) => row.link === "up",
  empty: (row) => row.level === "absent",
};
const TERM = /([a-z]+)\s*(<=|>=|!=|=|<|>|:)\s*("[^"]*"|[^\s,]+)(?:\s*(dBm|dB|mA|A|V|°?C)\b)?|"[^"]*"|[^\s,]+/gi;

const compare = {
  "<": ([low], limit) => low < limit, "<=": ([low], limit) => low <= limit,
  ">": ([, high], limit) => high > limit, ">=": ([, high], limit) => high >= limit,
  "=": ([low, high], limit) => low <= limit && limit <= high, ":": ([low, high], limit) => low <= limit && limit <= high,
  "!=": ([low, high], limit) => limit < low || high < limit,
};

// Returns {test, error}: what is wrong is said, and matches nothing away.
export function parse(query) {
  const tests = [];
  const text = query.trim().replaceAll("\u2212", "-");
  for (const term of text.matchAll(TERM)) {
    if (/^(and|&&)$/i.test(term[0])) continue;
    const test = term[1] ? comparison(term) : word(term[0]);
    if (typeof test === "string") return { test: () => true, error: test };
    tests.push(test);
  }
  return { test: (row) => tests.every((each) => each(row)), error: "" };
}

function comparison([, name, operator, raw, unit]) {
  const key = name.toLowerCase();
  const value = raw.replace(/^"|"$/g, "");
  if (key in TEXTS) return onText(TEXTS[key], operator, value.toLowerCase(), key);
  if (!(key in NUMBERS) && !(key in COUNTS)) {
    return `There is no “${name}”: try ${[...Object.keys(NUMBERS), ...Object.keys(COUNTS), ...Object.keys(TEXTS)].join(", ")}.`;
  }
  // "65C" and "80mA" without a space
  const match = /^([-+]?[\d.]+(?:e[-+]?\d+)?)(dBm|dB|mA|A|V|°?C)?$/i.exec(value);
  if (!match || Number.isNaN(Number(match[1]))) return `“${raw}” is no number.`;
  const limit = Number(match[1]);
  if (key in COUNTS) return (row) => compare[operator]([row[COUNTS[key]] ?? 0, row[COUNTS[key]] ?? 0], limit);
  const [field, factor] = NUMBERS[key];
  const base = (unit ?? match[2]) === "A" ? limit : limit / factor;
  return (row) => field in row.values && compare[operator](row.values[field], base);
}

function onText(get, operator, value, key) {
  if (operator === "!=") return (row) => !get(row).toLowerCase().includes(value);
  if (operator === "=" || operator === ":") return (row) => get(row).toLowerCase().includes(value);
  return `“${key}” is text: = or != go with it.`;
}

function word(raw) {
  const value = raw.replace(/^"|"$/g, "").toLowerCase();
  if (value in WORDS) return WORDS[value];
  return (row) => Object.values(TEXTS).some((get) => get(row).toLowerCase().includes(value));
}
