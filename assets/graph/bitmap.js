// A picture of what is in sight and a margin around it: moving a large graph shifts and stretches pixels while the next picture is drawn a little per frame.

const MARGIN = 0.35;

export class Bitmap {
  constructor() {
    this.front = document.createElement("canvas");
    this.back = document.createElement("canvas");
    this.area = null;      // of the picture at the front
    this.stale = true;     // its colours or marks are no longer right
    this.work = null;      // {area, steps} of the picture being drawn
    this.drawn = 0;
  }

  // What is shown has changed: the picture may stand until the next one is ready, or not at all.
  drop(whole = false) {
    this.stale = true;
    this.work = null;
    if (whole) this.area = null;
  }

  // Begins a new picture around the camera; `steps(context, area, ratio)` draws it.
  begin(camera, ratio, steps) {
    const mx = Math.round(camera.width * MARGIN), my = Math.round(camera.height * MARGIN);
    const width = camera.width + 2 * mx, height = camera.height + 2 * my;
    this.back.width = Math.ceil(width * ratio);
    this.back.height = Math.ceil(height * ratio);
    const area = { x: camera.x - mx / camera.k, y: camera.y - my / camera.k, k: camera.k, width, height };
    this.work = { area, steps: steps(this.back.getContext("2d", { alpha: false }), area, ratio) };
  }

  // Goes on drawing for up to `ms`; true when the new picture has come to the front.
  advance(ms) {
    const end = performance.now() + ms;
    while (this.work) {
      const { done, value } = this.work.steps.next();
      if (done) {
        [this.front, this.back] = [this.back, this.front];
        this.area = this.work.area;
        this.drawn = value;
        this.stale = false;
        this.work = null;
        return true;
      }
      if (performance.now() > end) return false;
    }
    return false;
  }

  // Whether the picture still shows everything the camera sees, at a zoom not too far off.
  covers(camera) {
    return Boolean(this.area) && !this.stale && within(this.area, camera);
  }

  // Whether the picture being drawn will.
  awaits(camera) {
    return Boolean(this.work) && within(this.work.area, camera);
  }

  get sharpAt() {
    return this.area && !this.stale ? this.area.k : 0;
  }

  // Shows the picture where it belongs; `beneath` (the whole drawing, small) fills what it leaves open.
  show(context, camera, ratio, ground, beneath) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = ground;
    context.fillRect(0, 0, camera.width * ratio, camera.height * ratio);
    const put = (picture, x, y, width, height) => context.drawImage(picture, (x - camera.x) * camera.k * ratio,
      (y - camera.y) * camera.k * ratio, width * camera.k * ratio, height * camera.k * ratio);
    if (!this.area || !within(this.area, camera)) put(beneath.picture, ...beneath.place);
    if (this.area) put(this.front, this.area.x, this.area.y, this.area.width / this.area.k, this.area.height / this.area.k);
  }
}

function within({ x, y, k, width, height }, camera) {
  const zoomed = camera.k / k;
  return zoomed > 0.55 && zoomed < 2.2
    && camera.x >= x - 1 && camera.y >= y - 1
    && camera.x + camera.width / camera.k <= x + width / k + 1
    && camera.y + camera.height / camera.k <= y + height / k + 1;
}
