// The page's half of the panel of jobs. Text that comes from jobs is only ever put into text nodes and attributes.

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

// ---- The link to the kernel: one for each panel, whatever the number of its views ------------------------------------

class Link {
  constructor(model) {
    this.model = model;
    this.page = newId();
    this.views = new Set();
    this.jobs = new Map();
    this.waiting = new Map(); // requests that the kernel has not taken yet, with their timers
    this.live = false; // whether the kernel has spoken
    this.gone = false; // whether it has said that it does not know us
    this.control = true; // whether the way past the running cell works, as far as is known
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
    clearTimeout(this.waiting.get(id));
    this.waiting.delete(id);
    if (!this.waiting.size && this.isBusy) this.isBusy = false;
  }

  // Ask the kernel for something, on the control channel, which a running cell does not keep busy, else as a message of the
  // widget, which waits for it. On both ways it is the same request, and is done once.
  async ask(kind, more = {}) {
    const request = { id: newId(), key: this.model.get("key"), page: this.page, kind, control: this.control, ...more };
    this.lastSaid = Date.now();
    this.waiting.set(request.id, setTimeout(() => { this.isBusy = true; this.show(); }, BUSY));
    const kernel = this.kernel;
    if (this.control && typeof kernel?.requestDebug === "function") {
      try {
        const content = { type: "request", seq: 0, command: "rjobs", arguments: request };
        const late = new Promise((_, reject) => setTimeout(reject, PATIENCE));
        const reply = await Promise.race([kernel.requestDebug(content, true).done, late]);
        if (reply.content.success) return this.taken(request.id), this.show();
        // The kernel that answered is not the one that the panel is of, or has closed it.
        if (reply.content.command === "rjobs") return this.leave(request.id);
      } catch { /* no answer: the other way, then */ }
    }
    this.control = request.control = false;
    this.model.send(request);
    this.show();
  }

  leave(id) {
    this.taken(id);
    this.live = false;
    this.gone = true;
    this.show();
  }

  open(view) {
    this.views.add(view);
    if (this.views.size === 1 && this.kernel) this.ask("hello");
  }

  close(view) {
    this.views.delete(view);
    if (!this.views.size && this.live) this.ask("bye");
  }
}

// ---- One row ---------------------------------------------------------------------------------------------------------

class JobRow {
  constructor(view, num) {
    this.view = view;
    this.num = num;
    const press = (kind) => () => this.press(kind);
    const tailId = `rj-${newId()}`;
    this.opener = make("button", { class: "rj-open", type: "button", "aria-controls": tailId, "aria-expanded": "false",
      onclick: () => view.toggle(num) });
    this.name = make("span", { class: "rj-name" });
    this.line = make("span", { class: "rj-line" });
    this.state = make("span", { class: "rj-state" });
    this.detail = make("span", { class: "rj-detail" });
    this.mini = make("span", { class: "rj-mini", "aria-hidden": "true" });
    this.fill = make("span", { class: "rj-fill" });
    this.bar = make("span", { class: "rj-bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, this.fill);
    this.progress = make("span", { class: "rj-progress" });
    this.time = make("td", { class: "rj-time" });
    this.buttons = {};
    for (const [kind, label] of [["stop", "Stop"], ["cancel", "Cancel"], ["retry", "Retry"], ["kill", "Kill"]]) {
      this.buttons[kind] = make("button", { class: `rj-button rj-${kind}`, type: "button", onclick: press(kind) }, label);
    }
    this.buttons.stop.title = "Ask it to stop; after 5 seconds it is killed";
    this.buttons.kill.title = "End it now";
    this.buttons.cancel.title = "Take it out of the queue: it never runs";
    this.buttons.retry.title = "Run the same work again, as a new job";
    this.actions = make("td", { class: "rj-actions" }, make("span", {}, ...Object.values(this.buttons)));
    this.main = make("tr", { class: "rj-row" },
      make("td", { class: "rj-num" }, this.opener, make("span", {}, String(num))),
      make("td", { class: "rj-job" }, this.name, this.line),
      make("td", { class: "rj-in" }, this.state, this.detail, this.mini),
      make("td", { class: "rj-far" }, this.bar, this.progress),
      this.time, this.actions);
    this.text = make("pre", { tabindex: "0" });
    this.tail = make("tr", { class: "rj-tail", id: tailId, hidden: "" }, make("td", { colspan: "6" }, this.text));
    this.element = make("tbody", {}, this.main, this.tail);
  }

  press(kind) {
    const button = this.buttons[kind];
    if (button.getAttribute("aria-disabled") === "true") return;
    this.asked = kind;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.asked = null; this.view.show(); }, ASKED);
    this.view.link.ask(kind, { num: this.num });
    this.view.show();
  }

