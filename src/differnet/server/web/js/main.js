/** Starts the page: session first, then the view that the address names. */
import { fill, notice } from "./dom.js";
import { t, translatePage } from "./locale.js";
import { startRouter } from "./router.js";
import { openSession } from "./session.js";
import { openDetail } from "./detail.js";
import { openInspect } from "./inspect.js";
import { openLive } from "./live.js";
import { openModels } from "./models.js";
import { openComparison } from "./comparison.js";
import { openProduct } from "./product.js";
import { openProducts } from "./products.js";
import { openRecalibrate } from "./recalibrate.js";
import { openReview } from "./review.js";

translatePage();

try {
  await openSession();
  await startRouter({
    inspect: { tab: "inspect", title: t("Inspect"), open: openInspect },
    live: { tab: "live", title: t("Live"), open: openLive },
    inspection: { tab: "live", title: t("Inspection"), open: openDetail },
    review: { tab: "review", title: t("Review"), open: openReview },
    recalibrate: { tab: "review", title: t("Recalibrate"), open: openRecalibrate },
    products: { tab: "products", title: t("Products"), open: openProducts },
    product: { tab: "products", title: t("Product"), open: openProduct },
    comparison: { tab: "products", title: t("Comparison"), open: openComparison },
    models: { tab: "models", title: t("Models"), open: openModels },
  });
} catch (error) {
  fill(document.getElementById("content"), notice("error", error.message));
}
