/** A verdict as it is shown everywhere: symbol, word and colour; score on its scale; p-value in words. */
import { api } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./locale.js";
import { scoreScale } from "./score_scale.js";
import { DECISIONS, REVIEWS, fileNameOf, moment, number, pValueInWords } from "./words.js";

const cards = new Map();

/** The model's card with its held-out scores, fetched once for each version of the model. */
export function modelOf(inspection) {
  const id = `${inspection.model}/${inspection.threshold}`;
  if (!cards.has(id)) {
    const loading = api.model(inspection.model);
    loading.catch(() => cards.delete(id));
    cards.set(id, loading);
  }
  return cards.get(id);
}

export function forgetModels() {
  cards.clear();
}

export function badge(decision) {
  const known = decision ?? "none";
  return h("span", { class: `badge badge-${known}` }, icon(known), DECISIONS[known].word);
}

export function reviewBadge(review) {
  return review ? h("span", { class: `badge badge-${{ good: "accept", defective: "reject", unsure: "review" }[review]}` }, icon(review), t("Reviewed: {review}", { review: REVIEWS[review].toLowerCase() })) : null;
}

/** The banner with the verdict, the scale and the facts. */
export function verdictPanel(inspection, { signal, heading = "h2" } = {}) {
  const known = inspection.decision ?? "none";
  const scale = h("div", { class: "scale" });
  const meaning = h("p", { class: "p-value" }, pValueInWords(inspection.p_value, null, "generalized-pareto"));
  const panel = h(
    "section", { class: `verdict verdict-${known}`, "aria-label": t("Verdict: {word}", { word: DECISIONS[known].word }) },
    h("div", { class: "verdict-banner" }, icon(known), h("div", {}, h(heading, { class: "verdict-word" }, DECISIONS[known].word), h("p", {}, DECISIONS[known].sentence))),
    inspection.unlike ? notice("warning", t("Unlike the training images: {how}.", { how: inspection.unlike })) : null,
    scale,
    meaning,
    facts(inspection),
  );
  fill(scale, scoreScale({ calibration: calibrationOf(inspection, null), score: inspection.score, decision: inspection.decision }));
  modelOf(inspection).then((card) => {
    if (signal?.aborted) return;
    // Held-out scores of another version of the model would say nothing of this score.
    const same = card.model_id === inspection.model_id;
    const held = same ? card.held_out_scores ?? [] : [];
    fill(scale, scoreScale({ held, calibration: calibrationOf(inspection, card.calibration), score: inspection.score, decision: inspection.decision }));
    const sameThreshold = same && card.calibration?.threshold === inspection.threshold;
    fill(meaning, pValueInWords(inspection.p_value, sameThreshold ? held.length : null, card.calibration?.tail));
  }, () => {});
  return panel;
}

/** The thresholds at the time of the inspection; of the review threshold only the model knows. */
function calibrationOf(inspection, calibration) {
  if (inspection.threshold === null || inspection.threshold === undefined) return null;
  const same = calibration?.threshold === inspection.threshold;
  return { threshold: inspection.threshold, review_threshold: same ? calibration.review_threshold : null };
}

function facts(inspection) {
  const rows = [
    [t("Score"), number(inspection.score)],
    [t("Threshold"), inspection.threshold === null ? t("none") : t("{threshold} (margin {margin})", { threshold: number(inspection.threshold), margin: `${inspection.margin > 0 ? "+" : ""}${number(inspection.margin)}` })],
    [t("File"), fileNameOf(inspection)],
    [t("Image"), `${inspection.width} × ${inspection.height} px`],
    [t("Model"), `${inspection.model} (${inspection.model_id})`],
    [t("Inspected"), t("{time}, in {ms} ms", { time: moment(inspection.created), ms: Math.round(inspection.milliseconds) })],
  ];
  if (inspection.note) rows.push([t("Note"), inspection.note]);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
