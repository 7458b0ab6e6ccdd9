// The whole drawing in a corner: one speck per box, ticks where the pass changed something, a frame around what is in sight.

const LARGEST = 168;

export class Minimap {
  constructor(canvas, onmove) {
    this.canvas = canvas;
    this.picture = document.createElement("canvas");
    this.factor = 1;
    this.scale = 1;
    this.origin = [0, 0];
    this.onmove = onmove;
    const move = (event) => {
      const place = canvas.getBoundingClientRect();
      this.onmove(this.origin[0] + (event.clientX - place.left) / this.factor, this.origin[1] + (event.clientY - place.top) / this.factor);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) move(event); });
  }

  // Redraws the specks; called when the scene, the mode or the theme changes.
  take(scene, look, colours, ratio) {
    const [width, height] = scene.size, [left, top] = this.origin = scene.origin;
    this.factor = Math.min(LARGEST / width, LARGEST / height, 0.25);
    const w = Math.max(24, Math.round(width * this.factor)), h = Math.max(24, Math.round(height * this.factor));
    for (const canvas of [this.picture, this.canvas]) {
      canvas.width = w * ratio;
      canvas.height = h * ratio;
    }
    this.canvas.style.width = `${w}px`;
    this.canvas.style.height = `${h}px`;
    const context = this.picture.getContext("2d");
    const scale = this.scale = this.factor * ratio;
    context.clearRect(0, 0, w * ratio, h * ratio);
    for (const box of scene.solid) {
      context.fillStyle = look.bar(box);
      context.fillRect((scene.x[box] - left) * scale, (scene.y[box] - top) * scale, Math.max(1, scene.w[box] * scale), Math.max(1, scene.h[box] * scale));
    }
    for (const box of scene.solid) {
      if (!scene.state[box] && !scene.changed[box]) continue;
      context.fillStyle = colours.changes[scene.state[box] || 4];
      context.fillRect(w * ratio - 4 * ratio, (scene.y[box] - top) * scale, 4 * ratio, Math.max(2, scene.h[box] * scale));
    }
  }

  // The specks and the world rectangle they stand for.
  get whole() {
    const width = this.picture.width / this.scale, height = this.picture.height / this.scale;
    return { picture: this.picture, place: [...this.origin, width, height] };
  }

  show(camera, colours, ratio) {
    const context = this.canvas.getContext("2d");
    const scale = this.factor * ratio;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.picture, 0, 0);
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5 * ratio;
    context.strokeRect((camera.x - this.origin[0]) * scale, (camera.y - this.origin[1]) * scale, (camera.width / camera.k) * scale, (camera.height / camera.k) * scale);
  }
}
