// Faces in a picture: find them, cut out upright squares, run the networks, follow them through a film. Page and worker load this
// file; nothing in it touches a page. Geometry as in fkp_utils/datasets/crop.py: points are pixels whose centres are integers; a
// box is turned about its centre by its roll.
"use strict";

let net, finder, about;                 // the landmark net, the finder, and landmarks.json: set by who runs them

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

// The same face in a picture that is so many times as wide and as high.
function enlarged({ box: [x, y, w, h], landmarks, ...rest }, [across, down]) {
  return { box: [x * across, y * down, w * across, h * down],
    landmarks: landmarks.map(([px, py]) => [(px + 0.5) * across - 0.5, (py + 0.5) * down - 0.5]), ...rest };
}

// ------------------------------------------------------------------ pictures

// A canvas with its greys.
function pictureOf(canvas) {
  const { width, height } = canvas;
  return { canvas, width, height, grey: greyOf(canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, width, height)) };
}

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
// Without the mirror image it takes half the time, and the confidence says nothing. `maps`: with the heatmaps of the straight look.
async function look(grey, place, mirrored = true, maps = false) {
  const S = about.size, n = about.flip.length, straight = cut(grey, place), both = new Float32Array((mirrored ? 2 : 1) * S * S);
  both.set(straight);
  for (let v = 0; mirrored && v < S; v++) for (let u = 0; u < S; u++) both[S * S + v * S + u] = straight[v * S + S - 1 - u];
  const output = await net.run({ images: new ort.Tensor("float32", both, [mirrored ? 2 : 1, 1, S, S]) }, maps ? ["landmarks", "heatmaps"] : ["landmarks"]);
  const { data } = output.landmarks;
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
  const confidence = apart.reduce((sum, value) => sum + value, 0) / n;
  return maps ? { landmarks, confidence, maps: seen(output.heatmaps, place) } : { landmarks, confidence };
}

// The first n heatmaps, each from 0 to 255 at its peak, and the square of the picture that they cover.
function seen({ data, dims: [, n, rows, columns] }, { box, roll }) {
  const size = rows * columns, values = new Uint8Array(n * size), side = about.margin * Math.max(box[2], box[3]);
  for (let k = 0; k < n; k++) {
    const map = data.subarray(k * size, (k + 1) * size), peak = Math.max(map.reduce((a, b) => Math.max(a, b), 0), 1e-12);
    for (let i = 0; i < size; i++) values[k * size + i] = 255 * map[i] / peak;
  }
  const [x, y] = centreOf({ box }), [dx, dy] = turned([0, about.shift * box[3]], roll);
  return { values, rows, columns, box: [x + dx + 0.5 - side / 2, y + dy + 0.5 - side / 2, side, side], roll };
}

// Where the first look's landmarks ask for another box, a second look follows in that one, upright, and a third one where the
// second is unsure, or the box that is then implied is off again (predict.landmarks_in_boxes).
async function read(grey, place) {
  let face = await look(grey, place);
  for (let times = 1; ; times++) {
    const better = boxAround(face.landmarks), from = corners(place), to = corners(better);
    const moved = from.reduce((sum, [x, y], k) => sum + Math.hypot(x - to[k][0], y - to[k][1]), 0) / 4;
    const [wide, high] = [0, 1].map(axis => face.landmarks.map(p => p[axis])).map(all => Math.max(...all) - Math.min(...all));
    const least = times === 2 && face.confidence < about.min_confidence ? 0 : about.second_look_shift;
    const further = wide > 1 && high > 1 && moved > least * better.box[2];                // a point or a line implies no box
    if (times === 3 || !further || face.confidence < about.min_first_confidence) return { ...better, ...face };
    const near = times === 1 && moved < about.averaged_shift * better.box[2], before = face.landmarks, next = await look(grey, better);
    const landmarks = next.landmarks.map(([x, y], k) => !near ? [x, y] : [(x + before[k][0]) / 2, (y + before[k][1]) / 2]);
    [face, place] = [{ landmarks, confidence: next.confidence }, better];
  }
}

// Longer sides at which a picture is searched (detection.search_levels; stills are kept far below the largest one).
function searchLevels(width, height) {
  const { levels, max_enlarged, max_enlargement } = about.finder, longer = Math.max(width, height);
  let last = levels.find(level => longer <= level && level <= max_enlarged) ?? longer;
  if (last > levels[0]) last = Math.min(last, max_enlargement * longer);
  return [...new Set([levels[0], ...levels.slice(1).filter(level => 2 * level <= last), last])];
}

// The picture at one size: its greys, and how many pixels of the picture each is wide and high.
function scaled({ canvas, width, height }, level) {
  const factor = level / Math.max(width, height);
  const [w, h] = [width, height].map(side => Math.max(1, Math.round(side * factor)));
  const small = new OffscreenCanvas(w, h), brush = small.getContext("2d", { willReadFrequently: true });
  brush.imageSmoothingQuality = "high";
  brush.drawImage(canvas, 0, 0, w, h);
  return { ...greyOf(brush.getImageData(0, 0, w, h)), scale: [width / w, height / h] };
}

const logit = confidence => Math.log(confidence / (1 - confidence));

