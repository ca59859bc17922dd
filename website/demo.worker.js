// All that takes long: loading the networks, reading photos and frames, cutting out, encoding. One message is one job; the page is
// told its steps and its end under the job's number. A photo's faces are in pixels of the photo itself.
"use strict";

const LONGEST = 1600;                            // pixels of the copy that is searched
let site = "", photo = null, follower = null, after = Promise.resolve();    // site: its address
const cancelled = new Set();

// Files of the site as bytes; `tell(share)` from 0 to 1 while they come. A page that was opened from a file may fetch nothing, and
// hands over what vendor/from_disk.js has as text.
async function fetched(names, base, tell = () => {}) {
  if (self.fromDisk) return names.map(name => bytesOf(fromDisk[name]));
  const answers = await Promise.all(names.map(name => fetch(base + name)));
  answers.forEach(({ ok, status }, k) => { if (!ok) throw new Error(`${names[k]}: ${status}`); });
  const total = answers.reduce((sum, { headers }) => sum + Number(headers.get("content-length")), 0);
  let have = 0;
  return Promise.all(answers.map(async ({ body }) => {
    const parts = [];
    for (const reader = body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
      parts.push(value);
      tell(total ? Math.min(1, (have += value.length) / total) : 0);
    }
  }));
}

const decoded = bytes => new TextDecoder().decode(bytes);

// The runtime's module, which may not come from a file either, as a blob of this worker's own; it asks where it lies.
async function moduleFromDisk(base) {
  const [module] = await fetched(["vendor/ort-wasm-simd-threaded.mjs"]);
  return URL.createObjectURL(new Blob([decoded(module).replaceAll("import.meta.url", JSON.stringify(base))], { type: "text/javascript" }));
}

