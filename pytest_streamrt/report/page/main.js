// Puts the page together, and lets mouse, finger and keyboard move about in it.
const model = new Model(JSON.parse(document.querySelector("#data").textContent));
const $ = (selector) => document.querySelector(selector);
const timeline = new Timeline($("#timeline"), $("#lanes"), $("#extent"), model);
const overview = new Overview($("#overview"), timeline);
const detail = new Detail(model, choose);
const list = new List(model, choose);
const axes = {};
let chosen = null;
let waiting = false;

function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    timeline.draw();
    overview.draw();
  });
}

function choose(event, { quiet = false } = {}) {
  chosen = timeline.chosen = event;
  if (event && !quiet) timeline.show(event);
  list.show(event);
  detail.show(event);
  draw();
}

function head() {
  document.title = model.title;
  $("#title").textContent = model.title;
  $("#up").hidden = !model.index;
  const facts = $("#facts");
  const fact = (text, className = "") => facts.append(element("span", { textContent: text, className }));
  if (model.outcome) fact(model.outcome, model.outcome);
  const last = model.events[model.events.length - 1];
  fact(`${seconds((last?.ns ?? 0) / 1e9, 6)} of ${model.virtual ? "virtual" : "real"} time`);
  fact(counted(model.events.length, "event"));
  fact(counted(model.sources.length, "source"));
  const stopped = model.answers.filter((answer) => answer.end?.type === "inference.aborted").length;
  if (stopped) fact(`${stopped} stopped`, "failed");
  for (const each of model.facts) fact(each);
  const problems = $("#problems");
  problems.hidden = !model.problems.length;
  model.problems.slice(0, 50).forEach((problem, n) => {
    const box = element("details", { open: n === 0 }, element("summary", { textContent: problem.title }), element("pre", { textContent: problem.text }));
    if (problem.events.length) {
      const button = element("button", { textContent: "Show" });
      button.addEventListener("click", () => choose(model.events[problem.events[0]]));
      box.append(button);
    }
    problems.append(box);
  });
}

function setAxis(mode) {
  axes[mode] ??= new Axis(model.events, mode);
  timeline.setAxis(axes[mode]);
  draw();
}

function axisChoice() {
  const instants = new Set(model.events.map((event) => event.ns)).size;
  const folded = (axes.folded = new Axis(model.events, "folded"));
  const modes = [["time", "Time", "To scale"]];
  if (folded.folds.length) modes.push(["folded", "Folded", "To scale, with long silences folded"]);
  modes.push(["order", "Order", "One step for each event"]);
  const first = instants < 3 ? "order" : folded.folds.length ? "folded" : "time";
  for (const [mode, name, title] of modes) {
    const radio = element("input", { type: "radio", name: "axis", checked: mode === first });
    radio.addEventListener("change", () => setAxis(mode));
    $("#axis").append(element("label", { title }, radio, element("span", { textContent: name })));
  }
  return first;
}

// The event that lies nearest in time in another lane.
function inLane(step) {
  if (!chosen) return model.events[0];
  for (let n = chosen.source + step; model.lanes[n]; n += step) {
    const { events } = model.lanes[n];
    const i = lowest(events, (event) => event.index >= chosen.index);
    if (events.length) return events[Math.min(i, events.length - 1)];
  }
  return chosen;
}

function step(by) {
  const next = chosen ? chosen.index + by : by > 0 ? 0 : model.events.length - 1;
  choose(model.events[Math.min(Math.max(next, 0), model.events.length - 1)]);
}

function nextEnd() {
  const after = model.events.filter((event) => ENDS.has(event.type) || event.problems.length);
  choose(after.find((event) => event.index > (chosen?.index ?? -1)) ?? after[0] ?? chosen);
}

const KEYS = {
  ArrowRight: () => step(1), ArrowLeft: () => step(-1), ArrowUp: () => choose(inLane(-1)), ArrowDown: () => choose(inLane(1)),
  Home: () => choose(model.events[0]), End: () => choose(model.events[model.events.length - 1]),
  "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: () => fit(),
  "[": () => pan(-0.25), "]": () => pan(0.25), n: nextEnd, "/": () => $("#search").focus(), "?": () => $("#keys").click(),
  Escape: () => choose(null),
};

