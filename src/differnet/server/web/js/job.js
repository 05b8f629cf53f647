/** Work in the background: how far it is, in words and as a bar. */
import { h } from "./dom.js";
import { t } from "./locale.js";
import { plural } from "./words.js";

const KINDS = { train: t("Training"), compare: t("Comparison"), export: t("Export"), report: t("Report") };
const STAGES = {
  starting: t("beginning"),
  features: t("looking at the pictures"),
  "held-out features": t("looking at the pictures"),
  training: t("learning"),
  cells: t("learning"),
  "this epoch": t("learning"),
  "heat maps": t("measuring good pictures"),
  comparing: t("measuring good pictures"),
  "suspicious pictures": t("drawing heat maps"),
  maps: t("drawing heat maps"),
  exporting: t("writing the file"),
};

export function kindOfJob(job) {
  return KINDS[job.kind] ?? job.kind;
}

/** A bar with words; `onCancel` adds a button, which stays while the words change. */
export class JobBar {
  constructor(job, onCancel = null) {
    this.words = h("span");
    this.percent = h("span", { class: "number" });
    this.bar = h("progress", { class: "progress", max: 1, "aria-label": kindOfJob(job) });
    this.root = h(
      "div", { class: "job" },
      h("div", { class: "job-words" }, h("strong", {}, kindOfJob(job)), this.words, this.percent), this.bar,
      onCancel && h("div", { class: "row" }, h("button", { class: "button", type: "button", onclick: onCancel }, t("Cancel"))),
    );
    this.show(job);
  }

  show({ state, progress }) {
    const share = progress?.share ?? 0;
    const said = state === "queued" ? t("waits for other work") : STAGES[progress?.stage] ?? t("beginning");
    const left = progress && progress.seconds_left !== null ? t("about {time} left", { time: duration(progress.seconds_left) }) : "";
    this.words.textContent = [said, left].filter(Boolean).join(", ");
    this.percent.textContent = `${Math.round(100 * share)}\u00a0%`;
    this.bar.value = share;
  }
}

export function duration(seconds) {
  if (seconds < 90) return plural(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 5400) return plural(Math.round(seconds / 60), "minute");
  return plural(Math.round(seconds / 3600), "hour");
}
