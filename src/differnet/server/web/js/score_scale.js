/** A score on its scale: held-out good scores, thresholds, zones of decision. */
import { canvas, figure, line, linear, place, text, tickLabel, ticks, widthOf } from "./chart.js";
import { freshId, s } from "./dom.js";
import { t } from "./locale.js";
import { DECISIONS, number, plural } from "./words.js";

const EDGE = 10;
const ROW = 18;
const HILL = 46;
const BAND = 12;
const WORDS = 16;

/**
 * @param held ascending scores of held-out good images
 * @param calibration with threshold and review_threshold, or null
 * @param score of the part in question, or null
 * @param decision on it
 * @param marks further values: {value, label, kind}
 */
export function scoreScale({ held = [], calibration = null, score = null, decision = null, marks = [] }) {
  const lines = [...marks];
  if (calibration && !marks.length) {
    if (differs(calibration)) lines.push({ value: calibration.review_threshold, label: t("review {value}", { value: number(calibration.review_threshold) }), kind: "review" });
    lines.push({ value: calibration.threshold, label: t("threshold {value}", { value: number(calibration.threshold) }), kind: "reject" });
  }
  const domain = domainOf(held, lines, score);
  return figure(describe(held, lines, score), (width) => draw(width, { held, calibration, score, decision, lines, domain }), "chart-scale");
}

function differs(calibration) {
  return calibration.review_threshold !== null && calibration.review_threshold !== undefined && calibration.review_threshold < calibration.threshold;
}

function describe(held, lines, score) {
  const parts = [];
  if (score !== null) parts.push(t("score {score}", { score: number(score) }));
  parts.push(...lines.map((mark) => mark.label));
  if (held.length) parts.push(t("{images} from {low} to {high}", { images: plural(held.length, "held-out good image"), low: number(held[0]), high: number(held.at(-1)) }));
  return t("Score scale: {parts}.", { parts: parts.join(", ") });
}

/** From the lowest good score to well above the threshold; a score far out is shown at the edge instead of squeezing the rest. */
function domainOf(held, lines, score) {
  const known = [...held, ...lines.map((mark) => mark.value)];
  if (!known.length) return score === null ? [0, 1] : [score - Math.abs(score || 1), score + Math.abs(score || 1)];
  let low = Math.min(...known);
  let high = Math.max(...known);
  const span = high - low || Math.abs(high) || 1;
  low -= span * 0.06;
  high += span * 0.35;
  if (score !== null && score > high && score < low + 3 * span) high = score + span * 0.12;
  if (score !== null && score < low && score > low - span) low = score - span * 0.06;
  return [low, high];
}

function draw(width, { held, calibration, score, decision, lines, domain }) {
  const x = linear(domain, [EDGE, width - EDGE]);
  const within = (value) => Math.min(Math.max(x(value), EDGE), width - EDGE);
  const labels = lines.map((mark) => ({ ...mark, x: within(mark.value) }));
  if (score !== null) {
    const beyond = score > domain[1] ? " →" : score < domain[0] ? " ←" : "";
    labels.push({ x: within(score), label: `${t("score {score}", { score: number(score) })}${beyond}`, kind: `part ${decision ?? "none"}`, isPart: true });
  }
  const placed = place(labels, width);
  const rows = Math.max(1, ...placed.map((item) => item.row + 1));
  const top = rows * ROW + 4;
  const ground = top + HILL;
  const children = [...hill(held, domain, x, ground), ...zones(calibration, domain, x, ground)];
  for (const item of placed) {
    const y = item.row * ROW + 13;
    if (item.isPart) {
      children.push(line(item.x, y + 5, item.x, ground - 2, `mark-part mark-${decision ?? "none"}`));
      children.push(s("path", { d: `M${item.x - 8} ${ground - 12}h16l-8 13Z`, class: `mark-head mark-${decision ?? "none"}` }));
    } else {
      children.push(line(item.x, y + 5, item.x, ground + BAND, `mark-line mark-${item.kind}`));
    }
  }
  // After all lines, so that none runs through a label.
  for (const item of placed) children.push(text(item.left, item.row * ROW + 13, item.label, `label ${item.isPart ? "mark-strong" : ""}`, "start"));
  for (const value of ticks(domain[0], domain[1], width / 90)) {
    const at = x(value);
    if (at < EDGE + 12 || at > width - EDGE - 12) continue;
    children.push(line(at, ground + BAND, at, ground + BAND + 4, "axis"));
    children.push(text(at, ground + BAND + 18, tickLabel(value), "tick"));
  }
  if (calibration) children.push(...zoneWords(calibration, domain, x, ground + BAND + 24 + WORDS - 4));
  return canvas(width, ground + BAND + 24 + (calibration ? WORDS : 0), ...children);
}

/** Bars of how many held-out good images lie where. */
function hill(held, domain, x, ground) {
  if (!held.length) return [];
  const low = held[0];
  const span = held.at(-1) - low;
  const bins = span > 0 ? Math.max(6, Math.min(40, Math.ceil(2 * Math.sqrt(held.length)))) : 1;
  const size = span > 0 ? span / bins : (domain[1] - domain[0]) / 40;
  const counts = new Array(bins).fill(0);
  for (const value of held) counts[Math.min(bins - 1, Math.floor((value - low) / size))] += 1;
  const most = Math.max(...counts);
  return counts.map((n, i) => {
    if (!n) return null;
    const left = x(low + i * size);
    const height = Math.max(2, (n / most) * (HILL - 8));
    return s("rect", { x: left + 0.5, y: ground - height, width: Math.max(1, x(low + (i + 1) * size) - left - 1), height, class: "bar" });
  }).filter(Boolean);
}

/** From where to where a part is accepted, looked at and rejected. */
function zonesOf(calibration, domain) {
  const clip = (value) => Math.min(Math.max(value, domain[0]), domain[1]);
  const reject = clip(calibration.threshold);
  const review = differs(calibration) ? clip(calibration.review_threshold) : reject;
  return [["accept", domain[0], review], ["review", review, reject], ["reject", reject, domain[1]]];
}

/** The ground line; what is decided where is told by colour, by hatching and by the words below. */
function zones(calibration, domain, x, ground) {
  const band = (from, to, look) => s("rect", { x: x(from), y: ground, width: Math.max(0, x(to) - x(from)), height: BAND, ...look });
  if (!calibration) return [band(domain[0], domain[1], { class: "zone zone-none" })];
  const hatches = { review: hatch("M0 6L6 0"), reject: hatch("M0 6L6 0M0 0L6 6") };
  return [
    s("defs", {}, Object.values(hatches)),
    ...zonesOf(calibration, domain).flatMap(([kind, from, to]) => [
      band(from, to, { class: `zone zone-${kind}` }),
      hatches[kind] && band(from, to, { fill: `url(#${hatches[kind].id})`, class: "zone-hatch" }),
    ].filter(Boolean)),
  ];
}

function hatch(path) {
  return s("pattern", { id: freshId("hatch"), width: 6, height: 6, patternUnits: "userSpaceOnUse" }, s("path", { d: path, class: "hatch" }));
}

function zoneWords(calibration, domain, x, y) {
  return zonesOf(calibration, domain)
    .filter(([kind, from, to]) => x(to) - x(from) > widthOf(DECISIONS[kind].word))
    .map(([kind, from, to]) => text((x(from) + x(to)) / 2, y, DECISIONS[kind].word, "tick zone-word"));
}
