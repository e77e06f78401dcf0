// Rows are picked in the table: what is picked has a color there, in the figures and beside their names.
const chosen = () => state.picked.map((place) => current().rows[place]);

// To start with, the best over all, over few and over many: they show what is traded.
function startingPicks(table) {
  const rows = table.rows.filter(
    (row) => row.curve && complete(table, row) && (row.count >= FEWEST_SEEDS || !table.rows.some((other) => other.count >= FEWEST_SEEDS)),
  );
  const best = (key) =>
    rows.reduce((top, row) => (top === null || (figure(row, key) ?? -1) > (figure(top, key) ?? -1) ? row : top), null);
  const found = ['accuracy.all', 'accuracy.few', 'accuracy.many'].map(best).concat(rows.slice(0, 3)).filter(Boolean);
  return [...new Set(found)].slice(0, 3).map((row) => table.rows.indexOf(row));
}

// What a table gets once it is shown for the first time: a mark to pick each row by, and the bar of its interval.
function equip(box) {
  if (box.dataset.equipped) return;
  box.dataset.equipped = 'yes';
  const table = tables[Number(box.dataset.table)];
  const scale = barScale(table);
  box
    .querySelector('thead tr')
    .prepend(make('th', {scope: 'col', className: 'pick'}, make('span', {className: 'unseen'}, 'in the figures')));
  for (const element of elementsOf(box)) {
    const row = table.rows[Number(element.dataset.row)];
    element.prepend(
      make(
        'td',
        {className: 'pick'},
        make('button', {
          type: 'button',
          'aria-pressed': 'false',
          disabled: !row.curve,
          'aria-label': `Show ${row.method} in the figures`,
          title: 'show in the figures',
        }),
      ),
    );
    element.querySelector('td.all').append(bar(row, scale));
  }
}

// Most rows lie close to the best: the lower quarter has a third of the bar. What lies lower, or is very wide, ends at its edge.
function barScale(table) {
  const sorted = (pick) =>
    table.rows
      .filter((row) => figure(row, 'accuracy.all') !== null)
      .map(pick)
      .sort((a, b) => a - b);
  const means = sorted((row) => figure(row, 'accuracy.all'));
  const highs = sorted((row) => (endsOf(row, 'accuracy.all') || [0, figure(row, 'accuracy.all')])[1]);
  const at = (values, share) => values[Math.floor(share * (values.length - 1))] ?? 0;
  const max = Math.max(at(highs, 0.9), at(means, 1));
  const quarter = at(means, 0.25);
  const min = Math.max(Math.min(at(means, 0), quarter - 0.5), quarter - (max - quarter) / 2);
  return (value) => Math.min(84, Math.max(4, 4 + (80 * (value - min)) / (max - min || 1)));
}

function bar(row, at) {
  const [value, ends] = [figure(row, 'accuracy.all'), endsOf(row, 'accuracy.all')];
  const svg = draw('svg', {class: 'bar', viewBox: '0 0 88 14', width: 88, height: 14, 'aria-hidden': 'true'});
  if (value === null) return svg;
  svg.append(draw('line', {class: 'axis', x1: 2, x2: 86, y1: 7, y2: 7}));
  if (ends) svg.append(draw('line', {class: 'half', x1: at(ends[0]), x2: at(ends[1]), y1: 7, y2: 7}));
  svg.append(draw('circle', {class: ends ? 'mean' : 'mean alone', cx: at(value), cy: 7, r: 3.5}));
  return svg;
}

function pick(place) {
  if (state.picked.includes(place)) state.picked = state.picked.filter((other) => other !== place);
  else if (state.picked.length < MOST_PICKED) state.picked = [...state.picked, place];
  else return;
  paintPicks();
  drawPicked();
  writeAddress();
}

function paintPicks() {
  for (const element of elementsOf(container())) {
    const series = state.picked.indexOf(Number(element.dataset.row));
    const button = element.querySelector('td.pick button');
    button.setAttribute('aria-pressed', String(series >= 0));
    button.className = series >= 0 ? `s${series + 1}` : '';
  }
  byId('picked').replaceChildren(
    ...state.picked.map((place, series) => {
      const chip = make(
        'button',
        {type: 'button', className: `chip s${series + 1}`, title: 'take out of the figures'},
        current().rows[place].method,
        make('span', {'aria-hidden': 'true'}, ' ×'),
      );
      chip.addEventListener('click', () => pick(place));
      return chip;
    }),
  );
}
