// Accuracy of each class against its training images, for a few methods.
const MOST_CURVES = 6;
const MARKS = ['circle', 'triangle', 'rect', 'rectRot', 'star', 'cross'];

// To start with, the best over all, over few and over many: they show what is traded.
function contrasting(table) {
  const rows = table.rows.filter((row) => row.curve && complete(table, row));
  const best = (key) => rows.reduce((top, row) => (top === null || (figure(row, key) ?? -1) > (figure(top, key) ?? -1) ? row : top), null);
  const chosen = ['accuracy.all', 'accuracy.few', 'accuracy.many'].map(best).concat(rows.slice(0, 3)).filter(Boolean);
  return [...new Set(chosen)].slice(0, 3).map((row) => table.rows.indexOf(row));
}

// A class has few test images, so that its own accuracy jumps: the line is a mean over neighbors where there are many classes.
const reach = (places) => (places >= 40 ? 4 : 0);

function smooth(points, window) {
  return points.map((point, place) => {
    const near = points.slice(Math.max(0, place - window), place + window + 1);
    const mean = (pick) => near.reduce((sum, other) => sum + pick(other), 0) / near.length;
    return {x: Math.exp(mean((other) => Math.log(other.x))), y: mean((other) => other.y), name: window ? '' : point.name};
  });
}

function drawCurve() {
  const table = current();
  const images = table.images || [];
  const chosen = state.compared.filter((place) => table.rows[place].curve);
  const window = reach(images.length);
  const datasets = chosen.flatMap((place, series) => {
    const row = table.rows[place];
    const points = images.map((x, at) => ({x, y: row.curve[at], name: table.names ? table.names[at] : ''})).filter((point) => point.x > 0 && point.y !== null);
    const ink = color(`series-${series + 1}`);
    const shared = {borderColor: ink, backgroundColor: ink, pointStyle: MARKS[series], method: row.method};
    return [
      {...shared, label: short(row.method), data: smooth(points, window), showLine: true, borderWidth: 2.5, pointRadius: window ? 0 : 4},
      ...(window ? [{...shared, label: short(row.method), data: points, pointRadius: 2, borderWidth: 1, silent: true,
        backgroundColor: `${ink}80`, borderColor: `${ink}80`}] : []),
    ];
  });
  const grouped = images.some((count) => !Number.isInteger(count)) ? ' Neighboring classes share a place.' : '';
  byId('curve-about').textContent = images.length
    ? `Each point is a class${grouped ? ' or group of classes' : ''}: its accuracy, mean over runs.${grouped}`
      + `${window ? ' Lines are means over nine neighboring points.' : ''}`
    : 'No run of this table completed.';
  byId('curve').parentElement.hidden = !images.length;
  draw('curve', `Accuracy of each class against its training images, ${chosen.map((place) => table.rows[place].method).join(', ')}`,
    datasets, {
      x: axis('training images of the class', {type: 'logarithmic', bounds: 'data',
        ticks: {color: color('ink'), callback: sparse, maxRotation: 0}}),
      y: axis('accuracy, %', {min: 0, max: 100}),
    }, {legend: true, plugins: [shots], tooltip: {
      label: ({dataset, raw}) => `${raw.name ? `${raw.name}, ` : ''}${dataset.method}: ${write(raw.y)} % at ${write(raw.x, 0)} images`}});
  tabulateCurve(table, images, chosen);
}

// Ten bins of neighboring places are enough to hear the shape of a curve.
function tabulateCurve(table, images, chosen) {
  const bins = Math.min(10, images.length);
  const body = Array.from({length: bins}, (_, bin) => {
    const [start, end] = [bin, bin + 1].map((edge) => Math.floor(edge * images.length / bins));
    const [most, least] = [write(images[start], 0), write(images[end - 1], 0)];
    const cells = chosen.map((place) => {
      const known = table.rows[place].curve.slice(start, end).filter((value) => value !== null);
      return known.length ? write(known.reduce((sum, value) => sum + value, 0) / known.length) : NOTHING;
    });
    return [most === least ? most : `${most} to ${least}`, ...cells];
  });
  byId('curve-table').replaceChildren(makeTable('Mean accuracy in percent of classes by their training images',
    ['training images', ...chosen.map((place) => table.rows[place].method)], body));
}

function fillCurveMethods() {
  const table = current();
  const boxes = state.shown.filter((place) => table.rows[place].curve).map((place) => {
    const box = make('input', {type: 'checkbox', value: String(place), checked: state.compared.includes(place)});
    return make('label', {}, box, table.rows[place].method);
  });
  byId('curve-methods').replaceChildren(byId('curve-methods').querySelector('legend'), ...boxes);
  limitCurves();
}

// No more methods than there are colors that everybody can tell apart.
function limitCurves() {
  const full = state.compared.length >= MOST_CURVES;
  for (const box of byId('curve-methods').querySelectorAll('input')) box.disabled = full && !box.checked;
}

function chooseCurve(event) {
  const place = Number(event.target.value);
  state.compared = state.compared.filter((other) => other !== place).concat(event.target.checked ? [place] : []);
  limitCurves();
  drawCurve();
}
