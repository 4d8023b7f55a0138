// A row's small chart: the closes of its last bars, and the present price as the last point.

const PAD = 3;

/**
 * Draw closes on a canvas whose size (in CSS pixels) is known, so that the page need not be laid out for it. `price` is NaN
 * where it is not known.
 */
export function drawSparkline(canvas, { width, height }, closes, palette, price = NaN) {
  const scale = devicePixelRatio;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const values = Number.isNaN(price) ? (closes ?? []) : [...(closes ?? []), price];
  if (values.length === 0) return;
  let [low, top] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > top) top = value;
  }
  const across = values.length > 1 ? (width - 5) / (values.length - 1) : 0;
  const down = top > low ? (height - 2 * PAD) / (top - low) : 0;
  const y = (value) => (down ? PAD + (top - value) * down : height / 2);
  const [first, last] = [values[0], values.at(-1)];
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  context.strokeStyle = context.fillStyle = last > first ? palette.up : last < first ? palette.down : palette.muted;
  context.beginPath();
  if (values.length === 1) context.moveTo(1, y(last)); // a price without a past: a level
  values.forEach((value, index) => context.lineTo(values.length > 1 ? 1 + index * across : width - 4, y(value)));
  context.stroke();
  context.beginPath();
  context.arc(width - 4, y(last), 2, 0, 7);
  context.fill();
}
