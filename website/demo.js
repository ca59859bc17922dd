// The demo's page: pictures and the camera go to a worker (demo.worker.js), faces come back and are drawn over the picture. All that
// takes long is the worker's, so that the page answers at once. Faces are in pixels of the photo itself, at any size.
"use strict";

const byId = id => document.getElementById(id), base = new URL("./", location.href).href;
const view = byId("view"), pen = view.getContext("2d", { willReadFrequently: true }), stage = byId("stage"), marks = byId("marks");
const tell = text => { byId("status").textContent = text; };
const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
let engine = null, camera = null, shown = 0;     // camera: { stream, video }; shown: number of the picture that was asked for last
let networks = "loading", wanted = location.hash === "#camera" ? film : () => photo("example.jpeg", "the example");   // what comes first
let result = { name: "", width: 1, height: 1, faces: [], maps: [] }, pointed = null, zoomed = null;   // zoomed: { face, rect, bitmap }

// ------------------------------------------------------------------ the worker

const unstarted = why => base.startsWith("file:") ? "this browser starts no worker from a file. Give the command make serve, then open http://localhost:8000/demo.html"
                                                  : why || "the worker cannot be started";

// What the worker runs. Opened from a file, a page may read no other, and its worker may not even run one; but a page may run
// vendor/from_disk.js, which has all of them as text (see demo.py).
async function program() {
  const files = ["faces.js", "marks.js", "demo.worker.js"];
  if (!base.startsWith("file:")) return [`importScripts(${files.map(name => JSON.stringify(base + name))})`];
  if (self.fromDisk?.version !== self.VERSION) await new Promise(done => document.head.append(Object.assign(document.createElement("script"), {
    src: "vendor/from_disk.js", onload: done, onerror: done })));
  if (!self.fromDisk) throw new Error(MISSING);                            // not made yet
  if (fromDisk.version !== self.VERSION) throw new Error(OLD);             // made of other files than those that are here
  return [...files, "vendor/ort.wasm.min.js"].flatMap(name => [bytesOf(fromDisk[name]), "\n"]);
}

// A worker with the networks. It is started from a blob, so that it inherits the page's rule against other machines.
class Engine {
  constructor(backend, code) {
    const url = URL.createObjectURL(new Blob(code, { type: "text/javascript" }));
    Object.assign(this, { backend, asked: new Map(), last: 0 });
    try { this.worker = new Worker(url); } catch (error) { throw new Error(unstarted(error.message)); }
    this.worker.onmessage = ({ data: { id, step, error, done } }) => {
      this.runs = true;
      URL.revokeObjectURL(url);
      const job = this.asked.get(id);
      if (!job) return;
      if (step) return job.onStep(step);
      this.asked.delete(id);
      if (error === undefined) job.resolve(done); else job.reject(new Error(error));
    };
    this.worker.onerror = event => this.stop(this.runs ? event.message || "the worker has ended" : unstarted(event.message));
  }

  // One job (see demo.worker.js); `onStep` hears what it says on the way.
  ask(job, rest = {}, onStep = () => {}, transfer = []) {
    const id = ++this.last, answer = new Promise((resolve, reject) => this.asked.set(id, { resolve, reject, onStep }));
    this.worker.postMessage({ id, job, ...rest }, transfer);
    return answer;
  }

  // Jobs under way end as soon as they hear of it.
  cancel() { for (const which of this.asked.keys()) this.worker.postMessage({ job: "cancel", which }); }

  stop(words = "cancelled") {
    this.worker.terminate();
    for (const { reject } of this.asked.values()) reject(new Error(words));
    this.asked.clear();
  }
}

// The backend that was faster here before, if that is known.
const remembered = {
  get: () => { try { return localStorage.getItem("landmarks.backend"); } catch { return null; } },
  set: backend => { try { localStorage.setItem("landmarks.backend", backend); } catch { /* a browser that keeps nothing */ } },
};

async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return !!adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

