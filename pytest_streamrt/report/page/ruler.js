// Between places and times: the ruler above the lanes, and which event lies at a point of the canvas.
const NEAR = 14; // pixels from which on an event is under the pointer

function drawRuler(timeline) {
  const { pen, palette, axis, view, gutter, width } = timeline;
  pen.fillStyle = palette.paper;
  pen.fillRect(0, 0, width, RULER);
  pen.fillStyle = palette.line;
  pen.fillRect(0, RULER - 1, width, 1);
  pen.font = '11px ui-monospace, "DejaVu Sans Mono", monospace';
  pen.textAlign = "left";
  const taken = []; // from where to where on the ruler something is written
  const put = (x, text, colour = palette.muted) => {
    const until = x + pen.measureText(text).width + 14;
    if (x < gutter - 4 || until > width + 8 || taken.some(([a, b]) => x < b && until > a)) return;
    taken.push([x, until]);
    pen.fillStyle = palette.line;
    pen.fillRect(x, RULER - 7, 1, 6);
    pen.fillStyle = colour;
    pen.fillText(text, x + 4, RULER / 2 - 1);
  };
  if (axis.mode === "order") {
    const step = Math.max(1, Math.ceil((view.span / (width - gutter)) * 100));
    for (let i = Math.max(0, Math.floor(view.start / step) * step); i < axis.at.length && i < view.start + view.span; i += step) put(timeline.x(i), seconds(axis.events[i].ns / 1e9, 6));
    return;
  }
  for (const fold of axis.folds) put(timeline.xOf(fold.from) + 3, `≈ ${seconds(fold.seconds, 1)}`, palette.warn);
  const step = niceStep((view.span / (width - gutter)) * 96);
  const pieces = [...axis.folds.map((fold) => ({ until: fold.from, fold })), { until: Infinity }];
  let unit = Math.min(0, view.start);
  let offset = 0; // seconds that lie in folds up to here
  for (const { until, fold } of pieces) {
    const first = Math.max(Math.ceil((Math.max(unit, view.start) + offset) / step - 1e-9), 0);
    for (let k = first; k * step - offset <= Math.min(until, view.start + view.span) + 1e-12; k++) put(timeline.xOf(k * step - offset), seconds(k * step, 9));
    if (!fold) break;
    unit = fold.to;
    offset += fold.seconds - (fold.to - fold.from);
  }
}

// The event under a point of the canvas, if any.
function eventAt(timeline, x, y) {
  const at = y + timeline.box.scrollTop;
  const lane = timeline.model.lanes.find((each) => at >= each.top && at < each.bottom);
  if (!lane || y < RULER) return null;
  const row = lane.rows.find((each) => at >= each.top && at < each.top + ROW[each.kind]) ?? lane.rows[0];
  const i = lowest(row.events, (event) => timeline.x(event.index) >= x);
  const [before, after] = [row.events[i - 1], row.events[i]];
  const reach = (event) => (event ? Math.abs(timeline.x(event.index) - x) : Infinity);
  if (row.kind !== "points" && before && (reach(before) <= 160 && reach(after) > 5)) return before; // its text lies to the right of it
  const nearest = reach(before) <= reach(after) ? before : after;
  return reach(nearest) <= NEAR ? nearest : null;
}

// The first place in a sorted list from which on something holds.
function lowest(list, holds) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
