"use strict";
const INTERVAL = 2000;
const SHOWN_RECORDS = 200;
const byId = (id) => document.getElementById(id);
const token = byId("token");
token.value = sessionStorage.getItem("token") || "";
token.addEventListener("change", () => { sessionStorage.setItem("token", token.value); refresh(); });

const headers = () => (token.value ? { authorization: "Bearer " + token.value } : {});
async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(), cache: "no-store" });
  if (answer.ok) return answer;
  let text = answer.status + " " + answer.statusText;
  try { text = (await answer.json()).detail || text; } catch { /* no problem document */ }
  throw new Error(text);
}

const number = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en"));
const ago = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return seconds.toFixed(seconds < 10 ? 1 : 0) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return Math.round(seconds / 3600) + " h";
};

// Rows are made of text only: nothing a record, broker or receiver says can become markup.
function cell(content, kind) {
  const td = document.createElement("td");
  for (const part of [content].flat()) td.append(part);
  if (kind) td.className = kind;
  return td;
}
function fill(id, rows, nothing) {
  const body = byId(id).tBodies[0];
  const made = rows.map((cells) => { const tr = document.createElement("tr"); tr.append(...cells); return tr; });
  if (!made.length) {
    const td = cell(nothing, "empty");
    td.colSpan = 99;
    const tr = document.createElement("tr");
    tr.append(td);
    made.push(tr);
  }
  body.replaceChildren(...made);
}
function button(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

let before = null;
function rates(status) {
  const now = performance.now();
  const positions = new Map();
  for (const input of status.inputs) {
    for (const one of input.partitions) {
      if (one.position !== null) positions.set(input.name + " " + one.topic + " " + one.partition, one.position);
    }
  }
  const found = new Map();
  if (before) {
    const seconds = (now - before.now) / 1000;
    for (const [key, position] of positions) {
      const old = before.positions.get(key);
      if (old === undefined) continue;
      const topic = key.slice(0, key.lastIndexOf(" "));
      found.set(topic, (found.get(topic) || 0) + Math.max(0, position - old) / seconds);
    }
  }
  before = { now, positions };
  return found;
}

function show(status, topics) {
  const perSecond = rates(status);
  const alarms = [];
  const errors = [];
  for (const input of status.inputs) {
    if (input.alarm) alarms.push("input " + input.name + ": " + input.alarm);
    for (const one of input.partitions) {
      if (one.blocked && one.blocked.alarm) alarms.push(one.topic + "/" + one.partition + ": " + one.blocked.reason);
    }
    if (input.last_error) errors.push([input.last_error, "input " + input.name]);
  }
  for (const one of status.destinations) {
    if (one.alarm) alarms.push("destination " + one.name + ": " + (one.reason || "held"));
    if (one.last_error) errors.push([one.last_error, "destination " + one.name]);
  }
  const well = !status.stopping && !alarms.length && status.inputs.every((input) => input.joined);
  const state = byId("state");
  state.textContent = status.stopping ? "stopping" : well ? "ready" : "not ready";
  state.className = "badge " + (well ? "good" : "bad");
  byId("about").textContent = "version " + status.version + ", revision " + status.revision + ", up " + ago(status.uptime_seconds);
  byId("alarms").hidden = !alarms.length;
  byId("alarms").querySelector("ul").replaceChildren(...alarms.map((text) => {
    const li = document.createElement("li");
    li.textContent = text;
    return li;
  }));
  fill("topics", topics.map((one) => [
    cell(one.topic), cell(one.input), cell(one.route), cell(number(one.partitions), "n"),
    cell(number(perSecond.get(one.input + " " + one.topic)), "n"), cell(number(one.lag), "n"), cell(number(one.records_in_flight), "n"),
    one.paused ? cell("paused by " + one.paused.by + ", " + ago(one.paused.seconds), "warn") : cell("read", "good"),
    cell([
      button("watch", () => watch(one.topic)),
      button(one.paused ? "resume" : "pause", () => change(one.topic, one.paused ? "resume" : "pause")),
    ]),
  ]), "No input reads a topic.");
  fill("destinations", status.destinations.map((one) => [
    cell(one.name), cell(one.url), cell(one.state, one.alarm ? "bad" : one.state === "up" ? "good" : "warn"),
    cell(number(one.queued_items), "n"), cell(number(one.in_flight_items), "n"), cell(ago(one.oldest_seconds), "n"), cell(one.reason || ""),
  ]), "None.");
  fill("inputs", status.inputs.map((one) => [
    cell(one.name), cell(one.group_id), one.joined ? cell("yes", "good") : cell("no", "bad"), cell(number(one.brokers_up), "n"),
    cell(number(one.rebalances), "n"), cell(number(one.partitions.length), "n"), cell(number(one.lag), "n"),
  ]), "None.");
  errors.sort((a, b) => a[0].seconds_ago - b[0].seconds_ago);
  fill("errors", errors.map(([error, where]) => [cell(ago(error.seconds_ago), "n"), cell(where), cell(error.message)]), "None.");
}

function complain(error) {
  const line = byId("error");
  line.hidden = !error;
  line.textContent = error ? error.message : "";
}
async function change(topic, what) {
  if (!confirm(what + " " + topic + "?")) return;
  try {
    await ask("/v1/topics/" + encodeURIComponent(topic) + "/" + what, { method: "POST" });
    refresh();
  } catch (error) { complain(error); }
}

let watching = null;
byId("stop").addEventListener("click", () => { if (watching) watching.abort(); });
async function watch(topic) {
  if (watching) watching.abort();
  const own = watching = new AbortController();
  const lines = [];
  const out = byId("records");
  out.textContent = "Waiting for records.";
  byId("stop").hidden = false;
  try {
    const answer = await ask("/v1/topics/" + encodeURIComponent(topic) + "/tap?rate=5", { signal: own.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const fields = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
        if (fields.event === "seen") byId("tapped").textContent = "of " + topic + " (" + number(Number(fields.data)) + " passed)";
        if (fields.event === "record") lines.push(line(JSON.parse(fields.data)));
      }
      if (lines.length) {
        lines.splice(0, lines.length - SHOWN_RECORDS);
        const end = out.scrollHeight - out.scrollTop - out.clientHeight < 40;
        out.textContent = lines.join("\n");
        if (end) out.scrollTop = out.scrollHeight;
      }
    }
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
  }
  if (watching === own) { watching = null; byId("stop").hidden = true; }
}
const payload = (bytes) => (bytes === null ? "null" : "text" in bytes ? bytes.text : "base64:" + bytes.base64);
function line(record) {
  const head = record.partition + "/" + record.offset + (record.key === null ? "" : " key=" + payload(record.key));
  const tags = record.headers.map((header) => " " + header.name + "=" + payload(header.value)).join("");
  return head + tags + "  " + payload(record.value);
}

async function refresh() {
  try {
    const [status, topics] = await Promise.all(["/v1/status", "/v1/topics"].map((path) => ask(path).then((answer) => answer.json())));
    show(status, topics.topics);
    complain(null);
  } catch (error) {
    byId("state").textContent = "no answer";
    byId("state").className = "badge bad";
    complain(error);
  }
}
async function loop() {
  if (!document.hidden) await refresh();
  setTimeout(loop, INTERVAL);
}
loop();
