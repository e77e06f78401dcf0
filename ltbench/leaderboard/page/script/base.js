// What the other files share. Texts from records are only ever set as text, never as HTML.
const NOTHING = '—';
const SPLITS = ['all', 'many', 'medium', 'few'];
const FEWEST_SEEDS = 3; // of an interval
const MOST_PICKED = 6; // no more rows than there are colors that everybody can tell apart
const tables = JSON.parse(document.getElementById('data').textContent);
const state = {table: 0, shown: [], picked: [], set: '', opened: null, key: '', direction: ''};

const byId = (id) => document.getElementById(id);
const current = () => tables[state.table];
const container = () => results[state.table];
const figure = (row, key) => (row.values[key] ? row.values[key][0] : null);
// The ends of a figure's interval; nothing where it has none.
const endsOf = (row, key) => (row.values[key] && row.values[key][1] !== null ? row.values[key].slice(1) : null);
const write = (value, decimals = 1) => (value === null || value === undefined ? NOTHING : value.toFixed(decimals));
const short = (text, most = 30) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const narrow = matchMedia('(max-width: 48rem)');

// A mean over the runs that happened to survive is not ranked, and has no part in what ranks.
const ranks = (table) => table.rows.some((row) => row.ranked);
const complete = (table, row) => !ranks(table) || row.ranked;

function fitOut(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined) continue;
    if (name in element && !(element instanceof SVGElement)) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}
const make = (tag, properties, ...children) => fitOut(document.createElement(tag), properties, children);
const draw = (tag, properties, ...children) =>
  fitOut(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children);

// The first column names the row. Numbers stand to the right, texts to the left.
function makeTable(caption, head, body, texts = []) {
  const side = (column) => (column === 0 || texts.includes(column) ? 'text' : '');
  return make(
    'table',
    {className: 'small'},
    make('caption', {}, caption),
    make('thead', {}, make('tr', {}, ...head.map((cell, column) => make('th', {scope: 'col', className: side(column)}, cell)))),
    make(
      'tbody',
      {},
      ...body.map((cells) =>
        make(
          'tr',
          {},
          ...cells.map((cell, column) =>
            column === 0 ? make('th', {scope: 'row'}, cell) : make('td', {className: side(column)}, cell),
          ),
        ),
      ),
    ),
  );
}
