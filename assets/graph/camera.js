// Where the person looks: world point at the top left of the canvas and the zoom; all moves keep it in reach.

const MAX_ZOOM = 4;
const MARGIN = 24, EDGE = 6;

export class Camera {
  constructor() {
    this.x = 0;
    this.y = 0;
    this.k = 1;
    this.unit = 1; // the zoom at which a picture opens: larger for a projector
    this.width = 1;
    this.height = 1;
    this.origin = [0, 0];
    this.size = [1, 1];
  }

  get smallest() {
    return Math.min(0.2, this.fitting() * 0.8);
  }

  fitting() {
    return Math.min((this.width - 2 * MARGIN) / this.size[0], (this.height - 2 * MARGIN) / this.size[1]);
  }

  // In full size when it fits or is far too big to read as a whole, else all of it; a long graph begins at its top.
  start() {
    const all = Math.min((this.width - 2 * EDGE) / this.size[0], (this.height - 2 * EDGE) / this.size[1]);
    this.k = all >= this.unit || all < 0.7 * this.unit ? this.unit : all;
    this.x = this.origin[0] + this.size[0] / 2 - this.width / 2 / this.k;
    const spare = this.height / this.k - this.size[1];
    this.y = this.origin[1] - (spare > 0 ? spare / 2 : MARGIN / this.k);
  }

  fit() {
    this.k = Math.min(1, Math.max(this.fitting(), 0.001));
    this.x = this.origin[0] + this.size[0] / 2 - this.width / 2 / this.k;
    this.y = this.origin[1] + this.size[1] / 2 - this.height / 2 / this.k;
  }

  // Sizes of everything that is drawn follow the page's.
  scaled(unit) {
    if (unit === this.unit) return;
    const factor = unit / this.unit;
    this.unit = unit;
    this.zoom(factor, this.width / 2, this.height / 2);
  }

  pan(dx, dy) {
    this.x += dx / this.k;
    this.y += dy / this.k;
    this.limit();
  }

  // Zooms by `factor`, keeping the world under screen point (sx, sy) where it is.
  zoom(factor, sx, sy) {
    const k = Math.max(this.smallest, Math.min(MAX_ZOOM, this.k * factor));
    this.x += sx / this.k - sx / k;
    this.y += sy / this.k - sy / k;
    this.k = k;
    this.limit();
  }

  // Moves as little as possible so that the box is inside with some room around it.
  reveal(x, y, w, h) {
    const room = Math.min(60 / this.k, this.width / this.k / 4);
    const wide = this.width / this.k, high = this.height / this.k;
    if (x - room < this.x) this.x = x - room;
    else if (x + w + room > this.x + wide) this.x = Math.min(x - room, x + w + room - wide);
    if (y - room < this.y) this.y = y - room;
    else if (y + h + room > this.y + high) this.y = Math.min(y - room, y + h + room - high);
  }

  centre(x, y) {
    this.x = x - this.width / 2 / this.k;
    this.y = y - this.height / 2 / this.k;
    this.limit();
  }

  limit() {
    const wide = this.width / this.k, high = this.height / this.k;
    const [left, top] = this.origin;
    this.x = Math.max(left - wide * 0.8, Math.min(left + this.size[0] - wide * 0.2, this.x));
    this.y = Math.max(top - high * 0.8, Math.min(top + this.size[1] - high * 0.2, this.y));
  }

  // Whether all of the drawing is on screen.
  get seesAll() {
    const [left, top] = this.origin;
    return this.x <= left && this.y <= top && this.x + this.width / this.k >= left + this.size[0]
      && this.y + this.height / this.k >= top + this.size[1];
  }
}
