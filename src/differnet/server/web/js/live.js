/** Live: what was inspected lately, counts, estimate of false rejects, control chart. Refreshes by itself. */
import { api } from "./api.js";
import { announce, field, fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { controlChart, estimateChart } from "./line_charts.js";
import { said, spoken, t } from "./locale.js";
import { modelSelect, noModels, usable } from "./model_select.js";
import { thumbnail } from "./picture.js";
import { unlessPressed } from "./press.js";
import { badge, reviewBadge } from "./verdict.js";
import { count, fileNameOf, moment, clock, number, percent, plural } from "./words.js";

const EVERY = 3000;
const PAGE = 30;
const SPANS = [[1, t("last hour")], [8, t("last 8 hours")], [24, t("last 24 hours")], [168, t("last 7 days")]];
const DECISIONS = [["", t("All")], ["accept", t("Accept")], ["review", t("Review")], ["reject", t("Reject")]];

export async function openLive(place, { signal }) {
  const models = usable(await api.models(signal));
  if (!models.length) {
    fill(place, h("div", { class: "view-head" }, h("h1", {}, t("Live"))), noModels());
    return;
  }
  new Live(place, models, signal).start();
}

class Live {
  constructor(place, models, signal) {
    this.models = models;
    this.signal = signal;
    this.paused = false;
    this.decision = "";
    this.rows = new Map();
    this.shown = [];
    this.expanded = false;
    this.newestSeen = null;
    this.model = modelSelect(models, { all: true, onchange: () => this.restart() });
    this.span = h("select", { class: "select", onchange: () => void this.refresh() }, SPANS.map(([hours, word]) => h("option", { value: hours }, word)));
    this.span.value = "24";
    this.chips = DECISIONS.map(([decision, word]) => h("button", { class: "chip", type: "button", "aria-pressed": String(decision === ""), onclick: () => this.filter(decision) }, decision && icon(decision), word));
    this.pauseButton = h("button", { class: "button", type: "button", onclick: () => this.togglePause() });
    this.state = h("p", { class: "small muted live-state" });
    this.problem = h("div");
    this.tiles = h("dl", { class: "tiles" });
    this.estimate = h("div");
    this.control = h("div");
    this.escapes = h("p", { class: "small" });
    this.drift = h("div");
    this.sent = h("div", { class: "stack" });
    this.list = h("ol", { class: "feed", "aria-label": t("Recent inspections, newest first") });
    this.total = h("span", { class: "small muted number" });
    this.more = h("button", { class: "button", type: "button", hidden: true, onclick: () => void this.loadMore() }, t("Show older ones"));
    this.showPause();
    fill(place, this.layout());
  }

  layout() {
    return [
      h("div", { class: "view-head" }, h("div", {}, h("h1", {}, t("Live")), this.state), this.pauseButton),
      this.problem,
      h("div", { class: "live-fields" }, field(t("Model"), this.model), field(t("Counts and charts"), this.span)),
      this.tiles,
      this.drift,
      this.sent,
      h(
        "div", { class: "charts" },
        h("section", { class: "panel" }, h("h2", {}, t("Scores against calibration")), this.control, h("p", { class: "small muted about-chart" }, t("Each point is the mean of 10 inspections in a row. Outside the band the scores are no longer those of the calibration."))),
        h("section", { class: "panel" }, h("h2", {}, t("False rejects, estimated")), this.escapes, this.estimate, h("p", { class: "small muted about-chart" }, t("By the hour: the share of good parts that were rejected, if the rejected parts that were reviewed speak for all of them."))),
      ),
      h(
        "section", { class: "panel feed-panel" },
        h("div", { class: "panel-head" }, h("h2", {}, t("Inspections")), this.total),
        h("div", { class: "chips", role: "group", "aria-label": t("Filter by decision") }, this.chips),
        this.list, h("div", { class: "row feed-more" }, this.more),
      ),
    ];
  }

  start() {
    const timer = setInterval(() => { if (!this.paused && !document.hidden) void this.refresh(); }, EVERY);
    this.signal.addEventListener("abort", () => clearInterval(timer));
    void this.refresh();
  }

  restart() {
    this.expanded = false;
    this.newestSeen = null;
    void this.refresh();
  }

  filter(decision) {
    this.decision = decision;
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(DECISIONS[i][0] === decision)));
    this.restart();
  }

  togglePause() {
    this.paused = !this.paused;
    this.showPause();
    if (!this.paused) void this.refresh();
  }

  showPause() {
    fill(this.pauseButton, icon(this.paused ? "play" : "pause"), this.paused ? t("Go on") : t("Pause"));
    if (this.paused) fill(this.state, t("Paused. Nothing is refreshed."));
  }

  async refresh() {
    // A slow answer must not overwrite that of a later request.
    this.turn = (this.turn ?? 0) + 1;
    const { turn } = this;
    const [page, statistics, receivers] = await Promise.allSettled([this.page(), this.statistics(), api.receivers(this.signal)]);
    if (this.signal.aborted || turn !== this.turn) return;
    if (page.status === "fulfilled") this.showFeed(page.value);
    if (statistics.status === "fulfilled") this.showStatistics(statistics.value);
    if (receivers.status === "fulfilled") fill(this.sent, receivers.value.map(sentInWords));
    const failed = [page, statistics].find((one) => one.status === "rejected");
    if (failed) this.complain(failed.reason.message);
    else {
      this.complain(null);
      if (!this.paused) fill(this.state, t("Refreshes by itself; last at {time}.", { time: clock(new Date()) }));
    }
  }

  /** Say what is wrong, once and not at every refresh. */
  complain(sentence) {
    if (sentence === this.said) return;
    this.said = sentence;
    fill(this.problem, sentence && notice("error", sentence));
  }

  page(before = null) {
    return api.inspections({ model: this.model.value, decision: this.decision, limit: PAGE, before }, this.signal);
  }

  statistics() {
    const names = this.model.value ? [this.model.value] : this.models.map((model) => model.name);
    return Promise.all(names.map((name) => api.statistics(name, this.span.value, this.signal)));
  }

  async loadMore() {
    try {
      const page = await this.page(this.last);
      this.expanded = true;
      this.shown.push(...page.inspections);
      this.last = page.next;
      this.more.hidden = !page.next;
      this.list.append(...page.inspections.map((inspection) => this.row(inspection)));
    } catch (error) {
      if (!this.signal.aborted) this.complain(error.message);
    }
  }

  showFeed({ inspections, next, total }) {
    const ids = new Set(inspections.map((inspection) => inspection.id));
    // What was shown stays behind the new page, if there is no gap between the two.
    const joins = this.expanded && this.shown.some((inspection) => ids.has(inspection.id));
    const shown = [...inspections, ...(joins ? this.shown.filter((inspection) => !ids.has(inspection.id)) : [])];
    if (!joins) {
      this.expanded = false;
      this.last = next;
      this.more.hidden = !next;
    }
    this.shown = shown;
    fill(this.total, plural(total, "inspection"));
    if (!shown.length) {
      fill(this.list, h("li", { class: "empty" }, h("strong", {}, t("No inspections")), this.decision ? t("None with this decision.") : t("They appear here as soon as images come in.")));
      return;
    }
    this.announceNew(inspections);
    const rows = shown.map((inspection) => this.row(inspection));
    // Rows that stay are left alone, so that the focus and loaded thumbnails stay.
    unlessPressed(this.list, () => {
      rows.forEach((row, i) => { if (this.list.children[i] !== row) this.list.insertBefore(row, this.list.children[i] ?? null); });
      while (this.list.children.length > rows.length) this.list.lastElementChild.remove();
    });
  }

  announceNew(inspections) {
    const index = inspections.findIndex((inspection) => inspection.id === this.newestSeen);
    const fresh = index === -1 ? inspections.length : index;
    if (this.newestSeen && fresh) {
      const rejected = inspections.slice(0, fresh).filter((inspection) => inspection.decision === "reject").length;
      announce(t("{inspections}, {rejected} rejected.", { inspections: plural(fresh, "new inspection"), rejected }));
    }
    this.newestSeen = inspections[0]?.id ?? this.newestSeen;
  }

  row(inspection) {
    const state = `${inspection.review}/${inspection.image_url}`;
    const known = this.rows.get(inspection.id);
    if (known?.state === state) return known.row;
    const row = h(
      "li", {},
      h(
        "a", { class: "feed-row", href: `#/inspection/${encodeURIComponent(inspection.id)}` },
        thumbnail(inspection),
        h("span", { class: "feed-name break" }, fileNameOf(inspection)),
        h("span", { class: "feed-badges" }, badge(inspection.decision), reviewBadge(inspection.review)),
        h("span", { class: "feed-score number small" }, t("score {score}", { score: number(inspection.score) })),
        h("span", { class: "feed-about small muted" }, `${moment(inspection.created)}, ${inspection.model}`),
      ),
    );
    this.rows.set(inspection.id, { row, state });
    if (this.rows.size > 2000) this.rows.delete(this.rows.keys().next().value);
    return row;
  }

  showStatistics(all) {
    const sum = (read) => all.reduce((total, one) => total + read(one), 0);
    const total = sum((one) => one.counts.total);
    const share = (n) => (total ? percent(n / total) : "–");
    const tile = (word, value, about, kind) => h("div", { class: `tile ${kind ? `tile-${kind}` : ""}` }, h("dt", {}, kind && icon(kind), word), h("dd", {}, h("span", { class: "tile-value number" }, count(value)), h("span", { class: "small muted" }, about)));
    const reviewed = { good: sum((one) => one.reviewed.good), defective: sum((one) => one.reviewed.defective), unsure: sum((one) => one.reviewed.unsure) };
    fill(
      this.tiles,
      tile(t("Inspected"), total, SPANS.find(([hours]) => String(hours) === this.span.value)[1]),
      ...["accept", "review", "reject"].map((decision) => {
        const n = sum((one) => one.counts[decision]);
        return tile(DECISIONS.find(([name]) => name === decision)[1], n, share(n), decision);
      }),
      tile(t("Reviewed"), reviewed.good + reviewed.defective + reviewed.unsure, t("{good} good, {defective} defective", { good: count(reviewed.good), defective: count(reviewed.defective) })),
    );
    fill(this.escapes, escapesInWords(all.length === 1 ? all[0].escape_estimate : null));
    const drifts = all.map((one) => one.drift).filter(Boolean);
    fill(this.drift, drifts.map((sentence) => notice("warning", h("span", spoken(sentence), said(sentence)))));
    this.redraw("estimate", all.map((one) => one.false_reject_estimate), () => estimateChart(all[0].false_reject_estimate, this.stated()));
    this.redraw("control", all.map((one) => one.control_chart), () => (Number.isFinite(all[0].control_chart?.centre) ? controlChart(all[0].control_chart) : h("p", { class: "muted small" }, t("The model has no calibration to compare with."))));
  }

  /** Draw a chart anew only when its numbers changed. */
  redraw(name, numbers, draw) {
    const now = JSON.stringify([this.model.value, numbers]);
    if (this[`${name}Drawn`] === now) return;
    this[`${name}Drawn`] = now;
    fill(this[name], numbers.length > 1 ? h("p", { class: "muted small" }, t("Choose one model to see its chart.")) : draw());
  }

  stated() {
    return this.models.find((model) => model.name === this.model.value)?.calibration?.false_reject_rate ?? null;
  }
}

/** How many defective parts are accepted, by the random sample that Review shows. */
function escapesInWords(found) {
  if (!found) return "";
  if (found.estimate === null) return t("Escapes: no estimate yet. Look at the accepted parts that Review draws at random.");
  const { defective, interval } = found;
  return t("Escapes: {defective} of {looked} accepted parts drawn at random were defective, {share} (95 % interval {low} to {high}).", { defective: count(defective), looked: count(defective + found.good), share: percent(found.estimate), low: percent(interval[0]), high: percent(interval[1]) });
}

/** Where verdicts are sent on, and whether they arrive. */
function sentInWords({ receiver, model, waiting, refused, trouble }) {
  const what = model === null ? t("Verdicts are sent to {receiver}", { receiver }) : t("Verdicts of {model} are sent to {receiver}", { model, receiver });
  const said = [what, waiting && t("{number} wait", { number: count(waiting) }), refused && t("{number} were refused", { number: count(refused) })].filter(Boolean).join(", ");
  return trouble === null ? h("p", { class: "small muted" }, said) : notice("warning", t("{said}. It takes none now: {reason}", { said, reason: trouble }));
}
