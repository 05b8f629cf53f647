/** Starts the page: session first, then the view that the address names. */
import { fill, notice } from "./dom.js";
import { startRouter } from "./router.js";
import { openSession } from "./session.js";
import { openDetail } from "./detail.js";
import { openInspect } from "./inspect.js";
import { openLive } from "./live.js";
import { openModels } from "./models.js";
import { openRecalibrate } from "./recalibrate.js";
import { openReview } from "./review.js";

try {
  await openSession();
  await startRouter({
    inspect: { tab: "inspect", title: "Inspect", open: openInspect },
    live: { tab: "live", title: "Live", open: openLive },
    inspection: { tab: "live", title: "Inspection", open: openDetail },
    review: { tab: "review", title: "Review", open: openReview },
    recalibrate: { tab: "review", title: "Recalibrate", open: openRecalibrate },
    models: { tab: "models", title: "Models", open: openModels },
  });
} catch (error) {
  fill(document.getElementById("content"), notice("error", error.message));
}