function zoom(factor, x) {
  timeline.zoom(factor, x ?? (chosen ? Math.min(Math.max(timeline.x(chosen.index), timeline.gutter), timeline.width) : undefined));
  draw();
}

function pan(share) {
  timeline.move(timeline.view.span * share);
  draw();
}

function fit() {
  timeline.fit();
  draw();
}

function keyboard() {
  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey) return;
    if (press.target.matches?.("input[type=search]")) {
      if (press.key === "Escape") press.target.blur();
      return;
    }
    if (press.target.matches?.("input[type=radio], summary") && press.key.startsWith("Arrow")) return;
    if (KEYS[press.key] && model.events.length) {
      press.preventDefault();
      KEYS[press.key]();
    }
  });
  $("#in").addEventListener("click", () => zoom(0.6));
  $("#out").addEventListener("click", () => zoom(1 / 0.6));
  $("#fit").addEventListener("click", fit);
  $("#before").addEventListener("click", () => step(-1));
  $("#after").addEventListener("click", () => step(1));
  $("#keys").addEventListener("click", () => {
    $("#help").hidden = !$("#help").hidden;
    $("#keys").setAttribute("aria-expanded", String(!$("#help").hidden));
  });
}

// Mouse and fingers: drag to move, two fingers or Ctrl and wheel to zoom, a click to choose.
function pointers() {
  const canvas = $("#timeline");
  const down = new Map();
  let moved = 0;
  let apart = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event.clientX);
    moved = apart = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return tip(event, eventAt(timeline, ...place(event)));
    const by = event.clientX - down.get(event.pointerId);
    down.set(event.pointerId, event.clientX);
    moved += Math.abs(by);
    if (down.size === 2) {
      const [a, b] = [...down.values()];
      const now = Math.abs(a - b) || 1;
      if (apart) timeline.zoom(apart / now, (a + b) / 2 - canvas.getBoundingClientRect().left);
      apart = now;
    } else if (moved > 3) {
      timeline.move((-by / (timeline.width - timeline.gutter)) * timeline.view.span);
    }
    return draw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (down.delete(event.pointerId) && moved <= 3) choose(eventAt(timeline, ...place(event)), { quiet: true });
  });
  canvas.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => ($("#tip").hidden = true));
  canvas.addEventListener("dblclick", (event) => zoom(0.4, place(event)[0]));
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(event.deltaY * 0.004), place(event)[0]);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      pan(((event.deltaX || event.deltaY) / timeline.width) * 1);
    }
  }, { passive: false });
  const strip = $("#overview");
  const go = (event) => {
    if (event.buttons !== 1) return;
    timeline.view.start = overview.unitAt(event.clientX - strip.getBoundingClientRect().left) - timeline.view.span / 2;
    draw();
  };
  strip.addEventListener("pointerdown", (event) => (strip.setPointerCapture(event.pointerId), go(event)));
  strip.addEventListener("pointermove", go);
}

function tip(pointer, event) {
  const box = $("#tip");
  box.hidden = !event;
  if (!event) return;
  const text = DELTAS.has(event.type) ? `${model.saidBefore(event).slice(-80)}▸${event.text}` : model.label(event);
  box.replaceChildren(element("small", { textContent: `${seconds(event.ns / 1e9)} · ${model.sources[event.source]} · ${event.type}` }), text.slice(0, 600));
  box.style.left = `${Math.max(Math.min(pointer.clientX + 14, innerWidth - box.offsetWidth - 8), 4)}px`;
  box.style.top = `${pointer.clientY + 20 + box.offsetHeight > innerHeight ? pointer.clientY - box.offsetHeight - 12 : pointer.clientY + 20}px`;
}

function resize() {
  const width = timeline.width;
  timeline.resize();
  if (width !== timeline.width) timeline.fit();
  list.resize();
  draw();
}

head();
if (model.events.length) {
  timeline.resize();
  setAxis(axisChoice());
  keyboard();
  pointers();
  new ResizeObserver(resize).observe($("#lanes"));
  $("#lanes").addEventListener("scroll", draw, { passive: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", resize);
}
document.documentElement.dataset.ready = "yes";
