/** Models: what is loaded, what is broken and why, each with its card and report. */
import { api } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { said, spoken, t } from "./locale.js";
import { reportLink } from "./report.js";
import { scoreScale } from "./score_scale.js";
import { count, day, moment, number, percent, plural } from "./words.js";

const EVERY = 5000;
const SOURCES = { "held-out": t("good images held out from training"), "cross-fitted": t("good images, each scored by models that had not seen it"), images: t("good images given for calibration"), "by-hand": t("the threshold was set by hand, no rate is promised") };

export async function openModels(place, { signal }) {
  const list = h("div", { class: "models" });
  const problem = h("div");
  fill(place, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, t("Models")), h("p", {}, t("Model files in the service's folder. A new or changed file is served without a restart.")))), problem, list);
  let drawn = "";
  const refresh = async () => {
    const models = await api.models(signal);
    fill(problem);
    const now = JSON.stringify(models);
    if (now === drawn) return;
    drawn = now;
    fill(list, models.length ? models.map((model) => card(model, signal)) : h("div", { class: "empty" }, h("strong", {}, t("No model is loaded")), h("p", {}, h("a", { class: "button button-primary", href: "#/products" }, t("Train a model")))));
  };
  await refresh();
  const timer = setInterval(() => {
    if (!document.hidden) refresh().catch((error) => { if (!signal.aborted) fill(problem, notice("error", error.message)); });
  }, EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function card(model, signal) {
  const broken = model.status !== "ready";
  const state = broken ? ["reject", t("Broken file")] : model.error ? ["review", t("New file is broken")] : ["accept", t("Ready")];
  const scale = h("div", { class: "scale" });
  if (model.calibration) {
    api.model(model.name, signal).then(
      (full) => fill(scale, scoreScale({ held: full.held_out_scores ?? [], calibration: model.calibration })),
      () => fill(scale, scoreScale({ calibration: model.calibration })),
    );
  }
  return h(
    "article", { class: "panel stack model", "aria-label": model.name },
    h("div", { class: "panel-head" }, h("h2", { class: "break" }, model.name), h("span", { class: `badge badge-${state[0]}` }, icon(state[0]), state[1])),
    (broken || model.error) && notice(broken ? "error" : "warning", h("p", model.error ? spoken(model.error) : {}, model.error ? said(model.error) : t("The file cannot be read.")), !broken && h("p", { class: "small" }, t("The version loaded before is still served."))),
    model.calibration && scale,
    model.model_id && facts(model),
    model.model_id && !model.calibration && notice("warning", t("This model has no threshold: it gives scores, but no decisions. "), h("a", { href: `#/recalibrate?model=${encodeURIComponent(model.name)}` }, t("Calibrate it")), "."),
    h(
      "div", { class: "row" }, model.report_url && reportLink(model.report_url, `${model.name}.report.html`),
      model.model_id && h("a", { class: "button", href: `#/recalibrate?model=${encodeURIComponent(model.name)}` }, t("Recalibrate …")),
    ),
  );
}

function facts(model) {
  const { calibration } = model;
  const rows = [
    [t("Threshold"), calibration ? `${number(calibration.threshold)}${calibration.review_threshold === null ? "" : t(", review from {value}", { value: number(calibration.review_threshold) })}` : t("none")],
    calibration && [t("False rejects"), t("{rate} stated", { rate: percent(calibration.false_reject_rate) }) + (calibration.rate_interval ? t("; 95 % interval {low} to {high}", { low: percent(calibration.rate_interval[0]), high: percent(calibration.rate_interval[1]) }) : "")],
    calibration && [t("Calibrated on"), `${plural(calibration.images, "image")}: ${SOURCES[calibration.source] ?? calibration.source}${calibration.tail === "generalized-pareto" ? t("; tail extrapolated") : ""}`],
    [t("Trained on"), `${plural(model.training_images, "good image")}, ${day(model.created)}`],
    ...(model.drift ? [[t("Since it was loaded"), h("span", spoken(model.drift), said(model.drift))]] : []),
    [t("Extractor"), `${model.extractor}, ${imageSize(model.image_size)}, ${plural(model.views, "view")}`],
    [t("Model id"), model.model_id],
    [t("File"), model.file],
    [t("Loaded"), model.loaded_at ? moment(model.loaded_at) : "–"],
    [t("Made by"), `differnet ${model.package_version}`],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function imageSize(size) {
  return Array.isArray(size) ? `${size.join(" × ")} px` : `${count(size)} px`;
}
