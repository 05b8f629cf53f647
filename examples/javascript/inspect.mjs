// Inspect images with a file that `differnet export` wrote: node inspect.mjs MODEL IMAGE... [--threshold T] [--region X,Y,W,H]
import * as ort from "onnxruntime-node";
import sharp from "sharp";

const DECISIONS = ["accept", "review", "reject"];

// By hand: Node's own parser does not take -0.5 for a value.
const options = new Map();
const words = [];
for (let i = 2; i < process.argv.length; i++) {
  const word = process.argv[i];
  if (word === "--threshold" || word === "--region") options.set(word, process.argv[++i] ?? "?");
  else words.push(word);
}
const [model, ...images] = words;
const threshold = options.has("--threshold") ? Number(options.get("--threshold")) : null;
const region = options.has("--region") ? options.get("--region").split(",").map(Number) : null;
const badRegion = region !== null && (region.length !== 4 || !region.every(Number.isInteger));
if (images.length === 0 || Number.isNaN(threshold) || badRegion) {
  console.error("usage: node inspect.mjs MODEL IMAGE... [--threshold T] [--region X,Y,WIDTH,HEIGHT]");
  process.exit(2);
}

// uint8 (height, width, 3), RGB: all that the model wants to know of an image.
async function readImage(path) {
  const image = sharp(path);
  if ((await image.metadata()).depth !== "uchar") throw new Error("has not 8 bits a channel; convert it");
  let pixels = image.rotate().toColourspace("srgb").removeAlpha();
  if (region !== null) {
    const [left, top, width, height] = region;
    // First upright (rotate), then cut: sharp would cut what the file holds.
    const { data, info } = await pixels.raw().toBuffer({ resolveWithObject: true });
    const raw = { width: info.width, height: info.height, channels: info.channels };
    pixels = sharp(data, { raw }).extract({ left, top, width, height });
  }
  const { data, info } = await pixels.raw().toBuffer({ resolveWithObject: true });
  return new ort.Tensor("uint8", new Uint8Array(data), [info.height, info.width, info.channels]);
}

const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
// Without the map, which takes time, where the file gives one.
const outputs = session.outputNames.filter((name) => name !== "map");
for (const path of images) {
  try {
    const found = await session.run({ image: await readImage(path) }, outputs);
    const score = found.score.data[0];
    let decision = found.decision === undefined ? "" : DECISIONS[Number(found.decision.data[0])];
    if (threshold !== null) decision = score > threshold ? "reject" : "accept";
    console.log([score, decision, path].join("\t"));
  } catch (error) {
    console.error(`${path}: ${error.message}`);
    process.exitCode = 1;
  }
}
