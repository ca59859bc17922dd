// What page and worker share: faces drawn on a canvas, and what both do with files. Strokes have the width that is seen, whatever
// the picture's size, and a dark outline, so that they can be told from light and dark skin alike.
"use strict";

const OUTLINE = "rgba(0, 0, 0, .7)";
const MISSING = "Libraries are missing: give the command make site once, or without make python -m fkp_utils.course site; it fetches them";
const OLD = "The demo was made before the last update: give the command make site once, or without make python -m fkp_utils.course site";

// The bytes of a file that vendor/from_disk.js has as text.
const bytesOf = text => Uint8Array.from(atob(text), letter => letter.charCodeAt());

// at: [times, right, down], from pixels of the photo to those of the canvas; unit: pixels of the canvas in one that is seen.
// show: which of points, lines, box, numbers, heatmaps, labels. pointed: { face, point } at the pointer, or null.
function drawFaces(pen, faces, { at: [times, right, down], unit, show, colours, maps = [], pointed = null }) {
  const put = ([x, y]) => [(x + 0.5) * times + right, (y + 0.5) * times + down];
  pen.lineJoin = pen.lineCap = "round";
  faces.forEach((face, k) => { if (show.heatmaps && maps[k]) drawMaps(pen, maps[k], put, times, colours, pointed?.face === k ? pointed.point : null); });
  faces.forEach((face, k) => {
    const side = Math.max(face.box[2], face.box[3]) * times / unit;          // as it is seen
    const width = unit * Math.min(2, Math.max(0.8, side / 110)), radius = unit * Math.min(3, Math.max(1.1, side / 80));
    const stroke = (points, closed, colour) => {
      pen.beginPath();
      points.map(put).forEach(([x, y]) => pen.lineTo(x, y));
      if (closed) pen.closePath();
      for (const [style, wide] of [[OUTLINE, width + 1.6 * unit], [colour, width]]) {
        [pen.strokeStyle, pen.lineWidth] = [style, wide];
        pen.stroke();
      }
    };
    if (show.box) stroke(corners(face), true, colours.box);
    if (show.lines) for (const [index, closed] of about.lines) stroke(index.map(i => face.landmarks[i]), closed, colours.line);
    face.landmarks.forEach((point, i) => {
      const here = pointed?.face === k && pointed.point === i, [x, y] = put(point);
      if (!show.points && !here) return;
      pen.beginPath();
      pen.arc(x, y, here ? 2 * radius : radius, 0, 7);
      [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [colours.point, OUTLINE, 0.9 * unit];
      if (!here || !show.heatmaps) pen.fill();                               // so that its heatmap is seen
      pen.stroke();
    });
    if (show.numbers) {                                                      // those for which there is room; zoom shows more
      const size = unit * Math.min(13, Math.max(9, side / 30)), taken = [];
      face.landmarks.forEach((point, i) => {
        const [x, y] = put(point).map((value, axis) => value + (axis ? -radius : radius + unit)), wide = 0.62 * size * String(i).length;
        if (taken.some(([u, v, other]) => x < u + other && u < x + wide && Math.abs(y - v) < 0.9 * size)) return;
        taken.push([x, y, wide]);
        drawText(pen, String(i), [x, y], size, colours.number);
      });
    }
    const [left, top] = put(centreOf(face));
    if (show.labels && left > 0 && top > 0 && left < pen.canvas.width && top < pen.canvas.height) {
      const [x, y] = corners(face).map(put).reduce((a, b) => b[1] < a[1] ? b : a), size = unit * Math.min(15, Math.max(11, side / 14));
      drawText(pen, `${k + 1}`, [Math.max(2 * unit, x), Math.max(size, y - 4 * unit)], size, colours.box);
    }
  });
}

function drawText(pen, text, [x, y], size, colour) {
  [pen.font, pen.lineWidth, pen.strokeStyle, pen.fillStyle] = [`600 ${size}px system-ui, sans-serif`, size / 4, OUTLINE, colour];
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}

// All heatmaps of a face in one, the highest of each place, or one alone.
function drawMaps(pen, { values, rows, columns, box, roll }, put, times, colours, alone) {
  const size = rows * columns, image = new ImageData(columns, rows), [red, green, blue] = [1, 3, 5].map(i => parseInt(colours.point.slice(i, i + 2), 16));
  const shown = alone === null ? [...Array(values.length / size).keys()] : [alone];
  for (let i = 0; i < size; i++) image.data.set([red, green, blue, 0.9 * Math.max(...shown.map(k => values[k * size + i]))], 4 * i);
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d").putImageData(image, 0, 0);
  const [x, y] = put(centreOf({ box })), [w, h] = [box[2] * times, box[3] * times];
  pen.save();
  pen.translate(x, y);
  pen.rotate(roll * Math.PI / 180);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, -w / 2, -h / 2, w, h);
  pen.restore();
}
