// Landmarks in the browser: find faces, cut out squares, run the network, draw. Geometry as in fkp_utils/datasets/crop.py:
// points are pixels whose centres are integers.
"use strict";

const view = document.getElementById("view"), pen = view.getContext("2d", { willReadFrequently: true });
const tell = text => { document.getElementById("status").textContent = text; };
const LINES = [[0, 16], [17, 21], [22, 26], [27, 30], [31, 35], [36, 41, true], [42, 47, true], [48, 59, true], [60, 67, true]];
const SEARCH_SIDE = 320;                       // faces are looked for in a picture of this size
let session, crop, camera = null, shown = 0;          // shown: number of the picture on the canvas

function square([left, top, width, height]) {
  const side = crop.margin * Math.max(width, height);
  return [left + width / 2 - side / 2, top + height / 2 + crop.shift * height - side / 2, side];
}

// Resize with anti-aliasing (a triangle filter); pixels beyond the border repeat it.
function weights(start, side, length) {
  const scale = side / crop.size, reach = Math.max(1, scale), taps = [];
  for (let k = 0; k < crop.size; k++) {
    const centre = start + (k + 0.5) * scale, row = [];
    let total = 0;
    for (let i = Math.floor(centre - reach); i <= Math.ceil(centre + reach); i++) {
      const weight = Math.max(0, 1 - Math.abs(i + 0.5 - centre) / reach);
      if (weight) row.push([Math.min(Math.max(i, 0), length - 1), weight]);
      total += weight;
    }
    taps.push(row.map(([i, weight]) => [i, weight / total]));
  }
  return taps;
}

function cut({ data, width, height }, [x, y, side]) {
  const across = weights(x, side, width), down = weights(y, side, height), S = crop.size;
  const grey = i => 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
  const rows = new Map(), result = new Float32Array(S * S);
  const row = j => {
    if (!rows.has(j)) rows.set(j, across.map(taps => taps.reduce((sum, [i, w]) => sum + w * grey(4 * (j * width + i)), 0)));
    return rows.get(j);
  };
  down.forEach((taps, v) => taps.forEach(([j, w]) => row(j).forEach((value, u) => { result[v * S + u] += w * value; })));
  return result.map(value => value / 255 - 0.5);
}

async function landmarks(picture, box) {
  const place = square(box), input = new ort.Tensor("float32", cut(picture, place), [1, 1, crop.size, crop.size]);
  const { data } = (await session.run({ images: input })).landmarks, [x, y, side] = place, points = [];
  for (let k = 0; k < data.length; k += 2) {
    points.push([(data[k] + 0.5) * side / crop.size + x - 0.5, (data[k + 1] + 0.5) * side / crop.size + y - 0.5]);
  }
  return points;
}

// The box a face detector would draw around landmarks (crop.box_around).
function boxAround(points) {
  const xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const side = 1.057 * Math.sqrt((right - left) * (bottom - top));
  return [(left + right) / 2 - side / 2, (top + bottom) / 2 - 0.087 * side - side / 2, side, side];
}

function findFaces(picture) {
  const factor = Math.min(1, SEARCH_SIDE / Math.max(picture.width, picture.height));
  const small = new OffscreenCanvas(Math.round(picture.width * factor), Math.round(picture.height * factor));
  const brush = small.getContext("2d");
  brush.drawImage(view, 0, 0, small.width, small.height);
  const { data } = brush.getImageData(0, 0, small.width, small.height);
  const found = tracking.ViolaJones.detect(data, small.width, small.height, 1, 1.15, 1.5, 0.1, tracking.ViolaJones.classifiers.face);
  const sure = found.filter(face => face.total >= 3);
  return (sure.length ? sure : found.slice(0, 1)).map(f => [f.x, f.y, f.width, f.height].map(value => value / factor));
}

function draw(points) {
  pen.strokeStyle = pen.fillStyle = "#ff4136";
  pen.lineWidth = Math.max(1, view.width / 500);
  for (const [first, last, closed] of LINES) {
    pen.beginPath();
    for (let k = first; k <= last; k++) pen.lineTo(points[k][0] + 0.5, points[k][1] + 0.5);
    if (closed) pen.closePath();
    pen.stroke();
  }
  for (const [x, y] of points) {
    pen.beginPath();
    pen.arc(x + 0.5, y + 0.5, Math.max(1.5, view.width / 300), 0, 7);
    pen.fill();
  }
}

// Two looks at each face: the second with the box that the first one's landmarks ask for.
async function find(boxes) {
  const picture = pen.getImageData(0, 0, view.width, view.height), faces = [];
  for (const box of boxes || findFaces(picture)) faces.push(await landmarks(picture, boxAround(await landmarks(picture, box))));
  return faces;
}

function show(source, width, height) {
  shown += 1;
  const factor = Math.min(1, 1280 / Math.max(width, height));
  [view.width, view.height] = [Math.round(width * factor), Math.round(height * factor)];
  pen.drawImage(source, 0, 0, view.width, view.height);
}

async function photo(url, name) {
  stopCamera();
  const image = new Image();
  image.src = url;
  try { await image.decode(); } catch { return tell(`${name} is not a picture that this browser can read`); }
  show(image, image.naturalWidth, image.naturalHeight);
  tell("looking for faces");
  const start = performance.now(), mine = shown, faces = await find();
  if (mine !== shown) return;                            // another photo has come meanwhile
  faces.forEach(draw);
  window.faces = faces;
  tell(faces.length ? `${faces.length} face(s) in ${Math.round(performance.now() - start)} ms` : `${name}: no face found`);
}

function stopCamera() {
  if (camera) camera.getTracks().forEach(track => track.stop());
  camera = null;
}

async function film() {
  if (camera) return stopCamera();
  try { camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640 } }); } catch (error) { return tell(`no camera: ${error.message}`); }
  const video = document.createElement("video");
  video.srcObject = camera;
  video.muted = true;
  await video.play();
  let boxes = null;
  for (let frame = 0; camera; frame++) {                 // look for faces now and then, follow them in between
    show(video, video.videoWidth, video.videoHeight);
    const mine = shown, faces = await find(frame % 20 && boxes && boxes.length ? boxes : null);
    if (mine !== shown) break;                           // a photo has taken the frame's place
    boxes = faces.map(boxAround);
    window.faces = faces;
    faces.forEach(draw);
    tell(`${faces.length} face(s); press camera again to stop`);
    await new Promise(requestAnimationFrame);
  }
}

async function start() {
  if (location.protocol === "file:") return;               // the page's own text says what to do
  tell("loading the network");
  if (!window.ort || !window.tracking) return tell("Libraries are missing: give the command make site once; it fetches them with npm");
  try {
    crop = await (await fetch("landmarks.json")).json();
    ort.env.wasm.wasmPaths = new URL("vendor/", location.href).href;
    ort.env.wasm.numThreads = 1;
    session = await ort.InferenceSession.create("landmarks.onnx");
  } catch (error) { return tell(`the network cannot be loaded: ${error.message}`); }
  document.getElementById("photo").addEventListener("change", event => {
    const [file] = event.target.files;
    if (file) photo(URL.createObjectURL(file), file.name);
  });
  document.getElementById("example").addEventListener("click", () => photo("example.jpeg", "the example"));
  document.getElementById("camera").addEventListener("click", film);
  tell("ready");
}

start();
