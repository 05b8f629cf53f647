/** The region of interest: drawn on a picture by mouse or finger, or typed as numbers. */
import { api } from "./api.js";
import { fill, freshId, h, s } from "./dom.js";
import { t } from "./locale.js";

const LEAST = 16;

export class Region {
  /** @param onchange called with [x, y, width, height] or null, when it was changed by somebody */
  constructor(onchange, enabled) {
    this.onchange = onchange;
    this.enabled = enabled;
    this.size = null;
    this.value = null;
    this.canvas = h("canvas", { class: "layer", "aria-hidden": "true" });
    this.overlay = s("svg", { class: "layer", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.frame = h("div", { class: "region-frame", hidden: true }, this.canvas, this.overlay);
    this.fields = [t("from the left"), t("from the top"), t("width"), t("height")].map((word) => {
      const input = h("input", { class: "input", type: "number", min: 0, step: 1, inputmode: "numeric", id: freshId("region"), disabled: !enabled, onchange: () => this.typed() });
      return { input, node: h("div", { class: "field" }, h("label", { for: input.id }, word), input) };
    });
    this.whole = h("button", { class: "button", type: "button", disabled: !enabled, onclick: () => this.set(null, true) }, t("The whole picture"));
    this.said = h("p", { class: "small muted" });
    this.root = h(
      "fieldset", { class: "region stack" }, h("legend", { class: "legend" }, t("What counts of the picture")),
      this.frame, this.said, h("div", { class: "region-fields" }, this.fields.map((each) => each.node)), h("div", { class: "row" }, this.whole),
    );
    if (enabled) this.listen();
    this.say();
  }

  /** Show a picture to draw on; all pictures must have its size. */
  async show(picture) {
    if (!picture || this.shown === picture.sha256) return;
    this.shown = picture.sha256;
    this.size = [picture.width, picture.height];
    const image = await createImageBitmap(await api.picture(`${picture.image_url}?display=true`));
    const scale = Math.min(1, 900 / Math.max(image.width, image.height));
    this.canvas.width = Math.max(1, Math.round(image.width * scale));
    this.canvas.height = Math.max(1, Math.round(image.height * scale));
    this.canvas.getContext("2d").drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.overlay.setAttribute("viewBox", `0 0 ${this.size.join(" ")}`);
    this.frame.style.setProperty("--ratio", String(this.size[0] / this.size[1]));
    this.frame.hidden = false;
    this.draw();
  }

  set(value, tell = false) {
    this.value = value;
    this.fields.forEach(({ input }, i) => { input.value = value ? String(value[i]) : ""; });
    this.draw();
    this.say();
    if (tell) this.onchange(value);
  }

  typed() {
    const numbers = this.fields.map(({ input }) => (input.value.trim() === "" ? NaN : Math.round(Number(input.value))));
    if (numbers.every(Number.isNaN)) this.set(null, true);
    else if (numbers.every(Number.isFinite)) this.set(this.size ? within(numbers, this.size) : numbers, true);
  }

  draw() {
    if (!this.size) return;
    const [width, height] = this.size;
    if (!this.value) {
      fill(this.overlay);
      return;
    }
    const [x, y, w, h2] = this.value;
    const shade = `M0 0H${width}V${height}H0ZM${x} ${y}V${y + h2}H${x + w}V${y}Z`;
    fill(this.overlay, s("path", { d: shade, class: "region-shade" }), s("rect", { x, y, width: w, height: h2, class: "rim" }), s("rect", { x, y, width: w, height: h2, class: "box" }));
  }

  say() {
    fill(this.said, this.value ? t("{width} × {height} px from {x}, {y}; all pictures must have the same size.", { width: this.value[2], height: this.value[3], x: this.value[0], y: this.value[1] }) : t("All of it. Draw a box on the picture if only a part of it matters, or type the numbers."));
  }

  listen() {
    let start = null;
    let before = null;
    const at = (event) => {
      const box = this.frame.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * this.size[0], ((event.clientY - box.top) / box.height) * this.size[1]];
    };
    const drawn = (event) => {
      const end = at(event);
      const [x, y] = [0, 1].map((i) => Math.min(start[i], end[i]));
      return within([x, y, Math.abs(end[0] - start[0]), Math.abs(end[1] - start[1])], this.size);
    };
    this.frame.addEventListener("pointerdown", (event) => {
      if (!this.size || event.button !== 0) return;
      event.preventDefault();
      this.frame.setPointerCapture(event.pointerId);
      start = at(event);
      before = this.value;
    });
    this.frame.addEventListener("pointermove", (event) => {
      if (!start) return;
      this.value = drawn(event);
      this.draw();
    });
    this.frame.addEventListener("pointerup", (event) => {
      if (!start) return;
      const value = drawn(event);
      const moved = Math.abs(at(event)[0] - start[0]) + Math.abs(at(event)[1] - start[1]);
      start = null;
      // A mere click draws nothing.
      if (moved > 0.01 * (this.size[0] + this.size[1])) this.set(value, true);
      else this.set(before);
    });
    this.frame.addEventListener("pointercancel", () => { start = null; this.set(before); });
  }
}

/** Whole numbers, within the picture, no smaller than can be judged. */
function within([x, y, width, height], [most, tallest]) {
  const left = Math.round(Math.max(0, Math.min(x, most - LEAST)));
  const top = Math.round(Math.max(0, Math.min(y, tallest - LEAST)));
  return [left, top, Math.round(Math.max(LEAST, Math.min(width, most - left))), Math.round(Math.max(LEAST, Math.min(height, tallest - top)))];
}
