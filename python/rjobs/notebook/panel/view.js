// The panel as it is shown: one view. Then what anywidget calls.

class View {
  constructor(link, el) {
    this.link = link;
    this.rows = new Map();
    this.order = [];
    this.movedAt = -HELD;
    this.view = { states: [], text: "", offset: 0, open: [], ...link.state.view };
    // The table, which is there for where there is no panel, is hidden while there is one.
    this.hiding = make("style", {}, `#${link.key}, .jp-OutputArea-child:has(#${link.key}) { display: none; }`);
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
    const { limit, matched } = this.link.state;
    const offset = this.view.offset + pages * limit;
    if (offset < 0 || offset >= matched) return;
    this.look({ offset });
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
    this.back.setAttribute("aria-disabled", String(first === 0));
    this.on.setAttribute("aria-disabled", String(first + limit >= matched));
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
    else if (link.late.some((kind) => kind in ACTIONS || kind === "kill_all" || kind === "look")) {
      text = "The kernel is busy: this is done when the running cell ends.";
    } else if (link.late.length && !link.live) text = "The kernel is busy: the jobs show when the running cell ends.";
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
