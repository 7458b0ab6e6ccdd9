// The whole drawing in a corner: one speck per box, ticks where the pass changed something, a frame around what is in sight.

const LARGEST = 168;

export class Minimap {
  constructor(canvas, onmove) {
    this.canvas = canvas;
    this.picture = document.createElement("canvas");
    this.factor = 1;
    this.onmove = onmove;
    const move = (event) => {
      const place = canvas.getBoundingClientRect();
      this.onmove((event.clientX - place.left) / this.factor, (event.clientY - place.top) / this.factor);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) move(event); });
  }

  // Redraws the specks; called when the scene, the mode or the theme changes.
  take(scene, look, colours, ratio) {
    const [width, height] = scene.size;
    this.factor = Math.min(LARGEST / width, LARGEST / height, 0.25);
    const w = Math.max(24, Math.round(width * this.factor)), h = Math.max(24, Math.round(height * this.factor));
    for (const canvas of [this.picture, this.canvas]) {
      canvas.width = w * ratio;
      canvas.height = h * ratio;
    }
    this.canvas.style.width = `${w}px`;
    this.canvas.style.height = `${h}px`;
    const context = this.picture.getContext("2d");
    const scale = this.factor * ratio;
    context.clearRect(0, 0, w * ratio, h * ratio);
    for (const box of scene.solid) {
      context.fillStyle = look.bar(box);
      context.fillRect(scene.x[box] * scale, scene.y[box] * scale, Math.max(1, scene.w[box] * scale), Math.max(1, scene.h[box] * scale));
    }
    for (const box of scene.solid) {
      if (!scene.state[box] && !scene.changed[box]) continue;
      context.fillStyle = colours.changes[scene.state[box] || 4];
      context.fillRect(w * ratio - 4 * ratio, scene.y[box] * scale, 4 * ratio, Math.max(2, scene.h[box] * scale));
    }
  }

  show(camera, colours, ratio) {
    const context = this.canvas.getContext("2d");
    const scale = this.factor * ratio;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.picture, 0, 0);
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5 * ratio;
    context.strokeRect(camera.x * scale, camera.y * scale, (camera.width / camera.k) * scale, (camera.height / camera.k) * scale);
  }
}