// A worker whose networks are loaded: on the GPU where ten looks at a face are faster there than with WebAssembly. What is faster
// is measured once. A GPU that cannot be used, or files for it that are missing, are no error. A page from a file has none for it.
async function loaded(isOver = () => false) {
  const load = async backend => {
    const code = await program();
    if (isOver()) throw new Error("cancelled");                             // before there was a worker to hear of it
    const what = engine = new Engine(backend, code);
    const told = await what.ask("load", { base, backend, disk: self.fromDisk }, ({ share }) => progress(`networks ${Math.round(100 * share)} %`, share));
    about = told.about;
    return Object.assign(what, { threads: told.threads });
  };
  const known = base.startsWith("http") && await hasGpu() ? remembered.get() : "wasm", workers = [];
  for (const backend of known === "webgpu" ? ["webgpu", "wasm"] : known === "wasm" ? ["wasm"] : ["wasm", "webgpu"]) {
    try {
      workers.push(await load(backend));
    } catch (error) {
      engine?.stop();
      if (backend === "webgpu" && error.message !== "cancelled") continue;
      for (const worker of workers) worker.stop();
      throw error;
    }
    if (workers.length && known === "webgpu") break;
  }
  if (workers.length < 2) return workers[0];
  const times = [];
  for (const worker of workers) times.push(await worker.ask("probe", { frames: 10 }).catch(() => Infinity));
  const fastest = workers[times.indexOf(Math.min(...times))];
  for (const worker of workers) if (worker !== fastest) worker.stop();
  remembered.set(fastest.backend);
  return fastest;
}

// What is under way, beside a button that ends it; null: nothing is.
function progress(words, share, end) {
  const bar = byId("progress"), button = byId("cancel");
  if (words) tell(words);
  bar.hidden = button.hidden = !words;
  if (share === undefined) bar.removeAttribute("value"); else bar.value = share;
  button.textContent = "cancel";
  if (end) button.onclick = end;
}

// ------------------------------------------------------------------ the picture

// From pixels of the photo to those of the drawing: [times, right, down].
function placed() {
  const [x, y, w] = zoomed?.rect ?? [0, 0, result.width], times = marks.width / w;
  return [times, -x * times, -y * times];
}

function redraw() {
  const ratio = window.devicePixelRatio, brush = marks.getContext("2d");
  [marks.width, marks.height] = [stage.clientWidth, stage.clientHeight].map(side => Math.max(1, Math.round(side * ratio)));
  if (zoomed?.bitmap) brush.drawImage(zoomed.bitmap, 0, 0, marks.width, marks.height);
  if (about) drawFaces(brush, result.faces, { ...drawing(), at: placed(), unit: ratio, pointed });
}

// What the boxes beside the picture say is to be drawn.
const drawing = () => ({ show: Object.fromEntries([...document.querySelectorAll("#show input")].map(({ name, checked }) => [name, checked])),
  colours: about.colours, maps: result.maps });

// Takes a picture's pixels to the page; its own size may be larger.
function show(source, width, height) {
  [view.width, view.height] = [width, height];
  pen.drawImage(source, 0, 0, width, height);
  stage.style.setProperty("--w", width);
  stage.style.setProperty("--h", height);
}

function finish(picture, faces, maps = []) {
  result = { width: view.width, height: view.height, ...picture, faces, maps };
  window.faces = faces;
  if (faces.length <= (pointed?.face ?? -1)) point(null);
  list();
  redraw();
}

function list() {
  const items = result.faces.map(({ confidence, roll }, k) => `${k + 1}: confidence ${confidence.toFixed(2)}, turned ${Math.round(((roll + 540) % 360) - 180)}°`);
  const place = byId("found"), filmed = !!camera;
  while (place.children.length > items.length) place.lastChild.remove();
  items.forEach((text, k) => {
    const button = place.children[k]?.firstChild ?? place.appendChild(document.createElement("li")).appendChild(document.createElement("button"));
    if (button.textContent !== text) button.textContent = text;
    button.onclick = () => zoom(zoomed?.face === k ? null : k);
    button.disabled = filmed;                                       // a film goes on: there is nothing to zoom to
    button.setAttribute("aria-pressed", String(zoomed?.face === k));
  });
  byId("whole").hidden = !zoomed;
  byId("none").hidden = items.length > 0;
  for (const id of ["png", "json", "csv"]) byId(id).disabled = !items.length || (filmed && id === "png");        // the worker has the next frame
}

// The part of the photo around a face, in the photo's proportions and inside it.
function around({ box }, { width, height }) {
  const [x, y] = centreOf({ box }), [w, h] = [width, height].map(side => side * Math.min(1, 1.7 * Math.max(box[2], box[3]) / Math.min(width, height)));
  return [Math.min(Math.max(x + 0.5 - w / 2, 0), width - w), Math.min(Math.max(y + 0.5 - h / 2, 0), height - h), w, h];
}

