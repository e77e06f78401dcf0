// The table: which one is shown, in which order, which of its rows, and which of its columns.
const results = [...document.querySelectorAll('.results')];
const AT_ONCE = 32; // rows, more than a screen holds

function valueOf(row, key) {
  if (key === 'method') return row.method;
  if (key === 'rank' || key === 'count') return row[key];
  return figure(row, key);
}

const firstKey = (table) => (ranks(table) ? 'rank' : '');
const elementsOf = (box) => [...box.querySelectorAll('tbody tr[data-row]')];

// Rows without a figure stay at the end either way round; equal ones keep the order of the ranking.
function sortRows(key, direction) {
  const {rows} = current();
  const sign = direction === 'ascending' ? 1 : -1;
  const order = elementsOf(container()).map((element) => {
    const place = Number(element.dataset.row);
    return {element, place, value: valueOf(rows[place], key)};
  });
  order.sort((a, b) => {
    if (a.value === b.value) return a.place - b.place;
    if (a.value === null) return 1;
    if (b.value === null) return -1;
    return a.value < b.value ? -sign : sign;
  });
  const opened = container().querySelector('tr.opened');
  container()
    .querySelector('tbody')
    .replaceChildren(...order.map((item) => item.element));
  if (opened) container().querySelector(`tr[data-row="${state.opened}"]`).after(opened);
  showInParts(order.map((item) => item.element));
  [state.key, state.direction] = [key, direction];
  for (const head of container().querySelectorAll('th[data-key]')) {
    if (head.dataset.key === key) head.setAttribute('aria-sort', direction);
    else head.removeAttribute('aria-sort');
  }
}

// Laying out hundreds of rows takes longer than a click may: what is below the screen follows once the first rows are drawn.
function showInParts(elements) {
  const later = elements.filter((element) => !element.hidden).slice(AT_ONCE);
  for (const element of elements) element.classList.remove('later');
  for (const element of later) element.classList.add('later');
  requestAnimationFrame(() =>
    setTimeout(() => {
      for (const element of later) element.classList.remove('later');
    }),
  );
}

function sortOnClick(event) {
  const head = event.target.closest('th[data-key]');
  if (!head || !event.target.closest('button')) return;
  const before = head.getAttribute('aria-sort');
  const other = before === 'ascending' ? 'descending' : 'ascending';
  sortRows(head.dataset.key, before ? other : head.dataset.first);
  writeAddress();
}

function filterRows() {
  const words = byId('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const several = byId('several').checked;
  state.shown = [];
  for (const element of elementsOf(container())) {
    const place = Number(element.dataset.row);
    const row = current().rows[place];
    const text =
      `${row.method} ${row.notes} ${row.stages.map((stage) => stage.methods.map((method) => method[1])).join(' ')}`.toLowerCase();
    element.hidden = !words.every((word) => text.includes(word)) || (several && row.count < FEWEST_SEEDS);
    if (!element.hidden) state.shown.push(place);
    else if (place === state.opened) closeRow();
  }
  state.shown.sort((a, b) => a - b);
  const all = current().rows.length;
  byId('shown').textContent =
    state.shown.length === all ? counted(all, 'row') : `${state.shown.length} of ${counted(all, 'row')} shown`;
}

function showColumns(name) {
  const sets = [
    ...new Set(
      current()
        .columns.map((column) => column[3])
        .filter(Boolean),
    ),
  ];
  if (container().querySelector('th.print')) sets.push('print');
  state.set = sets.includes(name) ? name : 'classes';
  container().dataset.set = state.set;
  const labels = {classes: 'Class sizes', trust: 'Calibration, shift', cost: 'Cost', print: 'Against print'};
  byId('sets').replaceChildren(
    ...sets.map((set) => make('button', {type: 'button', 'aria-pressed': String(set === state.set), value: set}, labels[set])),
  );
}

function showTable(number) {
  closeRow();
  state.table = number;
  results.forEach((box, place) => {
    box.hidden = place !== number;
  });
  for (const opening of document.querySelectorAll('.opening')) opening.hidden = Number(opening.dataset.table) !== number;
  byId('terms').value = String(number);
  [state.key, state.direction] = [firstKey(current()), 'ascending'];
  const sorted = container().querySelector('th[aria-sort]');
  if (sorted && sorted.dataset.key !== state.key) sortRows(state.key || 'method', 'ascending');
  equip(container());
  state.picked = startingPicks(current());
  showColumns(state.set);
  filterRows();
}

// One choice leads to every table; where there is one table alone, its terms stand as text.
function fillTerms() {
  const choice = byId('terms-choice');
  if (tables.length < 2) {
    choice.replaceWith(make('p', {className: 'wide'}, make('span', {}, 'Terms'), current().heading));
    choice.hidden = true;
    document.body.append(make('div', {hidden: true}, choice)); // what reads its value finds it
    return;
  }
  const several = new Set(tables.map((table) => table.dataset)).size > 1;
  const groupOf = (table) => `${several ? `${table.dataset}, ` : ''}${table.track} track`;
  byId('terms').replaceChildren(
    ...[...new Set(tables.map(groupOf))].map((label) =>
      make(
        'optgroup',
        {label},
        ...tables
          .filter((table) => groupOf(table) === label)
          .map((table) =>
            make('option', {value: String(tables.indexOf(table))}, `${table.terms} (${counted(table.rows.length, 'row')})`),
          ),
      ),
    ),
  );
}
