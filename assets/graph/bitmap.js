// A picture of what is in sight and a margin around it, so that moving a large graph only shifts pixels.

const MARGIN = 0.35;

export class Bitmap {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.area = null;
  }

  drop() {
    this.area = null;
  }

  // Draws anew around the camera with `draw(context, area, ratio)`.
  take(camera, ratio, draw) {
    const mx = Math.round(camera.width * MARGIN), my = Math.round(camera.height * MARGIN);
    const width = camera.width + 2 * mx, height = camera.height + 2 * my;
    this.canvas.width = Math.ceil(width * ratio);
    this.canvas.height = Math.ceil(height * ratio);
    this.area = { x: camera.x - mx / camera.k, y: camera.y - my / camera.k, k: camera.k, width, height };
    return draw(this.canvas.getContext("2d", { alpha: false }), this.area, ratio);
  }

  // Whether the picture still shows everything the camera sees, at a zoom not too far off.
  covers(camera) {
    if (!this.area) return false;
    const { x, y, k, width, height } = this.area;
    const zoomed = camera.k / k;
    return zoomed > 0.55 && zoomed < 2.2
      && camera.x >= x - 1 && camera.y >= y - 1
      && camera.x + camera.width / camera.k <= x + width / k + 1
      && camera.y + camera.height / camera.k <= y + height / k + 1;
  }

  get sharpAt() {
    return this.area ? this.area.k : 0;
  }

  show(context, camera, ratio, ground) {
    const { x, y, k, width, height } = this.area;
    const zoomed = camera.k / k;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = ground;
    context.fillRect(0, 0, camera.width * ratio, camera.height * ratio);
    context.drawImage(this.canvas, (x - camera.x) * camera.k * ratio, (y - camera.y) * camera.k * ratio,
      width * zoomed * ratio, height * zoomed * ratio);
  }
}