// A face enlarged, at once from the copy that is shown and then from the photo itself; null: the whole picture.
async function zoom(face) {
  zoomed = null;
  if (face !== null) {
    const mine = zoomed = { face, rect: around(result.faces[face], result), bitmap: null }, [x, y, w, h] = mine.rect, times = view.width / result.width;
    mine.bitmap = Object.assign(document.createElement("canvas"), { width: view.width, height: view.height });
    mine.bitmap.getContext("2d").drawImage(view, x * times, y * times, w * times, h * times, 0, 0, view.width, view.height);
    const whole = [Math.floor(x), Math.floor(y), Math.ceil(w), Math.ceil(h)];
    mine.rect = whole;
    engine.ask("crop", { rect: whole, size: [marks.width, marks.height] }).then(bitmap => {
      if (zoomed !== mine) return;
      mine.bitmap = bitmap;
      redraw();
    }, () => {});                                                    // the copy's part stays
  }
  list();
  redraw();
}

// The landmark that is marked and named, { face, point }, or none.
function point(what) {
  pointed = what;
  const tip = byId("tip"), face = what && result.faces[what.face];
  tip.hidden = !face;
  if (face) {
    const [x, y] = face.landmarks[what.point], [times, right, down] = placed().map(value => value / window.devicePixelRatio);
    tip.textContent = `${about.names[what.point].replace(/ \d+$/, "")}, landmark ${what.point}: ${x.toFixed(1)}, ${y.toFixed(1)}`;
    const [left, top] = [(x + 0.5) * times + right, (y + 0.5) * times + down];
    tip.style.left = `${Math.max(0, Math.min(left + 12, stage.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${top > tip.offsetHeight + 14 ? top - tip.offsetHeight - 10 : top + 14}px`;
  }
}

// The landmark nearest to a place on the stage, at most 16 pixels away.
function nearest(left, top) {
  const [times, right, down] = placed().map(value => value / window.devicePixelRatio);
  let best = null, least = 16;
  result.faces.forEach(({ landmarks }, face) => landmarks.forEach(([x, y], k) => {
    const apart = Math.hypot((x + 0.5) * times + right - left, (y + 0.5) * times + down - top);
    if (apart < least) [best, least] = [{ face, point: k }, apart];
  }));
  return best;
}

// ------------------------------------------------------------------ photos

// HEIC and HEIF, by their first bytes or their name.
async function isHeic(file) {
  const brand = await file.slice(4, 12).text().catch(() => "");
  return /^ftyp(hei|hev|mif1|msf1)/.test(brand) || /\.hei[cf]$/i.test(file.name ?? "");
}

// What only a page can decode, such as SVG.
async function decoded(file) {
  const image = new Image(), url = URL.createObjectURL(file);
  try {
    image.src = url;
    await image.decode();
    return await createImageBitmap(image);
  } finally { URL.revokeObjectURL(url); }
}

// A file, or the name of one of the site's pictures. Whatever is asked for meanwhile takes its place.
async function photo(source, name) {
  stopCamera();
  engine.cancel();
  const mine = ++shown;
  let picture = null;                                                // the photo's name and size, once it is decoded
  const step = ({ shown: copy, width, height, search, of, place, faces }) => {
    if (mine !== shown) return;
    if (copy) {
      picture = { name, width, height };
      show(copy, copy.width, copy.height);
      copy.close();
      finish(picture, []);
    }
    if (search !== undefined) progress("looking for faces", search / of);
    if (place !== undefined) progress(`reading face ${place + 1} of ${of}`, place / of);
    if (faces) {
      if (faces.length <= result.faces.length) {                     // one was another: they have other numbers now
        point(null);
        zoom(null);
      }
      finish(picture, faces);
    }
  };
  zoom(null);
  finish({ name }, []);
  progress("opening the photo", undefined, () => {
    if (mine === shown) shown++;
    engine.cancel();
    progress(null);
    tell(`${name}: cancelled`);
  });
  try {
    const answer = await engine.ask("photo", { source }, step).catch(async error => {
      if (picture || mine !== shown) throw error;
      const bitmap = await decoded(source);
      return engine.ask("photo", { source: bitmap }, step, [bitmap]);
    });
    if (mine !== shown) return;
    progress(null);
    finish(picture, answer.faces);
    const sure = answer.faces.map(face => face.confidence.toFixed(2)).join(", ");
    tell(answer.faces.length ? `${name}: ${many(answer.faces.length, "face")} in ${Math.round(answer.ms)} ms, confidence ${sure}` : `${name}: no face found`);
    await heat();
  } catch (error) {
    if (mine !== shown) return;
    progress(null);
    if (picture) return tell(`${name}: the search failed (${error.message})`);
    pen.clearRect(0, 0, view.width, view.height);                    // no face of another photo beside this message
    const heic = source instanceof Blob && await isHeic(source);
    tell(heic ? `${name} is a HEIC photo, which this browser cannot read. Save it as a JPEG (iPhone: Settings, Camera, Formats, Most Compatible), `
      + "or read it with python -m fkp_utils.predict" : `${name} is not a picture that this browser can read`);
  }
}

