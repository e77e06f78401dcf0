// Two scatters: many against few, and accuracy against cost, each with the rows that no other beats in both.
const COSTS = [['seconds', 'seconds of a run'], ['memory', 'peak memory, MiB']];

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

// Some room on either side, but none below zero, where nothing can be.
function around(values) {
  if (!values.length) return {};
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = 0.08 * (most - least) || 1;
  return {min: Math.max(0, least - room), max: most + room, ticks: {color: color('ink'), maxRotation: 0, includeBounds: false}};
}

function drawScatter(id, {x, y, xTitle, yTitle, decimals, lessIsBetter, label}) {
  const table = current();
  const rows = state.shown.map((place) => table.rows[place]);
  const points = rows.filter((row) => complete(table, row)).map((row) => ({method: row.method, x: figure(row, x), y: figure(row, y)}))
    .filter((point) => point.x !== null && point.y !== null);
  const front = ranks(table) ? paretoFront(points, lessIsBetter) : [];
  const others = points.filter((point) => !front.includes(point));
  const left = rows.length - points.length;
  byId(`${id}-about`).textContent = `${label} `
    + (ranks(table) ? `On the front (triangles) are the rows that no other row beats in both: ${front.length} of ${points.length}.`
      : 'Rows that are not ranked have no front.')
    + (left ? ` ${counted(left, 'row')} without these figures or with a broken run left out.` : '');
  const xs = points.map((point) => point.x);
  const wide = Math.min(...xs) > 0 && Math.max(...xs) > 20 * Math.min(...xs);
  draw(id, `${label} ${front.length} rows on the front.`, [
    {label: 'on the front', data: front, named: true, showLine: true, borderColor: color('series-2'), borderWidth: 1.5,
      backgroundColor: color('series-2'), pointStyle: 'triangle', pointRadius: 7},
    {label: 'others', data: others, named: others.length <= 12, backgroundColor: `${color('series-1')}b0`,
      borderColor: color('series-1'), pointRadius: 5},
  ], {
    x: axis(xTitle, wide ? {type: 'logarithmic'} : around(xs)),
    y: axis(yTitle, around(points.map((point) => point.y))),
  }, {plugins: [names], tooltip: {label: ({raw}) => `${raw.method}: ${xTitle} ${write(raw.x, decimals)}, ${yTitle} ${write(raw.y)}`}});
  byId(`${id}-table`).replaceChildren(makeTable(label, ['method', xTitle, yTitle, 'on the front'],
    points.map((point) => [point.method, write(point.x, decimals), write(point.y), front.includes(point) ? 'yes' : 'no'])));
}

function drawShots() {
  drawScatter('shots', {x: 'accuracy.many', y: 'accuracy.few', xTitle: 'accuracy over many, %', yTitle: 'accuracy over few, %',
    decimals: 1, lessIsBetter: false, label: 'Accuracy over many-shot classes against few-shot classes.'});
}

function drawCost() {
  const offered = COSTS.filter(([key]) => current().rows.some((row) => figure(row, key) !== null));
  const chosen = offered.find(([key]) => key === byId('cost-of').value) || offered[0] || COSTS[0];
  fill(byId('cost-of'), offered, chosen[0]);
  drawScatter('cost', {x: chosen[0], y: 'accuracy.all', xTitle: chosen[1], yTitle: 'accuracy over all, %', decimals: 0,
    lessIsBetter: true, label: `Accuracy over all classes against ${chosen[1]}.`});
}
