// What is shown can be taken along: the table as CSV, a figure as SVG or PNG.
const DRAWN = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-opacity',
  'stroke-dasharray',
  'stroke-linejoin',
  'font-size',
  'font-weight',
  'opacity',
];

function save(blob, name) {
  const link = make('a', {href: URL.createObjectURL(blob), download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const fileName = (what, ending) => `${document.body.dataset.board}-${current().name}-${what}.${ending}`;

// A spreadsheet takes a cell that starts with one of these for a formula.
const plain = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
const cellOf = (value) => {
  const text = value === null || value === undefined ? '' : typeof value === 'number' ? String(value) : plain(String(value));
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

// The shown rows in the shown order, with every column whichever set is shown, and all digits that the page has.
function saveTable() {
  const table = current();
  const head = [
    'rank',
    'rank from',
    'rank to',
    'compared',
    'method',
    ...table.columns.flatMap(([, label]) => [label, `${label} from`, `${label} to`]),
    'seeds',
    'notes',
    'command',
  ];
  const lines = elementsOf(container())
    .filter((element) => !element.hidden)
    .map((element) => {
      const row = table.rows[Number(element.dataset.row)];
      const [low, high] = row.ranks || [null, null];
      return [
        row.rank,
        low,
        high,
        row.standing.replace('-', ' '),
        row.method,
        ...table.columns.flatMap(([key]) => [figure(row, key), ...(endsOf(row, key) || [null, null])]),
        row.count,
        row.notes,
        row.command,
      ];
    });
  save(
    new Blob([[head, ...lines].map((cells) => cells.map(cellOf).join(',')).join('\n'), '\n'], {type: 'text/csv'}),
    fileName('table', 'csv'),
  );
}

// A copy that needs no style sheet: every element carries what the page gives it.
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll('*')]);
  from.forEach((element, place) => {
    const style = getComputedStyle(element);
    for (const name of DRAWN) to[place].setAttribute(name, style.getPropertyValue(name));
    to[place].removeAttribute('class');
  });
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('font-family', 'system-ui, sans-serif');
  const ground = getComputedStyle(document.documentElement).getPropertyValue('--card').trim();
  copy.prepend(draw('rect', {width: '100%', height: '100%', fill: ground}));
  return new XMLSerializer().serializeToString(copy);
}

function saveFigure(id, ending) {
  const svg = byId(id).querySelector('svg');
  if (!svg) return;
  const text = standalone(svg);
  if (ending === 'svg') {
    save(new Blob([text], {type: 'image/svg+xml'}), fileName(id, 'svg'));
    return;
  }
  const image = new Image();
  image.addEventListener('load', () => {
    const canvas = make('canvas', {width: 2 * svg.clientWidth, height: 2 * svg.clientHeight});
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(blob, fileName(id, 'png')), 'image/png');
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

function offerFigures() {
  for (const tools of document.querySelectorAll('.tools[data-for]')) {
    for (const ending of ['svg', 'png']) {
      const button = make(
        'button',
        {type: 'button', 'aria-label': `Save the figure as ${ending.toUpperCase()}`},
        ending.toUpperCase(),
      );
      button.addEventListener('click', () => saveFigure(tools.dataset.for, ending));
      tools.append(button);
    }
  }
}
