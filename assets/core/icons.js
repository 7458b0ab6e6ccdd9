// Every symbol as a 16×16 path, so that canvas and page draw the same shape on every machine.

const PATHS = {
  linear: ["M3 3h10v10H3z", 1],
  norm: ["M8 2l6 6-6 6-6-6z", 1],
  elementwise: ["M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z", 1],
  pool: ["M8 2.5l6 11H2z", 1],
  quant: ["M2.5 2.5h11v11h-11z M4 4v8h8V4z M5.5 5.5h5v5h-5z", 2],
  shape: ["M2 4.5h12v7H2z M3.5 6v4h9V6z", 2],
  control: ["M13 8a5 5 0 1 1-1.6-3.7 M13.2 2v3.2H10", 0],
  host: ["M7 2h2v8H7z M7 12h2v2H7z", 1],
  plus: ["M8 3v10 M3 8h10", 0],
  minus: ["M3 8h10", 0],
  tilde: ["M3 9.5c1.2-2.6 3-2.6 5-1.2s3.8 1.2 5-1.4", 0],
  swap: ["M2.5 5.5h10 M9.8 3l2.7 2.5-2.7 2.5 M13.5 10.5h-10 M6.2 8l-2.7 2.5L6.2 13", 0],
  right: ["M6 3.5L10.5 8 6 12.5", 0],
  down: ["M3.5 6L8 10.5 12.5 6", 0],
  up: ["M3.5 10L8 5.5 12.5 10", 0],
  left: ["M10 3.5L5.5 8l4.5 4.5", 0],
  check: ["M3 8.5l3.2 3.2L13 4.8", 0],
  cross: ["M4 4l8 8 M12 4l-8 8", 0],
  warning: ["M8 2l6.5 12h-13z M7.4 6.4h1.2v4H7.4z M7.4 11.4h1.2v1.2H7.4z", 2],
  search: ["M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z M10.4 10.4L14 14", 0],
  sun: ["M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z M8 1v2 M8 13v2 M1 8h2 M13 8h2 M3 3l1.4 1.4 M11.6 11.6L13 13 M3 13l1.4-1.4 M11.6 4.4L13 3", 0],
  moon: ["M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z", 0],
  help: ["M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8 M8 12.4v.2", 0],
  link: ["M6.5 9.5l3-3 M5 7.5L3.4 9.1a2.5 2.5 0 0 0 3.5 3.5L8.5 11 M11 8.5l1.6-1.6a2.5 2.5 0 0 0-3.5-3.5L7.5 5", 0],
  play: ["M5 3l8 5-8 5z", 1],
  fit: ["M2.5 6V2.5H6 M10 2.5h3.5V6 M13.5 10v3.5H10 M6 13.5H2.5V10", 0],
  file: ["M4 2h5l3.5 3.5V14H4z M9 2v3.5h3.5", 0],
  book: ["M8 4C6.5 2.8 4.5 2.6 2.5 3v9.5c2-.4 4-.2 5.5 1 1.5-1.2 3.5-1.4 5.5-1V3c-2-.4-4-.2-5.5 1z M8 4v9.5", 0],
  eye: ["M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8z M8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z", 0],
  gear: ["M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z M8 1.5v2.2 M8 12.3v2.2 M1.5 8h2.2 M12.3 8h2.2 M3.4 3.4l1.6 1.6 M11 11l1.6 1.6 M3.4 12.6L5 11 M11 5l1.6-1.6", 0],
  chart: ["M2.5 13.5h11 M4.5 11V7 M8 11V3 M11.5 11V8.5", 0],
  edit: ["M10.5 2.5l3 3L6 13l-3.5.5L3 10z", 0],
};

// {d, fill}: fill 0 = stroke it, 1 = fill it, 2 = fill it with the even-odd rule.
export function path(name) {
  const [d, fill] = PATHS[name] || PATHS.linear;
  return { d, fill };
}

const built = new Map();

// Draws icon `name` with its top left corner at (x, y), `size` px wide, in `colour`.
export function drawIcon(context, name, x, y, size, colour, width = 1.8) {
  if (!built.has(name)) built.set(name, new Path2D(path(name).d));
  const { fill } = path(name);
  context.save();
  context.translate(x, y);
  context.scale(size / 16, size / 16);
  if (fill) {
    context.fillStyle = colour;
    context.fill(built.get(name), fill === 2 ? "evenodd" : "nonzero");
  } else {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.stroke(built.get(name));
  }
  context.restore();
}
