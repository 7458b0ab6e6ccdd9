// How long the last frames took in JavaScript, and how much they drew.

export class Stats {
  constructor() {
    this.times = [];
    this.drawn = 0;
  }

  frame(ms) {
    this.times.push(ms);
    if (this.times.length > 240) this.times.shift();
  }

  reset() {
    this.times = [];
  }

  report(boxes) {
    const sorted = [...this.times].sort((a, b) => a - b);
    const at = (share) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] : 0);
    return { boxes, drawn: this.drawn, frames: sorted.length, median: at(0.5), p95: at(0.95), most: at(1) };
  }
}
