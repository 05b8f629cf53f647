/** Numbers, times and verdicts as a person reads them, in the way of the browser's language. */
import { LOCALE, localized, t } from "./locale.js";

export const DECISIONS = {
  accept: { word: t("Accept"), sentence: t("It scores as good parts do.") },
  review: { word: t("Review"), sentence: t("It scores higher than most good parts: have a look.") },
  reject: { word: t("Reject"), sentence: t("It scores above the threshold: take the part out, and look where the map is bright.") },
  none: { word: t("No decision"), sentence: t("The model has no threshold yet. Calibrate it first.") },
};

export const REVIEWS = { good: t("Good"), defective: t("Defective"), unsure: t("Unsure") };

/** A number in about four digits, without exponent where it can be helped. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-3)) return localized(value.toExponential(2));
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  return value.toLocaleString(LOCALE, { minimumFractionDigits: digits > 2 ? 0 : digits, maximumFractionDigits: digits });
}

export function count(value) {
  return value === null || value === undefined ? "–" : value.toLocaleString(LOCALE);
}

/** 0.05 as "5 %". */
export function percent(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const hundred = 100 * value;
  const digits = hundred !== 0 && hundred < 10 && Math.abs(hundred - Math.round(hundred)) > 1e-9 ? (hundred < 1 ? 2 : 1) : 0;
  // A space that does not break.
  return `${localized(hundred.toFixed(digits))}\u00a0%`;
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${t(n === 1 ? one : many)}`;
}

/** What a p-value means, in words. Conformal ones count held-out images, extrapolated ones are a share. */
export function pValueInWords(p, images, tail) {
  if (p === null || p === undefined) return t("Without a threshold there is no p-value.");
  const inShort = `p\u00a0=\u00a0${short(p)}`;
  if (tail === "generalized-pareto" || !images) return t("About {share} of good parts score as high ({p}).", { share: percent(p), p: inShort });
  const above = Math.max(0, Math.round(p * (images + 1)) - 1);
  const of = plural(images, "held-out good image");
  if (above === 0) return t("None of the {of} scored as high ({p}).", { of, p: inShort });
  if (above === images) return t("All {of} scored at least as high ({p}).", { of, p: inShort });
  return t("{above} of the {of} scored at least as high ({p}).", { above: count(above), of, p: inShort });
}

function short(p) {
  return localized(p >= 0.1 ? p.toFixed(2) : p >= 0.001 ? p.toFixed(3) : p.toExponential(1));
}

const TIME = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(LOCALE, { year: "numeric", month: "short", day: "numeric" });
const MINUTE = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export function clock(time) {
  return TIME.format(new Date(time));
}

export function hourAndMinute(time) {
  return MINUTE.format(new Date(time));
}

export function day(time) {
  return time ? DAY.format(new Date(time)) : "–";
}

/** The time alone for today, with the day otherwise. */
export function moment(time) {
  const date = new Date(time);
  return date.toDateString() === new Date().toDateString() ? clock(date) : `${day(date)}, ${hourAndMinute(date)}`;
}

export function fileNameOf(inspection) {
  return inspection.filename || inspection.path || t("(unnamed image)");
}

/** The number in a field, with a comma or a point; 0 if it is none. */
export function numeral(input) {
  const value = Number(input.value.trim().replace(",", "."));
  return Number.isFinite(value) ? value : 0;
}
