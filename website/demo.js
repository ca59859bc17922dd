// Landmarks in the browser: find faces, cut out upright squares, run the networks, draw. Geometry as in
// fkp_utils/datasets/crop.py: points are pixels whose centres are integers; a box is turned about its centre by its roll.
"use strict";

const view = document.getElementById("view"), pen = view.getContext("2d", { willReadFrequently: true });
const tell = text => { document.getElementById("status").textContent = text; };
let net, finder, about, camera = null, shown = 0;   // camera: { stream, video }; shown: number of the picture that was asked for last
let result = { name: "", faces: [] };

// ------------------------------------------------------------------ geometry

const turned = ([x, y], roll) => {
  const angle = roll * Math.PI / 180, cos = Math.cos(angle), sin = Math.sin(angle);
  return [cos * x - sin * y, sin * x + cos * y];
};

// How far a face is turned, in degrees: the direction from left to right is the sum over pairs (landmarks.roll).
function rollOf(points) {
  const [left, right] = about.eye_corners, ahead = [points[right][0] - points[left][0], points[right][1] - points[left][1]];
  let x = 0, y = 0;
  about.flip.forEach((partner, k) => {
    const dx = points[partner][0] - points[k][0], dy = points[partner][1] - points[k][1];
    if (dx * ahead[0] + dy * ahead[1] > 0) { x += dx; y += dy; }
  });
  return Math.atan2(y, x) * 180 / Math.PI;
}

const centreOf = ({ box: [x, y, w, h] }) => [x + w / 2 - 0.5, y + h / 2 - 0.5];

function corners(place) {
  const [x, y] = centreOf(place), [, , w, h] = place.box;
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([a, b]) => turned([a * w / 2, b * h / 2], place.roll)).map(([a, b]) => [x + a, y + b]);
}

