/** Charts over time: the control chart of scores, and the estimate of false rejects. */
import { canvas, figure, line, linear, text, tickLabel, ticks } from "./chart.js";
import { h, s } from "./dom.js";
import { t } from "./locale.js";
import { count, hourAndMinute, moment, number, percent, plural } from "./words.js";

const HEIGHT = 220;
const MARGIN = { left: 52, right: 14, top: 14, bottom: 28 };

/** Subgroup means against the limits that calibration scores set. */
export function controlChart({ centre, upper, lower, points }) {
  if (!points.length) return h("p", { class: "muted small" }, t("No subgroup yet: a point appears after every 10 inspections."));
  const outside = points.filter((point) => point.out_of_control).length;
  const label = t("Control chart: {groups} of 10 inspections, {outside} outside the limits {lower} to {upper}; the latest mean is {mean}.", { groups: plural(points.length, "subgroup"), outside, lower: number(lower), upper: number(upper), mean: number(points.at(-1).mean) });
  return figure(label, (width) => {
    const values = [...points.map((point) => point.mean), upper, lower].filter(Number.isFinite);
    const [low, high] = padded(Math.min(...values), Math.max(...values));
    const x = linear([0, Math.max(1, points.length - 1)], [MARGIN.left + 10, width - MARGIN.right - 10]);
    const y = linear([low, high], [HEIGHT - MARGIN.bottom, MARGIN.top]);
    const right = width - MARGIN.right;
    // At the end where the point is farther from the words.
    const named = (at, below, words) => {
      const [first, last] = [points[0], points.at(-1)].map((point) => Math.abs(y(point.mean) - at - below));
      return first >= last ? text(MARGIN.left + 4, at + below, words, "tick label", "start") : text(right - 4, at + below, words, "tick label", "end");
    };
    const children = [
      ...grid(low, high, y, width, tickLabel),
      s("rect", { x: MARGIN.left, y: y(upper), width: right - MARGIN.left, height: Math.max(0, y(lower) - y(upper)), class: "within" }),
      line(MARGIN.left, y(centre), right, y(centre), "centre"),
      line(MARGIN.left, y(upper), right, y(upper), "limit"),
      line(MARGIN.left, y(lower), right, y(lower), "limit"),
      named(y(upper), -6, t("upper limit")),
      named(y(lower), 15, t("lower limit")),
      s("polyline", { points: points.map((point, i) => `${x(i)},${y(point.mean)}`).join(" "), class: "trace" }),
    ];
    points.forEach((point, i) => {
      const about = s("title", {}, t("{time}: mean {mean} of {of}{outside}", { time: moment(point.time), mean: number(point.mean), of: plural(point.count, "inspection"), outside: point.out_of_control ? t(", outside the limits") : "" }));
      const [cx, cy] = [x(i), y(point.mean)];
      children.push(point.out_of_control
        ? s("path", { d: `M${cx} ${cy - 7}l7 7-7 7-7-7Z`, class: "point point-out" }, about)
        : s("circle", { cx, cy, r: points.length > 60 ? 2.5 : 4, class: "point" }, about));
    });
    return canvas(width, HEIGHT, ...children, ...times(points.map((point) => point.time), x, width));
  }, "chart-time");
}

/** The share of inspected parts that were rejected and then reviewed as good, an hour a point. */
export function estimateChart(buckets, stated) {
  const known = buckets.filter((bucket) => bucket.estimate !== null);
  if (!known.length) return h("p", { class: "muted small" }, t("No estimate yet: it needs rejected parts that somebody has reviewed."));
  const label = t("False-reject estimate: {share} in the latest of {hours}{stated}.", { share: percent(known.at(-1).estimate), hours: plural(known.length, "hour"), stated: stated ? t(", stated are {rate}", { rate: percent(stated) }) : "" });
  return figure(label, (width) => {
    const most = Math.max(...known.map((bucket) => bucket.estimate), stated ?? 0, 0.01) * 1.25;
    const x = linear([0, Math.max(1, buckets.length - 1)], [MARGIN.left + 10, width - MARGIN.right - 10]);
    const y = linear([0, most], [HEIGHT - MARGIN.bottom, MARGIN.top]);
    const right = width - MARGIN.right;
    const children = [...grid(0, most, y, width, percent)];
    if (stated) {
      children.push(line(MARGIN.left, y(stated), right, y(stated), "limit"));
      children.push(text(right, MARGIN.top - 2, t("stated {rate} (dashed)", { rate: percent(stated) }), "tick", "end"));
    }
    for (const part of unbroken(buckets)) {
      children.push(s("polyline", { points: part.map(([i, value]) => `${x(i)},${y(value)}`).join(" "), class: "trace" }));
    }
    buckets.forEach((bucket, i) => {
      if (bucket.estimate === null) return;
      const about = t("{time}: {share}; {inspected} inspected, {rejected} rejected, {good} of these reviewed as good", { time: moment(bucket.from), share: percent(bucket.estimate), inspected: count(bucket.inspected), rejected: count(bucket.rejected), good: count(bucket.rejected_reviewed_good) });
      children.push(s("circle", { cx: x(i), cy: y(bucket.estimate), r: 4, class: "point" }, s("title", {}, about)));
    });
    return canvas(width, HEIGHT, ...children, ...times(buckets.map((bucket) => bucket.from), x, width));
  }, "chart-time");
}

function unbroken(buckets) {
  const parts = [];
  let part = [];
  buckets.forEach((bucket, i) => {
    if (bucket.estimate === null) {
      part = [];
      return;
    }
    if (!part.length) parts.push(part);
    part.push([i, bucket.estimate]);
  });
  return parts;
}

function padded(low, high) {
  const room = (high - low || Math.abs(high) || 1) * 0.15;
  return [low - room, high + room];
}

function grid(low, high, y, width, written) {
  return ticks(low, high, 4).flatMap((value) => [
    line(MARGIN.left, y(value), width - MARGIN.right, y(value), "grid"),
    text(MARGIN.left - 8, y(value) + 4, written(value), "tick", "end"),
  ]);
}

/** As many times along the bottom as there is room for. */
function times(all, x, width) {
  const every = Math.max(1, Math.ceil(all.length / Math.max(2, Math.floor((width - MARGIN.left) / 76))));
  const days = new Set(all.map((time) => new Date(time).toDateString())).size > 2;
  const written = (time) => (days ? new Date(time).toLocaleDateString(undefined, { month: "short", day: "numeric" }) : hourAndMinute(time));
  return all.map((time, i) => (i % every ? null : text(x(i), HEIGHT - 8, written(time), "tick"))).filter(Boolean);
}
