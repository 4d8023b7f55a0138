// A row's small chart: the last minutes of a price as steps, and where the day's change is counted from.

export const SPARK_MS = 180_000;

/** Draw a history on a canvas whose size (in CSS pixels) is known, so that the page need not be laid out for it. */
export function drawSparkline(canvas, width, height, quote, palette, now) {
  const scale = devicePixelRatio;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const history = quote.history;
  const first = history.from(now - SPARK_MS);
  if (history.length === 0) return;
  let [low, top] = [Infinity, -Infinity];
  for (let index = first; index < history.length; index += 1) {
    const value = history.value(index);
    if (value < low) low = value; // NaN is neither
    if (value > top) top = value;
  }
  if (low > top) return;
  const start = Math.max(now - SPARK_MS, Math.min(history.time(first), now - 10_000));
  const across = (width - 4) / (now - start);
  const pad = 3;
  const down = top > low ? (height - 2 * pad) / (top - low) : 0;
  const x = (time) => Math.max(1, 1 + (time - start) * across);
  const y = (value) => (down ? pad + (top - value) * down : height / 2);
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  context.strokeStyle = quote.change > 0 ? palette.up : quote.change < 0 ? palette.down : palette.muted;
  context.beginPath();
  let previous = NaN;
  for (let index = first; index < history.length; index += 1) {
    const [at, value] = [x(history.time(index)), history.value(index)];
    if (!Number.isNaN(previous)) context.lineTo(at, y(previous));
    if (!Number.isNaN(value)) {
      if (Number.isNaN(previous)) context.moveTo(at, y(value));
      else context.lineTo(at, y(value));
    }
    previous = value;
  }
  if (!Number.isNaN(previous)) {
    context.lineTo(width - 3, y(previous));
    context.stroke();
    context.fillStyle = context.strokeStyle;
    context.beginPath();
    context.arc(width - 3, y(previous), 2, 0, 7);
    context.fill();
  } else context.stroke();
}
