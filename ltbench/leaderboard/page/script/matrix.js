// Who wins against whom, over the runs that two rows have in common: same split, same seed.
function compareRuns(a, b, split) {
  const other = new Map(b.runs.map((run) => [`${run[0]} ${run[1]}`, run[2 + split]]));
  const differences = a.runs
    .map((run) => {
      const theirs = other.get(`${run[0]} ${run[1]}`);
      return theirs === undefined || theirs === null || run[2 + split] === null ? null : run[2 + split] - theirs;
    })
    .filter((value) => value !== null);
  if (!differences.length) return null;
  return {
    mean: mean(differences),
    runs: differences.length,
    won: differences.filter((value) => value > 0).length,
    lost: differences.filter((value) => value < 0).length,
  };
}

function matrixCell(row, column, result) {
  if (!result) return make('td', {title: 'no run in common'}, NOTHING);
  const {mean: value, runs, won, lost} = result;
  const sure = runs > 1 && (won === runs || lost === runs);
  const cell = make(
    'td',
    {
      className: sure ? 'sure' : '',
      title:
        `${row.method} against ${column.method}: ${value >= 0 ? '+' : ''}${write(value, 2)} points, ` +
        `won ${won} and lost ${lost} of ${counted(runs, 'run')}`,
    },
    `${value >= 0 ? '+' : '−'}${write(Math.abs(value))}`,
  );
  // Ten points are a full color: matrices of several tables can be compared by eye.
  cell.style.setProperty('--strength', `${Math.round(10 + 60 * Math.min(1, Math.abs(value) / 10))}%`);
  if (value) cell.classList.add(value > 0 ? 'won' : 'lost');
  return cell;
}

// Picked rows come first; as many others of the table follow as fit the screen.
function drawMatrix() {
  const table = current();
  const split = Number(byId('wins-of').value);
  const usable = [...new Set([...state.picked.filter((place) => state.shown.includes(place)), ...state.shown])]
    .map((place) => table.rows[place])
    .filter((row) => row.runs.length && complete(table, row));
  const rows = usable.slice(0, Math.max(narrow.matches ? 4 : 16, narrow.matches ? 0 : state.picked.length));
  byId('wins-about').textContent =
    'Points of accuracy by which the row is above the column, mean over the runs that both have. ' +
    'Bold and underlined: the same sign in every one of at least two runs.' +
    (usable.length > rows.length ? ` The picked rows and the next, ${rows.length} of ${usable.length}.` : '');
  const head = rows.map((row, place) => make('th', {scope: 'col', title: row.method, 'aria-label': row.method}, place + 1));
  const body = rows.map((row, place) =>
    make(
      'tr',
      {},
      make('th', {scope: 'row', title: row.method}, `${place + 1} ${short(row.method, 24)}`),
      ...rows.map((column) =>
        row === column ? make('td', {className: 'self'}) : matrixCell(row, column, compareRuns(row, column, split)),
      ),
    ),
  );
  byId('wins').replaceChildren(
    make(
      'table',
      {className: 'small matrix'},
      make('caption', {className: 'unseen'}, `Differences over ${SPLITS[split]} classes, ${table.heading}`),
      make('thead', {}, make('tr', {}, make('th', {scope: 'col', className: 'text'}, 'row minus column'), ...head)),
      make('tbody', {}, ...body),
    ),
  );
}
