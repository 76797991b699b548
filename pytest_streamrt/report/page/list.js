// The list of events, of which only the rows in sight are on the page, and the panel about the chosen one. All that a
// transcript says goes in as textContent: nothing here ever makes markup of it.
function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

class List {
  constructor(model, choose) {
    Object.assign(this, { model, choose, chosen: null, hidden: new Set(), query: "" });
    this.box = document.querySelector("#list");
    this.rows = document.querySelector("#rows");
    this.joined = document.querySelector("#joined");
    this.joined.checked = model.events.length > 60;
    this.kinds = [...new Set(model.events.map((event) => event.kind))];
    for (const kind of this.kinds) {
      const box = element("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => (this.hidden[box.checked ? "delete" : "add"](kind), this.filter()));
      document.querySelector("#kinds").append(element("label", {}, box, ` ${kind}`));
    }
    const search = document.querySelector("#search");
    search.addEventListener("input", () => ((this.query = search.value.toLowerCase()), this.filter()));
    this.joined.addEventListener("change", () => this.filter());
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.filter();
  }

  get tall() {
    return window.matchMedia("(max-width: 760px)").matches ? 46 : 26;
  }

  // Which events are listed, and which of them together: deltas of one kind and inference that follow each other.
  filter() {
    this.groups = [];
    this.groupOf = new Map();
    const open = new Map();
    for (const event of this.model.events) {
      if (this.hidden.has(event.kind)) continue;
      const run = open.get(event.source);
      const same = run && DELTAS.has(event.type) && run[0].type === event.type && run[0].inference === event.inference && run[0].fields.id === event.fields.id;
      if (this.joined.checked && same) run.push(event);
      else {
        const group = [event];
        this.groups.push(group);
        open.set(event.source, group);
      }
    }
    if (this.query) {
      const has = (group) => `${this.model.sources[group[0].source]} ${group[0].type} ${this.said(group)}`.toLowerCase().includes(this.query);
      this.groups = this.groups.filter(has);
    }
    this.groups.forEach((group, n) => group.forEach((event) => this.groupOf.set(event.index, n)));
    const listed = this.groups.reduce((sum, group) => sum + group.length, 0);
    document.querySelector("#count").textContent = `${listed.toLocaleString("en")} of ${counted(this.model.events.length, "event")}`;
    this.resize();
  }

  resize() {
    this.rows.style.height = `${this.groups.length * this.tall}px`;
    this.draw();
  }

  said(group) {
    return group.length > 1 ? group.map((event) => event.text).join("") : this.model.label(group[0]);
  }

  draw() {
    const first = Math.max(Math.floor(this.box.scrollTop / this.tall) - 4, 0);
    const last = Math.min(first + Math.ceil(this.box.clientHeight / this.tall) + 8, this.groups.length);
    const rows = [];
    for (let n = first; n < last; n++) rows.push(this.#row(this.groups[n], n));
    this.rows.replaceChildren(...rows);
  }

  #row(group, n) {
    const [event, end] = [group[0], group[group.length - 1]];
    const type = group.length > 1 ? `${event.type} × ${group.length}` : event.type;
    const bad = group.some((each) => each.problems.length) || event.type === "inference.aborted" || event.type === "inference.failed";
    const row = element("div", { className: `row${bad ? " wrong" : ""}`, id: `row-${n}` },
      element("span", { className: "time", textContent: seconds(event.ns / 1e9) }),
      element("span", { className: "who", textContent: this.model.sources[event.source] }),
      element("span", { className: "type", textContent: type }),
      element("span", { className: "what", textContent: this.said(group).slice(0, 500).replaceAll("\n", "⏎") }));
    row.setAttribute("role", "option");
    row.style.top = `${n * this.tall}px`;
    row.querySelector(".who").style.setProperty("--hue", `var(${hue(event.source)})`);
    const chosen = this.chosen && this.chosen.index >= event.index && group.includes(this.chosen);
    row.setAttribute("aria-selected", String(Boolean(chosen)));
    if (chosen) {
      row.classList.add("chosen");
      this.box.setAttribute("aria-activedescendant", row.id);
    }
    row.title = group.length > 1 ? `${seconds(event.ns / 1e9)} to ${seconds(end.ns / 1e9)}` : "";
    row.addEventListener("click", () => this.choose(event));
    return row;
  }

  show(event) {
    this.chosen = event;
    const n = event ? this.groupOf.get(event.index) : undefined;
    if (n !== undefined) {
      const top = n * this.tall;
      if (top < this.box.scrollTop || top + this.tall > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top - this.box.clientHeight / 3;
    }
    this.draw();
  }
}

class Detail {
  constructor(model, choose) {
    Object.assign(this, { model, choose, box: document.querySelector("#detail") });
    this.show(null);
  }

  show(event) {
    if (!event) {
      this.box.replaceChildren(element("p", { className: "hint", textContent: "Choose an event: point at the timeline, or use the arrow keys." }), this.#sources());
      return;
    }
    const { model } = this;
    const parts = [
      element("h2", { textContent: `${event.type} · ${model.sources[event.source]}` }),
      element("p", { className: "when", textContent: `t = ${seconds(event.ns / 1e9)} · event ${event.index + 1} of ${model.events.length}` }),
    ];
    if (DELTAS.has(event.type)) {
      const past = element("span", { className: "past", textContent: model.saidBefore(event).slice(-2000) });
      parts.push(element("div", { className: "said" }, past, element("mark", { textContent: event.text })));
    } else if (event.fields.partial) {
      parts.push(element("div", { className: "said", textContent: event.fields.partial }));
    }
    for (const problem of event.problems) parts.push(element("p", { className: "wrong", textContent: `${problem.title}\n${problem.text}` }));
    const rows = [["inference", model.inferences[event.inference]], ["seq", event.seq || undefined]];
    for (const [name, value] of Object.entries(event.fields)) if (name !== "partial") rows.push([name, value]);
    parts.push(this.#table(rows.filter(([, value]) => value !== undefined)));
    parts.push(this.#links(event));
    this.box.replaceChildren(...parts);
    this.box.scrollTop = 0;
  }

  #table(rows) {
    const line = ([name, value]) => element("tr", {}, element("th", { textContent: name }),
      element("td", { textContent: typeof value === "string" || typeof value === "number" ? value : JSON.stringify(value, null, 2) }));
    return element("table", {}, element("tbody", {}, ...rows.map(line)));
  }

  #links(event) {
    const { model } = this;
    const links = element("div", { className: "links" });
    const link = (text, index) => {
      const button = element("button", { textContent: text });
      button.addEventListener("click", () => this.choose(model.events[index]));
      links.append(button);
    };
    if (event.cause >= 0) link(`because of ${model.events[event.cause].type}`, event.cause);
    for (const index of (model.caused.get(event.index) ?? []).slice(0, 5)) link(`led to ${model.events[index].type} of ${model.sources[model.events[index].source]}`, index);
    return links;
  }

  // Before anything is chosen: each source in figures.
  #sources() {
    const table = element("table", { className: "sources" });
    for (const lane of this.model.lanes) {
      const answers = this.model.answers.filter((answer) => answer.source === lane.source && answer.begun);
      const deltas = answers.reduce((sum, answer) => sum + answer.deltas.length, 0);
      const waits = answers.filter((answer) => answer.deltas.length).map((answer) => (answer.deltas[0].ns - answer.begun.ns) / 1e9);
      const facts = [counted(lane.events.length, "event")];
      if (answers.length) facts.push(counted(answers.length, "answer"), counted(deltas, "delta"));
      if (waits.length) facts.push(`first word after ${waits.slice(0, 3).map((wait) => seconds(wait, 3)).join(", ")}${waits.length > 3 ? ", …" : ""}`);
      table.append(element("tr", {}, element("th", { textContent: lane.name }), element("td", { textContent: facts.join(" · ") })));
    }
    return table;
  }
}