  show(job, { opened, tail, live }) {
    const label = `job ${job.num}, ${job.name}`;
    const phase = job.state === "running" || job.state === "queued" ? job.state : job.state === "done" ? "done" : "dead";
    if (this.phase !== phase) {
      if (this.phase) {
        this.asked = null;
        this.changed = performance.now();
        setTimeout(() => this.view.show(), FRESH);
      }
      this.phase = phase;
    }
    if ((job.stopping && this.asked === "stop") || job.detail?.startsWith("kill")) this.asked = null;
    this.job = job;
    this.main.dataset.state = job.state;
    put(this.name, job.name);
    this.name.title = job.name;
    put(this.line, job.line ?? "");
    this.line.title = job.line ?? "";
    this.line.classList.toggle("rj-bad", Boolean(job.bad));
    put(this.state, words(job.state));
    const progress = job.progress ?? [];
    this.bar.hidden = job.fraction === undefined;
    if (job.fraction !== undefined) {
      const percent = String(Math.round(job.fraction * 100));
      this.fill.style.width = `${job.fraction * 100}%`;
      this.bar.setAttribute("aria-valuenow", percent);
      this.bar.setAttribute("aria-label", `Progress of ${label}`);
    }
    put(this.progress, progress.join(" · "));
    this.progress.title = progress.join(" · ");
    put(this.mini, progress[0] ?? "");
    this.tick(live);
    const shown = { stop: phase === "running", kill: phase === "running", cancel: phase === "queued", retry: phase === "dead" };
    for (const [kind, button] of Object.entries(this.buttons)) {
      if (document.activeElement === button && !(shown[kind] && live)) this.opener.focus({ preventScroll: true });
      button.hidden = !(shown[kind] && live);
      const isOff = performance.now() - (this.changed ?? -FRESH) < FRESH
        || (this.asked && !(kind === "kill" && this.asked === "stop")) || (kind === "stop" && job.stopping);
      button.setAttribute("aria-disabled", String(Boolean(isOff)));
      button.setAttribute("aria-label", `${button.textContent} ${label}`);
    }
    this.opener.setAttribute("aria-expanded", String(opened));
    this.opener.setAttribute("aria-label", `Output of ${label}`);
    this.tail.hidden = !opened;
    if (opened) {
      const atEnd = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 4;
      put(this.text, tail === undefined ? "…" : tail || "No output yet.");
      this.text.setAttribute("aria-label", `The last lines of the output of ${label}`);
      if (atEnd) this.text.scrollTop = this.text.scrollHeight;
    }
  }

  tick(live) {
    const now = performance.now() / 1000;
    const { state, began, runs, due, took, elapsed, detail, stopping } = this.job;
    const wait = due !== undefined ? ` ${duration(live ? runs - now : due)}` : "";
    put(this.detail, this.asked ? ACTIONS[this.asked] : detail ? detail + wait : stopping ? "asked to stop" : "");
    put(this.time, state === "running" ? duration(live ? now - began : elapsed ?? 0) : took ?? "");
  }
}

// ---- The panel as it is shown: one view --------------------------------------------------------------------------------