// Faces in it of at least so many pixels (nets.peaks), when it is seen turned anticlockwise by quarters.
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
  const size = rows * columns, { least, stride, unit } = about.finder, found = [];
  for (let k = 0; k < size; k++) {
    if (data[k] < logit(least)) continue;
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

// Those that are no surer one, the surest first; `sure` says how sure one is (nets.peaks.distinct).
function distinct(faces, sure) {
  const kept = [];
  for (const face of [...faces].sort((a, b) => sure(b) - sure(a))) if (!kept.some(other => same(face, other))) kept.push(face);
  return kept;
}

// The same in the order of the faces: two places may end at one face.
function once(faces) {
  const kept = distinct(faces, face => face.confidence);
  return faces.filter(face => kept.includes(face));
}

// What is searched for all faces of a still: [level, quarters] each.
function everywhere({ width, height }) {
  const levels = searchLevels(width, height);
  return levels.flatMap(level => (level === levels[0] ? [0, 1, 2, 3] : [0]).map(quarters => [level, quarters]));
}

// Boxes of faces, several of a place, as the searches find them. `step` is awaited before each search, and may throw to end it.
async function candidates(picture, searches, step = () => {}) {
  const found = [], { min_turned_side, min_coarse_side } = about.finder, finest = Math.max(...searches.map(([level]) => level));
  let small, at;
  for (const [k, [level, quarters]] of searches.entries()) {
    // None is looked for turned beside one that is sure and nearly upright.
    if (quarters && found.some(face => isSure(face) && Math.abs(face.roll) <= about.finder.upright)) continue;
    await step(k, searches.length);
    if (level !== at) [small, at] = [scaled(picture, level), level];
    const smallest = level === finest ? 0 : min_coarse_side;
    found.push(...await search(small, quarters, quarters ? Math.max(smallest, min_turned_side) : smallest));
  }
  return found;
}

const isSure = ({ sure }) => sure >= logit(about.finder.sure);

// The surest box of each place, largest first; `beside` one that is sure, others must be surer.
function surest(boxes, beside) {
  const least = beside ? logit(about.finder.beside_sure) : -Infinity;
  return distinct(boxes, face => face.sure).filter(face => face.sure >= least).sort((a, b) => b.box[2] - a.box[2]);
}

async function findFaces(picture, searches) {
  const boxes = await candidates(picture, searches);
  return surest(boxes, boxes.some(isSure));
}

// ------------------------------------------------------------------ films

// The One-Euro filter (Casiez, Roussel and Vogel, "1 Euro filter", CHI 2012): a low pass whose cutoff frequency rises with the
// speed, so that what rests is steady and what moves does not lag. Speeds are in `unit`s a second: a face's width, at any size.
class OneEuro {
  constructor(minCutoff, beta, speedCutoff = 1) { Object.assign(this, { minCutoff, beta, speedCutoff, at: null }); }

  next(values, seconds, unit = 1) {
    const apart = seconds - this.at, share = cutoff => 1 / (1 + 1 / (2 * Math.PI * cutoff * apart));
    if (this.at === null || apart <= 0) {
      if (this.at === null) Object.assign(this, { at: seconds, values: [...values], speeds: values.map(() => 0) });
      return [...this.values];
    }
    this.speeds = values.map((value, k) => {
      const speed = (value - this.values[k]) / unit / apart, weight = share(this.speedCutoff);
      return weight * speed + (1 - weight) * this.speeds[k];
    });
    this.values = values.map((value, k) => {
      const weight = share(this.minCutoff + this.beta * Math.abs(this.speeds[k]));
      return weight * value + (1 - weight) * this.values[k];
    });
    this.at = seconds;
    return [...this.values];
  }
}

// The faces of a film, frame by frame. Each is looked at where the frame before had it; new ones are searched for in turns, a
// part of the searches each frame, and where the finder is unsure and no face was read, none is read in the next frames: so that a
// film without a face is nearly as quick as one with a face.
class Follower {
  constructor() { Object.assign(this, { faces: [], frame: 0, rejected: [] }); }        // rejected: places, each until a frame

  // Searches of this frame. Upright faces are looked for in each, turned ones and small ones in some.
  searches({ width, height }) {
    const levels = searchLevels(width, height), k = this.frame;
    if (this.faces.length) return k % 25 === 24 ? [[levels[0], 0]] : [];
    return [[levels[0], 0], ...k % 2 ? [[levels[0], 1 + (k >> 1) % 3]] : [], ...k % 8 === 4 && levels.length > 1 ? [[levels.at(-1), 0]] : []];
  }

  // Faces of the next frame, steadied; `seconds`: when it was taken.
  async next(picture, seconds, maps = false) {
    const judged = this.frame % 4 === 0, searches = this.searches(picture), now = [];
    for (const face of this.faces) {
      const answer = await look(picture.grey, boxAround(face.landmarks), judged, maps);
      const confidence = judged ? answer.confidence : face.confidence, next = { ...boxAround(answer.landmarks), ...answer, confidence, filter: face.filter };
      if (confidence >= about.min_confidence && !now.some(other => same(next, other))) now.push(next);
    }
    this.rejected = this.rejected.filter(({ until }) => until > this.frame);
    const alike = (a, b) => same(a, b) && Math.abs((a.roll - b.roll + 900) % 360 - 180) < about.finder.upright;
    for (const place of searches.length ? await findFaces(picture, searches) : []) {
      if (now.some(other => same(place, other))) continue;
      if (place.sure < logit(about.finder.sure) && this.rejected.some(other => alike(place, other))) continue;
      const face = await read(picture.grey, place);
      if (face.confidence < about.min_confidence) this.rejected.push({ ...place, until: this.frame + 10 });
      else if (!now.some(other => same(face, other))) now.push({ ...face, filter: new OneEuro(1, 5) });
    }
    [this.faces, this.frame] = [now, this.frame + 1];
    return now.map(({ filter, ...face }) => steadied(face, filter, seconds));
  }
}

// A face with steady landmarks; its box is the one around them, and so as steady as they are.
function steadied(face, filter, seconds) {
  const flat = filter.next(face.landmarks.flat(), seconds, face.box[2]), landmarks = face.landmarks.map((_, k) => [flat[2 * k], flat[2 * k + 1]]);
  return { ...face, ...boxAround(landmarks), landmarks };
}
