// What the page shows: events, the lanes they are in, and the axes they lie on. Nothing here draws or touches the page.
const DELTAS = new Set(["text.delta", "reasoning.delta", "refusal.delta", "tool_call.delta"]);
const ENDS = new Set(["inference.completed", "inference.aborted", "inference.failed"]);
const TOOLS = new Set(["tool_call.started", "tool_call.delta", "tool.progress", "tool.result"]);

// For the filters: what kind of thing an event is.
function kindOf(type) {
  if (type === "text.delta" || type === "refusal.delta" || type === "citation") return "text";
  if (type === "reasoning.delta") return "reasoning";
  if (TOOLS.has(type)) return "tools";
  if (ENDS.has(type) || type === "inference.started") return "answers";
  return type.startsWith("exchange.") || type === "provider.event" ? "wire" : "other";
}

class Model {
  constructor(data) {
    Object.assign(this, data);
    this.events = data.events.map(([ns, source, type, seq, inference, cause, text, fields], index) => ({
      index, ns, source, type: data.types[type], seq, inference, cause, text: text ?? "", fields: fields ?? {},
      kind: kindOf(data.types[type]), problems: [],
    }));
    this.problems.forEach((problem) => problem.events.forEach((index) => this.events[index].problems.push(problem)));
    this.caused = new Map(); // from an event's index to those it caused
    for (const { index, cause } of this.events) {
      if (cause >= 0) this.caused.set(cause, this.caused.get(cause) ?? []).get(cause).push(index);
    }
    this.answers = this.#answers();
    const lanes = this.sources.map(() => ({ events: [], answers: [] }));
    this.events.forEach((event) => lanes[event.source].events.push(event));
    this.answers.forEach((answer) => answer.first >= 0 && lanes[answer.source].answers.push(answer));
    this.lanes = lanes.map(({ events, answers }, source) => this.#lane(source, events, answers));
    this.marks = this.events.filter((event) => event.type === "mark");
  }

  // The inferences: which deltas are theirs, when they began and how they ended.
  #answers() {
    const answers = this.inferences.map((id) => ({ id, source: -1, deltas: [], tools: [], first: -1, last: -1, end: null, begun: null }));
    for (const event of this.events) {
      const answer = answers[event.inference];
      if (!answer || event.type.startsWith("exchange.")) continue;
      if (answer.first < 0) Object.assign(answer, { first: event.index, source: event.source });
      answer.last = event.index;
      if (event.type === "inference.started") answer.begun = event;
      else if (ENDS.has(event.type)) answer.end = event;
      else if (TOOLS.has(event.type)) answer.tools.push(event);
      else if (DELTAS.has(event.type)) answer.deltas.push(event);
    }
    return answers;
  }

  // A lane: its points above, then a row for each inference that runs at the same time, then its tools.
  #lane(source, mine, answers) {
    const rows = [];
    for (const answer of answers) {
      let row = rows.find((each) => each.until < answer.first);
      if (!row) rows.push((row = { kind: "answer", answers: [], events: [], until: -1 }));
      row.answers.push(answer);
      row.until = answer.end ? answer.end.index : answer.last;
      row.events = row.events.concat([answer.begun, ...answer.deltas, answer.end].filter(Boolean));
    }
    const calls = answers.flatMap((answer) => answer.tools);
    const inRow = new Set([...rows.flatMap((row) => row.events), ...calls]);
    const points = mine.filter((event) => !inRow.has(event) && event.type !== "mark");
    const lane = { name: this.sources[source], source, events: mine, rows: [] };
    if (points.length || !rows.length) lane.rows.push({ kind: "points", events: points });
    lane.rows.push(...rows);
    if (calls.length) {
      calls.sort((a, b) => a.index - b.index);
      lane.rows.push({ kind: "tools", events: calls, calls: this.#calls(answers) });
    }
    for (const row of lane.rows) for (const event of row.events) event.row = row;
    return lane;
  }

  // Tool calls as spans: from the model's first word about one to its result.
  #calls(answers) {
    return answers.flatMap((answer) => {
      const open = new Map();
      const calls = [];
      for (const event of answer.tools) {
        const id = event.fields.id ?? "";
        let call = open.get(id);
        if (event.type === "tool_call.started" || !call) {
          call = { first: event, last: event, name: event.fields.name ?? "", said: "", result: null };
          open.set(id, call);
          calls.push(call);
        }
        call.said += event.type === "tool_call.delta" ? event.text : "";
        call.last = event;
        if (event.type === "tool.result") call.result = event;
      }
      return calls;
    });
  }

  // What was said in that inference before an event, for one kind of delta (and one call, where it is a call's).
  saidBefore(event) {
    const answer = this.answers[event.inference];
    const among = answer ? (event.type === "tool_call.delta" ? answer.tools : answer.deltas) : [];
    let said = "";
    for (const each of among) {
      if (each.index >= event.index) break;
      if (each.type === event.type && each.fields.id === event.fields.id && each.fields.choice === event.fields.choice) said += each.text;
    }
    return said;
  }