class View {
  constructor(link, el) {
    this.link = link;
    this.rows = new Map();
    this.order = [];
    this.movedAt = -HELD;
    this.view = { states: [], text: "", offset: 0, open: [], ...link.state.view };
    // A table that was shown for where there is no panel is hidden while there is one.
    this.hiding = make("style");
    this.chips = make("div", { class: "rj-chips", role: "group", "aria-label": "Show the jobs in one state" });
    this.search = make("input", { class: "rj-search", type: "search", placeholder: "Name or number", maxlength: "100",
      "aria-label": "Show the jobs with this name or number", spellcheck: "false", autocomplete: "off", oninput: () => this.type() });
    this.search.value = this.view.text;
    this.all = make("button", { class: "rj-button rj-kill rj-all", type: "button", onclick: () => this.confirm(true) }, "Kill all…");
    this.question = make("span", { id: `rj-${newId()}` });
    this.yes = make("button", { class: "rj-button rj-kill", type: "button", onclick: () => this.killAll() }, "Kill all");
    this.no = make("button", { class: "rj-button", type: "button", onclick: () => this.confirm(false) }, "Keep them");
    this.box = make("div", { class: "rj-confirm", role: "alertdialog", "aria-label": "Kill all jobs?", "aria-describedby": this.question.id,
      hidden: "", onkeydown: (event) => { if (event.key === "Escape") this.confirm(false); } }, this.question, this.yes, this.no);
    this.note = make("div", { class: "rj-note", role: "status" });
    const heads = [["#", "rj-num"], ["Job", "rj-job"], ["State", "rj-in"], ["Progress", "rj-far"], ["Time", "rj-time"]];
    this.table = make("table", { "aria-label": "Jobs" },
      make("thead", {}, make("tr", {}, ...heads.map(([text, name]) => make("th", { scope: "col", class: name }, text)),
        make("th", { scope: "col", class: "rj-actions", "aria-label": "Actions" }))));
    this.table.addEventListener("pointermove", () => { this.movedAt = performance.now(); });
    this.table.addEventListener("pointerleave", () => { this.movedAt = -HELD; this.show(); });
    this.empty = make("div", { class: "rj-empty" });
    this.range = make("span", { class: "rj-range" });
    this.back = make("button", { class: "rj-button", type: "button", "aria-label": "Previous page", onclick: () => this.turn(-1) }, "‹");
    this.on = make("button", { class: "rj-button", type: "button", "aria-label": "Next page", onclick: () => this.turn(1) }, "›");
    this.pages = make("div", { class: "rj-pages", role: "group", "aria-label": "Pages" }, this.range, this.back, this.on);
    this.voice = make("div", { class: "rj-voice", role: "status", "aria-live": "polite" });
    // JupyterLab's own keys (Enter, x, d d ...) are not for what has the focus in here.
    this.root = make("div", { class: "rjobs-panel", role: "region", "aria-label": "Jobs panel", "data-lm-suppress-shortcuts": "true" },
      this.hiding, make("div", { class: "rj-head" }, this.chips, this.search, this.all),
      this.box, this.note, this.table, this.empty, this.pages, this.voice);
    el.append(this.root);
    this.clock = setInterval(() => this.tick(), 1000);
    link.open(this);
    this.show();
  }

  close() {
    clearInterval(this.clock);
    clearTimeout(this.typing);
    this.link.close(this);
    this.root.remove();
  }

  look(change) {
    Object.assign(this.view, change);
    this.changing = performance.now();
    this.link.ask("look", { view: this.view });
    this.show();
  }

