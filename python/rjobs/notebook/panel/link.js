// The page's half of the panel: this file, row.js and view.js are joined, in this order, to one module.
// Text that comes from jobs is only ever put into text nodes and attributes.

const STATES = ["running", "queued", "failed", "killed", "timed_out", "lost", "cancelled", "skipped", "expired", "done"];
// What each button asks for, and what its row says until the kernel has done it.
const ACTIONS = { stop: "asking to stop…", kill: "killing…", cancel: "cancelling…", retry: "retrying…" };
// Milliseconds.
const PATIENCE = 2500; // until a request on the control channel counts as lost
const BUSY = 1500; // until the user is told that a click waits for the running cell
const ASKED = 10000; // until a button that did nothing visible may be pressed again
const STILL_HERE = 60000; // between two signs of life, while there is news
const HELD = 2000; // rows keep their places so long after the pointer moved over them
const FRESH = 500; // a button that takes another's place ignores clicks so long
const TOLD = 3000; // between two announcements to screen readers

const words = (state) => state.replaceAll("_", " ");
const count = (number) => number.toLocaleString("en-US");
const newId = () => Math.random().toString(36).slice(2) + Date.now().toString(36);

function duration(seconds) {
  const s = Math.max(Math.floor(seconds), 0);
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d ${two(Math.floor(s / 3600) % 24)} h`;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The way to the kernel, and what it has told: one for each panel, whatever the number of its views.
class Link {
  constructor(model) {
    this.model = model;
    this.key = model.get("key");
    this.page = newId();
    this.views = new Set();
    this.jobs = new Map();
    this.waiting = new Map(); // requests that the kernel has not taken yet: what for, and since when
    this.live = false; // whether the kernel has spoken
    this.gone = false; // whether the kernel of this panel is there no more
    this.reached = false; // whether the kernel has answered on the control channel
    this.doubted = false; // whether it has been silent there
    this.onStatus = (_, status) => { if (["dead", "restarting", "autorestarting"].includes(status)) this.leave(); };
    this.note = "";
    this.lastSaid = 0;
    this.load(model.get("state"));
  }

  get kernel() {
    return this.model.widget_manager?.kernel ?? null;
  }

  load(state) {
    this.state = { order: [], counts: {}, matched: 0, limit: 20, view: {}, tails: {}, ...state, rows: undefined };
    this.jobs = new Map();
    for (const row of state?.rows ?? []) this.take(row);
  }

  take(row) {
    // From here on the clocks of the row run by themselves.
    const now = performance.now() / 1000;
    this.jobs.set(row.num, { ...row, began: now - (row.elapsed ?? 0), runs: now + (row.due ?? 0) });
  }

  hear(message) {
    if (message.kind === "answered") {
      for (const id of message.ids) this.taken(id);
    } else if (message.kind === "note") {
      this.say(message.text);
    } else if (message.kind === "whole") {
      this.load(message);
    } else if (message.kind === "changes") {
      if (message.number !== this.state.number + 1) return void this.ask("hello");
      const { kind, rows, ...others } = message;
      Object.assign(this.state, others);
      for (const row of rows ?? []) this.take(row);
    } else return;
    this.live = true;
    this.gone = false;
    // So that a notebook saved now, with the state of its widgets, has what is shown.
    const rows = this.state.order.filter((num) => this.jobs.has(num)).map((num) => this.jobs.get(num));
    this.model.set("state", { ...this.state, rows });
    if (Date.now() - this.lastSaid > STILL_HERE) this.ask("here");
    this.show();
  }

  show() {
    for (const view of this.views) view.show();
  }

  say(text) {
    this.note = text;
    this.show();
  }

  taken(id) {
    this.waiting.delete(id);
  }

  // What the kernel has not taken for so long that the user is to know.
  get late() {
    return [...this.waiting.values()].filter(({ since }) => Date.now() - since >= BUSY).map(({ kind }) => kind);
  }

  // Ask the kernel for something, on the control channel, which a running cell does not keep busy, or as a message of the
  // widget, which waits for it. On both ways it is the same request, and is done once.
  async ask(kind, more = {}) {
    const request = { id: newId(), key: this.key, page: this.page, kind, control: this.reached, ...more };
    this.lastSaid = Date.now();
    this.waiting.set(request.id, { kind, since: this.lastSaid });
    setTimeout(() => this.show(), BUSY);
    const { kernel } = this;
    const isDirect = this.model.get("direct") && typeof kernel?.requestDebug === "function";
    if (!isDirect || this.doubted) this.send(request);
    if (!isDirect) return;
    try {
      const content = { type: "request", seq: 0, command: "rjobs", arguments: request };
      const late = new Promise((_, reject) => setTimeout(reject, PATIENCE));
      const reply = await Promise.race([kernel.requestDebug(content, true).done, late]);
      // Where it does not know us, it is not the kernel that the panel is of, or has closed the panel.
      if (!reply.content.success) return this.leave();
      this.taken(request.id);
      this.show();
      // From now on it may take a page that is silent for one that is gone.
      if (!this.reached) { this.reached = true; this.ask("here"); }
    } catch {
      if (!this.doubted) this.send(request);
      this.doubted = true;
    }
  }

  send(request) {
    try { this.model.send(request); } catch { this.leave(); /* its comm is closed */ }
  }

  leave() {
    this.waiting.clear();
    this.live = false;
    this.gone = true;
    this.show();
  }

  open(view) {
    this.views.add(view);
    if (this.views.size > 1 || !this.kernel) return;
    this.watched = this.kernel.statusChanged;
    this.watched?.connect?.(this.onStatus);
    this.ask("hello");
  }

  close(view) {
    this.views.delete(view);
    if (this.views.size) return;
    this.watched?.disconnect?.(this.onStatus);
    if (this.live) this.ask("bye");
  }
}