// Heatmaps of the faces that are shown, where they are wanted and not yet there.
async function heat() {
  const mine = shown, { faces, maps } = result;
  if (camera || !drawing().show.heatmaps || !faces.length || (maps.length && maps.every(Boolean))) return;
  const found = await engine.ask("maps", { faces }).catch(() => []);
  if (mine !== shown) return;
  result.maps = found;
  redraw();
}

// ------------------------------------------------------------------ the camera

function release({ stream, video }) {
  stream?.getTracks().forEach(track => { track.onended = null; track.stop(); });
  video.pause();
  video.srcObject = null;
}

function stopCamera() {
  if (camera) release(camera);
  filming(null);
}

// The camera, from the click that asks for it, or none: the button says what it does next.
function filming(what) {
  const button = byId("camera");
  camera = what;
  button.textContent = what ? "stop the camera" : "camera";
  button.setAttribute("aria-pressed", String(!!what));
  list();
}

async function film() {
  if (camera) {
    tell(camera.stream ? "the camera is off" : "the camera was not started");
    return stopCamera();
  }
  engine.cancel();
  progress(null);
  const mine = { stream: null, video: document.createElement("video") };
  shown++;
  zoom(null);
  filming(mine);
  tell("waiting for the camera");
  try {
    if (!navigator.mediaDevices) throw new Error("this browser gives one to https and localhost only");
    mine.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640 } });
    if (camera !== mine) return;                                   // it was stopped while the browser asked
    mine.stream.getVideoTracks()[0].onended = () => {
      stopCamera();
      tell("the camera was switched off");
    };
    mine.video.srcObject = mine.stream;
    mine.video.muted = true;
    await mine.video.play();
    if (camera === mine) await follow(mine);
  } catch (error) {
    if (camera !== mine) return;
    stopCamera();
    tell(`no camera: ${error.message}`);
  } finally { if (camera !== mine) release(mine); }
}

