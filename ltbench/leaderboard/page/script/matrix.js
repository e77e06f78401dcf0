// Who wins against whom, over the runs that two rows have in common: same split, same seed.
const MOST_IN_MATRIX = 20;

function compareRuns(a, b, split) {
  const other = new Map(b.runs.map((run) => [`${run[0]} ${run[1]}`, run[2 + split]]));
  const differences = a.runs.map((run) => {
    const theirs = other.get(`${run[0]} ${run[1]}`);
    return theirs === undefined || theirs === null || run[2 + split] === null ? null : run[2 + split] - theirs;
  }).filter((value) => value !== null);
  if (!differences.length) return null;
  return {mean: differences.reduce((sum, value) => sum + value, 0) / differences.length, runs: differences.length,
    won: differences.filter((value) => value > 0).length, lost: differences.filter((value) => value < 0).length};
}

function matrixCell(row, column, result) {
  if (!result) return make('td', {title: 'no run in common'}, NOTHING);
  const {mean, runs, won, lost} = result;
  const sure = runs > 1 && (won === runs || lost === runs);
  const cell = make('td', {className: sure ? 'sure' : '',
    title: `${row.method} against ${column.method}: ${mean >= 0 ? '+' : ''}${write(mean, 2)} points, won ${won} and lost ${lost} of ${counted(runs, 'run')}`},
  `${mean >= 0 ? '+' : '−'}${write(Math.abs(mean))}`);
  // Ten points are a full color: matrices of several tables can be compared by eye.
  cell.style.setProperty('--strength', `${Math.round(10 + 60 * Math.min(1, Math.abs(mean) / 10))}%`);
  if (mean) cell.classList.add(mean > 0 ? 'won' : 'lost');
  return cell;
}

function drawMatrix() {
  const table = current();
  const split = Number(byId('wins-of').value);
  const usable = state.shown.map((place) => table.rows[place]).filter((row) => row.runs.length && complete(table, row));
  const rows = usable.slice(0, MOST_IN_MATRIX);
  byId('wins-about').textContent = 'Points of accuracy by which the row is above the column, mean over the runs that both have. '
    + 'Bold and underlined: the same sign in every one of at least two runs.'
    + (usable.length > rows.length ? ` The first ${rows.length} of ${usable.length} rows; filter the table to see others.` : '');
  const head = rows.map((row, place) => make('th', {scope: 'col', title: row.method, 'aria-label': row.method}, place + 1));
  const body = rows.map((row, place) => make('tr', {}, make('th', {scope: 'row'}, `${place + 1} ${row.method}`),
    ...rows.map((column) => (row === column ? make('td', {className: 'self'}) : matrixCell(row, column, compareRuns(row, column, split))))));
  byId('wins').replaceChildren(make('table', {className: 'small matrix'},
    make('caption', {}, make('span', {}, `Differences over ${SPLITS[split]} classes, ${table.heading}`)),
    make('thead', {}, make('tr', {}, make('th', {scope: 'col'}, 'row minus column'), ...head)), make('tbody', {}, ...body)));
}
