// Two scatters: many against few, and accuracy against cost, each with the rows that no other beats in both.
const COSTS = [
  ['seconds', 'seconds of a run'],
  ['memory', 'peak memory, MiB'],
  ['parameters', 'parameters, millions'],
  ['relative', 'inference, times'],
];

// A point is on the front if no other is at least as good in both and better in one.
function paretoFront(points, lessIsBetter) {
  const sign = lessIsBetter ? 1 : -1;
  const order = [...points].sort((a, b) => sign * (a.x - b.x) || b.y - a.y);
  const front = [];
  for (const point of order) {
    const last = front[front.length - 1];
    if (!last || point.y > last.y || (point.y === last.y && point.x === last.x)) front.push(point);
  }
  return front;
}

function drawScatter(id, {x, y, xTitle, yTitle, decimals, lessIsBetter, label, height}) {
  const table = current();
  const rows = state.shown.map((place) => table.rows[place]);
  const points = rows
    .filter((row) => complete(table, row))
    .map((row) => ({row, x: figure(row, x), y: figure(row, y)}))
    .filter((point) => point.x !== null && point.y !== null);
  const front = ranks(table) ? paretoFront(points, lessIsBetter) : [];
  const left = rows.length - points.length;
  if (!points.length) {
    byId(`${id}-about`).textContent = 'No row has these figures.';
    empty(id, NOTHING);
    return;
  }
  const xs = points.map((point) => point.x);
  const wide = Math.min(...xs) > 0 && Math.max(...xs) > 20 * Math.min(...xs);
  const plot = frame(id, {
    label: `${label} ${counted(front.length, 'row')} on the front.`,
    height,
    x: {
      title: xTitle,
      log: wide,
      ...(wide ? {min: Math.min(...xs) * 0.9, max: Math.max(...xs) * 1.1} : limits(xs, {least: 0})),
    },
    y: {
      title: yTitle,
      ...limits(
        points.map((point) => point.y),
        {least: 0},
      ),
    },
  });
  const beyond = points.filter((point) => plot.across.beyond(point.x) || plot.up.beyond(point.y));
  const spelled = (point) => `${point.row.method} (${write(point.x, decimals)}; ${write(point.y)})`;
  byId(`${id}-about`).textContent =
    `${label} ` +
    (ranks(table)
      ? `On the line are the ${front.length} of ${counted(points.length, 'row')} that no other beats in both.`
      : 'Rows that are not ranked have no front.') +
    (beyond.length
      ? ` At the edge, for they lie far beyond: ${beyond.map(spelled).join(', ')}.`
      : '') +
    (left ? ` ${counted(left, 'row')} without these figures or with a broken run left out.` : '');
  const placed = points.map((point) => {
    const series = state.picked.indexOf(table.rows.indexOf(point.row));
    const onFront = front.includes(point);
    return {
      ...point,
      series,
      onFront,
      x: plot.across.at(point.x),
      y: plot.up.at(point.y),
      label: series >= 0 || onFront || points.length <= 12 ? point.row.method : '',
      mark: series >= 0 ? `s${series + 1}` : '',
      value: point,
    };
  });
  const line = front.map((point) => [plot.across.at(point.x), plot.up.at(point.y)]);
  if (line.length > 1) plot.svg.append(draw('path', {class: 'front', d: path(line)}));
  placed.sort((a, b) => (a.series >= 0) - (b.series >= 0) || a.onFront - b.onFront);
  const errors = [];
  for (const point of placed) {
    if (point.series >= 0) errors.push(...errorBars(plot, point, x, y));
    const mark = shape(point.mark, point.x, point.y, point.series >= 0 ? 7 : 5);
    const text = `${point.row.method}: ${xTitle} ${write(point.value.x, decimals)}, ${yTitle} ${write(point.value.y)}`;
    const group = draw(
      'g',
      {
        class: `point ${point.mark || 'other'}${point.onFront ? ' on-front' : ''}${beyond.includes(point.value) ? ' edge' : ''}`,
        'data-place': table.rows.indexOf(point.row),
      },
      mark,
      draw('title', {}, text),
    );
    plot.svg.append(group);
  }
  placed.reverse();
  placeLabels(plot, placed, [line, ...errors]);
  asTable(
    id,
    makeTable(
      label,
      ['method', xTitle, yTitle, 'on the front'],
      points.map((point) => [point.row.method, write(point.x, decimals), write(point.y), front.includes(point) ? 'yes' : 'no']),
    ),
  );
}

// Of picked rows the intervals too, both ways.
function errorBars(plot, point, x, y) {
  const lines = [];
  const [endsX, endsY] = [endsOf(point.row, x), endsOf(point.row, y)];
  const {across, up} = plot;
  if (endsX) lines.push(endsX.map((end) => [across.at(end), point.y]));
  if (endsY) lines.push(endsY.map((end) => [point.x, up.at(end)]));
  for (const line of lines) plot.svg.append(draw('path', {class: `error ${point.mark}`, d: path(line)}));
  return lines;
}

function drawShots() {
  drawScatter('shots', {
    x: 'accuracy.many',
    y: 'accuracy.few',
    xTitle: 'accuracy over many, %',
    yTitle: 'accuracy over few, %',
    decimals: 1,
    lessIsBetter: false,
    label: 'Accuracy over many-shot against few-shot classes.',
    height: narrow.matches ? 320 : 380,
  });
}

function drawCost() {
  const offered = COSTS.filter(([key]) => current().rows.some((row) => figure(row, key) !== null));
  const cost = offered.find(([key]) => key === byId('cost-of').value) || offered[0] || COSTS[0];
  byId('cost-of').replaceChildren(
    ...offered.map(([value, text]) => make('option', {value, selected: value === cost[0]}, text)),
  );
  drawScatter('cost', {
    x: cost[0],
    y: 'accuracy.all',
    xTitle: cost[1],
    yTitle: 'accuracy over all, %',
    decimals: cost[0] === 'parameters' || cost[0] === 'relative' ? 2 : 0,
    lessIsBetter: true,
    label: `Accuracy over all classes against ${cost[1]}.`,
  });
}