// Frames are mirrored as they are taken: one sees oneself as in a mirror, the last one stays as it was seen, and what is saved is
// what is shown. A frame is shown when its faces are known, while the worker is at the next one. Of a camera that is switched off the
// frame that the worker has is the last.
async function follow(mine) {
  const { video } = mine, times = [], canvases = [0, 1].map(() => document.createElement("canvas"));
  const take = async () => {
    // No more than the screen shows, and nothing of a page that nobody sees.
    if (document.hidden || times.at(-1) - times.at(-2) < 16) await new Promise(requestAnimationFrame);
    const number = ++shown, maps = drawing().show.heatmaps, frame = canvases[number % 2], brush = frame.getContext("2d");
    [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
    brush.setTransform(-1, 0, 0, 1, frame.width, 0);
    brush.drawImage(video, 0, 0);
    const bitmap = await createImageBitmap(frame);
    if (number !== shown) return { number };                            // a photo came meanwhile: the worker is to keep that
    const job = { bitmap, seconds: performance.now() / 1000, first: !times.length, maps };
    return { number, frame, faces: await engine.ask("frame", job, undefined, [bitmap]) };
  };
  for (let next = take(); next;) {
    const { number, frame, faces } = await next;
    if (number !== shown || (camera && camera !== mine)) break;    // a photo, or another camera, has taken the frame's place
    times.push(performance.now());
    next = camera && take();
    show(frame, frame.width, frame.height);
    finish({ name: "camera", mirrored: true }, faces, faces.map(face => face.maps));
    if (!camera) break;
    if (times.length > 20) times.shift();
    const rate = times.length > 1 ? 1000 * (times.length - 1) / (times.at(-1) - times[0]) : 0;
    tell(`${many(faces.length, "face")}, ${rate.toFixed(0)} frames a second`);
  }
}

// ------------------------------------------------------------------ files

const rounded = (value, digits = 2) => Number(value.toFixed(digits));

// As the command line writes them: predict.Face.to_dict, marks.COLUMNS.
function jsonOf({ name, width, height, mirrored, faces }) {
  return JSON.stringify({ photo: name, width, height, ...mirrored && { mirrored }, faces: faces.map(({ box, roll, landmarks, confidence }) => ({
    box: box.map(value => rounded(value)), landmarks: landmarks.map(pair => pair.map(value => rounded(value))),
    confidence: rounded(confidence, 4), roll: rounded(roll) })) });
}

function csvOf({ name, faces }) {
  const photo = /[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
  const rows = faces.flatMap(({ landmarks, confidence }, face) => landmarks.map(([x, y], k) =>
    [photo, face, k, rounded(x), rounded(y), rounded(confidence, 4)].join(",")));
  return ["photo,face,point,x,y,confidence", ...rows, ""].join("\n");
}

function save(blob, kind) {
  const link = document.createElement("a"), url = URL.createObjectURL(blob);
  [link.href, link.download] = [url, `${result.name.replace(/\.[^.]*$/, "")}.landmarks.${kind}`];
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function take(file) {
  if (file) want(() => photo(file, file.name || "the picture"));
}

// A photo or the camera: at once, or when the networks are there. Whoever asks after loading was cancelled, or failed, wants it again.
function want(job) {
  if (networks === "there") return job();
  wanted = job;
  if (networks === "missing") load();
}

// The first page shows this page in place of its picture, and hands over what was chosen there: { photo } or { camera }.
const within = parent !== window && location.search === "?within";
document.documentElement.classList.toggle("within", within);
addEventListener("message", ({ source, data }) => {
  if (!within || source !== parent) return;
  take(data?.photo);
  if (data?.camera && !camera) want(film);
});

function connect() {
  byId("photo").addEventListener("change", ({ target }) => {
    take(target.files[0]);
    target.value = "";                                             // so that the same file can be chosen again
  });
  for (const button of document.querySelectorAll(".sample")) button.addEventListener("click", () => photo(button.dataset.src, button.dataset.name));
  byId("camera").addEventListener("click", film);
  byId("whole").addEventListener("click", () => zoom(null));
  byId("png").addEventListener("click", () => engine.ask("png", { faces: result.faces, options: drawing() }).then(
    blob => save(blob, "png"), error => tell(`the picture cannot be saved: ${error.message}`)));
  byId("json").addEventListener("click", () => save(new Blob([jsonOf(result)], { type: "application/json" }), "json"));
  byId("csv").addEventListener("click", () => save(new Blob([csvOf(result)], { type: "text/csv" }), "csv"));
  byId("show").addEventListener("change", () => { redraw(); heat(); });
  new ResizeObserver(redraw).observe(stage);
  const dragged = on => stage.classList.toggle("dragged", on);
  document.addEventListener("dragover", event => { event.preventDefault(); dragged(true); });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) dragged(false); });
  document.addEventListener("drop", event => { event.preventDefault(); dragged(false); take(event.dataTransfer.files[0]); });
  document.addEventListener("paste", event => take([...event.clipboardData.files].find(file => file.type.startsWith("image/"))));
  stage.addEventListener("pointermove", ({ clientX, clientY }) => {
    const { left, top } = stage.getBoundingClientRect(), found = nearest(clientX - left, clientY - top);
    if (found?.face === pointed?.face && found?.point === pointed?.point) return;
    point(found);
    redraw();
  });
  stage.addEventListener("pointerleave", () => { point(null); redraw(); });
  stage.addEventListener("keydown", event => {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") zoom(null);
    if (!way || !result.faces.length) return;
    event.preventDefault();
    const { face, point: at } = pointed ?? { face: zoomed?.face ?? 0, point: way > 0 ? -1 : 0 }, n = about.names.length;
    point({ face, point: (at + way + n) % n });
    redraw();
  });
}

const WORKING = ["photo", "camera", ...[...document.querySelectorAll(".sample")].map(button => button.id)];

// Loads the networks, then does what is wanted: the example, or the camera where the page's address ends with #camera, if nothing
// else came meanwhile.
async function load() {
  networks = "loading";
  let over = false;
  progress("loading the networks", undefined, () => { over = true; engine?.stop(); });
  try {
    engine = await loaded(() => over);
  } catch (error) {
    networks = "missing";
    progress(null);
    tell(error.message === "cancelled" ? "cancelled: the networks are not loaded" : `the networks cannot be loaded: ${error.message}`);
    const again = byId("cancel");
    [again.hidden, again.textContent, again.onclick] = [false, "load the networks", load];
    return;
  }
  progress(null);
  for (const id of WORKING) byId(id).disabled = false;
  document.querySelector(".tools").removeAttribute("title");
  networks = "there";
  await wanted();
}

// It is there to be seen while the networks load.
async function showExample() {
  const example = new Image();
  example.src = "example.jpeg";
  await example.decode().then(() => show(example, example.naturalWidth, example.naturalHeight), () => {});
}

async function start() {
  connect();
  if (!within) await showExample();
  await load();
}

start();
