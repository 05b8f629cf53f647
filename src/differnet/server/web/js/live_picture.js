/** What a camera sees, while somebody looks. */
import { api } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { t } from "./locale.js";

const EVERY = 500;
const AGAIN = 2000;

/** The camera's last frame, again and again, until `signal` ends it, or the controller that is returned. */
export function lookThrough(name, place, signal) {
  const looking = new AbortController();
  signal.addEventListener("abort", () => looking.abort(), { once: true });
  void look(name, place, looking.signal);
  return looking;
}

async function look(name, place, signal) {
  const image = h("img", { class: "collect-frame", alt: t("What camera {name} sees", { name }), hidden: true });
  const trouble = h("div");
  fill(place, image, trouble);
  while (!signal.aborted) {
    let wait = EVERY;
    if (!document.hidden) {
      try {
        const url = URL.createObjectURL(await api.frame(name, signal));
        if (image.src) URL.revokeObjectURL(image.src);
        image.src = url;
        image.hidden = false;
        fill(trouble);
      } catch (error) {
        if (signal.aborted) break;
        image.hidden = true;
        fill(trouble, notice("warning", error.message));
        wait = AGAIN;
      }
    }
    await new Promise((resolve) => { setTimeout(resolve, wait); });
  }
  if (image.src) URL.revokeObjectURL(image.src);
}
