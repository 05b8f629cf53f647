/** One inspection, by its own address. */
import { api } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./locale.js";
import { picture } from "./picture.js";
import { may, refusal } from "./session.js";
import { reviewBadge, verdictPanel } from "./verdict.js";
import { REVIEWS, fileNameOf } from "./words.js";

export async function openDetail(place, { id, signal }) {
  const inspection = await api.inspection(id, signal);
  const state = h("div", { class: "row" });
  const message = h("div");
  const show = (now) => fill(state, reviewBadge(now.review) ?? h("span", { class: "muted" }, t("Not reviewed yet")));
  const buttons = ["good", "defective", "unsure"].map((review) => h("button", { class: "button", type: "button", disabled: !may("review"), onclick: () => void send(review) }, icon(review), REVIEWS[review]));
  async function send(review) {
    try {
      show(await api.review(inspection.id, review, inspection.note));
      fill(message);
    } catch (error) {
      fill(message, notice("error", error.message));
    }
  }
  show(inspection);
  fill(
    place,
    h("div", { class: "view-head" }, h("div", {}, h("h1", { class: "break" }, fileNameOf(inspection))), h("a", { class: "button", href: "#/live" }, icon("left"), t("Back to live"))),
    h(
      "div", { class: "detail-grid" },
      h("div", { class: "panel picture-panel" }, picture(inspection, signal)),
      h(
        "div", { class: "stack" }, h("div", { class: "panel" }, verdictPanel(inspection, { signal })),
        h("section", { class: "panel stack" }, h("h2", {}, t("Review")), state, h("div", { class: "row" }, buttons), !may("review") && h("p", { class: "small muted" }, refusal("review")), message),
      ),
    ),
  );
}