// The box that a detector would draw around landmarks if the face stood upright (landmarks.upright_boxes).
function boxAround(points) {
  const roll = rollOf(points), upright = points.map(p => turned(p, -roll)), [factor, up] = about.box;
  const xs = upright.map(p => p[0]), ys = upright.map(p => p[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const side = factor * Math.sqrt((right - left) * (bottom - top));
  const [x, y] = turned([(left + right) / 2, (top + bottom) / 2 - up * side], roll);
  return { box: [x + 0.5 - side / 2, y + 0.5 - side / 2, side, side], roll };
}

// ------------------------------------------------------------------ pictures

function greyOf({ data, width, height }) {
  const values = new Float32Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
  return { values, width, height };
}

// The upright square of a face, in [-0.5, 0.5]: each of its pixels is the mean of several places between the picture's.
function cut({ values, width, height }, { box: [left, top, w, h], roll }) {
  const S = about.size, scale = about.margin * Math.max(w, h) / S, many = Math.max(1, Math.ceil(scale));
  const centre = centreOf({ box: [left, top, w, h] }), result = new Float32Array(S * S);
  const [ax, ay] = turned([scale, 0], roll), [bx, by] = turned([0, scale], roll), [cx, cy] = turned([0, about.shift * h], roll);
  for (let v = 0; v < S * many; v++) {
    for (let u = 0; u < S * many; u++) {
      const a = (u + 0.5) / many - S / 2, b = (v + 0.5) / many - S / 2;
      const x = Math.min(Math.max(centre[0] + cx + a * ax + b * bx, 0), width - 1);
      const y = Math.min(Math.max(centre[1] + cy + a * ay + b * by, 0), height - 1);
      const i = Math.min(Math.floor(x), width - 2), j = Math.min(Math.floor(y), height - 2), p = x - i, q = y - j, k = j * width + i;
      result[Math.floor(v / many) * S + Math.floor(u / many)] +=
        (1 - q) * ((1 - p) * values[k] + p * values[k + 1]) + q * ((1 - p) * values[k + width] + p * values[k + width + 1]);
    }
  }
  return result.map(value => value / (many * many * 255) - 0.5);
}

// ------------------------------------------------------------------ networks

// Landmarks moved to the face's right by a share of the distance between the eyes, as the labels lie (augment.moved_aside).
function movedAside(points, share) {
  const [left, right] = about.eye_corners.map(k => points[k]);
  return points.map(([x, y]) => [x + share * (right[0] - left[0]), y + share * (right[1] - left[1])]);
}

// One look at a face and its mirror image: landmarks in the picture, and how well both answers agree (predict.both_ways). Labels
// have a side, see movedAside; the landmarks have none, so that a mirrored picture gets the mirrored landmarks.
// Without the mirror image it takes half the time, and the confidence says nothing.
async function look(grey, place, mirrored = true) {
  const S = about.size, n = about.flip.length, straight = cut(grey, place), both = new Float32Array((mirrored ? 2 : 1) * S * S);
  both.set(straight);
  for (let v = 0; mirrored && v < S; v++) for (let u = 0; u < S; u++) both[S * S + v * S + u] = straight[v * S + S - 1 - u];
  const { data } = (await net.run({ images: new ort.Tensor("float32", both, [mirrored ? 2 : 1, 1, S, S]) })).landmarks;
  const one = about.flip.map((_, k) => [data[2 * k], data[2 * k + 1]]);
  const back = mirrored && about.flip.map(k => [S - 1 - data[2 * (n + k)], data[2 * (n + k) + 1]]);
  const two = mirrored ? movedAside(back, 2 * about.offset) : one;
  const mean = mirrored ? one.map((p, k) => [(p[0] + back[k][0]) / 2, (p[1] + back[k][1]) / 2]) : movedAside(one, -about.offset);
  const [left, right] = about.eye_corners.map(k => mean[k]), eyes = Math.max(Math.hypot(left[0] - right[0], left[1] - right[1]), 1e-6);
  const apart = one.map((p, k) => Math.exp(-about.confidence_decay * Math.hypot(p[0] - two[k][0], p[1] - two[k][1]) / eyes));
  const { box: [, , w, h], roll } = place, [x, y] = centreOf(place), scale = about.margin * Math.max(w, h) / S;
  const landmarks = mean.map(p => {
    const [dx, dy] = turned([(p[0] + 0.5 - S / 2) * scale, (p[1] + 0.5 - S / 2) * scale + about.shift * h], roll);
    return [x + dx, y + dy];
  });
  return { landmarks, confidence: apart.reduce((sum, value) => sum + value, 0) / n };
}

// Where the first look's landmarks ask for another box, a second look follows in that one, upright (predict.landmarks_in_boxes).
async function read(grey, place) {
  const first = await look(grey, place), better = boxAround(first.landmarks), from = corners(place), to = corners(better);
  const moved = from.reduce((sum, [x, y], k) => sum + Math.hypot(x - to[k][0], y - to[k][1]), 0) / 4;
  if (first.confidence < about.min_first_confidence || moved <= about.second_look_shift * better.box[2]) return { ...better, ...first };
  const second = await look(grey, better), near = moved < about.averaged_shift * better.box[2];
  const landmarks = second.landmarks.map(([x, y], k) => !near ? [x, y] : [(x + first.landmarks[k][0]) / 2, (y + first.landmarks[k][1]) / 2]);
  return { ...boxAround(landmarks), landmarks, confidence: second.confidence };
}

// Longer sides at which the picture is searched (detection.search_levels; show() keeps it far below the largest one).
function searchLevels() {
  const { levels, max_enlarged, max_enlargement } = about.finder, longer = Math.max(view.width, view.height);
  let last = levels.find(level => longer <= level && level <= max_enlarged) ?? longer;
  if (last > levels[0]) last = Math.min(last, max_enlargement * longer);
  return [...new Set([levels[0], ...levels.slice(1).filter(level => 2 * level <= last), last])];
}

// The picture at one size: its greys, and how many pixels of the canvas each is wide and high.
function scaled(level) {
  const factor = level / Math.max(view.width, view.height);
  const [w, h] = [view.width, view.height].map(side => Math.max(1, Math.round(side * factor)));
  const small = new OffscreenCanvas(w, h), brush = small.getContext("2d");
  brush.imageSmoothingQuality = "high";
  brush.drawImage(view, 0, 0, w, h);
  return { ...greyOf(brush.getImageData(0, 0, w, h)), scale: [view.width / w, view.height / h] };
}

// Faces in it of at least so many pixels (nets.finder.Faces.faces), when it is seen turned anticlockwise by quarters.
async function search({ values, width: w, height: h, scale }, quarters, smallest) {
  const across = quarters % 2 ? h : w, down = quarters % 2 ? w : h;
  // Where the pixel (i, j) of the turned picture lies in the upright one.
  const upright = (i, j) => [[i, j], [w - 1 - j, i], [w - 1 - i, h - 1 - j], [j, h - 1 - i]][quarters];
  const [W, H] = [across, down].map(side => Math.ceil(side / 64) * 64), input = new Float32Array(W * H);
  for (let j = 0; j < down; j++) {
    for (let i = 0; i < across; i++) {
      const [x, y] = upright(i, j);
      input[j * W + i] = values[y * w + x] / 255 - 0.5;
    }
  }
  const { data, dims: [, , rows, columns] } = (await finder.run({ images: new ort.Tensor("float32", input, [1, 1, H, W]) })).maps;
  const size = rows * columns, { min_confidence, stride, unit } = about.finder, found = [];
  for (let k = 0; k < size; k++) {
    if (data[k] < Math.log(min_confidence / (1 - min_confidence))) continue;
    const i = k % columns, j = Math.floor(k / columns);
    let peak = true;
    for (let y = Math.max(j - 1, 0); y <= Math.min(j + 1, rows - 1); y++) {
      for (let x = Math.max(i - 1, 0); x <= Math.min(i + 1, columns - 1); x++) peak &&= data[y * columns + x] <= data[k];
    }
    const [dx, dy, log, cos, sin] = [1, 2, 3, 4, 5].map(c => data[c * size + k]), seen = unit * 2 ** Math.min(Math.max(log, -3), 6);
    if (!peak || seen < smallest) continue;
    const [x, y] = upright(...[i + dx, j + dy].map(value => (value + 0.5) * stride - 0.5)), side = seen * Math.sqrt(scale[0] * scale[1]);
    const box = [(x + 0.5) * scale[0] - side / 2, (y + 0.5) * scale[1] - side / 2, side, side];
    found.push({ box, roll: Math.atan2(sin, cos) * 180 / Math.PI + 90 * quarters, sure: data[k] });
  }
  return found;
}

function same(a, b) {
  const [[x, y], [u, v]] = [centreOf(a), centreOf(b)];
  return Math.hypot(x - u, y - v) < about.finder.same_face * Math.max(a.box[2], b.box[2]);
}

async function findFaces(levels) {
  const found = [], { min_turned_side, min_coarse_side } = about.finder;
  for (const level of levels) {
    const picture = scaled(level), smallest = level === levels.at(-1) ? 0 : min_coarse_side;
    for (const quarters of level === levels[0] ? [0, 1, 2, 3] : [0]) {
      found.push(...await search(picture, quarters, quarters ? Math.max(smallest, min_turned_side) : smallest));
    }
  }
  const kept = [];
  for (const face of found.sort((a, b) => b.sure - a.sure)) if (!kept.some(other => same(face, other))) kept.push(face);
  return kept.sort((a, b) => b.box[2] - a.box[2]);
}

// Faces at the first `many` sizes, largest first.
async function find(many) {
  const grey = greyOf(pen.getImageData(0, 0, view.width, view.height)), faces = [];
  for (const { box, roll } of await findFaces(searchLevels().slice(0, many))) {
    const face = await read(grey, { box, roll });
    if (face.confidence >= about.min_confidence) faces.push(face);
  }
  return faces;
}

// ------------------------------------------------------------------ the page

function draw({ box, roll, landmarks }) {
  // Wide enough to be seen where the page shows the picture smaller, and not too wide for a small face.
  const size = Math.max(box[2], box[3]), width = Math.max(1, size / 130, Math.min(Math.max(view.width, view.height) / 600, size / 40));
  const path = (points, closed) => {
    pen.beginPath();
    for (const [px, py] of points) pen.lineTo(px + 0.5, py + 0.5);
    if (closed) pen.closePath();
    pen.stroke();
  };
  pen.lineWidth = width;
  pen.lineJoin = "round";
  pen.strokeStyle = about.colours.box;
  path(corners({ box, roll }), true);
  pen.strokeStyle = about.colours.line;
  for (const [index, closed] of about.lines) path(index.map(k => landmarks[k]), closed);
  pen.fillStyle = about.colours.point;
  for (const [px, py] of landmarks) {
    pen.beginPath();
    pen.arc(px + 0.5, py + 0.5, Math.max(1.2, 1.1 * width), 0, 7);
    pen.fill();
  }
}

function show(source, width, height) {
  const factor = Math.min(1, 1600 / Math.max(width, height));
  [view.width, view.height] = [width, height].map(side => Math.max(2, Math.round(side * factor)));
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, 0, 0, view.width, view.height);
}

function finish(name, faces) {
  result = { name, faces };
  window.faces = faces;
  faces.forEach(draw);
  for (const id of ["png", "json"]) document.getElementById(id).disabled = !faces.length;
}

// A file, or the address of a picture. Whatever is asked for meanwhile takes its place.
async function photo(source, name) {
  stopCamera();
  const mine = ++shown, image = new Image(), url = typeof source === "string" ? source : URL.createObjectURL(source);
  try {
    image.src = url;
    await image.decode();
    if (mine !== shown) return;
    show(image, image.naturalWidth, image.naturalHeight);          // upright: browsers follow the EXIF orientation
  } catch {
    if (mine !== shown) return;
    pen.clearRect(0, 0, view.width, view.height);                  // no face of another photo beside this message
    finish(name, []);
    return tell(`${name} is not a picture that this browser can read`);
  } finally {
    if (url !== source) URL.revokeObjectURL(url);
  }
  finish(name, []);
  tell("looking for faces");
  await new Promise(done => setTimeout(done, 20));                 // so that the photo is seen before the work begins
  try {
    const start = performance.now(), faces = await find();
    if (mine !== shown) return;
    finish(name, faces);
    const sure = faces.map(face => face.confidence.toFixed(2)).join(", ");
    tell(faces.length ? `${name}: ${faces.length} face(s) in ${Math.round(performance.now() - start)} ms, confidence ${sure}` : `${name}: no face found`);
  } catch (error) { if (mine === shown) tell(`${name}: the search failed (${error.message})`); }
}

function release({ stream, video }) {
  stream?.getTracks().forEach(track => { track.onended = null; track.stop(); });
  video.pause();
  video.srcObject = null;
}

function stopCamera() {
  if (camera) release(camera);
  filming(null);
}

// The camera, from the click that asks for it, or none: the button says what it does next, and one sees oneself as in a mirror.
function filming(what) {
  const button = document.getElementById("camera");
  camera = what;
  button.textContent = what ? "stop the camera" : "camera";
  button.setAttribute("aria-pressed", String(!!what));
  view.classList.toggle("mirrored", !!what?.stream);
}

async function film() {
  if (camera) {
    if (!camera.stream) tell("the camera was not started");
    return stopCamera();
  }
  const mine = { stream: null, video: document.createElement("video") };
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

async function follow(mine) {
  const { video } = mine, times = [];
  filming(mine);
  let faces = [];
  for (let frame = 0; camera === mine; frame++) {
    const number = ++shown, before = faces;
    show(video, video.videoWidth, video.videoHeight);
    if (!faces.length || frame % 50 === 49) {                      // looked for anew, also for who has come
      faces = await find(frame % 3 ? 1 : undefined);
    } else {                                                       // followed: one look each, where the last frame had them
      const grey = greyOf(pen.getImageData(0, 0, view.width, view.height));
      faces = [];
      for (const face of before) {
        const place = boxAround(face.landmarks), judged = frame % 4 === 0, seen = await look(grey, place, judged);
        const next = { ...boxAround(seen.landmarks), ...seen, confidence: judged ? seen.confidence : face.confidence };
        if (next.confidence >= about.min_confidence && !faces.some(other => same(next, other))) faces.push(next);
      }
      if (faces.length < before.length) faces = await find(1);
    }
    if (number !== shown || (camera && camera !== mine)) break;    // a photo, or another camera, has taken the frame's place
    finish("camera", faces);
    if (!camera) break;
    times.push(performance.now());
    if (times.length > 20) times.shift();
    const rate = times.length > 1 ? 1000 * (times.length - 1) / (times.at(-1) - times[0]) : 0;
    tell(`${faces.length} face(s), ${rate.toFixed(0)} frames a second`);
    await new Promise(requestAnimationFrame);
  }
}

function save(url, kind) {
  const link = document.createElement("a");
  [link.href, link.download] = [url, `${result.name.replace(/\.[^.]*$/, "")}.landmarks.${kind}`];
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);                // of a data: address it does nothing
}

function take(file) {
  if (file) photo(file, file.name || "the picture");
}

async function start() {
  const example = new Image();
  example.src = "example.jpeg";
  await example.decode().then(() => show(example, example.naturalWidth, example.naturalHeight), () => {});
  if (location.protocol === "file:") return;                       // the page's own text says what to do
  tell("loading the networks");
  if (!window.ort) return tell("Libraries are missing: give the command make site once; it fetches them with npm");
  try {
    about = await (await fetch("landmarks.json")).json();
    ort.env.wasm.wasmPaths = new URL("vendor/", location.href).href;
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;   // see serve.py
    [net, finder] = [await ort.InferenceSession.create("landmarks.onnx"), await ort.InferenceSession.create("finder.onnx")];
  } catch (error) { return tell(`the networks cannot be loaded: ${error.message}`); }
  document.getElementById("photo").addEventListener("change", ({ target }) => {
    take(target.files[0]);
    target.value = "";                                             // so that the same file can be chosen again
  });
  document.getElementById("example").addEventListener("click", () => photo("example.jpeg", "the example"));
  document.getElementById("camera").addEventListener("click", film);
  document.getElementById("png").addEventListener("click", () => save(view.toDataURL("image/png"), "png"));
  document.getElementById("json").addEventListener("click", () => {
    const faces = result.faces.map(({ box, roll, landmarks, confidence }) => ({ box, landmarks, confidence, roll }));
    const text = JSON.stringify({ photo: result.name, width: view.width, height: view.height, faces });
    save(URL.createObjectURL(new Blob([text], { type: "application/json" })), "json");
  });
  document.addEventListener("dragover", event => event.preventDefault());
  document.addEventListener("drop", event => { event.preventDefault(); take(event.dataTransfer.files[0]); });
  document.addEventListener("paste", event => take([...event.clipboardData.files].find(file => file.type.startsWith("image/"))));
  for (const id of ["photo", "example", "camera"]) document.getElementById(id).disabled = false;
  document.querySelector(".tools").removeAttribute("title");
  await photo("example.jpeg", "the example");
}

start();
