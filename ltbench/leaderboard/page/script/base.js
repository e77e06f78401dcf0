// What the other files share. Texts from records are only ever set as text, never as HTML.
const NOTHING = '—';
const SPLITS = ['all', 'many', 'medium', 'few'];
const tables = JSON.parse(document.getElementById('data').textContent);
const state = {table: 0, shown: [], compared: []};

const byId = (id) => document.getElementById(id);
const current = () => tables[state.table];
const figure = (row, key) => (row.values[key] ? row.values[key][0] : null);
const write = (value, decimals = 1) => (value === null || value === undefined ? NOTHING : value.toFixed(decimals));
const short = (text) => (text.length > 30 ? `${text.slice(0, 29)}…` : text);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;

// A mean over the runs that happened to survive is not ranked, and has no part in what ranks.
const ranks = (table) => table.rows.some((row) => row.rank !== null);
const complete = (table, row) => !ranks(table) || row.rank !== null;

function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

// The first column names the row. Numbers stand to the right, texts to the left.
function makeTable(caption, head, body, texts = []) {
  const side = (column) => (column === 0 || texts.includes(column) ? 'text' : '');
  return make('table', {className: 'small'}, make('caption', {}, make('span', {}, caption)),
    make('thead', {}, make('tr', {}, ...head.map((cell, column) => make('th', {scope: 'col', className: side(column)}, cell)))),
    make('tbody', {}, ...body.map((cells) => make('tr', {}, ...cells.map((cell, column) => (column === 0
      ? make('th', {scope: 'row'}, cell) : make('td', {className: side(column)}, cell)))))));
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => make('option', {value, selected: value === chosen}, text)));
  select.disabled = options.length < 2;
}
