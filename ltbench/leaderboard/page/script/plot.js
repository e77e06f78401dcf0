// Figures are SVG in the page's own colors: they can be saved as they are, and need no library.
// Axes end at the data. A few values far from all others do not squeeze the rest: they are drawn at the edge, and named.
function limits(values, {room = 0.05, least = -Infinity, most = Infinity, far = 3} = {}) {
  const sorted = [...values].sort((a, b) => a - b);
  const quantile = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const reach = far * (quantile(0.75) - quantile(0.25)); // with `far` 0 no value is left out
  const near = sorted.filter((value) => value >= quantile(0.25) - reach && value <= quantile(0.75) + reach);
  const kept = sorted.length >= 8 && reach > 0 && near.length >= 0.85 * sorted.length ? near : sorted;
  const [low, high] = [kept[0], kept[kept.length - 1]];
  const pad = room * (high - low) || Math.abs(room * high) || 1;
  return {min: Math.max(least, low - pad), max: Math.min(most, high + pad)};
}

function ticks(min, max, count) {
  const rough = (max - min) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let value = Math.ceil(min / step - 1e-9) * step; value <= max + step * 1e-9; value += step)
    found.push(Number(value.toPrecision(12)));
  return found;
}

function logTicks(min, max) {
  const found = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power += 1) {
    for (const factor of [1, 2, 5]) {
      const value = factor * 10 ** power;
      if (value >= min * 0.999 && value <= max * 1.001) found.push(value);
    }
  }
  return found;
}

function scaleOf(axis, from, to) {
  const through = axis.log ? Math.log : Number;
  const [low, high] = [through(axis.min), through(axis.max)];
  const at = (value) =>
    from + ((to - from) * (through(Math.min(axis.max, Math.max(axis.min, value))) - low)) / (high - low || 1);
  return {
    at,
    beyond: (value) => value > axis.max || value < axis.min,
    ticks: axis.log
      ? logTicks(axis.min, axis.max)
      : ticks(axis.min, axis.max, Math.max(2, Math.abs(to - from) / (axis.apart || 70))),
  };
}

// The names of series stand above the figure, in as many lines as they need, so that a saved figure holds them.
function legend(svg, series, left, right) {
  let [x, y] = [left, 14];
  for (const {name, mark} of series) {
    const width = 7 * name.length + 24;
    if (x > left && x + width > right) [x, y] = [left, y + 20];
    svg.append(draw('g', {class: mark}, shape(mark, x + 6, y - 4, 5), draw('text', {x: x + 16, y}, name)));
    x += width;
  }
  return series.length ? y + 14 : 10;
}

// Every series has a mark of its own too: colors alone do not do for everybody.
function shape(mark, x, y, size) {
  const series = Number((/s(\d)/.exec(mark) || [])[1] || 0);
  if (series === 2)
    return draw('path', {class: 'mark', d: `M${x},${y - size * 1.2}l${size * 1.1},${size * 2}h${-size * 2.2}z`});
  if (series === 3)
    return draw('rect', {class: 'mark', x: x - size * 0.9, y: y - size * 0.9, width: size * 1.8, height: size * 1.8});
  if (series === 4)
    return draw('path', {
      class: 'mark',
      d: `M${x},${y - size * 1.3}l${size * 1.2},${size * 1.3}l${-size * 1.2},${size * 1.3}l${-size * 1.2},${-size * 1.3}z`,
    });
  if (series === 5)
    return draw('path', {class: 'mark', d: `M${x},${y + size * 1.2}l${size * 1.1},${-size * 2}h${-size * 2.2}z`});
  if (series === 6)
    return draw('path', {
      class: 'mark cross',
      d: `M${x - size},${y - size}l${2 * size},${2 * size}m0,${-2 * size}l${-2 * size},${2 * size}`,
    });
  return draw('circle', {class: 'mark', cx: x, cy: y, r: size});
}

// An empty figure with its axes: `draw` functions of the other files fill it.
function frame(id, {x, y, label, series = [], height = 360, head = 0}) {
  const box = byId(id);
  const width = Math.max(280, Math.floor(box.clientWidth || 600));
  const svg = draw('svg', {viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label, class: 'chart'});
  const [left, right] = [48, width - 14];
  const top = legend(svg, series, left, right) + head;
  const bottom = height - 44;
  const [across, up] = [scaleOf(x, left, right), scaleOf({apart: 48, ...y}, bottom, top)];
  const grid = draw('g', {class: 'grid'});
  for (const value of up.ticks) {
    grid.append(
      draw('line', {x1: left, x2: right, y1: up.at(value), y2: up.at(value)}),
      draw('text', {x: left - 8, y: up.at(value) + 4, 'text-anchor': 'end'}, value.toLocaleString('en')),
    );
  }
  let free = -Infinity;
  for (const value of across.ticks) {
    const text = value.toLocaleString('en');
    grid.append(draw('line', {x1: across.at(value), x2: across.at(value), y1: bottom, y2: bottom + 5, class: 'tick'}));
    if (across.at(value) - 4 * text.length < free) continue;
    free = across.at(value) + 4 * text.length + 6;
    grid.append(draw('text', {x: across.at(value), y: bottom + 19, 'text-anchor': 'middle'}, text));
  }
  grid.append(
    draw('line', {class: 'base', x1: left, x2: right, y1: bottom, y2: bottom}),
    draw('text', {class: 'title', x: (left + right) / 2, y: height - 6, 'text-anchor': 'middle'}, x.title),
    draw('text', {class: 'title', x: -(top + bottom) / 2, y: 13, transform: 'rotate(-90)', 'text-anchor': 'middle'}, y.title),
  );
  svg.append(grid);
  box.replaceChildren(svg);
  return {svg, across, up, left, right, top, bottom, width, height};
}

const path = (points) => points.map(([x, y], place) => `${place ? 'L' : 'M'}${x.toFixed(1)},${y.toFixed(1)}`).join('');

function empty(id, text) {
  byId(id).replaceChildren(make('p', {className: 'nothing'}, text));
}

// The same as a table, for whoever does not see the figure or wants its numbers.
function asTable(id, table) {
  const tools = document.querySelector(`.tools[data-for="${id}"]`);
  const old = tools.querySelector('details');
  const fresh = make(
    'details',
    {open: Boolean(old && old.open)},
    make('summary', {}, 'As a table'),
    make('div', {className: 'wide-table', id: `${id}-table`}, table),
  );
  if (old) old.replaceWith(fresh);
  else tools.prepend(fresh);
}