const jobs = {
  // The runtime and both networks; how many threads run them, and what the page has to know of them.
  async load({ base, backend, disk }, tell) {
    [site, self.fromDisk] = [base, disk];
    const [script, wasm] = backend === "webgpu" ? ["ort.webgpu.min.js", "ort-wasm-simd-threaded.jsep.wasm"]
                                                : ["ort.wasm.min.js", "ort-wasm-simd-threaded.wasm"];
    try {
      if (!disk) importScripts(`${base}vendor/${script}`);
    } catch { throw new Error(MISSING); }
    const [settings, runtime, ...nets] = await fetched(["landmarks.json", `vendor/${wasm}`, "landmarks.onnx", "finder.onnx"], base, share => tell({ share }));
    about = JSON.parse(decoded(settings));
    Object.assign(ort.env.wasm, { wasmPaths: self.fromDisk ? { mjs: await moduleFromDisk(base) } : `${base}vendor/`, wasmBinary: runtime.buffer,
      numThreads: self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1 });    // see serve.py
    [net, finder] = [await ort.InferenceSession.create(nets[0], { executionProviders: [backend] }),
                     await ort.InferenceSession.create(nets[1], { executionProviders: [backend] })];
    return { threads: ort.env.wasm.numThreads, about };
  },

  // Milliseconds that one look at a face takes: the median of so many, or as many as three seconds allow, after one that warms up.
  async probe({ frames }) {
    const grey = { values: new Float32Array(200 * 200), width: 200, height: 200 }, times = [];
    for (const first = performance.now(); times.length <= frames && (times.length < 2 || performance.now() - first < 3000);) {
      const start = performance.now();
      await look(grey, { box: [50, 50, 100, 100], roll: 0 }, false);
      times.push(performance.now() - start);
    }
    return times.slice(1).sort((a, b) => a - b)[(times.length - 1) >> 1];
  },

  // A file, a picture of the site by its name, or a bitmap of what only a page can decode: first a copy to be shown, then face by face, then all.
  async photo({ source }, tell, breath) {
    if (typeof source === "string") source = new Blob(await fetched([source], site));
    const whole = source instanceof Blob ? await createImageBitmap(source) : source;   // upright: browsers follow the EXIF orientation
    const { width, height } = whole, factor = Math.min(1, LONGEST / Math.max(width, height));
    const copy = new OffscreenCanvas(...[width, height].map(side => Math.max(2, Math.round(side * factor))));
    const brush = copy.getContext("2d", { willReadFrequently: true });
    brush.imageSmoothingQuality = "high";
    brush.drawImage(whole, 0, 0, copy.width, copy.height);
    const picture = pictureOf(copy), times = [width / copy.width, height / copy.height];
    photo?.whole.close();
    photo = { whole, picture, times };
    tell({ shown: await createImageBitmap(copy), width, height });
    const start = performance.now();
    let rest = await candidates(picture, everywhere(picture), async (k, all) => { tell({ search: k, of: all }); await breath(); });
    let beside = rest.some(isSure), faces = [];
    const answers = [];
    // Again where the surest box of a place is no face: another one there may be right (predict.landmarks_of).
    for (let round = 0; round < about.rounds; round++) {
      const places = surest(rest, beside), held = [];
      for (const [k, place] of places.entries()) {
        tell({ place: k, of: places.length });
        await breath();
        const face = enlarged(await read(picture.grey, place), times);
        if (face.confidence < about.min_confidence) continue;
        held.push(place);
        answers.push(face);
        faces = once(answers);
        tell({ faces });
      }
      beside = held.some(isSure);
      rest = rest.filter(place => !places.includes(place) && !held.some(other => same(place, other)));
    }
    return { faces, ms: performance.now() - start };
  },

  // The next frame of a film; `first` forgets the one before. The frame stays the photo that is saved and zoomed.
  async frame({ bitmap, seconds, first, maps }) {
    if (first || !follower) follower = new Follower();
    const { width, height } = bitmap;
    const copy = photo?.film && photo.picture.width === width && photo.picture.height === height ? photo.picture.canvas : new OffscreenCanvas(width, height);
    copy.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, 0, 0);
    photo?.whole.close();
    photo = { whole: bitmap, picture: pictureOf(copy), times: [1, 1], film: true };
    return follower.next(photo.picture, seconds, maps);
  },

  // Heatmaps of faces that were read, each with its square in pixels of the photo.
  async maps({ faces }, tell, breath) {
    const { picture, times: [across, down] } = photo, found = [];
    for (const face of faces) {
      await breath();
      const { box, roll } = enlarged(face, [1 / across, 1 / down]), { maps } = await look(picture.grey, { box, roll }, false, true);
      found.push({ ...maps, box: enlarged({ box: maps.box, landmarks: [] }, [across, down]).box });
    }
    return found;
  },

  // A part of the photo, so many pixels wide and high.
  async crop({ rect: [x, y, w, h], size: [width, height] }) {
    return createImageBitmap(photo.whole, x, y, w, h, { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
  },

  // The whole photo, drawn, as a PNG.
  async png({ faces, options }) {
    const { width, height } = photo.whole, canvas = new OffscreenCanvas(width, height), brush = canvas.getContext("2d");
    brush.drawImage(photo.whole, 0, 0);
    drawFaces(brush, faces, { ...options, at: [1, 0, 0], unit: Math.max(1, Math.max(width, height) / 800) });
    return canvas.convertToBlob({ type: "image/png" });
  },
};

// Jobs run one after another. Between two steps of one the worker hears of what was cancelled meanwhile.
self.onmessage = ({ data: { id, job, ...rest } }) => {
  if (job === "cancel") return cancelled.add(rest.which);
  const tell = step => postMessage({ id, step }, step.shown ? [step.shown] : []);
  const breath = async () => {
    await new Promise(done => setTimeout(done));
    if (cancelled.has(id)) throw new Error("cancelled");
  };
  after = after.then(async () => {
    try {
      await breath();
      const done = await jobs[job](rest, tell, breath);
      postMessage({ id, done }, done instanceof ImageBitmap ? [done] : []);
    } catch (error) { postMessage({ id, error: error.message }); }
    cancelled.delete(id);
  });
};
