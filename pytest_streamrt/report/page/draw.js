// The timeline and the overview on their canvases: where everything stands, and what lies under the pointer.
const ROW = { points: 19, answer: 32, tools: 22 };
const RULER = 24;
const MARKS = 16; // pixels for the names of marks, where there are any
const LEAST = 110; // pixels of a run of deltas that are too narrow to be read one by one
const SILENCE = 40; // pixels without a delta that end such a run
const LAST = 0.18; // of the width, that what was said last may take beyond the end, so that one can read it

const hue = (source) => `--lane-${source % 10}`;

class Timeline {
  constructor(canvas, box, extent, model) {
    Object.assign(this, { canvas, box, extent, model, view: { start: 0, span: 1 }, chosen: null });
    this.pen = canvas.getContext("2d");
    this.measured = new Map();
  }

  setAxis(axis) {
    this.axis = axis;
    this.fit();
  }

  fit() {
    const room = Math.max(this.width - this.gutter, 50);
    this.view = { start: -this.axis.length * (10 / room), span: this.axis.length * (1 + 150 / room) }; // the last one has text as well
  }

  // Sizes follow the window; on a narrow one the names stand above their lanes.
  resize() {
    this.width = this.box.clientWidth;
    this.narrow = this.width < 640;
    this.pen.font = "600 12.5px system-ui, sans-serif";
    const names = this.model.lanes.map((lane) => this.pen.measureText(lane.name).width);
    this.gutter = this.narrow ? 8 : Math.min(Math.max(...names, 60) + 34, 190);
    this.head = RULER + (this.model.marks.length ? MARKS : 0);
    let top = this.head;
    for (const lane of this.model.lanes) {
      lane.top = top;
      top += this.narrow ? 22 : 7;
      for (const row of lane.rows) {
        row.top = top;
        top += ROW[row.kind];
      }
      top += 6;
      lane.bottom = top;
    }
    this.total = top;
    this.extent.style.height = `${top}px`;
    this.height = Math.min(top, this.box.clientHeight || top);
    this.scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * this.scale);
    this.canvas.height = Math.round(this.height * this.scale);
    this.canvas.style.height = `${this.height}px`;
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(name).trim();
    this.palette = {};
    for (const name of ["paper", "panel", "ink", "muted", "line", "raised", "good", "bad", "warn", "focus", "reasoning", "refusal", "tool"]) this.palette[name] = this.colour(`--${name}`);
    this.hues = Array.from({ length: 10 }, (_, i) => this.colour(`--lane-${i}`));
  }

  x(index) {
    return this.xOf(this.axis.at[index]);
  }

  xOf(unit) {
    return this.gutter + ((unit - this.view.start) / this.view.span) * (this.width - this.gutter);
  }

  unitAt(x) {
    return this.view.start + ((x - this.gutter) / (this.width - this.gutter)) * this.view.span;
  }

  zoom(factor, x = (this.gutter + this.width) / 2) {
    const unit = this.unitAt(x);
    const span = Math.min(Math.max(this.view.span * factor, this.axis.length * 1e-7, 1e-9), this.axis.length * 4);
    this.view = { start: unit - ((unit - this.view.start) / this.view.span) * span, span };
    this.#keepInSight();
  }

  move(units) {
    this.view.start += units;
    this.#keepInSight();
  }

  #keepInSight() {
    const { span } = this.view;
    this.view.start = Math.min(Math.max(this.view.start, -span * 0.9), this.axis.length - span * 0.05);
  }

  // Bring an event into view, if it is not.
  show(event) {
    const unit = this.axis.at[event.index];
    const { start, span } = this.view;
    if (unit < start || unit > start + span * 0.92) this.view.start = unit - span * 0.3;
    const lane = this.model.lanes[event.source];
    if (lane.top - this.head < this.box.scrollTop) this.box.scrollTop = lane.top - this.head;
    else if (lane.bottom > this.box.scrollTop + this.height) this.box.scrollTop = lane.bottom - this.height;
  }

  draw() {
    const { pen, palette } = this;
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.textBaseline = "middle";
    const scrolled = this.box.scrollTop;
    pen.save();
    pen.translate(0, -scrolled);
    const inSight = this.model.lanes.filter((lane) => lane.bottom > scrolled + this.head && lane.top < scrolled + this.height);
    for (const lane of inSight) {
      pen.fillStyle = palette.line;
      pen.fillRect(0, lane.bottom - 1, this.width, 1);
      pen.save();
      pen.beginPath();
      pen.rect(this.gutter - 6, lane.top, this.width, lane.bottom - lane.top);
      pen.clip();
      this.#silences(lane);
      for (const row of lane.rows) {
        if (row.kind === "answer") this.#answers(lane, row);
        else if (row.kind === "tools") this.#tools(row);
        else this.#points(lane, row);
      }
      pen.restore();
      this.#name(lane);
    }
    this.#aborts(inSight);
    this.#overlays(scrolled);
    pen.restore();
    drawRuler(this);
  }

  #name(lane) {
    const { pen } = this;
    pen.font = "600 12.5px system-ui, sans-serif";
    pen.textAlign = "left";
    const y = this.narrow ? lane.top + 12 : lane.rows.find((row) => row.kind === "answer")?.top + ROW.answer / 2 || lane.top + 16;
    pen.fillStyle = this.hues[lane.source % 10];
    pen.fillRect(this.narrow ? 8 : 14, y - 5, 4, 10);
    pen.fillStyle = this.palette.ink;
    pen.fillText(this.#cut(lane.name, this.narrow ? this.width - 30 : this.gutter - 32), this.narrow ? 18 : 24, y + 0.5);
  }

  #silences(lane) {
    for (const fold of this.axis.folds) {
      const [from, to] = [this.xOf(fold.from), this.xOf(fold.to)];
      if (to < 0 || from > this.width) continue;
      this.pen.fillStyle = this.palette.raised;
      this.pen.fillRect(from + 3, lane.top, Math.max(to - from - 6, 2), lane.bottom - lane.top - 1);
    }
  }

  // The events of a row from the left edge to the right one, with one more at each side.
  #inView(events) {
    const find = (unit) => lowest(events, (event) => this.axis.at[event.index] >= unit);
    return [Math.max(find(this.view.start) - 1, 0), Math.min(find(this.view.start + this.view.span) + 1, events.length)];
  }

  #answers(lane, row) {
    const { pen, palette } = this;
    const middle = row.top + 14;
    const colour = this.hues[lane.source % 10];
    const [left, right] = [this.view.start, this.view.start + this.view.span];
    row.answers.forEach((answer, n) => {
      const { at } = this.axis;
      if (at[answer.last] < left - this.view.span || at[answer.first] > right) return;
      const next = row.answers[n + 1];
      const limit = next ? this.x(next.first) - 4 : Infinity;
      const from = this.x(answer.first);
      const to = this.x(answer.last);
      pen.strokeStyle = colour;
      pen.globalAlpha = 0.45;
      pen.lineWidth = 1.5;
      line(pen, Math.max(from, 0), middle, Math.min(to, this.width), middle);
      pen.globalAlpha = 1;
      const said = this.#deltas(answer, row, colour, limit);
      if (answer.begun) {
        pen.fillStyle = palette.panel;
        pen.lineWidth = 2;
        disc(pen, from, middle, 4);
        pen.stroke();
      }
      if (answer.end) this.#end(answer.end, to, middle, limit, said);
      else if (answer.first >= 0) this.#words("still running", to + 60, middle, palette.warn, limit);
    });
  }

  // Deltas as text where they came. Those too narrow for that are put together, and each leaves a tick below. Gives where
  // the last of them ends.
  #deltas(answer, row, colour, limit) {
    const { deltas } = answer;
    const [from, to] = this.#inView(deltas);
    const end = answer.end ? this.x(answer.end.index) : limit;
    let tick = -1;
    let reached = 0;
    for (let i = from; i < to; ) {
      const first = deltas[i];
      const x = this.x(first.index);
      let said = first.text;
      let j = i + 1;
      for (; j < to && deltas[j].type === first.type; j++) {
        const here = this.x(deltas[j].index);
        const gap = here - this.x(deltas[j - 1].index);
        const enough = said.length * 5 < here - x ? this.#font(first) && this.#measure(shown(said)) + 8 < here - x : false;
        if (gap > 0 && (gap > SILENCE || here - x > LEAST || (j === i + 1 && enough))) break;
        if (said.length < 400) said += deltas[j].text;
      }
      const last = j >= deltas.length;
      const ending = last && j > i + 1 && answer.end?.type !== "inference.completed"; // then what came last is what matters
      if (ending) said = deltas.slice(Math.max(i, j - 60), j).map((event) => event.text).join("");
      const until = Math.min(last ? Math.max(end, Math.min(x + LAST * this.width, limit - 30)) : this.x(deltas[j].index), limit);
      reached = this.#block(first, said, x, Math.max(until, x + 2), this.x(deltas[j - 1].index), Math.max(end - x, 2), row, colour, ending);
      this.pen.fillStyle = colour;
      for (let k = i; k < j; k++) {
        const here = Math.round(this.x(deltas[k].index));
        if (here !== tick) this.pen.fillRect((tick = here), row.top + 26, 1, 4);
      }
      i = j;
    }
    return reached;
  }

  #font({ type }) {
    this.pen.font = `${type === "reasoning.delta" ? "italic " : ""}13px system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif`;
    return true;
  }

  #block(event, said, x, until, last, within, row, colour, ending) {
    const { pen, palette } = this;
    const reasoning = event.type === "reasoning.delta";
    const tint = reasoning ? palette.reasoning : event.type === "refusal.delta" ? palette.refusal : colour;
    this.#font(event);
    const text = shown(said);
    const room = Math.min(until - x - 1, Math.max(this.#measure(text) + 8, last - x));
    pen.fillStyle = palette.panel;
    pen.fillRect(x, row.top + 3, room, 22);
    pen.fillStyle = tint;
    pen.globalAlpha = 0.06;
    pen.fillRect(x, row.top + 3, room, 22);
    pen.globalAlpha = reasoning ? 0.06 : 0.12;
    pen.fillRect(x, row.top + 3, Math.min(room, within), 22); // what is beyond the end is there to be read, and paler
    pen.globalAlpha = 1;
    pen.fillRect(x, row.top + 3, Math.min(room, 1.5), 22);
    if (room < 12) return x + room;
    pen.fillStyle = reasoning ? palette.reasoning : event.type === "refusal.delta" ? palette.refusal : palette.ink;
    pen.textAlign = "left";
    pen.fillText(this.#cut(text, room - 5, ending), x + 4, row.top + 14.5);
    return x + room;
  }

  #end(event, x, y, limit, said) {
    const { pen, palette } = this;
    if (x < -400 || x > this.width + 20) return;
    const good = event.type === "inference.completed";
    pen.strokeStyle = pen.fillStyle = good ? palette.good : palette.bad;
    pen.lineWidth = 2;
    line(pen, x, y - 12, x, y + 12);
    const free = Math.max(x, said); // what was said last, and at the same instant, stands there
    if (good) return this.#words("✓", free + 6, y, palette.good, limit);
    if (event.type === "inference.aborted") {
      octagon(pen, free + 11, y, 8);
      pen.fillStyle = palette.panel;
      pen.fillRect(free + 7, y - 1.5, 8, 3);
    } else {
      cross(pen, free + 11, y, 6);
    }
    return this.#words(this.model.label(event), free + 24, y, palette.bad, limit, "600 12.5px");
  }

  #words(text, x, y, colour, limit = Infinity, font = "12.5px") {
    const room = Math.min(limit, this.width) - x - 4;
    if (room < 8) return;
    this.pen.font = `${font} system-ui, sans-serif`;
    this.pen.fillStyle = colour;
    this.pen.textAlign = "left";
    this.pen.fillText(this.#cut(shown(text), room), x, y + 0.5);
  }

  #points(lane, row) {
    const { pen, palette } = this;
    const y = row.top + 10;
    const [from, to] = this.#inView(row.events);
    let drawn = -Infinity;
    for (let i = from; i < to; i++) {
      const event = row.events[i];
      const x = this.x(event.index);
      if (x < drawn + 2 && !event.problems.length) continue;
      drawn = x;
      const bad = event.type === "participant.failed" || event.type === "deltas.dropped";
      const loud = event.type === "signal" || event.type === "citation" || event.type === "status";
      pen.fillStyle = bad ? palette.warn : loud ? this.hues[lane.source % 10] : palette.muted;
      if (event.type.startsWith("exchange.")) pen.fillRect(x - 1, y - 5, 2, 10);
      else if (loud) diamond(pen, x, y, 4.5);
      else disc(pen, x, y, event.type === "provider.event" ? 1.5 : 2.5);
      const next = i + 1 < row.events.length ? this.x(row.events[i + 1].index) : Infinity;
      const quiet = !loud && !bad;
      const label = event.type.startsWith("participant.") ? event.type.split(".").pop() : this.model.label(event);
      if (next - x > (quiet ? 110 : 34)) this.#words(label, x + 8, y, bad ? palette.warn : palette.muted, next - 4, "11.5px");
    }
  }

  #tools(row) {
    const { pen, palette } = this;
    row.calls.forEach((call, n) => {
      const x = this.x(call.first.index);
      const until = this.x(call.last.index);
      if (until < -200 || x > this.width) return;
      const next = row.calls[n + 1] ? this.x(row.calls[n + 1].first.index) - 3 : Infinity;
      const failed = call.result && call.result.fields.status && call.result.fields.status !== "completed";
      pen.fillStyle = palette.tool;
      pen.globalAlpha = 0.16;
      pen.fillRect(x, row.top + 2, Math.max(until - x, 3), 17);
      pen.globalAlpha = 1;
      pen.fillRect(x, row.top + 2, 2, 17);
      if (call.result) {
        pen.fillStyle = failed ? palette.bad : palette.tool;
        pen.fillRect(until - 1, row.top + 2, 2, 17);
      }
      const said = `${call.name}(${call.said})${call.result ? ` → ${call.result.fields.output ?? call.result.fields.status ?? ""}` : ""}`;
      this.#words(said, x + 6, row.top + 11, failed ? palette.bad : palette.tool, next, '12px ui-monospace, "DejaVu Sans Mono", monospace,');
    });
  }

  // Who stopped whom: a line from the lane of whoever did it, where they have one.
  #aborts(inSight) {
    const { pen, palette } = this;
    const lanes = new Map(this.model.lanes.map((lane) => [lane.name, lane]));
    for (const { end, source } of this.model.answers) {
      const actor = end && lanes.get(end.fields.by);
      const target = this.model.lanes[source];
      if (end?.type !== "inference.aborted" || !actor || actor === target || !(inSight.includes(actor) || inSight.includes(target))) continue;
      const x = this.x(end.index);
      if (x < this.gutter - 6 || x > this.width) continue;
      const below = actor.top > target.top;
      const to = end.row.top + 14 + (below ? 12 : -12);
      const from = below ? actor.top + (this.narrow ? 22 : 12) : actor.bottom - 12;
      pen.strokeStyle = pen.fillStyle = palette.bad;
      pen.lineWidth = 1.5;
      pen.setLineDash([4, 3]);
      line(pen, x, from, x, to);
      pen.setLineDash([]);
      disc(pen, x, from, 3.5);
    }
  }

  // What lies over all lanes: the test's marks, what is wrong, and the chosen event with its cause.
  #overlays(scrolled) {
    const { pen, palette } = this;
    pen.fillStyle = palette.paper;
    pen.fillRect(0, scrolled + RULER, this.width, this.head - RULER);
    this.model.marks.forEach((mark, n, marks) => {
      const x = this.x(mark.index);
      if (x < this.gutter - 6 || x > this.width) return;
      pen.strokeStyle = palette.focus;
      pen.lineWidth = 1;
      pen.setLineDash([2, 3]);
      line(pen, x, RULER, x, this.total);
      pen.setLineDash([]);
      this.#words(mark.fields.name ?? "", x + 4, scrolled + RULER + 8, palette.focus, marks[n + 1] ? this.x(marks[n + 1].index) : Infinity, "600 11px");
    });
    for (const problem of this.model.problems) {
      for (const index of problem.events) {
        const [x, y] = this.placeOf(this.model.events[index]);
        if (x < this.gutter - 6) continue;
        pen.fillStyle = palette.bad;
        warning(pen, x, y - 13);
      }
    }
    if (!this.chosen) return;
    const [x, y] = this.placeOf(this.chosen);
    pen.strokeStyle = palette.focus;
    pen.lineWidth = 1.5;
    if (x >= this.gutter - 6) {
      line(pen, x, RULER, x, this.total);
      pen.lineWidth = 2.5;
      ring(pen, x, y, 7);
    }
    const cause = this.model.events[this.chosen.cause];
    if (!cause) return;
    const [fromX, fromY] = this.placeOf(cause);
    pen.lineWidth = 1.5;
    ring(pen, fromX, fromY, 5);
    pen.beginPath();
    pen.moveTo(fromX, fromY);
    pen.bezierCurveTo(fromX + 24, fromY, x - 24, y, x, y);
    pen.stroke();
  }

  // The middle of an event's sign.
  placeOf(event) {
    const lane = this.model.lanes[event.source];
    const row = event.row ?? lane.rows[0]; // a mark has none
    return [this.x(event.index), row.top + (row.kind === "answer" ? 14 : 10)];
  }

  #measure(text) {
    const key = this.pen.font + text;
    if (this.measured.size > 5000) this.measured.clear();
    if (!this.measured.has(key)) this.measured.set(key, this.pen.measureText(text).width);
    return this.measured.get(key);
  }

  // As much of a text as there is room for, not cut inside a character.
  #cut(text, room, ending = false) {
    if (text.length < 400 && this.#measure(text) <= room) return text;
    const characters = Array.from(ending ? text.slice(-400) : text.slice(0, 400));
    const some = (n) => (ending ? `…${characters.slice(-n).join("")}` : `${characters.slice(0, n).join("")}…`);
    let n = Math.min(characters.length, Math.ceil(room / 4));
    while (n > 0 && this.pen.measureText(some(n)).width > room) n -= Math.max(1, n >> 3);
    return n > 0 ? some(n) : "";
  }
}

// A text on one line.
function shown(text) {
  return text.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}
