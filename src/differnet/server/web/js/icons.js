/** Symbols, drawn inline. Decisions differ by shape, so that none is told by colour alone. */
import { s } from "./dom.js";

const PATHS = {
  accept: ["M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z", "m7.8 12.3 2.9 2.9 5.6-6"],
  review: ["M12 3.2 21.2 20H2.8L12 3.2Z", "M12 9.6v4.6", "M12 17v.2"],
  reject: ["M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3L8.3 3Z", "m9 9 6 6m0-6-6 6"],
  none: ["M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z", "M8 12h8"],
  failed: ["M6 3h8l5 5v13H6z", "M12.5 11v4", "M12.5 18v.2"],
  good: ["m5 12.5 4.5 4.5L19 7"],
  defective: ["m6 6 12 12M18 6 6 18"],
  unsure: ["M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.1-1.5 2.3", "M12 18v.2"],
  undo: ["M9 14 4 9l5-5", "M4 9h10a6 6 0 0 1 0 12h-3"],
  left: ["m14 6-6 6 6 6"],
  right: ["m10 6 6 6-6 6"],
  pause: ["M8 5v14M16 5v14"],
  play: ["M7 4.5v15l12-7.5-12-7.5Z"],
  upload: ["M12 15V4m0 0L8 8m4-4 4 4", "M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3"],
  frame: ["M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4"],
  zoom: ["M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Z", "m15.5 15.5 5 5", "M10.5 8v5M8 10.5h5"],
};

/** A symbol of 24 by 24; hidden from screen readers, for words stand beside it. */
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", class: "symbol", "aria-hidden": "true" }, (PATHS[name] ?? PATHS.none).map((d) => s("path", { d })));
}
