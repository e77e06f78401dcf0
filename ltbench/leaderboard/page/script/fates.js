// Where test images of large, medium and small classes end: right, or taken for a class of which size.
const FATES = [
  ['right', 'right'],
  ['many', 'another class of many images'],
  ['medium', 'another of medium'],
  ['few', 'another of few'],
];

function drawFates() {
  const rows = chosen().filter((row) => row.fates);
  byId('fates-about').textContent =
    'Of the test images of each group of classes: how many are predicted right, and of which group the class is that ' +
    'wrong ones are taken for. ' +
    'Percent, mean over classes and runs.';
  if (!rows.length) {
    empty('fates', 'No picked row has predictions to draw this from.');
    return;
  }
  const box = byId('fates');
  const width = Math.max(280, Math.floor(box.clientWidth || 600));
  const groups = SPLITS.slice(1).filter((name) => rows.some((row) => row.fates[name]));
  const names = narrow.matches ? 0 : 150;
  const [left, line, head] = [names + 8, 22, 30];
  const between = names ? 14 : 14 + 16;
  const svg = draw('svg', {
    class: 'chart stacked',
    role: 'img',
    'aria-label': `Where test images end, ${rows.map((row) => row.method).join(', ')}`,
  });
  let [x, y] = [8, 14];
  for (const [kind, text] of FATES) {
    if (x > 8 && x + 7 * text.length + 26 > width) [x, y] = [8, y + 20];
    svg.append(
      draw('rect', {class: `fate ${kind}`, x, y: y - 10, width: 12, height: 12, rx: 2}),
      draw('text', {x: x + 18, y}, text),
    );
    x += 6.6 * text.length + 40;
  }
  y += 16;
  for (const group of groups) {
    svg.append(draw('text', {class: 'group', x: 8, y: y + 16}, `${group} classes`));
    y += head - 4;
    rows.forEach((row) => {
      const found = row.fates[group];
      const mark = `s${chosen().indexOf(row) + 1}`;
      svg.append(
        draw('g', {class: mark}, shape(mark, 14, y + (names ? 9 : 6), 5)),
        draw('text', {x: 26, y: y + (names ? 13 : 10)}, short(row.method, names ? 19 : 40)),
      );
      if (found)
        stacked(svg, found, left, width - 12, y + (names ? 0 : between - 14), line - 4, `${row.method}, ${group} classes`);
      y += names ? line : line + between - 8;
    });
    y += 8;
  }
  svg.setAttribute('viewBox', `0 0 ${width} ${y}`);
  svg.setAttribute('width', width);
  svg.setAttribute('height', y);
  box.replaceChildren(svg);
  asTable(
    'fates',
    makeTable(
      'Test images of each group in percent',
      ['row and classes', ...FATES.map(([, text]) => text)],
      rows.flatMap((row) =>
        groups
          .filter((group) => row.fates[group])
          .map((group) => [`${row.method}, ${group}`, ...row.fates[group].map((value) => write(value))]),
      ),
    ),
  );
}

function stacked(svg, found, from, to, y, height, about) {
  let x = from;
  found.forEach((value, place) => {
    const width = ((to - from) * value) / 100;
    const [kind, text] = FATES[place];
    svg.append(
      draw(
        'g',
        {class: `fate ${kind}`},
        draw('rect', {x, y, width: Math.max(0, width - 1), height}),
        draw('title', {}, `${about}: ${write(value)} % ${text}`),
      ),
    );
    if (width > 30)
      svg.append(
        draw(
          'text',
          {class: `inside ${kind}`, x: x + width / 2, y: y + height / 2 + 4, 'text-anchor': 'middle'},
          write(value, 0),
        ),
      );
    x += width;
  });
}