  // One line that says what an event is about.
  label({ type, text, fields, source, inference }) {
    if (DELTAS.has(type)) return text;
    if (type === "inference.aborted") return `stopped by ${fields.by}: ${fields.reason}`;
    if (type === "inference.failed") return `failed (${fields.kind}): ${fields.message}`;
    if (type === "inference.completed") return fields.finish_reason ? `complete (${fields.finish_reason})` : "complete";
    if (type === "inference.started") return fields.model ?? this.inferences[inference] ?? this.sources[source] ?? "";
    if (type === "tool_call.started") return fields.name;
    if (type === "tool.result") return `${fields.name} ${fields.status && fields.status !== "completed" ? `${fields.status}: ` : "→ "}${fields.output ?? ""}`;
    if (type === "usage") return `${fields.input_tokens ?? 0} tokens in, ${fields.output_tokens ?? 0} out`;
    if (type === "exchange.opened") return `${fields.method} ${fields.url} → ${fields.status}`;
    if (type === "exchange.closed") return `${fields.how}${fields.unread_chunks ? `, ${counted(fields.unread_chunks, "chunk")} never read` : ""}${fields.message ? `: ${fields.message}` : ""}`;
    if (type === "item.completed") return fields.item?.type ?? "item";
    if (type === "deltas.dropped") return `${counted(fields.count, "delta")} never reached ${fields.participant}`;
    if (type === "participant.failed") return `${fields.name}: ${fields.error}`;
    const data = fields.data === undefined ? "" : ` ${typeof fields.data === "string" ? fields.data : JSON.stringify(fields.data)}`;
    return `${fields.name ?? fields.title ?? fields.url ?? ""}${data}`;
  }
}

// Where each event lies. A unit is a second, or an event; long silences may be folded.
class Axis {
  constructor(events, mode) {
    this.mode = mode;
    this.events = events;
    this.at = new Float64Array(events.length);
    this.folds = [];
    if (mode === "order") {
      this.at.forEach((_, i) => (this.at[i] = i));
    } else {
      const { longest, short } = mode === "folded" ? foldable(events) : { longest: Infinity, short: 0 };
      for (let i = 1; i < events.length; i++) {
        const gap = (events[i].ns - events[i - 1].ns) / 1e9;
        const width = gap > longest ? short : gap;
        if (gap > longest) this.folds.push({ from: this.at[i - 1], to: this.at[i - 1] + width, fromNs: events[i - 1].ns, seconds: gap });
        this.at[i] = this.at[i - 1] + width;
      }
    }
    this.length = (this.at[events.length - 1] ?? 0) || 1;
    if (mode === "order") this.length += 1;
  }

  // The first event at or after that unit.
  indexAt(unit) {
    let low = 0;
    let high = this.at.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at[middle] < unit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // The time at a unit, in seconds.
  secondsAt(unit) {
    const i = Math.min(Math.max(this.indexAt(unit), 0), this.events.length - 1);
    if (this.mode === "order" || i < 1) return (this.events[i]?.ns ?? 0) / 1e9;
    const [a, b] = [this.at[i - 1], this.at[i]];
    const share = b > a ? Math.min((unit - a) / (b - a), 1) : 1;
    return (this.events[i - 1].ns + share * (this.events[i].ns - this.events[i - 1].ns)) / 1e9;
  }
}

// How long a silence may be before it is folded, and how long it then looks. Nothing is folded where all waits are alike.
function foldable(events) {
  const gaps = [];
  for (let i = 1; i < events.length; i++) {
    const gap = (events[i].ns - events[i - 1].ns) / 1e9;
    if (gap > 0) gaps.push(gap);
  }
  if (gaps.length < 4) return { longest: Infinity, short: 0 };
  gaps.sort((a, b) => a - b);
  const total = gaps.reduce((a, b) => a + b, 0);
  const longest = Math.max(gaps[Math.floor(gaps.length * 0.75)] * 12, total * 0.08);
  const rest = gaps.reduce((a, b) => a + (b > longest ? 0 : b), 0);
  return { longest, short: Math.max(rest * 0.05, gaps[gaps.length >> 1] * 2) };
}

// So many of a thing: `one` is what one is called.
function counted(number, one) {
  return `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
}

function seconds(value, digits = 9) {
  if (value === 0) return "0 s";
  const plain = (scaled) => String(Number(scaled.toFixed(Math.max(0, Math.min(digits, 9)))));
  if (Math.abs(value) >= 1) return `${plain(value)} s`;
  if (Math.abs(value) >= 1e-3) return `${plain(value * 1e3)} ms`;
  return Math.abs(value) >= 1e-6 ? `${plain(value * 1e6)} µs` : `${plain(value * 1e9)} ns`;
}
