// The address keeps what is shown, so that a link brings another person to the same table, filter, row, order and figures.
const KEPT = {table: '', find: '', only: '', columns: '', sort: '', row: '', rows: ''};

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.keys(KEPT).map((name) => [name, found.get(name) || '']));
}

function writeAddress() {
  const table = current();
  const started = startingPicks(table);
  const kept = {
    table: state.table ? table.name : '',
    find: byId('filter').value.trim(),
    only: byId('several').checked ? 'interval' : '',
    columns: state.set === 'classes' ? '' : state.set,
    sort:
      state.key && !(state.key === firstKey(table) && state.direction === 'ascending')
        ? `${state.key}${state.direction === 'descending' ? '-' : ''}`
        : '',
    row: state.opened === null ? '' : table.rows[state.opened].method,
    rows: String(state.picked) === String(started) ? '' : state.picked.map((place) => table.rows[place].method).join('|'),
  };
  const words = new URLSearchParams(Object.entries(kept).filter(([, value]) => value));
  // A comma and a slash are plain in a fragment, and method names are full of them.
  const text = String(words).replaceAll('%2F', '/').replaceAll('%2C', ',').replaceAll('%28', '(').replaceAll('%29', ')');
  if (text !== location.hash.slice(1)) history.replaceState(null, '', text ? `#${text}` : location.pathname + location.search);
}

function followAddress() {
  const asked = readAddress();
  const place = tables.findIndex((table) => table.name === asked.table);
  byId('filter').value = asked.find;
  byId('several').checked = asked.only === 'interval';
  state.set = asked.columns;
  showTable(Math.max(0, place));
  const table = current();
  const named = (method) => table.rows.findIndex((row) => row.method === method);
  if (asked.rows)
    state.picked = asked.rows
      .split('|')
      .map(named)
      .filter((row) => row >= 0)
      .slice(0, MOST_PICKED);
  const key = asked.sort.replace(/-$/, '');
  if (key && container().querySelector(`th[data-key="${CSS.escape(key)}"]`))
    sortRows(key, asked.sort.endsWith('-') ? 'descending' : 'ascending');
  if (asked.row && named(asked.row) >= 0) openRow(named(asked.row), true);
  paintPicks();
}