  type() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.look({ text: this.search.value.trim(), offset: 0 }), 200);
  }

  toggle(num) {
    const open = this.view.open.filter((other) => other !== num);
    this.look({ open: open.length === this.view.open.length ? [...open, num].slice(-10) : open });
  }

  turn(pages) {
    const { limit } = this.link.state;
    this.look({ offset: Math.max(this.view.offset + pages * limit, 0) });
    this.movedAt = -HELD;
  }

  confirm(isAsked) {
    this.box.hidden = !isAsked;
    (isAsked ? this.no : this.all.hidden ? this.search : this.all).focus();
    this.show();
  }

  killAll() {
    this.link.ask("kill_all");
    this.confirm(false);
  }

  tick() {
    if (this.held && !this.isHeld()) this.show();
    for (const num of this.order) this.rows.get(num)?.tick(this.link.live);
  }

  isHeld() {
    return performance.now() - this.movedAt < HELD;
  }

  show() {
    const { link } = this;
    const { counts, matched, limit, tails, view } = link.state;
    // What another page looks at is what this one shows, unless it has just asked for something else.
    if (view && performance.now() - (this.changing ?? -PATIENCE) > PATIENCE) {
      this.view = { ...this.view, ...view };
      if (document.activeElement !== this.search) this.search.value = this.view.text;
    }
    this.root.classList.toggle("rj-live", link.live);
    put(this.hiding, link.live ? `#${link.model.get("key")}, .jp-OutputArea-child:has(#${link.model.get("key")}) { display: none; }` : "");
    this.showChips(counts);
    const running = counts.running ?? 0;
    const queued = counts.queued ?? 0;
    this.all.hidden = !(running + queued) || !link.live;
    if (this.all.hidden && !this.box.hidden) this.confirm(false);
    const parts = [running && `kill ${count(running)} running`, queued && `cancel ${count(queued)} queued`].filter(Boolean);
    const what = parts.join(" and ");
    put(this.question, `${what.charAt(0).toUpperCase()}${what.slice(1)} job${running + queued === 1 ? "" : "s"}?`);
    this.showNote();
    this.showRows(tails);
    const total = Object.values(counts).reduce((sum, number) => sum + number, 0);
    put(this.empty, total ? "No jobs like these." : "No jobs yet. Start one with %job, or jobs.new(...).");
    this.empty.hidden = this.order.length > 0;
    this.table.hidden = this.order.length === 0;
    const first = view?.offset ?? 0;
    this.pages.hidden = matched <= limit;
    put(this.range, `${count(first + 1)}–${count(Math.min(first + limit, matched))} of ${count(matched)}`);
    this.back.disabled = first === 0;
    this.on.disabled = first + limit >= matched;
    this.announce(counts);
  }

  showChips(counts) {
    const total = Object.values(counts).reduce((sum, number) => sum + number, 0);
    const [chosen = ""] = this.view.states;
    const shown = ["", ...STATES.filter((state) => counts[state] || state === chosen)];
    if (String(this.chipStates) !== String(shown)) {
      const had = document.activeElement?.dataset?.state;
      const isInside = this.chips.contains(document.activeElement);
      this.chipStates = shown;
      this.chips.replaceChildren(...shown.map((state) => make("button", { class: "rj-chip", type: "button", "data-state": state,
        onclick: () => this.look({ states: state && state !== this.view.states[0] ? [state] : [], offset: 0 }) },
      make("span", {}, state ? words(state) : "all"), make("b"))));
      if (isInside) [...this.chips.children].find((chip) => chip.dataset.state === had)?.focus({ preventScroll: true });
    }
    for (const chip of this.chips.children) {
      const { state } = chip.dataset;
      put(chip.lastChild, count(state ? counts[state] ?? 0 : total));
      chip.setAttribute("aria-pressed", String(state === chosen));
    }
  }

  showNote() {
    const { link } = this;
    let text = link.note;
    if (link.gone) text = "The kernel of these jobs is gone, or the panel was closed: this is how they were.";
    else if (!link.kernel && !link.live) text = "Without a kernel: this is how the jobs were.";
    else if (link.isBusy) text = "The kernel is busy: this is done when the running cell ends.";
    put(this.note, text);
    this.note.hidden = !text;
    if (text && text === link.note) {
      clearTimeout(this.noting);
      this.noting = setTimeout(() => link.say(""), ASKED);
    }
  }

  showRows(tails) {
    const { link } = this;
    // Rows do not move away under the pointer.
    this.held = this.isHeld() && this.order.length > 0 && String(this.order) !== String(link.state.order);
    const wanted = this.held ? this.order.filter((num) => link.jobs.has(num)) : link.state.order;
    if (!this.held) for (const num of link.jobs.keys()) if (!wanted.includes(num)) link.jobs.delete(num);
    for (const [num, row] of this.rows) {
      if (wanted.includes(num)) continue;
      if (row.element.contains(document.activeElement)) this.search.focus({ preventScroll: true });
      row.element.remove();
      this.rows.delete(num);
    }
    const focused = document.activeElement;
    let before = this.table.tHead;
    for (const num of wanted) {
      if (!this.rows.has(num)) this.rows.set(num, new JobRow(this, num));
      const row = this.rows.get(num);
      if (before.nextSibling !== row.element) before.after(row.element);
      before = row.element;
      row.show(link.jobs.get(num), { opened: this.view.open.includes(num), tail: tails[num], live: link.live });
    }
    // Moving an element takes the focus away from it.
    if (focused !== document.activeElement && this.root.contains(focused)) focused.focus({ preventScroll: true });
    this.order = wanted;
  }

  announce(counts) {
    const text = STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${words(state)}`).join(", ");
    if (text === this.announced || this.announcing) return;
    this.announcing = setTimeout(() => {
      this.announcing = null;
      const { counts: newest } = this.link.state;
      this.announced = STATES.filter((state) => newest[state]).map((state) => `${newest[state]} ${words(state)}`).join(", ");
      put(this.voice, this.announced ? `Jobs: ${this.announced}` : "No jobs");
    }, TOLD);
  }
}

const links = new Map();

function linkOf(model) {
  const key = model.get("key");
  if (!links.has(key)) links.set(key, new Link(model));
  return links.get(key);
}

export default {
  initialize({ model }) {
    const link = linkOf(model);
    model.on("msg:custom", (message) => link.hear(message));
    // After a reconnection, a restart, or a reload of the state from the kernel.
    model.on("comm_live_update", () => { if (link.views.size && link.kernel) link.ask("hello"); });
    model.on("change:key", () => link.load(model.get("state")));
    return () => links.delete(model.get("key"));
  },
  render({ model, el }) {
    const view = new View(linkOf(model), el);
    return () => view.close();
  },
};
