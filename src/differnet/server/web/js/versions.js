/** The versions of a product: what each promises, what is odd, compare, release, roll back, export. */
import { api } from "./api.js";
import { announce, fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { duration } from "./job.js";
import { localized, said, spoken, t } from "./locale.js";
import { forgetPictures, pictureWithMaps, thumbnail } from "./picture.js";
import { reportLink } from "./report.js";
import { saveFile } from "./save.js";
import { scoreScale } from "./score_scale.js";
import { may } from "./session.js";
import { forgetModels } from "./verdict.js";
import { count, moment, number, percent, plural } from "./words.js";

const PRESETS = { fast: t("quick"), default: t("thorough") };
const FORMATS = { onnx: "ONNX", openvino: "OpenVINO" };
// None of ten escaped: then, at 95 %, less than 28 % of all do; none of thirty rejected: less than 12 %.
const ENOUGH = { good: 30, defective: 10 };

export class Versions {
  /** @param after `refresh` and `reloadPictures`, called after changes */
  constructor(product, signal, after) {
    Object.assign(this, { id: product, signal, after });
    this.key = "";
    this.opened = new Set();
    this.message = h("div");
    this.judged = h("p", {});
    this.compare = h("div");
    this.list = h("div", { class: "versions" });
    this.root = h("section", { class: "stack", "aria-label": t("Versions"), hidden: true }, h("h2", {}, t("Versions")), this.message, this.judged, this.compare, this.list);
  }

  draw(product) {
    this.product = product;
    this.root.hidden = !product.versions_list.length;
    const done = product.jobs.filter((job) => job.state === "done" && job.kind !== "train");
    const key = JSON.stringify([product.versions_list.map((each) => each.number), product.in_service, product.can_roll_back, product.reviewed, done.map((job) => job.id)]);
    // A question that waits for its answer stays.
    if (key === this.key || this.list.querySelector("[data-question]")) return;
    this.key = key;
    fill(this.judged, testSet(product));
    this.drawCompare(done.filter((job) => job.kind === "compare"));
    fill(this.list, product.versions_list.map((version) => this.card(version, done.filter((job) => job.wanted.version === version.number))));
  }

  drawCompare(done) {
    const numbers = this.product.versions_list.map((each) => each.number);
    if (numbers.length < 2) {
      fill(this.compare);
      return;
    }
    const choose = (start, word) => {
      const select = h("select", { class: "select", "aria-label": word }, numbers.map((each) => h("option", { value: each }, t("Version {number}", { number: each }))));
      select.value = String(start);
      return select;
    };
    const [newest, other] = numbers;
    const left = choose(newest, t("One version"));
    const right = choose(numbers.includes(this.product.in_service?.version) && this.product.in_service.version !== newest ? this.product.in_service.version : other, t("Other version"));
    const button = h("button", { class: "button", type: "button", disabled: !may("admin") || !this.product.reviewed, onclick: () => void this.doing(async () => {
      await api.compare(this.id, [Number(left.value), Number(right.value)]);
      announce(t("The comparison has begun."));
    }) }, t("Compare"));
    fill(this.compare, h(
      "section", { class: "panel stack", "aria-label": t("Compare versions") }, h("h3", {}, t("Compare on the same reviewed parts")),
      h("div", { class: "row compare-row" }, left, right, button),
      done.length > 0 && h("ul", { class: "files" }, done.map((job) => h("li", {}, h("a", { href: `#/comparison/${job.id}?product=${this.id}` }, t("Version {one} against {other}, {time}", { one: job.wanted.versions[0], other: job.wanted.versions[1], time: moment(job.ended) }))))),
    ));
  }

  card(version, jobs) {
    const exports = jobs.filter((job) => job.kind === "export");
    const report = jobs.find((job) => job.kind === "report");
    const makeReport = (word) => h("button", { class: "button", type: "button", disabled: !may("admin") || !this.product.reviewed, onclick: () => void this.doing(async () => {
      await api.makeReport(this.id, version.number);
      announce(t("The report is being made."));
    }) }, word);
    const served = this.product.in_service;
    const mine = served?.version === version.number;
    const { calibration } = version;
    const sure = h("div", { class: "stack" });
    const look = h("div");
    const format = h("select", { class: "select", "aria-label": t("Format") }, Object.entries(FORMATS).map(([value, word]) => h("option", { value }, word)));
    return h(
      "article", { class: "panel stack version", "aria-label": t("Version {number}", { number: version.number }) },
      h("div", { class: "panel-head" }, h("h3", {}, t("Version {number}", { number: version.number })), mine && h("span", { class: "badge badge-accept" }, icon("accept"), t("In service")), h("span", { class: "muted small" }, moment(version.created))),
      h("p", {}, promise(calibration)),
      calibration && scoreScale({ held: version.held_out_scores, calibration }),
      h("p", { class: "small muted" }, about(version)),
      version.remarks.length > 0 && notice("warning", ...version.remarks.map((remark) => h("p", { class: "break", ...spoken(remark) }, said(remark)))),
      version.failures.length > 0 && notice("warning", t("{pictures} could not be used:", { pictures: plural(version.failures.length, "picture") }), h("ul", {}, version.failures.slice(0, 5).map((each) => h("li", { class: "break" }, `${each.filename ?? ""}: `, h("span", spoken(each.reason), said(each.reason)))))),
      this.suspects(version, look), look,
      h(
        "div", { class: "row" },
        !mine && h("button", { class: "button button-primary", type: "button", disabled: !may("admin"), onclick: () => this.ask(sure, version) }, t("Put into service …")),
        mine && h("a", { class: "button button-primary", href: "#/inspect", onclick: () => sessionStorage.setItem("differnet-model", this.product.name) }, t("Inspect with it")),
        report ? reportLink(api.reportOf(report.id), `${this.product.name} ${version.number}.html`) : makeReport(t("Make a report")),
        mine && this.product.can_roll_back && h("button", { class: "button", type: "button", disabled: !may("admin"), onclick: () => this.askBack(sure) }, t("Roll back …")),
      ),
      sure,
      h("details", { open: this.opened.has(version.number), ontoggle: (event) => this.opened[event.currentTarget.open ? "add" : "delete"](version.number) }, h("summary", {}, t("Files of this version")), h(
        "div", { class: "stack files-panel" },
        h("div", { class: "row" }, h("button", { class: "button", type: "button", disabled: !may("admin"), onclick: () => void this.doing(async () => saveFile(`${this.product.name}.safetensors`, "", await api.modelFile(this.id, version.number))) }, t("Save the model file"))),
        h("div", { class: "row compare-row" }, format, h("button", { class: "button", type: "button", disabled: !may("admin"), onclick: () => void this.doing(() => api.exportVersion(this.id, version.number, format.value, false)) }, t("Export"))),
        report && h("div", { class: "row" }, makeReport(t("Make the report anew")), h("span", { class: "muted small" }, t("The one that there is: {time}, on {parts}.", { time: moment(report.ended), parts: plural(report.result.images, "part") }))),
        !mine && h("div", { class: "row" }, h("button", { class: "button", type: "button", disabled: !may("admin"), onclick: () => this.askRemoval(sure, version) }, t("Remove this version …"))),
        h("ul", { class: "files" }, exports.map((job) => h("li", {}, h("button", { class: "button button-plain", type: "button", onclick: () => void this.doing(async () => saveFile(job.result.file, "", await api.exported(job.id))) }, t("Save {file}", { file: job.result.file })), h("span", { class: "muted small" }, ` ${FORMATS[job.wanted.to]}, ${moment(job.ended)}`)))),
      )),
    );
  }

  /** The pictures that look strange among the good ones, each to be looked at and left out. */
  suspects(version, look) {
    const far = version.suspects.filter((each) => each.far_off);
    const shown = far.length ? far : version.suspects.slice(0, 5);
    if (!shown.length) return null;
    const tile = (each) => {
      const base = `/v1/products/${this.id}/pictures/${each.sha256}`;
      const name = each.filename || t("(unnamed image)");
      return h(
        "li", { class: "wall-tile" },
        h("button", { class: "tile-button", type: "button", "aria-label": t("Look at {name}", { name }), title: name, onclick: () => void this.look(look, each, version, base) }, thumbnail({ thumbnail_url: `${base}/thumbnail` })),
        h("span", { class: "tile-marks" }, h("span", { class: "tile-mark" }, [`${localized(each.deviations.toFixed(1))} σ`, each.left_out && t("left out"), each.uncounted && t("not counted")].filter(Boolean).join(", "))),
      );
    };
    return h(
      "details", { open: far.length > 0 },
      h("summary", {}, far.length ? t("Strange among the good ones: {pictures}. Look at them, and leave out what is defective", { pictures: plural(far.length, "picture") }) : t("Most unusual training pictures")),
      h("ul", { class: "wall" }, shown.map(tile)),
    );
  }

  async look(place, each, version, base) {
    const name = each.filename || t("(unnamed image)");
    const maps = api.suspect(this.id, version.number, each.sha256);
    try {
      const known = (await api.pictures(this.id, this.signal)).find((picture) => picture.sha256 === each.sha256);
      if (!known) {
        fill(place, notice("info", t("This picture was removed.")));
        return;
      }
      const button = h("button", { class: "button", type: "button", disabled: !may("review") || known.left_out, onclick: () => void this.doing(async () => {
        await api.leaveOut(this.id, [each.sha256], true);
        button.disabled = true;
        announce(t("Left out of the next training: {name}.", { name }));
        await this.after.reloadPictures();
      }) }, t("Leave out of the next training"));
      fill(place, h("div", { class: "stack suspect" }, h("h4", { class: "break" }, name), pictureWithMaps({ ...known, image_url: `${base}/image` }, maps, this.signal), h("div", { class: "row" }, button, h("button", { class: "button", type: "button", onclick: () => fill(place) }, t("Close")))));
    } catch (error) {
      if (!this.signal.aborted) fill(place, notice("error", error.message));
    }
  }

  ask(place, version) {
    const served = this.product.in_service;
    const instead = !served ? t("Nothing is in service now.") : served.version === null ? t("It takes the place of a model that was not trained here, which is kept.") : t("It takes the place of version {number}, which is kept.", { number: served.version });
    this.confirm(place, t("Version {number} will judge all parts of “{name}” from now on. {instead}", { number: version.number, name: this.product.name, instead }), t("Put version {number} into service", { number: version.number }), () => api.release(this.id, version.number, served?.token ?? null));
  }

  askBack(place) {
    this.confirm(place, t("What was in service before this version judges parts again."), t("Roll back"), () => api.rollBack(this.id, this.product.in_service?.token ?? null));
  }

  askRemoval(place, version) {
    this.confirm(place, t("Version {number} and its files are removed for good.", { number: version.number }), t("Remove version {number}", { number: version.number }), () => api.removeVersion(this.id, version.number), t("Version {number} was removed.", { number: version.number }));
  }

  confirm(place, told, word, what, done = t("Done: it is in service.")) {
    const yes = h("button", { class: "button button-primary", type: "button", onclick: async () => {
      yes.disabled = true;
      delete question.dataset.question;
      if (await this.doing(what)) {
        forgetModels();
        forgetPictures();
        fill(this.message, notice("good", done));
        announce(done);
      }
      fill(place);
    } }, word);
    const discard = h("button", { class: "button", type: "button", onclick: () => {
      fill(place);
      this.draw(this.product);
    } }, t("Discard"));
    const question = h("div", { "data-question": true }, notice("info", h("p", {}, told), h("div", { class: "row" }, yes, discard)));
    fill(place, question);
    yes.focus();
  }

  async doing(what) {
    try {
      await what();
      fill(this.message);
      await this.after.refresh();
      return true;
    } catch (error) {
      if (!this.signal.aborted) {
        fill(this.message, notice("error", error.message));
        this.message.scrollIntoView({ block: "center" });
        await this.after.refresh();
        fill(this.message, notice("error", error.message));
      }
      return false;
    }
  }
}

/** What reviews have left to compare versions on, and whether that is enough. */
function testSet({ reviewed_good: good, reviewed_defective: defective }) {
  if (!good && !defective) return t("No part was reviewed yet: put a version into service, inspect parts, and judge some in Review.");
  const found = t("To test with: {good} good and {defective} defective parts, from reviews.", { good: count(good), defective: count(defective) });
  const [more, moreDefective] = [Math.max(0, ENOUGH.good - good), Math.max(0, ENOUGH.defective - defective)];
  if (!more && !moreDefective) return `${found} ${t("That is enough to tell versions apart that differ much.")}`;
  const missing = { good: count(more), defective: count(moreDefective) };
  if (!moreDefective) return `${found} ${t("Enough to tell versions apart that differ much: {good} more good ones.", missing)}`;
  if (!more) return `${found} ${t("Enough to tell versions apart that differ much: {defective} more defective ones.", missing)}`;
  return `${found} ${t("Enough to tell versions apart that differ much: {good} more good and {defective} more defective ones.", missing)}`;
}

/** The threshold in words. */
function promise(calibration) {
  if (!calibration) return t("It has no threshold: too few good pictures for the share that may be rejected.");
  const { false_reject_rate: rate, rate_interval: interval, images } = calibration;
  const said = t("Parts that score above {threshold} are rejected: on average at most {rate} of good parts like these {images}.", { threshold: number(calibration.threshold), rate: percent(rate), images: plural(images, "picture") });
  return interval ? `${said} ${t("With so many pictures the true share is {low} to {high} (95 % interval).", { low: percent(interval[0]), high: percent(interval[1]) })}` : said;
}

function about(version) {
  const { choices } = version;
  return [
    t("learnt from {pictures}", { pictures: plural(version.images, "picture") }),
    t("{preset}, in {time}", { preset: PRESETS[choices.preset], time: duration(version.seconds) }),
    version.turned ? t("parts at any angle") : t("parts aligned"),
    choices.region ? t("a box of {width} × {height} px", { width: choices.region[2], height: choices.region[3] }) : t("whole pictures"),
  ].join("; ");
}
