// A name is drawn where it covers no other one, no point and no line; else not at all: the point still says it.
const SPOTS = [
  [10, 4, 'start'],
  [-10, 4, 'end'],
  [0, -11, 'middle'],
  [0, 20, 'middle'],
  [9, -8, 'start'],
  [-9, -8, 'end'],
  [9, 17, 'start'],
  [-9, 17, 'end'],
];

function placeLabels(plot, points, lines) {
  const taken = points.map(({x, y}) => ({left: x - 6, right: x + 6, top: y - 6, bottom: y + 6}));
  const along = lines.flatMap((line) =>
    line.slice(1).flatMap(([x, y], place) => {
      const [fromX, fromY] = line[place];
      const steps = Math.ceil(Math.hypot(x - fromX, y - fromY) / 4);
      return Array.from({length: steps + 1}, (_, step) => [
        fromX + ((x - fromX) * step) / steps,
        fromY + ((y - fromY) * step) / steps,
      ]);
    }),
  );
  for (const point of points.filter((one) => one.label)) {
    const text = short(point.label, 28);
    const width = 6.6 * text.length;
    for (const [dx, dy, anchor] of SPOTS) {
      const start = point.x + dx - (anchor === 'end' ? width : anchor === 'middle' ? width / 2 : 0);
      const box = {left: start - 2, right: start + width + 2, top: point.y + dy - 11, bottom: point.y + dy + 3};
      const inside =
        box.left >= plot.left && box.right <= plot.right + 10 && box.top >= plot.top - 6 && box.bottom <= plot.bottom - 1;
      const clear =
        taken.every(
          (other) => box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom,
        ) && along.every(([x, y]) => x < box.left || x > box.right || y < box.top || y > box.bottom);
      if (!inside || !clear) continue;
      taken.push(box);
      plot.svg.append(
        draw('text', {class: `name ${point.mark || ''}`, x: point.x + dx, y: point.y + dy, 'text-anchor': anchor}, text),
      );
      break;
    }
  }
}
