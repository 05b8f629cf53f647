/** Products: what there is, and a new one. */
import { api } from "./api.js";
import { field, fill, h, notice } from "./dom.js";
import { t } from "./locale.js";
import { JobBar } from "./job.js";
import { may, refusal } from "./session.js";
import { count, day, plural } from "./words.js";

const EVERY = 3000;

export async function openProducts(place, { signal }) {
  const list = h("div", { class: "models" });
  const problem = h("div");
  const name = h("input", { class: "input", maxlength: 80, autocomplete: "off", required: true });
  const make = h("button", { class: "button button-primary", type: "submit", disabled: !may("admin") }, t("Make the product"));
  const form = h(
    "form", { class: "panel product-new", "aria-label": t("New product") },
    field(t("New product"), name, t("Such as “bottle”. Its model will have this name.")), make,
    !may("admin") && h("p", { class: "small muted" }, refusal("admin")),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    make.disabled = true;
    try {
      const product = await api.createProduct(name.value);
      location.hash = `#/product/${product.id}`;
    } catch (error) {
      fill(problem, notice("error", error.message));
      make.disabled = false;
      name.focus();
    }
  });
  fill(place, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, t("Products")), h("p", {}, t("Collect pictures of good parts, train a model of them, compare versions and put one into service.")))), form, problem, list);
  let drawn = "";
  let bars = new Map();
  const refresh = async () => {
    const products = await api.products(signal);
    const active = products.filter((product) => product.active);
    bars = new Map(active.map(({ active: job }) => [job.id, bars.get(job.id) ?? new JobBar(job)]));
    for (const { active: job } of active) bars.get(job.id).show(job);
    const now = JSON.stringify(products.map((product) => ({ ...product, active: product.active?.id })));
    if (now === drawn) return;
    drawn = now;
    const card = (product) => productCard(product, bars.get(product.active?.id));
    fill(list, products.length ? products.map(card) : h("div", { class: "empty" }, h("strong", {}, t("No product yet")), h("p", {}, t("Give the first one a name; then add about 20 to 200 pictures of good parts."))));
  };
  await refresh();
  const timer = setInterval(() => {
    if (!document.hidden) refresh().catch((error) => { if (!signal.aborted) fill(problem, notice("error", error.message)); });
  }, EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function productCard(product, bar) {
  const { in_service: served } = product;
  const state = served ? (served.version === null ? t("another model") : t("version {number}", { number: served.version })) : t("nothing yet");
  return h(
    "article", { class: "panel stack", "aria-label": product.name },
    h("h2", { class: "break" }, h("a", { href: `#/product/${product.id}` }, product.name)),
    bar?.root,
    h("dl", { class: "facts" }, [[t("Pictures"), count(product.pictures)], [t("Versions"), count(product.versions)], [t("In service"), state], [t("Made"), day(product.created)]].map(([word, value]) => [h("dt", {}, word), h("dd", {}, value)])),
    h("div", { class: "row" }, h("a", { class: "button", href: `#/product/${product.id}` }, t("Open"), h("span", { class: "unseen" }, ` ${product.name}, ${plural(product.pictures, "picture")}`))),
  );
}
