// The table: which one is shown, in which order, and which of its rows.
const results = [...document.querySelectorAll('.results')];
const AT_ONCE = 60; // rows, more than a screen holds

function valueOf(row, key) {
  if (key === 'method') return row.method;
  if (key === 'rank' || key === 'count') return row[key];
  return figure(row, key);
}

// Rows without a figure stay at the end either way round; equal ones keep the order of the ranking.
function sortRows(container, key, direction) {
  const {rows} = tables[Number(container.dataset.table)];
  const sign = direction === 'ascending' ? 1 : -1;
  const body = container.querySelector('tbody');
  const order = [...body.rows].map((element) => {
    const place = Number(element.dataset.row);
    return {element, place, value: valueOf(rows[place], key)};
  });
  order.sort((a, b) => {
    if (a.value === b.value) return a.place - b.place;
    if (a.value === null) return 1;
    if (b.value === null) return -1;
    return a.value < b.value ? -sign : sign;
  });
  body.replaceChildren(...order.map((item) => item.element));
  showInParts(container, order.map((item) => item.element));
  for (const head of container.querySelectorAll('th[data-key]')) {
    if (head.dataset.key === key) head.setAttribute('aria-sort', direction);
    else head.removeAttribute('aria-sort');
  }
}

// Laying out hundreds of rows takes longer than a click may: what is below the screen follows once the first rows are drawn.
function showInParts(container, elements) {
  const later = elements.filter((element) => !element.hidden).slice(AT_ONCE);
  for (const element of elements) element.classList.remove('later');
  for (const element of later) element.classList.add('later');
  container.scrollTop = 0;
  requestAnimationFrame(() => setTimeout(() => { for (const element of later) element.classList.remove('later'); }));
}

function sortOnClick(event) {
  const head = event.target.closest('th[data-key]');
  if (!head || !event.target.closest('button')) return;
  const before = head.getAttribute('aria-sort');
  const other = before === 'ascending' ? 'descending' : 'ascending';
  sortRows(event.currentTarget, head.dataset.key, before ? other : head.dataset.first);
}

function filterRows() {
  const words = byId('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const several = byId('several').checked;
  state.shown = [];
  for (const element of results[state.table].querySelectorAll('tbody tr')) {
    const place = Number(element.dataset.row);
    const row = current().rows[place];
    const text = `${row.method} ${row.notes}`.toLowerCase();
    element.hidden = !words.every((word) => text.includes(word)) || (several && row.count < 3);
    if (!element.hidden) state.shown.push(place);
  }
  state.shown.sort((a, b) => a - b);
  byId('shown').textContent = `${state.shown.length} of ${counted(current().rows.length, 'row')} shown`;
}

function showTable(number) {
  state.table = number;
  results.forEach((container, place) => { container.hidden = place !== number; });
  filterRows();
}

// Three switches lead to one table: each offers what those before it leave.
function fillSwitches() {
  const {dataset, track} = current();
  const distinct = (list) => [...new Set(list)].map((text) => [text, text]);
  const ofDataset = tables.filter((table) => table.dataset === dataset);
  fill(byId('dataset'), distinct(tables.map((table) => table.dataset)), dataset);
  fill(byId('track'), distinct(ofDataset.map((table) => table.track)), track);
  fill(byId('terms'), ofDataset.filter((table) => table.track === track)
    .map((table) => [String(tables.indexOf(table)), table.terms]), String(state.table));
}

function tableOfSwitches(changed) {
  const dataset = byId('dataset').value;
  const track = byId('track').value;
  if (changed === 'terms') return Number(byId('terms').value);
  const ofDataset = tables.filter((table) => table.dataset === dataset);
  // A track that the new dataset lacks gives way to one that it has.
  return tables.indexOf(ofDataset.find((table) => table.track === track) || ofDataset[0]);
}
