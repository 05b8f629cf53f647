/** What the charts share: redrawing at the width there is, scales, ticks, labels that do not collide. */
import { fill, h, s } from "./dom.js";
import { LOCALE } from "./locale.js";

/** A figure that `draw(width)` fills, again whenever its width changes; `label` is what a screen reader says of it. */
export function figure(label, draw, kind = "") {
  const place = h("div", { class: `chart ${kind}`.trim(), role: "img", "aria-label": label });
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width || now < 40) return;
    width = now;
    fill(place, draw(width));
  }).observe(place);
  return place;
}

export function canvas(width, height, ...children) {
  return s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true", focusable: "false" }, ...children);
}

/** The function that takes values of `from` to positions of `to`. */
export function linear([low, high], [start, end]) {
  const unit = high > low ? (end - start) / (high - low) : 0;
  return (value) => start + (value - low) * unit;
}

/** Round numbers within a range, about as many as asked for. */
export function ticks(low, high, about) {
  const raw = (high - low) / Math.max(1, about);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return found;
}

/** A tick's value, as short as it can be. */
export function tickLabel(value) {
  return Math.abs(value) < 1e-12 ? "0" : Number(value.toPrecision(6)).toLocaleString(LOCALE, { maximumSignificantDigits: 6 });
}

export function line(x1, y1, x2, y2, kind) {
  return s("line", { x1, y1, x2, y2, class: kind });
}

export function text(x, y, content, kind, anchor = "middle") {
  return s("text", { x, y, class: kind, "text-anchor": anchor }, content);
}

const pen = document.createElement("canvas").getContext("2d");

/** How wide a label is, in the strongest type that labels are set in. */
export function widthOf(label) {
  pen.font = `680 13px ${getComputedStyle(document.documentElement).getPropertyValue("--font")}`;
  return Math.ceil(pen.measureText(label).width) + 4;
}

/**
 * Put labels into rows so that none covers another or leaves the chart.
 * @param labels objects with `x` and `label`
 * @returns the same with `left` and `row`, ascending in x
 */
export function place(labels, width) {
  const ends = [];
  return [...labels].sort((a, b) => a.x - b.x).map((item) => {
    const wide = widthOf(item.label);
    const left = Math.min(Math.max(0, item.x - wide / 2), Math.max(0, width - wide));
    let row = ends.findIndex((end) => end + 10 <= left);
    if (row === -1) row = ends.length;
    ends[row] = left + wide;
    return { ...item, left, row };
  });
}
