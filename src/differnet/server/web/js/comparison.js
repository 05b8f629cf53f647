/** Two versions side by side on the same reviewed parts. */
import { api } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./locale.js";
import { pictureWithMaps } from "./picture.js";
import { badge, reviewBadge } from "./verdict.js";
import { count, number, plural } from "./words.js";

export async function openComparison(place, { id, parameters, signal }) {
  const found = await api.comparison(id, signal);
  const product = parameters.get("product") ?? "";
  const [left, right] = found.versions;
  const detail = h("div", { class: "compare-pictures" });
  const differ = found.differ.map((each) => found.images.find((image) => image.id === each)).filter(Boolean);
  const heading = (version) => h("th", { scope: "col", class: "right" }, t("Version {number}", { number: version.number }));
  const rows = [
    [t("False rejects, of good parts"), (version) => `${count(version.false_rejects)} / ${count(version.good)}`],
    [t("Escapes, of defective parts"), (version) => `${count(version.escapes)} / ${count(version.defective)}`],
    [t("Sent to review"), (version) => count(version.to_review)],
    [t("Threshold"), (version) => number(version.calibration?.threshold)],
  ];
  fill(
    place,
    h("div", { class: "view-head" }, h("div", {}, h("h1", {}, t("Version {one} against version {other}", { one: left.number, other: right.number })), h("p", {}, t("On {parts} that people reviewed.", { parts: plural(found.images.length, "part") }))), h("a", { class: "button", href: `#/product/${encodeURIComponent(product)}` }, icon("left"), t("Back to the product"))),
    h(
      "section", { class: "panel stack", "aria-label": t("Result") },
      h("table", { class: "table" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("On these parts")), heading(left), heading(right))), h("tbody", {}, rows.map(([word, value]) => h("tr", {}, h("th", { scope: "row" }, word), [left, right].map((version) => h("td", { class: "right number" }, value(version))))))),
      found.learnt > 0 && h("p", { class: "small muted" }, t("Left out, since a version learnt from them: {parts}.", { parts: plural(found.learnt, "part") })),
      found.unusable > 0 && h("p", { class: "small muted" }, t("{parts} could not be used.", { parts: plural(found.unusable, "part") })),
      h("p", { class: "small muted" }, t("Reviewed parts are mostly those that a version found strange: the counts compare the two, and are no rates of all parts.")),
    ),
    h(
      "section", { class: "panel stack", "aria-label": t("Where they disagree") }, h("h2", {}, differ.length ? t("They disagree on {parts}", { parts: plural(differ.length, "part") }) : t("They decide alike on all of them")),
      h("ul", { class: "differ" }, differ.map((image) => h("li", {}, h("button", { class: "result differ-row", type: "button", onclick: () => show(image) }, h("span", { class: "result-name break" }, image.filename ?? image.id), reviewBadge(image.review), h("span", { class: "differ-badges" }, found.versions.map((version, i) => h("span", { class: "small" }, `${t("Version {number}", { number: version.number })}: `, badge(image.decisions[i]))))))),
      ), detail,
    ),
  );

  async function show(image) {
    try {
      const inspection = await api.inspection(image.id, signal);
      if (!inspection.image_url) {
        fill(detail, notice("info", t("The image is no longer kept; only the verdict is.")));
        return;
      }
      fill(detail, found.versions.map((version, i) => h("div", { class: "stack" }, h("h3", {}, t("Version {number}", { number: version.number })), h("p", { class: "small" }, badge(image.decisions[i]), " ", t("score {score}", { score: number(image.scores[i]) })), pictureWithMaps(inspection, found.mapped.includes(image.id) ? api.compared(id, version.number, image.id) : null, signal))));
      detail.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!signal.aborted) fill(detail, notice("error", error.message));
    }
  }
}
