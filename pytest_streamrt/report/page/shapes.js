// The signs that are drawn, and nothing that knows what they mean.
function line(pen, x, y, toX, toY) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(toX, toY);
  pen.stroke();
}

function ring(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.stroke();
}

function disc(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.fill();
}

function polygon(pen, points) {
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.closePath();
  pen.fill();
}

function diamond(pen, x, y, r) {
  polygon(pen, [[x, y - r], [x + r, y], [x, y + r], [x - r, y]]);
}

function octagon(pen, x, y, r) {
  const s = r * 0.42;
  polygon(pen, [[x - s, y - r], [x + s, y - r], [x + r, y - s], [x + r, y + s], [x + s, y + r], [x - s, y + r], [x - r, y + s], [x - r, y - s]]);
}

function cross(pen, x, y, r) {
  pen.lineWidth = 3;
  line(pen, x - r, y - r, x + r, y + r);
  line(pen, x - r, y + r, x + r, y - r);
}

// A triangle with its tip at the thing it warns of.
function warning(pen, x, y) {
  polygon(pen, [[x, y + 6], [x - 6, y - 5], [x + 6, y - 5]]);
}

// 1, 2 or 5 times a power of ten, at least so much.
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
}

// Where everything happened, however much it is: a column for each pixel, and the part that the timeline shows.
class Overview {
  constructor(canvas, timeline) {
    Object.assign(this, { canvas, timeline, pen: canvas.getContext("2d") });
  }

  unitAt(x) {
    return (x / this.canvas.clientWidth) * this.timeline.axis.length;
  }

  draw() {
    const { canvas, pen, timeline } = this;
    const { palette, axis, view, scale } = timeline;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const x = (unit) => (unit / axis.length) * (width - 4) + 2;
    const lanes = timeline.model.lanes.length;
    const thick = Math.max((height - 6) / lanes, 1);
    for (const lane of timeline.model.lanes) {
      const y = 3 + (lane.source * (height - 6)) / lanes;
      const high = Math.max(thick - (thick > 3 ? 1 : 0), 1);
      pen.fillStyle = timeline.hues[lane.source % 10];
      pen.globalAlpha = 0.3;
      for (const row of lane.rows) {
        for (const { first, last } of row.answers ?? []) pen.fillRect(x(axis.at[first]), y, x(axis.at[last]) - x(axis.at[first]), high);
      }
      pen.globalAlpha = 0.9;
      let drawn = -1;
      for (const event of lane.events) {
        const at = Math.round(x(axis.at[event.index]));
        if (at !== drawn) pen.fillRect((drawn = at), y, 1.5, high);
      }
    }
    pen.globalAlpha = 1;
    pen.fillStyle = palette.bad;
    for (const answer of timeline.model.answers) {
      if (answer.end && answer.end.type !== "inference.completed") pen.fillRect(x(axis.at[answer.end.index]) - 1, 0, 2, height);
    }
    const [from, to] = [Math.max(x(view.start), 0), Math.min(x(view.start + view.span), width)];
    pen.fillStyle = palette.paper;
    pen.globalAlpha = 0.65;
    pen.fillRect(0, 0, from, height);
    pen.fillRect(to, 0, width - to, height);
    pen.globalAlpha = 1;
    pen.strokeStyle = palette.muted;
    pen.strokeRect(from + 0.5, 0.5, Math.max(to - from - 1, 3), height - 1);
  }
}
