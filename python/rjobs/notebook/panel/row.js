// One row of the panel, and the end of its output.

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
    this.main.dataset.state = job.ended ? "failed" : job.state;
    put(this.name, job.name);
    this.name.title = job.name;
    put(this.line, job.line ?? "");
    this.line.title = job.line ?? "";
    this.line.classList.toggle("rj-bad", Boolean(job.bad));
    put(this.state, job.ended ?? words(job.state));
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
    put(this.time, state === "running" ? duration(live ? now - began : elapsed ?? 0) : took ?? this.job.times ?? "");
  }
}
